# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plain, slow geometry of worlds, to hold the generator against: points of solids, and what solid holds a point."""
from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np

from lsm_sim.generator import build_world
from lsm_sim.plan import Plan
from lsm_sim.world import Shape, World

STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
GRID = np.array([[x, y, z] for x in STEPS for y in STEPS for z in STEPS])


@lru_cache(maxsize=40)
def made(seed: int, kind: str) -> World:
    """A world with much clutter, remembered for the tests that follow."""
    return build_world(seed, kind, clutter=0.9)


def part_points(world: World, i: int, shrink: float) -> np.ndarray:
    """(N, 3) points of part i in the world, `shrink` metres below its surface or deeper."""
    half, grid = np.maximum(world.half[i] - shrink, 0.2 * world.half[i]), GRID.copy()
    round_axes = {Shape.BOX: 0, Shape.CYLINDER: 2, Shape.ELLIPSOID: 3}[Shape(world.shape[i])]
    if round_axes:
        length = np.linalg.norm(grid[:, :round_axes], axis=1, keepdims=True)
        grid[:, :round_axes] /= np.maximum(length, 1.0)
    if world.shape[i] == Shape.CYLINDER:
        grid[:, :2] *= 1 + (world.taper[i] - 1) * (grid[:, 2:] + 1) / 2
    return world.center[i] + (grid * half) @ world.R[i].T


def holds(world: World, i: int, points: np.ndarray) -> np.ndarray:
    """True (N,) for points (N, 3) inside of part i."""
    q = (points - world.center[i]) @ world.R[i] / world.half[i]
    if world.shape[i] == Shape.BOX:
        return (np.abs(q) < 1).all(1)
    if world.shape[i] == Shape.ELLIPSOID:
        return (q**2).sum(1) < 1
    radius = 1 + (world.taper[i] - 1) * (q[:, 2] + 1) / 2
    return (np.abs(q[:, 2]) < 1) & ((q[:, :2] ** 2).sum(1) < radius**2)


def part_bounds(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Low and high corners (P, 3) of the parts' bounding boxes in the world."""
    widest = np.where(world.shape == Shape.CYLINDER, np.maximum(world.taper, 1.0), 1.0)
    reach = np.einsum("pij,pj->pi", np.abs(world.R), world.half * np.stack([widest, widest, np.ones(len(world))], 1))
    return world.center - reach, world.center + reach


def interpenetrations(world: World, shrink: float = 0.006) -> Counter:
    """Counts of pairs of classes whose things share space, without carpets: soft, things press into them."""
    low, high = part_bounds(world)
    names = np.array(world.things)[world.instance]
    solid = (names != "carpet") & (world.mover < 0)
    found: Counter = Counter()
    for i in np.flatnonzero(solid):
        near = (low < high[i] - 1e-4).all(1) & (high > low[i] + 1e-4).all(1)
        near &= solid & (world.instance != world.instance[i])
        points = part_points(world, i, shrink) if near.any() else None
        for j in np.flatnonzero(near):
            if holds(world, j, points).any():
                found[tuple(sorted((names[i], names[j])))] += 1
    return found


def twins(plan: Plan) -> list[tuple[int, ...]]:
    """Groups of two rooms or more of a plan that are alike, the source first."""
    sources = sorted({r.source for r in plan.rooms if r.source is not None})
    return [(s, *(i for i, r in enumerate(plan.rooms) if r.source == s)) for s in sources]
