# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point features: single points that two images share, found without a guess of where. A new kind is a file here and a line
in `lsm_ros.registry.POINT_FEATURES`."""
from __future__ import annotations

from lsm_ros.pairs.point_features.base import Keypoints, PointFeatures
from lsm_ros.registry import POINT_FEATURES, load

registry = POINT_FEATURES


def make_point_features(name: str) -> PointFeatures:
    """The point features of this name. ValueError, FileNotFoundError or ImportError that says what to do."""
    return load(POINT_FEATURES, name, "point features")()


__all__ = ["Keypoints", "PointFeatures", "make_point_features", "registry"]
