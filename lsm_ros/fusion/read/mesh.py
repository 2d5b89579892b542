# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The surface as a coloured and labelled mesh, kept by block: only where something changed is it computed anew.

Naive surface nets (Gibson, "Constrained elastic surface nets", 1998): a cell between eight voxel centres that the surface
crosses gets one vertex, the mean of the crossings of its edges; each edge with a crossing joins the vertices of the four
cells around it. A crossing needs both its ends seen, not the whole cell, so the mesh goes as far as the surface voxels do.
"""
from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from itertools import product

import numpy as np

from lsm_ros.fusion.backends.blocks import unpack_keys
from lsm_ros.fusion.backends.integrate import BLUE, LABEL_CELLS, NEAR, RED, VOXELS, WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.reading import AROUND, ChangeTracker, Window, least_weight, live_keys, read_windows
from lsm_ros.fusion.read.surface import _best_labels as best_labels
from lsm_ros.fusion.read.surface import free_weight

_CELLS = BLOCK + 1  # cells with their low corner at voxels -1 to 7
_CHUNK = 128  # blocks at a time: some ten milliseconds
_EDGES = tuple((axis, b, c) for axis in range(3) for b, c in product((0, 1), repeat=2))


@dataclass(frozen=True)
class Mesh:
    """vertices (N, 3) float32 metres in the map; colors (N, 3) uint8 RGB; labels (N,) uint16, `UNLABELLED` where unknown;
    triangles (M, 3) int32 rows of vertices, counterclockwise seen from the free side."""

    vertices: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True)
class _Part:
    """Mesh of a block: its vertices, with the cell (N, 3) int32 that each belongs to, and triangles (M, 3) of them."""

    cell: np.ndarray
    vertices: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    triangles: np.ndarray


class MeshReader:
    """Makes the mesh of a map and remembers its parts."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._changes = ChangeTracker(layout, AROUND)
        self._parts: dict[int, _Part] = {}
        self._meshes: dict[bool, Mesh] = {}
        self._todo = np.zeros(0, np.int64)

    def read(self, pools: Pools, seq: int, min_weight: float, welded: bool = True, budget_ms: float = math.inf) -> Mesh | None:
        """The mesh at `seq`; the same object while nothing changed. min_weight in units of a good pixel at 1 m.

        Not welded it costs less: vertices at the sides of blocks come more than once, which nobody sees. None if there was
        more to do than the budget allows: the next call goes on with it.
        """
        start = time.perf_counter()
        least = least_weight(min_weight)
        changed = self._changes.changed(pools, seq, least)
        if changed is None:
            self._parts.clear()
            self._todo = changed = live_keys(pools.voxels)
        if len(changed):
            self._meshes.clear()
            self._todo = np.union1d(self._todo, changed)
        while len(self._todo):
            keys, self._todo = self._todo[:_CHUNK], self._todo[_CHUNK:]
            for key in keys.tolist():
                self._parts.pop(key, None)
            self._parts.update(_parts(pools, read_windows(pools, keys, self._layout), self._layout, least))
            if len(self._todo) and (time.perf_counter() - start) * 1e3 > budget_ms:
                return None
        if welded not in self._meshes:
            cell, mesh = _joined([self._parts[k] for k in sorted(self._parts)])
            self._meshes[welded] = _welded(cell, mesh) if welded else mesh
        return self._meshes[welded]


def _parts(pools: Pools, window: Window, layout: Layout, least: int) -> dict[int, _Part]:
    """Parts by key of the blocks of a window; blocks without quads have none."""
    quads = _quads(pools, window, layout, least)
    cells, quads = np.unique(quads, return_inverse=True)
    quads = quads.reshape(-1, 4)
    block, inner = cells // _CELLS**3, cells % _CELLS**3
    corner = np.stack(np.unravel_index(inner, (_CELLS,) * 3), -1)
    index = unpack_keys(window.keys)[block] * BLOCK + (corner - 1).astype(np.int32)
    points = ((index + 0.5 + _vertices(window.distance, block, corner)) * layout.voxel_size).astype(np.float32)
    colors, labels = _looks(pools, window, block, corner)
    triangles = _halved(quads, points)
    places = np.arange(len(window.keys) + 1)
    first, first_triangle = np.searchsorted(block, places), np.searchsorted(block[triangles[:, 0]], places)
    found = {}
    for b in np.unique(block).tolist():
        v, q = slice(first[b], first[b + 1]), slice(first_triangle[b], first_triangle[b + 1])
        found[int(window.keys[b])] = _Part(index[v], points[v], colors[v], labels[v],
                                           (triangles[q] - first[b]).astype(np.int32))
    return found


