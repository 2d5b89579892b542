# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""An observation made ready for projection: per pixel depth, weight and slope. A function of the observation alone.

This is the reference in NumPy; kernels.h holds the same for C and CUDA, and all must agree bit for bit.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.layout import MAX_WEIGHT, WEIGHT_UNIT, Layout
from lsm_ros.fusion.backends.view import SLOPE_STEPS, TILE, View, pixel_view
from lsm_ros.types import UNLABELLED, Observation

INFINITY = np.float32(3.0e38)
NEAREST = 0.001  # metres of the camera; a smaller depth is none
_FLATTEST = 0.3  # smallest slope: at the outline of something round the tangent plane says little
_PLANE_ERROR = 0.01  # of the inverse depth; pixels farther from their tile's plane have no known slope
_JUMP = 0.05  # of the depth; a pixel that differs by more from both sides hangs in the air


@dataclass(frozen=True)
class Pixels:
    """Pixels of one observation, row by row.

    depth (H, W) float32 in the camera's units, 0 = none. weight (H*W,) int32, 1..63, 0 where there is no depth.
    slope (H*W,) uint16 in 1/32768: distance to the surface's tangent plane for a step of 1 along the optical axis (see
    `tangent_slope`). rgb (H*W, 3) uint8. labels (H*W,) uint16, UNLABELLED where there is no depth; None without labels.
    label_ids (N,) uint16: those that appear, sorted. features (rows, columns, D) int8 or None. near, known: see
    `pyramid`. view: the numbers that do not depend on the pose.
    """

    view: View
    depth: np.ndarray
    weight: np.ndarray
    slope: np.ndarray
    rgb: np.ndarray
    labels: np.ndarray | None
    label_ids: np.ndarray
    features: np.ndarray | None
    near: np.ndarray
    known: np.ndarray

    @property
    def farthest(self) -> float:
        """Largest depth, 0 if there is none."""
        return float(self.depth.max(initial=0.0))


def prepare(observation: Observation, layout: Layout) -> Pixels:
    """Pixels of a checked observation, every n-th in each direction (see `Layout.stride_for`).

    Whether a pixel hangs in the air is seen from its neighbours in the whole image: mixed pixels are a single one wide.
    """
    view = pixel_view(observation, layout)
    n, confidence = view.stride, observation.confidence
    depth = observation.z.astype(np.float32) * np.float32(view.z_step)
    depth[(confidence == 0) | ~(depth >= np.float32(NEAREST)) | (depth > np.float32(view.max_depth))] = 0
    depth[hanging(depth)] = 0
    depth, confidence = np.ascontiguousarray(depth[::n, ::n]), confidence[::n, ::n]
    inverse = np.zeros_like(depth)
    np.divide(np.float32(1), depth, out=inverse, where=depth > 0)
    weight = np.where(depth > 0, pixel_weight(inverse, confidence), 0).astype(np.int32)
    labels, ids = None, np.zeros(0, np.uint16)
    if observation.labels is not None:
        labels = np.where(depth > 0, observation.labels[::n, ::n], np.uint16(UNLABELLED)).ravel()
        present = np.bincount(labels, minlength=UNLABELLED + 1)
        ids = np.flatnonzero(present[:UNLABELLED]).astype(np.uint16)
    rgb = np.ascontiguousarray(observation.rgb[::n, ::n]).reshape(-1, 3)
    slope = np.rint(tangent_slope(inverse, view) * np.float32(SLOPE_STEPS)).astype(np.uint16).ravel()
    return Pixels(view, depth, weight.ravel(), slope, rgb, labels, ids, observation.features, *pyramid(depth))


def pixel_weight(inverse: np.ndarray, confidence: np.ndarray | int) -> np.ndarray:
    """Integer weight 16 * confidence / 255 / depth, rounded, within 1..63.

    inverse depth float32 in 1/m, confidence 0..255. Depth noise grows faster than this, but errors of pose and
    calibration, which dominate near the camera, do not grow.
    """
    quality = np.asarray(confidence, np.float32) * np.float32(WEIGHT_UNIT / 255.0)
    weight = np.rint(np.minimum(quality * inverse, np.float32(MAX_WEIGHT)))
    return np.maximum(weight, np.float32(1)).astype(np.int32)


def hanging(depth: np.ndarray) -> np.ndarray:
    """Mask of pixels (H, W) that lie apart from both their neighbours in a row or a column.

    Depth cameras mix front and back at an edge; such a pixel belongs to neither. depth (H, W) float32, 0 = none;
    a missing neighbour is no reason.
    """
    mask = np.zeros(depth.shape, bool)
    limit = depth * np.float32(_JUMP)
    for axis in (0, 1):
        if depth.shape[axis] < 3:
            continue
        low, mid, high = [(slice(None),) * axis + (s,) for s in (slice(None, -2), slice(1, -1), slice(2, None))]
        centre = depth[mid]
        apart = np.abs(centre - depth[low]) > limit[mid]
        apart &= np.abs(centre - depth[high]) > limit[mid]
        apart &= (depth[low] > 0) & (depth[high] > 0)
        mask[mid] |= apart
    return mask


