# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bundle adjustment over keyframe poses and the inverse depths of their landmarks.

A landmark is a pixel of its anchor keyframe with an inverse depth; with the depth camera's noise growing with the square
of depth, a measured depth is a measurement of inverse depth with constant standard deviation. Gauss-Newton with Huber
weights; the landmarks are eliminated by the Schur complement, which is diagonal in them (Triggs et al., Bundle
Adjustment - A Modern Synthesis, 2000, section 6.1).

All observations of one keyframe's landmarks in one image share a relative pose. So derivatives are taken in the camera of
that image, where they have few terms; the 6x6 sums of each such group are then carried to the two keyframes by adjoints.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import se3_adjoint, se3_exp, se3_inverse
from lsm_ros.slam.graph.surfaces import SurfaceTerms
from lsm_ros.slam.robust import huber

GATE = 4.0  # standard deviations of a pixel beyond which a point is another one
NEAR = 0.02  # metres; a point nearer than this to the camera's plane is left out of the step
_SMALL_PRODUCT = 200_000  # multiplications; beyond that BLAS wakes its threads, which costs far more on a busy machine
_CONVERGED = 1e-4  # relative gain of an iteration after which no other follows


@dataclass
class BundleProblem:
    """K keyframes, C cameras of the rig, L landmarks, M observations.

    T_map_rig (K, 4, 4); fixed (K,) bool; T_rig_cam (C, 4, 4). Landmarks: anchor (L,) int keyframe, anchor_camera (L,) int,
    rays (L, 3) with z = 1 in the anchor's camera, inverse_depth (L,), measured (L,) inverse depth or NaN; guess_std (L,):
    standard deviation of the logarithm of `measured` where that is but a guess, NaN where a depth camera measured it.
    Observations: landmark (M,), keyframe (M,), camera (M,), pixels in normalised coordinates (M, 2), focal (M, 2) in
    pixels, depth (M,) measured in metres or NaN. An image shows a landmark at most once.
    surfaces: points of keyframes that lie on planes of others.
    focal_std: relative standard deviation of a common factor of all focal lengths, which is then estimated too; None: the
    focal lengths are right. rays and normalized are those of the focal lengths given.
    """

    T_map_rig: np.ndarray
    fixed: np.ndarray
    T_rig_cam: np.ndarray
    anchor: np.ndarray
    anchor_camera: np.ndarray
    rays: np.ndarray
    inverse_depth: np.ndarray
    measured: np.ndarray
    landmark: np.ndarray
    keyframe: np.ndarray
    camera: np.ndarray
    normalized: np.ndarray
    focal: np.ndarray
    depth: np.ndarray
    guess_std: np.ndarray | None = None
    focal_std: float | None = None
    surfaces: SurfaceTerms | None = None


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
                  iterations: int = 6, gate_px: float | None = None) -> BundleResult:
    """Minimises reprojection errors (sigma_px, pixels) and inverse depth errors (sigma_inverse_depth, 1/m). gate_px: error of
    inliers, by default four times sigma_px.

    Nothing moves that would raise the cost: steps are damped (Levenberg-Marquardt). ValueError if no keyframe is fixed.
    """
    p = problem
    if not p.fixed.any():
        raise ValueError("bundle adjustment needs at least one fixed keyframe")
    groups = _group(p)
    noise = _Noise(sigma_px, sigma_inverse_depth, huber)
    T, rho, log_f = p.T_map_rig.copy(), p.inverse_depth.copy(), 0.0
    state = _linearize(p, groups, noise, T, rho, log_f)
    system = _normal_equations(p, groups, state)
    costs, damping = [state.cost], 1e-4
    for _ in range(iterations):
        step_pose, step_rho, step_f = _solve(system, damping)
        T_new = T.copy()
        T_new[~p.fixed] = T[~p.fixed] @ se3_inverse(se3_exp(step_pose))
        rho_new = np.clip(rho + step_rho, 1e-3, 1e2)
        new = _linearize(p, groups, noise, T_new, rho_new, log_f + step_f)
        if new.cost < state.cost:
            gain = (state.cost - new.cost) / state.cost
            T, rho, state, damping, log_f = T_new, rho_new, new, max(damping * 0.1, 1e-8), log_f + step_f
            costs.append(state.cost)
            if gain < _CONVERGED:
                break
            system = _normal_equations(p, groups, state)
        else:
            damping *= 10
            if damping > 1e6:
                break
    inliers = np.empty(len(p.landmark), bool)
    error = np.empty(len(p.landmark))
    error[groups.order] = np.linalg.norm(state.residual[:, :2], axis=1)
    inliers[groups.order] = state.front & (np.abs(state.residual[:, 2]) < GATE)
    inliers &= error < (GATE if gate_px is None else gate_px / sigma_px)
    rms = float(sigma_px * np.sqrt(np.mean(error[inliers] ** 2))) if inliers.any() else float("nan")
    std = 0.0 if p.focal_std is None else _focal_deviation(_normal_equations(p, groups, state))
    return BundleResult(T, rho, inliers, rms, tuple(costs), log_f, std)


