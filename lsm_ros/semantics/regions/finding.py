# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rooms in a 2D grid: free space is parted where it is as narrow as a door.

A watershed of the distance to walls, as in Bormann et al., "Room segmentation: survey, implementation, and analysis" (ICRA
2016, section III-B), whose parts are joined again where the neck between them is no door.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from lsm_ros.types import OccupancyMap

WIDEST_DOOR = 1.3  # metres
NECK = 0.85  # a door is narrower than this, relative to the narrower of both rooms at its widest
LEAST_AREA = 1.0  # square metres; what is less is a niche of the room beside it
OUTLINE_CELLS = 1.5  # how far the outline of a region may be off, in cells
_LEVELS = 0.5  # cells between two levels of the watershed


@dataclass(frozen=True)
class Region:
    """A room. number: as in `Regions.labels`. outline (N, 2): its corners in the map frame, metres, counter-clockwise. area in
    square metres. centre (2,): the free point that is farthest from its walls, by `radius` metres."""

    number: int
    outline: np.ndarray
    area: float
    centre: np.ndarray
    radius: float
    name: str = ""


@dataclass(frozen=True)
class Door:
    """A passage between two regions. centre (2,) in the map frame, width in metres."""

    regions: tuple[int, int]
    centre: np.ndarray
    width: float


@dataclass(frozen=True)
class Regions:
    """labels (rows, columns) int32: number of the region of each cell, 0 for none. The other fields are those of the grid."""

    labels: np.ndarray
    origin_x: float
    origin_y: float
    resolution: float
    regions: tuple[Region, ...] = ()
    doors: tuple[Door, ...] = ()

    def at(self, point: np.ndarray) -> Region | None:
        """The region that a point (2,) or (3,) of the map lies in."""
        column, row = np.floor((np.asarray(point)[:2] - (self.origin_x, self.origin_y)) / self.resolution)
        inside = 0 <= row < self.labels.shape[0] and 0 <= column < self.labels.shape[1]  # of any floats, NaN too
        number = int(self.labels[int(row), int(column)]) if inside else 0
        return next((r for r in self.regions if r.number == number), None)

    def points(self, cells: np.ndarray) -> np.ndarray:
        """Middles (N, 2) of cells (N, 2) of rows and columns, in the map frame."""
        return (cells[:, ::-1] + 0.5) * self.resolution + (self.origin_x, self.origin_y)

    def named(self, names: dict[int, str]) -> Regions:
        """The same with names by number."""
        return replace(self, regions=tuple(replace(r, name=names.get(r.number, r.name)) for r in self.regions))

    def to_geojson(self) -> dict[str, Any]:
        """A FeatureCollection (RFC 7946) in metres of the map frame: polygons of regions, points of doors."""
        features: list[dict[str, Any]] = []
        for r in self.regions:
            ring = [[round(float(v), 3) for v in p] for p in (*r.outline, r.outline[0])]
            features.append({"type": "Feature", "id": r.number, "geometry": {"type": "Polygon", "coordinates": [ring]},
                             "properties": {"kind": "region", "name": r.name, "area_m2": round(r.area, 2)}})
        for d in self.doors:
            features.append({"type": "Feature", "geometry": {"type": "Point", "coordinates": [
                round(float(v), 3) for v in d.centre]}, "properties": {"kind": "door", "regions": list(d.regions),
                                                                       "width_m": round(d.width, 2)}})
        return {"type": "FeatureCollection", "features": features}


def find_regions(grid: OccupancyMap) -> Regions:
    """Rooms and doors of a grid whose obstacles are walls: one of a band above tables. Numbers go from the largest on."""
    cell = grid.resolution
    if not grid.grid.size:  # OpenCV takes no image without pixels
        return Regions(np.zeros(grid.grid.shape, np.int32), grid.origin_x, grid.origin_y, cell)
    free = _solid(grid.grid, cell)
    depth = np.asarray(cv2.distanceTransform(np.pad(free, 1), cv2.DIST_L2, 5))[1:-1, 1:-1] * cell
    labels = _joined(_watershed(depth, cell), depth, cell)
    numbers, counts = np.unique(labels[labels > 0], return_counts=True)
    order = numbers[np.argsort(-counts, kind="stable")]
    again = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    again[order] = np.arange(1, len(order) + 1)
    labels = again[labels]
    out = Regions(labels, grid.origin_x, grid.origin_y, cell)
    regions = tuple(_region(out, n, depth) for n in range(1, len(order) + 1))
    return replace(out, regions=regions, doors=tuple(_doors(out, depth)))


def _solid(grid: np.ndarray, cell: float) -> np.ndarray:
    """Free cells (255), without specks: unknown or occupied islands smaller than 0.5 square metres are furniture or holes."""
    free = (grid == 0).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(1 - free, connectivity=8)
    rows, columns = grid.shape
    for n in range(1, count):
        x, y, w, h, area = stats[n]
        if area * cell**2 < 0.5 and x > 0 and y > 0 and x + w < columns and y + h < rows:
            free[parts == n] = 1
    return free * np.uint8(255)


