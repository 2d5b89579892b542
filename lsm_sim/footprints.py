# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Floor area covered by a part: convex outlines of its slice between two heights."""
from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from lsm_sim.world import Shape

_SIDES = 16
_WIDER = 1 / np.cos(np.pi / _SIDES)  # a polygon around a circle, not in it
_ANGLES = 2 * np.pi * np.arange(_SIDES) / _SIDES
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)
_SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_BOX_EDGES = np.array([(i, j) for i in range(8) for j in range(i) if np.abs(_SIGNS[i] - _SIGNS[j]).sum() == 2])
_RING = np.stack([np.arange(_SIDES), (np.arange(_SIDES) + 1) % _SIDES], -1)
_PRISM_EDGES = np.concatenate([_RING, _RING + _SIDES, np.stack([np.arange(_SIDES), np.arange(_SIDES) + _SIDES], -1)])


def outline(shape: int, center: np.ndarray, R: np.ndarray, half: np.ndarray, taper: float, bottom: float,
            top: float) -> np.ndarray | None:
    """Corners (M, 2), counter-clockwise, of a convex polygon around a part's slice with bottom < z < top.

    center (3,), R (3, 3) part to world, half (3,) metres. Exact for boxes, at most 2 % wider for cylinders; of an
    ellipsoid all that lies within its bounding heights counts. None if no part of it is in the slice.
    """
    if shape == Shape.ELLIPSOID:
        spread = (R * half**2) @ R.T
        if center[2] + np.sqrt(spread[2, 2]) <= bottom or center[2] - np.sqrt(spread[2, 2]) >= top:
            return None
        return center[:2] + _WIDER * _CIRCLE @ np.linalg.cholesky(spread[:2, :2] + 1e-12 * np.eye(2)).T
    if shape == Shape.BOX:
        local, edges = _SIGNS * half, _BOX_EDGES
    else:
        ring = _WIDER * _CIRCLE * half[:2]
        local = np.concatenate([np.c_[ring, np.full(_SIDES, -half[2])], np.c_[ring * taper, np.full(_SIDES, half[2])]])
        edges = _PRISM_EDGES
    points = local @ R.T + center
    if points[:, 2].max() <= bottom or points[:, 2].min() >= top:
        return None
    flat = _slice(points, edges, bottom, top)
    try:
        return flat[ConvexHull(flat).vertices]
    except QhullError:  # an edge alone reaches into the slice, so the slice is a line: a thin box around it
        low, high = flat.min(0) - 1e-4, flat.max(0) + 1e-4
        return np.array([low, (high[0], low[1]), high, (low[0], high[1])])


def _slice(points: np.ndarray, edges: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """Corners of a convex solid between two heights, seen from above: (M, 2)."""
    z = points[:, 2]
    out = [points[(z >= bottom) & (z <= top), :2]]
    a, b = points[edges[:, 0]], points[edges[:, 1]]
    for height in (bottom, top):
        crosses = (a[:, 2] - height) * (b[:, 2] - height) < 0
        share = (height - a[crosses, 2]) / (b[crosses, 2] - a[crosses, 2])
        out.append((a[crosses] + share[:, None] * (b[crosses] - a[crosses]))[:, :2])
    return np.concatenate(out)


def distance_to_polygon(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance (...) of points (..., 2) to a convex polygon (M, 2), counter-clockwise; negative inside."""
    following = np.roll(corners, -1, axis=0)
    length = np.linalg.norm(following - corners, axis=1)
    real = length > 1e-9
    edge = (...,) + (None,) * (points.ndim - 1)
    (ax, ay), length = corners[real].T[edge], length[real][edge]
    ux, uy = (following - corners)[real].T[edge] / length
    dx, dy = points[..., 0] - ax, points[..., 1] - ay
    beyond = dx * ux + dy * uy
    beyond -= np.clip(beyond, 0, length)
    outwards = dx * uy - dy * ux
    inside = outwards.max(0)
    return np.where(inside < 0, inside, np.sqrt((beyond * beyond + outwards * outwards).min(0)))
