# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth of the landmarks that a frame shows, in units of the map, and the ratio of two maps' units from it."""
from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers.base import TrackedFrame

SAME_PIXEL = 8.0  # pixels apart at which two landmarks have about the same depth
FEWEST_RATIOS = 15


def seen_landmarks(graph: KeyframeGraph, new: TrackedFrame, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and points in the map (N, 3) of the landmarks that a camera of a frame set shows."""
    pixels, points_map = [np.zeros((0, 2))], [np.zeros((0, 3))]
    for (i, seen_by), matches in new.matches.items():
        if seen_by == camera and i in graph.keyframes:
            keyframe = graph.keyframes[i]
            pixels.append(matches.pixels_a)
            points_map.append(transform_points(keyframe.T_map_rig, keyframe.views[camera].points_rig()[matches.index_b]))
    return np.concatenate(pixels), np.concatenate(points_map)


def seen_depth(graph: KeyframeGraph, new: TrackedFrame, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,) of these landmarks, for a frame set with a pose."""
    pixels, points_map = seen_landmarks(graph, new, camera)
    if new.pose is None:
        return pixels[:0], np.zeros(0)
    depth = transform_points(se3_inverse(new.pose.T_map_rig @ new.T_rig_cam[camera]), points_map)[:, 2]
    good = depth > 0
    return pixels[good], depth[good]


def depth_ratio(graph: KeyframeGraph, here: TrackedFrame, other: KeyframeGraph, there: TrackedFrame) -> float:
    """Median ratio of the depths that landmarks of two maps have at the same pixels of one frame set, which was tracked in
    both. nan with fewer than 15 of them."""
    ratios = [np.zeros(0)]
    for camera in sorted(set(here.tokens) & set(there.tokens)):
        (pixels, depth), (other_pixels, other_depth) = seen_depth(graph, here, camera), seen_depth(other, there, camera)
        if len(pixels) and len(other_pixels):
            apart, nearest = cKDTree(other_pixels).query(pixels)
            ratios.append((depth / other_depth[nearest])[apart < SAME_PIXEL])
    found = np.concatenate(ratios)
    return float(np.median(found)) if len(found) >= FEWEST_RATIOS else float("nan")


def dense_ratio(graph: KeyframeGraph, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
    """Median of landmark depth by `depth` (H, W), 0 = none, at the landmarks of a keyframe that others see. 1 where fewer than
    ten of them have one."""
    view = keyframe.views[camera]
    x, y = np.rint(view.corners).astype(np.int64).T
    dense = depth[np.clip(y, 0, depth.shape[0] - 1), np.clip(x, 0, depth.shape[1] - 1)]
    seen = np.zeros(len(x), bool)
    for link in graph.links_of(keyframe.id):
        if link.anchor == keyframe.id and link.anchor_camera == camera:
            seen[link.matches.index_b] = True
    good = seen & (dense > 0) & np.isfinite(view.inverse_depth)
    return float(np.median(1.0 / (view.inverse_depth[good] * dense[good]))) if np.count_nonzero(good) >= 10 else 1.0
