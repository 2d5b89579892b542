# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bundle adjustment over keyframe poses and the inverse depths of their landmarks.

A landmark is a pixel of its anchor keyframe with an inverse depth; with the depth camera's noise growing with the square
of depth, a measured depth is a measurement of inverse depth with constant standard deviation. Gauss-Newton with Huber
weights; the landmarks are eliminated by the Schur complement, which is diagonal in them (Triggs et al., Bundle
Adjustment - A Modern Synthesis, 2000, section 6.1).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, vstack

from lsm_ros.geometry import se3_exp, se3_inverse

NEAR = 0.02  # metres; a point nearer than this to the camera's plane is left out of the step


@dataclass
class BundleProblem:
    """K keyframes, L landmarks, M observations.

    T_map_rig (K, 4, 4); fixed (K,) bool. Landmarks: anchor (L,) int keyframe, rays (L, 3) with z = 1 in the anchor's
    camera, T_rig_cam_anchor (L, 4, 4), inverse_depth (L,), measured (L,) inverse depth or NaN.
    Observations: landmark (M,), keyframe (M,), T_cam_rig (M, 4, 4), pixels in normalised coordinates (M, 2), focal (M, 2)
    in pixels, depth (M,) measured in metres or NaN.
    focal_std: relative standard deviation of a common factor of all focal lengths, which is then estimated too; None: the
    focal lengths are right. rays and normalized are those of the focal lengths given.
    """

    T_map_rig: np.ndarray
    fixed: np.ndarray
    anchor: np.ndarray
    rays: np.ndarray
    T_rig_cam_anchor: np.ndarray
    inverse_depth: np.ndarray
    measured: np.ndarray
    landmark: np.ndarray
    keyframe: np.ndarray
    T_cam_rig: np.ndarray
    normalized: np.ndarray
    focal: np.ndarray
    depth: np.ndarray
    focal_std: float | None = None


@dataclass(frozen=True)
class BundleResult:
    """T_map_rig (K, 4, 4), inverse_depth (L,), inliers (M,) bool, rms_px of the inliers, costs after each iteration.
    log_focal: logarithm of the common factor of all focal lengths, and its standard deviation.
    """

    T_map_rig: np.ndarray
    inverse_depth: np.ndarray
    inliers: np.ndarray
    rms_px: float
    costs: tuple[float, ...]
    log_focal: float = 0.0
    log_focal_std: float = 0.0


def bundle_adjust(problem: BundleProblem, sigma_px: float, sigma_inverse_depth: float, huber: float = 1.345,
                  iterations: int = 6) -> BundleResult:
    """Minimises reprojection errors (sigma_px, pixels) and inverse depth errors (sigma_inverse_depth, 1/m).

    Nothing moves that would raise the cost: steps are damped (Levenberg-Marquardt). ValueError if no keyframe is fixed.
    """
    p = problem
    if not p.fixed.any():
        raise ValueError("bundle adjustment needs at least one fixed keyframe")
    T, rho = p.T_map_rig.copy(), p.inverse_depth.copy()
    column = np.full(len(T), -1)
    column[~p.fixed] = np.arange(np.count_nonzero(~p.fixed))
    log_f = 0.0
    state = _linearize(p, T, rho, sigma_px, sigma_inverse_depth, huber, log_f)
    costs, damping = [state.cost], 1e-4
    for _ in range(iterations):
        step_pose, step_rho, step_f, _ = _step(p, state, column, damping)
        T_new = T.copy()
        T_new[~p.fixed] = T[~p.fixed] @ se3_inverse(se3_exp(step_pose))
        rho_new = np.clip(rho + step_rho, 1e-3, 1e2)
        new = _linearize(p, T_new, rho_new, sigma_px, sigma_inverse_depth, huber, log_f + step_f)
        if new.cost < state.cost:
            gain = (state.cost - new.cost) / state.cost
            T, rho, state, damping, log_f = T_new, rho_new, new, max(damping * 0.1, 1e-8), log_f + step_f
            costs.append(state.cost)
            if gain < 1e-4:
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    error = np.linalg.norm(state.residual_px, axis=1) * sigma_px
    inliers = state.front & (error < 4.0 * sigma_px) & (np.abs(state.residual_depth) < 4.0)
    rms = float(np.sqrt(np.mean(error[inliers] ** 2))) if inliers.any() else float("nan")
    std = 0.0 if p.focal_std is None else _step(p, state, column, 1e-8)[3]
    return BundleResult(T, rho, inliers, rms, tuple(costs), log_f, std)


