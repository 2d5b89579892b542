# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry that is worth nothing at the moment: it jumps, or it stands still while the camera moves."""
from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from lsm_ros.config import TrackingConfig
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.graph.keyframes import motion
from lsm_ros.types import FrameSet

STUCK_NS = 2_000_000_000  # that odometry gives the very same pose for
STILL_M, STILL_RAD = 1e-4, 1e-4  # between poses that are the same
CAMERA_MOVED, CAMERA_TURNED = 0.3, 0.35  # median depths or metres, and radians, that the camera goes meanwhile
QUIET_NS = 30_000_000_000  # after which a jump is no news any more


class OdometryWatch:
    """Looks at the odometry of each frame set. segment: raised where it does not go on from the pose before."""

    def __init__(self, config: TrackingConfig, warnings: Warnings) -> None:
        self._config, self._warnings = config, warnings
        self.segment = 0
        self._last: tuple[int, np.ndarray] | None = None
        self._jumped_ns: int | None = None
        self._jumps = 0
        self._poses: deque[tuple[int, np.ndarray]] = deque()  # of the rig in the map, while odometry stands still
        self._stuck = False

    def __call__(self, frame_set: FrameSet) -> FrameSet:
        """The frame set; without odometry where that jumps, and while it is stuck."""
        T, stamp_ns = frame_set.T_odom_base, frame_set.stamp_ns
        if self._jumped_ns is not None and not 0 <= stamp_ns - self._jumped_ns < QUIET_NS:
            self._jumped_ns = None
            self._warnings.over("odometry jump")
        if T is None:
            return frame_set
        last, self._last = self._last, (stamp_ns, T)
        if last is None:
            return frame_set
        distance, angle = motion(last[1], T)
        if distance > STILL_M or angle > STILL_RAD:
            self._poses.clear()
            if self._stuck:
                self._stuck = False
                self.segment += 1  # the way meanwhile is missing
                self._warnings.over("odometry stuck")
        seconds = (stamp_ns - last[0]) * 1e-9
        if seconds <= 0 or distance > self._config.max_speed * seconds + 0.05 or angle > self._config.max_rate * seconds + 0.1:
            self.segment += 1
            self._jumps += 1
            self._jumped_ns = stamp_ns
            self._warnings.say("odometry jump", f"odometry jumped by {distance:.2f} m and {np.degrees(angle):.0f} degrees in "
                               f"{seconds:.2f} s ({self._jumps} times so far); it is not used there")
            return replace(frame_set, T_odom_base=None)
        return replace(frame_set, T_odom_base=None) if self._stuck else frame_set

    def map_moved(self) -> None:
        """The map frame, or its size, has changed: poses from before are not compared with those that come."""
        self._poses.clear()

    def note(self, stamp_ns: int, T_map_rig: np.ndarray, unit: float) -> None:
        """Takes the pose (4, 4) that was found of the frame set. unit: length in the map that its camera cannot stand still and
        seem to go, about the median depth."""
        self._poses.append((stamp_ns, T_map_rig))
        while len(self._poses) > 1 and stamp_ns - self._poses[1][0] >= STUCK_NS:
            self._poses.popleft()
        if self._last is None or self._stuck or stamp_ns - self._poses[0][0] < STUCK_NS:
            return
        distance, angle = motion(self._poses[0][1], T_map_rig)
        if distance > CAMERA_MOVED * unit or angle > CAMERA_TURNED:
            self._stuck = True
            self._warnings.say("odometry stuck", "odometry stands still while the camera moves; it is not used until it goes "
                               "on")
