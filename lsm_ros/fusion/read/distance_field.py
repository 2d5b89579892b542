# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""2D distance to the nearest obstacle of a height band."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from lsm_ros.fusion.read.grid import OCCUPIED, UNKNOWN
from lsm_ros.types import OccupancyMap

FULL = 100
"""Value of `DistanceField.scaled` at the largest distance and beyond."""


@dataclass(frozen=True)
class DistanceField:
    """distance: (rows, columns) float32 metres from the centre of a cell to that of the nearest occupied cell, 0 in occupied
    cells, NaN where the grid is unknown, inf where nothing is occupied at all. Row 0 at origin_y.

    origin_x, origin_y: position of the corner of cell (0, 0) in the map frame in metres. resolution: metres per cell.
    """

    distance: np.ndarray
    origin_x: float
    origin_y: float
    resolution: float

    def scaled(self, max_distance: float) -> OccupancyMap:
        """As a grid of int8: 100 * distance / max_distance, rounded down, at most 100; -1 where unknown.

        Rounded down, so that a distance read back is never larger than it is. ValueError for max_distance not above 0.
        """
        if not (math.isfinite(max_distance) and max_distance > 0):
            raise ValueError(f"max_distance must be a length above 0, got {max_distance!r}")
        known = ~np.isnan(self.distance)
        grid = np.full(self.distance.shape, UNKNOWN, np.int8)
        # A hair is added since a distance that is a whole number of steps may come out just below it.
        steps = self.distance[known].astype(np.float64) * (FULL / max_distance) + 1e-4
        grid[known] = np.minimum(np.floor(steps), FULL).astype(np.int8)
        return OccupancyMap(grid, self.origin_x, self.origin_y, self.resolution)


def distance_field(occupancy: OccupancyMap) -> DistanceField:
    """Exact Euclidean distance transform of a grid, as in Felzenszwalb and Huttenlocher, "Distance transforms of sampled
    functions" (2012). Unknown cells are no obstacles, and have no distance."""
    distance = _distances(occupancy.grid == OCCUPIED, occupancy.resolution)
    distance[occupancy.grid == UNKNOWN] = np.nan
    return DistanceField(distance, occupancy.origin_x, occupancy.origin_y, occupancy.resolution)


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
        self._scaled = DistanceField(shown, occupancy.origin_x, occupancy.origin_y, occupancy.resolution).scaled(max_distance)
        return self._scaled


def _overlap(a: OccupancyMap, b: OccupancyMap) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the cells are in a and in b that both have, as (rows, columns)."""
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
    """Distance (rows, columns) float32 in metres to the nearest true cell, inf without any."""
    if not occupied.any():
        return np.full(occupied.shape, np.inf, np.float32)
    return (distance_transform_edt(~occupied) * resolution).astype(np.float32)
