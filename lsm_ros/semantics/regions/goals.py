# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses from which a robot sees a thing or stands in a room: free, reachable, and facing it."""
from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.types import OccupancyMap

FREE, OCCUPIED = 0, 100
BLIND = 1.5  # metres; cameras do not see the floor at the robot's feet, and it may stand close to something


@dataclass(frozen=True)
class Goal:
    """x, y in metres and yaw in radians, in the map frame. clearance: distance to the nearest cell that is not known to be
    free, metres."""

    x: float
    y: float
    yaw: float
    clearance: float


def goal_near(grid: OccupancyMap, outline: np.ndarray, robot: np.ndarray, radius: float, distance: float,
              inside: bool = False) -> Goal:
    """A pose at about `distance` metres from an outline (N, 2) in the map frame, or within it, which a robot of `radius` metres
    can stand at, and drive to from `robot` (2,). It faces the middle of the outline; of several the nearest to the robot.

    ValueError that says why there is none.
    """
    cell = grid.resolution
    free = (grid.grid == FREE).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(np.pad(free, 1), cv2.DIST_L2, 5))[1:-1, 1:-1] * cell
    open_ = depth > radius
    count, parts = cv2.connectedComponents(open_.astype(np.uint8), connectivity=4)
    reachable = _reachable(grid, parts, robot)
    if reachable is None:
        raise ValueError(f"the robot at {robot[0]:.2f} {robot[1]:.2f} stands where the map shows no free way of {radius:g} m "
                         f"on each side within {BLIND:g} m")
    away = _away(grid, outline)
    wanted = (away <= 0) if inside else (away >= radius) & (away <= distance + 0.5)
    if not (wanted & (grid.grid == FREE)).any():
        raise ValueError("the map shows no free place there: it was not seen, or it is full")
    if not (wanted & open_).any():
        raise ValueError(f"no place there has {radius:g} m of free space on each side")
    fits = wanted & open_ & reachable
    if not fits.any():
        raise ValueError("no way leads there: what is free there is not joined to where the robot is")
    rows, columns = np.nonzero(fits)
    x = grid.origin_x + (columns + 0.5) * cell
    y = grid.origin_y + (rows + 0.5) * cell
    off = np.zeros(len(x)) if inside else np.abs(away[rows, columns] - distance)
    to_robot = np.hypot(x - robot[0], y - robot[1])
    best = int(np.argmin(off * 4 + to_robot + (2.0 / np.maximum(depth[rows, columns], cell) if inside else 0)))
    middle = outline.mean(0)
    yaw = math.atan2(middle[1] - y[best], middle[0] - x[best])
    return Goal(float(x[best]), float(y[best]), yaw, float(depth[rows[best], columns[best]]))


def _reachable(grid: OccupancyMap, parts: np.ndarray, robot: np.ndarray) -> np.ndarray | None:
    """Cells (rows, columns) of the part of free space that the robot is in: the nearest within `BLIND` metres with nothing in
    between. None if there is none."""
    start = (robot - (grid.origin_x, grid.origin_y)) / grid.resolution - 0.5  # column, row
    rows, columns = np.nonzero(parts)
    away = np.hypot(rows - start[1], columns - start[0])
    if not len(away) or away.min() * grid.resolution > BLIND:
        return None
    best = int(away.argmin())
    steps = np.linspace(0, 1, 2 * math.ceil(away[best]) + 2)[:, None]
    line = np.rint(start + steps * (np.array([columns[best], rows[best]]) - start)).astype(int)
    line = line[((line >= 0) & (line < grid.grid.shape[::-1])).all(1)]
    if (grid.grid[line[:, 1], line[:, 0]] == OCCUPIED).any():
        return None
    found: np.ndarray = parts == parts[rows[best], columns[best]]
    return found


def _away(grid: OccupancyMap, outline: np.ndarray) -> np.ndarray:
    """Distance (rows, columns) in metres of each cell to an outline (N, 2), at most 0 inside of it."""
    corners = (outline - (grid.origin_x, grid.origin_y)) / grid.resolution - 0.5
    mask = np.full(grid.grid.shape, 255, np.uint8)
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 0, shift=4)
    if mask.all():
        raise ValueError("it lies outside of the map")
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5)) * grid.resolution
