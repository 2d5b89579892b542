# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Room that a moving body takes up along a path, and its distance to the solids of a world."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_sim.solids import signed_distance
from lsm_sim.world import Shape, World

_HEIGHT_STEP = 0.1
_TIME_STEP = 0.1


@dataclass(frozen=True)
class Body:
    """An upright cylinder that moves with a path, in metres.

    radius, from bottom to top above the floor. handheld: the path is that of a device in the hand: then the top is where
    the device is, with a ball of the radius round it, and `top` is the highest that it may reach.
    """

    radius: float
    bottom: float
    top: float
    handheld: bool = False

    @property
    def reach(self) -> float:
        """Height below which things are in the way."""
        return self.top + (self.radius if self.handheld else 0.0)


ROBOT = Body(0.22, 0.02, 1.3)
PERSON = Body(0.2, 0.02, 1.72, handheld=True)


def free_space(world: World, T_world_base: np.ndarray, times: np.ndarray, body: Body) -> np.ndarray:
    """Metres (N,) that solids keep from a body at base poses (N, 4, 4) and times (N,) s; positive: it touches nothing.

    Never too large: balls round the axis that hold the cylinder are compared with the distance to all parts that reach
    into its heights. Moving parts are where they are at the time, to within a tenth of a second.
    """
    T, times = np.asarray(T_world_base, float), np.asarray(times, float)
    still = np.flatnonzero((world.mover < 0) & _in_heights(world, body))
    out = _gap(world, T, body, still, 0.0)
    moving = np.flatnonzero(world.mover >= 0)
    if len(moving):
        ticks = np.round(times / _TIME_STEP).astype(np.int64)
        for tick in np.unique(ticks):
            rows = ticks == tick
            out[rows] = np.minimum(out[rows], _gap(world, T[rows], body, moving, tick * _TIME_STEP))
    return out


def _gap(world: World, T: np.ndarray, body: Body, parts: np.ndarray, time_s: float) -> np.ndarray:
    count = int(np.ceil((body.top - body.bottom) / _HEIGHT_STEP)) + 1
    share = np.linspace(0, 1, count)
    top = T[:, 2, 3] if body.handheld else np.full(len(T), body.top)
    z = body.bottom + (top - body.bottom)[:, None] * share
    points = np.concatenate([np.repeat(T[:, None, :2, 3], count, axis=1), z[..., None]], -1)
    limit = body.radius + 0.3
    distance = np.minimum(signed_distance(world, points.reshape(-1, 3), time_s, parts, limit), limit).reshape(z.shape)
    # A ball of this radius at each height holds the cylinder between them.
    ball = np.hypot(body.radius, 0.5 * _HEIGHT_STEP)
    gap = distance.min(1) - ball
    if body.handheld:
        everything = signed_distance(world, T[:, :3, 3], time_s, world.mover < 0, limit)
        gap = np.minimum(gap, np.minimum(everything, limit) - body.radius)
    return gap


def _in_heights(world: World, body: Body) -> np.ndarray:
    """(P,) bool: parts that reach into the heights of a body, as if none moved."""
    up, half, taper = world.R[:, 2], world.half, world.taper.astype(float)
    box = (np.abs(up) * half).sum(1)
    ball = np.linalg.norm(up * half, axis=1)
    disc, axis = np.linalg.norm(up[:, :2] * half[:, :2], axis=1), up[:, 2] * half[:, 2]
    cone_high = np.maximum(disc - axis, taper * disc + axis)
    cone_low = np.minimum(-disc - axis, axis - taper * disc)
    kinds = [world.shape == Shape.BOX, world.shape == Shape.ELLIPSOID]
    high = world.center[:, 2] + np.select(kinds, [box, ball], cone_high)
    low = world.center[:, 2] + np.select(kinds, [-box, -ball], cone_low)
    return (high > body.bottom) & (low < body.top)
