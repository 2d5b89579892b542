# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Links between keyframes that see the same landmarks or the same surfaces."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.base import Matches, SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, Link

MOST_SHIFT_PX = 6.0  # from the median shift
MOST_DEPTH_ERROR = 0.1  # relative
REACH = 1.0  # median depths between what two keyframes look at that may share surfaces
MOST_TRIED, TIES = 6, 2  # keyframes that are looked at for surfaces, and that one is tied to


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


def join_all(graph: KeyframeGraph, model: SparsePairModel, count: int, min_inliers: int, keyframes: Iterable[int],
             before: int | None = None) -> int:
    """Links each of some keyframes with those of the up to `count` ones that see most of the same with which it is not linked
    yet, older than it is, or than `before`; returns how many pairs were."""
    joined = 0
    for keyframe in [graph.keyframes[i] for i in sorted(keyframes)]:
        linked, older = graph.linked(keyframe.id), keyframe.id if before is None else before
        for i in graph.candidates(keyframe.T_map_rig, keyframe.cameras, count, before=older):
            joined += i not in linked and join(graph, model, keyframe, graph.keyframes[i], min_inliers)
    return joined


def tie(graph: KeyframeGraph, model: SparsePairModel, new: Keyframe, before: int) -> int:
    """Ties a keyframe to older ones than `before` by the surfaces that they share, from whatever side they see them; returns to
    how many."""
    tied, sigma = 0, graph.tracking.depth_sigma
    linked = graph.linked(new.id)
    for i in [i for i in graph.looking_at_the_same(new, REACH, before) if i not in linked][:MOST_TRIED]:
        old = graph.keyframes[i]
        for camera, view in new.views.items():
            if camera not in old.views:
                continue
            target = old.views[camera]
            T_old_new = se3_inverse(old.T_map_rig @ target.T_rig_cam) @ new.T_map_rig @ view.T_rig_cam
            found = model.surfaces(target.tokens, view.tokens, T_old_new, sigma)
            if found is not None:
                graph.connect(Link(new.id, camera, i, camera, Matches.none(),
                                   found.in_rigs(view.T_rig_cam, target.T_rig_cam)))
                tied += 1
        if tied >= TIES:
            break
    return tied


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
