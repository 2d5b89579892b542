# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a rig of cameras from points of the map that its images show."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_exp, se3_inverse, solve_pnp
from lsm_ros.slam.graph.bundle import NEAR

CLEAR_SHARE = 0.67  # of the points; a refined guess that explains as many needs no other proposal
BETTER = 1.25  # times as well must another proposal explain the points: one step of a pattern explains them nearly as well


@dataclass
class View:
    """Points that one camera found: points_map (N, 3), pixels (N, 2), depth (N,) metres or NaN, pinhole without distortion."""

    intrinsics: CameraIntrinsics
    T_rig_cam: np.ndarray
    points_map: np.ndarray
    pixels: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class RigPose:
    """T_map_rig (4, 4); covariance (6, 6) of exp((rho, phi)) T_rig_map; inliers for each view; rms in pixels."""

    T_map_rig: np.ndarray
    covariance: np.ndarray
    inliers: list[np.ndarray]
    rms_px: float

    @property
    def inlier_count(self) -> int:
        return int(sum(i.sum() for i in self.inliers))


def map_covariance(pose: RigPose, cells: float | None = None) -> np.ndarray:
    """(6, 6) covariance of T_map_rig for a perturbation in the map frame: translation of the rig, rotation about the map's
    axes (ROS order), inflated because the matches of one patch are not independent. cells: by how much.

    exp(d) T_rig_map with d = (rho, phi): T_map_rig exp(-d) moves the rig by -R rho and turns it by -R phi.
    """
    R = pose.T_map_rig[:3, :3]
    J = np.zeros((6, 6))
    J[:3, :3] = J[3:, 3:] = -R
    cells = max(1.0, pose.inlier_count / 300.0) if cells is None else cells
    return cells * J @ pose.covariance @ J.T


def solve_rig_pose(views: list[View], T_map_rig_guess: np.ndarray | None, sigma_px: float, sigma_inverse_depth: float,
                   huber: float, min_inliers: int, seed: int = 0) -> RigPose | None:
    """Robust pose from all views together; None when fewer than `min_inliers` points agree.

    The pose is refined on pixels and inverse depths by Gauss-Newton with Huber weights, from the guess; where that
    explains less than two thirds of the points, or there is no guess, also from what RANSAC finds in the camera with the
    most points, which counts if it is clearly better.
    """
    if not views or sum(len(v.pixels) for v in views) < min_inliers:
        return None
    stack = _stack(views)
    if T_map_rig_guess is not None:  # mostly the guess is near, and what it leads to explains most points
        T_rig_map, H = _refine(stack, se3_inverse(T_map_rig_guess), sigma_px, sigma_inverse_depth, huber)
        near, support = _support(stack, T_rig_map, sigma_px)
    if T_map_rig_guess is None or near < max(min_inliers, CLEAR_SHARE * len(stack.depth)):
        proposal = _propose(views, T_map_rig_guess, sigma_px, seed)
        if proposal is not None:
            better, H_better = _refine(stack, proposal, sigma_px, sigma_inverse_depth, huber)
            if T_map_rig_guess is None or _support(stack, better, sigma_px)[1] > BETTER * support:
                T_rig_map, H = better, H_better
        elif T_map_rig_guess is None:
            return None
    error, error_depth = _errors(stack, T_rig_map)
    good = (error < 4 * sigma_px) & (np.abs(error_depth) < 4 * sigma_inverse_depth)
    if np.count_nonzero(good) < min_inliers:
        return None
    try:
        covariance = np.linalg.inv(H)
    except np.linalg.LinAlgError:
        return None
    ends = np.cumsum([len(v.pixels) for v in views])[:-1]
    return RigPose(se3_inverse(T_rig_map), covariance, np.split(good, ends), float(np.sqrt(np.mean(error[good] ** 2))))


def _support(s: _Stack, T_rig_map: np.ndarray, sigma_px: float) -> tuple[int, float]:
    """Number of points within 4 sigma, and how well they fit: each counts 1 - (error / 4 sigma)^2."""
    error = _errors(s, T_rig_map)[0] / (4 * sigma_px)
    return int(np.count_nonzero(error < 1)), float(np.maximum(1 - error**2, 0).sum())


