# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose graph: the poses of all keyframes from the relative poses between them, rigid or with a scale each.

Gauss-Newton on e = log(Z^-1 X_i^-1 X_j) with sparse normal equations (Strasdat et al., Scale Drift-Aware Large Scale Monocular
SLAM, RSS 2010); X <- X exp(d), so that de/dd_j = 1 and de/dd_i = -Ad(X_j^-1 X_i) near e = 0.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import sim3_adjoint, sim3_exp, sim3_inverse, sim3_log

_CONVERGED = 1e-6


@dataclass(frozen=True)
class PoseEdges:
    """E relative poses. first, second (E,) rows of the poses; T_first_second (E, 4, 4), rigid or similarity; sigma (E, 7)
    standard deviations of translation, rotation (radians) and logarithm of the scale."""

    first: np.ndarray
    second: np.ndarray
    T_first_second: np.ndarray
    sigma: np.ndarray


def adjust_poses(T: np.ndarray, fixed: np.ndarray, edges: PoseEdges, free_scale: bool, iterations: int = 15
                 ) -> tuple[np.ndarray, float]:
    """Poses (K, 4, 4) that fit the edges best, from poses T (K, 4, 4), and the cost: half the sum of squared errors in standard
    deviations. fixed (K,) bool: those that stay; every other one must be joined to one of them by edges. ValueError if none is
    fixed. free_scale: poses are similarities."""
    if not fixed.any():
        raise ValueError("a pose graph needs at least one fixed pose")
    dim = 7 if free_scale else 6
    T, Z_inverse = T.copy(), sim3_inverse(edges.T_first_second)
    error, cost = _errors(T, edges, Z_inverse, dim)
    if fixed.all():
        return T, cost
    for _ in range(iterations):
        step = _step(T, fixed, edges, error, dim)
        new = T.copy()
        new[~fixed] = T[~fixed] @ sim3_exp(np.pad(step, ((0, 0), (0, 7 - dim))))
        new_error, new_cost = _errors(new, edges, Z_inverse, dim)
        if not new_cost < cost:
            break
        gain = (cost - new_cost) / max(cost, 1e-12)
        T, error, cost = new, new_error, new_cost
        if gain < _CONVERGED or np.abs(step).max() < _CONVERGED:
            break
    return T, cost


def _errors(T: np.ndarray, e: PoseEdges, Z_inverse: np.ndarray, dim: int) -> tuple[np.ndarray, float]:
    """Errors (E, dim) in standard deviations, and half the sum of their squares."""
    error = sim3_log(Z_inverse @ sim3_inverse(T[e.first]) @ T[e.second])[:, :dim] / e.sigma[:, :dim]
    return error, 0.5 * float(np.sum(error**2))


def _step(T: np.ndarray, fixed: np.ndarray, e: PoseEdges, error: np.ndarray, dim: int) -> np.ndarray:
    """(F, dim) twists of the free poses that Gauss-Newton wants."""
    from scipy.sparse import coo_matrix, identity
    from scipy.sparse.linalg import splu

    free = int(np.count_nonzero(~fixed))
    column = np.full(len(T), -1)
    column[~fixed] = np.arange(free)
    weight = 1.0 / e.sigma[:, :dim]
    J_second = np.eye(dim) * weight[:, None, :]
    J_first = -weight[:, :, None] * sim3_adjoint(sim3_inverse(T[e.second]) @ T[e.first])[:, :dim, :dim]
    rows, columns, values = [], [], []
    gradient = np.zeros((free, dim))
    ends = ((column[e.first], J_first), (column[e.second], J_second))
    for at, A in ends:
        m = at >= 0
        np.add.at(gradient, at[m], np.einsum("eij,ei->ej", A[m], error[m]))
        for to, B in ends:
            both = m & (to >= 0)
            block = A[both].transpose(0, 2, 1) @ B[both]
            i, j = np.broadcast_arrays((at[both] * dim)[:, None, None] + np.arange(dim)[:, None],
                                       (to[both] * dim)[:, None, None] + np.arange(dim))
            rows.append(i.ravel())
            columns.append(j.ravel())
            values.append(block.ravel())
    n = free * dim
    H = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n)).tocsc()
    return splu(H + 1e-9 * identity(n, format="csc"), permc_spec="MMD_AT_PLUS_A",
                options={"SymmetricMode": True}).solve(-gradient.ravel()).reshape(free, dim)
