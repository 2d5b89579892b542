# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Contribution of an observation to the map: a pure function of (observation, pose, voxel index).

Voxel centres are projected to the nearest pixel. Only element-wise arithmetic is used, so that a voxel's contribution is
the same bits whatever else is computed along with it. This is the reference in NumPy; kernels.h holds the same for C and
CUDA, in sums and blocks alike.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.blocks import pack_keys, unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK, STEPS
from lsm_ros.fusion.backends.pixels import Pixels
from lsm_ros.fusion.backends.view import View

VOXELS = BLOCK**3
LABEL_CELLS = (BLOCK // 2) ** 3  # label cells have twice the voxel size
SDF, WEIGHT, RED, GREEN, BLUE, NEAR = range(6)
"""Columns of a voxel: distance * weight, weight, colour * near weight (three), weight of what saw a surface near."""
_NEAREST = np.float32(0.02)  # camera units; nothing nearer has a pixel
_CHUNK = 64  # blocks at a time, so that the arrays stay in the cache

VOXEL_PLACES = np.stack([a.ravel() for a in np.mgrid[0:BLOCK, 0:BLOCK, 0:BLOCK]]).astype(np.float64)
CELL_PLACES = 2 * np.stack([a.ravel() for a in np.mgrid[0:4, 0:4, 0:4]]) + 0.5
_half = VOXEL_PLACES.astype(np.int32) // 2
LABEL_CELL_OF_VOXEL = (_half[0] * (BLOCK // 2) + _half[1]) * (BLOCK // 2) + _half[2]


@dataclass(frozen=True)
class Contribution:
    """Sums that one observation adds to the voxels of the blocks `keys` (B,) int64, sorted.

    voxel (N,) int32: position in `keys` * 512 + voxel in the block (x slowest); values (N, 6) int32 for the columns
    above. label_cell (L,) int32: position in `keys` * 64 + cell; label (L,) int32: position in the observation's
    `label_ids`; count (L,) int32: evidence. Pairs (label_cell, label) are unique. feature_cell (F,) int32 likewise;
    feature (F, D + 1) int32: weight * vector, and weight.
    """

    keys: np.ndarray
    voxel: np.ndarray
    values: np.ndarray
    label_cell: np.ndarray
    label: np.ndarray
    count: np.ndarray
    feature_cell: np.ndarray
    feature: np.ndarray


def view_contribution(pixels: Pixels, view: View, keys: np.ndarray) -> Contribution:
    """The contribution to given blocks (B,) int64.

    Signed distance: steps of truncation / 511, positive in front of the surface, measured to its tangent plane. More
    than the truncation in front is +511 (free), more than the truncation behind is unseen. Weight falls linearly behind
    the surface from one voxel on, so that thin things keep their two sides.
    """
    parts = []
    for first in range(0, max(len(keys), 1), _CHUNK):
        chunk = keys[first:first + _CHUNK]
        voxel, pixel, distance = _project(pixels, view, chunk, VOXEL_PLACES)
        sums, near = _sums(pixels, view, pixel, distance)
        labels = _label_sums(pixels, voxel[near], pixel[near], sums[near, WEIGHT])
        cell, feature = _feature_sums(pixels, view, chunk)
        parts.append((voxel + np.int32(first * VOXELS), sums, labels[0] + np.int32(first * LABEL_CELLS), *labels[1:],
                      cell + np.int32(first * LABEL_CELLS), feature))
    return Contribution(keys, *(np.concatenate(p) for p in zip(*parts, strict=True)))


def surface_blocks(pixels: Pixels, view: View) -> np.ndarray:
    """Sorted keys (B,) int64 of the blocks that lie within the truncation of a pixel's surface point, along its ray.

    Rays are taken at most a voxel apart at the farthest depth, so that nothing as wide as a voxel is missed.
    ValueError if block indices overflow.
    """
    step, depth = view.step, pixels.depth[::view.step, ::view.step]
    rows, columns = np.nonzero(depth)
    if not len(rows):
        step, depth = 1, pixels.depth
        rows, columns = np.nonzero(depth)
    z = depth[rows, columns]
    x = ((columns * step).astype(np.float32) - np.float32(view.cx)) * np.float32(view.inverse_fx)
    y = ((rows * step).astype(np.float32) - np.float32(view.cy)) * np.float32(view.inverse_fy)
    R = np.array(view.rotation[:], np.float32).reshape(3, 3)
    direction = [(R[a, 0] * x + R[a, 1] * y) + R[a, 2] for a in range(3)]
    found = [np.zeros(0, np.int64)]
    for offset in view.offsets[:view.samples]:
        along = np.float32(view.scale) * z + np.float32(offset)
        index = [np.floor(d * along + np.float32(f)).astype(np.int64) + b
                 for d, f, b in zip(direction, view.fraction[:], view.base[:], strict=True)]
        keys = pack_keys(np.stack(index, -1)[along > 0])
        fresh = np.ones(len(keys), bool)
        fresh[1:] = keys[1:] != keys[:-1]  # neighbours in a row mostly hit the same block
        found.append(keys[fresh])
    return np.unique(np.concatenate(found))


def _project(pixels: Pixels, view: View, keys: np.ndarray,
             places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (N,) int32 that are seen, their pixels (N,), and their signed distance (N,) float32 in steps, >= -511.

    places (3, P) float64: in voxels from the centre of a block's first voxel.
    """
    corner = (unpack_keys(keys).astype(np.float64) * BLOCK + 0.5) * view.size - np.array(view.t[:])
    axes = []
    for m in np.array(view.inverse[:]).reshape(3, 3):
        start = (m[0] * corner[:, 0] + m[1] * corner[:, 1] + m[2] * corner[:, 2]).astype(np.float32)
        inside = ((m[0] * places[0] + m[1] * places[1] + m[2] * places[2]) * view.size).astype(np.float32)
        axes.append(start[:, None] + inside)
    x, y, z = axes
    front = z > _NEAREST
    inverse = np.float32(1) / np.where(front, z, np.float32(1))
    u = x * inverse * np.float32(view.fx) + np.float32(view.cx_floor)
    v = y * inverse * np.float32(view.fy) + np.float32(view.cy_floor)
    seen = front & (u >= 0) & (u < view.width) & (v >= 0) & (v < view.height)
    place = np.flatnonzero(seen)
    pixel = v.ravel()[place].astype(np.int32) * np.int32(view.width) + u.ravel()[place].astype(np.int32)
    slope = pixels.slope[pixel].astype(np.float32)
    distance = (pixels.depth.ravel()[pixel] - z.ravel()[place]) * slope * np.float32(view.steps)
    keep = (pixels.weight[pixel] > 0) & (distance >= -STEPS)
    return place[keep].astype(np.int32), pixel[keep], distance[keep]


def _sums(pixels: Pixels, view: View, pixel: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns (N, 6) int32 of voxels, and the voxels within one voxel of the surface (positions)."""
    one_voxel = np.float32(view.one_voxel)
    weight = pixels.weight[pixel]
    behind = np.flatnonzero(distance < -one_voxel)
    share = (distance[behind] + np.float32(STEPS)) * np.float32(view.behind)
    weight[behind] = np.maximum(1, (weight[behind].astype(np.float32) * share).astype(np.int32))
    near = weight * (distance <= STEPS)
    out = np.empty((len(pixel), 6), np.int32)
    np.multiply(np.rint(np.minimum(distance, np.float32(STEPS))).astype(np.int32), weight, out=out[:, SDF])
    out[:, WEIGHT] = weight
    np.multiply(pixels.rgb[pixel], near[:, None], out=out[:, RED:BLUE + 1])
    out[:, NEAR] = near
    return out, np.flatnonzero(np.abs(distance) <= one_voxel)


def _label_sums(pixels: Pixels, voxel: np.ndarray, pixel: np.ndarray,
                weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of the labels in label cells: the summed weight of the cell's voxels that saw each label."""
    if pixels.labels is None or not len(pixels.label_ids):
        return (np.zeros(0, np.int32),) * 3
    label = pixels.labels[pixel]
    known = np.isin(label, pixels.label_ids)
    voxel, weight = voxel[known], weight[known]
    position = np.searchsorted(pixels.label_ids, label[known])
    kinds = len(pixels.label_ids)
    cell = (voxel // VOXELS) * LABEL_CELLS + LABEL_CELL_OF_VOXEL[voxel % VOXELS]
    pair, inverse = np.unique(cell.astype(np.int64) * kinds + position, return_inverse=True)
    count = np.bincount(inverse.ravel(), weights=weight, minlength=len(pair))
    return (pair // kinds).astype(np.int32), (pair % kinds).astype(np.int32), count.astype(np.int32)


def _feature_sums(pixels: Pixels, view: View, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight * feature vector, and weight, of label cells whose centre lies within one voxel of the surface."""
    if pixels.features is None:
        return np.zeros(0, np.int32), np.zeros((0, 0), np.int32)
    cell, pixel, distance = _project(pixels, view, keys, CELL_PLACES)
    near = np.abs(distance) <= np.float32(view.one_voxel)
    cell, pixel = cell[near], pixel[near]
    row = np.minimum(pixel // view.width * view.stride // view.feature_stride, view.feature_rows - 1)
    column = np.minimum(pixel % view.width * view.stride // view.feature_stride, view.feature_columns - 1)
    out = np.empty((len(cell), view.feature_dim + 1), np.int32)
    weight = pixels.weight[pixel]
    out[:, :-1] = pixels.features[row, column] * weight[:, None]
    out[:, -1] = weight
    return cell, out
