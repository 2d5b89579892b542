# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Alignment of point sets (Umeyama), and of points with pixels from `lsm_ros.geometry.pnp` and `refine`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.lie import make_sim3
from lsm_ros.geometry.pnp import PnPResult, solve_pnp
from lsm_ros.geometry.refine import DegenerateGeometryError, PoseRefinement, refine_pose

__all__ = ['AlignResult', 'DegenerateGeometryError', 'PnPResult', 'PoseRefinement', 'refine_pose', 'solve_pnp',
           'umeyama', 'umeyama_ransac']

# Ratio of the second to the first singular value of the covariance below which the points count as one line.
_LINE_RATIO = 1e-10
_SAME_RATIO = 1e-13  # extent to magnitude below which points are one point, up to rounding
_CHUNK = 4_000_000  # residuals held at once


@dataclass(frozen=True)
class AlignResult:
    """T_dst_src (4, 4) in Sim3, inliers (N,) bool, and the inliers' rms distance in the unit of dst."""

    T_dst_src: np.ndarray
    inliers: np.ndarray
    rms: float


def umeyama(src: ArrayLike, dst: ArrayLike, weights: ArrayLike | None = None, with_scale: bool = True) -> np.ndarray:
    """Similarity T_dst_src that minimises the weighted squared distances between dst and T_dst_src src.

    src, dst (N, 3) in metres, weights (N,) >= 0; returns (4, 4) float64, with scale 1 unless with_scale. Umeyama,
    PAMI 1991; the rotation is proper also for mirrored or planar sets. DegenerateGeometryError (a ValueError) for
    fewer than three points, coincident points and points on one line.
    """
    src, dst = _pair(src, dst)
    weights = np.ones(len(src)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(src),) or not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError(f'weights must be {len(src)} finite values >= 0, got shape {weights.shape}')
    if np.count_nonzero(weights) < 3:
        raise DegenerateGeometryError(f'alignment needs 3 points with weight, got {np.count_nonzero(weights)}')
    for name, points in (('src', src[weights > 0]), ('dst', dst[weights > 0])):
        if np.ptp(points, axis=0).max() <= _SAME_RATIO * np.abs(points).max():
            raise DegenerateGeometryError(f'alignment is not determined: all points of {name} coincide')
    s, R, t, singular = _umeyama(src, dst, weights, with_scale)
    if not np.isfinite(s) or singular[1] <= _LINE_RATIO * singular[0]:
        raise DegenerateGeometryError('alignment is not determined: the points lie on one line')
    return make_sim3(s, R, t)


def umeyama_ransac(src: ArrayLike, dst: ArrayLike, threshold: float, iterations: int = 500, seed: int = 0,
                   with_scale: bool = True, min_inliers: int = 4) -> AlignResult | None:
    """Alignment that tolerates outliers: triples of points propose, the largest set within `threshold` decides.

    src, dst (N, 3), threshold in the unit of dst. Deterministic for a seed. None when fewer than min_inliers agree.
    ValueError for bad shapes, non-finite points or a threshold that is not positive.
    """
    src, dst = _pair(src, dst)
    if not threshold > 0:
        raise ValueError(f'threshold must be positive, got {threshold!r}')
    count = len(src)
    if count < max(3, min_inliers):
        return None
    rng = np.random.default_rng(seed)
    # Three different indices per row, without a loop: distinct draws from shrinking ranges, shifted past the earlier
    # ones.
    a, b, c = (rng.integers(0, count - k, iterations) for k in range(3))
    b += b >= a
    low, high = np.minimum(a, b), np.maximum(a, b)
    c += c >= low
    c += c >= high
    triples = np.stack([a, b, c], -1)
    s, R, t, singular = _umeyama(src[triples], dst[triples], np.ones((iterations, 3)), with_scale)
    good = np.isfinite(s) & (singular[:, 1] > 1e-6 * singular[:, 0])
    if not good.any():
        return None
    sR, t = s[good, None, None] * R[good], t[good]
    counts = np.concatenate([
        np.count_nonzero(_distances(sR[i], t[i], src, dst) < threshold, axis=-1)
        for i in np.array_split(np.arange(len(t)), max(1, len(t) * count // _CHUNK))])
    best = int(counts.argmax())
    inliers = _distances(sR[best], t[best], src, dst) < threshold
    for _ in range(5):
        if np.count_nonzero(inliers) < max(3, min_inliers):
            return None
        try:
            T = umeyama(src[inliers], dst[inliers], with_scale=with_scale)
        except DegenerateGeometryError:
            return None
        distances = _distances(T[:3, :3], T[:3, 3], src, dst)
        again = distances < threshold
        settled = np.array_equal(again, inliers)
        inliers = again
        if settled:
            break
    if np.count_nonzero(inliers) < min_inliers:
        return None
    return AlignResult(T, inliers, float(np.sqrt(np.mean(distances[inliers] ** 2))))


def _pair(src: ArrayLike, dst: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    src, dst = np.asarray(src, dtype=np.float64), np.asarray(dst, dtype=np.float64)
    if src.ndim != 2 or src.shape[1] != 3 or src.shape != dst.shape:
        raise ValueError(f'src and dst must both have shape (N, 3), got {src.shape} and {dst.shape}')
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise ValueError('src and dst must be finite; drop the invalid points first')
    return src, dst


def _distances(sR: np.ndarray, t: np.ndarray, src: np.ndarray, dst: np.ndarray) -> np.ndarray:
    return np.linalg.norm(src @ np.swapaxes(sR, -1, -2) + t[..., None, :] - dst, axis=-1)


def _umeyama(src: np.ndarray, dst: np.ndarray, weights: np.ndarray,
             with_scale: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    # Batched core: (..., N, 3) twice and (..., N) to scale, rotation, translation and singular values.
    w = (weights / weights.sum(-1, keepdims=True))[..., None]
    mean_src, mean_dst = (w * src).sum(-2, keepdims=True), (w * dst).sum(-2, keepdims=True)
    a, b = src - mean_src, dst - mean_dst
    U, singular, Vt = np.linalg.svd(np.swapaxes(w * b, -1, -2) @ a)
    sign = np.ones_like(singular)
    sign[..., 2] = np.where(np.linalg.det(U) * np.linalg.det(Vt) < 0, -1.0, 1.0)
    R = (U * sign[..., None, :]) @ Vt
    variance = (w * a * a).sum((-2, -1))
    if with_scale:
        with np.errstate(divide='ignore', invalid='ignore'):
            s = (singular * sign).sum(-1) / variance
        s = np.where(s > 0, s, np.nan)
    else:
        s = np.ones(variance.shape)
    t = mean_dst[..., 0, :] - s[..., None] * (R @ np.swapaxes(mean_src, -1, -2))[..., 0]
    return s, R, t, singular
