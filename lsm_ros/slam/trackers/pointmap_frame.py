# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A frame set as tracking with predicted pointmaps keeps it."""
from __future__ import annotations

from dataclasses import dataclass, field

from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.types import PairPrediction


@dataclass
class PointmapFrame(TrackedFrame):
    """A frame set with what was predicted of it.

    predictions: by camera, of (this frame, keyframe `reference`). units: of each, in units of the map. unique: share of the
    image that the keyframe covers. cells: by how much the residuals' covariance is too sure.
    """

    predictions: dict[str, PairPrediction] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    unique: float = 0.0
    cells: float = 1.0