def _quads(pools: Pools, window: Window, layout: Layout, least: int) -> np.ndarray:
    """Cells (N, 4) around each shown crossing that a block owns, as flat indices into (B, 9, 9, 9), in the order of blocks
    and counterclockwise seen from the free side.

    As for surface voxels, the nearer end must be within one voxel, have the smallest weight, and not be seen as empty.
    """
    found, blocks = [], []
    for axis in range(3):
        low, high = _ends(window.distance, axis)
        nearer = np.where(np.abs(high) < np.abs(low), 1, 0)
        b, i, j, k = np.nonzero(_crosses(low, high))
        voxel = np.stack([i, j, k], -1)  # the low end; in the window at +1
        end = voxel + (np.arange(3) == axis) * nearer[b, i, j, k][:, None]
        weight = pools.voxels.rows("voxels")[window.rows[(b, *(end + 1).T)], WEIGHT]
        free = free_weight(pools.free, unpack_keys(window.keys)[b] * BLOCK + end.astype(np.int32), layout.free_factor)
        shown = (weight >= least) & (free <= weight)
        b, voxel, inward = b[shown], voxel[shown], (low > high)[b, i, j, k][shown]
        around = np.repeat(voxel[:, None, :] + 1, 4, axis=1)  # the cell with this low corner, and three before it
        around[:, [1, 2], (axis + 1) % 3] -= 1
        around[:, [2, 3], (axis + 2) % 3] -= 1
        around[inward] = around[inward][:, ::-1]  # the free side is at the low end
        found.append(((b[:, None] * _CELLS + around[..., 0]) * _CELLS + around[..., 1]) * _CELLS + around[..., 2])
        blocks.append(b)
    return np.concatenate(found)[np.argsort(np.concatenate(blocks), kind="stable")]


def _ends(distance: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances (B, 8, 8, 8) at a block's own voxels, and at those after them along an axis, of (B, 10, 10, 10)."""
    place = [slice(None)] + [slice(1, 1 + BLOCK)] * 3
    low = distance[tuple(place)]
    place[axis + 1] = slice(2, 2 + BLOCK)
    return low, distance[tuple(place)]


def _crosses(d0: np.ndarray, d1: np.ndarray) -> np.ndarray:
    """True where the surface is between voxels at distances d0 and d1, and within one voxel of one of them. NaN: no."""
    either = (d0 < 0) & (d1 >= 0) | (d1 < 0) & (d0 >= 0)
    return either & (np.minimum(np.abs(d0), np.abs(d1)) < 1)


def _vertices(distance: np.ndarray, block: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Vertices (N, 3) of cells in voxels from the centre of their low corner voxel."""
    total, count = np.zeros((len(block), 3)), np.zeros(len(block))
    for axis, b, c in _EDGES:
        start = corner.copy()
        start[:, (axis + 1) % 3] += b
        start[:, (axis + 2) % 3] += c
        end = start.copy()
        end[:, axis] += 1
        d0, d1 = distance[(block, *start.T)].astype(np.float64), distance[(block, *end.T)].astype(np.float64)
        crossing = _crosses(d0, d1)
        point = (start - corner).astype(np.float64)
        point[:, axis] += np.where(crossing, d0, 0.0) / np.where(crossing, d0 - d1, 1.0)
        total += point * crossing[:, None]
        count += crossing
    return total / count[:, None]


def _looks(pools: Pools, window: Window, block: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour (N, 3) uint8 of cells, the mean of their voxels', and label (N,) uint16 of the voxel nearest to the surface."""
    sums, nearest = np.zeros((len(block), 6), np.int64), np.full(len(block), np.inf, np.float32)
    row_of_nearest = np.zeros(len(block), np.int64)
    for offset in product((0, 1), repeat=3):
        place = (block, *(corner + offset).T)
        row, distance = window.rows[place], np.abs(window.distance[place])
        sums[row >= 0] += pools.voxels.rows("voxels")[row[row >= 0]]
        better = distance < nearest  # false for NaN
        nearest, row_of_nearest = np.where(better, distance, nearest), np.where(better, row, row_of_nearest)
    near = np.maximum(sums[:, NEAR], 1)[:, None]
    slot, voxel = row_of_nearest // VOXELS, row_of_nearest % VOXELS
    half = np.stack(np.unravel_index(voxel, (BLOCK,) * 3)) // 2  # label cells have twice the voxel size
    labels, _ = best_labels(pools, slot * LABEL_CELLS + np.ravel_multi_index(tuple(half), (BLOCK // 2,) * 3))
    return ((sums[:, RED:BLUE + 1] + near // 2) // near).astype(np.uint8), labels


def _halved(quads: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Triangles (2 N, 3) of quads (N, 4), cut along the shorter diagonal."""
    corners = vertices[quads]
    square = ((corners[:, [2, 3]] - corners[:, [0, 1]])**2).sum(2)
    turned = np.where((square[:, 1] < square[:, 0])[:, None], np.roll(quads, -1, axis=1), quads)
    return turned[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def _joined(parts: list[_Part]) -> tuple[np.ndarray, Mesh]:
    """Cells (N, 3) of the vertices, and one mesh of all parts. Vertices that several parts have come several times."""
    if not parts:
        return np.zeros((0, 3), np.int32), Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8),
                                                np.zeros(0, np.uint16), np.zeros((0, 3), np.int32))
    cell, vertices, colors, labels = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Part)[:4])
    counts = [len(p.triangles) for p in parts]
    first = np.cumsum([0, *(len(p.cell) for p in parts[:-1])], dtype=np.int32)
    triangles = np.concatenate([p.triangles for p in parts]) + np.repeat(first, counts)[:, None]
    return cell, Mesh(vertices, colors, labels, triangles)


def _welded(cell: np.ndarray, mesh: Mesh) -> Mesh:
    """A mesh whose vertices of the same cell (N, 3) are one."""
    if not len(cell):
        return mesh
    low = cell.min(0).astype(np.int64)
    span = cell.max(0).astype(np.int64) - low + 1
    place = cell.astype(np.int64) - low
    _, one, which = np.unique((place[:, 0] * span[1] + place[:, 1]) * span[2] + place[:, 2], return_index=True,
                              return_inverse=True)
    return Mesh(mesh.vertices[one], mesh.colors[one], mesh.labels[one], which.ravel()[mesh.triangles].astype(np.int32))