@dataclass(frozen=True)
class _Noise:
    sigma_px: float
    sigma_rho: float
    huber: float


@dataclass(frozen=True)
class _Groups:
    """Observations sorted so that those of equal observer image and anchor image lie together.

    order (M,): place of a sorted observation in the problem. Per group: bounds (G + 1,), and the two ends. of (M,) group
    of each observation. landmark, normalized, focal, depth: sorted. chunks: per anchor keyframe its groups and landmarks.
    """

    order: np.ndarray
    bounds: np.ndarray
    of: np.ndarray
    observer: np.ndarray
    camera: np.ndarray
    anchor: np.ndarray
    anchor_camera: np.ndarray
    landmark: np.ndarray
    normalized: np.ndarray
    focal: np.ndarray
    depth: np.ndarray
    chunks: tuple[tuple[np.ndarray, np.ndarray], ...]


def _group(p: BundleProblem) -> _Groups:
    K, C = len(p.T_map_rig), len(p.T_rig_cam)
    anchor, anchor_camera = p.anchor[p.landmark], p.anchor_camera[p.landmark]
    key = ((anchor * C + anchor_camera) * K + p.keyframe) * C + p.camera
    order = np.argsort(key, kind="stable")
    changes = np.flatnonzero(np.diff(key[order])) + 1
    starts = np.concatenate([[0], changes]).astype(np.int64)
    first = order[starts]
    group_anchor = anchor[first]
    chunks = tuple((np.flatnonzero(group_anchor == a), np.flatnonzero(p.anchor == a)) for a in np.unique(group_anchor))
    bounds = np.append(starts, len(order))
    return _Groups(order, bounds, np.repeat(np.arange(len(starts)), np.diff(bounds)), p.keyframe[first], p.camera[first],
                   group_anchor, anchor_camera[first], p.landmark[order], p.normalized[order], p.focal[order],
                   p.depth[order], chunks)


@dataclass(frozen=True)
class _State:
    """Residuals of the present estimate: residual (M, 3) in standard deviations (two pixel rows, the depth row), their
    weights, J (M, 3, 6) by a twist of the observing camera, J_rho (M, 3), J_focal (M, 3) by the focal factor's logarithm;
    T_cam_anchor (G, 4, 4) from the anchor's rig to the observing camera. surface_gram, T_surface: see
    `SurfaceTerms.linearize`. prior_*: of the landmarks' measured depth, with
    prior_slope (L,) by the inverse depth.
    """

    cost: float
    residual: np.ndarray
    front: np.ndarray
    weight: np.ndarray
    J: np.ndarray
    J_rho: np.ndarray
    J_focal: np.ndarray | None
    T_cam_anchor: np.ndarray
    prior_weight: np.ndarray
    prior_residual: np.ndarray
    prior_slope: np.ndarray
    log_focal: float
    surface_gram: np.ndarray
    T_surface: np.ndarray


