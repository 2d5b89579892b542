# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bundle adjustment of an image set: poses, points, and the focal length and radial distortion of each camera.

Gauss-Newton with Levenberg's damping; points are eliminated by the Schur complement (Triggs et al., Bundle Adjustment - A
Modern Synthesis, 2000). Unlike that of the keyframe graph, points are no pixels of an anchor image, and cameras differ.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from lsm_ros.sfm.model import turned

HUBER_PX = 1.0
NEAR = 1e-3  # of the unit in which the scene is about 1 large: nearer points have no direction
FOCAL_STD, RADIAL_STD = 0.2, 0.05  # how far from the guess a camera may reasonably be
_CONVERGED = 1e-4
_BEHIND_PX = 100.0


@dataclass(frozen=True)
class BundleState:
    """T_cam_world (N, 4, 4); points (P, 3); intrinsics (C, 4): focal length, principal point, radial distortion of the
    normalised image, x (1 + k r^2)."""

    T_cam_world: np.ndarray
    points: np.ndarray
    intrinsics: np.ndarray


@dataclass(frozen=True)
class BundleData:
    """Observations: image (M,), point (M,), pixels (M, 2). camera (N,): row of the intrinsics of each image. free (C,) bool:
    cameras whose focal length and distortion are estimated, near those of `guess` (C, 4)."""

    image: np.ndarray
    point: np.ndarray
    pixels: np.ndarray
    camera: np.ndarray
    free: np.ndarray
    guess: np.ndarray


def residuals(state: BundleState, data: BundleData) -> tuple[np.ndarray, np.ndarray]:
    """(M, 2) reprojection errors in pixels, and the points (M, 3) in the cameras."""
    T = state.T_cam_world[data.image]
    local = np.einsum("mij,mj->mi", T[:, :3, :3], state.points[data.point]) + T[:, :3, 3]
    f, cx, cy, k = state.intrinsics[data.camera[data.image]].T
    z = np.where(local[:, 2] > NEAR, local[:, 2], np.nan)
    flat = local[:, :2] / z[:, None]
    bent = flat * (1 + k * (flat**2).sum(1))[:, None]
    error = f[:, None] * bent + np.stack([cx, cy], 1) - data.pixels
    return np.where(np.isfinite(error), error, _BEHIND_PX), local


def adjust(state: BundleState, data: BundleData, iterations: int = 15) -> BundleState:
    """The state at which the reprojection errors are least; the first image stays, and nothing moves that makes them larger."""
    cost, damping = _cost(state, data), 1e-4
    for _ in range(iterations):
        system = _Equations(state, data)
        for _ in range(6):
            new = system.stepped(damping)
            new_cost = _cost(new, data)
            if new_cost < cost:
                break
            damping *= 10
        else:
            return state
        gain = (cost - new_cost) / cost
        state, cost, damping = new, new_cost, max(damping / 10, 1e-9)
        if gain < _CONVERGED:
            break
    return state


def _cost(state: BundleState, data: BundleData) -> float:
    size = np.linalg.norm(residuals(state, data)[0], axis=1)
    robust = np.where(size > HUBER_PX, HUBER_PX * (size - 0.5 * HUBER_PX), 0.5 * size**2).sum()
    return float(robust + 0.5 * (_off_guess(state, data) ** 2).sum())


def _off_guess(state: BundleState, data: BundleData) -> np.ndarray:
    """(2 F,) logarithm of the focal length and distortion of the free cameras, less their guess, in standard deviations."""
    now, guess = state.intrinsics[data.free], data.guess[data.free]
    return np.concatenate([np.log(now[:, 0] / guess[:, 0]) / FOCAL_STD, (now[:, 3] - guess[:, 3]) / RADIAL_STD])


