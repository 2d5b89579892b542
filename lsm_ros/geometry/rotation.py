# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rotations as 3x3 matrices and as quaternions (x, y, z, w); all functions work over leading dimensions in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    'hat', 'matrix_to_quat', 'normalize_rotation', 'quat_to_matrix', 'rotation_angle', 'slerp', 'so3_exp', 'so3_left_jacobian',
    'so3_left_jacobian_inverse', 'so3_log', 'vee',
]

# Below this angle the closed forms lose digits by cancellation and the power series takes over.
SERIES_ANGLE = 0.5
_C_SERIES = (1 / 6, -1 / 120, 1 / 5040, -1 / 362880, 1 / 39916800, -1 / 6227020800)
_D_SERIES = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000, 1 / 74724249600)


def hat(vector: ArrayLike) -> np.ndarray:
    """Cross-product matrix.

    vector (..., 3); returns (..., 3, 3) float64 with hat(a) @ b = a x b.
    """
    v = as_float(vector, (3,), 'vector')
    out = np.zeros((*v.shape, 3))
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = v[..., 2], -v[..., 1], v[..., 0]
    return out


def vee(matrix: ArrayLike) -> np.ndarray:
    """Inverse of `hat`, from the antisymmetric part: matrix (..., 3, 3) to (..., 3)."""
    m = as_float(matrix, (3, 3), 'matrix')
    return 0.5 * np.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)


def so3_exp(phi: ArrayLike) -> np.ndarray:
    """Rotation of the rotation vector phi (Rodrigues).

    phi (..., 3) in radians; returns (..., 3, 3).
    """
    phi, angle, phi_hat = _angle_and_hat(phi)
    a, b = _sinc(angle), _versine_ratio(angle)
    return np.eye(3) + a[..., None, None] * phi_hat + b[..., None, None] * (phi_hat @ phi_hat)


def so3_log(R: ArrayLike) -> np.ndarray:
    """Rotation vector of R, with norm at most pi.

    R (..., 3, 3); returns (..., 3) in radians. Goes through the quaternion, so it keeps full precision near 0 and
    near pi; at exactly pi either sign of the axis is right and one is taken deterministically.
    """
    q = matrix_to_quat(R)
    v, w = q[..., :3], q[..., 3]
    n = np.linalg.norm(v, axis=-1)
    safe = np.where(n > 0, n, 1.0)
    ratio = np.where(n > 0, 2 * np.arctan2(n, w) / safe, 2.0)
    return ratio[..., None] * v


def rotation_angle(R: np.ndarray) -> float:
    """Angle in radians, 0 to pi, of one rotation R (3, 3): as the norm of `so3_log`, at a tenth of its cost."""
    (r00, r01, r02), (r10, r11, r12), (r20, r21, r22) = R.tolist()
    return math.atan2(math.hypot(r21 - r12, r02 - r20, r10 - r01), r00 + r11 + r22 - 1.0)


def so3_left_jacobian(phi: ArrayLike) -> np.ndarray:
    """Left Jacobian J with exp(phi + d) ~ exp(J d) exp(phi).

    phi (..., 3) in radians; returns (..., 3, 3). Barfoot, State Estimation for Robotics, eq. (7.77).
    """
    phi, angle, phi_hat = _angle_and_hat(phi)
    b = _versine_ratio(angle)[..., None, None]
    square = angle**2
    small = angle < SERIES_ANGLE
    safe = np.where(small, 1.0, angle)
    c = np.where(small, left_jacobian_series(square), (safe - np.sin(safe)) / safe**3)[..., None, None]
    return np.eye(3) + b * phi_hat + c * (phi_hat @ phi_hat)


def so3_left_jacobian_inverse(phi: ArrayLike) -> np.ndarray:
    """Inverse of `so3_left_jacobian`, in closed form.

    phi (..., 3) in radians with norm below 2 pi, where the Jacobian is singular; returns (..., 3, 3).
    """
    phi, angle, phi_hat = _angle_and_hat(phi)
    small = angle < SERIES_ANGLE
    safe = np.where(small, 1.0, angle)
    closed = (1 - 0.5 * safe / np.tan(0.5 * safe)) / safe**2
    d = np.where(small, _series(_D_SERIES, angle**2), closed)[..., None, None]
    return np.eye(3) - 0.5 * phi_hat + d * (phi_hat @ phi_hat)


