# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Similarity of the map's language features to a vector, which may be a sentence that a text encoder encoded."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, pack_keys, unpack_keys
from lsm_ros.fusion.backends.integrate import LABEL_CELLS
from lsm_ros.fusion.backends.layout import BLOCK
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.types import UNLABELLED, NameVectors

_UNIT = 127  # length of a feature vector as observations carry it
_CHUNK = 65536
_SIDES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.int64)
_NOTHING = "the map holds no language features: no observation in it carries any"


@dataclass(frozen=True)
class QueryResult:
    """For each surface voxel: similarity (N,) float32, the cosine between its mean feature and the vector; consistency (N,)
    float32 in [0, 1], the length of the mean of its unit features, 1 where all observations agree. NaN where there is no
    feature."""

    similarity: np.ndarray
    consistency: np.ndarray


def query(pools: Pools, voxel: np.ndarray, vector: np.ndarray) -> QueryResult:
    """Similarity of the features at voxels (N, 3) int32 to a vector (D,), which need not have unit length.

    Features are held for cells of twice the voxel size, so up to eight voxels share one. ValueError if the map holds no
    features, if their length is another one, or if the vector is zero or not finite.
    """
    wanted = _checked(vector, pools.feature_dim if pools.feature_users else 0)
    rows, back = _cells(pools, voxel)
    similarity, consistency = np.full(len(rows), np.nan, np.float32), np.full(len(rows), np.nan, np.float32)
    for chunk, total, length, weight in _sums(pools, rows):
        known = (weight > 0) & (length > 0)
        similarity[chunk][known] = (total[known] @ wanted) / length[known]
        consistency[chunk][known] = np.minimum(length[known] / (_UNIT * weight[known]), 1.0)
    return QueryResult(similarity[back], consistency[back])


def features_at(pools: Pools, voxel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of the second array for each of the voxels (N, 3) int32, (N,) int32, -1 without features; and the mean features
    (M, D) int8, unit vectors times 127. ValueError if the map holds no features."""
    if not pools.feature_users:
        raise ValueError(_NOTHING)
    rows, back = _cells(pools, voxel)
    found = np.zeros((len(rows), pools.feature_dim), np.int8)
    known = np.zeros(len(rows), bool)
    for chunk, total, length, weight in _sums(pools, rows):
        known[chunk] = (weight > 0) & (length > 0)
        found[chunk] = np.rint(_UNIT * total / np.maximum(length, 1e-12)[:, None])
    place = np.where(known, np.cumsum(known) - 1, -1)
    return place[back].astype(np.int32), found[known]


def named(pools: Pools, rows: np.ndarray, names: NameVectors) -> tuple[np.ndarray, np.ndarray]:
    """Names of the features of label cells, rows (N,) int64 of the pool: label (N,) uint16, probability (N,) float32;
    see `NameVectors.nearest`. Features of another length than the names have are called nothing."""
    if not pools.feature_users or pools.feature_dim != names.dim:
        return np.full(len(rows), UNLABELLED, np.uint16), np.zeros(len(rows), np.float32)
    rows, back = np.unique(rows, return_inverse=True)
    labels, probability = np.zeros(len(rows), np.uint16), np.zeros(len(rows), np.float32)
    for chunk, total, _, _ in _sums(pools, rows):
        labels[chunk], probability[chunk] = names.nearest(total)
    return labels[back.ravel()], probability[back.ravel()]


def _cells(pools: Pools, voxel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted rows (M,) int64 of the pool of the cells of voxels (N, 3), -1 where there is no block, and which of them each
    voxel is in (N,)."""
    cell = voxel // 2
    keys, which = np.unique(pack_keys(voxel // BLOCK), return_inverse=True)
    slots = pools.voxels.find(keys)[which.ravel()]
    half = BLOCK // 2
    inner = cell % half
    rows, back = np.unique(np.where(slots >= 0, slots * LABEL_CELLS + (inner[:, 0] * half + inner[:, 1]) * half + inner[:, 2],
                                    -1), return_inverse=True)
    return rows, back.ravel()


def _sums(pools: Pools, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    """Of sorted rows, in parts: which, summed vectors (n, D) float64, their length (n,) and the weight (n,) behind them.

    Features are summed where the middle of a cell is within one voxel of a surface; a surface through the cell's corner is not.
    Such a cell has those of the cells that share a face with it.
    """
    sums = pools.voxels.rows("features")
    for first in range(int(len(rows) > 0 and rows[0] < 0), len(rows), _CHUNK):
        chunk = slice(first, min(first + _CHUNK, len(rows)))
        found = sums[rows[chunk]].astype(np.float64)
        bare = np.flatnonzero(found[:, -1] == 0)
        if len(bare):
            for side in _beside(pools, rows[chunk][bare]).T:
                found[bare[side >= 0]] += sums[side[side >= 0]]
        yield chunk, found[:, :-1], np.sqrt((found[:, :-1]**2).sum(1)), found[:, -1]


def _beside(pools: Pools, rows: np.ndarray) -> np.ndarray:
    """Rows (n, 6) int64 of the cells that share a face with those of rows (n,), -1 where there is no block."""
    half, pool = BLOCK // 2, pools.voxels
    inner = np.stack(np.unravel_index(rows % LABEL_CELLS, (half,) * 3), -1)
    cell = unpack_keys(pool.keys[rows // LABEL_CELLS]).astype(np.int64) * half + inner
    beside = (cell[:, None, :] + _SIDES).reshape(-1, 3)
    block, inner = beside // half, beside % half
    known = ((block >= -HALF) & (block < HALF)).all(1)
    keys, which = np.unique(pack_keys(block[known]), return_inverse=True)
    slots = np.full(len(beside), -1, np.int64)
    slots[known] = pool.find(keys)[which.ravel()]
    place = slots * LABEL_CELLS + (inner[:, 0] * half + inner[:, 1]) * half + inner[:, 2]
    return np.where(slots >= 0, place, -1).reshape(-1, len(_SIDES))


def _checked(vector: np.ndarray, dim: int) -> np.ndarray:
    """The vector (D,) as float64 of unit length. ValueError if it cannot be asked for."""
    if not dim:
        raise ValueError(_NOTHING)
    wanted = np.asarray(vector, np.float64)
    if wanted.shape != (dim,):
        raise ValueError(f"the vector has shape {wanted.shape}, the features of the map have {dim} numbers")
    if not np.isfinite(wanted).all() or not wanted.any():
        raise ValueError("the vector must be finite and not zero")
    return wanted / np.sqrt((wanted**2).sum())
