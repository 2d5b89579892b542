# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a rig of cameras from points of the map that its images show."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_adjoint, se3_exp, se3_inverse, solve_pnp
from lsm_ros.slam.graph.bundle import GATE, NEAR

CLEAR_SHARE = 0.67  # of the points; a refined guess that explains as many needs no other proposal
RAYLEIGH_MEDIAN = 1.1774  # of the length of a plane error, in its standard deviations along each axis
FAR_OFF = 2.0  # times the gate: the proposal is near, so what is this far off does not count at all
CONVERGED = 1e-5  # of a step, metres and radians
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
    """T_map_rig (4, 4); covariance (6, 6) of exp((rho, phi)) T_rig_map; inliers for each view; noise_px: robust standard
    deviation of their pixels, NaN where it was not looked at."""

    T_map_rig: np.ndarray
    covariance: np.ndarray
    inliers: list[np.ndarray]
    noise_px: float = float("nan")

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


def covariance_at(views: list[View], T_map_rig: np.ndarray, sigma_px: float, sigma_inverse_depth: float, huber: float
                  ) -> np.ndarray:
    """Covariance (6, 6), as `map_covariance`, of a rig that stands at T_map_rig (4, 4) by these points; huge where they do not
    say."""
    _, H = _refine(_stack(views, sigma_px, GATE * sigma_px), se3_inverse(T_map_rig), sigma_inverse_depth, huber, iterations=1)
    return map_covariance(RigPose(T_map_rig, np.linalg.inv(H), [np.ones(len(v.pixels), bool) for v in views]))


def solve_rig_pose(views: list[View], T_map_rig_guess: np.ndarray | None, sigma_px: float, sigma_inverse_depth: float,
                   huber: float, min_inliers: int, seed: int = 0, gate_px: float | None = None) -> RigPose | None:
    """Robust pose from all views together; None when fewer than `min_inliers` points agree. gate_px: error beyond which a point
    is another one, by default four times sigma_px.

    The pose is refined on pixels and inverse depths by Gauss-Newton with Huber weights, from the guess; where that
    explains less than two thirds of the points, or there is no guess, also from what RANSAC finds in the camera with the
    most points, which counts if it is clearly better.
    """
    if not views or sum(len(v.pixels) for v in views) < min_inliers:
        return None
    stack = _stack(views, sigma_px, GATE * sigma_px if gate_px is None else gate_px)
    if T_map_rig_guess is not None:  # mostly the guess is near, and what it leads to explains most points
        T_rig_map, H = _refine(stack, se3_inverse(T_map_rig_guess), sigma_inverse_depth, huber)
        near, support = _support(stack, T_rig_map)
    if T_map_rig_guess is None or near < max(min_inliers, CLEAR_SHARE * len(stack.known)):
        proposal = _propose(views, T_map_rig_guess, stack.gate * sigma_px / GATE, seed)
        if proposal is not None:
            better, H_better = _refine(stack, proposal, sigma_inverse_depth, huber)
            if T_map_rig_guess is None or _support(stack, better)[1] > BETTER * support:
                T_rig_map, H = better, H_better
        elif T_map_rig_guess is None:
            return None
    error, error_depth = _errors(stack, T_rig_map)
    good = (error < stack.gate) & (np.abs(error_depth) < GATE * sigma_inverse_depth)
    if np.count_nonzero(good) < min_inliers:
        return None
    try:
        covariance = np.linalg.inv(H)
    except np.linalg.LinAlgError:
        return None
    ends = np.cumsum([len(v.pixels) for v in views])[:-1]
    noise_px = sigma_px * float(np.median(error[good])) / RAYLEIGH_MEDIAN
    return RigPose(se3_inverse(T_rig_map), covariance, np.split(good, ends), noise_px)


def _support(s: _Stack, T_rig_map: np.ndarray) -> tuple[int, float]:
    """Number of points within the gate, and how well they fit: each counts 1 - (error / gate)^2."""
    error = _errors(s, T_rig_map)[0] / s.gate
    return int(np.count_nonzero(error < 1)), float(np.maximum(1 - error**2, 0).sum())


def _propose(views: list[View], T_map_rig_guess: np.ndarray | None, sigma_px: float, seed: int) -> np.ndarray | None:
    """T_rig_map by RANSAC from the camera with the most points, or None."""
    main = max(views, key=lambda v: len(v.pixels))
    T_cam_map = None if T_map_rig_guess is None else se3_inverse(T_map_rig_guess @ main.T_rig_cam)
    found = solve_pnp(main.points_map, main.pixels, main.intrinsics, T_cam_map_init=T_cam_map,
                      reprojection_px=GATE * sigma_px, seed=seed, depths=main.depth, sigma_px=sigma_px)
    return None if found is None else main.T_rig_cam @ found.T_cam_map


