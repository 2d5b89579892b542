# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.slam.trackers.depth import measured_confidence


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_near_depth_is_sure_far_depth_less_and_none_not_at_all(dtype):
    found = measured_confidence(np.array([[0.4, 1.0, 2.0, 8.0, 0.0, -1.0, np.nan]], dtype))
    assert found.dtype == np.float32
    assert found.tolist() == [[1.0, 1.0, 0.5, 0.125, 0.0, 0.0, 0.0]]
