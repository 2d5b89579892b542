# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gravity: which way is up in the map, from the robot's base or from the floor."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import transform_points
from lsm_ros.slam.gravity import find_floor
from lsm_ros.slam.trackers import FrameDepth

STRIDE = 8  # pixels


class Levelling:
    """Source of gravity: `none`, `base_link`, `floor`, or what a saved map says."""

    def __init__(self, config: Config) -> None:
        self._wanted, self._seed = config.scale.gravity, config.seed
        self.source = "none"

    @property
    def is_known(self) -> bool:
        """True once z of the map is up."""
        return self.source != "none"

    def start(self, rig_is_base: bool) -> None:
        """A map starts at a rig that is the base of a robot, or is not."""
        if self._wanted == "base_link" or (self._wanted == "auto" and rig_is_base):
            self.source = "base_link"

    def wants_floor(self, keyframes: int) -> bool:
        """True while the floor would level the map. With `auto` only the first keyframe counts: a later find moves the whole
        map, which nobody wants who did not ask for it."""
        return not self.is_known and (self._wanted == "floor" or (self._wanted == "auto" and keyframes == 1))

    def find_floor(self, depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """T_floor_rig (4, 4), if the depth of a frame set shows the floor."""
        points = points_rig(depths, T_rig_cam)
        T_floor_rig = find_floor(points, self._seed) if len(points) else None
        if T_floor_rig is not None:
            self.source = "floor"
        return T_floor_rig


def points_rig(depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, 3) points in the rig frame that cameras show; every 8th pixel in each direction."""
    points = [np.zeros((0, 3))]
    for camera, view in depths.items():
        small = view.depth[::STRIDE, ::STRIDE]
        rows, columns = np.nonzero(small)
        rays = view.intrinsics.unproject(np.column_stack([columns * STRIDE, rows * STRIDE]).astype(np.float64))
        points.append(transform_points(T_rig_cam[camera], rays * small[rows, columns].astype(np.float64)[:, None]))
    return np.concatenate(points)
