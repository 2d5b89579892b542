# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The image that shows an object best, among those that a map keeps."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.semantics.objects.map_object import Box
from lsm_ros.types import Observation

AROUND = 0.2  # of an object's width and height is shown around it
LEAST_PX = 8  # of either side
OFF_M = 0.1  # beside the box that what the image shows there may be


def find_picture(box: Box, centroid: np.ndarray, seen: Iterable[tuple[Observation, np.ndarray]]
                 ) -> tuple[np.ndarray, Observation] | None:
    """A part (h, w, 3) uint8 RGB of the image in which a box is largest and most whole, and the observation that it is of.
    seen: observations with T_map_rig (4, 4). None where all of them look elsewhere, or something stands in front."""
    best: tuple[float, tuple[int, int, int, int], Observation] | None = None
    for observation, T_map_rig in seen:
        view = _view(box, centroid, observation, se3_inverse(T_map_rig @ observation.T_rig_cam))
        if view is not None and (best is None or view[0] > best[0]):
            best = view[0], view[1], observation
    if best is None:
        return None
    left, top, right, bottom = best[1]
    return best[2].rgb[top:bottom, left:right].copy(), best[2]


def _view(box: Box, centroid: np.ndarray, observation: Observation, T_cam_map: np.ndarray
          ) -> tuple[float, tuple[int, int, int, int]] | None:
    """Worth of an image (pixels of the box, times the share of it that is in the image), and the part of it to show."""
    camera = observation.intrinsics
    signs = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]), -1).reshape(-1, 3)
    corners = transform_points(T_cam_map @ box.T_map_box, signs * box.size)
    middle = transform_points(T_cam_map, centroid[None])
    if corners[:, 2].min() <= 0.05 or middle[0, 2] <= 0.05:
        return None
    pixel = camera.project(middle)[0]
    if not camera.contains(pixel)[0]:
        return None
    x, y = np.rint(pixel[0]).astype(int)
    there = float(observation.z[y, x]) * observation.z_step
    if not abs(there - middle[0, 2]) <= np.linalg.norm(box.size) / 2 + OFF_M:
        return None  # something else, or nothing known
    ends = camera.project(corners)[0]
    low, high = ends.min(0), ends.max(0)
    size = np.array([camera.width, camera.height])
    inside = np.clip(high, 0, size) - np.clip(low, 0, size)
    if (inside < LEAST_PX).any():
        return None
    area = float(inside.prod())
    margin = AROUND * (high - low)
    left, top = np.clip(np.floor(low - margin), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), 0, size).astype(int)
    return area * area / float((high - low).prod()), (left, top, right, bottom)
