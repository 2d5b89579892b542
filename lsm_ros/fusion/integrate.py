# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What an observation contributes to the map: a pure function of (observation, pose, voxel index).

Voxel centres are projected to the nearest pixel. Only element-wise float32 arithmetic is used, so that a voxel's
contribution is the same bits whatever else is computed along with it.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.blocks import pack_keys, unpack_keys
from lsm_ros.fusion.layout import BLOCK, STEPS, CameraPose, Layout
from lsm_ros.fusion.pixels import Pixels

VOXELS = BLOCK**3
LABEL_CELLS = (BLOCK // 2) ** 3  # label cells have twice the voxel size
SDF, WEIGHT, RED, GREEN, BLUE, NEAR = range(6)
"""Columns of a voxel: distance * weight, weight, colour * near weight (three), weight of what saw a surface near."""
_NEAREST = 0.02  # camera units; nothing nearer has a pixel
_CHUNK = 64  # blocks at a time, so that the arrays stay in the cache

_i, _j, _k = (a.ravel() for a in np.mgrid[0:BLOCK, 0:BLOCK, 0:BLOCK])
_LABEL_CELL_OF_VOXEL = (((_i // 2) * (BLOCK // 2) + _j // 2) * (BLOCK // 2) + _k // 2).astype(np.int32)


@dataclass(frozen=True)
class Contribution:
    """What one observation adds to the voxels of the blocks `keys` (B,) int64, sorted; each of them gets something.

    voxel (N,) int32: position in `keys` * 512 + voxel in the block (x slowest); values (N, 6) int32 for the columns
    above. label_cell (L,) int32: position in `keys` * 64 + cell; label (L,) int32: position in the observation's
    `label_ids`; count (L,) int32: evidence. Pairs (label_cell, label) are unique.
    """

    keys: np.ndarray
    voxel: np.ndarray
    values: np.ndarray
    label_cell: np.ndarray
    label: np.ndarray
    count: np.ndarray


def contribution(pixels: Pixels, pose: CameraPose, layout: Layout, keys: np.ndarray | None = None) -> Contribution:
    """The contribution of an observation at a pose; `keys`: the blocks it touches, where they are known already.

    Signed distance: steps of truncation / 511, positive in front of the surface, measured to its tangent plane. More
    than the truncation in front is +511 (free), more than the truncation behind is unseen. Weight falls linearly behind
    the surface from one voxel on, so that thin things keep their two sides. ValueError if block indices overflow.
    """
    if keys is None:
        keys = surface_blocks(pixels, pose, layout)
    voxels, values, cells, labels, counts = [], [], [], [], []
    for first in range(0, len(keys), _CHUNK):
        chunk = keys[first:first + _CHUNK]
        voxel, pixel, distance = _project(pixels, pose, layout, chunk)
        sums, near_voxel = _sums(pixels, layout, pixel, distance)
        voxels.append(voxel + np.int32(first * VOXELS))
        values.append(sums)
        if pixels.labels is not None:
            cell, label, count = _label_sums(pixels, voxel[near_voxel], pixel[near_voxel], sums[near_voxel, WEIGHT],
                                             len(chunk))
            cells.append(cell + np.int32(first * LABEL_CELLS))
            labels.append(label)
            counts.append(count)
    empty = np.zeros(0, np.int32)
    voxel = np.concatenate(voxels) if voxels else empty
    used = np.zeros(len(keys), bool)
    used[voxel // VOXELS] = True
    position = (np.cumsum(used) - 1).astype(np.int32)
    cell = np.concatenate(cells) if cells else empty
    return Contribution(
        keys[used], position[voxel // VOXELS] * np.int32(VOXELS) + voxel % VOXELS,
        np.concatenate(values) if values else np.zeros((0, 6), np.int32),
        position[cell // LABEL_CELLS] * np.int32(LABEL_CELLS) + cell % LABEL_CELLS if len(cell) else empty,
        np.concatenate(labels) if labels else empty, np.concatenate(counts) if counts else empty)


def surface_blocks(pixels: Pixels, pose: CameraPose, layout: Layout) -> np.ndarray:
    """Sorted keys (B,) int64 of the blocks that lie within the truncation of a pixel's surface point, along its ray.

    Rays are taken at most a voxel apart at the farthest depth, so that nothing as wide as a voxel is missed.
    """
    farthest = pixels.farthest
    if farthest == 0:
        return np.zeros(0, np.int64)
    step = int(layout.voxel_size * min(pixels.fx, pixels.fy) / (farthest * pose.scale))
    step = min(max(step, 1), 8)
    depth = pixels.depth[::step, ::step]
    rows, columns = np.nonzero(depth)
    if not len(rows):
        step, depth = 1, pixels.depth
        rows, columns = np.nonzero(depth)
    z = depth[rows, columns].astype(np.float64)
    x, y = (columns * step - pixels.cx) / pixels.fx, (rows * step - pixels.cy) / pixels.fy
    samples = int(np.ceil(2 * layout.truncation_voxels / (BLOCK // 2))) + 1
    found = []
    for offset in np.linspace(-layout.truncation, layout.truncation, samples):
        distance = pose.scale * z + offset
        index = []
        for axis in range(3):
            R = pose.R[axis]
            point = (R[0] * x + R[1] * y + R[2]) * distance + pose.t[axis]
            index.append(np.floor(point / layout.block_size))
        keys = pack_keys(np.stack(index, -1)[distance > 0])
        fresh = np.ones(len(keys), bool)
        fresh[1:] = keys[1:] != keys[:-1]  # neighbours in a row mostly hit the same block
        found.append(keys[fresh])
    return np.unique(np.concatenate(found))


def _project(pixels: Pixels, pose: CameraPose, layout: Layout,
             keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels (N,) int32 that are seen, their pixels (N,), and their signed distance (N,) float32 in steps, >= -511."""
    size = layout.voxel_size
    corner = (unpack_keys(keys).astype(np.float64) * BLOCK + 0.5) * size - pose.t
    axes = []
    for m in pose.inverse:
        start = (m[0] * corner[:, 0] + m[1] * corner[:, 1] + m[2] * corner[:, 2]).astype(np.float32)
        inside = ((m[0] * _i + m[1] * _j + m[2] * _k) * size).astype(np.float32)
        axes.append(start[:, None] + inside)
    x, y, z = axes
    height, width = pixels.depth.shape
    front = z > np.float32(_NEAREST)
    inverse = np.float32(1) / np.where(front, z, np.float32(1))
    u = np.floor(x * inverse * np.float32(pixels.fx) + np.float32(pixels.cx + 0.5))
    v = np.floor(y * inverse * np.float32(pixels.fy) + np.float32(pixels.cy + 0.5))
    seen = front & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    voxel = np.flatnonzero(seen)
    pixel = v.ravel()[voxel].astype(np.int32) * np.int32(width) + u.ravel()[voxel].astype(np.int32)
    depth = pixels.depth.ravel()[pixel]
    distance = (depth - z.ravel()[voxel]) * pixels.slope[pixel] * np.float32(pose.scale * STEPS / layout.truncation)
    keep = (depth > 0) & (distance >= -STEPS)
    return voxel[keep].astype(np.int32), pixel[keep], distance[keep]


def _sums(pixels: Pixels, layout: Layout, pixel: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (N, 6) int32 of voxels, and the voxels within one voxel of the surface (positions)."""
    one_voxel = np.float32(STEPS / layout.truncation_voxels)
    weight = pixels.weight[pixel]
    behind = np.flatnonzero(distance < -one_voxel)
    if len(behind):
        share = (distance[behind] + np.float32(STEPS)) / (np.float32(STEPS) - one_voxel)
        weight[behind] = np.maximum(1, (weight[behind] * share).astype(np.int32))
    near = weight * (distance <= STEPS)
    out = np.empty((len(pixel), 6), np.int32)
    np.multiply(np.rint(np.minimum(distance, np.float32(STEPS))).astype(np.int32), weight, out=out[:, SDF])
    out[:, WEIGHT] = weight
    np.multiply(pixels.rgb[pixel], near[:, None], out=out[:, RED:BLUE + 1])
    out[:, NEAR] = near
    return out, np.flatnonzero(np.abs(distance) <= one_voxel)


def _label_sums(pixels: Pixels, voxel: np.ndarray, pixel: np.ndarray, weight: np.ndarray,
                blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of the labels in label cells: the summed weight of the cell's voxels that saw each label."""
    label = pixels.labels[pixel]
    known = label >= 0
    voxel, label, weight = voxel[known], label[known], weight[known]
    kinds = max(len(pixels.label_ids), 1)
    cell = (voxel // VOXELS) * LABEL_CELLS + _LABEL_CELL_OF_VOXEL[voxel % VOXELS]
    if kinds <= 64:
        sums = np.bincount(cell * kinds + label, weights=weight, minlength=blocks * LABEL_CELLS * kinds)
        pair = np.flatnonzero(sums)
        count = sums[pair]
    else:
        pair, inverse = np.unique(cell.astype(np.int64) * kinds + label, return_inverse=True)
        count = np.bincount(inverse.ravel(), weights=weight, minlength=len(pair))
    return (pair // kinds).astype(np.int32), (pair % kinds).astype(np.int32), count.astype(np.int32)
