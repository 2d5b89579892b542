# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""RootSIFT with the ratio test: needs no weights."""
from __future__ import annotations

import numpy as np

from lsm_ros.pairs.corners import match_descriptors, root_sift
from lsm_ros.pairs.point_features.base import Keypoints, PointFeatures

COUNT = 1000


class SiftFeatures(PointFeatures):
    """Descriptors (M, 128) uint8; mutual nearest neighbours that pass the ratio test."""

    name = "sift"

    def detect(self, gray: np.ndarray) -> Keypoints:
        """As of `PointFeatures`."""
        return Keypoints(*root_sift(gray, COUNT), gray.shape)

    def match(self, a: Keypoints, b: Keypoints) -> tuple[np.ndarray, np.ndarray]:
        """As of `PointFeatures`."""
        return match_descriptors(a.descriptors, b.descriptors)
