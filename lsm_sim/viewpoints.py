# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Places for cameras in a world, and pairs of poses with much the same view."""
from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.geometry.camera import T_BODY_OPTICAL
from lsm_ros.geometry.lie import make_se3
from lsm_sim.clearance import ClearanceMap
from lsm_sim.solids import signed_distance
from lsm_sim.world import World

_POOL = 1500
_RADIUS = 0.18  # metres of air round a camera
_HEIGHTS = (0.3, 1.8)
_FLOOR_TOP = 1.0  # the floor is free of what is below this
_BASELINE = (0.03, 2.0)
_RANGE = (0.8, 4.0)  # metres ahead of the first camera to what both look at
_PITCH, _ROLL = (-0.15, 0.22), 0.06
_AIM, _AIM_WIDE = 0.08, 0.35  # radians by which the second camera looks beside it


class Viewpoints:
    """Places for cameras above the free floor of a world that a robot can reach, in the air."""

    def __init__(self, world: World, seed: int = 0) -> None:
        """ValueError if there is no free floor."""
        rng = np.random.default_rng([world.seed, seed, 17])
        self._map = ClearanceMap.of(world, _FLOOR_TOP)
        cells = np.argwhere(self._map.reachable(_RADIUS))
        if len(cells) == 0:
            raise ValueError(f"world {world.seed} ({world.kind!r}) has no free floor for a camera")
        half = 0.5 * self._map.resolution
        xy = self._map.point(cells[rng.integers(len(cells), size=_POOL)]) + rng.uniform(-half, half, (_POOL, 2))
        top = min(_HEIGHTS[1], float(min(z.high[2] for z in world.zones)) - 0.3)
        points = np.c_[xy, rng.uniform(_HEIGHTS[0], top, _POOL)]
        self.points = points[signed_distance(world, points, limit=1.0) > _RADIUS]
        if len(self.points) < 2:
            raise ValueError(f"world {world.seed} ({world.kind!r}) has no air for a camera above its free floor")
        self._tree = cKDTree(self.points)

    def pairs(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """n pairs of camera poses T_world_cam (n, 4, 4), their baselines spread evenly on a logarithmic scale."""
        first = self.points[rng.integers(len(self.points), size=n)]
        yaw = self._open_direction(first, rng)
        pitch = np.clip(rng.normal(*_PITCH, n), -1.0, 0.8)
        ahead = np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)], -1)
        target = first + ahead * _log_uniform(rng, *_RANGE, n)[:, None]
        direction = rng.normal(size=(n, 3)) * [1, 1, 0.5]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        second = self.points[self._tree.query(first + direction * _log_uniform(rng, *_BASELINE, n)[:, None])[1]]
        turned = rng.random(n) < 0.15  # only the direction changes, or the place by a step
        step = rng.uniform(0, 0.05, (n, 1)) * direction
        second = np.where(turned[:, None], first + step, second)
        spread = np.where(rng.random(n) < 0.4, _AIM_WIDE, _AIM)
        look = target - second
        yaw2 = np.arctan2(look[:, 1], look[:, 0]) + rng.normal(size=n) * spread
        pitch2 = np.arctan2(look[:, 2], np.linalg.norm(look[:, :2], axis=1)) + 0.5 * rng.normal(size=n) * spread
        rolls = rng.normal(0, _ROLL, (2, n))
        return (camera_poses(first, yaw, pitch, rolls[0]),
                camera_poses(second, yaw2, np.clip(pitch2, -1.2, 1.0), rolls[1]))

    def _open_direction(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A heading (N,) of two tried ones: that with more free floor ahead."""
        yaw = rng.uniform(-np.pi, np.pi, (2, len(points)))
        ahead = points[None, :, :2] + 0.7 * np.stack([np.cos(yaw), np.sin(yaw)], -1)
        room = self._map.at(ahead.reshape(-1, 2)).reshape(2, -1)
        return np.where(room[0] >= room[1], yaw[0], yaw[1])


def camera_poses(position: np.ndarray, yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray) -> np.ndarray:
    """T_world_cam (N, 4, 4) at positions (N, 3): yaw to the left, pitch up, roll to the right, radians (N,)."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def rotation(c: np.ndarray, s: np.ndarray, axis: int) -> np.ndarray:
        rows = {0: [[one, zero, zero], [zero, c, -s], [zero, s, c]], 1: [[c, zero, s], [zero, one, zero], [-s, zero, c]],
                2: [[c, -s, zero], [s, c, zero], [zero, zero, one]]}[axis]
        return np.stack([np.stack(row, -1) for row in rows], -2)

    R = (rotation(np.cos(yaw), np.sin(yaw), 2) @ rotation(np.cos(pitch), -np.sin(pitch), 1)
         @ rotation(np.cos(roll), np.sin(roll), 0))
    return make_se3(R, position) @ T_BODY_OPTICAL


def _log_uniform(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), n))
