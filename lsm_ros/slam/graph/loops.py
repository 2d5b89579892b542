# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Spreads what a loop says over all keyframes, unless it asks for more than the way between could have drifted."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import make_se3, se3_inverse, sim3_inverse, split_sim3
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.graph.pose_graph import PoseEdges, adjust_poses

STRONGEST = 2  # older keyframes of which each one's relative pose counts: those with the most matches
OLD = 20  # keyframes between two that are linked: they were joined by a loop
SIGMA_SHIFT, SIGMA_TURN, SIGMA_SCALE = 0.004, 0.003, 0.01  # of a relative pose: median depths, radians, logarithm
MOST_COST = 30.0  # by which a loop that is right may raise the cost of the graph; half a squared error each


@dataclass(frozen=True)
class LoopEdge:
    """T_first_second (4, 4), rigid or a similarity, of two keyframes that show the same."""

    first: int
    second: int
    T_first_second: np.ndarray


def spread_loops(graph: KeyframeGraph, loops: Sequence[LoopEdge], before: Mapping[int, np.ndarray] | None = None,
                 free_scale: bool = False) -> dict[int, np.ndarray] | None:
    """Moves all keyframes so that loops fit and the way between bends as little as possible. Returns the correction of each
    keyframe (4, 4), which takes points of the map from before to after; None, and nothing has moved, where the loops ask for
    more than what may have drifted.

    before: T_map_rig by keyframe from which the other relative poses are taken, by default where the keyframes are. free_scale:
    surroundings of keyframes may grow.
    """
    poses = {i: k.T_map_rig for i, k in graph.keyframes.items()} | dict(before or {})
    ids = sorted(graph.keyframes)
    row = {i: n for n, i in enumerate(ids)}
    pairs = relative_pairs(graph)
    known = [(row[a], row[b]) for a, b in pairs]
    first = np.array([a for a, _ in known] + [row[x.first] for x in loops])
    second = np.array([b for _, b in known] + [row[x.second] for x in loops])
    T = np.stack([poses[i] for i in ids])
    depth = np.array([graph.keyframes[i].median_depth for i in ids])
    relative = se3_inverse(T[first[:len(known)]]) @ T[second[:len(known)]] if known else np.zeros((0, 4, 4))
    relative = np.concatenate([relative, *(x.T_first_second[None] for x in loops)])
    sigma = np.empty((len(first), 7))
    sigma[:, :3] = SIGMA_SHIFT * depth[second][:, None]
    sigma[:, 3:6], sigma[:, 6] = SIGMA_TURN, SIGMA_SCALE
    fixed = ~_reached(len(ids), first, second)
    fixed[0] = True
    moved, cost = adjust_poses(T, fixed, PoseEdges(first, second, relative, sigma), free_scale)
    if cost > MOST_COST:
        return None
    corrections = moved @ sim3_inverse(T)
    for i, similarity in zip(ids, moved, strict=True):
        scale, R, t = split_sim3(similarity)
        keyframe = graph.keyframes[i]
        keyframe.T_map_rig = make_se3(R, t)
        if free_scale:
            keyframe.resize(float(scale))
    graph.version += 1
    return dict(zip(ids, corrections, strict=True))


def relative_pairs(graph: KeyframeGraph) -> list[tuple[int, int]]:
    """Pairs of linked keyframes (older, newer) whose relative poses describe the graph: of each keyframe the two older ones
    with which it shares most, and all that a loop has joined. Surfaces alone leave a way for drift, as along a corridor, and
    describe nothing."""
    shared: dict[int, dict[int, int]] = {}
    for link in graph.links.values():
        a, b = sorted((link.anchor, link.observer))
        if a != b and len(link.matches):
            of = shared.setdefault(b, {})
            of[a] = of.get(a, 0) + len(link.matches)
    pairs = []
    for newer, of in sorted(shared.items()):
        strongest = sorted(of, key=lambda i: (-of[i], -i))[:STRONGEST]
        pairs += [(i, newer) for i in sorted({*strongest, *(i for i in of if newer - i > OLD)})]
    return pairs


def _reached(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(count,) True for the nodes that edges join to the first one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    label = connected_components(edges, directed=False)[1]
    return label == label[0]
