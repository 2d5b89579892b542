# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gravity: which way is up in the map, from the robot's base, from an inertial sensor, or from the floor."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import make_se3, se3_inverse, transform_points
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.floor import FloorByTurning, find_floor, upright
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.gravity import ImuGravity
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import FrameSet

SOURCES = ("none", "base_link", "imu", "floor")
STRIDE = 8  # pixels
LEVEL, CLEARLY_OFF = 0.002, 0.0175  # radians that a map may be off level at the end, and before: it moves for more
SURE = 0.01  # radians: a direction up that is known so well levels the map


class Levelling:
    """Source of gravity: `none`, `base_link`, `imu`, `floor`, or what a saved map says."""

    def __init__(self, config: Config, warnings: Warnings) -> None:
        self._wanted, self._seed, self._warnings = config.scale.gravity, config.seed, warnings
        self.source = "none"
        self._imu = ImuGravity()
        self._imu_came = False
        self._turning = FloorByTurning(self._seed)

    @property
    def is_known(self) -> bool:
        """True once z of the map is up."""
        return self.source != "none"

    def recall(self, source: str) -> None:
        """Takes over the source of a saved map. ValueError for one that does not exist."""
        if source not in SOURCES:
            raise ValueError(f"the source of gravity must be one of {', '.join(SOURCES)}, got {source!r}")
        self.source = source

    def start(self, rig_is_base: bool) -> None:
        """A map starts at a rig that is the base of a robot, or is not."""
        if self._wanted == "base_link" or (self._wanted == "auto" and rig_is_base):
            self.source = "base_link"

    def see(self, frame_set: FrameSet, T_map_rig: np.ndarray | None, near: Keyframe | None) -> None:
        """Takes the readings of the IMU that came with a frame set, the pose (4, 4) that was found of it, and the keyframe that
        this was found in."""
        if frame_set.T_rig_imu is None:
            return
        self._imu_came = self._imu_came or bool(frame_set.imu)
        self._imu.add(frame_set.stamp_ns, frame_set.imu, frame_set.T_rig_imu, T_map_rig, frame_set.rig_is_base,
                      None if near is None else (near.id, near.T_map_rig))
        if self._imu.reason:
            self._warnings.say("imu", f"{self._imu.reason}; the IMU is not used")
        else:
            self._warnings.over("imu")

    def by_imu(self, graph: KeyframeGraph, final: bool = False) -> np.ndarray | None:
        """T_new_old (4, 4) that turns the map level as the IMU says, once it is sure. None before, or if it is not wanted.

        A map that it has levelled, and that has drifted or been corrected since, is levelled again where it is clearly off;
        final: where it is off at all, for the map is complete.
        """
        if self.source not in ("none", "imu") or self._wanted not in ("imu", "auto"):
            return None
        if not self._imu_came:
            if self._wanted == "imu":
                self._warnings.say("imu", "the map is to be levelled by an IMU (scale.gravity), but no readings of one come")
            return None
        up = self._imu.up_map({i: (k.stamp_ns, k.T_map_rig) for i, k in graph.keyframes.items()})
        if up is None or up.std > SURE:
            return None
        tilt = float(np.arccos(np.clip(up.direction[2], -1, 1)))
        if self.source == "imu" and tilt < (LEVEL if final else max(CLEARLY_OFF, 3 * up.std)):
            return None
        self.source = "imu"
        self.map_moved()
        return make_se3(upright(up.direction), np.zeros(3))

    def map_moved(self) -> None:
        """The map frame has moved."""
        self._imu.map_moved()

    def by_floor(self, keyframe: Keyframe, graph: KeyframeGraph, depths: Mapping[str, FrameDepth],
                 T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """T_new_old (4, 4) that puts the floor of the map at z = 0, when a new keyframe and its depths say where that is. With
        `floor` it lies below a camera that is upright; with `auto` the camera may be mounted in any way, and its turns say
        which planes are walls. None before, if another source is known, and where an IMU will say what is up."""
        if self.is_known or self._wanted not in ("floor", "auto") or (
                self._wanted == "auto" and self._imu_came and not self._imu.reason):
            return None
        points = points_rig(depths, T_rig_cam)
        if self._wanted == "floor":
            T_floor_rig = find_floor(points, self._seed)
            T_new_old = None if T_floor_rig is None else T_floor_rig @ se3_inverse(keyframe.T_map_rig)
        else:
            self._turning.add(keyframe.id, points)
            T_new_old = self._turning.find({i: k.T_map_rig for i, k in graph.keyframes.items()})
        if T_new_old is not None:
            self.source = "floor"
            self.map_moved()
            self._warnings.over("gravity")
        elif self._wanted == "auto":
            self._warnings.say("gravity", self._turning.reason)
        return T_new_old


def points_rig(depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, 3) points in the rig frame that cameras show; every 8th pixel in each direction."""
    return np.concatenate([np.zeros((0, 3)), *(points_from(view, T_rig_cam[camera]) for camera, view in depths.items())])


def points_from(view: FrameDepth, T_rig_cam: np.ndarray) -> np.ndarray:
    """(N, 3) points of one camera at T_rig_cam (4, 4)."""
    small = view.depth[::STRIDE, ::STRIDE]
    rows, columns = np.nonzero(small)
    rays = view.intrinsics.unproject(np.column_stack([columns * STRIDE, rows * STRIDE]).astype(np.float64))
    return transform_points(T_rig_cam, rays * small[rows, columns].astype(np.float64)[:, None])
