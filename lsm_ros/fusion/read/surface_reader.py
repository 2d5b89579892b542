# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The whole surface and the volume that was seen, read again only where blocks changed."""
from __future__ import annotations

from dataclasses import fields

import numpy as np

from lsm_ros.fusion.backends.blocks import pack_keys, unpack_keys
from lsm_ros.fusion.backends.integrate import WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.block_rows import BlockRows
from lsm_ros.fusion.read.reading import FACES, ChangeTracker, least_weight, live_keys, read_visible
from lsm_ros.fusion.read.surface import Surface, confidence_of, free_weight
from lsm_ros.types import UNLABELLED, MapSnapshot

_CHUNK = 512  # blocks at a time
_SELF = np.zeros((1, 3), np.int64)


class SurfaceReader:
    """Reads the surface and remembers it by block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changes = ChangeTracker(layout, FACES)
        self._rows: BlockRows | None = None
        self._surface: Surface | None = None

    def read(self, pools: Pools, seq: int, min_weight: float) -> Surface:
        """The surface at `seq`; the same object while nothing changed. min_weight in units of a good pixel at 1 m.

        A voxel is left out when more weight saw its whole free-space cell empty than saw the voxel itself: what moved
        away leaves no ghost although nothing was subtracted.
        """
        least = least_weight(min_weight)
        changed = self._changes.changed(pools, seq, least)
        if changed is None:
            self._rows = self._surface = None
            changed = live_keys(pools.voxels)
        if self._surface is None or len(changed):
            found = read_visible(pools, changed, self._layout, least)
            fresh = BlockRows.of(pack_keys(found.voxel // BLOCK), tuple(getattr(found, f.name) for f in fields(found)))
            self._rows = fresh if self._rows is None else self._rows.replaced(changed, fresh)
            self._surface = Surface(*self._rows.columns)
        return self._surface


class VolumeReader:
    """Counts the voxels that were seen outside of free-space cells, by block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changes = ChangeTracker(layout, _SELF)
        self._counts: BlockRows | None = None

    def read(self, pools: Pools, seq: int) -> float:
        """Volume in m^3 that was seen: free cells, and voxels near surfaces outside of them."""
        changed = self._changes.changed(pools, seq, 0)
        if changed is None:
            self._counts, changed = None, live_keys(pools.voxels)
        if self._counts is None or len(changed):
            keys = changed[pools.voxels.find(changed) >= 0]
            fresh = BlockRows.of(keys, (self._seen(pools, keys),))
            self._counts = fresh if self._counts is None else self._counts.replaced(changed, fresh)
        free = np.count_nonzero(pools.free.take("weight", pools.free.all_slots()))
        seen = int(self._counts.columns[0].sum())
        return float(free) * self._layout.free_cell**3 + float(seen) * self._layout.voxel_size**3

    def _seen(self, pools: Pools, keys: np.ndarray) -> np.ndarray:
        """For each block (B,) how many of its voxels were seen in cells that nobody saw empty (B,) int64."""
        edge = min(self._layout.free_factor, BLOCK)  # voxels along the edge of the cells that a block is cut into
        n = BLOCK // edge
        cells = np.stack(np.meshgrid(*[np.arange(n) * edge] * 3, indexing="ij"), -1).reshape(-1, 3)
        parts = [np.zeros(0, np.int64)]
        for first in range(0, len(keys), _CHUNK):
            chunk = keys[first:first + _CHUNK]
            seen = pools.voxels.column("voxels", pools.voxels.find(chunk), WEIGHT) > 0
            counts = seen.reshape(-1, n, edge, n, edge, n, edge).sum((2, 4, 6)).reshape(-1, n**3)
            corner = unpack_keys(chunk)[:, None, :] * BLOCK + cells
            outside = free_weight(pools.free, corner.reshape(-1, 3), self._layout.free_factor) == 0
            parts.append((counts * outside.reshape(counts.shape)).sum(1))
        return np.concatenate(parts)


def snapshot(surface: Surface, layout: Layout, label_threshold: float, volume_m3: float, seq: int) -> MapSnapshot:
    """Copies that leave the map: read-only arrays."""
    labels = np.where(surface.label_probability >= label_threshold, surface.labels, np.uint16(UNLABELLED))
    arrays = (surface.points_map, surface.colors, labels, confidence_of(surface), surface.weight, surface.normals)
    for a in arrays:
        a.setflags(write=False)
    return MapSnapshot(*arrays, layout.voxel_size, volume_m3, seq=seq)
