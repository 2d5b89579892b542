# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth images and pointmaps. Depth is along z, in metres; an invalid depth is 0, an invalid point is NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import transform_points

__all__ = [
    'depth_discontinuities', 'depth_to_pointmap', 'downsample_depth', 'downsample_pointmap', 'normals_from_pointmap',
    'pointmap_to_depth', 'ray_from_pointmap', 'resize_pointmap', 'splat_depth', 'valid_depth',
]


def valid_depth(depth: ArrayLike) -> np.ndarray:
    """Mask of the depths that are finite and above 0; same shape."""
    depth = np.asarray(depth)
    with np.errstate(invalid='ignore'):
        return np.isfinite(depth) & (depth > 0)


def depth_to_pointmap(depth: ArrayLike, intrinsics: CameraIntrinsics) -> tuple[np.ndarray, np.ndarray]:
    """Points of a depth image.

    depth (H, W) in metres along z; returns points_cam (H, W, 3) float32 (float64 for float64 depth), NaN where the
    depth is 0, negative or not finite or where the lens has no ray, and the mask valid (H, W).
    """
    depth = np.asarray(depth)
    if depth.shape != intrinsics.shape:
        raise ValueError(f'depth of shape {depth.shape} does not fit a camera of {intrinsics.shape}; '
                         'use intrinsics.resize or resize the depth')
    dtype = np.float64 if depth.dtype == np.float64 else np.float32
    rays = intrinsics.rays(unit=False, dtype=dtype)
    valid = valid_depth(depth)
    points = rays * np.where(valid, depth, np.nan).astype(dtype)[..., None]
    return points, valid & ~np.isnan(rays[..., 2]) if intrinsics.has_distortion else valid


def pointmap_to_depth(points_cam: ArrayLike) -> np.ndarray:
    """Depth (...) along z of points_cam (..., 3), in metres, 0 where a point is not finite or not in front."""
    points = _points(points_cam)
    z = points[..., 2]
    return np.where(np.isfinite(points).all(-1) & valid_depth(z), z, z.dtype.type(0))


def ray_from_pointmap(points_cam: ArrayLike) -> np.ndarray:
    """Unit rays (..., 3) from the camera's centre to points_cam (..., 3); NaN for NaN points and for the centre."""
    points = _points(points_cam)
    norm = np.linalg.norm(points, axis=-1, keepdims=True)
    with np.errstate(invalid='ignore'):
        return points / np.where(np.isfinite(norm) & (norm > 0), norm, np.nan)


def normals_from_pointmap(points_cam: ArrayLike, relative_jump: float = 0.1) -> np.ndarray:
    """Unit normals towards the camera.

    points_cam (H, W, 3) in metres; returns (H, W, 3) in the camera frame. Along each axis the difference spans both
    neighbours, or one when the other is missing, invalid or farther off in depth than relative_jump times the own
    depth; NaN where an axis has no neighbour.
    """
    points = _image_points(points_cam)
    dx = _tangent(points, 1, relative_jump)
    dy = _tangent(points, 0, relative_jump)
    # Camera pixels give this side by themselves; mirrored or predicted pointmaps need not.
    normal = np.cross(dy, dx)
    with np.errstate(invalid='ignore'):
        away = np.sum(normal * points, axis=-1, keepdims=True) > 0
    normal = np.where(away, -normal, normal)
    return ray_from_pointmap(normal)


