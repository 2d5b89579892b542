# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses of keyframes, and the units of their pointmaps, from all matched points at once: sparse Gauss-Newton on rays.

A point of one keyframe's pointmap, matched with a pixel of another keyframe, should lie on the ray that the other's pointmap
has there, and, weakly, as far away (the back end of MASt3R-SLAM, Murai et al., CVPR 2025, section 3.5). A pose is rigid; a
factor of its own multiplies each keyframe's points, so that together they are a similarity. Huber weights on matches; links
that are doubted (loops) have a weight of their own besides, by the Geman-McClure kernel, which grows narrower from step to step
(graduated non-convexity, Yang et al., RA-L 2020): a true loop pulls the whole chain of keyframes to it, a false one is left.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from lsm_ros.geometry import se3_adjoint, se3_exp, se3_inverse
from lsm_ros.slam.robust import huber

NEAREST = 1e-9
NARROWEST = 5.0  # standard deviations: half of a link's matches must agree so well with all others for half its weight
NARROWER = 0.5  # the kernel's width from one step to the next
CONVERGED = 1e-4  # relative gain of a step


@dataclass
class RayProblem:
    """K keyframes, L links between them, M matched points sorted by link.

    T_map_rig (K, 4, 4); fixed (K,) bool. anchor, observer (L,): rows of the keyframes whose point is seen, and by which;
    T_rig_anchor, T_rig_observer (L, 4, 4): their cameras. doubted (L,) bool. bounds (L + 1,): where each link's matches
    begin. points (M, 3): of the anchor's camera, rays (M, 3): of unit length, distances (M,), of the observer's. Matches
    with anything that is no number do not count. free_scale: whether points may be multiplied.
    """

    T_map_rig: np.ndarray
    fixed: np.ndarray
    anchor: np.ndarray
    observer: np.ndarray
    T_rig_anchor: np.ndarray
    T_rig_observer: np.ndarray
    doubted: np.ndarray
    bounds: np.ndarray
    points: np.ndarray
    rays: np.ndarray
    distances: np.ndarray
    free_scale: bool


@dataclass(frozen=True)
class RayNoise:
    """Standard deviations of rays (rad) and of log distances, and the Huber threshold in them."""

    ray: float = 0.003
    distance: float = 10.0
    huber: float = 1.345


@dataclass(frozen=True)
class RayResult:
    """T_map_rig (K, 4, 4) and factors (K,) of the points. weights (L,) of the links, 1 where they were not doubted. errors
    (L,): median of each link's ray residuals in standard deviations, and as it was before. costs: after each step."""

    T_map_rig: np.ndarray
    factors: np.ndarray
    weights: np.ndarray
    errors: np.ndarray
    errors_before: np.ndarray
    costs: tuple[float, ...]


def adjust_rays(problem: RayProblem, noise: RayNoise, iterations: int = 10) -> RayResult:
    """Minimises the residuals of all links. Steps are damped (Levenberg-Marquardt), so that nothing gets worse.

    iterations: at the narrowest kernel; those while it narrows come on top. ValueError if no keyframe is fixed.
    """
    p = problem
    if not p.fixed.any():
        raise ValueError("an adjustment needs at least one fixed keyframe")
    T, log_scale = p.T_map_rig.copy(), np.zeros(len(p.T_map_rig))
    state = _linearize(p, noise, T, log_scale)
    before = state.errors
    width = max(NARROWEST, float(before[p.doubted].max())) if p.doubted.any() else NARROWEST
    weights = _link_weights(p, state, width)
    costs, damping, left = [state.cost(weights)], 1e-6, iterations
    while left > 0:
        step = _solve(p, state, weights, damping)
        T_new, log_new = T.copy(), log_scale.copy()
        T_new[~p.fixed] = T[~p.fixed] @ se3_inverse(se3_exp(step[:, :6]))
        if p.free_scale:
            log_new[~p.fixed] += step[:, 6]
        new = _linearize(p, noise, T_new, log_new)
        better = new.cost(weights) < state.cost(weights)
        gain = 1.0 - new.cost(weights) / max(state.cost(weights), 1e-300)
        if better:
            T, log_scale, state, damping = T_new, log_new, new, max(damping * 0.1, 1e-9)
            costs.append(state.cost(weights))
        else:
            damping *= 10
        narrow = width <= NARROWEST
        if narrow and ((better and gain < CONVERGED) or damping > 1e6):
            break
        left -= narrow
        width = max(NARROWEST, NARROWER * width)
        weights = _link_weights(p, state, width)
    return RayResult(T, np.exp(log_scale), weights, state.errors, before, tuple(costs))


@dataclass(frozen=True)
class _State:
    """Values of an estimate for each link: its cost (L,), the median of its ray residuals (L,), the products (L, 9, 9) of the
    derivatives by the twist of the observing camera (6), the logarithms of the anchor's and the observer's factors, and the
    residuals; T_cam_anchor (L, 4, 4) from the anchor's rig to the observing camera."""

    costs: np.ndarray
    errors: np.ndarray
    grams: np.ndarray
    T_cam_anchor: np.ndarray

    def cost(self, weights: np.ndarray) -> float:
        return float(weights @ self.costs)


