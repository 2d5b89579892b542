# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Two views without depth: inverse depth of matches, and the relative pose up to scale from matches alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry.lie import make_se3

__all__ = ['TwoViewPose', 'relative_pose', 'triangulate_inverse_depth']

_PLANAR = 0.9  # a homography that explains so large a share of what the epipolar geometry explains: plane or rotation
_CLEAR = 0.9  # a solution counts if the next best one explains less than this share of its points
_CONFIDENCE = 0.9999


@dataclass(frozen=True)
class TwoViewPose:
    """Relative pose from matches. T_a_b (4, 4) with a translation of unit length. inliers (N,) bool: in front of both
    cameras and on the epipolar line. parallax: median angle in radians by which translation moves the inliers. planar:
    true if a homography explains the matches. ambiguous: true if another solution is almost as good. turned: share of the
    matches that a rotation alone explains to twice the tolerance.
    """

    T_a_b: np.ndarray
    inliers: np.ndarray
    parallax: float
    planar: bool
    ambiguous: bool
    turned: float


def triangulate_inverse_depth(rays_b: np.ndarray, points_a: np.ndarray, T_a_b: np.ndarray
                              ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse depth along rays of b that matches in a give, by least squares along the epipolar line.

    rays_b (..., 3) with z = 1; points_a (..., 2) normalised coordinates; T_a_b (4, 4). A point at inverse depth w in b
    is at (R r + w t) / z in a, which is linear in w after multiplying by the depth. Returns inverse_depth (...) in 1 per
    unit of T_a_b (negative: behind), slope (...): how far the image point in a moves for one unit of inverse depth,
    and epipolar (...): distance of points_a from the epipolar line, normalised. Without translation the slope is 0.
    """
    R, t = T_a_b[:3, :3].astype(rays_b.dtype), T_a_b[:3, 3].astype(rays_b.dtype)
    m = rays_b @ R.T
    x, y, m_z = points_a[..., 0], points_a[..., 1], m[..., 2]
    A_x, A_y = t[2] * x - t[0], t[2] * y - t[1]  # component by component: images are large
    B_x, B_y = m[..., 0] - m_z * x, m[..., 1] - m_z * y
    length2 = np.maximum(A_x * A_x + A_y * A_y, 1e-18)
    inverse_depth = (A_x * B_x + A_y * B_y) / length2
    z = m_z + inverse_depth * t[2]
    length = np.sqrt(length2)
    slope = length / np.maximum(np.abs(z), 1e-6)
    epipolar = np.abs(A_x * B_y - A_y * B_x) / length / np.maximum(np.abs(m_z), 1e-6)
    return np.where(z > 0, inverse_depth, -np.abs(inverse_depth)), slope, epipolar


def relative_pose(rays_b: np.ndarray, rays_a: np.ndarray, tolerance: float) -> TwoViewPose | None:
    """Robust relative pose from matches of rays (N, 3) with z = 1; tolerance: normalised image distance of an inlier.

    Candidates come from the essential matrix (five points, MAGSAC) and, where a homography explains the same points
    (a plane, little parallax), also from its decomposition (Malis and Vargas, 2007); the one that puts most points in
    front of both cameras and on their epipolar lines wins. None with fewer than 8 matches or without a solution.
    """
    if len(rays_b) < 8:
        return None
    b, a = np.ascontiguousarray(rays_b[:, :2]), np.ascontiguousarray(rays_a[:, :2])
    candidates: list[np.ndarray] = []
    cv2.setRNGSeed(0)
    E, mask_e = cv2.findEssentialMat(b, a, np.eye(3), cv2.USAC_MAGSAC, _CONFIDENCE, tolerance)
    explained = 0
    if E is not None and E.shape[0] >= 3:
        explained = int(np.count_nonzero(mask_e))
        for R in cv2.decomposeEssentialMat(E[:3])[:2]:
            t = cv2.decomposeEssentialMat(E[:3])[2].ravel()
            candidates += [make_se3(R, t), make_se3(R, -t)]
    H, mask_h = cv2.findHomography(b, a, cv2.USAC_MAGSAC, tolerance, confidence=_CONFIDENCE)
    planar = H is not None and np.count_nonzero(mask_h) >= _PLANAR * max(explained, 1)
    if planar:
        _, Rs, ts, _ = cv2.decomposeHomographyMat(H, np.eye(3))
        candidates += [make_se3(R, t.ravel() / np.linalg.norm(t)) for R, t in zip(Rs, ts, strict=True)
                       if np.linalg.norm(t) > 1e-6 and np.linalg.det(np.asarray(R, np.float64)) > 0]
    scored = []
    for T in candidates:
        w, slope, epipolar = triangulate_inverse_depth(rays_b, a, T)
        good = (w > 0) & (epipolar < tolerance)
        scored.append((int(np.count_nonzero(good)), T, good, slope * np.abs(w)))
    if not scored:
        return None
    best = max(scored, key=lambda s: s[0])
    count, T, good, shift = best
    if count < 8:
        return None
    others = [s[0] for s in scored if not _alike(s[1], T)]
    return TwoViewPose(T, good, float(np.median(shift[good])), bool(planar), bool(others and max(others) > _CLEAR * count),
                       _turned(rays_b, rays_a, tolerance))


def _turned(rays_b: np.ndarray, rays_a: np.ndarray, tolerance: float) -> float:
    """Share of the matches that the best rotation explains to twice the tolerance; robust by reweighting."""
    a, b = (r / np.linalg.norm(r, axis=1, keepdims=True) for r in (rays_a, rays_b))
    weight, share = np.ones(len(a)), 0.0
    for _ in range(12):
        U, _, Vt = np.linalg.svd((a * weight[:, None]).T @ b)  # Kabsch 1976
        R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
        error = np.linalg.norm(b @ R.T - a, axis=1)
        weight = 1.0 / (1.0 + (error / tolerance) ** 2)
        share = max(share, float(np.mean(error < 2 * tolerance)))
    return share


def _alike(T: np.ndarray, other: np.ndarray) -> bool:
    """True if two unit-translation poses are nearly the same motion."""
    cosine = (np.trace(T[:3, :3].T @ other[:3, :3]) - 1) / 2
    return bool(cosine > np.cos(0.05) and T[:3, 3] @ other[:3, 3] > np.cos(0.3))
