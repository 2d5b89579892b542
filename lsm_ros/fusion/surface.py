# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reading the map: surface voxels with their points, normals, colours and labels. Nothing here changes the sums."""
from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from lsm_ros.fusion.blocks import HALF, BlockPool, pack_keys, unpack_keys
from lsm_ros.fusion.extract import FACES, means
from lsm_ros.fusion.freespace import CELLS
from lsm_ros.fusion.integrate import BLUE, LABEL_CELLS, NEAR, RED, VOXELS, WEIGHT
from lsm_ros.fusion.layout import BLOCK, STEPS, WEIGHT_UNIT, Layout
from lsm_ros.fusion.pools import Pools
from lsm_ros.types import UNLABELLED, MapSnapshot

_CHUNK = 512  # blocks at a time


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


class SurfaceReader:
    """Reads the surface and remembers it: only blocks that changed, and their neighbours, are read again."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._raw: Surface | None = None
        self._surface: Surface | None = None
        self._seq, self._min_weight = -1, -1

    def read(self, pools: Pools, seq: int, min_weight: float) -> Surface:
        """The surface at `seq`; the same object while nothing changed. min_weight in units of a good pixel at 1 m.

        A voxel is left out when more weight saw its whole free-space cell empty than saw the voxel itself: what moved
        away leaves no ghost although nothing was subtracted.
        """
        least = max(1, math.ceil(min_weight * WEIGHT_UNIT))
        if self._surface is not None and (seq, least) == (self._seq, self._min_weight):
            return self._surface
        pool, raw = pools.voxels, self._raw
        slots = pool.all_slots()
        if raw is None or least != self._min_weight or pools.forgotten_seq > self._seq:
            raw = _read_blocks(pools, slots, self._layout, least)
        else:
            changed = pool.keys[slots[pool.seq[slots] > self._seq]]
            gone = np.array([k for k, s in pools.freed.items() if s > self._seq], np.int64)
            dirty = _with_neighbours(np.concatenate([changed, gone]))
            again = pool.find(dirty)
            fresh = _read_blocks(pools, again[again >= 0], self._layout, least)
            raw = _merge(raw.take(~np.isin(_block_keys(raw), dirty)), fresh)
        self._raw, self._seq, self._min_weight = raw, seq, least
        free = free_weight(pools.free, raw.voxel, self._layout.free_factor)
        self._surface = raw.take(free <= raw.weight * WEIGHT_UNIT)
        return self._surface


def snapshot(surface: Surface, pools: Pools, layout: Layout, label_threshold: float,
             seq: int) -> MapSnapshot:
    """What leaves the map: read-only arrays. Confidence is the consistency times weight / (weight + 1)."""
    labels = np.where(surface.label_probability >= label_threshold, surface.labels, np.uint16(UNLABELLED))
    confidence = surface.consistency * surface.weight / (surface.weight + np.float32(1))
    arrays = (surface.points_map, surface.colors, labels, confidence, surface.weight, surface.normals)
    for a in arrays:
        a.setflags(write=False)
    return MapSnapshot(*arrays, layout.voxel_size, observed_volume(pools, layout), seq=seq)


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


def observed_volume(pools: Pools, layout: Layout) -> float:
    """Volume in m^3 that was seen: free cells, and voxels near surfaces outside of them."""
    pool, factor = pools.voxels, layout.free_factor
    free_slots = pools.free.all_slots()
    volume = float(np.count_nonzero(pools.free.take("weight", free_slots))) * layout.free_cell**3
    edge = min(factor, BLOCK)  # voxels along the edge of the cells that a block is cut into
    n = BLOCK // edge
    slots = pool.all_slots()
    cells = np.stack(np.meshgrid(*[np.arange(n) * edge] * 3, indexing="ij"), -1).reshape(-1, 3)
    for first in range(0, len(slots), _CHUNK):
        chunk = slots[first:first + _CHUNK]
        seen = (pool.column("voxels", chunk, WEIGHT) > 0).reshape(-1, n, edge, n, edge, n, edge).sum((2, 4, 6))
        corner = unpack_keys(pool.keys[chunk])[:, None, :] * BLOCK + cells
        outside = free_weight(pools.free, corner.reshape(-1, 3), factor) == 0
        volume += float(seen.ravel()[outside].sum()) * layout.voxel_size**3
    return volume


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
    """Most probable label (N,) uint16 of label cells and its probability (N,) float32; the smaller id wins a tie."""
    ids, columns = pools.labels.sorted()
    if not len(ids) or not len(rows):
        return np.full(len(rows), UNLABELLED, np.uint16), np.zeros(len(rows), np.float32)
    counts = pools.voxels.rows("labels")[rows][:, columns]
    total = counts.sum(1)
    best = counts.argmax(1)
    top = counts[np.arange(len(rows)), best]
    labels = np.where(total > 0, ids[best], np.uint16(UNLABELLED)).astype(np.uint16)
    return labels, (top / np.maximum(total, 1)).astype(np.float32)


def _block_keys(surface: Surface) -> np.ndarray:
    return pack_keys(surface.voxel // BLOCK)


def _merge(a: Surface, b: Surface) -> Surface:
    both = Surface(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(Surface)))
    return both.take(np.argsort(_block_keys(both), kind="stable"))


def _keys_inside(index: np.ndarray) -> np.ndarray:
    """Keys of block indices, -1 for those beyond the edge of the world."""
    inside = ((index >= -HALF) & (index < HALF)).all(1)
    out = np.full(len(index), -1, np.int64)
    out[inside] = pack_keys(index[inside])
    return out


def _with_neighbours(keys: np.ndarray) -> np.ndarray:
    """Sorted keys of blocks and of their six neighbours."""
    index = unpack_keys(keys)
    found = [keys]
    for axis, side in FACES:
        beside = index.copy()
        beside[:, axis] += side
        found.append(_keys_inside(beside))
    every = np.unique(np.concatenate(found))
    return every[every >= 0]

