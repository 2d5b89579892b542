# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import dataclass

import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, se3_exp, transform_points
from lsm_ros.pairs.base import Correspondences
from lsm_ros.slam.focal import FocalEstimator


@dataclass
class Points:
    """Tokens that hold points instead of an image."""

    gray: np.ndarray
    corners: np.ndarray
    depth_mm: bool
    depth: np.ndarray


class PointMatcher:
    def correspond(self, a: Points, b: Points) -> Correspondences:
        seen = np.isfinite(a.corners).all(1) & np.isfinite(b.corners).all(1)
        return Correspondences(a.corners[seen], b.corners[seen], a.depth[seen], b.depth[seen])


def images(focal: float, count: int = 10, noise: float = 0.5, outliers: float = 0.05, seed: int = 0, step=(0.08, 0.0, 0.02)):
    rng = np.random.default_rng(seed)
    K = CameraIntrinsics(640, 480, focal, focal, 319.5, 239.5)
    points = np.c_[rng.uniform(-1.5, 1.5, 150), rng.uniform(-1, 1, 150), rng.uniform(1.5, 4, 150)]
    for i in range(count):
        T = se3_exp(np.r_[np.array(step) * i, 0.01 * i, 0.03 * i, 0.0])
        cam = transform_points(T, points)
        pixels, ok = K.project(cam)
        pixels = pixels + noise * rng.standard_normal(pixels.shape)
        wrong = rng.random(len(pixels)) < outliers
        pixels[wrong] = rng.uniform([0, 0], [640, 480], (wrong.sum(), 2))
        pixels[~ok] = np.nan
        depth = 1 / (1 / cam[:, 2] + 0.001 * rng.standard_normal(len(cam)))
        yield Points(np.zeros((480, 640), np.uint8), pixels, True, depth)


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