def _linearize(p: BundleProblem, g: _Groups, noise: _Noise, T: np.ndarray, rho: np.ndarray, log_focal: float = 0.0
               ) -> _State:
    """Residuals, weights and derivatives at an estimate.

    A twist d of the observing camera moves its points by d_rho + d_phi x p, so that the image point (x, y) moves by
    iz (d_x - x d_z) and iz (d_y - y d_z).
    """
    factor = np.exp(log_focal)
    T_cam_anchor = se3_inverse(T[g.observer] @ p.T_rig_cam[g.camera]) @ T[g.anchor]
    T_cam_cam = T_cam_anchor @ p.T_rig_cam[g.anchor_camera]
    rays = (p.rays if log_focal == 0.0 else p.rays * (1 / factor, 1 / factor, 1.0))[g.landmark]
    depth = 1.0 / rho[g.landmark]
    R = T_cam_cam[:, :3, :3][g.of]
    direction = np.einsum("mij,mj->mi", R, rays) * depth[:, None]
    points = direction + T_cam_cam[:, :3, 3][g.of]
    front = points[:, 2] > NEAR
    iz = 1.0 / np.where(front, points[:, 2], 1.0)
    x, y = points[:, 0] * iz, points[:, 1] * iz
    fx, fy = (g.focal * (factor / noise.sigma_px)).T
    known = front & np.isfinite(g.depth)
    residual = np.empty((len(x), 3))
    residual[:, 0] = x * fx - g.normalized[:, 0] * (fx / factor)
    residual[:, 1] = y * fy - g.normalized[:, 1] * (fy / factor)
    residual[:, 2] = np.where(known, (iz - 1.0 / np.where(known, g.depth, 1.0)) / noise.sigma_rho, 0.0)

    J = np.zeros((len(x), 3, 6))
    fx_iz, fy_iz = fx * iz, fy * iz
    slope = np.where(known, -iz / noise.sigma_rho, 0.0)  # of the depth row, by the shift of z in units of z
    J[:, 0, 0], J[:, 0, 2] = fx_iz, -fx_iz * x
    J[:, 0, 3], J[:, 0, 4], J[:, 0, 5] = -fx * x * y, fx * (1 + x * x), -fx * y
    J[:, 1, 1], J[:, 1, 2] = fy_iz, -fy_iz * y
    J[:, 1, 3], J[:, 1, 4], J[:, 1, 5] = -fy * (1 + y * y), fy * x * y, fy * x
    J[:, 2, 2], J[:, 2, 3], J[:, 2, 4] = slope * iz, slope * y, -slope * x

    def moved(shift: np.ndarray) -> np.ndarray:  # residuals by a shift (M, 3) of the points
        return np.stack([fx_iz * (shift[:, 0] - x * shift[:, 2]), fy_iz * (shift[:, 1] - y * shift[:, 2]),
                         slope * iz * shift[:, 2]], 1)

    J_rho = moved(direction * -depth[:, None])
    J_focal, cost = None, 0.0
    if p.focal_std is not None:  # the pixel scales with it, and the anchor's ray bends
        J_focal = moved(np.einsum("mij,mj->mi", R[:, :, :2], rays[:, :2]) * -depth[:, None])
        J_focal[:, 0] += x * fx
        J_focal[:, 1] += y * fy
        cost = 0.5 * (log_focal / p.focal_std) ** 2
    w_px, c_px = huber(np.sqrt(residual[:, 0] ** 2 + residual[:, 1] ** 2), noise.huber)
    w_depth, c_depth = huber(np.abs(residual[:, 2]), noise.huber)
    has_prior = np.isfinite(p.measured)
    measured = np.where(has_prior, p.measured, 1.0)
    prior: np.ndarray = (rho - measured) / noise.sigma_rho
    prior_slope: np.ndarray = np.full(len(rho), 1.0 / noise.sigma_rho)
    if p.guess_std is not None:  # of the logarithm: else it would cost little to send everything to infinity
        guessed = np.isfinite(p.guess_std)
        safe = np.where(guessed, p.guess_std, 1.0)
        prior = np.where(guessed, np.log(rho / measured) / safe, prior)
        prior_slope = np.where(guessed, 1.0 / (rho * safe), prior_slope)
    prior = np.where(has_prior, prior, 0.0)
    w_prior, c_prior = huber(np.abs(prior), noise.huber)
    behind = 0.5 * (10.0**2)  # a constant price, so that no step gains by moving points behind the camera
    cost += float(np.where(front, c_px + c_depth, behind).sum() + c_prior.sum())
    w_px = np.where(front, w_px, 0.0)
    weight = np.stack([w_px, w_px, np.where(known, w_depth, 0.0)], 1)
    surface_gram, T_surface = np.zeros((0, 7, 7)), np.zeros((0, 4, 4))
    if p.surfaces is not None:
        c_surface, surface_gram, T_surface = p.surfaces.linearize(T, noise.huber)
        cost += c_surface
    return _State(cost, residual, front, weight, J, J_rho, J_focal, T_cam_anchor, np.where(has_prior, w_prior, 0.0), prior,
                  prior_slope, log_focal, surface_gram, T_surface)