class _Equations:
    """Normal equations at a state. Columns: six for each image but the first, then logarithm of the focal length and distortion
    of each free camera."""

    def __init__(self, state: BundleState, data: BundleData) -> None:
        self.state, self.data = state, data
        error, local = residuals(state, data)
        size = np.linalg.norm(error, axis=1)
        front = local[:, 2] > NEAR
        root = np.sqrt(np.where(front, np.where(size > HUBER_PX, HUBER_PX / np.maximum(size, 1e-12), 1.0), 0.0))
        f, _, _, k = state.intrinsics[data.camera[data.image]].T
        z = np.where(front, local[:, 2], 1.0)
        flat = np.where(front[:, None], local[:, :2] / z[:, None], 0.0)
        square = (flat**2).sum(1)
        bend = np.eye(2) * (1 + k * square)[:, None, None] + 2 * k[:, None, None] * flat[:, :, None] * flat[:, None]
        slope = np.zeros((len(z), 2, 3))
        slope[:, 0, 0] = slope[:, 1, 1] = 1 / z
        slope[:, :, 2] = -flat / z[:, None]
        by_point = (f * root)[:, None, None] * (bend @ slope)  # by a shift of the point in the camera
        turn = np.zeros((len(z), 3, 3))  # of the point by a turn: - [p]x
        x, y, depth = local.T
        turn[:, 0, 1], turn[:, 0, 2], turn[:, 1, 2] = depth, -y, x
        turn -= turn.transpose(0, 2, 1).copy()
        by_pose = np.concatenate([by_point, by_point @ turn], 2)
        by_lens = (f * root)[:, None, None] * np.stack([flat * (1 + k * square)[:, None], flat * square[:, None]], 2)
        self.J_point = by_point @ state.T_cam_world[data.image][:, :3, :3]
        self.residual = error * root[:, None]
        self._assemble(by_pose, by_lens)

    def _assemble(self, by_pose: np.ndarray, by_lens: np.ndarray) -> None:
        data, count = self.data, len(self.state.T_cam_world)
        row = np.full(len(data.free), -1)
        row[data.free] = np.arange(np.count_nonzero(data.free))
        lens = row[data.camera[data.image]]
        self.first_lens, cameras = 6 * (count - 1), int(np.count_nonzero(data.free))
        self.columns = self.first_lens + 2 * cameras
        place = np.concatenate([6 * (data.image[:, None] - 1) + np.arange(6),
                                self.first_lens + 2 * lens[:, None] + np.arange(2)], 1)
        used = np.concatenate([np.repeat(data.image[:, None] > 0, 6, 1), np.repeat(lens[:, None] >= 0, 2, 1)], 1)
        J = np.concatenate([by_pose, by_lens], 2)
        M = len(J)
        rows = np.broadcast_to(np.arange(2 * M).reshape(M, 2, 1), J.shape)
        keep = np.broadcast_to(used[:, None], J.shape)
        columns = np.broadcast_to(place[:, None], J.shape)
        Jc = csr_array((J[keep], (rows[keep], columns[keep])), shape=(2 * M, self.columns))
        columns = np.broadcast_to(3 * data.point[:, None, None] + np.arange(3), self.J_point.shape)
        rows = np.broadcast_to(np.arange(2 * M).reshape(M, 2, 1), self.J_point.shape)
        points = len(self.state.points)
        Jp = csr_array((self.J_point.ravel(), (rows.ravel(), columns.ravel())), shape=(2 * M, 3 * points))
        flat = self.residual.ravel()
        self.U, self.W = (Jc.T @ Jc).toarray(), csr_array(Jc.T @ Jp)
        self.gradient, self.gradient_point = Jc.T @ flat, (Jp.T @ flat).reshape(-1, 3)
        self.V = np.zeros((points, 3, 3))
        np.add.at(self.V, data.point, np.einsum("mki,mkj->mij", self.J_point, self.J_point))
        prior = np.repeat([1 / FOCAL_STD, 1 / RADIAL_STD], cameras)
        at = self.first_lens + np.concatenate([2 * np.arange(cameras), 2 * np.arange(cameras) + 1])
        self.U[at, at] += prior**2
        self.gradient[at] += prior * _off_guess(self.state, data)

    def stepped(self, damping: float) -> BundleState:
        """The state after a step."""
        V = self.V + np.eye(3) * (damping * np.einsum("pii->pi", self.V)[:, :, None] + 1e-9)
        inverse = np.linalg.inv(V)
        points = len(V)
        at = 3 * np.arange(points)[:, None, None]
        rows = np.broadcast_to(at + np.arange(3)[:, None], inverse.shape)
        columns = np.broadcast_to(at + np.arange(3), inverse.shape)
        block = csr_array((inverse.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * points, 3 * points))
        Y = csr_array(self.W @ block)
        S = self.U - (Y @ self.W.T).toarray()
        S[np.diag_indices_from(S)] += damping * np.diag(self.U) + 1e-9
        step = cho_solve(cho_factor(S), -(self.gradient - Y @ self.gradient_point.ravel()))
        back = -(self.gradient_point + (self.W.T @ step).reshape(-1, 3))
        twists = np.concatenate([np.zeros((1, 6)), step[:self.first_lens].reshape(-1, 6)])
        lens = step[self.first_lens:].reshape(-1, 2)
        intrinsics = self.state.intrinsics.copy()
        intrinsics[self.data.free, 0] *= np.exp(np.clip(lens[:, 0], -0.5, 0.5))
        intrinsics[self.data.free, 3] += lens[:, 1]
        return replace(self.state, T_cam_world=turned(self.state.T_cam_world, twists), intrinsics=intrinsics,
                       points=self.state.points + np.einsum("pij,pj->pi", inverse, back))
