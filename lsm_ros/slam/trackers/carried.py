# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry while the camera is lost: a place where it cannot have brought the rig counts only if the rig was carried.

Odometry does not see that somebody lifts the robot; the images do, for they contradict the map where odometry says that the
robot is. While they do not, a place elsewhere that looks alike is one that looks alike.
"""
from __future__ import annotations

import numpy as np

from lsm_ros.slam.graph.keyframes import motion

CARRIED_FRAMES = 3  # that contradict where odometry says that the rig is
NEAR, TURN = 0.5, 0.35  # metres and radians that a find may always be off
DRIFT = 0.15  # of the way, and of all turning


class LostOdometry:
    """Odometry since a believed pose, at which it was T_odom_base (4, 4), or None where that is not known."""

    def __init__(self, T_odom_base: np.ndarray | None = None) -> None:
        self._last = T_odom_base
        self._is_whole = T_odom_base is not None
        self._way = self._turn = 0.0
        self._refuted = 0

    def lost(self, T_odom_base: np.ndarray | None) -> None:
        """Takes the odometry (4, 4) of a frame set without a pose. Where it is missing, the way is not known any more."""
        self._is_whole &= T_odom_base is not None
        if self._last is not None and T_odom_base is not None:
            distance, angle = motion(self._last, T_odom_base)
            self._way, self._turn = self._way + distance, self._turn + angle
        self._last = T_odom_base

    def refuted(self) -> None:
        """The image contradicts the map where odometry says that the rig is."""
        self._refuted += 1

    @property
    def is_carried(self) -> bool:
        """True once enough images have contradicted odometry."""
        return self._refuted >= CARRIED_FRAMES

    def allows(self, expected: np.ndarray | None, found: np.ndarray, is_metric: bool) -> bool:
        """True if the rig can be at `found` (4, 4): odometry expects it near there, or does not know, or it was carried.

        expected: T_map_rig (4, 4) by odometry, or None; is_metric: the map's unit is the metre, else only turns are compared.
        """
        if expected is None or not self._is_whole or self.is_carried:
            return True
        distance, angle = motion(expected, found)
        near = not is_metric or distance <= NEAR + DRIFT * self._way
        return near and angle <= TURN + DRIFT * self._turn
