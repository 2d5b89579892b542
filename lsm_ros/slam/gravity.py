# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Up in the map where no robot base says it: by the floor plane, or by an inertial sensor."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import hat, make_se3, so3_exp, so3_log
from lsm_ros.slam.imu import FORCE_BIAS_STD, GRAVITY, ImuFilter, Up
from lsm_ros.slam.imu_checks import TurnCheck
from lsm_ros.types import ImuSample

MAX_TILT = 0.7  # radians between the floor's normal and the camera's own up
MIN_SHARE = 0.08  # of the points lie on the floor
MOST_OF_ANOTHER = 0.5  # of the points on the floor may be on what would be the floor of a camera turned on its side
HEIGHT = (0.15, 3.0)  # of the camera above the floor, metres
TOLERANCE = 0.025  # metres; grows with distance
COMMON_DISTANCE = 2.0  # metres that things are away in rooms
ANY_HEIGHT = (0.1, 6.0)  # of the camera above the floor, in a unit in which things are so far away
MOST_FRAMES = 3000  # whose direction up is kept
MOST_TILT_BASE = 0.5  # radians between z of a robot's base and up: floors are not steeper
ENOUGH_FRAMES = 20  # in a row that agree about such a tilt
MOST_SCATTER = 0.1  # radians of the directions up of keyframes around their mean, in the median
FEWEST_KEYFRAMES = 6  # that are asked for that
SPEED_STD = 0.7  # m/s, of what carries the sensor


def find_floor(points_rig: np.ndarray, seed: int = 0, iterations: int = 1000,
               heights: tuple[float, float] = HEIGHT) -> np.ndarray | None:
    """Pose of the rig above the floor that it sees, T_floor_rig (4, 4): z up, floor at z = 0, heading kept.

    points_rig: (N, 3) in a frame whose z points roughly up, metres. heights: least and most of its origin above the floor,
    metres. None when no large plane lies below with a normal within 40 degrees of z. RANSAC on three points, then least
    squares; the lowest well-supported plane wins, so that a table is not taken for the floor.
    """
    points = points_rig[np.isfinite(points_rig).all(1)]
    if len(points) < 200:
        return None
    rng = np.random.default_rng(seed)
    if len(points) > 4000:
        points = points[rng.choice(len(points), 4000, replace=False)]
    tolerance = TOLERANCE * np.maximum(1.0, np.linalg.norm(points, axis=1) / 2.0)
    low = points[points[:, 2] < -heights[0]]  # what the floor could be part of, even for a camera that looks up
    low = low if len(low) >= 100 else points
    corners = low[rng.integers(0, len(low), (iterations, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals[length > 1e-6] / length[length > 1e-6, None]
    corners = corners[length > 1e-6]
    normals *= np.where(normals[:, 2:] < 0, -1.0, 1.0)
    above = -np.einsum("ij,ij->i", normals, corners[:, 0])  # of the rig's origin over each plane
    plausible = (normals[:, 2] > np.cos(MAX_TILT)) & (above > heights[0]) & (above < heights[1])
    best, best_score = None, 0.0
    for n, h in zip(normals[plausible], above[plausible], strict=True):
        distance = points @ n + h
        share = np.mean(np.abs(distance) < tolerance)
        below = np.mean(distance < -3 * tolerance)
        if share >= MIN_SHARE and below < 0.03 and share > best_score:
            best, best_score = np.abs(distance) < tolerance, share
    if best is None:
        return None
    on = points[best]
    centre = on.mean(0)
    n = np.linalg.svd(on - centre, full_matrices=False)[2][2]
    n = n if n[2] > 0 else -n
    return make_se3(upright(n), np.array([0.0, 0.0, float(-n @ centre)]))


def is_clear_floor(points_rig: np.ndarray, T_floor_rig: np.ndarray, seed: int = 0) -> bool:
    """Looks for a floor of the rig turned about its x axis, on its sides and on its head: True if none is half as large as the
    one that `find_floor` found in the same points (N, 3). Depth alone does not tell walls from floors."""
    found = _size_of_floor(points_rig, T_floor_rig)
    for turn in (np.pi / 2, np.pi, -np.pi / 2):
        turned = points_rig @ so3_exp(np.array([turn, 0.0, 0.0])).T
        other = find_floor(turned, seed)
        if other is not None and _size_of_floor(turned, other) > MOST_OF_ANOTHER * found:
            return False
    return True


def _size_of_floor(points_rig: np.ndarray, T_floor_rig: np.ndarray) -> int:
    """Number of points (N, 3) on the floor."""
    tolerance = TOLERANCE * np.maximum(1.0, np.linalg.norm(points_rig, axis=1) / 2.0)
    height = points_rig @ T_floor_rig[2, :3] + T_floor_rig[2, 3]
    return int(np.count_nonzero(np.abs(height) < tolerance))


def floor_height(points_rig: np.ndarray, seed: int = 0) -> float | None:
    """Height of the origin of points (N, 3) over the floor that they show, in their own unit, not metres for certain; z points
    roughly up. None as of `find_floor`, which is given points at distances as common as rooms have."""
    distance = np.linalg.norm(points_rig[np.isfinite(points_rig).all(1)], axis=1)
    if not len(distance) or not np.median(distance) > 0:
        return None
    unit = COMMON_DISTANCE / float(np.median(distance))
    T_floor_rig = find_floor(points_rig * unit, seed, heights=ANY_HEIGHT)
    return None if T_floor_rig is None else float(T_floor_rig[2, 3]) / unit


def upright(up: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that turns a unit vector (3,) to z."""
    z = np.array([0.0, 0.0, 1.0])
    axis = hat(up) @ z
    sine, cosine = float(np.linalg.norm(axis)), float(up @ z)
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return so3_exp(axis / sine * np.arctan2(sine, cosine))


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
