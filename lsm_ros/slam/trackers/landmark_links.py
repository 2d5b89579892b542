# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Links between keyframes that see the same landmarks."""
from __future__ import annotations

import numpy as np

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.base import Matches, SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, Link

MOST_SHIFT_PX = 6.0  # from the median shift
MOST_DEPTH_ERROR = 0.1  # relative


def join(graph: KeyframeGraph, model: SparsePairModel, new: Keyframe, old: Keyframe, min_inliers: int) -> bool:
    """Links two keyframes in both directions, where points are found again near where they should be; true if any was."""
    found = 0
    for a, b in ((new, old), (old, new)):
        for camera, view in b.views.items():
            if camera not in a.views or (b.id, camera, a.id, camera) in graph.links or not len(view.corners):
                continue
            target = a.views[camera]
            in_a = transform_points(se3_inverse(a.T_map_rig @ target.T_rig_cam) @ b.T_map_rig, view.points_rig())
            pixels, _ = target.intrinsics.project(in_a)
            matches = model.match(target.tokens, view.tokens, pixels)
            matches = verified(matches, pixels, in_a[:, 2])
            if len(matches) >= min_inliers:
                graph.connect(Link(b.id, camera, a.id, camera, matches))
                found += len(matches)
    return found > 0


def verified(matches: Matches, expected: np.ndarray, depth: np.ndarray) -> Matches:
    """Matches that moved alike: within 6 pixels of the median shift from `expected` (N, 2), and at the `depth` (N,) that their
    landmarks should have."""
    if not len(matches):
        return matches
    shift = matches.pixels_a - expected[matches.index_b]
    good = np.linalg.norm(shift - np.median(shift, axis=0), axis=1) < MOST_SHIFT_PX
    known = np.isfinite(matches.depth_a)
    wanted = depth[matches.index_b]
    good &= ~known | (np.abs(matches.depth_a - wanted) < MOST_DEPTH_ERROR * wanted)
    return matches.where(good)
