# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""3D Gaussians of a map: one for each few pixels of its keyframes, where they are now, and not where voxels are free."""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lsm_ros.fusion.backends.blocks import HALF, pack_keys
from lsm_ros.fusion.backends.integrate import VOXELS, WEIGHT
from lsm_ros.fusion.backends.layout import BLOCK, Layout
from lsm_ros.fusion.map.pools import Pools
from lsm_ros.fusion.read.surface import free_weight
from lsm_ros.geometry.lie import split_sim3, transform_points
from lsm_ros.geometry.rotation import matrix_to_quat
from lsm_ros.types import Observation

SH_C0 = 0.28209479177387814
WIDTH = 0.45  # standard deviation in the surface, in distances between neighbouring Gaussians
THICKNESS = 0.1  # the same across it
STEEPEST = 4.0  # a neighbour so many times further away than on a surface seen frontally is on another surface
LEAST_OPACITY, MOST_OPACITY = 0.5, 0.99  # by the confidence of the pixel


@dataclass(frozen=True)
class GaussianCloud:
    """means (N, 3) and scales (N, 3) float32 in the unit of the map; rotations (N, 4) float32 w, x, y, z; opacities (N,)
    float32 from 0 to 1; sh (N, K, 3) float32: coefficients of the colour, K = (degree + 1)**2. cell (N,) int32: row of
    `features` (M, D) int8, unit vectors times 127, that a Gaussian has, -1 without."""

    means: np.ndarray
    scales: np.ndarray
    rotations: np.ndarray
    opacities: np.ndarray
    sh: np.ndarray
    cell: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.means)

    def take(self, which: np.ndarray) -> GaussianCloud:
        """Those at positions, or of a mask, `which`."""
        return GaussianCloud(*(getattr(self, f.name)[which] for f in fields(self)[:-1]), self.features)


