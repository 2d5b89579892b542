# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""How similar the language features of the map are to a vector: what a sentence describes, when a text encoder made it."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.blocks import pack_keys
from lsm_ros.fusion.integrate import LABEL_CELLS
from lsm_ros.fusion.layout import BLOCK
from lsm_ros.fusion.pools import Pools

_UNIT = 127  # length of a feature vector as observations carry it
_CHUNK = 65536


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
    cell = voxel // 2
    keys, which = np.unique(pack_keys(voxel // BLOCK), return_inverse=True)
    slots = pools.voxels.find(keys)[which.ravel()]
    half = BLOCK // 2
    inner = cell % half
    rows, back = np.unique(np.where(slots >= 0, slots * LABEL_CELLS + (inner[:, 0] * half + inner[:, 1]) * half + inner[:, 2],
                                    -1), return_inverse=True)
    similarity, consistency = np.full(len(rows), np.nan, np.float32), np.full(len(rows), np.nan, np.float32)
    sums = pools.voxels.rows("features")
    for first in range(int(len(rows) > 0 and rows[0] < 0), len(rows), _CHUNK):
        chunk = slice(first, min(first + _CHUNK, len(rows)))
        found = sums[rows[chunk]].astype(np.float64)
        total, weight = found[:, :-1], found[:, -1]
        length = np.sqrt((total**2).sum(1))
        known = (weight > 0) & (length > 0)
        similarity[chunk][known] = (total[known] @ wanted) / length[known]
        consistency[chunk][known] = np.minimum(length[known] / (_UNIT * weight[known]), 1.0)
    return QueryResult(similarity[back.ravel()], consistency[back.ravel()])


def _checked(vector: np.ndarray, dim: int) -> np.ndarray:
    """The vector (D,) as float64 of unit length. ValueError if it cannot be asked for."""
    if not dim:
        raise ValueError("the map holds no language features: no observation in it carries any")
    wanted = np.asarray(vector, np.float64)
    if wanted.shape != (dim,):
        raise ValueError(f"the vector has shape {wanted.shape}, the features of the map have {dim} numbers")
    if not np.isfinite(wanted).all() or not wanted.any():
        raise ValueError("the vector must be finite and not zero")
    return wanted / np.sqrt((wanted**2).sum())
