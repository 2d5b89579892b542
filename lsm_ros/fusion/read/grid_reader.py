# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""2D occupancy of a height band, kept: only the columns of blocks that changed are looked at again.

Occupied: a surface voxel within [min_height, max_height]. Free: not occupied, and seen free within the band, or a level
surface seen below it (down to the band's height under its bottom). Else unknown.
"""
from __future__ import annotations

import numpy as np

from lsm_ros.config import GridConfig
from lsm_ros.fusion.backends.blocks import pack_keys, unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.reading import FACES, ChangeTracker, least_weight, live_keys, read_visible
from lsm_ros.fusion.read.surface import distances
from lsm_ros.types import OccupancyMap

UNKNOWN, FREE, OCCUPIED = -1, 0, 100
FLAT = 0.7  # z of the normal of a surface that can be driven on
MOST_CELLS = 1 << 28
_FREE, _OCCUPIED = np.uint8(1), np.uint8(2)
_MARGIN = 8  # blocks of room on each side when the picture grows
_CHUNK = 512


class _Picture:
    """Marks of columns of blocks as an image. marks: uint8 (8, 8), x first, of each block that has any."""

    def __init__(self) -> None:
        self.low = np.zeros(2, np.int64)  # block index (x, y) of the image's corner
        self.image = np.zeros((0, 0), np.uint8)  # y first
        self._stacks: dict[tuple[int, int], dict[int, np.ndarray]] = {}

    def put(self, index: np.ndarray, marks: np.ndarray) -> None:
        """Replaces the marks (N, 8, 8) of blocks at index (N, 3)."""
        some = marks.any((1, 2))
        if some.any():
            self._make_room(index[some, :2].min(0), index[some, :2].max(0))
        for (x, y, z), tile, marked in zip(index.tolist(), marks, some.tolist(), strict=True):
            if marked:
                self._stacks.setdefault((x, y), {})[z] = tile
            elif (x, y) in self._stacks:
                self._stacks[x, y].pop(z, None)
        for x, y in {(x, y) for x, y, _ in index.tolist()} & self._stacks.keys():
            stack = self._stacks[x, y]
            column, row = (x - int(self.low[0])) * BLOCK, (y - int(self.low[1])) * BLOCK
            total = np.bitwise_or.reduce(list(stack.values())) if stack else np.zeros((BLOCK, BLOCK), np.uint8)
            self.image[row:row + BLOCK, column:column + BLOCK] = total.T
            if not stack:
                del self._stacks[x, y]

    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """First and last column (x, y) with a mark; None without any."""
        columns, rows = np.flatnonzero(self.image.any(0)), np.flatnonzero(self.image.any(1))
        if not len(columns):
            return None
        corner = self.low * BLOCK
        return corner + (columns[0], rows[0]), corner + (columns[-1], rows[-1])

    def _make_room(self, first: np.ndarray, last: np.ndarray) -> None:
        height, width = (n // BLOCK for n in self.image.shape)
        high = self.low + (width, height)
        if self.image.size and (first >= self.low).all() and (last < high).all():
            return
        low = first - _MARGIN if not self.image.size else np.where(first < self.low, first - _MARGIN, self.low)
        top = last + 1 + _MARGIN if not self.image.size else np.where(last >= high, last + 1 + _MARGIN, high)
        columns, rows = ((top - low) * BLOCK).tolist()
        if rows * columns > MOST_CELLS:
            raise ValueError(f"the map spans {columns} x {rows} cells, too many for a grid")
        image = np.zeros((rows, columns), np.uint8)
        x, y = ((self.low - low) * BLOCK).tolist()
        image[y:y + self.image.shape[0], x:x + self.image.shape[1]] = self.image
        self.low, self.image = low.astype(np.int64), image


class GridReader:
    """Reads the 2D occupancy of a map and remembers it by block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._config: GridConfig | None = None
        self._forget()

    def _forget(self) -> None:
        self._changes = ChangeTracker(self._layout, FACES)
        self._voxels, self._cells = _Picture(), _Picture()
        self._free_keys, self._seq = np.zeros(0, np.int64), -1
        self._grid: OccupancyMap | None = None

    def read(self, pools: Pools, seq: int, min_weight: float, config: GridConfig) -> OccupancyMap:
        """The grid at `seq`, with cells of a voxel's size; z of the map is up. The same object while nothing changed.

        ValueError if the area is too large for a grid, or the band is empty.
        """
        if not config.min_height < config.max_height:
            raise ValueError(f"min_height {config.min_height} must be below max_height {config.max_height}")
        if config != self._config:
            self._forget()
            self._config = config
        least = least_weight(min_weight)
        keys = self._changes.changed(pools, seq, least)
        if keys is None:
            self._forget()
            self._changes.changed(pools, seq, least)
            keys = live_keys(pools.voxels)
        elif self._grid is not None and seq == self._seq:
            return self._grid
        try:
            for first in range(0, len(keys), _CHUNK):
                chunk = keys[first:first + _CHUNK]
                self._voxels.put(unpack_keys(chunk), self._voxel_marks(pools, chunk, least))
            self._read_cells(pools)
            self._grid, self._seq = self._composed(), seq
        except ValueError:
            self._forget()
            raise
        return self._grid

    def _voxel_marks(self, pools: Pools, keys: np.ndarray, least: int) -> np.ndarray:
        """Marks (N, 8, 8) of voxel blocks; none of blocks that do not exist."""
        config, layout = self._config, self._layout
        marks = np.zeros((len(keys), BLOCK, BLOCK), np.uint8)
        surface = read_visible(pools, keys, layout, least)
        height = surface.points_map[:, 2]
        occupied = (height >= config.min_height) & (height <= config.max_height)
        bottom = config.min_height - (config.max_height - config.min_height)
        floor = (height < config.min_height) & (height > bottom) & (surface.normals[:, 2] > FLAT)
        for which, mark in ((floor, _FREE), (occupied, _OCCUPIED)):
            voxel = surface.voxel[which]
            block = np.searchsorted(keys, pack_keys(voxel // BLOCK))
            np.bitwise_or.at(marks, (block, voxel[:, 0] % BLOCK, voxel[:, 1] % BLOCK), mark)
        slots = pools.voxels.find(keys)
        there = np.flatnonzero(slots >= 0)
        z = (unpack_keys(keys[there])[:, 2:] * BLOCK + np.arange(BLOCK) + 0.5) * layout.voxel_size
        band = (z >= config.min_height) & (z <= config.max_height)
        there, band = there[band.any(1)], band[band.any(1)]
        free = distances(pools.voxels, slots[there], layout).reshape(-1, BLOCK, BLOCK, BLOCK) >= 0.5
        marks[there] |= (free & band[:, None, None, :]).any(3) * _FREE
        return marks

    def _read_cells(self, pools: Pools) -> None:
        """Brings the marks of the free-space layer up to date."""
        pool, config = pools.free, self._config
        keys = live_keys(pool)
        gone = np.setdiff1d(self._free_keys, keys, assume_unique=True)
        changed = np.sort(pool.keys[(pool.users > 0) & (pool.seq > self._seq)])
        weight = pool.column("weight", pool.find(changed), 0).reshape(-1, BLOCK, BLOCK, BLOCK)
        z = (unpack_keys(changed)[:, 2:] * BLOCK + np.arange(BLOCK) + 0.5) * self._layout.free_cell
        band = (z >= config.min_height) & (z <= config.max_height)
        self._cells.put(unpack_keys(changed), ((weight > 0) & band[:, None, None, :]).any(3) * _FREE)
        self._cells.put(unpack_keys(gone), np.zeros((len(gone), BLOCK, BLOCK), np.uint8))
        self._free_keys = keys

    def _composed(self) -> OccupancyMap:
        """One grid of both pictures, no larger than what is known."""
        size, factor = self._layout.voxel_size, self._layout.free_factor
        fine, coarse = self._voxels.bounds(), self._cells.bounds()
        corners = [] if fine is None else [fine]
        if coarse is not None:
            corners.append((coarse[0] * factor, (coarse[1] + 1) * factor - 1))
        if not corners:
            return OccupancyMap(np.full((0, 0), UNKNOWN, np.int8), 0.0, 0.0, size)
        low, high = np.min([c[0] for c in corners], 0), np.max([c[1] for c in corners], 0)
        columns, rows = (high - low + 1).tolist()
        if rows * columns > MOST_CELLS:
            raise ValueError(f"the map spans {columns} x {rows} cells of {size} m, too many for a grid")
        marks = np.zeros((rows, columns), np.uint8)
        if coarse is not None:
            (x0, y0), (x1, y1) = coarse[0] - self._cells.low * BLOCK, coarse[1] - self._cells.low * BLOCK
            part = self._cells.image[y0:y1 + 1, x0:x1 + 1].repeat(factor, 0).repeat(factor, 1)
            x, y = (coarse[0] * factor - low).tolist()
            marks[y:y + part.shape[0], x:x + part.shape[1]] |= part
        if fine is not None:
            (x0, y0), (x1, y1) = fine[0] - self._voxels.low * BLOCK, fine[1] - self._voxels.low * BLOCK
            part = self._voxels.image[y0:y1 + 1, x0:x1 + 1]
            x, y = (fine[0] - low).tolist()
            marks[y:y + part.shape[0], x:x + part.shape[1]] |= part
        grid = np.array([UNKNOWN, FREE, OCCUPIED, OCCUPIED], np.int8)[marks]
        return OccupancyMap(grid, float(low[0] * size), float(low[1] * size), size)
