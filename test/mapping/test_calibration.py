# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras that nobody calibrated."""
from types import SimpleNamespace

import numpy as np
from helpers.pointmaps import FakePairModel

from lsm_ros.mapping.calibration import Calibrator
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.types import Frame


def test_a_camera_whose_focal_length_nothing_finds_is_named():
    warnings = Warnings()
    calibrate = Calibrator(FakePairModel.__new__(FakePairModel), warnings)  # it gives no single points
    frame = Frame(0, "front", np.zeros((48, 64, 3), np.uint8))
    assert calibrate(frame, SimpleNamespace(finds_focal=False)) is frame
    assert "camera 'front' has no calibration" in warnings.texts[0] and "give it a camera_info" in warnings.texts[0]
