# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The free-space layer: coarse cells that an observation sees as wholly empty. A pure function as in `integrate`.

The box of cells (`free_box`) serves all backends; `free_contribution` is the reference in NumPy, of which kernels.h holds
the same for C and CUDA.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, KEY_BITS, far_away
from lsm_ros.fusion.backends.layout import BLOCK, CameraPose, Layout
from lsm_ros.fusion.backends.pixels import Pixels, pixel_weight
from lsm_ros.fusion.backends.view import TILE, View, free_reach, posed_view

CELLS = BLOCK**3
_WIDEST = 2.0  # tangent of the half angle of view within which free space is marked, which bounds the work


@dataclass(frozen=True)
class FreeBox:
    """Blocks of 8x8x8 cells around a view frustum.

    low (3,) int64: index of the first block; blocks (3,) int32: how many. axes: for each map axis a, (3, 8 * blocks[a])
    float32, what a cell's place on that axis adds to the three camera coordinates of its centre.
    """

    low: np.ndarray
    blocks: np.ndarray
    axes: list[np.ndarray]

    def keys(self, which: np.ndarray) -> np.ndarray:
        """Keys (N,) int64 of blocks by their number in the box, z fastest."""
        (x, y, z), (_, down, across) = (self.low + HALF).tolist(), self.blocks.tolist()
        layer, inner = np.divmod(which, down * across)
        row, column = np.divmod(inner, across)
        return ((layer + x) << (2 * KEY_BITS)) | ((row + y) << KEY_BITS) | (column + z)


@dataclass(frozen=True)
class FreeContribution:
    """Cells seen free. keys (B,) int64, sorted: blocks with any; weights (C, 512) uint8: of whole blocks; rows (B,)
    int64: where in `weights` the blocks are. The weights may be an array of another device."""

    keys: np.ndarray
    weights: Any
    rows: np.ndarray


def free_contribution(pixels: Pixels, pose: CameraPose, layout: Layout) -> FreeContribution:
    """Cells between camera and surfaces whose whole view is farther than they are, by the truncation.

    ValueError if cell indices overflow.
    """
    view = posed_view(pixels.view, pose, layout, pixels.farthest)
    box = free_box(view, pose, layout, pixels.farthest)
    if box is None:
        return nothing_free()
    layers, down, across = box.blocks.tolist()
    weights = np.zeros((layers * down * across, CELLS), np.uint8)
    for n in range(layers):
        i = slice(n * BLOCK, (n + 1) * BLOCK)
        x, y, z = ((box.axes[0][m, i, None, None] + box.axes[1][m, None, :, None]) + box.axes[2][m, None, None, :]
                   for m in range(3))
        layer = _free(pixels, view, x.ravel(), y.ravel(), z.ravel()).reshape(BLOCK, down, BLOCK, across, BLOCK)
        weights[n * down * across:(n + 1) * down * across] = layer.transpose(1, 3, 0, 2, 4).reshape(-1, CELLS)
    rows = np.flatnonzero(weights.any(1))
    return FreeContribution(box.keys(rows), weights, rows)


def nothing_free() -> FreeContribution:
    """Of an observation without depth."""
    return FreeContribution(np.zeros(0, np.int64), np.zeros((0, CELLS), np.uint8), np.zeros(0, np.int64))


def free_box(view: View, pose: CameraPose, layout: Layout, farthest: float) -> FreeBox | None:
    """The blocks in which an observation may see free cells; None if it has no depth. ValueError if they overflow."""
    reach = free_reach(pose, layout, farthest)
    if reach == 0:
        return None
    size, corners = layout.free_cell, [(0.0, 0.0, 0.0)]
    for u in (0, view.width - 1):
        for v in (0, view.height - 1):
            x, y = (u - view.cx) / view.fx, (v - view.cy) / view.fy
            corners.append((reach * min(max(x, -_WIDEST), _WIDEST), reach * min(max(y, -_WIDEST), _WIDEST), reach))
    low, high = [], []
    for row, t in zip(pose.R.tolist(), pose.t.tolist(), strict=True):
        along = [(row[0] * x + row[1] * y + row[2] * z + t) / (BLOCK * size) for x, y, z in corners]
        low.append(_inside(min(along)))
        high.append(_inside(max(along)))
    blocks = np.array(high, np.int32) - np.array(low, np.int32) + 1
    axes = []
    for a in range(3):
        centres = (np.arange(low[a] * BLOCK, (high[a] + 1) * BLOCK) + 0.5) * size - pose.t[a]
        axes.append((pose.inverse[:, a, None] * centres).astype(np.float32))
    return FreeBox(np.array(low, np.int64), blocks, axes)


def _inside(place: float) -> int:
    """Index of the block at a place in blocks. ValueError if it is too far away."""
    if not -HALF <= place < HALF:
        raise far_away(place)
    return math.floor(place)


def _free(pixels: Pixels, view: View, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Weight (N,) uint8 that sees cells with these centres (camera coordinates) wholly empty, 0 if not."""
    radius, out = np.float32(view.cell_radius), np.zeros(len(z), np.uint8)
    front = (z > radius) & (z <= np.float32(view.cell_reach))
    inverse = np.float32(1) / np.where(front, z, np.float32(1))
    u = x * inverse * np.float32(view.fx) + np.float32(view.cx)
    v = y * inverse * np.float32(view.fy) + np.float32(view.cy)
    inside = np.flatnonzero(front & (u >= 0) & (u <= view.width - 1) & (v >= 0) & (v <= view.height - 1))
    if not len(inside):
        return out
    z, u, v, inverse = (a[inside] for a in (z, u, v, inverse))
    nearest, known = _window(pixels, view, u, v, radius * inverse * np.float32(view.largest_f))
    free = (nearest > z + radius + np.float32(view.cell_margin)) & known
    out[inside[free]] = pixel_weight(inverse[free], 255)
    return out


def _window(pixels: Pixels, view: View, u: np.ndarray, v: np.ndarray,
            radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest depth in a window of at least +-radius pixels around (u, v), and whether half of the pixels of the tile
    there are known.

    The window is covered by at most 3x3 tiles of the pyramid whose tiles are no smaller than the radius.
    """
    shapes = np.array(view.level_shapes())
    offsets = np.array(view.level_offset[:view.levels])
    sizes = TILE * 2 ** np.arange(view.levels)
    level = np.minimum(np.searchsorted(sizes.astype(np.float32), radius), view.levels - 1)
    size, offset, (rows, columns) = sizes[level], offsets[level], shapes[level].T
    per_tile = np.float32(1) / size.astype(np.float32)

    def tiles(centre: np.ndarray, count: np.ndarray) -> list[np.ndarray]:
        first = np.clip(np.floor((centre - radius) * per_tile).astype(np.int64), 0, count - 1)
        last = np.clip(np.floor((centre + radius) * per_tile).astype(np.int64), 0, count - 1)
        return [first, np.minimum(first + 1, last), last]

    across, down = tiles(u, columns), tiles(v, rows)
    best = np.full(len(u), np.inf, np.float32)
    for r in down:
        for c in across:
            best = np.minimum(best, pixels.near[offset + r * columns + c])
    row, column = (v * per_tile).astype(np.int64), (u * per_tile).astype(np.int64)
    tall, wide = np.minimum(view.height - row * size, size), np.minimum(view.width - column * size, size)
    return best, 2 * pixels.known[offset + row * columns + column] >= tall * wide
