# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""SO3, SE3 and Sim3 as plain arrays, over leading dimensions, in float64.

SO3 is (..., 3, 3), SE3 and Sim3 are (..., 4, 4); the upper 3x3 of a Sim3 is scale times rotation. Tangent vectors
have the translation first: (rho, phi) in SE3 and (rho, phi, sigma) in Sim3 with sigma = ln(scale).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.rotation import (
    SERIES_ANGLE,
    as_float,
    hat,
    left_jacobian_series,
    matrix_to_quat,
    normalize_rotation,
    quat_to_matrix,
    rotation_angle,
    slerp,
    so3_exp,
    so3_left_jacobian,
    so3_left_jacobian_inverse,
    so3_log,
    vee,
)

__all__ = [
    'hat', 'interpolate_se3', 'is_se3', 'make_se3', 'make_sim3', 'matrix_to_quat', 'normalize_rotation',
    'quat_to_matrix', 'rotation_angle', 'se3_adjoint', 'se3_exp', 'se3_inverse', 'se3_log', 'sim3_adjoint',
    'sim3_exp', 'sim3_inverse', 'sim3_log', 'slerp', 'so3_exp', 'so3_left_jacobian', 'so3_left_jacobian_inverse',
    'so3_log', 'split_sim3', 'transform_points', 'vee',
]

_UNIT_NODES, _UNIT_WEIGHTS = np.polynomial.legendre.leggauss(24)  # on [-1, 1]
_NODES, _WEIGHTS = 0.5 * (_UNIT_NODES + 1), 0.5 * _UNIT_WEIGHTS


