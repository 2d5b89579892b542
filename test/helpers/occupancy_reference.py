# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""2D occupancy of a height band, computed from all of a map at once: what the grid that is kept must be equal to."""
from __future__ import annotations

import numpy as np

from lsm_ros.config import GridConfig
from lsm_ros.fusion.backends.blocks import unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.grid_reader import FLAT, FREE, MOST_CELLS, OCCUPIED, UNKNOWN
from lsm_ros.fusion.read.surface import Surface, distances
from lsm_ros.types import OccupancyMap

_CHUNK = 512


def occupancy(pools: Pools, surface: Surface, layout: Layout, config: GridConfig) -> OccupancyMap:
    """Grid with cells of a voxel's size; z of the map is up.

    Occupied: a surface voxel within [min_height, max_height]. Free: not occupied, and seen free within the band or a
    level surface seen below it (down to the band's height under its bottom). Else unknown.
    ValueError if the area is too large for a grid.
    """
    if not config.min_height < config.max_height:
        raise ValueError(f"min_height {config.min_height} must be below max_height {config.max_height}")
    height = surface.points_map[:, 2]
    occupied = surface.voxel[(height >= config.min_height) & (height <= config.max_height), :2]
    depth = config.max_height - config.min_height
    floor = (height < config.min_height) & (height > config.min_height - depth) & (surface.normals[:, 2] > FLAT)
    free = [surface.voxel[floor, :2], _free_voxels(pools, layout, config), _free_cells(pools, layout, config)]
    every = np.concatenate([occupied, *free])
    if not len(every):
        return OccupancyMap(np.full((0, 0), UNKNOWN, np.int8), 0.0, 0.0, layout.voxel_size)
    low, high = every.min(0).astype(np.int64), every.max(0).astype(np.int64)
    columns, rows = (high - low + 1).tolist()
    if rows * columns > MOST_CELLS:
        raise ValueError(f"the map spans {columns} x {rows} cells of {layout.voxel_size} m, too many for a grid")
    grid = np.full((rows, columns), UNKNOWN, np.int8)
    for cells in free:
        grid[cells[:, 1] - low[1], cells[:, 0] - low[0]] = FREE
    grid[occupied[:, 1] - low[1], occupied[:, 0] - low[0]] = OCCUPIED
    return OccupancyMap(grid, float(low[0] * layout.voxel_size), float(low[1] * layout.voxel_size), layout.voxel_size)


def _free_voxels(pools: Pools, layout: Layout, config: GridConfig) -> np.ndarray:
    """Columns (N, 2) of voxels whose centre is in the band and that lie half a voxel or more in front of surfaces."""
    pool = pools.voxels
    slots = pool.all_slots()
    index = unpack_keys(pool.keys[slots])
    bottom = index[:, 2] * layout.block_size
    inside = (bottom <= config.max_height) & (bottom + layout.block_size >= config.min_height)
    slots, index = slots[inside], index[inside]
    found = [np.zeros((0, 2), np.int32)]
    for first in range(0, len(slots), _CHUNK):
        chunk = slice(first, first + _CHUNK)
        d = distances(pool, slots[chunk], layout).reshape(-1, BLOCK, BLOCK, BLOCK)
        z = (index[chunk, 2:] * BLOCK + np.arange(BLOCK) + 0.5) * layout.voxel_size
        band = (z >= config.min_height) & (z <= config.max_height)
        block, i, j = np.nonzero(((d >= 0.5) & band[:, None, None, :]).any(3))
        found.append(index[chunk][block, :2] * BLOCK + np.stack([i, j], -1).astype(np.int32))
    return np.concatenate(found)


def _free_cells(pools: Pools, layout: Layout, config: GridConfig) -> np.ndarray:
    """Columns (N, 2) under the cells of the free-space layer whose centre is in the band, each once."""
    pool, factor = pools.free, layout.free_factor
    slots = pool.all_slots()
    block, cell = np.nonzero(pool.column("weight", slots, 0))
    inner = np.stack(np.unravel_index(cell, (BLOCK,) * 3), -1).astype(np.int32)
    index = unpack_keys(pool.keys[slots])[block] * BLOCK + inner
    z = (index[:, 2] + 0.5) * layout.free_cell
    columns = np.unique(index[(z >= config.min_height) & (z <= config.max_height), :2], axis=0) * factor
    offset = np.stack(np.meshgrid(*[np.arange(factor, dtype=np.int32)] * 2, indexing="ij"), -1).reshape(-1, 2)
    return (columns[:, None, :] + offset).reshape(-1, 2)