def quat_to_matrix(quat: ArrayLike) -> np.ndarray:
    """Rotation of a quaternion (x, y, z, w).

    quat (..., 4) of any norm but zero; returns (..., 3, 3). ValueError for a zero or non-finite quaternion.
    """
    q = as_float(quat, (4,), 'quat')
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norm)) or np.any(norm < 1e-12):
        raise ValueError(f'quaternion must be finite and not zero, got norm {np.min(norm)!r}; give (x, y, z, w)')
    x, y, z, w = np.moveaxis(q / norm, -1, 0)
    out = np.empty((*q.shape[:-1], 3, 3))
    out[..., 0, 0], out[..., 1, 1] = 1 - 2 * (y * y + z * z), 1 - 2 * (x * x + z * z)
    out[..., 2, 2] = 1 - 2 * (x * x + y * y)
    out[..., 0, 1], out[..., 1, 0] = 2 * (x * y - z * w), 2 * (x * y + z * w)
    out[..., 0, 2], out[..., 2, 0] = 2 * (x * z + y * w), 2 * (x * z - y * w)
    out[..., 1, 2], out[..., 2, 1] = 2 * (y * z - x * w), 2 * (y * z + x * w)
    return out


def matrix_to_quat(R: ArrayLike) -> np.ndarray:
    """Unit quaternion (x, y, z, w) of a rotation, with w >= 0.

    R (..., 3, 3); returns (..., 4). Builds 4 q q^T from R and normalises its row with the largest diagonal element, so
    that no division is by a small number (Shepperd, 1978).
    """
    R = as_float(R, (3, 3), 'R')
    r00, r11, r22 = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    xy, xz, yz = R[..., 0, 1] + R[..., 1, 0], R[..., 0, 2] + R[..., 2, 0], R[..., 1, 2] + R[..., 2, 1]
    xw, yw, zw = R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]
    rows = np.stack([
        np.stack([1 + r00 - r11 - r22, xy, xz, xw], -1),
        np.stack([xy, 1 - r00 + r11 - r22, yz, yw], -1),
        np.stack([xz, yz, 1 - r00 - r11 + r22, zw], -1),
        np.stack([xw, yw, zw, 1 + r00 + r11 + r22], -1),
    ], -2)
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., 3:] < 0, -q, q)


def normalize_rotation(matrix: ArrayLike) -> np.ndarray:
    """Nearest rotation (Frobenius norm, determinant +1) of a matrix, through its singular value decomposition.

    matrix (..., 3, 3); returns (..., 3, 3).
    """
    U, _, Vt = np.linalg.svd(as_float(matrix, (3, 3), 'matrix'))
    sign = np.sign(np.linalg.det(U @ Vt))
    U = U.copy()
    U[..., :, 2] *= sign[..., None]
    return U @ Vt


def slerp(q0: ArrayLike, q1: ArrayLike, alpha: ArrayLike) -> np.ndarray:
    """Quaternion between q0 (alpha 0) and q1 (alpha 1) along the shorter arc, at constant angular speed.

    q0, q1 (..., 4) unit quaternions (x, y, z, w); alpha (...) without unit. Returns (..., 4).
    """
    q0, q1 = as_float(q0, (4,), 'q0'), as_float(q1, (4,), 'q1')
    alpha = np.asarray(alpha, dtype=np.float64)[..., None]
    q1 = np.where(np.sum(q0 * q1, axis=-1, keepdims=True) < 0, -q1, q1)
    half = np.arctan2(np.linalg.norm(q1 - q0, axis=-1, keepdims=True), np.linalg.norm(q1 + q0, axis=-1, keepdims=True))
    angle = 2 * half  # at most pi / 2, so that sinc(angle) below is never small
    w0 = (1 - alpha) * _sinc((1 - alpha) * angle) / _sinc(angle)
    w1 = alpha * _sinc(alpha * angle) / _sinc(angle)
    q = w0 * q0 + w1 * q1
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def as_float(value: ArrayLike, tail: tuple[int, ...], name: str) -> np.ndarray:
    """float64 array whose last dimensions are `tail`; ValueError that names the argument and its shape otherwise."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape[array.ndim - len(tail):] != tail or array.ndim < len(tail):
        raise ValueError(f'{name} must have shape (..., {", ".join(map(str, tail))}), got {array.shape}')
    return array


def _angle_and_hat(phi: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    phi = as_float(phi, (3,), 'phi')
    return phi, np.linalg.norm(phi, axis=-1), hat(phi)


def _sinc(x: np.ndarray) -> np.ndarray:
    return np.sinc(x / np.pi)


def _versine_ratio(x: np.ndarray) -> np.ndarray:
    # (1 - cos x) / x^2 without cancellation.
    return 0.5 * _sinc(0.5 * x) ** 2


def left_jacobian_series(square: Any) -> Any:
    """Factor of hat(phi)^2 in `so3_left_jacobian` where the closed form cancels, of |phi|^2, a number or an array."""
    return _series(_C_SERIES, square)


def _series(coefficients: tuple[float, ...], x: Any) -> Any:
    total = 0.0 * x
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
