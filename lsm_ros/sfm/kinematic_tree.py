# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The tree along which the cameras of an image set hang on each other, so that near ones move together."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TREES = ("hclust-ward", "mst")
_FULL = 3.0  # matches for each block of the smaller image with which two images cannot be closer


@dataclass(frozen=True)
class KinematicTree:
    """root: an image. edges: (N - 1, 2) parent and child, parents before their children."""

    root: int
    edges: np.ndarray


def make_tree(scores: np.ndarray, blocks: np.ndarray, kind: str = "hclust-ward") -> KinematicTree:
    """Tree over N connected images.

    scores: (N, N) symmetric, number of matches of each pair, 0 for none. blocks: (N,) of each image. kind: 'hclust-ward', along
    a hierarchical clustering, or 'mst', a maximum spanning tree.
    ValueError for another kind, and for images that no pair connects with the others.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    if kind not in TREES:
        raise ValueError(f"tree {kind!r} is none of {', '.join(TREES)}")
    count = len(scores)
    parts, _ = connected_components(csr_array(scores > 0), directed=False)
    if parts > 1:
        raise ValueError(f"the pairs do not connect the {count} images: there are {parts} groups")
    if count == 1:
        return KinematicTree(0, np.zeros((0, 2), np.int64))
    weights = np.triu(_clustered(scores, blocks) if kind == "hclust-ward" else np.asarray(scores, np.float64), 1)
    tree = minimum_spanning_tree(csr_array(-weights))
    return _rooted(csr_array(tree != 0))


def _clustered(scores: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """(N, N) closeness of those images whose clusters merge, 0 for all others."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    count = len(scores)
    close = np.minimum(scores / (_FULL * np.minimum(blocks[:, None], blocks[None])), 1.0)
    np.fill_diagonal(close, 1.0)
    distance = np.where(close == 0, 2.0, 1.0 - close)
    represented = list(range(count))
    found = np.zeros((count, count))
    for a, b in linkage(squareform(distance, checks=False), "ward")[:, :2].astype(int):
        i, j = represented[a], represented[b]
        found[min(i, j), max(i, j)] = max(close[i, j], 1e-9)  # two clusters may merge without a pair between these two
        keep = i if close[i].sum() >= close[j].sum() else j
        close[keep] = np.maximum(close[i], close[j])
        represented.append(keep)
    return found


def _rooted(tree: object) -> KinematicTree:
    from scipy.sparse.csgraph import breadth_first_order

    def ranks(start: int) -> np.ndarray:
        order = breadth_first_order(tree, start, directed=False, return_predecessors=False)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank

    one = ranks(int(ranks(0).argmax()))
    other = ranks(int(one.argmax()))
    root = int(np.minimum(one, other).argmax())
    order, before = breadth_first_order(tree, root, directed=False)
    return KinematicTree(root, np.array([(before[n], n) for n in order[1:]], np.int64).reshape(-1, 2))