def _propose(views: list[View], T_map_rig_guess: np.ndarray | None, sigma_px: float, seed: int) -> np.ndarray | None:
    """T_rig_map by RANSAC from the camera with the most points, or None."""
    main = max(views, key=lambda v: len(v.pixels))
    T_cam_map = None if T_map_rig_guess is None else se3_inverse(T_map_rig_guess @ main.T_rig_cam)
    found = solve_pnp(main.points_map, main.pixels, main.intrinsics, T_cam_map_init=T_cam_map,
                      reprojection_px=4 * sigma_px, seed=seed, depths=main.depth, sigma_px=sigma_px)
    return None if found is None else main.T_rig_cam @ found.T_cam_map


@dataclass
class _Stack:
    points_map: np.ndarray
    normalized: np.ndarray
    focal: np.ndarray
    depth: np.ndarray
    R_cam_rig: np.ndarray
    t_cam_rig: np.ndarray


def _stack(views: list[View]) -> _Stack:
    parts = []
    for v in views:
        n, T = len(v.pixels), se3_inverse(v.T_rig_cam)
        focal = np.array([v.intrinsics.fx, v.intrinsics.fy])
        parts.append((v.points_map, (v.pixels - (v.intrinsics.cx, v.intrinsics.cy)) / focal, np.tile(focal, (n, 1)),
                      v.depth, np.broadcast_to(T[:3, :3], (n, 3, 3)), np.broadcast_to(T[:3, 3], (n, 3))))
    return _Stack(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _errors(s: _Stack, T_rig_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel errors and inverse depth errors (0 without a depth)."""
    in_rig = s.points_map @ T_rig_map[:3, :3].T + T_rig_map[:3, 3]
    in_cam = np.einsum("nij,nj->ni", s.R_cam_rig, in_rig) + s.t_cam_rig
    front = in_cam[:, 2] > NEAR
    iz = 1.0 / np.where(front, in_cam[:, 2], 1.0)
    error = np.linalg.norm((in_cam[:, :2] * iz[:, None] - s.normalized) * s.focal, axis=1)
    known = front & np.isfinite(s.depth)
    return np.where(front, error, np.inf), np.where(known, iz - 1.0 / np.where(known, s.depth, 1.0), 0.0)


def _refine(s: _Stack, T_rig_map: np.ndarray, sigma_px: float, sigma_rho: float, huber: float,
            iterations: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton; returns the pose and the information matrix of a left perturbation."""
    H = np.eye(6)
    for _ in range(iterations):
        in_rig = s.points_map @ T_rig_map[:3, :3].T + T_rig_map[:3, 3]
        in_cam = np.einsum("nij,nj->ni", s.R_cam_rig, in_rig) + s.t_cam_rig
        front = in_cam[:, 2] > NEAR
        iz = 1.0 / np.where(front, in_cam[:, 2], 1.0)
        x, y = in_cam[:, 0] * iz, in_cam[:, 1] * iz
        scale = s.focal / sigma_px
        known = front & np.isfinite(s.depth)
        r = np.stack([(x - s.normalized[:, 0]) * scale[:, 0], (y - s.normalized[:, 1]) * scale[:, 1],
                      np.where(known, (iz - 1.0 / np.where(known, s.depth, 1.0)) / sigma_rho, 0.0)], 1)
        D = np.zeros((len(x), 3, 3))
        D[:, 0, 0], D[:, 0, 2] = scale[:, 0] * iz, -scale[:, 0] * iz * x
        D[:, 1, 1], D[:, 1, 2] = scale[:, 1] * iz, -scale[:, 1] * iz * y
        D[:, 2, 2] = np.where(known, -iz * iz / sigma_rho, 0.0)
        D = np.matmul(D, s.R_cam_rig)
        J = np.concatenate([D, -np.cross(D, in_rig[:, None, :])], axis=2)
        size = np.linalg.norm(r[:, :2], axis=1)
        w_px = np.where(front, np.minimum(1.0, huber / np.maximum(size, 1e-9)), 0.0)
        w_px[size > 8.0] = 0.0  # the proposal is near: what is this far off is another point
        w_depth = np.where(size > 8.0, 0.0, np.minimum(1.0, huber / np.maximum(np.abs(r[:, 2]), 1e-9)))
        w = np.stack([w_px, w_px, w_depth], 1)
        H = np.einsum("nri,nr,nrj->ij", J, w, J, optimize=True) + 1e-9 * np.eye(6)
        step = np.linalg.solve(H, -np.einsum("nri,nr->i", J, w * r))
        if not np.isfinite(step).all() or np.linalg.norm(step) > 2.0:
            break
        T_rig_map = se3_exp(step) @ T_rig_map
        if np.abs(step).max() < 1e-6:
            break
    return T_rig_map, H
