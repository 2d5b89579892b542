# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a rig against a keyframe from matched points: on rays and distances, or on pixels and log depths.

Each camera's prediction may have a unit of its own: a point q of the map in the new camera is expected at s q, where s is one
factor for each camera. With one camera this is a similarity; with factors held at 1 a rigid motion. Residuals on rays hold
for any central camera and do not see errors of depth; the weak residual on distances gives s (MASt3R-SLAM, Murai et al., CVPR
2025, sections 3.3 and 3.5). Gauss-Newton with Huber weights.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_adjoint, se3_exp, se3_inverse

BORDER_PX = 10.0  # predicted pixels nearer to the border are not used where the camera is calibrated
NEAREST = 1e-6
FAR_OUT = 12.0  # standard deviations from which on a residual has no weight at all
Residuals = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class AlignConfig:
    """Standard deviations of rays (rad), pixels, log distances and log depths; Huber threshold in them; when to stop."""

    sigma_ray: float = 0.003
    sigma_distance: float = 10.0
    sigma_px: float = 1.0
    sigma_log_depth: float = 10.0
    huber: float = 1.345
    iterations: int = 50
    stop: float = 1e-3
    inlier_sigmas: float = 4.0


@dataclass(frozen=True)
class MatchedView:
    """Matches of one camera: points_kf (N, 3) of the keyframe in the keyframe's rig frame, units of the map, and the same
    points as the new camera's prediction has them, points_new (N, 3), in its own unit.

    pixels_new (N, 2) and intrinsics: of the new image, for calibrated cameras; without intrinsics rays count.
    """

    points_kf: np.ndarray
    points_new: np.ndarray
    T_rig_cam: np.ndarray
    pixels_new: np.ndarray
    intrinsics: CameraIntrinsics | None = None


@dataclass(frozen=True)
class Alignment:
    """T_new_kf (4, 4): the keyframe's rig in the new rig. covariance (6, 6) of exp((rho, phi)) T_new_kf, as if all residuals
    were independent. units (C,): of each camera's prediction, in units of the map 1 / s. inliers: mask for each camera.
    rms: of the inliers' ray or pixel residuals, in standard deviations."""

    T_new_kf: np.ndarray
    covariance: np.ndarray
    units: np.ndarray
    inliers: list[np.ndarray]
    rms: float

    @property
    def inlier_count(self) -> int:
        return int(sum(np.count_nonzero(i) for i in self.inliers))


def align(views: list[MatchedView], T_new_kf: np.ndarray, scales: np.ndarray, config: AlignConfig,
          free_scale: bool = True) -> Alignment | None:
    """Refines T_new_kf (4, 4) and the factors s of the cameras, `scales` (C,). None when it does not converge to numbers,
    or when the points do not determine a pose."""
    count = len(views)
    log_scale = np.log(np.asarray(scales, dtype=np.float64))
    T = T_new_kf.copy()
    size = 6 + (count if free_scale else 0)
    H = np.zeros((size, size))
    previous = np.inf
    for _ in range(config.iterations):
        H, g, cost = _normal_equations(views, T, log_scale, config, free_scale)
        if not np.isfinite(cost):
            return None
        try:
            step = np.linalg.solve(H, -g)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(step).all() or np.abs(step).max() > 10.0:
            return None
        T = se3_exp(step[:6]) @ T
        if free_scale:
            log_scale = log_scale + step[6:]
        settled = abs(previous - cost) < config.stop * 1e-3 * cost
        if np.abs(step[:6]).max() < config.stop * 1e-2 or settled:
            break
        previous = cost
    errors = [_direct_residual(v, T, s, config)[0] for v, s in zip(views, np.exp(log_scale), strict=True)]
    inliers = [e < config.inlier_sigmas for e in errors]
    found = np.concatenate([e[i] for e, i in zip(errors, inliers, strict=True)])
    if len(found) < 6:
        return None
    H = _normal_equations(views, T, log_scale, config, free_scale)[0]
    try:
        covariance = np.linalg.inv(H)[:6, :6]
    except np.linalg.LinAlgError:
        return None
    rms = float(np.sqrt(np.mean(found**2)))
    return Alignment(T, covariance * max(1.0, rms**2), np.exp(-log_scale), inliers, rms)


def _normal_equations(views: list[MatchedView], T: np.ndarray, log_scale: np.ndarray, config: AlignConfig, free_scale: bool
                      ) -> tuple[np.ndarray, np.ndarray, float]:
    size = 6 + (len(views) if free_scale else 0)
    H, g, cost = 1e-9 * np.eye(size), np.zeros(size), 0.0
    for n, view in enumerate(views):
        _, residual, D, range_residual, range_D = _residuals(view, T, np.exp(log_scale[n]), config)
        q = _in_camera(view, T)
        q = np.where(np.isfinite(q), q, 0.0)  # those count nothing, but 0 times nan is nan
        adjoint = se3_adjoint(se3_inverse(view.T_rig_cam))
        J = np.concatenate([D, -np.cross(D, q[:, None, :])], axis=2) @ adjoint
        Jr = np.concatenate([range_D, -np.cross(range_D, q)], axis=1) @ adjoint
        w = _huber(np.linalg.norm(residual, axis=1), config.huber)
        wr = np.where(w > 0, _huber(np.abs(range_residual), config.huber), 0.0)
        H[:6, :6] += np.einsum("nri,n,nrj->ij", J, w, J, optimize=True) + np.einsum("ni,n,nj->ij", Jr, wr, Jr, optimize=True)
        g[:6] += np.einsum("nri,nr->i", J, w[:, None] * residual) + Jr.T @ (wr * range_residual)
        if free_scale:
            slope = 1.0 / (config.sigma_distance if view.intrinsics is None else config.sigma_log_depth)
            H[:6, 6 + n] += slope * (Jr.T @ wr)
            H[6 + n, :6] = H[:6, 6 + n]
            H[6 + n, 6 + n] += slope**2 * wr.sum()
            g[6 + n] += slope * float(wr @ range_residual)
        cost += float(np.sum(w * np.sum(residual**2, 1)) + np.sum(wr * range_residual**2))
    return H, g, cost


