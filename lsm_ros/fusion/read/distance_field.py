# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""2D distance to the nearest obstacle of a height band."""
from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import distance_transform_edt

from lsm_ros.fusion.read.grid_reader import OCCUPIED, UNKNOWN
from lsm_ros.types import OccupancyMap

FULL = 100
"""Value of a scaled field at the largest distance and beyond."""


def scaled(distance: np.ndarray, occupancy: OccupancyMap, max_distance: float) -> OccupancyMap:
    """Distances as a grid of int8 at the place of `occupancy`: 100 * distance / max_distance, rounded down, at most 100.

    distance (rows, columns) float32 in metres, inf where nothing is occupied at all, NaN where the grid is unknown, which
    gives -1. Rounded down, so that a distance read back is never larger than it is. ValueError for max_distance not above 0.
    """
    if not (math.isfinite(max_distance) and max_distance > 0):
        raise ValueError(f"max_distance must be a length above 0, got {max_distance!r}")
    known = ~np.isnan(distance)
    grid = np.full(distance.shape, UNKNOWN, np.int8)
    # A hair is added since a distance that is a whole number of steps may come out just below it.
    steps = distance[known].astype(np.float64) * (FULL / max_distance) + 1e-4
    grid[known] = np.minimum(np.floor(steps), FULL).astype(np.int8)
    return OccupancyMap(grid, occupancy.origin_x, occupancy.origin_y, occupancy.resolution)


class DistanceReader:
    """Keeps the scaled field of a grid that grows and changes: only around cells that changed it is computed anew."""

    def __init__(self) -> None:
        self._seen: tuple[OccupancyMap, float] | None = None
        self._distance = np.zeros((0, 0), np.float32)  # also where the grid is unknown; right up to the largest distance
        self._scaled: OccupancyMap | None = None

    def read(self, occupancy: OccupancyMap, max_distance: float) -> OccupancyMap:
        """`distance_field(occupancy).scaled(max_distance)`; the same object while the grid is the same object."""
        seen = self._seen
        if seen is not None and self._scaled is not None and seen[0] is occupancy and seen[1] == max_distance:
            return self._scaled
        occupied = occupancy.grid == OCCUPIED
        distance = np.full(occupied.shape, np.inf, np.float32)
        changed = np.ones(occupied.shape, bool)
        if seen is not None and seen[1] == max_distance and seen[0].resolution == occupancy.resolution:
            before, now = _overlap(seen[0], occupancy)
            then = seen[0].grid == OCCUPIED
            if then[before].sum() == then.sum():  # else an obstacle is beyond the grid now
                distance[now] = self._distance[before]
                changed[now] = occupied[now] != then[before]
        if changed.any():
            # What changed matters as far as the largest distance; for what lies there, as far again may matter.
            reach = math.ceil(max_distance / occupancy.resolution) + 1
            inner, outer = _box(changed, reach), _box(changed, 2 * reach)
            fresh = np.full(occupied.shape, np.inf, np.float32)
            fresh[outer] = _distances(occupied[outer], occupancy.resolution)
            distance[inner] = fresh[inner]
        self._seen, self._distance = (occupancy, max_distance), distance
        shown = np.where(occupancy.grid == UNKNOWN, np.float32(np.nan), distance)
        self._scaled = scaled(shown, occupancy, max_distance)
        return self._scaled


def _overlap(a: OccupancyMap, b: OccupancyMap) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Place in a and in b of the cells that both have, as (rows, columns)."""
    both = []
    for size_a, size_b, origin_a, origin_b in zip(a.grid.shape, b.grid.shape, (a.origin_y, a.origin_x),
                                                  (b.origin_y, b.origin_x), strict=True):
        shift = round((origin_b - origin_a) / a.resolution)
        first, last = max(shift, 0), min(size_a, shift + size_b)
        last = max(first, last)
        both.append((slice(first, last), slice(first - shift, last - shift)))
    return (both[0][0], both[1][0]), (both[0][1], both[1][1])


def _box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the box around what is true in a mask, with a margin."""
    sides = []
    for axis in (1, 0):
        some = np.flatnonzero(mask.any(axis))
        sides.append(slice(max(int(some[0]) - margin, 0), int(some[-1]) + margin + 1))
    return sides[0], sides[1]


def _distances(occupied: np.ndarray, resolution: float) -> np.ndarray:
    """Distance (rows, columns) float32 in metres from each cell's centre to that of the nearest true cell, inf without any.

    An exact Euclidean distance transform, as in Felzenszwalb and Huttenlocher, "Distance transforms of sampled functions"
    (2012). Unknown cells are no obstacles.
    """
    if not occupied.any():
        return np.full(occupied.shape, np.inf, np.float32)
    return (distance_transform_edt(~occupied) * resolution).astype(np.float32)
