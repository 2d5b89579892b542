# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Motion of a device in the hand of a walking person: 6 degrees of freedom, smooth, looking around."""
from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import so3_exp

LOWEST, HIGHEST = 1.2, 1.7
"""Heights in metres between which the device stays."""

_SMOOTH_S = 0.25
_STRIDE = 0.75  # metres a step
_SWAY, _BOB = 0.012, 0.015  # metres
_STEP_ANGLE = np.radians(0.8)


def in_hand(planar: np.ndarray, rate_hz: float, rng: np.random.Generator, jumps: np.ndarray | None = None) -> np.ndarray:
    """T_world_device (N, 4, 4), x forward and z up, held by a person who walks along `planar` (N, 3).

    planar: x, y, heading of the person in metres and radians at rate_hz, the heading without jumps of 2 pi. jumps: indices of
    samples that do not follow from the one before. The device sways and bobs with the steps, rises and sinks between LOWEST and
    HIGHEST, looks sideways and mostly a little down; turns and stops are made soft.
    """
    smooth = np.empty_like(planar)
    for rows in pieces(len(planar), jumps):
        smooth[rows] = gaussian_filter1d(planar[rows], _SMOOTH_S * rate_hz, axis=0, mode="nearest")
    t = np.arange(len(planar)) / rate_hz
    speed = np.zeros(len(planar))
    for rows in pieces(len(planar), jumps):
        if rows.stop - rows.start > 1:
            speed[rows] = np.linalg.norm(np.gradient(smooth[rows, :2], axis=0), axis=1) * rate_hz
    phase = 2 * np.pi * np.cumsum(speed / (2 * _STRIDE)) / rate_hz + rng.uniform(0, 2 * np.pi)
    stepping = np.tanh(speed / 0.25)
    sway, bob = stepping * np.sin(phase), stepping * np.sin(2 * phase)
    sideways = np.stack([-np.sin(smooth[:, 2]), np.cos(smooth[:, 2])], -1)
    middle = 0.5 * (LOWEST + HIGHEST)
    height = middle + 0.2 * _wander(t, rng, 9, 17) + _BOB * bob
    xy = smooth[:, :2] + (_SWAY * sway)[:, None] * sideways
    yaw = smooth[:, 2] + np.radians(28) * _wander(t, rng, 6, 12) + _STEP_ANGLE * sway
    pitch = np.radians(11) + np.radians(9) * _wander(t, rng, 5, 11) + _STEP_ANGLE * bob
    roll = np.radians(3) * _wander(t, rng, 4, 9) + _STEP_ANGLE * sway
    axes = np.eye(3)
    R = so3_exp(yaw[:, None] * axes[2]) @ so3_exp(pitch[:, None] * axes[1]) @ so3_exp(roll[:, None] * axes[0])
    return make_se3(R, np.c_[xy, height])


def pieces(count: int, jumps: np.ndarray | None) -> list[slice]:
    """Slices of `count` samples between jumps."""
    edges = [0, *(int(j) for j in (() if jumps is None else jumps)), count]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _wander(t: np.ndarray, rng: np.random.Generator, shortest_s: float, longest_s: float) -> np.ndarray:
    """A slow smooth change (N,) within -1 and 1: three sines of periods between these."""
    periods, phases = rng.uniform(shortest_s, longest_s, 3), rng.uniform(0, 2 * np.pi, 3)
    return np.sin(2 * np.pi * t[:, None] / periods + phases) @ np.array([0.5, 0.3, 0.2])
