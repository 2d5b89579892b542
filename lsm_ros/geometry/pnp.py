# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Camera pose from matches with outliers: proposals, the largest support, refinement."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.refine import DegenerateGeometryError, PoseRefinement, prepare_matches, refine_pose
from lsm_ros.geometry.rotation import as_float, so3_exp

__all__ = ['PnPResult', 'solve_pnp']

_CONFIDENCE = 0.9999
_GATE = 5.0  # times the inlier threshold: largest error of points that refine a given start
_ENOUGH = 0.8  # share of support above which no other proposal is looked for
_ROUNDS = 3


@dataclass(frozen=True)
class PnPResult:
    """T_cam_map (4, 4), inliers (N,) bool, covariance (6, 6) as in `PoseRefinement`, and the inliers' rms in pixels."""

    T_cam_map: np.ndarray
    inliers: np.ndarray
    covariance: np.ndarray
    rms_px: float


def solve_pnp(points_map: ArrayLike, pixels: ArrayLike, intrinsics: CameraIntrinsics,
              T_cam_map_init: ArrayLike | None = None, reprojection_px: float = 3.0, iterations: int = 300,
              seed: int = 0, min_inliers: int = 6, depths: ArrayLike | None = None,
              sigma_px: float = 1.0) -> PnPResult | None:
    """Camera pose from matches with outliers.

    points_map (N, 3) in metres, pixels (N, 2), depths (N,) in metres along z or None; non-finite rows are never
    inliers. A given T_cam_map_init, as it is and refined, is a proposal; unless most points support it, RANSAC (SQPnP)
    makes another. The proposal that most points support within reprojection_px is refined by `refine_pose`, with the depths.
    Deterministic for a seed. None when fewer than min_inliers (at least 4) agree. ValueError for bad shapes or a
    threshold that is not positive.
    """
    points, target, usable = prepare_matches(points_map, pixels, intrinsics)
    if not reprojection_px > 0:
        raise ValueError(f'reprojection_px must be positive, got {reprojection_px!r}')
    depths = np.zeros(len(points)) if depths is None else np.asarray(depths, dtype=np.float64)
    if depths.shape != usable.shape:
        raise ValueError(f'depths must have shape {usable.shape}, got {depths.shape}')
    needed = max(4, min_inliers)
    if np.count_nonzero(usable) < needed:
        return None
    pinhole = replace(intrinsics, distortion_model='', D=())
    matches = _Matches(points, target, depths, usable, pinhole, reprojection_px, sigma_px)
    proposals = []
    if T_cam_map_init is not None:
        start = as_float(T_cam_map_init, (4, 4), 'T_cam_map_init')
        refined = matches.polish(start, matches.support(start, _GATE))
        proposals = [start] if refined is None else [start, refined.T_cam_map]
    if not any(np.count_nonzero(matches.support(T)) > _ENOUGH * np.count_nonzero(usable) for T in proposals):
        proposals += matches.ransac(iterations, seed)
    if not proposals:
        return None
    T = max(proposals, key=lambda T: np.count_nonzero(matches.support(T)))
    inliers, covariance = matches.support(T), np.full((6, 6), np.nan)
    for _ in range(_ROUNDS):
        refined = matches.polish(T, inliers) if np.count_nonzero(inliers) >= needed else None
        if refined is None:
            return None
        T, covariance = refined.T_cam_map, refined.covariance
        before, inliers = inliers, matches.support(T)
        if np.array_equal(before, inliers):
            break
    if np.count_nonzero(inliers) < needed:
        return None
    return PnPResult(T, inliers, covariance, float(np.sqrt(np.mean(matches.errors(T)[inliers] ** 2))))


@dataclass(frozen=True)
class _Matches:
    """Points (N, 3), targets (N, 2) on z = 1, depths (N,), usable (N,), the pinhole, threshold and noise in pixels."""

    points: np.ndarray
    target: np.ndarray
    depths: np.ndarray
    usable: np.ndarray
    pinhole: CameraIntrinsics
    reprojection_px: float
    sigma_px: float

    @property
    def pixels(self) -> np.ndarray:
        """Undistorted pixels (N, 2)."""
        return self.target * (self.pinhole.fx, self.pinhole.fy) + (self.pinhole.cx, self.pinhole.cy)

    def errors(self, T_cam_map: np.ndarray) -> np.ndarray:
        """Reprojection errors (N,) in pixels, infinite behind the camera."""
        with np.errstate(invalid='ignore'):
            p = self.points @ T_cam_map[:3, :3].T + T_cam_map[:3, 3]
            front = p[:, 2] > 0
            delta = p[:, :2] / np.where(front, p[:, 2], 1.0)[:, None] - self.target
            return np.where(front, np.hypot(delta[:, 0] * self.pinhole.fx, delta[:, 1] * self.pinhole.fy), np.inf)

    def support(self, T_cam_map: np.ndarray, factor: float = 1.0) -> np.ndarray:
        """Mask (N,) of the usable points within `factor` times the threshold."""
        return self.usable & (self.errors(T_cam_map) < factor * self.reprojection_px)

    def polish(self, T_cam_map: np.ndarray, mask: np.ndarray) -> PoseRefinement | None:
        """Refinement on the masked points, None where they do not determine a pose."""
        try:
            return refine_pose(self.points[mask], self.pixels[mask], self.pinhole, T_cam_map, depths=self.depths[mask],
                               sigma_px=self.sigma_px)
        except DegenerateGeometryError:
            return None

    def ransac(self, iterations: int, seed: int) -> list[np.ndarray]:
        """At most one pose, by OpenCV on the usable points."""
        # OpenCV draws its samples from a generator with a fixed start, so the order of the points carries the seed.
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(self.usable))
        try:
            found, rvec, tvec, _ = cv2.solvePnPRansac(
                self.points[rows], self.pixels[rows], self.pinhole.K, None,
                iterationsCount=int(iterations), reprojectionError=float(self.reprojection_px), confidence=_CONFIDENCE,
                flags=cv2.SOLVEPNP_SQPNP)
        except cv2.error:
            return []  # OpenCV raises where its minimal solver meets degenerate points: no proposal
        if not found or not (np.isfinite(rvec).all() and np.isfinite(tvec).all()):
            return []
        return [make_se3(so3_exp(rvec.ravel()), tvec.ravel())]
