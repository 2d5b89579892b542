# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The solids of a world: distance of points to them, and points spread evenly over what is open of their surfaces."""
from __future__ import annotations

import numpy as np

from lsm_sim.solid_distance import Solids, distance_bounds, pair_distance
from lsm_sim.solid_sampling import faces_of, sample_faces
from lsm_sim.world import World

_CELL = 0.3  # metres; points of one cell share the list of parts that can be nearest
_CELLS_AT_ONCE = 2_000_000
_PAIRS_AT_ONCE = 400_000
_LIFT = 0.0008  # metres off a surface at which there must be air; faces of different things keep 2 mm
_RECESS = 0.5  # metres outside of a zone that its air may reach: into doorways and the niches of windows
_THINNEST = 0.005  # metres of what surely blocks a view along a surface
_MAX_ROUNDS = 60
_BATCH = 200_000


def signed_distance(world: World, points: np.ndarray, time_s: float = 0.0, parts: np.ndarray | None = None,
                    limit: float = np.inf) -> np.ndarray:
    """Distance (N,) in metres of points (N, 3) in the world to the nearest solid at a time in seconds, negative inside.

    Exact for boxes, ellipsoids, and cylinders that are round or straight; for elliptic cylinders that taper its sign is
    exact and its magnitude a lower bound. Inside of several solids it is that of the deepest. parts: indices or mask of
    the parts to look at, all if None. Beyond `limit` the answer is only some value above it, which is quicker.
    ValueError for points of another shape or not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"points must be finite and of shape (N, 3), got shape {points.shape}")
    chosen = np.arange(len(world)) if parts is None else np.asarray(parts)
    chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
    out = np.full(len(points), np.inf)
    if len(points) == 0 or len(chosen) == 0:
        return out
    R, center = world.poses(time_s)
    solids = (world.shape[chosen], center[chosen], R[chosen], world.half[chosen], world.taper[chosen].astype(float))
    cells, member = np.unique(np.floor(points / _CELL).astype(np.int64), axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    starts = np.searchsorted(member.ravel()[order], np.arange(len(cells) + 1))
    step = max(1, _CELLS_AT_ONCE // len(chosen))
    for first in range(0, len(cells), step):
        last = min(first + step, len(cells))
        _nearest_in_cells(solids, points, order, starts[first:last + 1], cells[first:last], limit, out)
    return out


def _nearest_in_cells(solids: Solids, points: np.ndarray, order: np.ndarray, starts: np.ndarray, cells: np.ndarray,
                      limit: float, out: np.ndarray) -> None:
    """Fills `out` for the points of some cells: only the parts that can be nearest somewhere in a cell are compared."""
    middle, reach = (cells + 0.5) * _CELL, 0.5 * _CELL * np.sqrt(3) + 1e-6
    cell, part = _near(solids, middle, reach, limit)
    low, high = distance_bounds(solids, middle[cell], part)
    nearest = np.full(len(cells), limit)
    np.minimum.at(nearest, cell, high + reach)
    keep = low - reach <= nearest[cell]
    cell, part = cell[keep], part[keep]
    if np.isfinite(limit):
        out[order[starts[0]:starts[-1]]] = np.nextafter(limit, np.inf)
    sizes = np.diff(starts)[cell]
    ends = np.cumsum(sizes)
    first = 0
    while first < len(cell):
        last = max(first + 1, int(np.searchsorted(ends, (ends[first - 1] if first else 0) + _PAIRS_AT_ONCE)))
        count = sizes[first:last]
        base = np.repeat(starts[cell[first:last]], count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        rows = order[base + within]
        which = np.repeat(part[first:last], count)
        np.minimum.at(out, rows, pair_distance(solids, points[rows], which))
        first = last


def _near(solids: Solids, middle: np.ndarray, reach: float, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a cell and a part that balls around and within the part do not rule out."""
    _, center, _, half, taper = solids
    most = half * np.stack([np.maximum(1, taper)] * 2 + [np.ones(len(taper))], -1)
    least = half.min(1) * np.minimum(1, taper) / np.sqrt(2)
    square = (middle**2).sum(1)[:, None] + (center**2).sum(1) - 2 * middle @ center.T
    distance = np.sqrt(np.maximum(square, 0))
    nearest = np.minimum((distance - least).min(1) + reach, limit)
    return np.nonzero(distance - np.linalg.norm(most, axis=1) - reach <= nearest[:, None] + 1e-6)


