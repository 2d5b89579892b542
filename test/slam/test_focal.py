# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import pytest
from helpers.matched_points import PointMatcher, images

from lsm_ros.slam.focal import FocalEstimator


@pytest.mark.parametrize("focal", [300.0, 525.0, 900.0])
def test_finds_the_focal_length_within_its_own_error(focal):
    estimator = FocalEstimator(PointMatcher())
    for tokens in images(focal):
        estimator.add(tokens)
    assert estimator.focal_px == pytest.approx(focal, rel=0.03)
    assert abs(estimator.focal_px - focal) < 3 * estimator.std_px
    k = estimator.intrinsics(640, 480)
    assert (k.cx, k.cy, k.fx) == (319.5, 239.5, estimator.focal_px)


def test_a_camera_that_stands_still_tells_nothing():
    estimator = FocalEstimator(PointMatcher())
    still = next(images(525.0))
    for _ in range(10):
        assert estimator.add(still) is None
    with pytest.raises(ValueError, match="not known"):
        estimator.intrinsics(640, 480)