@dataclass
class _State:
    cost: float
    residual_px: np.ndarray  # (M, 2), in standard deviations
    residual_depth: np.ndarray  # (M,), 0 where there is no depth
    front: np.ndarray
    weight_px: np.ndarray
    weight_depth: np.ndarray
    weight_prior: np.ndarray
    residual_prior: np.ndarray
    J_observer: np.ndarray  # (M, 3, 6): two pixel rows and the depth row
    J_anchor: np.ndarray
    J_rho: np.ndarray  # (M, 3)
    prior_slope: float
    J_focal: np.ndarray | None  # (M, 3) by the logarithm of the focal factor
    log_focal: float


def _huber(size: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and costs of residuals of `size` standard deviations."""
    big = size > k
    safe = np.where(big, size, 1.0)
    return np.where(big, k / safe, 1.0), np.where(big, k * (size - 0.5 * k), 0.5 * size**2)


def _linearize(p: BundleProblem, T: np.ndarray, rho: np.ndarray, sigma_px: float, sigma_rho: float, huber: float,
               log_focal: float = 0.0) -> _State:
    R, t = T[:, :3, :3], T[:, :3, 3]
    Ra, ta = p.T_rig_cam_anchor[:, :3, :3], p.T_rig_cam_anchor[:, :3, 3]
    factor = np.exp(log_focal)
    rays = p.rays if log_focal == 0.0 else p.rays * (1 / factor, 1 / factor, 1.0)
    in_anchor = np.einsum("lij,lj->li", Ra, rays / rho[:, None]) + ta  # landmark in its anchor's rig
    in_map = np.einsum("lij,lj->li", R[p.anchor], in_anchor) + t[p.anchor]
    Rk = R[p.keyframe]
    in_rig = np.einsum("mji,mj->mi", Rk, in_map[p.landmark] - t[p.keyframe])
    Rc = p.T_cam_rig[:, :3, :3]
    in_cam = np.einsum("mij,mj->mi", Rc, in_rig) + p.T_cam_rig[:, :3, 3]
    z = in_cam[:, 2]
    front = z > NEAR
    iz = 1.0 / np.where(front, z, 1.0)
    x, y = in_cam[:, 0] * iz, in_cam[:, 1] * iz
    scale = p.focal * factor / sigma_px
    residual = np.stack([x, y], 1) * scale - p.normalized * (p.focal / sigma_px)
    known = front & np.isfinite(p.depth)
    residual_depth = np.where(known, (iz - 1.0 / np.where(known, p.depth, 1.0)) / sigma_rho, 0.0)

    # derivative of (pixel, inverse depth) by the point in the camera
    M = len(z)
    D = np.zeros((M, 3, 3))
    D[:, 0, 0], D[:, 0, 2] = scale[:, 0] * iz, -scale[:, 0] * iz * x
    D[:, 1, 1], D[:, 1, 2] = scale[:, 1] * iz, -scale[:, 1] * iz * y
    D[:, 2, 2] = np.where(known, -iz * iz / sigma_rho, 0.0)
    D = np.matmul(D, Rc)  # by the point in the observer's rig
    # T_rig_map <- exp(d) T_rig_map for the observer, so T_map_rig <- T_map_rig exp(-d); the same for the anchor
    J_observer = np.concatenate([D, -_cross_right(D, in_rig)], axis=2)
    to_observer = np.matmul(Rk.transpose(0, 2, 1), R[p.anchor[p.landmark]])
    Da = np.matmul(D, to_observer)
    J_anchor = np.concatenate([-Da, _cross_right(Da, in_anchor[p.landmark])], axis=2)
    direction = np.einsum("lij,lj->li", Ra, -rays / rho[:, None] ** 2)
    J_rho = np.einsum("mij,mj->mi", Da, direction[p.landmark])
    J_focal, prior_focal = None, 0.0
    if p.focal_std is not None:  # the pixel scales with it, and the anchor's ray bends
        bend = np.einsum("lij,lj->li", Ra, rays * (-1.0, -1.0, 0.0) / rho[:, None])
        J_focal = np.einsum("mij,mj->mi", Da, bend[p.landmark])
        J_focal[:, :2] += np.stack([x, y], 1) * scale
        prior_focal = 0.5 * (log_focal / p.focal_std) ** 2

    own = p.anchor[p.landmark] == p.keyframe  # another camera of the anchor's rig: the pose cancels out
    J_observer[own] = 0.0
    J_anchor[own] = 0.0
    w_px, c_px = _huber(np.linalg.norm(residual, axis=1), huber)
    w_depth, c_depth = _huber(np.abs(residual_depth), huber)
    has_prior = np.isfinite(p.measured)
    prior = np.where(has_prior, (rho - np.where(has_prior, p.measured, 0.0)) / sigma_rho, 0.0)
    w_prior, c_prior = _huber(np.abs(prior), huber)
    behind = 0.5 * (10.0**2)  # a constant price, so that no step gains by moving points behind the camera
    cost = float(np.where(front, c_px + c_depth, behind).sum() + c_prior.sum() + prior_focal)
    return _State(cost, residual, residual_depth, front, np.where(front, w_px, 0.0), np.where(known, w_depth, 0.0),
                  np.where(has_prior, w_prior, 0.0), prior, J_observer, J_anchor, J_rho, 1.0 / sigma_rho,
                  J_focal, log_focal)


def _cross_right(D: np.ndarray, v: np.ndarray) -> np.ndarray:
    """D hat(v) for D (M, r, 3) and v (M, 3)."""
    return np.cross(D, v[:, None, :])


def _sum_by(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """Sums of `values` (n, ...) over equal `group` (n,): (groups, ...). Much faster than np.add.at."""
    width = int(np.prod(values.shape[1:]))
    index = group[:, None] * width + np.arange(width)
    return np.bincount(index.ravel(), values.ravel(), groups * width).reshape(groups, *values.shape[1:])


def _step(p: BundleProblem, s: _State, column: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Solves the damped normal equations: (free keyframes, 6), (L,), the focal factor's logarithm and its deviation."""
    free, L = int(column.max()) + 1, len(p.inverse_depth)
    w = np.stack([s.weight_px, s.weight_px, s.weight_depth], 1)
    r = np.concatenate([s.residual_px, s.residual_depth[:, None]], 1)
    wr = w * r
    h_rho = np.bincount(p.landmark, (w * s.J_rho**2).sum(1), L) + s.weight_prior * s.prior_slope**2
    g_rho = np.bincount(p.landmark, (wr * s.J_rho).sum(1), L) + s.weight_prior * s.residual_prior * s.prior_slope
    h_rho = h_rho * (1 + damping) + 1e-9
    blocks = ((column[p.keyframe], s.J_observer), (column[p.anchor[p.landmark]], s.J_anchor))
    H = np.zeros((free, free, 6, 6))
    g = np.zeros((free, 6))
    for ci, Ji in blocks:
        mi = ci >= 0
        g += _sum_by(ci[mi], np.einsum("mrj,mr->mj", Ji[mi], wr[mi]), free)
        for cj, Jj in blocks:
            both = mi & (cj >= 0)
            parts = np.matmul((Ji[both] * w[both, :, None]).transpose(0, 2, 1), Jj[both])
            H += _sum_by(ci[both] * free + cj[both], parts, free * free).reshape(free, free, 6, 6)
    H = H.transpose(0, 2, 1, 3).reshape(6 * free, 6 * free)
    rows, cols, values = [], [], []
    for ci, Ji in blocks:
        mi = np.flatnonzero(ci >= 0)
        rows.append((6 * ci[mi, None] + np.arange(6)).ravel())
        cols.append(np.repeat(p.landmark[mi], 6))
        values.append(np.einsum("mrj,mr->mj", Ji[mi], w[mi] * s.J_rho[mi]).ravel())
    W = csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), shape=(6 * free, L))
    g = g.ravel()
    if s.J_focal is not None:
        H, g, W = _border(p, s, column, H, g, W, wr)
    W_scaled = W.multiply(1.0 / h_rho[None, :]).tocsr()
    S = H - (W_scaled @ W.T).toarray()
    S[np.diag_indices_from(S)] += damping * np.diag(H) + 1e-9
    step = np.linalg.solve(S, -(g - W_scaled @ g_rho))
    d_rho = -(g_rho + W.T @ step) / h_rho
    if s.J_focal is None:
        return step.reshape(free, 6), d_rho, 0.0, 0.0
    unit = np.zeros(len(S))
    unit[-1] = 1.0
    variance = np.linalg.solve(S, unit)[-1]
    return step[:-1].reshape(free, 6), d_rho, float(step[-1]), float(np.sqrt(max(variance, 0.0)))


def _border(p: BundleProblem, s: _State, column: np.ndarray, H: np.ndarray, g: np.ndarray, W: csr_matrix, wr: np.ndarray
            ) -> tuple[np.ndarray, np.ndarray, csr_matrix]:
    """The system with one more row and column, for the focal factor."""
    w = np.stack([s.weight_px, s.weight_px, s.weight_depth], 1)
    wJ = w * s.J_focal
    cross = np.zeros((len(H) // 6, 6))
    for index, J in ((column[p.keyframe], s.J_observer), (column[p.anchor[p.landmark]], s.J_anchor)):
        moves = index >= 0
        cross += _sum_by(index[moves], np.einsum("mrj,mr->mj", J[moves], wJ[moves]), len(cross))
    precision = 1.0 / p.focal_std**2
    corner = (wJ * s.J_focal).sum() + precision
    H = np.block([[H, cross.reshape(-1, 1)], [cross.reshape(1, -1), np.array([[corner]])]])
    g = np.append(g, (wr * s.J_focal).sum() + precision * s.log_focal)
    row = np.bincount(p.landmark, (wJ * s.J_rho).sum(1), len(p.inverse_depth))
    return H, g, vstack([W, csr_matrix(row)]).tocsr()
