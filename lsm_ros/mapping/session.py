# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sessions: maps that were begun at different times or places, of which one is built at the moment; and the map's epoch."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lsm_ros.mapping.fuser import Fuser
from lsm_ros.mapping.levelling import Levelling
from lsm_ros.mapping.objects import SessionObjects
from lsm_ros.mapping.scale import ScaleKeeper
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.trackers import FrameDepth, Tracker
from lsm_ros.types import FrameSet


@dataclass(eq=False)
class MapSession:
    """One map with all that belongs to it. number: of the session that began it."""

    number: int
    tracker: Tracker
    fuser: Fuser
    levelling: Levelling
    scale: ScaleKeeper
    history: PoseHistory = field(default_factory=PoseHistory)
    objects: SessionObjects = field(default_factory=SessionObjects)

    @property
    def keyframes(self) -> int:
        """Number of keyframes."""
        return len(self.tracker.graph.keyframes)

    def see(self, frame_set: FrameSet, T_map_rig: np.ndarray | None) -> None:
        """Takes the odometry and the readings of the IMU of a frame set, with the pose (4, 4) that was found of it."""
        reference = self.tracker.reference
        self.scale.note(frame_set, T_map_rig, self.tracker)
        self.levelling.see(frame_set, T_map_rig, None if reference is None else self.tracker.graph.keyframes.get(reference))

    def level(self, keyframe: Keyframe, depths: Mapping[str, FrameDepth], T_rig_cam: Mapping[str, np.ndarray], by_floor: bool
              ) -> bool:
        """Turns the map level when a new keyframe says what is up: by the IMU, else (by_floor) by the floor that its depths
        show. True if the map has moved."""
        graph = self.tracker.graph
        T_new_old = self.levelling.by_imu(graph)
        if T_new_old is None and by_floor:
            T_new_old = self.levelling.by_floor(keyframe, graph, depths, T_rig_cam)
        if T_new_old is None:
            return False
        self.tracker.move_map(T_new_old)
        self.scale.check.map_moved()
        self.fuser.settle(graph)
        return True

    def settle(self) -> bool:
        """Gives the graph, which is complete, the size and the direction up that are known best. True if it has others."""
        grown = self.scale.settle(self.tracker)
        if grown:
            self.resized()
        T_new_old = self.levelling.by_imu(self.tracker.graph, final=True)
        if T_new_old is not None:
            self.tracker.move_map(T_new_old)
        return grown or T_new_old is not None

    def resized(self) -> None:
        """The graph has another size; the map follows."""
        self.levelling.map_moved()
        self.fuser.rescale(self.tracker)
        self.fuser.settle(self.tracker.graph)


@dataclass
class SessionCount:
    """newest: number of the last session that began, raised when mapping starts anew or goes on after the camera was lost.
    epoch: raised when coordinates of the map from before no longer hold."""

    newest: int = 0
    epoch: int = 0
    lost_since_ns: int | None = None

    def found(self) -> None:
        """The camera has a pose."""
        self.lost_since_ns = None

    def is_lost_for(self, stamp_ns: int, patience_s: float) -> bool:
        """True once the camera was lost for `patience_s` at `stamp_ns`. Time that goes back starts the wait anew."""
        if self.lost_since_ns is None or stamp_ns < self.lost_since_ns:
            self.lost_since_ns = stamp_ns
        return (stamp_ns - self.lost_since_ns) * 1e-9 >= patience_s

    def begin(self) -> int:
        """A new map starts; returns its number."""
        self.newest += 1
        self.epoch += 1
        self.lost_since_ns = None
        return self.newest

    def go_on(self) -> int:
        """The map goes on in another place, as odometry says; returns the number of the session."""
        self.newest += 1
        self.lost_since_ns = None
        return self.newest

    def map_moved(self) -> None:
        """The same map has other coordinates, or another map takes its place."""
        self.epoch += 1