def splat_depth(points: ArrayLike, intrinsics: CameraIntrinsics,
                T_cam_points: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Depth image of points seen by another camera, nearest point first.

    points (..., 3) in any frame, NaN is skipped; T_cam_points (4, 4) takes them into the camera. Each point covers
    the one pixel that it falls on. Returns depth (H, W) of the points' dtype, 0 where nothing is, and index (H, W)
    int64 of the winning point in the flattened input, -1 where nothing is; of equally near points the first wins.
    """
    points = _points(points).reshape(-1, 3)
    if T_cam_points is not None:
        points = transform_points(T_cam_points, points)
    pixels, valid = intrinsics.project(points)
    source = np.flatnonzero(valid & intrinsics.contains(np.where(valid[:, None], pixels, -1.0)))
    # The right and lower edge, at size - 0.5, rounds to an even number that may be the size itself.
    u = np.minimum(np.rint(pixels[source, 0]).astype(np.int64), intrinsics.width - 1)
    v = np.minimum(np.rint(pixels[source, 1]).astype(np.int64), intrinsics.height - 1)
    target, z = np.maximum(v, 0) * intrinsics.width + np.maximum(u, 0), points[source, 2]
    depth = np.full(intrinsics.width * intrinsics.height, np.inf, dtype=points.dtype)
    np.minimum.at(depth, target, z)
    index = np.full(depth.shape, -1, dtype=np.int64)
    wins = np.flatnonzero(z == depth[target])[::-1]
    index[target[wins]] = source[wins]
    depth[index < 0] = 0
    return depth.reshape(intrinsics.shape), index.reshape(intrinsics.shape)


def downsample_depth(depth: ArrayLike, factor: int, mode: str = 'nearest') -> np.ndarray:
    """Depth (H / factor, W / factor) in metres, 0 where a block has no valid depth; fits intrinsics.resize.

    Each block gives one of its own samples, never a mean of foreground and background: `nearest` takes the valid one
    nearest to the block's centre, `median` the (lower) median of the valid ones. H and W must be multiples of factor.
    """
    depth = np.asarray(depth)
    if depth.ndim != 2:
        raise ValueError(f'depth must have shape (H, W), got {depth.shape}')
    index, found = _block_samples(depth, factor, mode)
    return np.where(found, depth.reshape(-1)[index], depth.dtype.type(0))


def downsample_pointmap(points_cam: ArrayLike, factor: int, mode: str = 'nearest') -> np.ndarray:
    """Pointmap (H / factor, W / factor, 3) of samples chosen as in `downsample_depth`; NaN where there is none."""
    points = _image_points(points_cam)
    index, found = _block_samples(pointmap_to_depth(points), factor, mode)
    return np.where(found[..., None], points.reshape(-1, 3)[index], points.dtype.type(np.nan))


def resize_pointmap(points_cam: ArrayLike, width: int, height: int) -> np.ndarray:
    """Pointmap (height, width, 3) of the samples nearest to the new pixels' centres; fits intrinsics.resize."""
    points = _image_points(points_cam)
    if width < 1 or height < 1:
        raise ValueError(f'size must be positive, got {width}x{height}')
    rows, columns = ((np.arange(n) + 0.5) * (old / n) for n, old in zip((height, width), points.shape[:2], strict=True))
    return points[rows.astype(int)[:, None], columns.astype(int)[None]]


def depth_discontinuities(depth: ArrayLike, relative: float = 0.05) -> np.ndarray:
    """Mask (H, W) of the pixels on both sides of a depth step.

    A step is a difference between valid 4-neighbours of more than `relative` times the smaller depth. Where depth is
    missing there is no step. depth (H, W) in metres.
    """
    depth = np.asarray(depth)
    if depth.ndim != 2:
        raise ValueError(f'depth must have shape (H, W), got {depth.shape}')
    if not relative > 0:
        raise ValueError(f'relative must be positive, got {relative!r}')
    valid = valid_depth(depth)
    z = np.where(valid, depth, 0)
    edges = np.zeros(depth.shape, dtype=bool)
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = z[first], z[second]
        step = valid[first] & valid[second] & (np.abs(a - b) > relative * np.minimum(a, b))
        edges[first] |= step
        edges[second] |= step
    return edges


def _points(points: ArrayLike) -> np.ndarray:
    points = np.asarray(points)
    if points.ndim == 0 or points.shape[-1] != 3:
        raise ValueError(f'points must have shape (..., 3), got {points.shape}')
    return points.astype(np.float32 if points.dtype == np.float32 else np.float64, copy=False)


def _image_points(points: ArrayLike) -> np.ndarray:
    points = _points(points)
    if points.ndim != 3:
        raise ValueError(f'a pointmap must have shape (H, W, 3), got {points.shape}')
    return points


def _tangent(points: np.ndarray, axis: int, relative_jump: float) -> np.ndarray:
    points = np.moveaxis(points, axis, 0)
    step = points[1:] - points[:-1]
    with np.errstate(invalid='ignore'):
        near = np.minimum(points[1:, ..., 2], points[:-1, ..., 2])
        same = np.abs(step[..., 2]) <= relative_jump * near
    step = np.where(same[..., None], step, 0)
    out, count = np.zeros_like(points), np.zeros(points.shape[:-1], dtype=np.int8)
    out[1:] += step
    out[:-1] += step
    count[1:] += same
    count[:-1] += same
    return np.moveaxis(np.where(count[..., None] > 0, out, np.nan), 0, axis)


def _block_samples(depth: np.ndarray, factor: int, mode: str) -> tuple[np.ndarray, np.ndarray]:
    height, width = depth.shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f'factor {factor!r} must be at least 1 and divide the size {width}x{height}; crop first')
    if mode not in ('nearest', 'median'):
        raise ValueError(f"mode must be 'nearest' or 'median', got {mode!r}")
    h, w = height // factor, width // factor
    blocks = depth.reshape(h, factor, w, factor).swapaxes(1, 2).reshape(h, w, factor * factor)
    valid = valid_depth(blocks)
    if mode == 'nearest':
        dy, dx = np.divmod(np.arange(factor * factor), factor)
        centre = 0.5 * (factor - 1)
        distance = (dy - centre) ** 2 + (dx - centre) ** 2
        chosen = np.where(valid, distance, np.inf).argmin(-1)
    else:
        order = np.where(valid, blocks, np.inf).argsort(-1, kind='stable')
        middle = np.maximum(valid.sum(-1) - 1, 0) // 2
        chosen = np.take_along_axis(order, middle[..., None], -1)[..., 0]
    dy, dx = np.divmod(chosen, factor)
    rows, columns = np.arange(h)[:, None] * factor + dy, np.arange(w)[None] * factor + dx
    return rows * width + columns, np.asarray(valid.any(-1))
