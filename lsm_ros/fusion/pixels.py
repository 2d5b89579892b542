# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""An observation made ready for projection: per pixel depth, weight and slope. A function of the observation alone."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.layout import MAX_WEIGHT, WEIGHT_UNIT, Layout
from lsm_ros.types import UNLABELLED, Observation

_TILE = 4  # pixels; slopes are estimated on tiles, single pixels of a depth camera are too noisy
_FLATTEST = 0.3  # smallest slope: at the outline of something round the tangent plane says little
_PLANE_ERROR = 0.01  # of the inverse depth; pixels farther from their tile's plane have no known slope
_JUMP = 0.05  # of the depth; a pixel that differs by more from both sides hangs in the air


@dataclass(frozen=True)
class Pixels:
    """Pixels of one observation, row by row.

    depth (H, W) float32 in the camera's units, 0 = none. weight (H*W,) int32, 1..63. slope (H*W,) float32: distance
    to the surface's tangent plane for a step of 1 along the optical axis (see `tangent_slope`). rgb (H*W, 3) uint8.
    labels (H*W,) int32: position in `label_ids`, -1 = unlabelled; None without labels. fx, fy, cx, cy in pixels.
    """

    depth: np.ndarray
    weight: np.ndarray
    slope: np.ndarray
    rgb: np.ndarray
    labels: np.ndarray | None
    label_ids: np.ndarray
    fx: float
    fy: float
    cx: float
    cy: float

    @property
    def farthest(self) -> float:
        """Largest depth, 0 if there is none."""
        return float(self.depth.max(initial=0.0))


def prepare(observation: Observation, layout: Layout) -> Pixels:
    """Pixels of a checked observation, every `layout.stride`-th in each direction."""
    n = layout.stride
    k = observation.intrinsics
    fx, fy, cx, cy = k.fx / n, k.fy / n, k.cx / n, k.cy / n
    confidence = observation.confidence[::n, ::n]
    depth = observation.z[::n, ::n].astype(np.float32) * np.float32(observation.z_step)
    depth[(confidence == 0) | (depth > layout.max_depth)] = 0
    depth[hanging(depth)] = 0
    slope = tangent_slope(depth, fx, fy, cx, cy)
    labels, ids = _labels(observation, depth, n)
    rgb = np.ascontiguousarray(observation.rgb[::n, ::n]).reshape(-1, 3)
    return Pixels(depth, pixel_weight(depth, confidence).ravel(), slope.ravel(), rgb, labels, ids, fx, fy, cx, cy)


def pixel_weight(depth: np.ndarray, confidence: np.ndarray | int) -> np.ndarray:
    """Integer weight 16 * confidence / 255 / depth, rounded, within 1..63.

    depth float32 in metres, confidence 0..255. Depth noise grows faster than this, but errors of pose and calibration,
    which dominate near the camera, do not grow.
    """
    quality = np.asarray(confidence, np.float32) * np.float32(WEIGHT_UNIT / 255.0)
    return np.clip(np.rint(quality / np.maximum(depth, np.float32(1e-3))), 1, MAX_WEIGHT).astype(np.int32)


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


def tangent_slope(depth: np.ndarray, fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """n.r for the surface's unit normal n and the pixel's ray r with r_z = 1, (H, W) float32 within 0.3..1.5.

    A point at depth z on the ray of a pixel with depth D lies (D - z) n.r in front of the surface's tangent plane.
    On a plane n.p = h, 1/depth = m.r is affine in the pixel, with m = n / h; its gradient gives m, hence
    n.r = (1/depth) / |m|. depth (H, W) float32, 0 = none. 1 where there is no plane, above all at the edges of things:
    a slope that is too small there would make a surface of what is far from it.
    """
    height, width = depth.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    inverse = np.zeros((rows * _TILE, columns * _TILE), np.float32)
    np.divide(np.float32(1), depth, out=inverse[:height, :width], where=depth > 0)
    total = np.zeros((rows, columns), np.float32)
    count = np.zeros((rows, columns), np.float32)
    for i in range(_TILE):
        for j in range(_TILE):
            part = inverse[i::_TILE, j::_TILE]
            total += part
            count += part > 0
    known = count >= _TILE
    rho = np.where(known, total / np.maximum(count, 1), np.nan).astype(np.float32)
    du = _gradient(rho, 1) / np.float32(_TILE)
    dv = _gradient(rho, 0) / np.float32(_TILE)
    u = np.arange(columns, dtype=np.float32) * _TILE + np.float32(0.5 * (_TILE - 1) - cx)
    v = np.arange(rows, dtype=np.float32)[:, None] * _TILE + np.float32(0.5 * (_TILE - 1) - cy)
    mz = rho - u * du - v * dv
    norm = np.sqrt((du * np.float32(fx)) ** 2 + (dv * np.float32(fy)) ** 2 + mz * mz)
    tiles = np.ones((rows, columns), np.float32)
    np.divide(rho, norm, out=tiles, where=known & (norm > 0))
    tiles = np.clip(tiles, np.float32(_FLATTEST), np.float32(1.5))
    slope = _enlarge(tiles)
    offset = np.arange(_TILE, dtype=np.float32) - np.float32(0.5 * (_TILE - 1))
    across, down = np.tile(offset, columns), np.tile(offset, rows)[:, None]
    expected = _enlarge(rho) + _enlarge(du) * across + _enlarge(dv) * down
    off_plane = ~(np.abs(inverse - expected) <= np.float32(_PLANE_ERROR) * inverse)  # also where that is NaN
    slope[off_plane] = 1
    return slope[:height, :width]


def _enlarge(tiles: np.ndarray) -> np.ndarray:
    """Each tile's value for each of its pixels."""
    return np.repeat(np.repeat(tiles, _TILE, 0), _TILE, 1)


def _gradient(values: np.ndarray, axis: int) -> np.ndarray:
    """Difference to the next or the last tile, whichever is smaller: it does not reach across an edge. 0 if unknown."""
    steps = np.diff(values, axis=axis)
    pad = np.full_like(values[:, :1] if axis else values[:1], np.nan)
    after, before = np.concatenate([steps, pad], axis), np.concatenate([pad, steps], axis)
    after, before = (np.where(np.isnan(a), np.float32(np.inf), a) for a in (after, before))
    best = np.where(np.abs(after) < np.abs(before), after, before)
    return np.where(np.isfinite(best), best, np.float32(0))


def _labels(observation: Observation, depth: np.ndarray, stride: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Labels as positions in the table of the ids that appear on pixels in use, and that table (uint16, sorted)."""
    if observation.labels is None:
        return None, np.zeros(0, np.uint16)
    labels = np.where(depth > 0, observation.labels[::stride, ::stride], np.uint16(UNLABELLED)).ravel()
    present = np.bincount(labels, minlength=UNLABELLED + 1)
    present[UNLABELLED] = 0
    ids = np.flatnonzero(present)
    position = np.full(UNLABELLED + 1, -1, np.int32)
    position[ids] = np.arange(len(ids))
    return position[labels], ids.astype(np.uint16)
