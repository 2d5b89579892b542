# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images as points with their depth, and a model that knows which belong together."""
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_exp, transform_points
from lsm_ros.pairs.base import Correspondences


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
