# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Distance of free floor to the nearest obstacle, on a grid."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from lsm_sim.footprints import distance_to_polygon, outline
from lsm_sim.world import Mover, World

FAR = 0.8
"""Largest clearance in metres that a map holds."""

_MARGIN = 0.3
_TRACK_STEP = 0.05


@dataclass(frozen=True)
class ClearanceMap:
    """Distance in metres from the middle of each cell of free floor to the nearest obstacle, at most FAR.

    clearance (nx, ny) float32, 0 or less where there is no free floor; cell (i, j) has its middle at
    origin + resolution * (i, j), in the world. zone (nx, ny) int16: index of the zone, -1 in doorways and outside.
    An obstacle is what reaches into the heights from bottom to top. The edges of zones are obstacles but for doorways.
    """

    origin: np.ndarray
    resolution: float
    clearance: np.ndarray
    zone: np.ndarray
    bottom: float
    top: float

    @classmethod
    def of(cls, world: World, top: float = 1.3, bottom: float = 0.02, resolution: float = 0.05,
           movers: bool = True) -> ClearanceMap:
        """Map of a world; movers: whether all that moving things ever pass over is an obstacle too."""
        if not 0 <= bottom < top or not resolution > 0:
            raise ValueError(f"heights must be 0 <= bottom < top and resolution positive, got {bottom}, {top}, {resolution}")
        low, high = (b[:2] for b in world.bounds)
        origin = np.floor((low - _MARGIN) / resolution) * resolution
        shape = tuple(np.ceil((high + _MARGIN - origin) / resolution).astype(int) + 1)
        centers = np.stack(np.meshgrid(*(origin[k] + resolution * np.arange(shape[k]) for k in (0, 1)), indexing="ij"), -1)
        zone, inside = _zones(world, centers, resolution)
        clearance = np.minimum(ndimage.distance_transform_edt(inside) * resolution, FAR)
        still = np.flatnonzero(world.mover < 0)
        # What covers most comes first, since what stands on it then needs no look.
        for p in still[np.argsort(-world.half[still, :2].max(1), kind="stable")]:
            corners = outline(int(world.shape[p]), world.center[p], world.R[p], world.half[p], float(world.taper[p]),
                              bottom, top)
            if corners is not None:
                _lower(clearance, corners, origin, resolution, centers)
        if movers:
            for i, mover in enumerate(world.movers):
                track, radius = mover_track(mover), mover_radius(world, i)
                distance = cKDTree(track).query(centers[inside], distance_upper_bound=FAR + radius)[0]
                clearance[inside] = np.minimum(clearance[inside], distance - radius - 0.5 * _TRACK_STEP)
        return cls(origin, resolution, np.minimum(clearance, FAR).astype(np.float32), zone, bottom, top)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Clearance (N,) at points (N, 2) in the world, linear between cells; 0 outside of the map."""
        return ndimage.map_coordinates(self.clearance, self._grid(points), order=1, mode="constant", cval=0.0)

    def slope(self, points: np.ndarray) -> np.ndarray:
        """Direction and rate (N, 2) in which clearance grows at points (N, 2)."""
        step = self.resolution
        out = np.empty((len(points), 2))
        for axis in (0, 1):
            shift = np.zeros(2)
            shift[axis] = step
            out[:, axis] = (self.at(points + shift) - self.at(points - shift)) / (2 * step)
        return out

    def reachable(self, radius: float) -> np.ndarray:
        """Largest connected part (nx, ny) bool of the floor where the clearance is `radius` or more."""
        parts, count = ndimage.label(self.clearance >= radius)
        if count == 0:
            return np.zeros(self.clearance.shape, bool)
        return parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))

    def cell(self, point: np.ndarray) -> tuple[int, int]:
        """Indices of the cell that holds a point (2,)."""
        i, j = np.clip(np.rint(self._grid(np.asarray(point, float)[None])[:, 0]), 0, np.array(self.clearance.shape) - 1)
        return int(i), int(j)

    def point(self, cells: np.ndarray) -> np.ndarray:
        """Middles (..., 2) in the world of cells (..., 2)."""
        return self.origin + self.resolution * np.asarray(cells)

    def _grid(self, points: np.ndarray) -> np.ndarray:
        return (np.asarray(points)[:, :2] - self.origin).T / self.resolution


def mover_track(mover: Mover) -> np.ndarray:
    """Points (N, 2) along all that a mover's frame passes over, dense."""
    xy = mover.poses[:, :2, 3]
    pieces = [a + (b - a) * np.linspace(0, 1, 2 + int(np.hypot(*(b - a)) / _TRACK_STEP))[:, None]
              for a, b in zip(xy[:-1], xy[1:], strict=True)]
    return np.concatenate(pieces)


def mover_radius(world: World, index: int) -> float:
    """Radius in metres round a mover's frame that holds all of its parts from above."""
    rows = np.flatnonzero(world.mover == index)
    if len(rows) == 0:
        return 0.0
    corners = [outline(int(world.shape[p]), world.center[p], world.R[p], world.half[p], float(world.taper[p]), -np.inf, np.inf)
               for p in rows]
    return float(max(np.linalg.norm(c, axis=1).max() for c in corners if c is not None))


def passages(world: World) -> list[tuple[np.ndarray, np.ndarray]]:
    """Low and high corner (2,) of the floor in each doorway, from zone to zone."""
    out = []
    for door in world.doorways:
        a, b = (world.zones[z] for z in door.zones)
        k = door.axis
        low, high = np.array(door.center[:2], float), np.array(door.center[:2], float)
        faces = sorted((float(v) for z in (a, b) for v in (z.low[k], z.high[k])), key=lambda v: abs(v - door.center[k]))[:2]
        low[k], high[k] = min(faces), max(faces)
        low[1 - k] -= door.width / 2
        high[1 - k] += door.width / 2
        out.append((low, high))
    return out


def _zones(world: World, centers: np.ndarray, resolution: float) -> tuple[np.ndarray, np.ndarray]:
    """Zone of each cell, and which cells are inside of a zone or a doorway."""
    zone = np.full(centers.shape[:2], -1, np.int16)
    for i, z in enumerate(world.zones):
        zone[((centers >= z.low[:2] - 1e-9) & (centers <= z.high[:2] + 1e-9)).all(-1)] = i
    inside = zone >= 0
    for low, high in passages(world):
        # Thin walls may lie between two rows of cells.
        inside |= ((centers >= low - resolution / 2) & (centers <= high + resolution / 2)).all(-1)
    return zone, inside


def _lower(clearance: np.ndarray, corners: np.ndarray, origin: np.ndarray, resolution: float, centers: np.ndarray) -> None:
    """Lowers the clearance round an obstacle to the distance from it, unless others cover all of it already."""
    low, high = (corners.min(0) - origin) / resolution, (corners.max(0) - origin) / resolution
    if (clearance[_window(low - 1, high + 1)] <= 0).all():
        return
    window = _window(low - FAR / resolution, high + FAR / resolution)
    clearance[window] = np.minimum(clearance[window], distance_to_polygon(centers[window], corners))


def _window(low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
    first, last = np.maximum(np.floor(low).astype(int), 0), np.maximum(np.ceil(high).astype(int) + 1, 0)
    return slice(first[0], last[0]), slice(first[1], last[1])
