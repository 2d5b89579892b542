# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reading the map: surface voxels with their points, normals, colours and labels. Nothing here changes the sums."""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, BlockPool, pack_keys, unpack_keys
from lsm_ros.fusion.backends.extract import FACES, means
from lsm_ros.fusion.backends.freespace import CELLS
from lsm_ros.fusion.backends.integrate import BLUE, LABEL_CELLS, NEAR, RED, VOXELS, WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK, STEPS, WEIGHT_UNIT, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read import certainty
from lsm_ros.fusion.read.query import named
from lsm_ros.types import UNLABELLED


@dataclass(frozen=True)
class Surface:
    """Surface voxels in the order of their blocks and voxels.

    voxel (N, 3) int32 index; points_map (N, 3) float32 metres, on the zero crossing; normals (N, 3) float32 out of the
    surface; colors (N, 3) uint8; labels (N,) uint16 and label_probability (N,) float32, 0 where unlabelled; weight (N,)
    float32 in units of a good pixel at 1 m; consistency (N,) float32, share of the weight that saw a surface nearby.
    """

    voxel: np.ndarray
    points_map: np.ndarray
    normals: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    label_probability: np.ndarray
    weight: np.ndarray
    consistency: np.ndarray

    def take(self, which: np.ndarray) -> Surface:
        """The surface voxels at positions, or of a mask, `which`."""
        return Surface(*(getattr(self, f.name)[which] for f in fields(self)))


def confidence_of(surface: Surface) -> np.ndarray:
    """Confidence (N,) float32 in [0, 1]: the consistency times weight / (weight + 1)."""
    return (surface.consistency * surface.weight / (surface.weight + np.float32(1))).astype(np.float32)


def free_weight(pool: BlockPool, voxel: np.ndarray, factor: int) -> np.ndarray:
    """Weight (N,) int32 that saw the free-space cells of voxels (N, 3) empty."""
    cell = voxel // factor
    keys, which = np.unique(pack_keys(cell // BLOCK), return_inverse=True)
    slots = pool.find(keys)[which.ravel()]
    inner = cell % BLOCK
    out = np.zeros(len(voxel), np.int32)
    known = slots >= 0
    row = slots * CELLS + (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
    out[known] = pool.rows("weight")[row[known], 0]
    return out


def distances(pool: BlockPool, slots: np.ndarray, layout: Layout) -> np.ndarray:
    """Mean signed distance (B, 512) float32 in voxels of blocks, NaN where nothing was seen."""
    return means(pool, slots, _unit(layout))


def _unit(layout: Layout) -> np.float32:
    return np.float32(layout.truncation_voxels / STEPS)


def _read_blocks(pools: Pools, slots: np.ndarray, layout: Layout, least: int) -> Surface:
    pool, index = pools.voxels, unpack_keys(pools.voxels.keys[slots])
    neighbours = np.empty((len(slots), len(FACES)), np.int64)
    for n, (axis, side) in enumerate(FACES):
        beside = index.copy()
        beside[:, axis] += side
        neighbours[:, n] = pool.find(_keys_inside(beside))
    on = pools.backend.crossings(pool, np.ascontiguousarray(slots, np.int64), neighbours, float(_unit(layout)), least)
    block, inner, d, slope = on.block, on.voxel, on.distance, on.slope
    sums = pool.rows("voxels")[slots[block] * VOXELS + inner]
    ijk = np.stack(np.unravel_index(inner, (BLOCK,) * 3), -1)
    voxel = index[block] * BLOCK + ijk.astype(np.int32)
    # One Newton step onto the zero crossing; a slope far below 1 is noise and must not throw the point away.
    square = slope[:, 0] * slope[:, 0] + slope[:, 1] * slope[:, 1] + slope[:, 2] * slope[:, 2]
    step = -slope * (d / np.maximum(square, np.float32(0.25)))[:, None]
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1)
    points = ((voxel + 0.5 + step) * layout.voxel_size).astype(np.float32)
    near = np.maximum(sums[:, NEAR], 1)
    colors = ((sums[:, RED:BLUE + 1] + near[:, None] // 2) // near[:, None]).astype(np.uint8)
    half = ijk // 2
    cell = (half[:, 0] * (BLOCK // 2) + half[:, 1]) * (BLOCK // 2) + half[:, 2]
    labels, probability = _best_labels(pools, slots[block] * LABEL_CELLS + cell)
    weight = sums[:, WEIGHT].astype(np.float32)
    return Surface(voxel, points, slope / np.sqrt(square)[:, None], colors, labels, probability,
                   weight / np.float32(WEIGHT_UNIT), sums[:, NEAR] / weight)


def _best_labels(pools: Pools, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Most probable label (N,) uint16 of label cells and its probability (N,) float32; the smaller id wins a tie. Less probable
    ones than `pools.least_probability` are unknown. Where no observation gave a label, it is the name that is nearest to the
    features."""
    labels, top, second = pools.labels.read(pools.voxels.rows("labels"), rows)
    probability = certainty.probability(top, second, pools.voxels.users[rows // LABEL_CELLS])
    unknown = probability < pools.least_probability
    labels[unknown], probability[unknown] = UNLABELLED, 0.0
    if pools.names is not None:
        open_ = labels == UNLABELLED
        labels[open_], probability[open_] = named(pools, rows[open_], pools.names)
    return labels, probability


def _keys_inside(index: np.ndarray) -> np.ndarray:
    """Keys of block indices, -1 for those beyond the edge of the world."""
    inside = ((index >= -HALF) & (index < HALF)).all(1)
    out = np.full(len(index), -1, np.int64)
    out[inside] = pack_keys(index[inside])
    return out
