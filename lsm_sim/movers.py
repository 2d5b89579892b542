# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""People that walk to and fro on free floor, in periods, without meeting things or each other."""
from __future__ import annotations

import math

import cv2
import numpy as np

from lsm_sim.furniture.people import walking
from lsm_sim.placement import CELL, WALK_BAND, Body, pose
from lsm_sim.plan import Plan
from lsm_sim.world import Mover, Thing, WorldBuilder

SPEED = (0.4, 0.9)
MOST_RADIUS = 0.62
"""Metres about a walker's origin within which its arms and stride must be."""

TURN_TIME = 1.2
TRIES = 400


def add_movers(builder: WorldBuilder, plan: Plan, bodies: list[Body], count: int, rng: np.random.Generator) -> None:
    """Adds `count` people to a builder; bodies: all things that stand still. ValueError if there is no room for them.

    They keep to rooms while these have room: a corridor is too narrow to pass them.
    """
    room, origin = _room_about(plan, bodies)
    aside, _ = _room_about(plan, bodies, "corridor")
    ways: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(count):
        person, radius = _walker(rng)
        way = _find_way(aside >= radius + CELL, origin, ways, rng) or (
            None if _is_ring(plan) else _find_way(room >= radius + CELL, origin, ways, rng))
        if way is None:
            raise ValueError(f"there is free floor for {len(ways)} people that walk, not for {count}: ask for fewer")
        ways.append(way)
        builder.movers.append(walk(*way, float(rng.uniform(*SPEED)), float(rng.random())))
        builder.add(person, np.eye(4), len(builder.movers) - 1)


def _is_ring(plan: Plan) -> bool:
    """True if corridors lead round a block; then one walker would close the only way round."""
    corridors = {i for i, r in enumerate(plan.rooms) if r.kind == "corridor"}
    joints = {tuple(sorted(o.zones)) for o in plan.openings if o.kind in ("door", "passage") and set(o.zones) <= corridors}
    return len(corridors) > 2 and len(joints) >= len(corridors)


def _walker(rng: np.random.Generator) -> tuple[Thing, float]:
    """A person in mid-stride, and metres about its origin that it takes up."""
    for _ in range(60):
        person = walking(rng)
        corners = np.concatenate([p.corners() for p in person.parts])
        radius = float(np.hypot(corners[:, 0], corners[:, 1]).max())
        if radius < MOST_RADIUS:
            return person, radius
    raise ValueError(f"no person within {MOST_RADIUS} m of its middle was drawn")


def walk(a: np.ndarray, b: np.ndarray, speed: float, phase: float) -> Mover:
    """To and fro between two points (2,) of the floor, turning at the ends; phase: 0 to 1, where time 0 is."""
    length = float(np.linalg.norm(b - a))
    yaw = math.atan2(b[1] - a[1], b[0] - a[0])
    lap = [(0.0, a, yaw), (length / speed, b, yaw)]
    t = lap[-1][0]
    lap += [(t + TURN_TIME * k / 3, b, yaw + math.pi * k / 3) for k in (1, 2, 3)]
    t += TURN_TIME
    lap.append((t + length / speed, a, yaw + math.pi))
    t += length / speed
    lap += [(t + TURN_TIME * k / 3, a, yaw + math.pi + math.pi * k / 3) for k in (1, 2, 3)]
    one = Mover(np.array([s[0] for s in lap]), np.array([pose(s[1][0], s[1][1], s[2]) for s in lap]))
    period = float(one.times[-1])
    start = phase * period
    stamps = np.unique(np.r_[0.0, (one.times[:-1] - start) % period, period])
    stamps = stamps[np.r_[True, np.diff(stamps) > 1e-6]]
    stamps[-1] = period
    poses = np.array([one.pose(start + s) for s in stamps])
    poses[-1] = poses[0]
    return Mover(stamps, poses)


def _room_about(plan: Plan, bodies: list[Body], without: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Metres from each cell of the floor to the nearest wall or thing, (rows, columns), and the grid's origin (2,).

    Rooms of the kind `without` count as solid.
    """
    low = np.min([r.low for r in plan.rooms], axis=0) - 0.5
    high = np.max([r.high for r in plan.rooms], axis=0) + 0.5
    columns, rows = np.ceil((high - low) / CELL).astype(int)
    solid = np.ones((rows, columns), np.uint8)
    for room in (r for r in plan.rooms if r.kind != without):
        (x0, y0), (x1, y1) = np.ceil((room.low - low) / CELL - 0.5), np.floor((room.high - low) / CELL - 0.5)
        solid[int(y0):int(y1) + 1, int(x0):int(x1) + 1] = 0
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for body in bodies:
        for k in np.flatnonzero((body.z[:, 0] < WALK_BAND[1] + 0.2) & (body.z[:, 1] > WALK_BAND[0])):
            corners = (body.middle[k] + (signs * body.half[k]) @ body.axes - low) / CELL - 0.5
            cv2.fillConvexPoly(solid, np.round(corners * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    distance = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance * CELL, low


def _find_way(free: np.ndarray, origin: np.ndarray, others: list[tuple[np.ndarray, np.ndarray]],
              rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Two points (2,) with a straight free way between, off the ways of others; the longest of some."""
    cells = np.argwhere(free)
    best, longest = None, 0.6
    for _ in range(TRIES if len(cells) else 0):
        first, last = cells[rng.integers(len(cells), size=2)]
        length = float(np.linalg.norm(last - first)) * CELL
        if length <= longest or length > 8.0:
            continue
        steps = np.round(np.linspace(first, last, 2 + int(np.abs(last - first).max()) * 2)).astype(int)
        if not free[steps[:, 0], steps[:, 1]].all():
            continue
        way = tuple((np.asarray(c, float)[::-1] + 0.5) * CELL + origin for c in (first, last))
        if all(segment_distance(*way, *other) > 2 * MOST_RADIUS for other in others):
            best, longest = way, length
    return best


def segment_distance(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> float:
    """Smallest distance in metres between points of two segments (2,), sampled every few centimetres."""
    n = 2 + int(max(np.linalg.norm(b - a), np.linalg.norm(d - c)) / 0.03)
    p, q = np.linspace(a, b, n), np.linspace(c, d, n)
    return float(np.linalg.norm(p[:, None] - q[None], axis=2).min())