def _watershed(depth: np.ndarray, cell: float) -> np.ndarray:
    """Labels (rows, columns) int32 of the basins of the distance to walls, in metres: one for each of its peaks."""
    labels = np.zeros(depth.shape, np.int32)
    kernel, last = np.ones((3, 3), np.uint8), 0
    for level in np.arange(depth.max(initial=0), 0, -_LEVELS * cell):
        inside = depth >= level
        while True:
            grown = cv2.dilate(labels.astype(np.float32), kernel).astype(np.int32)
            new = inside & (labels == 0) & (grown > 0)
            if not new.any():
                break
            labels[new] = grown[new]
        count, parts = cv2.connectedComponents((inside & (labels == 0)).astype(np.uint8), connectivity=8)
        labels[parts > 0] = parts[parts > 0] + last
        last += count - 1
    return labels


def _joined(labels: np.ndarray, depth: np.ndarray, cell: float) -> np.ndarray:
    """Joins basins until each neck between two is a door and none is a niche."""
    count = int(labels.max(initial=0))
    peak, area = np.zeros(count + 1), np.bincount(labels.ravel(), minlength=count + 1) * cell**2
    np.maximum.at(peak, labels, depth)
    necks: dict[tuple[int, int], float] = {}
    for a, b, width, _ in _borders(labels, depth):
        necks[a, b] = max(necks.get((a, b), 0.0), width)
    into = np.arange(count + 1)
    while necks:
        def excess(pair: tuple[int, int]) -> float:
            """Above 1: no door."""
            narrow = max(necks[pair] / (NECK * min(peak[pair[0]], peak[pair[1]])), 2 * necks[pair] / WIDEST_DOOR)
            return 2.0 + narrow if min(area[pair[0]], area[pair[1]]) < LEAST_AREA else narrow

        a, b = max(necks, key=lambda pair: (excess(pair), pair))
        if excess((a, b)) <= 1:
            break
        into[into == b] = a
        peak[a], area[a] = max(peak[a], peak[b]), area[a] + area[b]
        for (c, d), width in list(necks.items()):
            if b in (c, d):
                del necks[c, d]
                other = c if d == b else d
                if other != a:
                    key = min(a, other), max(a, other)
                    necks[key] = max(necks.get(key, 0.0), width)
    alone = np.flatnonzero(area < LEAST_AREA)
    labels = into[labels]
    return np.where(np.isin(labels, alone), 0, labels).astype(np.int32)


def _borders(labels: np.ndarray, depth: np.ndarray) -> Iterator[tuple[int, int, float, tuple[float, float]]]:
    """Pairs of neighbouring cells of two regions: both numbers, the smaller first, the smaller distance to a wall, and the
    place (row, column) between them."""
    for axis in (0, 1):
        here, there = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
        near = np.minimum(depth[:-1], depth[1:]) if axis == 0 else np.minimum(depth[:, :-1], depth[:, 1:])
        for row, column in np.argwhere((here != there) & (here > 0) & (there > 0)).tolist():
            a, b = sorted((int(here[row, column]), int(there[row, column])))
            yield a, b, float(near[row, column]), (row + 0.5 * (axis == 0), column + 0.5 * (axis == 1))


def _region(found: Regions, number: int, depth: np.ndarray) -> Region:
    mask = (found.labels == number).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outer = max(contours, key=cv2.contourArea)
    simple = cv2.approxPolyDP(outer, OUTLINE_CELLS, True)[:, 0]
    simple = simple if len(simple) >= 3 else cv2.boxPoints(cv2.minAreaRect(outer)).round().astype(int)
    outline = found.points(simple[:, ::-1].astype(np.float64))
    x, y = outline.T
    if np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0:
        outline = outline[::-1]
    middle = np.array([np.unravel_index(np.argmax(np.where(mask, depth, -1)), mask.shape)])
    return Region(number, outline, float(mask.sum()) * found.resolution**2, found.points(middle)[0],
                  float(depth[tuple(middle[0])]))


def _doors(found: Regions, depth: np.ndarray) -> Iterator[Door]:
    """A door for each place where two regions meet."""
    places: dict[tuple[int, int], list[tuple[float, tuple[float, float]]]] = {}
    for a, b, width, place in _borders(found.labels, depth):
        places.setdefault((a, b), []).append((width, place))
    for pair, cells in sorted(places.items()):
        mask = np.zeros(found.labels.shape, np.uint8)
        at = np.array([p for _, p in cells])
        mask[at[:, 0].astype(int), at[:, 1].astype(int)] = 1
        count, parts = cv2.connectedComponents(cv2.dilate(mask, np.ones((5, 5), np.uint8)), connectivity=8)
        which = parts[at[:, 0].astype(int), at[:, 1].astype(int)]
        for n in range(1, count):
            width = max(w for (w, _), k in zip(cells, which, strict=True) if k == n)
            yield Door(pair, found.points(at[which == n]).mean(0), 2 * width)
