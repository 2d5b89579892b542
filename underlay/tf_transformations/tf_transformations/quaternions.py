# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Quaternions in the order x, y, z, w, and Euler angles.

As in the original some functions return a tuple and some an array.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from transforms3d import affines, euler
from transforms3d import quaternions as wxyz

from tf_transformations.vectors import _EPS, unit_vector

# The axis that follows x, y, z, x.
_NEXT_AXIS = [1, 2, 0, 1]


def _axis_sequences() -> dict[str, tuple[int, int, int, int]]:
    """Return the 24 sequences of axes as (inner axis, parity, repetition, frame); rotating ones are static reversed."""
    sequences = {}
    for first in range(3):
        for parity in range(2):
            for repetition in range(2):
                second = _NEXT_AXIS[first + parity]
                third = first if repetition else _NEXT_AXIS[first + 1 - parity]
                letters = "xyz"[first] + "xyz"[second] + "xyz"[third]
                sequences["s" + letters] = (first, parity, repetition, 0)
                sequences["r" + letters[::-1]] = (first, parity, repetition, 1)
    return sequences


_AXES2TUPLE = _axis_sequences()
_TUPLE2AXES = {code: name for name, code in _AXES2TUPLE.items()}


def _homogeneous(rotation: np.ndarray) -> np.ndarray:
    """Return a 3x3 matrix as a 4x4 one."""
    matrix = np.identity(4)
    matrix[:3, :3] = rotation
    return matrix


def _w_first(quaternion: ArrayLike) -> tuple[float, float, float, float]:
    """Return (w, x, y, z), the order of transforms3d."""
    x, y, z, w = quaternion
    return w, x, y, z


def _w_last(quaternion: ArrayLike) -> tuple[float, float, float, float]:
    """Return (x, y, z, w), the order of ROS."""
    w, x, y, z = quaternion
    return x, y, z, w


def euler_matrix(ai: float, aj: float, ak: float, axes: str | tuple = "sxyz") -> np.ndarray:
    """Return the 4x4 rotation of three Euler angles (rad) about a sequence of axes: roll, pitch, yaw by default.

    Args:
        axes: 's' (static) or 'r' (rotating) and three axes, one of 24; or its code as a tuple.
    """
    return _homogeneous(euler.euler2mat(ai, aj, ak, axes=axes))


def euler_from_matrix(matrix: ArrayLike, axes: str | tuple = "sxyz") -> tuple[float, float, float]:
    """Return Euler angles (rad) of the rotation in a 3x3 or 4x4 matrix; one of the many triples that give it."""
    return euler.mat2euler(np.asarray(matrix, dtype=np.float64)[:3, :3], axes=axes)


def euler_from_quaternion(quaternion: ArrayLike, axes: str | tuple = "sxyz") -> tuple[float, float, float]:
    """Return Euler angles (rad) of a quaternion (x, y, z, w) of any length."""
    return euler_from_matrix(wxyz.quat2mat(_w_first(quaternion)), axes)


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str | tuple = "sxyz") -> tuple:
    """Return the quaternion (x, y, z, w) of three Euler angles (rad); axes as in euler_matrix."""
    return _w_last(euler.euler2quat(ai, aj, ak, axes=axes))


def quaternion_about_axis(angle: float, axis: ArrayLike) -> tuple:
    """Return the quaternion (x, y, z, w) of a turn by ``angle`` (rad) about ``axis``; ValueError for a zero axis."""
    vector = np.asarray(axis, dtype=np.float64)[:3]
    if not np.any(vector):
        raise ValueError("the axis of rotation is (0, 0, 0); give a direction with a length")
    return _w_last(wxyz.axangle2quat(vector, angle))


def quaternion_matrix(quaternion: ArrayLike) -> np.ndarray:
    """Return the 4x4 rotation of a quaternion (x, y, z, w) of any length; the zero quaternion gives the identity."""
    return _homogeneous(wxyz.quat2mat(_w_first(quaternion)))


def quaternion_from_matrix(matrix: ArrayLike) -> tuple:
    """Return the quaternion (x, y, z, w), w not negative, of the rotation in a 3x3 or 4x4 matrix without its scale."""
    linear = np.asarray(matrix, dtype=np.float64)[:3, :3]
    return _w_last(wxyz.mat2quat(affines.decompose44(_homogeneous(linear))[1]))


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> tuple:
    """Return the product quaternion1 * quaternion0: the rotation of the second, then that of the first."""
    return _w_last(wxyz.qmult(_w_first(quaternion1), _w_first(quaternion0)))


def quaternion_conjugate(quaternion: ArrayLike) -> np.ndarray:
    """Return the conjugate: the inverse of a unit quaternion (x, y, z, w)."""
    return np.asarray(quaternion, dtype=np.float64) * (-1.0, -1.0, -1.0, 1.0)


def quaternion_inverse(quaternion: ArrayLike) -> np.ndarray:
    """Return the inverse of a quaternion (x, y, z, w) of any length but zero."""
    return quaternion_conjugate(quaternion) / np.dot(quaternion, quaternion)


def quaternion_slerp(quat0: ArrayLike, quat1: ArrayLike, fraction: float, spin: int = 0,
                     shortestpath: bool = True) -> np.ndarray:
    """Return the quaternion at ``fraction`` of the way from quat0 to quat1, at constant angular speed.

    Args:
        quat0, quat1: (x, y, z, w) of any length but zero.
        fraction: 0 gives quat0, 1 gives quat1; other values go beyond.
        spin: how many half turns more to make on the way.
        shortestpath: take the nearer of quat1 and -quat1, which is the same rotation.
    """
    start, end = unit_vector(np.asarray(quat0)[:4]), unit_vector(np.asarray(quat1)[:4])
    if fraction == 0.0:
        return start
    if fraction == 1.0:
        return end
    cosine = float(start @ end)
    if 1.0 - abs(cosine) < _EPS:
        return start
    if shortestpath and cosine < 0.0:
        end, cosine = -end, -cosine
    angle = math.acos(cosine) + spin * math.pi
    if abs(angle) < _EPS:
        return start
    weights = np.sin(np.array([1.0 - fraction, fraction]) * angle) / math.sin(angle)
    return weights[0] * start + weights[1] * end


def random_quaternion(rand: ArrayLike | None = None) -> np.ndarray:
    """Return a random unit quaternion (4,), uniform over rotations (K. Shoemake, Graphics Gems III, 1992, pp. 124-132).

    Args:
        rand: three numbers in [0, 1) to make it from; new random ones by default.
    """
    share, turn0, turn1 = np.random.random(3) if rand is None else np.asarray(rand, dtype=np.float64)
    phases = 2.0 * math.pi * np.array([turn0, turn1])
    radii = np.sqrt([1.0 - share, share])
    return np.stack([np.sin(phases) * radii, np.cos(phases) * radii], axis=1).reshape(4)


def random_rotation_matrix(rand: ArrayLike | None = None) -> np.ndarray:
    """Return a random 4x4 rotation, uniform over rotations; ``rand`` as in random_quaternion."""
    return quaternion_matrix(random_quaternion(rand))
