# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Walls of the older map: a camera that looks through most of them, from whatever side, is in the wrong place."""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import cv2
import numpy as np

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.slam.trackers import FrameDepth

MOST_POINTS = 30_000
NEAREST, FARTHEST = 0.4, 5.0  # metres, or units, of points that are looked for
MARGIN, RELATIVE = 0.15, 0.05  # metres and share of the distance by which a point must lie before what is seen
EDGE = np.ones((9, 9), np.uint8)  # pixels around: a point at the edge of something may lie beside it
LEAST_THROUGH, MOST_THROUGH = 150, 0.5  # points looked through, and their share of those that are seen or looked through
EVERY_NS, WINDOW_NS, LEAST_CHECKS = 200_000_000, 1_000_000_000, 3


class Walls:
    """Points (N, 3) on the surface of a map at the time when something was tied to it."""

    def __init__(self, points_map: np.ndarray) -> None:
        step = max(1, -(-len(points_map) // MOST_POINTS))
        self._points = points_map[::step].astype(np.float64)
        self._looked_ns: int | None = None
        self._against: deque[int] = deque()

    def looked_through(self, stamp_ns: int, T_map_rig: np.ndarray, depths: Mapping[str, FrameDepth],
                       T_rig_cam: Mapping[str, np.ndarray]) -> str:
        """Takes the measured depth of a frame set at T_map_rig (4, 4), by camera; returns why it cannot be there, or ''. It
        says so when three of the looks of a second, of which there are five, went through most of what they should have met."""
        if self._looked_ns is not None and 0 <= stamp_ns - self._looked_ns < EVERY_NS:
            return ""
        self._looked_ns = stamp_ns
        through = met = 0
        for camera, view in depths.items():
            if view.measured:
                counts = compare(self._points, T_map_rig @ T_rig_cam[camera], view)
                through, met = through + counts[0], met + counts[1]
        if through < LEAST_THROUGH or through <= MOST_THROUGH * (through + met):
            return ""
        self._against.append(stamp_ns)
        while not 0 <= stamp_ns - self._against[0] <= WINDOW_NS:
            self._against.popleft()
        return (f"the camera looks through {through / (through + met):.0%} of what the map has before it"
                if len(self._against) >= LEAST_CHECKS else "")


def compare(points_map: np.ndarray, T_map_cam: np.ndarray, view: FrameDepth) -> tuple[int, int]:
    """Numbers of points (N, 3) that a camera at T_map_cam (4, 4) looks through, and of those that it sees where they are. What
    is hidden behind something counts as neither."""
    points = transform_points(se3_inverse(T_map_cam), points_map)
    points = points[(points[:, 2] > NEAREST) & (points[:, 2] < FARTHEST)]
    pixels, ok = view.intrinsics.project(points)
    ok &= view.intrinsics.contains(pixels)
    x, y = np.rint(pixels[ok]).astype(np.int64).T
    height, width = view.depth.shape
    x, y, z = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1), points[ok, 2]
    known = np.where(view.depth > 0, view.depth, np.float32(np.inf))
    seen, nearest = known[y, x].astype(np.float64), cv2.erode(known, EDGE)[y, x].astype(np.float64)
    measured, margin = np.isfinite(seen), MARGIN + RELATIVE * z
    through = measured & (z < nearest - margin)
    return int(np.count_nonzero(through)), int(np.count_nonzero(measured & (np.abs(seen - z) <= margin)))
