# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry from mapping: the frame-to-frame motion, which does not jump when the graph of keyframes does."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import normalize_rotation, se3_inverse, se3_log
from lsm_ros.types import TrajectoryPose

LONGEST_STEP_S = 1.0


@dataclass(frozen=True)
class Motion:
    """T_odom_base (4, 4); twist (6,) of the base in its own frame, m/s and rad/s, linear first; its covariance (6, 6).
    The twist is None over the first frame and over gaps."""

    T_odom_base: np.ndarray
    twist_base: np.ndarray | None
    twist_covariance: np.ndarray | None


class SmoothOdometry:
    """Adds up the motion between frames.

    A new frame's pose is compared with the last frame's pose as the graph has it now: both follow their keyframes, so a
    correction of the graph moves both and drops out.
    """

    def __init__(self) -> None:
        self.T_odom_base = np.eye(4)
        self._last: tuple[int, np.ndarray] | None = None
        self._anchor: TrajectoryPose | None = None
        self._version: tuple[int, int] | None = None

    def begin(self, T_odom_base: np.ndarray) -> None:
        """The next frame is there, (4, 4), whatever was before."""
        self.T_odom_base = T_odom_base.copy()
        self.restart()

    def restart(self) -> None:
        """The map is another one: the next frame adds no motion."""
        self._last, self._anchor, self._version = None, None, None

    def add(self, stamp_ns: int, T_map_base: np.ndarray, covariance: np.ndarray | None, version: tuple[int, int],
            keyframes: Callable[[], Sequence[TrajectoryPose]]) -> Motion:
        """A believed pose. version: changes when keyframe poses do; keyframes: gives them as they are now."""
        twist = twist_covariance = None
        correction = self._correction(version, keyframes)
        if self._last is not None and correction is not None:
            last_ns, T_last = self._last
            step = se3_inverse(correction @ T_last) @ T_map_base
            T = self.T_odom_base @ step
            T[:3, :3] = normalize_rotation(T[:3, :3])
            self.T_odom_base = T
            seconds = (stamp_ns - last_ns) * 1e-9
            if 0 < seconds <= LONGEST_STEP_S:
                twist = se3_log(step) / seconds
                twist_covariance = self._twist_covariance(T_map_base, covariance, seconds)
        self._last = (stamp_ns, T_map_base.copy())
        return Motion(self.T_odom_base.copy(), twist, twist_covariance)

    def _correction(self, version: tuple[int, int],
                    keyframes: Callable[[], Sequence[TrajectoryPose]]) -> np.ndarray | None:
        """Motion of the newest keyframe of the last frame since then, (4, 4) in the map frame; None if it is gone."""
        if version == self._version and self._anchor is not None:
            return np.eye(4)
        poses = keyframes()
        moved = None
        if self._anchor is not None:
            now = next((p for p in reversed(poses) if p.stamp_ns == self._anchor.stamp_ns), None)
            moved = None if now is None else now.T_map_rig @ se3_inverse(self._anchor.T_map_rig)
        self._version, self._anchor = version, poses[-1] if poses else None
        return moved

    @staticmethod
    def _twist_covariance(T_map_base: np.ndarray, covariance: np.ndarray | None, seconds: float) -> np.ndarray | None:
        if covariance is None:
            return None
        turn = np.zeros((6, 6))
        turn[:3, :3] = turn[3:, 3:] = T_map_base[:3, :3].T
        return 2.0 / seconds**2 * turn @ covariance @ turn.T  # two poses of equal uncertainty
