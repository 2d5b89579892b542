# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The free-space layer: coarse cells that an observation sees as wholly empty. A pure function as in `integrate`."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.blocks import pack_keys
from lsm_ros.fusion.layout import BLOCK, CameraPose, Layout
from lsm_ros.fusion.pixels import Pixels, pixel_weight

CELLS = BLOCK**3
_REACH_CELLS = 64  # free space is told up to this many cells from the camera, which bounds the work
_WIDEST = 2.0  # tangent of the half angle of view within which free space is told, for the same reason
_MIN_KNOWN = 0.5  # share of pixels with depth that a cell's view needs


@dataclass(frozen=True)
class FreeContribution:
    """Cells seen free: keys (B,) int64 of blocks of 8x8x8 cells, cell (N,) int32 = position * 512 + cell in the block,
    weight (N,) int32. Cells are unique."""

    keys: np.ndarray
    cell: np.ndarray
    weight: np.ndarray


def free_contribution(pixels: Pixels, pose: CameraPose, layout: Layout) -> FreeContribution:
    """Cells between camera and surfaces whose whole view is farther than they are, by the truncation.

    ValueError if cell indices overflow.
    """
    empty = np.zeros(0, np.int32)
    reach = min(pixels.farthest * pose.scale, _REACH_CELLS * layout.free_cell)
    if reach == 0:
        return FreeContribution(np.zeros(0, np.int64), empty, empty)
    low, x, y, z = _frustum_cells(pixels, pose, layout, reach)
    height, width = pixels.depth.shape
    radius = np.float32(0.5 * np.sqrt(3.0) * layout.free_cell / pose.scale)
    front = z > radius
    inverse = np.float32(1) / np.where(front, z, np.float32(1))
    u = x * inverse * np.float32(pixels.fx) + np.float32(pixels.cx)
    v = y * inverse * np.float32(pixels.fy) + np.float32(pixels.cy)
    inside = front & (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1) & (z <= np.float32(reach / pose.scale))
    position = np.flatnonzero(inside)
    z, u, v, inverse = (a.ravel()[position] for a in (z, u, v, inverse))
    nearest, known = _window(pixels.depth, u, v, radius * inverse * np.float32(max(pixels.fx, pixels.fy)))
    free = (nearest > z + radius + np.float32(layout.truncation / pose.scale)) & (known >= _MIN_KNOWN)
    index = np.stack(np.unravel_index(position[free], x.shape), -1) + low
    block = index // BLOCK
    inner = index - block * BLOCK
    packed = pack_keys(block)
    keys, which = np.unique(packed, return_inverse=True)
    cell = which.ravel() * CELLS + (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
    return FreeContribution(keys, cell.astype(np.int32), pixel_weight(z[free], 255))


def _frustum_cells(pixels: Pixels, pose: CameraPose, layout: Layout,
                   reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First cell index (3,) of the box around the view frustum, and (nx, ny, nz) camera coordinates of its cells."""
    height, width = pixels.depth.shape
    corners = [pose.t]
    for u in (0, width - 1):
        for v in (0, height - 1):
            ray = np.array([(u - pixels.cx) / pixels.fx, (v - pixels.cy) / pixels.fy, 1.0])
            ray[:2] = np.clip(ray[:2], -_WIDEST, _WIDEST)
            corners.append((pose.R * ray).sum(1) * reach + pose.t)
    box = np.floor(np.array([np.min(corners, 0), np.max(corners, 0)]) / layout.free_cell)
    pack_keys(np.floor(box / BLOCK))  # refuses what is too far away before integers could wrap
    low, high = box.astype(np.int64)
    centres = [(np.arange(a, b + 1) + 0.5) * layout.free_cell - t for a, b, t in zip(low, high, pose.t, strict=True)]
    x, y, z = (sum((m[a] * centres[a]).astype(np.float32).reshape([-1 if i == a else 1 for i in range(3)])
                   for a in range(3)) for m in pose.inverse)
    return low, x, y, z


def _window(depth: np.ndarray, u: np.ndarray, v: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest depth in a window of at least +-radius pixels around (u, v), and the share of known depth around there.

    The window is covered by at most 3x3 tiles of an image pyramid whose tiles are no smaller than the radius.
    """
    nearest, known, offsets, shapes = _pyramid(depth)
    sizes = 2.0 ** np.arange(len(offsets), dtype=np.float32)
    level = np.minimum(np.searchsorted(sizes, radius), len(sizes) - 1)
    size, offset = sizes[level], offsets[level]
    rows, columns = shapes[level, 0], shapes[level, 1]

    def tiles(centre: np.ndarray, count: np.ndarray) -> list[np.ndarray]:
        first = np.clip(np.floor((centre - radius) / size).astype(np.int64), 0, count - 1)
        last = np.clip(np.floor((centre + radius) / size).astype(np.int64), 0, count - 1)
        return [first, np.minimum(first + 1, last), last]

    across, down = tiles(u, columns), tiles(v, rows)
    best = np.full(len(u), np.inf, np.float32)
    for r in down:
        for c in across:
            best = np.minimum(best, nearest[offset + r * columns + c])
    middle = offset + (v / size).astype(np.int64) * columns + (u / size).astype(np.int64)
    return best, known[middle]


def _pyramid(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All levels, flat one after another: nearest known depth (inf = none), share of known pixels; offset and shape of
    each level. Level n has tiles of 2^n pixels; the last one has a single tile."""
    nearest = np.where(depth > 0, depth, np.float32(np.inf))
    known = (depth > 0).astype(np.float32)
    levels, shares, offsets, shapes, total = [], [], [], [], 0
    while True:
        levels.append(nearest.ravel())
        shares.append(known.ravel())
        offsets.append(total)
        shapes.append(nearest.shape)
        total += nearest.size
        if nearest.size == 1:
            break
        odd = [(0, n % 2) for n in nearest.shape]
        near, share = np.pad(nearest, odd, constant_values=np.inf), np.pad(known, odd, mode="edge")
        nearest = np.minimum(np.minimum(near[::2, ::2], near[1::2, ::2]), np.minimum(near[::2, 1::2], near[1::2, 1::2]))
        known = (share[::2, ::2] + share[1::2, ::2] + share[::2, 1::2] + share[1::2, 1::2]) * np.float32(0.25)
    return np.concatenate(levels), np.concatenate(shares), np.array(offsets), np.array(shapes)