def _link_weights(p: RayProblem, s: _State, width: float) -> np.ndarray:
    """(L,) weights: 1, and for doubted links the square of c^2 / (c^2 + r^2) with their median residual r."""
    return np.where(p.doubted, (width**2 / (width**2 + s.errors**2)) ** 2, 1.0)


def _linearize(p: RayProblem, noise: RayNoise, T: np.ndarray, log_scale: np.ndarray) -> _State:
    """Residuals and derivatives: a twist d of the observing camera moves its points by d_rho + d_phi x p."""
    count, of = len(p.anchor), np.repeat(np.arange(len(p.anchor)), np.diff(p.bounds))
    T_cam_anchor = se3_inverse(T[p.observer] @ p.T_rig_observer) @ T[p.anchor]
    T_cam_cam = T_cam_anchor @ p.T_rig_anchor
    scale = np.exp(log_scale)
    moved = np.einsum("mij,mj->mi", (scale[p.anchor, None, None] * T_cam_cam[:, :3, :3])[of], p.points)
    y = moved + T_cam_cam[of, :3, 3]
    measured = scale[p.observer][of] * p.distances
    length = np.sqrt(np.einsum("mi,mi->m", y, y))
    good = np.isfinite(length) & (length > NEAREST) & np.isfinite(p.rays).all(1) & (measured > NEAREST)
    y, moved = (np.where(good[:, None], a, 1.0) for a in (y, moved))
    length, measured = (np.where(good, a, 1.0) for a in (length, measured))
    ray = y / length[:, None]
    residual = np.where(good[:, None], (ray - p.rays) / noise.ray, 0.0)
    size = np.sqrt(np.einsum("mi,mi->m", residual, residual))
    far = np.where(good, np.log(length / measured) / noise.distance, 0.0)
    (w, c), (wd, cd) = huber(size, noise.huber), huber(np.abs(far), noise.huber)

    J = np.zeros((len(y), 4, 9))
    J[:, :3, :3] = (np.eye(3) - ray[:, :, None] * ray[:, None, :]) / (length * noise.ray)[:, None, None]
    J[:, 3, :3] = ray / (length * noise.distance)[:, None]
    for a, b, c_ in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # y x D
        J[:, :, 3 + a] = y[:, b, None] * J[:, :, c_] - y[:, c_, None] * J[:, :, b]
    J[:, :, 6] = np.einsum("mrc,mc->mr", J[:, :, :3], moved)
    J[:, 3, 7] = -1.0 / noise.distance
    J[:, :3, 8], J[:, 3, 8] = residual, far
    J[:, :3] *= np.sqrt(w * good)[:, None, None]
    J[:, 3] *= np.sqrt(wd * good)[:, None]
    grams = np.zeros((count, 9, 9))
    for k in range(count):
        rows = J[p.bounds[k]:p.bounds[k + 1]].reshape(-1, 9)
        grams[k] = rows.T @ rows
    order = np.lexsort((np.where(good, size, np.inf), of))
    known = np.bincount(of[good], minlength=count)
    middle = order[np.minimum(p.bounds[:-1] + np.maximum(known - 1, 0) // 2, len(order) - 1)]
    errors = np.where(known > 0, size[middle], 0.0)
    return _State(np.bincount(of, (c + cd) * good, count), errors, grams, T_cam_anchor)


def _solve(p: RayProblem, s: _State, weights: np.ndarray, damping: float) -> np.ndarray:
    """Step (F, 7) of the free keyframes: twist of the rig and logarithm of the factor; (F, 6) where factors are held."""
    size = 7 if p.free_scale else 6
    steps = np.zeros((len(p.anchor), 8, 2, size))  # from steps of the observer and of the anchor to what the products are of
    steps[:, :6, 0, :6] = se3_adjoint(se3_inverse(p.T_rig_observer))
    steps[:, :6, 1, :6] = -se3_adjoint(s.T_cam_anchor)
    if p.free_scale:
        steps[:, 6, 1, 6] = steps[:, 7, 0, 6] = 1.0
    B = steps.reshape(len(p.anchor), 8, 2 * size)
    blocks = weights[:, None, None] * (B.transpose(0, 2, 1) @ s.grams[:, :8, :8] @ B)
    sides = weights[:, None] * np.einsum("lij,li->lj", B, s.grams[:, :8, 8])
    column = np.full(len(p.fixed), -1)
    column[~p.fixed] = np.arange(np.count_nonzero(~p.fixed))
    ends = np.stack([column[p.observer], column[p.anchor]], 1)
    index = np.where(ends[:, :, None] >= 0, size * ends[:, :, None] + np.arange(size), -1).reshape(len(p.anchor), -1)
    n = size * int(np.count_nonzero(~p.fixed))
    used = index >= 0
    gradient = np.bincount(index[used], sides[used], n)
    both = used[:, :, None] & used[:, None, :]
    rows, columns = (np.broadcast_to(i, blocks.shape)[both] for i in (index[:, :, None], index[:, None, :]))
    H = coo_matrix((blocks[both], (rows, columns)), shape=(n, n)).tocsc()
    diagonal = H.diagonal()
    H = H + coo_matrix((damping * diagonal + 1e-9, (np.arange(n), np.arange(n))), shape=(n, n)).tocsc()
    return splu(H).solve(-gradient).reshape(-1, size)
