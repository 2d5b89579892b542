# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Up in the map by an inertial sensor."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import so3_log
from lsm_ros.slam.imu import FORCE_BIAS_STD, GRAVITY, ImuFilter, Up
from lsm_ros.slam.imu_checks import TurnCheck
from lsm_ros.types import ImuSample

MOST_FRAMES = 3000  # whose direction up is kept
MOST_TILT_BASE = 0.5  # radians between z of a robot's base and up: floors are not steeper
ENOUGH_FRAMES = 20  # in a row that agree about such a tilt
MOST_SCATTER = 0.1  # radians of the directions up of keyframes around their mean, in the median
FEWEST_KEYFRAMES = 6  # that are asked for that
SPEED_STD = 0.7  # m/s, of what carries the sensor


@dataclass(frozen=True)
class MapUp:
    """direction: (3,) unit vector up in the map; std: its deviation in radians about any axis."""

    direction: np.ndarray
    std: float


class ImuGravity:
    """Up by an inertial sensor on the rig: at frames, then in the map. reason: why it is not used, or ''."""

    def __init__(self) -> None:
        self._filter, self._turns = ImuFilter(), TurnCheck()
        self._tilted: deque[float] = deque(maxlen=ENOUGH_FRAMES)
        self._up_rig: dict[int, tuple[np.ndarray, float]] = {}  # by stamp: direction and deviation
        self._impulse: dict[int, tuple[np.ndarray, float]] = {}  # by keyframe: in its rig's frame, m/s, and for how long
        self._stretches = 0
        self._last: tuple[int, np.ndarray, np.ndarray] | None = None  # stamp, turned by the gyro, R_map_imu
        self._tilt = self._scatter = ""  # what speaks against it, of the base and of the keyframes

    @property
    def reason(self) -> str:
        """Why the sensor is not used, or ''."""
        return self._filter.reason or self._tilt or self._turns.reason or self._scatter

    def add(self, stamp_ns: int, samples: Iterable[ImuSample], T_rig_imu: np.ndarray, T_map_rig: np.ndarray | None,
            rig_is_base: bool, near: tuple[int, np.ndarray] | None = None) -> None:
        """Takes the readings up to a frame set, and its pose (4, 4) where it has one. near: the keyframe that it is found in,
        and its pose (4, 4): what was felt is kept in its frame, and so follows when the graph moves it."""
        self._filter.add(samples)
        up = self._filter.up_at(stamp_ns)
        if up is None:
            self._last = None
            return
        direction = T_rig_imu[:3, :3] @ up.direction
        self._up_rig[stamp_ns] = direction, up.std
        while len(self._up_rig) > MOST_FRAMES:
            self._up_rig.pop(next(iter(self._up_rig)))
        if rig_is_base:
            self._compare_with_base(direction)
        R_map_imu = None if T_map_rig is None else T_map_rig[:3, :3] @ T_rig_imu[:3, :3]
        self._push(up, R_map_imu, near)
        self._compare_turns(stamp_ns, up.turned, R_map_imu)

    def _push(self, up: Up, R_map_imu: np.ndarray | None, near: tuple[int, np.ndarray] | None) -> None:
        """Adds the specific force since the last frame, as far as both frames have a pose."""
        if R_map_imu is None or near is None:
            return
        if self._last is None:
            self._stretches += 1
            return
        impulse, seconds = self._impulse.get(near[0], (np.zeros(3), 0.0))
        self._impulse[near[0]] = impulse + near[1][:3, :3].T @ R_map_imu @ up.impulse, seconds + up.seconds

    def _compare_with_base(self, up_rig: np.ndarray) -> None:
        self._tilted.append(float(np.arccos(np.clip(up_rig[2], -1, 1))))
        tilt = float(np.median(list(self._tilted)))
        if len(self._tilted) == ENOUGH_FRAMES:
            self._tilt = "" if tilt < MOST_TILT_BASE else (
                f"up by the IMU is {np.degrees(tilt):.0f} degrees from z of the base: "
                + ("it is upside down, or " if tilt > 2.0 else "") + "TF from the base to it is wrong")

    def _compare_turns(self, stamp_ns: int, turned: np.ndarray, R_map_imu: np.ndarray | None) -> None:
        if R_map_imu is None:
            self._last = None
            return
        if self._last is not None and 0 < stamp_ns - self._last[0] < 1_000_000_000:
            self._turns.add(turned - self._last[1], so3_log(self._last[2].T @ R_map_imu))
        self._last = stamp_ns, turned, R_map_imu

    def map_moved(self) -> None:
        """The map frame has turned: the pose from before is not compared with the one that comes."""
        self._last = None

    def up_map(self, keyframes: Mapping[int, tuple[int, np.ndarray]]) -> MapUp | None:
        """Up in a map with these keyframes, by their number stamp and pose (4, 4), as the surer of two says.

        The mean of their directions up, weighted by their variances; its deviation is that of the best one, for what the
        sensor gets wrong is the same in all. Or the mean specific force in the map over all frames with a pose: what is not
        gravity in it is the change of speed by the time, and speeds have bounds. None where the sensor has nothing to say, or
        where it says something else at each keyframe, for it then does not sit as TF says.
        """
        known = [(T[:3, :3] @ self._up_rig[s][0], self._up_rig[s][1]) for s, T in keyframes.values() if s in self._up_rig]
        self._scatter = ""
        if self.reason or not known:
            return None
        directions, stds = np.stack([d for d, _ in known]), np.array([s for _, s in known])
        mean = (directions / stds[:, None] ** 2).sum(0)
        mean /= np.linalg.norm(mean)
        off = float(np.median(np.arccos(np.clip(directions @ mean, -1, 1))))
        if len(known) >= FEWEST_KEYFRAMES and off > MOST_SCATTER:
            self._scatter = (f"up by the IMU differs by {np.degrees(off):.0f} degrees from keyframe to keyframe: TF from the "
                             "rig to it is wrong")
            return None
        found = MapUp(mean, float(stds.min()))
        self._impulse = {i: v for i, v in self._impulse.items() if i in keyframes}
        felt = np.sum([np.zeros(3), *(keyframes[i][1][:3, :3] @ impulse for i, (impulse, _) in self._impulse.items())], axis=0)
        seconds = sum(s for _, s in self._impulse.values())
        if seconds > 0:
            by_speed = SPEED_STD * np.sqrt(2 * max(self._stretches, 1)) / (seconds * GRAVITY)
            std = float(np.hypot(by_speed, FORCE_BIAS_STD / GRAVITY))
            if std < found.std:
                return MapUp(felt / float(np.linalg.norm(felt)), std)
        return found
