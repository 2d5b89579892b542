# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""How the robot moves through the rendered room, and what its wheels say about it."""
from __future__ import annotations

import math

import numpy as np

from lsm_ros.geometry.lie import make_se3, se3_inverse

MAX_SPEED = 0.5
MAX_RATE = 0.6
LOOP_SECONDS = 14.9
"""Time of one round: 0.45 m/s and 0.59 rad/s at most."""

_RADIUS_X, _RADIUS_Y = 1.05, 0.9
_LOOK_INWARD, _LOOK_SWAY = 0.85, 0.2


def loop_poses(times: np.ndarray) -> np.ndarray:
    """Poses of the base (N, 4, 4) in the world at times (N,) in seconds, which start at 0.

    The base goes round the table on an ellipse, at z = 0, looking forward and inward; it drives whole rounds, none
    faster than LOOP_SECONDS, and ends where it began. Less time than for one round gives a part of it.
    """
    duration = float(times[-1]) if len(times) else 0.0
    rounds = max(1.0, math.floor(duration / LOOP_SECONDS + 1e-9)) if duration >= LOOP_SECONDS - 1e-9 \
        else duration / LOOP_SECONDS
    angle = 2 * np.pi * rounds * times / duration if duration > 0 else np.zeros(len(times))
    x, y = _RADIUS_X * np.cos(angle), _RADIUS_Y * np.sin(angle)
    heading = np.arctan2(_RADIUS_Y * np.cos(angle), -_RADIUS_X * np.sin(angle))
    yaw = heading + _LOOK_INWARD + _LOOK_SWAY * np.sin(angle)
    return np.array([planar_pose(*p) for p in zip(x, y, yaw, strict=True)]).reshape(-1, 4, 4)


def planar_pose(x: float, y: float, yaw: float) -> np.ndarray:
    """(4, 4) of a pose on the floor: metres and radians about z."""
    c, s = math.cos(yaw), math.sin(yaw)
    return make_se3(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array([x, y, 0.0]))


def drifting_odometry(T_world_base: np.ndarray, rng: np.random.Generator, scale_error: float = 0.01,
                      yaw_error: float = 0.008, noise: float = 0.02) -> np.ndarray:
    """Odometry (N, 4, 4) of base poses (N, 4, 4): each step is off by a share that stays and by one that changes.

    scale_error: standard deviation of the wheel's scale; yaw_error: of the turning's scale; noise: share of each step.
    Starts with the identity: the odometry frame is where the base woke up.
    """
    scale, turn = 1 + scale_error * rng.standard_normal(), 1 + yaw_error * rng.standard_normal()
    out = [np.eye(4)]
    for before, after in zip(T_world_base[:-1], T_world_base[1:], strict=True):
        step = se3_inverse(before) @ after
        yaw = math.atan2(step[1, 0], step[0, 0])
        dx, dy = step[:2, 3] * scale * (1 + noise * rng.standard_normal(2))
        out.append(out[-1] @ planar_pose(dx, dy, yaw * turn * (1 + noise * rng.standard_normal())))
    return np.array(out)[:len(T_world_base)]
