# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry from the wheels of a robot, with drift."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsm_ros.geometry.lie import make_se3, se3_inverse

_STEP = 0.05  # step in metres or radians that `noise` refers to
_SLIP_S = 0.05  # share of the path that one slip lasts at most
_FLAT = 1e-6


def drifting_odometry(T_world_base: np.ndarray, rng: np.random.Generator, scale_error: float = 0.01,
                      yaw_error: float = 0.008, noise: float = 0.02, slips: int = 0,
                      jumps: Sequence[int] = ()) -> np.ndarray:
    """T_odom_base (N, 4, 4) of poses on the floor (N, 4, 4): it starts with the identity.

    scale_error, yaw_error: standard deviations of what the wheels are off by all the time, in the way and in the turning.
    noise: of a step of 0.05 m or radians, as a share of it; its variance grows with the way and the turning, for any
    steps. slips: how many times the wheels spin: the way is reported 1.3 to 2 times too long for up to 5 % of the path, and
    the turning is off. jumps: indices of poses that do not follow from the one before; odometry does not notice these.
    ValueError for poses that leave the floor or tilt, errors below 0, or jumps out of range.
    """
    T = np.asarray(T_world_base, float)
    if T.ndim != 3 or T.shape[1:] != (4, 4):
        raise ValueError(f"T_world_base must have shape (N, 4, 4), got {T.shape}")
    if len(T) and max(np.ptp(T[:, 2, 3]), np.abs(T[:, :2, 2]).max()) > _FLAT:
        raise ValueError("wheel odometry is that of a base on a level floor, but these poses rise or tilt")
    if min(scale_error, yaw_error, noise, slips) < 0:
        raise ValueError(f"errors must be 0 or more, got scale_error {scale_error}, yaw_error {yaw_error}, noise {noise}, "
                         f"slips {slips}")
    if any(not 0 < j < len(T) for j in jumps):
        raise ValueError(f"jumps must be indices from 1 to {len(T) - 1}, got {list(jumps)}")
    if len(T) < 2:
        return np.tile(np.eye(4), (len(T), 1, 1))
    step = se3_inverse(T[:-1]) @ T[1:]
    step[[j - 1 for j in jumps]] = np.eye(4)
    way, yaw = step[:, :2, 3], np.arctan2(step[:, 1, 0], step[:, 0, 0])
    scale, turn = 1 + scale_error * rng.standard_normal(), 1 + yaw_error * rng.standard_normal()
    spin, twist = _slips(way, slips, rng)
    length = np.linalg.norm(way, axis=1)
    measured = way * (scale * spin)[:, None] + noise * np.sqrt(_STEP * length)[:, None] * rng.standard_normal(way.shape)
    # Turning is felt in both wheels, so driving adds to its noise too, less.
    wobble = noise * np.sqrt(_STEP * (np.abs(yaw) + 0.25 * length)) * rng.standard_normal(len(yaw))
    return _chain(measured, yaw * turn + twist + wobble)


def _slips(way: np.ndarray, slips: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """By what the way of each step (N, 2) is multiplied, and what is added to its turning, for wheels that spin."""
    count = len(way)
    spin, twist = np.ones(count), np.zeros(count)
    moving = np.flatnonzero(np.linalg.norm(way, axis=1) > 1e-9)
    for _ in range(slips if len(moving) else 0):
        start = int(rng.choice(moving))
        rows = slice(start, start + max(1, int(rng.uniform(0.2, 1.0) * _SLIP_S * count)))
        spin[rows] *= rng.uniform(1.3, 2.0)
        twist[rows] += rng.normal(0, 0.08) * np.linalg.norm(way[rows], axis=1)
    return spin, twist


def _chain(way: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Poses on the floor (N + 1, 4, 4) of steps one after the other: way (N, 2) in the frame before, yaw (N,)."""
    heading = np.r_[0, np.cumsum(yaw)]
    c, s = np.cos(heading), np.sin(heading)
    moved = np.stack([c[:-1] * way[:, 0] - s[:-1] * way[:, 1], s[:-1] * way[:, 0] + c[:-1] * way[:, 1]], -1)
    zero, one = np.zeros(len(c)), np.ones(len(c))
    R = np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], 1)
    return make_se3(R, np.c_[np.concatenate([np.zeros((1, 2)), np.cumsum(moved, axis=0)]), zero])