def surface_points(world: World, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n true points of open surfaces: (n, 3) float64 in the world, labels (n,) uint16, instances (n,) int32.

    Even by area over everything that stands still. Left out is what lies inside of another part or against it, and what
    no zone's air touches, such as the outer sides of walls; doorways and niches of windows belong to the air. The same
    seed gives the same points. ValueError if n is negative or the world has no open surface.
    """
    if isinstance(n, bool) or int(n) != n or n < 0:
        raise ValueError(f"the number of points must be a whole number of 0 or more, got {n!r}")
    rng = np.random.default_rng([int(seed), 17])
    still = np.flatnonzero(world.mover < 0)
    faces, bound = faces_of(world, still)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    count, rate = 0, 0.35
    for _ in range(_MAX_ROUNDS):
        if count >= n:
            break
        wanted = int(np.clip(1.1 * (n - count) / max(rate, 0.02) + 64, 256, _BATCH))
        drawn = faces[rng.choice(len(faces), size=wanted, p=bound / bound.sum())]
        points, normals, share = sample_faces(world, drawn, rng)
        keep = rng.random(wanted) < share
        points, normals, drawn = points[keep], normals[keep], drawn[keep]
        open_air = _open(world, points, normals, still)
        found.append((points[open_air], drawn[open_air, 0]))
        count += int(open_air.sum())
        rate = 0.5 * rate + 0.5 * open_air.sum() / wanted
    if count < n:
        raise ValueError(f"only {count} of {n} points found: hardly any surface of this world of {len(world)} parts is open "
                         "to the air of its zones")
    points = np.concatenate([f[0] for f in found])[:n] if found else np.zeros((0, 3))
    part = np.concatenate([f[1] for f in found])[:n] if found else np.zeros(0, int)
    return points, world.label[part], world.instance[part]


def _open(world: World, points: np.ndarray, normals: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """True (M,) for points just off a surface that lie in air joined to the air of a zone."""
    lifted = points + _LIFT * normals
    nearest = np.full_like(lifted, np.inf)
    gap = np.full(len(lifted), np.inf)
    for zone in world.zones:
        inside = np.clip(lifted, np.asarray(zone.low, float), np.asarray(zone.high, float))
        distance = np.linalg.norm(inside - lifted, axis=1)
        closer = distance < gap
        gap[closer], nearest[closer] = distance[closer], inside[closer]
    out = gap < _RECESS
    out[out] = signed_distance(world, lifted[out], parts=parts, limit=_LIFT) > 0
    outside = np.flatnonzero(out & (gap > 0))
    out[outside] = _sees(world, lifted[outside], nearest[outside], parts)
    return out


def _sees(world: World, start: np.ndarray, end: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """True if nothing solid lies between start (M, 3) and end (M, 3): steps as far as the distance allows, or _THINNEST."""
    along = end - start
    length = np.linalg.norm(along, axis=1)
    direction = along / np.maximum(length, 1e-12)[:, None]
    gone, free = np.zeros(len(start)), np.ones(len(start), bool)
    rows = np.arange(len(start))
    while len(rows):
        here = start[rows] + gone[rows, None] * direction[rows]
        distance = signed_distance(world, here, parts=parts, limit=_RECESS)
        free[rows] = distance > 0
        gone[rows] += np.maximum(distance, _THINNEST)
        rows = rows[(distance > 0) & (gone[rows] < length[rows])]
    return free