def gaussians_of(observation: Observation, T_map_rig: np.ndarray, stride: int = 1) -> GaussianCloud:
    """Gaussians of an observation whose rig is at T_map_rig (4, 4), rigid or scaled: one for each stride x stride pixels with
    depth, spread as far as its neighbours are on the surface that they lie on."""
    camera, half = observation.intrinsics, stride // 2
    rows, columns = (n // stride * stride for n in observation.z.shape)
    pick = (slice(half, rows, stride), slice(half, columns, stride))
    depth = observation.depth[pick].astype(np.float64)
    sure = observation.confidence[pick]
    points = depth[..., None] * camera.rays(unit=False)[pick]
    blocks = observation.rgb[:rows, :columns].reshape(rows // stride, stride, columns // stride, stride, 3)
    colours = blocks.mean((1, 3)) / 255
    known = (depth > 0) & (sure > 0)
    points[~known] = np.nan
    flat = np.stack([depth * stride / camera.fx, depth * stride / camera.fy], -1)
    steps = [_steps(points, flat[..., n], axis) for n, axis in ((0, 1), (1, 0))]
    scales, axes = spread(*(s[known] for s in steps))
    factor, R, _ = split_sim3(T_map_rig @ observation.T_rig_cam)
    quaternions = matrix_to_quat(R @ axes)
    opacity = LEAST_OPACITY + (MOST_OPACITY - LEAST_OPACITY) * sure[known] / 255
    cell, features = _features(observation, known.shape, pick)
    return GaussianCloud(
        transform_points(T_map_rig @ observation.T_rig_cam, points[known]).astype(np.float32),
        (float(factor) * scales).astype(np.float32), quaternions[:, [3, 0, 1, 2]].astype(np.float32),
        opacity.astype(np.float32), ((colours[known] - 0.5) / SH_C0).astype(np.float32)[:, None], cell[known], features)


def _steps(points: np.ndarray, flat: np.ndarray, axis: int) -> np.ndarray:
    """(H, W, 3): way from a Gaussian to the next along an axis of the image; where its neighbours are on another surface,
    or unknown, that on a surface seen frontally, `flat` (H, W) long."""
    frontal = np.zeros_like(points)
    frontal[..., 1 - axis] = flat
    between = np.diff(points, axis=axis)
    ends = [(0, 0)] * 3
    there, back = (np.pad(between, [side if a == axis else e for a, e in enumerate(ends)], constant_values=np.nan)
                   for side in ((0, 1), (1, 0)))
    good = [np.linalg.norm(s, axis=-1) <= STEEPEST * flat for s in (there, back)]  # False for NaN
    one = np.where(good[0][..., None], there, np.where(good[1][..., None], back, frontal))
    return np.where((good[0] & good[1])[..., None], (there + back) / 2, one)


def spread(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales (N, 3) and axes (N, 3, 3), as columns, of Gaussians whose covariance is that of steps u and v (N, 3) times
    `WIDTH`, and thin across them."""
    first = u / np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-12)
    normal = np.cross(first, v)
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    other = np.cross(normal / np.maximum(size, 1e-12), first)
    along, across = (v * first).sum(1), (v * other).sum(1)
    a, b, c = (u * u).sum(1) + along ** 2, along * across, across ** 2
    angle = 0.5 * np.arctan2(2 * b, a - c)[:, None]
    x, y = np.cos(angle) * first + np.sin(angle) * other, np.cos(angle) * other - np.sin(angle) * first
    middle, apart = 0.5 * (a + c), np.hypot(0.5 * (a - c), b)
    long, short = np.sqrt(middle + apart), np.sqrt(np.maximum(middle - apart, 0))
    thin = THICKNESS * np.sqrt(np.maximum(long * short, 1e-12))
    return WIDTH * np.stack([long, np.maximum(short, thin), thin], 1), np.stack([x, y, np.cross(x, y)], -1)


def _features(observation: Observation, shape: tuple[int, int], pick: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Row of the features (M, D) for each picked pixel, -1 without."""
    if observation.features is None:
        return np.full(shape, -1, np.int32), np.zeros((0, 0), np.int8)
    rows, columns, dim = observation.features.shape
    height, width = observation.z.shape
    row, column = (np.minimum(np.arange(n)[p] * cells // n, cells - 1)
                   for n, p, cells in ((height, pick[0], rows), (width, pick[1], columns)))
    return (row[:, None] * columns + column).astype(np.int32), observation.features.reshape(-1, dim)


def together(clouds: list[GaussianCloud]) -> GaussianCloud:
    """One cloud of several. ValueError for none, or where features have different lengths."""
    if not clouds:
        raise ValueError("there are no Gaussians: no keyframe of the map has depth that is still known")
    lengths = {c.features.shape[1] for c in clouds if len(c.features)}
    if len(lengths) > 1:
        raise ValueError(f"features of {sorted(lengths)} numbers do not go together")
    dim = lengths.pop() if lengths else 0
    cells, start = [], 0
    for c in clouds:
        cells.append(np.where(c.cell >= 0, c.cell + start, -1).astype(np.int32))
        start += len(c.features)
    features = [c.features.reshape(-1, dim) for c in clouds if len(c.features)] or [np.zeros((0, dim), np.int8)]
    return GaussianCloud(*(np.concatenate([getattr(c, n) for c in clouds])
                           for n in ("means", "scales", "rotations", "opacities", "sh")), np.concatenate(cells),
                         np.concatenate(features))


def is_free(pools: Pools, layout: Layout, points_map: np.ndarray) -> np.ndarray:
    """(N,) bool: voxels of points (N, 3) that more weight saw empty than saw a surface in or near them."""
    voxel = np.floor(points_map / layout.voxel_size).astype(np.int64)
    inside = ((voxel >= -HALF * BLOCK) & (voxel < HALF * BLOCK)).all(1)
    free = np.zeros(len(voxel), bool)
    voxel = voxel[inside]
    keys, which = np.unique(pack_keys(voxel // BLOCK), return_inverse=True)
    slots = pools.voxels.find(keys)[which.ravel()]
    inner = voxel % BLOCK
    row = slots * VOXELS + (inner[:, 0] * BLOCK + inner[:, 1]) * BLOCK + inner[:, 2]
    weight = np.zeros(len(voxel), np.int64)
    weight[slots >= 0] = pools.voxels.rows("voxels")[row[slots >= 0], WEIGHT]
    free[inside] = free_weight(pools.free, voxel, layout.free_factor) > weight
    return free
