# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Distance of points to single solids, and bounds of it."""
from __future__ import annotations

import numpy as np

from lsm_sim.world import Shape

Solids = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Shape (P,), center (P, 3), R (P, 3, 3), half (P, 3), taper (P,) of parts, as in World."""

_NEWTON_STEPS = 16


def distance_bounds(solids: Solids, points: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (M,) of points (M, 3) to boxes around and within the part `which` (M,): the true one lies between."""
    shape, center, R, half, taper = solids
    around, within = half.copy(), half.copy()
    round_xy = shape == Shape.CYLINDER
    around[round_xy, :2] *= np.maximum(1, taper[round_xy, None])
    within[round_xy, :2] *= np.minimum(1, taper[round_xy, None]) / np.sqrt(2)
    within[shape == Shape.ELLIPSOID] /= np.sqrt(3)
    local = np.abs(np.einsum("mij,mi->mj", R[which], points - center[which]))
    return _box(local, around[which]), _box(local, within[which])


def pair_distance(solids: Solids, points: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Distance (M,) of each point (M, 3) to the part `which` (M,) that it is paired with."""
    shape, center, R, half, taper = solids
    local = np.einsum("mij,mi->mj", R[which], points - center[which])
    out = np.empty(len(points))
    kind, size = shape[which], half[which]
    for value, distance in ((Shape.BOX, _box), (Shape.ELLIPSOID, _ellipsoid)):
        rows = kind == value
        out[rows] = distance(np.abs(local[rows]), size[rows])
    rows = kind == Shape.CYLINDER
    out[rows] = _cylinder(np.abs(local[rows, :2]), local[rows, 2], size[rows], taper[which][rows])
    return out


def _box(local: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Distance of |local| (..., 3) to a box of these half extents."""
    q = local - half
    outside = np.maximum(q, 0)
    return np.sqrt((outside * outside).sum(-1)) + np.minimum(q.max(-1), 0)


def _ellipsoid(local: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Distance of |local| (M, D) to an ellipse or ellipsoid with these semi-axes (M, D).

    The closest point is half^2 y / (t + half^2) with the t that puts it on the surface, the largest root of a function
    that falls and is convex, found by Newton's method from its left. Eberly, Distance from a Point to an Ellipsoid.
    """
    if len(local) == 0:
        return np.empty(0)
    size = half.max(1, keepdims=True)
    h, y = half / size, np.maximum(local / size, 1e-9)
    square = h * h
    t = (h * y - square).max(1)
    for _ in range(_NEWTON_STEPS):
        below = t[:, None] + square
        ratio = (h * y / below) ** 2
        t = t + (ratio.sum(1) - 1) / (2 * (ratio / below).sum(1))
    closest = square * y / (t[:, None] + square)
    distance = np.sqrt(((closest - y) ** 2).sum(1))
    inside = ((y / h) ** 2).sum(1) < 1
    return np.where(inside, -distance, distance) * size[:, 0]


def _cylinder(xy: np.ndarray, z: np.ndarray, half: np.ndarray, taper: np.ndarray) -> np.ndarray:
    out = np.empty(len(z))
    straight = taper == 1
    out[straight] = _straight(xy[straight], z[straight], half[straight])
    rest = np.flatnonzero(~straight)
    out[rest] = _cone(xy[rest], z[rest], half[rest], taper[rest])
    # Of a flat cone that is far too little, and the straight cylinder around it says more.
    flat = rest[(half[rest, 0] != half[rest, 1]) & (out[rest] > 0)]
    widest = half[flat] * np.stack([np.maximum(1, taper[flat])] * 2 + [np.ones(len(flat))], -1)
    out[flat] = np.maximum(out[flat], _straight(xy[flat], z[flat], widest))
    return out


def _straight(xy: np.ndarray, z: np.ndarray, half: np.ndarray) -> np.ndarray:
    q = np.stack([_ellipsoid(xy, half[:, :2]), np.abs(z) - half[:, 2]], -1)
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


def _cone(xy: np.ndarray, z: np.ndarray, half: np.ndarray, taper: np.ndarray) -> np.ndarray:
    """Distance to a cone that ends in two discs.

    In the plane of radius and height it is a trapezoid. An elliptic cone is squeezed to a round one first, which makes
    all distances smaller and none larger.
    """
    bottom = half[:, :2].min(1)
    radius = np.linalg.norm(xy * (bottom[:, None] / half[:, :2]), axis=1)
    top, h, zero = taper * bottom, half[:, 2], np.zeros_like(bottom)
    p = np.stack([radius, z], -1)
    corners = [np.stack(c, -1) for c in ((zero, -h), (bottom, -h), (top, h), (zero, h))]
    distance = np.min([_to_segment(p, a, b) for a, b in zip(corners[:-1], corners[1:], strict=True)], axis=0)
    widest = bottom + (top - bottom) * (z / h + 1) / 2
    return np.where((np.abs(z) < h) & (radius < widest), -distance, distance)


def _to_segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = b - a
    length = np.maximum((along * along).sum(-1), 1e-30)
    share = np.clip(((p - a) * along).sum(-1) / length, 0, 1)
    return np.linalg.norm(p - a - share[:, None] * along, axis=-1)
