# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Blocks that show something else than before, and the content of given blocks: for readers that keep results by block."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, BlockPool, pack_keys, unpack_keys
from lsm_ros.fusion.backends.integrate import SDF, VOXELS, WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK, STEPS, WEIGHT_UNIT, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.surface import Surface, _read_blocks, free_weight

FACES = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.int64)
"""A block and those whose voxels its surface voxels look at."""
AROUND = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3).astype(np.int64)
"""A block and all that touch it."""

_padded = np.stack(np.meshgrid(*[np.arange(-1, BLOCK + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
_WINDOW_BLOCK = ((_padded // BLOCK + 1) * (9, 3, 1)).sum(1)  # which of AROUND each voxel of a window is in
_WINDOW_VOXEL = (_padded % BLOCK * (BLOCK * BLOCK, BLOCK, 1)).sum(1)


def least_weight(min_weight: float) -> int:
    """Smallest integer weight of a voxel that is shown; min_weight in units of a good pixel at 1 m."""
    return max(1, math.ceil(min_weight * WEIGHT_UNIT))


def read_visible(pools: Pools, keys: np.ndarray, layout: Layout, least: int) -> Surface:
    """Surface voxels of the blocks `keys` (N,) int64 that exist, in the order of the keys, without those that more weight
    saw empty than saw them."""
    slots = pools.voxels.find(keys)
    raw = _read_blocks(pools, slots[slots >= 0], layout, least)
    return raw.take(free_weight(pools.free, raw.voxel, layout.free_factor) <= raw.weight * WEIGHT_UNIT)


@dataclass(frozen=True)
class Window:
    """Blocks with a margin of one voxel. rows (B, 10, 10, 10) int64: the row of each voxel in the pool, -1 where there is no
    block; distance (B, 10, 10, 10) float32 in voxels, NaN where nothing was seen."""

    keys: np.ndarray
    rows: np.ndarray
    distance: np.ndarray


def read_windows(pools: Pools, keys: np.ndarray, layout: Layout) -> Window:
    """Windows of those of the blocks `keys` (N,) int64 that exist."""
    pool = pools.voxels
    keys = keys[pool.find(keys) >= 0]
    around = (unpack_keys(keys).astype(np.int64)[:, None, :] + AROUND).reshape(-1, 3)
    inside = ((around >= -HALF) & (around < HALF)).all(1)
    slots = np.full(len(around), -1, np.int64)
    slots[inside] = pool.find(pack_keys(around[inside]))
    rows = slots.reshape(len(keys), len(AROUND))[:, _WINDOW_BLOCK]
    rows = np.where(rows >= 0, rows * VOXELS + _WINDOW_VOXEL, -1)
    sums = pool.rows("voxels")
    known = rows >= 0
    distance = np.full(rows.shape, np.nan, np.float32)
    weight = sums[rows[known], WEIGHT].astype(np.float32)
    weight[weight == 0] = np.nan
    distance[known] = sums[rows[known], SDF] / weight * np.float32(layout.truncation_voxels / STEPS)
    shape = (len(keys), *(BLOCK + 2,) * 3)
    return Window(keys, rows.reshape(shape), distance.reshape(shape))


def live_keys(pool: BlockPool) -> np.ndarray:
    """Keys (N,) int64 of all blocks of a pool, sorted."""
    return np.sort(pool.keys[pool.users > 0])


def with_neighbours(keys: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sorted keys of the blocks at `offsets` (M, 3) from each of the blocks `keys` (N,), inside of the world."""
    index = (unpack_keys(keys).astype(np.int64)[:, None, :] + offsets).reshape(-1, 3)
    inside = ((index >= -HALF) & (index < HALF)).all(1)
    return np.unique(pack_keys(index[inside]))


@dataclass
class _Seen:
    """State of the map when changes were last asked for."""

    pools: Pools
    seq: int
    least: int
    look: int
    free: np.ndarray


class ChangeTracker:
    """Finds the blocks that may show something else since the last call. `offsets`: whose voxels a block looks at."""

    def __init__(self, layout: Layout, offsets: np.ndarray) -> None:
        self._layout, self._offsets = layout, offsets
        self._seen: _Seen | None = None

    def changed(self, pools: Pools, seq: int, least: int) -> np.ndarray | None:
        """Sorted keys (N,) int64 of blocks, also of such that are gone; None: any block, there is no telling.

        A block may show something else when it or a neighbour changed, when the free space around it changed, and when
        the smallest weight is another one, or the names of features are.
        """
        seen = self._seen
        if seen is not None and (seen.pools, seen.seq, seen.least, seen.look) == (pools, seq, least, pools.look):
            return np.zeros(0, np.int64)
        free = live_keys(pools.free)
        self._seen = _Seen(pools, seq, least, pools.look, free)
        if seen is None or seen.pools is not pools or (seen.least, seen.look) != (least, pools.look) or (
                pools.forgotten_seq > seen.seq):
            return None
        voxels = pools.voxels
        gone = np.fromiter((k for k, s in pools.freed.items() if s > seen.seq), np.int64)
        touched = voxels.keys[(voxels.users > 0) & (voxels.seq > seen.seq)]
        emptied = np.setdiff1d(seen.free, free, assume_unique=True)
        freed = pools.free.keys[(pools.free.users > 0) & (pools.free.seq > seen.seq)]
        under = self._under(live_keys(voxels), np.concatenate([emptied, freed]))
        return np.union1d(with_neighbours(np.concatenate([touched, gone]), self._offsets), under)

    def _under(self, keys: np.ndarray, free_keys: np.ndarray) -> np.ndarray:
        """Those of the voxel blocks `keys` that lie in one of the free-space blocks `free_keys`."""
        if not len(free_keys) or not len(keys):
            return np.zeros(0, np.int64)
        holder = pack_keys(unpack_keys(keys) // self._layout.free_factor)
        return keys[np.isin(holder, free_keys)]