def tangent_slope(inverse: np.ndarray, view: View) -> np.ndarray:
    """n.r for the surface's unit normal n and the pixel's ray r with r_z = 1, (H, W) float32 within 0.3..1.5.

    A point at depth z on the ray of a pixel with depth D lies (D - z) n.r in front of the surface's tangent plane.
    On a plane n.p = h, 1/depth = m.r is affine in the pixel, with m = n / h; its gradient gives m, hence
    n.r = (1/depth) / |m|. inverse: 1/depth (H, W) float32, 0 = none. 1 where there is no plane, above all at the edges
    of things: a slope that is too small there would make a surface of what is far from it.
    """
    height, width = inverse.shape
    rows, columns = view.tile_rows, view.tile_columns
    padded = np.zeros((rows * TILE, columns * TILE), np.float32)
    padded[:height, :width] = inverse
    part = padded.reshape(rows, TILE, columns, TILE)
    column = ((part[:, 0] + part[:, 1]) + part[:, 2]) + part[:, 3]
    total = (column[..., 0] + column[..., 1]) + (column[..., 2] + column[..., 3])
    count = (part > 0).sum((1, 3)).astype(np.float32)
    known = count >= TILE
    rho = np.where(known, total / np.maximum(count, 1), np.float32(0)).astype(np.float32)
    du, dv = _gradient(rho, 1), _gradient(rho, 0)
    across = (np.arange(columns, dtype=np.float32) * TILE + np.float32(view.tile_cx))[None, :]
    down = (np.arange(rows, dtype=np.float32) * TILE + np.float32(view.tile_cy))[:, None]
    mx, my, mz = du * np.float32(view.fx), dv * np.float32(view.fy), (rho - across * du) - down * dv
    norm = np.sqrt((mx * mx + my * my) + mz * mz)
    tiles = np.ones((rows, columns), np.float32)
    np.divide(rho, norm, out=tiles, where=known & (norm > 0))
    tiles = np.clip(tiles, np.float32(_FLATTEST), np.float32(1.5))
    offset = np.arange(TILE, dtype=np.float32) - np.float32(0.5 * (TILE - 1))
    across, down = np.tile(offset, columns), np.tile(offset, rows)[:, None]
    expected = (_enlarge(rho) + across * _enlarge(du)) + down * _enlarge(dv)
    on_plane = _enlarge(known) & (np.abs(padded - expected) <= np.float32(_PLANE_ERROR) * padded)
    return np.where(on_plane, _enlarge(tiles), np.float32(1))[:height, :width]


def pyramid(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All levels, flat one after another, of tiles of 4 pixels, 8 and so on until there is a single one: nearest known
    depth float32 (3e38 = none) and number of known pixels int32."""
    near, known = np.where(depth > 0, depth, INFINITY), (depth > 0).astype(np.int32)
    for _ in range(2):
        near, known = _halved(near, known)
    levels, counts = [near.ravel()], [known.ravel()]
    while near.size > 1:
        near, known = _halved(near, known)
        levels.append(near.ravel())
        counts.append(known.ravel())
    return np.concatenate(levels), np.concatenate(counts)


def _halved(near: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    odd = [(0, n % 2) for n in near.shape]
    near, known = np.pad(near, odd, constant_values=INFINITY), np.pad(known, odd)
    near = np.minimum(np.minimum(near[::2, ::2], near[1::2, ::2]), np.minimum(near[::2, 1::2], near[1::2, 1::2]))
    return near, known[::2, ::2] + known[1::2, ::2] + known[::2, 1::2] + known[1::2, 1::2]


def _enlarge(tiles: np.ndarray) -> np.ndarray:
    """Each tile's value for each of its pixels."""
    return np.repeat(np.repeat(tiles, TILE, 0), TILE, 1)


def _gradient(rho: np.ndarray, axis: int) -> np.ndarray:
    """Change per pixel to the next or the last tile, whichever is smaller: it does not reach across an edge. 0 if
    unknown, and for unknown tiles (rho = 0)."""
    around = np.pad(rho, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
    before, after = (around[:, :-2], around[:, 2:]) if axis else (around[:-2], around[2:])
    onward = np.where(after > 0, after - rho, INFINITY)
    back = np.where(before > 0, rho - before, INFINITY)
    best = np.where(np.abs(onward) < np.abs(back), onward, back)
    return np.where((best < INFINITY) & (rho > 0), best * np.float32(0.25), np.float32(0))