def _huber(size: np.ndarray, threshold: float) -> np.ndarray:
    """IRLS weights (N,) of residuals of these sizes; nothing for what is far out or no number."""
    weight = np.minimum(1.0, threshold / np.maximum(size, 1e-12))
    return np.where(np.isfinite(size) & (size < FAR_OUT * threshold), weight, 0.0)


def _in_camera(view: MatchedView, T_new_kf: np.ndarray) -> np.ndarray:
    """(N, 3) the keyframe's points in the new camera, units of the map."""
    T = se3_inverse(view.T_rig_cam) @ T_new_kf
    return view.points_kf @ T[:3, :3].T + T[:3, 3]


def _direct_residual(view: MatchedView, T: np.ndarray, scale: float, config: AlignConfig) -> tuple[np.ndarray, np.ndarray]:
    """Sizes (N,) of the ray or pixel residuals in standard deviations, inf where there is none, and the residuals."""
    size, residual, *_ = _residuals(view, T, scale, config)
    return size, residual


def _residuals(view: MatchedView, T: np.ndarray, scale: float, config: AlignConfig) -> Residuals:
    """Sizes (N,), residuals (N, R) and their derivatives (N, R, 3) by the point in the camera; then the residual (N,) of log
    distance or log depth and its derivative (N, 3). All in standard deviations; nan residuals are replaced by inf sizes."""
    q = _in_camera(view, T)
    if view.intrinsics is None:
        return _ray_residuals(q, view.points_new, scale, config)
    return _pixel_residuals(q, view, view.intrinsics, scale, config)


def _ray_residuals(q: np.ndarray, measured: np.ndarray, scale: float, config: AlignConfig) -> Residuals:
    length, measured_length = np.linalg.norm(q, axis=1), np.linalg.norm(measured, axis=1)
    good = np.isfinite(length) & np.isfinite(measured_length) & (length > NEAREST) & (measured_length > NEAREST)
    safe, safe_measured = np.where(good, length, 1.0), np.where(good, measured_length, 1.0)
    ray, seen = q / safe[:, None], measured / safe_measured[:, None]
    residual = np.where(good[:, None], (ray - seen) / config.sigma_ray, 0.0)
    D = (np.eye(3) - ray[:, :, None] * ray[:, None, :]) / (safe * config.sigma_ray)[:, None, None]
    size = np.where(good, np.linalg.norm(residual, axis=1), np.inf)
    distance = np.where(good, np.log(scale * safe / safe_measured) / config.sigma_distance, 0.0)
    return size, _masked(residual, size), _masked(D, size), _masked(distance, size), _masked(
        ray / (safe * config.sigma_distance)[:, None], size)


def _pixel_residuals(q: np.ndarray, view: MatchedView, k: CameraIntrinsics, scale: float, config: AlignConfig) -> Residuals:
    measured_z = view.points_new[:, 2]
    good = np.isfinite(q).all(1) & (q[:, 2] > NEAREST) & np.isfinite(measured_z) & (measured_z > NEAREST)
    z, measured_z = np.where(good, q[:, 2], 1.0), np.where(good, measured_z, 1.0)
    u, v = k.fx * q[:, 0] / z + k.cx, k.fy * q[:, 1] / z + k.cy
    good &= (u > -0.5 + BORDER_PX) & (v > -0.5 + BORDER_PX) & (u < k.width - 0.5 - BORDER_PX) & (
        v < k.height - 0.5 - BORDER_PX)
    residual = np.stack([u - view.pixels_new[:, 0], v - view.pixels_new[:, 1]], 1) / config.sigma_px
    D = np.zeros((len(q), 2, 3))
    D[:, 0, 0], D[:, 0, 2] = k.fx / z, -k.fx * q[:, 0] / z**2
    D[:, 1, 1], D[:, 1, 2] = k.fy / z, -k.fy * q[:, 1] / z**2
    size = np.where(good, np.linalg.norm(residual, axis=1), np.inf)
    depth = np.log(scale * z / measured_z) / config.sigma_log_depth
    depth_D = np.zeros_like(q)
    depth_D[:, 2] = 1.0 / (z * config.sigma_log_depth)
    return size, _masked(residual, size), _masked(D / config.sigma_px, size), _masked(depth, size), _masked(depth_D, size)


def _masked(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Values, 0 where the size is not finite."""
    return np.where(np.isfinite(size).reshape(-1, *(1,) * (values.ndim - 1)), values, 0.0)
