# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Search for things in a map: voxels that are similar enough, joined to places, the most convincing first."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

LEAST_SIMILARITY = 0.3  # similarity between a sentence and unrelated things is below
OF_THE_BEST = 0.7  # a place is at least this similar, relative to the best voxels
BEST_VOXELS = 8  # fewer are no thing
LEAST_VOXELS = 4
_HALF_AROUND = np.array([o for o in product((-1, 0, 1), repeat=3) if o > (0, 0, 0)], np.int64)
_SPAN = 1 << 20  # voxel indices lie within


@dataclass(frozen=True)
class Place:
    """Voxels that touch each other. similarity: their mean; score: how convincing the place is, the sum over its voxels of what
    they are above the threshold; box: low and high corner (3,) in the map frame, metres; centre (3,): mean of the voxels."""

    similarity: float
    score: float
    voxels: int
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray


@dataclass(frozen=True)
class Answer:
    """Result of a query. threshold that was used; points (N, 3) float32 in the map frame with similarity (N,) float32, the
    most similar first; places, the most convincing first. best: largest similarity in the map, NaN in an empty one."""

    threshold: float
    points: np.ndarray
    similarity: np.ndarray
    places: tuple[Place, ...]
    best: float


def choose_threshold(similarity: np.ndarray) -> float:
    """The similarity from which a voxel matches the query: 0.7 of the similarity of the eight best, at least 0.3.
    similarity (N,), NaN where unknown."""
    known = similarity[np.isfinite(similarity)]
    if len(known) < BEST_VOXELS:
        return LEAST_SIMILARITY
    best = np.partition(known, len(known) - BEST_VOXELS)[-BEST_VOXELS]
    return max(LEAST_SIMILARITY, OF_THE_BEST * float(best))


def without(similarity: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Similarity (N,) to a text, NaN where a text that is not meant, of similarities (N,), fits as well or better."""
    out = similarity
    for other in others:
        out = np.where(other < out, out, np.float32(np.nan))  # NaN stays
    return out


def find_places(voxel: np.ndarray, points_map: np.ndarray, similarity: np.ndarray, voxel_size: float, threshold: float = 0.0,
                most: int = 100) -> Answer:
    """Voxels (N, 3) int32 with points (N, 3), whose similarity (N,), NaN where unknown, reaches the threshold; 0: one is
    chosen, see `choose_threshold`. Places of fewer than 4 voxels are left out; at most `most` are returned. Voxels belong
    together that touch, also at an edge or a corner. ValueError for a threshold beyond -1 to 1, or `most` below 1."""
    if not -1.0 <= threshold <= 1.0:
        raise ValueError(f"threshold {threshold} is outside -1 to 1")
    if most < 1:
        raise ValueError(f"at most {most} results: expected at least 1")
    limit = threshold if threshold else choose_threshold(similarity)
    known = np.isfinite(similarity)
    best = float(similarity[known].max()) if known.any() else float("nan")
    chosen = np.flatnonzero(known & (np.where(known, similarity, -2.0) >= limit))
    chosen = chosen[np.argsort(-similarity[chosen], kind="stable")]
    which = components(voxel[chosen])
    places = [_place(voxel[m], points_map[m], similarity[m], voxel_size, limit)
              for m in _members(which, chosen) if len(m) >= LEAST_VOXELS]
    places.sort(key=lambda p: (-p.score, *p.low.tolist()))
    points, similarity = points_map[chosen].astype(np.float32), similarity[chosen].astype(np.float32)
    return Answer(limit, points, similarity, tuple(places[:most]), best)


def components(voxel: np.ndarray) -> np.ndarray:
    """Number (N,) int64 of the component that each of the voxels (N, 3), all different, is in: those that touch are in one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(voxel):
        return np.zeros(0, np.int64)
    index = voxel.astype(np.int64) + _SPAN
    keys = (index[:, 0] * (2 * _SPAN) + index[:, 1]) * (2 * _SPAN) + index[:, 2]
    order = np.argsort(keys)
    ordered = keys[order]
    rows, columns = [], []
    for x, y, z in _HALF_AROUND.tolist():
        wanted = ordered + (x * (2 * _SPAN) + y) * (2 * _SPAN) + z
        place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
        touch = np.flatnonzero(ordered[place] == wanted)
        rows.append(order[touch])
        columns.append(order[place[touch]])
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(len(keys), len(keys)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _members(which: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """The voxels of each component."""
    if not len(which):
        return []
    order = np.argsort(which, kind="stable")
    return np.split(chosen[order], np.flatnonzero(np.diff(which[order])) + 1)


def _place(voxel: np.ndarray, points: np.ndarray, similarity: np.ndarray, size: float, threshold: float) -> Place:
    low, high = voxel.min(0) * size, (voxel.max(0) + 1) * size
    return Place(float(similarity.mean()), float((similarity - threshold).sum()), len(voxel), low.astype(np.float64),
                 high.astype(np.float64), points.astype(np.float64).mean(0))
