# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""State of tracking from frame to frame: the newest poses, what they let expect, and which pose would be too fast."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lsm_ros.config import TrackingConfig
from lsm_ros.geometry import rigid, se3_exp, se3_inverse, se3_log
from lsm_ros.slam.graph.keyframes import motion
from lsm_ros.types import TrackingState, TrackingUpdate

LONGEST_STEP_NS = 1_000_000_000  # between two poses whose motion goes on
MOST_AHEAD = 3.0  # such steps


@dataclass(frozen=True)
class PoseStamp:
    """A believed pose T_map_rig (4, 4), and odometry (4, 4) at that time if there was any."""

    stamp_ns: int
    T_map_rig: np.ndarray
    T_odom_base: np.ndarray | None

    def too_fast(self, stamp_ns: int, T_map_rig: np.ndarray, config: TrackingConfig) -> str:
        """Why nobody moves so fast from here to another pose (4, 4), or ''."""
        seconds = (stamp_ns - self.stamp_ns) * 1e-9
        if seconds <= 0:
            return ""
        distance, angle = motion(self.T_map_rig, T_map_rig)
        if distance > config.max_speed * seconds + 0.05 or angle > config.max_rate * seconds + 0.1:
            return f"the pose needs {distance / seconds:.1f} m/s and {angle / seconds:.1f} rad/s"
        return ""


@dataclass
class Progress:
    """State, reference keyframe, a pose that was given from outside (`initial`), and the newest two poses."""

    state: TrackingState = TrackingState.INITIALIZING
    reference: int | None = None
    initial: np.ndarray | None = None
    poses: list[PoseStamp] = field(default_factory=list)

    @property
    def newest(self) -> PoseStamp | None:
        """The newest believed pose."""
        return self.poses[-1] if self.poses else None

    def expect(self, T_map_rig: np.ndarray) -> None:
        """The next frame is searched around a pose (4, 4) that was given from outside."""
        self.initial = T_map_rig.copy()
        self.state = TrackingState.LOST
        self.poses.clear()

    def predict(self, stamp_ns: int, T_odom_base: np.ndarray | None) -> np.ndarray | None:
        """Expected T_map_rig (4, 4): the newest pose moved on by odometry, else by constant velocity; None without one."""
        if not self.poses:
            return None
        last = self.poses[-1]
        if last.T_odom_base is not None and T_odom_base is not None:
            return last.T_map_rig @ se3_inverse(last.T_odom_base) @ T_odom_base
        if len(self.poses) < 2:
            return last.T_map_rig
        before = self.poses[0]
        step, ahead = last.stamp_ns - before.stamp_ns, stamp_ns - last.stamp_ns
        if step <= 0 or ahead <= 0 or step > LONGEST_STEP_NS:
            return last.T_map_rig
        velocity = se3_log(se3_inverse(before.T_map_rig) @ last.T_map_rig)
        return last.T_map_rig @ se3_exp(velocity * min(ahead / step, MOST_AHEAD))

    def from_odometry(self, stamp_ns: int, T_odom_base: np.ndarray | None) -> np.ndarray | None:
        """As `predict`, but only from odometry."""
        if self.newest is None or self.newest.T_odom_base is None or T_odom_base is None:
            return None
        return self.predict(stamp_ns, T_odom_base)

    def too_fast(self, stamp_ns: int, T_map_rig: np.ndarray, config: TrackingConfig) -> str:
        """Why nobody moves so fast from the newest pose to this one, or ''. After being lost every pose is possible."""
        if self.newest is None or self.state is TrackingState.LOST:
            return ""
        return self.newest.too_fast(stamp_ns, T_map_rig, config)

    def lose(self, reason: str) -> TrackingUpdate:
        """Reports a frame set without a pose."""
        if self.state is not TrackingState.INITIALIZING:
            self.state = TrackingState.LOST
        return TrackingUpdate(self.state, None, None, 0.0, reason=reason)

    def accept(self, pose: PoseStamp, own: np.ndarray, fraction: float, shared: np.ndarray | None = None) -> TrackingUpdate:
        """Reports a frame set with a pose. own (6, 6): its covariance where its keyframe is known; shared (6, 6): what it takes
        from that keyframe."""
        self.state = TrackingState.RELOCALIZED if self.state is TrackingState.LOST else TrackingState.TRACKING
        if self.state is TrackingState.RELOCALIZED:
            self.poses.clear()
        self.initial = None
        self.poses = [*self.poses[-1:], pose]
        return TrackingUpdate(self.state, pose.T_map_rig, own if shared is None else own + shared, fraction, own_covariance=own)

    def keyframe_added(self, keyframe: int, pose: PoseStamp, forget: bool = False) -> None:
        """The frame of `pose` became the reference, at a pose that the graph may have moved. forget: older poses are where
        the map was before."""
        self.reference = keyframe
        if self.newest is None or self.newest.stamp_ns == pose.stamp_ns or forget:
            self.poses = [*([] if forget else self.poses[:-1]), pose]
        if self.state is TrackingState.INITIALIZING:
            self.state = TrackingState.TRACKING

    def correct(self, correction: np.ndarray) -> None:
        """The newest part of the map has moved by a similarity (4, 4)."""
        self.poses = [PoseStamp(p.stamp_ns, rigid(correction @ p.T_map_rig), p.T_odom_base) for p in self.poses]

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame: every pose P becomes T_new_old P."""
        self.poses = [PoseStamp(p.stamp_ns, T_new_old @ p.T_map_rig, p.T_odom_base) for p in self.poses]

    def resize(self, factor: float) -> None:
        """Makes the way of the rig longer by a factor, away from the map's origin."""
        scaled = []
        for p in self.poses:
            T = p.T_map_rig.copy()
            T[:3, 3] *= factor
            scaled.append(PoseStamp(p.stamp_ns, T, p.T_odom_base))
        self.poses = scaled
