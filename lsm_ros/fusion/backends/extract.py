# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Voxels on the surface, and where in them: the reference in NumPy; kernels.h holds the same for C and CUDA."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import BlockPool
from lsm_ros.fusion.backends.integrate import SDF, WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK

FACES = [(axis, side) for axis in range(3) for side in (-1, 1)]
_CHUNK = 512  # blocks at a time
_PAD = BLOCK + 2
_STRIDES = (_PAD * _PAD, _PAD, 1)


@dataclass(frozen=True)
class Crossings:
    """Surface voxels in the order of blocks and voxels.

    block (N,) int64: which of the blocks that were asked for; voxel (N,) int64: in the block; distance (N,) float32 in
    voxels; slope (N, 3) float32: its gradient per voxel.
    """

    block: np.ndarray
    voxel: np.ndarray
    distance: np.ndarray
    slope: np.ndarray


def crossings(pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: float, least: int) -> Crossings:
    """See `backends.Backend.crossings`.

    A voxel is on the surface if it is within half a voxel of it, or within one and the nearer one of a pair of
    neighbours with the surface between.
    """
    parts = []
    for first in range(0, max(len(slots), 1), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        distance = _padded(pool, slots[chunk], neighbours[chunk], np.float32(unit))
        block, *rest = _chunk(distance, pool.column("voxels", slots[chunk], WEIGHT), least)
        parts.append((block + first, *rest))
    return Crossings(*(np.concatenate(p) for p in zip(*parts, strict=True)))


def means(pool: BlockPool, slots: np.ndarray, unit: np.float32) -> np.ndarray:
    """Mean signed distance (B, 512) float32 of blocks, NaN where nothing was seen; unit: that of a step."""
    weight = pool.column("voxels", slots, WEIGHT).astype(np.float32)
    weight[weight == 0] = np.nan
    return pool.column("voxels", slots, SDF).astype(np.float32) / weight * unit


def _padded(pool: BlockPool, slots: np.ndarray, neighbours: np.ndarray, unit: np.float32) -> np.ndarray:
    """Distances (B, 10, 10, 10) of blocks and of the voxels that face them in their six neighbours, NaN if unseen."""
    out = np.full((len(slots), _PAD, _PAD, _PAD), np.nan, np.float32)
    out[:, 1:-1, 1:-1, 1:-1] = means(pool, slots, unit).reshape(-1, BLOCK, BLOCK, BLOCK)
    for (axis, side), beside in zip(FACES, neighbours.T, strict=True):
        have = np.flatnonzero(beside >= 0)
        if not len(have):
            continue
        theirs = means(pool, beside[have], unit).reshape(-1, BLOCK, BLOCK, BLOCK)
        face = np.take(theirs, 0 if side > 0 else BLOCK - 1, axis=axis + 1)
        target: list[slice | int] = [slice(1, -1)] * 3
        target[axis] = -1 if side > 0 else 0
        out[(have, *target)] = face
    return out


def _chunk(distance: np.ndarray, weight: np.ndarray,
           least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    inner = distance[:, 1:-1, 1:-1, 1:-1].reshape(weight.shape)
    block, voxel = np.nonzero((weight >= least) & (np.abs(inner) < 1))
    d = inner[block, voxel]
    i, j, k = np.unravel_index(voxel, (BLOCK,) * 3)
    place = ((block * _PAD + i + 1) * _PAD + j + 1) * _PAD + k + 1
    flat = distance.ravel()
    on = np.abs(d) <= 0.5
    slope = np.zeros((len(d), 3), np.float32)
    for axis, stride in enumerate(_STRIDES):
        after, before = flat[place + stride], flat[place - stride]
        for other in (after, before):
            on |= ((d < 0) != (other < 0)) & (np.abs(d) <= np.abs(other))  # false for NaN
        forward, backward = after - d, d - before
        both = np.where(np.isnan(forward), backward, np.where(np.isnan(backward), forward,
                                                               np.float32(0.5) * (after - before)))
        slope[:, axis] = np.nan_to_num(both, nan=0.0)
    on &= (slope != 0).any(1)
    return block[on], voxel[on], d[on], slope[on]