@dataclass
class _Stack:
    """Points of all views. points_map (N, 3); normalized (2, N); focal (2, N) in standard deviations of a pixel; inverse_depth
    (N,) 1/m, and where it is known (N,). mounts: T_cam_rig (4, 4) of each camera, and which points (index) it has. gate:
    standard deviations of a pixel beyond which a point is another one."""

    points_map: np.ndarray
    normalized: np.ndarray
    focal: np.ndarray
    inverse_depth: np.ndarray
    known: np.ndarray
    mounts: list[tuple[np.ndarray, slice | np.ndarray]]
    gate: float

    def in_camera(self, T_rig_map: np.ndarray) -> np.ndarray:
        """(3, N) the points in their cameras."""
        out = np.empty((3, len(self.known)))
        for T_cam_rig, rows in self.mounts:
            T = T_cam_rig @ T_rig_map
            out[:, rows] = T[:3, :3] @ self.points_map[rows].T + T[:3, 3:]
        return out


def _stack(views: list[View], sigma_px: float, gate_px: float) -> _Stack:
    depth, focal, normalized = [], [], []
    for v in views:
        f = np.array([v.intrinsics.fx, v.intrinsics.fy])
        normalized.append((v.pixels - (v.intrinsics.cx, v.intrinsics.cy)) / f)
        focal.append(np.tile(f[:, None] / sigma_px, len(v.pixels)))
        depth.append(v.depth)
    every = np.concatenate(depth)
    known = np.isfinite(every)
    return _Stack(np.concatenate([v.points_map for v in views]), np.concatenate(normalized).T, np.concatenate(focal, 1),
                  np.where(known, 1.0 / np.where(known, every, 1.0), 0.0), known, _mounts(views), gate_px / sigma_px)


def _mounts(views: list[View]) -> list[tuple[np.ndarray, slice | np.ndarray]]:
    """T_cam_rig (4, 4) of the cameras, and which of the points of all views each of them has."""
    different = np.unique(np.stack([v.T_rig_cam.ravel() for v in views]), axis=0, return_inverse=True)
    mounts = different[0].reshape(-1, 4, 4)
    if len(mounts) == 1:
        return [(se3_inverse(mounts[0]), slice(None))]
    of = np.repeat(different[1].ravel(), [len(v.pixels) for v in views])
    return [(se3_inverse(T), np.flatnonzero(of == n)) for n, T in enumerate(mounts)]


def _errors(s: _Stack, T_rig_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors in standard deviations of a pixel, and of inverse depth in 1/m (0 without a depth)."""
    x, y, z = s.in_camera(T_rig_map)
    front = z > NEAR
    iz = 1.0 / np.where(front, z, 1.0)
    error = np.hypot((x * iz - s.normalized[0]) * s.focal[0], (y * iz - s.normalized[1]) * s.focal[1])
    return np.where(front, error, np.inf), np.where(front & s.known, iz - s.inverse_depth, 0.0)


def _refine(s: _Stack, T_rig_map: np.ndarray, sigma_rho: float, huber: float, iterations: int = 12
            ) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton; returns the pose and the information matrix of a left perturbation.

    Derivatives are taken in the cameras, where they have few terms (see `graph.bundle`), and carried to the rig by adjoints.
    """
    H, J, weight = np.eye(6), np.zeros((3, len(s.known), 6)), np.empty((3, len(s.known)))
    fx, fy = s.focal
    for _ in range(iterations):
        x, y, z = s.in_camera(T_rig_map)
        front = z > NEAR
        iz = 1.0 / np.where(front, z, 1.0)
        x, y, known = x * iz, y * iz, front & s.known
        r = np.stack([(x - s.normalized[0]) * fx, (y - s.normalized[1]) * fy,
                      np.where(known, (iz - s.inverse_depth) / sigma_rho, 0.0)])
        J[0, :, 0], J[0, :, 2] = fx * iz, -fx * iz * x
        J[0, :, 3], J[0, :, 4], J[0, :, 5] = -fx * x * y, fx * (1 + x * x), -fx * y
        J[1, :, 1], J[1, :, 2] = fy * iz, -fy * iz * y
        J[1, :, 3], J[1, :, 4], J[1, :, 5] = -fy * (1 + y * y), fy * x * y, fy * x
        J[2, :, 2], J[2, :, 3], J[2, :, 4] = -iz * iz / sigma_rho, -iz * y / sigma_rho, iz * x / sigma_rho
        size = np.hypot(r[0], r[1])
        near = size <= FAR_OFF * s.gate
        weight[0] = weight[1] = np.where(front & near, np.minimum(1.0, huber / np.maximum(size, 1e-9)), 0.0)
        weight[2] = np.where(known & near, np.minimum(1.0, huber / np.maximum(np.abs(r[2]), 1e-9)), 0.0)
        H, gradient = 1e-9 * np.eye(6), np.zeros(6)
        for T_cam_rig, rows in s.mounts:
            A = se3_adjoint(T_cam_rig)
            flat = J[:, rows].reshape(-1, 6)
            weighted = weight[:, rows].reshape(-1, 1) * flat
            H += A.T @ (flat.T @ weighted) @ A
            gradient += A.T @ (weighted.T @ r[:, rows].ravel())
        step = np.linalg.solve(H, -gradient)
        if not np.isfinite(step).all() or np.linalg.norm(step) > 2.0:
            break
        T_rig_map = se3_exp(step) @ T_rig_map
        if np.abs(step).max() < CONVERGED:
            break
    return T_rig_map, H