@dataclass(frozen=True)
class _System:
    """Normal equations. H (n, n), gradient (n,) of six rows for each free keyframe and, where it is estimated, one of the
    focal factor; h, gradient_rho (L,) of the landmarks; couplings: per anchor keyframe the rows (r,), landmarks (l,) and
    the block (r, l) between them.
    """

    H: np.ndarray
    gradient: np.ndarray
    h: np.ndarray
    gradient_rho: np.ndarray
    couplings: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    has_focal: bool


def _normal_equations(p: BundleProblem, g: _Groups, s: _State) -> _System:
    L, free = len(p.inverse_depth), int(np.count_nonzero(~p.fixed))
    column = np.full(len(p.fixed), -1)
    column[~p.fixed] = np.arange(free)
    has_focal = p.focal_std is not None
    wJ_rho = s.weight * s.J_rho
    h = np.bincount(g.landmark, (wJ_rho * s.J_rho).sum(1), L) + s.prior_weight * s.prior_slope**2
    gradient_rho = np.bincount(g.landmark, (wJ_rho * s.residual).sum(1), L)
    gradient_rho += s.prior_weight * s.prior_residual * s.prior_slope
    columns = [s.J, s.residual[:, :, None]] + ([] if s.J_focal is None else [s.J_focal[:, :, None]])
    scaled = np.concatenate(columns, 2) * np.sqrt(s.weight)[:, :, None]
    gram = np.empty((len(g.observer), scaled.shape[2], scaled.shape[2]))
    for k in range(len(gram)):
        block = scaled[g.bounds[k]:g.bounds[k + 1]].reshape(-1, scaled.shape[2])
        gram[k] = block.T @ block

    # an end of a group: which free keyframe, and how its twist turns into one of the observing camera
    own = g.observer == g.anchor  # another camera of the anchor's rig: the pose cancels out
    ends = ((np.where(own, -1, column[g.observer]), se3_adjoint(se3_inverse(p.T_rig_cam))[g.camera]),
            (np.where(own, -1, column[g.anchor]), -se3_adjoint(s.T_cam_anchor)))
    n = 6 * free + has_focal
    H, gradient = np.zeros((n, n)), np.zeros(n)
    poses, blocks = gradient[:6 * free].reshape(free, 6), np.zeros((free, free, 6, 6))
    terms = [(ends, gram)]
    if p.surfaces is not None:
        same = np.broadcast_to(np.eye(6), (len(s.T_surface), 6, 6))
        terms.append((((column[p.surfaces.observer], same), (column[p.surfaces.anchor], -se3_adjoint(s.T_surface))),
                      s.surface_gram))
    for sides, sums in terms:
        for at, A in sides:
            m = at >= 0
            np.add.at(poses, at[m], np.einsum("gij,gi->gj", A[m], sums[m, :6, 6]))
            for to, B in sides:
                both = m & (to >= 0)
                np.add.at(blocks, (at[both], to[both]), A[both].transpose(0, 2, 1) @ sums[both, :6, :6] @ B[both])
    H[:6 * free, :6 * free] = blocks.transpose(0, 2, 1, 3).reshape(6 * free, 6 * free)
    if p.focal_std is not None:
        cross = np.zeros((free, 6))
        for at, A in ends:
            np.add.at(cross, at[at >= 0], np.einsum("gij,gi->gj", A[at >= 0], gram[at >= 0, :6, 7]))
        H[:-1, -1] = H[-1, :-1] = cross.ravel()
        H[-1, -1] = gram[:, 7, 7].sum() + 1.0 / p.focal_std**2
        gradient[-1] = gram[:, 6, 7].sum() + s.log_focal / p.focal_std**2
    return _System(H, gradient, h, gradient_rho, _couplings(p, g, s, ends, wJ_rho), has_focal)


