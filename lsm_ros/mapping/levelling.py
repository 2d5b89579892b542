# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Gravity: which way is up in the map, from the robot's base, from an inertial sensor, or from the floor."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import make_se3, transform_points
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.gravity import ImuGravity, find_floor, is_clear_floor, upright
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

    def wants_floor(self, keyframes: int) -> bool:
        """True while the floor would level the map. With `auto` only the first keyframe counts: a later find moves the whole
        map, which nobody wants who did not ask for it; nor does the floor count where an IMU will say it."""
        waits = self._imu_came and not self._imu.reason
        return not self.is_known and (self._wanted == "floor" or (self._wanted == "auto" and keyframes == 1 and not waits))

    def find_floor(self, depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """T_floor_rig (4, 4), if the depth of a frame set shows the floor; with `auto` only one that could be nothing else."""
        return self.floor_in(points_rig(depths, T_rig_cam))

    def floor_in(self, points: np.ndarray) -> np.ndarray | None:
        """The same for points (N, 3) in the rig frame."""
        T_floor_rig = find_floor(points, self._seed) if len(points) else None
        if T_floor_rig is not None and self._wanted == "auto" and not is_clear_floor(points, T_floor_rig, self._seed):
            self._warnings.say("gravity", "which way is up is not known: a plane below may be the floor, or a wall if the "
                               "camera is turned on its side; give base_frame, imu, or scale.gravity=floor for an upright one")
            return None
        if T_floor_rig is not None:
            self.source = "floor"
            self.map_moved()
        return T_floor_rig


def points_rig(depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, 3) points in the rig frame that cameras show; every 8th pixel in each direction."""
    return np.concatenate([np.zeros((0, 3)), *(points_from(view, T_rig_cam[camera]) for camera, view in depths.items())])


def points_from(view: FrameDepth, T_rig_cam: np.ndarray) -> np.ndarray:
    """(N, 3) points of one camera at T_rig_cam (4, 4)."""
    small = view.depth[::STRIDE, ::STRIDE]
    rows, columns = np.nonzero(small)
    rays = view.intrinsics.unproject(np.column_stack([columns * STRIDE, rows * STRIDE]).astype(np.float64))
    return transform_points(T_rig_cam, rays * small[rows, columns].astype(np.float64)[:, None])