def make_se3(R: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Transform from rotation R (..., 3, 3) and translation t (..., 3) in metres; returns (..., 4, 4)."""
    return _assemble(as_float(R, (3, 3), 'R'), as_float(t, (3,), 't'))


def make_sim3(s: ArrayLike, R: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Similarity x -> s R x + t.

    s (...) > 0, R (..., 3, 3), t (..., 3) in metres; returns (..., 4, 4). ValueError if a scale is not positive.
    """
    s = np.asarray(s, dtype=np.float64)
    if not np.all(s > 0) or not np.all(np.isfinite(s)):
        raise ValueError(f'scale must be positive and finite, got {s!r}')
    return _assemble(s[..., None, None] * as_float(R, (3, 3), 'R'), as_float(t, (3,), 't'))


def split_sim3(T: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale (...), rotation (..., 3, 3) and translation (..., 3) of a similarity T (..., 4, 4).

    ValueError if the determinant of the upper 3x3 is not positive.
    """
    T = as_float(T, (4, 4), 'T')
    det = np.linalg.det(T[..., :3, :3])
    if not np.all(det > 0):
        raise ValueError(f'not a similarity: determinant of the upper 3x3 is {np.min(det)!r}, it must be positive')
    s = np.cbrt(det)
    return s, T[..., :3, :3] / s[..., None, None], T[..., :3, 3].copy()


def rigid(T: ArrayLike) -> np.ndarray:
    """(..., 4, 4) the rigid transforms nearest to similarities (..., 4, 4) that keep where these put their origin."""
    _, R, t = split_sim3(T)
    return make_se3(normalize_rotation(R), t)


def se3_exp(xi: ArrayLike) -> np.ndarray:
    """Transform of the twist xi = (rho, phi).

    xi (..., 6), metres and radians; returns (..., 4, 4).
    """
    xi = as_float(xi, (6,), 'xi')
    if xi.ndim == 1 and np.isfinite(xi).all():
        return _se3_exp_of_one(*xi.tolist())
    phi = xi[..., 3:]
    return _assemble(so3_exp(phi), _apply(so3_left_jacobian(phi), xi[..., :3]))


def se3_log(T: ArrayLike) -> np.ndarray:
    """Twist (rho, phi) of T (..., 4, 4), with |phi| <= pi; returns (..., 6)."""
    T = as_float(T, (4, 4), 'T')
    phi = so3_log(T[..., :3, :3])
    return np.concatenate([_apply(so3_left_jacobian_inverse(phi), T[..., :3, 3]), phi], axis=-1)


def se3_adjoint(T: ArrayLike) -> np.ndarray:
    """Adjoint with T exp(xi) T^-1 = exp(Ad xi), for the order (rho, phi); T (..., 4, 4) to (..., 6, 6)."""
    T = as_float(T, (4, 4), 'T')
    R = T[..., :3, :3]
    out = np.zeros((*T.shape[:-2], 6, 6))
    out[..., :3, :3] = out[..., 3:, 3:] = R
    out[..., :3, 3:] = hat(T[..., :3, 3]) @ R
    return out


def se3_inverse(T: ArrayLike) -> np.ndarray:
    """Inverse of T (..., 4, 4), without a general matrix inverse."""
    T = as_float(T, (4, 4), 'T')
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    return _assemble(Rt, -_apply(Rt, T[..., :3, 3]))


def sim3_exp(xi: ArrayLike) -> np.ndarray:
    """Similarity of xi = (rho, phi, sigma): the matrix exponential of [[hat(phi) + sigma I, rho], [0, 0]].

    xi (..., 7), metres, radians, and sigma = ln(scale) with |sigma| <= 20; returns (..., 4, 4).
    """
    xi = as_float(xi, (7,), 'xi')
    phi, sigma = xi[..., 3:6], xi[..., 6]
    t = _apply(_sim3_translation_map(phi, sigma), xi[..., :3])
    return _assemble(np.exp(sigma)[..., None, None] * so3_exp(phi), t)


def sim3_log(T: ArrayLike) -> np.ndarray:
    """Tangent (rho, phi, sigma) of a similarity T (..., 4, 4); returns (..., 7). ValueError as in `split_sim3`."""
    s, R, t = split_sim3(T)
    phi, sigma = so3_log(R), np.log(s)
    rho = np.linalg.solve(_sim3_translation_map(phi, sigma), t[..., None])[..., 0]
    return np.concatenate([rho, phi, sigma[..., None]], axis=-1)


def sim3_adjoint(T: ArrayLike) -> np.ndarray:
    """Adjoint with T exp(xi) T^-1 = exp(Ad xi), for the order (rho, phi, sigma); T (..., 4, 4) to (..., 7, 7)."""
    s, R, t = split_sim3(T)
    out = np.zeros((*s.shape, 7, 7))
    out[..., :3, :3] = s[..., None, None] * R
    out[..., :3, 3:6] = hat(t) @ R
    out[..., :3, 6] = -t
    out[..., 3:6, 3:6] = R
    out[..., 6, 6] = 1
    return out


def sim3_inverse(T: ArrayLike) -> np.ndarray:
    """Inverse of a similarity T (..., 4, 4); also right for SE3. ValueError as in `split_sim3`."""
    s, R, t = split_sim3(T)
    inverse = np.swapaxes(R, -1, -2) / s[..., None, None]
    return _assemble(inverse, -_apply(inverse, t))


def transform_points(T: ArrayLike, points: ArrayLike) -> np.ndarray:
    """Points of frame b in frame a, for T_a_b in SE3 or Sim3.

    One transform T (4, 4) takes points of any shape (..., 3); a batch (..., 4, 4) takes (..., N, 3) with the same
    leading dimensions. Returns the points' shape, float32 if the points are float32, else float64.
    """
    T, points = as_float(T, (4, 4), 'T'), np.asarray(points)
    if points.ndim == 0 or points.shape[-1] != 3 or (T.ndim > 2 and points.ndim < 2):
        wanted = '(..., 3)' if T.ndim == 2 else '(..., N, 3)'
        raise ValueError(f'points must have shape {wanted} for T of shape {T.shape}, got {points.shape}')
    dtype = np.float32 if points.dtype == np.float32 else np.float64
    points, T = points.astype(dtype, copy=False), T.astype(dtype)
    if T.ndim == 2:
        return (points.reshape(-1, 3) @ T[:3, :3].T + T[:3, 3]).reshape(points.shape)
    return points @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]


def interpolate_se3(T0: ArrayLike, T1: ArrayLike, alpha: ArrayLike) -> np.ndarray:
    """Pose between T0 (alpha 0) and T1 (alpha 1): slerp of the rotation, straight line of the translation, as tf2 does.

    T0, T1 (..., 4, 4), alpha (...); all broadcast. Returns (..., 4, 4).
    """
    T0, T1 = as_float(T0, (4, 4), 'T0'), as_float(T1, (4, 4), 'T1')
    alpha = np.asarray(alpha, dtype=np.float64)
    quat = slerp(matrix_to_quat(T0[..., :3, :3]), matrix_to_quat(T1[..., :3, :3]), alpha)
    weight = alpha[..., None]
    return make_se3(quat_to_matrix(quat), (1 - weight) * T0[..., :3, 3] + weight * T1[..., :3, 3])


def is_se3(T: ArrayLike, tol: float = 1e-6) -> bool | np.ndarray:
    """True if T is a finite rigid transform: R^T R = I, det R = +1, last row (0, 0, 0, 1), each within tol.

    T (4, 4) gives a bool, (..., 4, 4) a bool array (...); any other shape gives False.
    """
    T = np.asarray(T, dtype=np.float64)
    if T.ndim < 2 or T.shape[-2:] != (4, 4):
        return False
    finite = np.isfinite(T).all(axis=(-2, -1))
    T = np.where(finite[..., None, None], T, np.eye(4))
    R = T[..., :3, :3]
    orthonormal = np.abs(np.swapaxes(R, -1, -2) @ R - np.eye(3)).max(axis=(-2, -1)) <= tol
    last_row = np.abs(T[..., 3, :] - np.array([0.0, 0, 0, 1])).max(axis=-1) <= tol
    out = finite & orthonormal & last_row & (np.linalg.det(R) > 0)
    return bool(out) if out.ndim == 0 else out


def _se3_exp_of_one(x: float, y: float, z: float, p: float, q: float, r: float) -> np.ndarray:
    """`se3_exp` in plain numbers: for a single twist NumPy's calls cost thirty times what they compute."""
    square = p * p + q * q + r * r
    angle = math.sqrt(square)
    a = math.sin(angle) / angle if angle else 1.0
    b = 0.5 * (math.sin(0.5 * angle) / (0.5 * angle)) ** 2 if angle else 0.5
    c = left_jacobian_series(square) if angle < SERIES_ANGLE else (angle - math.sin(angle)) / (angle * square)
    # hat(phi) v = phi x v, and hat(phi)^2 = phi phi^T - |phi|^2 I
    u, v, w = q * z - r * y, r * x - p * z, p * y - q * x
    dot = p * x + q * y + r * z
    return np.array([
        [1 + b * (p * p - square), b * p * q - a * r, b * p * r + a * q, x + b * u + c * (p * dot - square * x)],
        [b * p * q + a * r, 1 + b * (q * q - square), b * q * r - a * p, y + b * v + c * (q * dot - square * y)],
        [b * p * r - a * q, b * q * r + a * p, 1 + b * (r * r - square), z + b * w + c * (r * dot - square * z)],
        [0.0, 0.0, 0.0, 1.0]])


def _assemble(upper: np.ndarray, t: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(upper.shape[:-2], t.shape[:-1])
    T = np.zeros((*shape, 4, 4))
    T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = upper, t, 1
    return T


def _apply(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return (matrix @ vector[..., None])[..., 0]


def _sim3_translation_map(phi: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    # W = integral over s in [0, 1] of exp(s sigma) exp(s hat(phi)) = a I + b hat + c hat^2. The closed form divides
    # by powers of the angle and of sigma, hence cancels when either is small. Gauss-Legendre quadrature of the same
    # integrals sums positive smooth terms: it is exact to machine precision for angles up to 1 and any sigma.
    # Above, the closed form is safe.
    angle = np.linalg.norm(phi, axis=-1)
    node_angle = angle[..., None] * _NODES
    growth = _WEIGHTS * np.exp(sigma[..., None] * _NODES)
    a = growth.sum(-1)
    b = (growth * _NODES * np.sinc(node_angle / np.pi)).sum(-1)
    c = (growth * _NODES**2 * 0.5 * np.sinc(node_angle / (2 * np.pi)) ** 2).sum(-1)
    large = angle > 1
    safe = np.where(large, angle, 1.0)
    z = sigma + 1j * safe
    turn = (np.exp(z) - 1) / z
    b = np.where(large, turn.imag / safe, b)
    c = np.where(large, (a - turn.real) / safe**2, c)
    phi_hat = hat(phi)
    return a[..., None, None] * np.eye(3) + b[..., None, None] * phi_hat + c[..., None, None] * (phi_hat @ phi_hat)