def _couplings(p: BundleProblem, g: _Groups, s: _State, ends: tuple[tuple[np.ndarray, np.ndarray], ...], wJ_rho: np.ndarray
               ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]:
    """Per anchor keyframe the rows, the landmarks, and the block of the normal equations between them."""
    shared = np.matmul(wJ_rho[:, None, :], s.J)[:, 0]  # (M, 6) between each landmark and the observing camera
    bend = None if s.J_focal is None else (wJ_rho * s.J_focal).sum(1)
    last = 6 * int(np.count_nonzero(~p.fixed))
    out, place = [], np.empty(len(p.inverse_depth), np.int64)
    for members, landmarks in g.chunks:
        place[landmarks] = np.arange(len(landmarks))
        present = sorted({int(at[k]) for k in members for at, _ in ends} - {-1})
        row = {c: 6 * i for i, c in enumerate(present)}
        W = np.zeros((6 * len(present) + (bend is not None), len(landmarks)))
        for k in members:
            a, b = g.bounds[k], g.bounds[k + 1]
            here = place[g.landmark[a:b]]
            for at, A in ends:
                if at[k] >= 0:
                    r = row[int(at[k])]
                    W[r:r + 6, here] += A[k].T @ shared[a:b].T
            if bend is not None:
                W[-1, here] += bend[a:b]
        index = (np.asarray(present, np.int64)[:, None] * 6 + np.arange(6)).ravel()
        out.append((index if bend is None else np.append(index, last), landmarks, W))
    return tuple(out)


def _reduced(system: _System, damping: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The damped equations without the landmarks: matrix, gradient, and the landmarks' damped curvature."""
    h = system.h * (1 + damping) + 1e-9
    S, gradient = system.H.copy(), system.gradient.copy()
    for rows, landmarks, W in system.couplings:
        scale = 1.0 / np.sqrt(h[landmarks])
        scaled = W * scale
        gradient[rows] -= scaled @ (system.gradient_rho[landmarks] * scale)
        part = np.zeros((len(rows), len(rows)))
        few = max(4, _SMALL_PRODUCT // len(rows) ** 2) if len(rows) else 1
        for a in range(0, len(landmarks), few):
            part += scaled[:, a:a + few] @ scaled[:, a:a + few].T
        S[np.ix_(rows, rows)] -= part
    S[np.diag_indices_from(S)] += damping * np.diag(system.H) + 1e-9
    return S, gradient, h


def _solve(system: _System, damping: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Step of the free keyframes (F, 6), of the inverse depths (L,), and of the focal factor's logarithm."""
    S, gradient, h = _reduced(system, damping)
    step = np.linalg.solve(S, -gradient)
    d_rho = -system.gradient_rho
    for rows, landmarks, W in system.couplings:
        d_rho[landmarks] -= step[rows] @ W
    poses, focal = (step[:-1], float(step[-1])) if system.has_focal else (step, 0.0)
    return poses.reshape(-1, 6), d_rho / h, focal


def _focal_deviation(system: _System) -> float:
    """Standard deviation of the focal factor's logarithm."""
    S = _reduced(system, 1e-8)[0]
    unit = np.zeros(len(S))
    unit[-1] = 1.0
    return float(np.sqrt(max(np.linalg.solve(S, unit)[-1], 0.0)))
