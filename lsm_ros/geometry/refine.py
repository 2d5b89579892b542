# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Refinement of a camera pose on pixels and depths: robust Gauss-Newton on SE3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import se3_exp
from lsm_ros.geometry.rotation import as_float

__all__ = ['DegenerateGeometryError', 'PoseRefinement', 'prepare_matches', 'refine_pose']

_NEAR = 1e-3  # metres
_BEHIND = 1e3  # standard deviations charged for a point behind the camera, so that no step gains by putting it there
_MAX_CONDITION = 1e14  # of the normalised normal equations


class DegenerateGeometryError(ValueError):
    """The given points do not determine the result."""


@dataclass(frozen=True)
class PoseRefinement:
    """Result of `refine_pose`.

    T_cam_map (4, 4); covariance (6, 6) of a left perturbation exp((rho, phi)) T_cam_map, m^2, m rad, rad^2; weights
    (N,) in [0, 1], the robust weight of each point, 0 for unusable ones; rms_px, weighted, and rms_depth in standard
    deviations of the depth model (NaN without depths); iterations taken; whether the last step was below 1e-8.
    """

    T_cam_map: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray
    rms_px: float
    rms_depth: float
    iterations: int
    converged: bool


def prepare_matches(points_map: ArrayLike, pixels: ArrayLike,
                    intrinsics: CameraIntrinsics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 3) float64, their undistorted targets (N, 2) on the plane z = 1, and which rows are usable (N,).

    Unusable are rows that are not finite and pixels for which the lens has no ray. ValueError for bad shapes.
    """
    points, pixels = np.asarray(points_map, dtype=np.float64), np.asarray(pixels, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or pixels.shape != (len(points), 2):
        raise ValueError(f'points_map must be (N, 3) and pixels (N, 2), got {points.shape} and {pixels.shape}')
    target = intrinsics.unproject(pixels)[:, :2]
    return points, target, np.isfinite(points).all(1) & np.isfinite(target).all(1)


def refine_pose(points_map: ArrayLike, pixels: ArrayLike, intrinsics: CameraIntrinsics, T_cam_map: ArrayLike,
                depths: ArrayLike | None = None, sigma_px: float = 1.0, depth_sigma_coefficient: float = 0.0025,
                depth_sigma_floor: float = 0.001, sigma_log_depth: float | None = None, huber: float = 1.345,
                iterations: int = 10) -> PoseRefinement:
    """Pose that minimises the Huber cost of pixel residuals and, where a depth is measured, depth residuals.

    points_map (N, 3) in metres, pixels (N, 2), depths (N,) in metres along z (0 or NaN: not measured), T_cam_map (4,
    4) the start. sigma_px is the pixels' standard deviation. That of a depth z is depth_sigma_coefficient z^2, as
    triangulating sensors have it (Khoshelham and Elberink, Sensors 2012, find 0.0014 / m for the first Kinect; the
    default allows for calibration too), and at least depth_sigma_floor; or, if given, sigma_log_depth z, as depth
    networks have it. Pixels are undistorted first, so residuals are those of the pinhole with the same focal length.

    Gauss-Newton steps on a left perturbation, iteratively reweighted. The covariance is the inverse of the
    normal equations, inflated by the robust variance of the residuals when that is above 1. ValueError for bad shapes
    or parameters, DegenerateGeometryError when the points do not determine the pose.
    """
    points, target, usable = prepare_matches(points_map, pixels, intrinsics)
    T = as_float(T_cam_map, (4, 4), 'T_cam_map').copy()
    if T.ndim != 2 or not np.isfinite(T).all():
        raise ValueError(f'T_cam_map must be one finite transform (4, 4), got shape {T.shape}')
    for name, value in (('sigma_px', sigma_px), ('huber', huber), ('depth_sigma_coefficient', depth_sigma_coefficient),
                        ('depth_sigma_floor', depth_sigma_floor), ('sigma_log_depth', sigma_log_depth)):
        if value is not None and not value > 0:
            raise ValueError(f'{name} must be positive, got {value!r}')
    measured, sigma_z = _depth_model(depths, usable, depth_sigma_coefficient, depth_sigma_floor, sigma_log_depth)
    rows = np.flatnonzero(usable)
    problem = _Problem(points[rows], target[rows], np.array([intrinsics.fx, intrinsics.fy]) / sigma_px,
                       measured[rows], sigma_z[rows], huber)
    if len(rows) < 3:
        raise DegenerateGeometryError(f'a pose needs at least 3 finite points with pixels, got {len(rows)}')

    converged, taken = False, 0
    state = best = problem.linearize(T)
    best_T = T
    # A step may lose all points from view; then what was found before it stands, or is refused below.
    while taken < iterations and not converged and not _defect(state.hessian):
        taken += 1
        step = -np.linalg.solve(state.hessian, state.gradient)
        T = se3_exp(step) @ T
        state = problem.linearize(T)
        # A step may pass through a worse pose on its way out of a bad start; what is returned is never worse than it.
        if state.cost <= best.cost * (1 + 1e-12):
            best, best_T = state, T
        converged = bool(np.abs(step).max() < 1e-8)
    covariance = _invert(best.hessian) * max(1.0, best.robust_variance)
    weights = np.zeros(len(points))
    weights[rows] = best.weights
    return PoseRefinement(best_T, covariance, weights, best.rms_pixel * sigma_px, best.rms_depth, taken, converged)


@dataclass(frozen=True)
class _State:
    cost: float
    hessian: np.ndarray
    gradient: np.ndarray
    weights: np.ndarray
    robust_variance: float
    rms_pixel: float
    rms_depth: float


@dataclass(frozen=True)
class _Problem:
    """Points (N, 3), target (N, 2) on the plane z = 1, focal over sigma (2,), depth (N,), 0 for none, and its sigma."""

    points: np.ndarray
    target: np.ndarray
    gain: np.ndarray
    depth: np.ndarray
    sigma_z: np.ndarray
    huber: float

    def linearize(self, T: np.ndarray) -> _State:
        """Cost, normal equations and statistics at T; residuals are in standard deviations."""
        p = self.points @ T[:3, :3].T + T[:3, 3]
        front = p[:, 2] > _NEAR
        z = np.where(front, p[:, 2], 1.0)
        x, y = p[:, 0] / z, p[:, 1] / z
        gx, gy = self.gain
        rx, ry = gx * (x - self.target[:, 0]), gy * (y - self.target[:, 1])
        norm = np.where(front, np.hypot(rx, ry), _BEHIND)
        weight_px, cost_px = self._robust(norm)
        weight_px = np.where(front, weight_px, 0.0)
        has_depth = (self.depth > 0) & front
        inverse_sigma = np.where(has_depth, 1 / np.where(has_depth, self.sigma_z, 1.0), 0.0)
        rz = (p[:, 2] - self.depth) * inverse_sigma
        weight_z, cost_z = self._robust(np.abs(rz))
        weight_z = np.where(has_depth, weight_z, 0.0)

        # d p / d (rho, phi) = [I, -hat(p)] for the left perturbation; below each row is chained with d(x, y, z) / d p.
        zero, w = np.zeros_like(x), 1 / z
        jx = gx * np.stack([w, zero, -x * w, -x * y, 1 + x * x, -y], -1)
        jy = gy * np.stack([zero, w, -y * w, -(1 + y * y), x * y, x], -1)
        jz = inverse_sigma[:, None] * np.stack([zero, zero, np.ones_like(x), p[:, 1], -p[:, 0], zero], -1)
        J = np.concatenate([jx, jy, jz])
        r = np.concatenate([rx, ry, rz])
        weight = np.concatenate([weight_px, weight_px, weight_z])
        JW = J * weight[:, None]
        return self._summary(float(cost_px.sum() + cost_z.sum()), JW.T @ J, JW.T @ r, weight_px, weight_z,
                             (rx, ry, rz), front, has_depth)

    def _summary(self, cost: float, hessian: np.ndarray, gradient: np.ndarray, weight_px: np.ndarray,
                 weight_z: np.ndarray, residuals: tuple[np.ndarray, ...], front: np.ndarray,
                 has_depth: np.ndarray) -> _State:
        rx, ry, rz = residuals
        used = np.abs(np.concatenate([rx[front], ry[front], rz[has_depth]]))
        # Median of |r| of a unit normal is 0.6745: an estimate of the variance that half of the points cannot corrupt.
        variance = float((np.median(used) / 0.6745) ** 2) if used.size else np.inf
        weights = np.where(has_depth, np.minimum(weight_px, weight_z), weight_px)
        total_px, total_z = weight_px.sum(), weight_z.sum()
        rms_pixel = np.sqrt(np.sum(weight_px * (rx**2 + ry**2)) / total_px) if total_px > 0 else np.nan
        rms_depth = np.sqrt(np.sum(weight_z * rz**2) / total_z) if total_z > 0 else np.nan
        return _State(cost, hessian, gradient, weights, variance, float(rms_pixel), float(rms_depth))

    def _robust(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        far = size > self.huber
        weight = np.where(far, self.huber / np.where(far, size, 1.0), 1.0)
        return weight, np.where(far, self.huber * (size - 0.5 * self.huber), 0.5 * size**2)


def _depth_model(depths: ArrayLike | None, usable: np.ndarray, coefficient: float, floor: float,
                 sigma_log: float | None) -> tuple[np.ndarray, np.ndarray]:
    if depths is None:
        return np.zeros(len(usable)), np.ones(len(usable))
    z = np.asarray(depths, dtype=np.float64)
    if z.shape != usable.shape:
        raise ValueError(f'depths must have shape {usable.shape}, got {z.shape}')
    z = np.where(np.isfinite(z) & (z > 0), z, 0.0)
    sigma = np.maximum(coefficient * z**2, floor) if sigma_log is None else sigma_log * z
    return z, np.where(z > 0, sigma, 1.0)


def _invert(hessian: np.ndarray) -> np.ndarray:
    reason = _defect(hessian)
    if reason:
        raise DegenerateGeometryError(f'the pose is not determined: {reason}')
    inverse = np.linalg.inv(hessian)
    return 0.5 * (inverse + inverse.T)


def _defect(hessian: np.ndarray) -> str:
    # Metres and radians differ in size, so the condition is that of the equations scaled to a unit diagonal.
    scale = np.sqrt(np.diag(hessian))
    if not np.all(scale > 0) or not np.isfinite(hessian).all():
        return 'no usable residual depends on a part of it'
    condition = np.linalg.cond(hessian / np.outer(scale, scale))
    return '' if condition < _MAX_CONDITION else f'condition number {condition:.1e}'
