# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Homogeneous 4x4 matrices of single operations; they map column vectors (x, y, z, 1)."""

import math

import numpy as np
from numpy.typing import ArrayLike
from transforms3d import axangles, reflections, shears, zooms

TRANSLATION_IDENTITY = [0.0, 0.0, 0.0]
ROTATION_IDENTITY = np.identity(3, dtype=np.float64)
ZOOM_IDENTITY = [1.0, 1.0, 1.0]
SHEAR_IDENTITY = TRANSLATION_IDENTITY


def identity_matrix() -> np.ndarray:
    """Return the 4x4 identity."""
    return np.identity(4)


def translation_matrix(direction: ArrayLike) -> np.ndarray:
    """Return the matrix that adds the vector ``direction``."""
    matrix = np.identity(4)
    matrix[:3, 3] = np.asarray(direction, dtype=np.float64)[:3]
    return matrix


def translation_from_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the translation, shape (3,), of a matrix."""
    return np.array(matrix, dtype=np.float64)[:3, 3]


def reflection_matrix(point: ArrayLike, normal: ArrayLike) -> np.ndarray:
    """Return the matrix that mirrors at the plane through ``point`` with this normal."""
    return reflections.rfnorm2aff(np.asarray(normal, dtype=np.float64)[:3], np.asarray(point, dtype=np.float64)[:3])


def reflection_from_matrix(matrix: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return a point of the mirror plane and its normal; ValueError if the matrix is no reflection."""
    normal, point = reflections.aff2rfnorm(np.asarray(matrix, dtype=np.float64))
    return point, normal


def rotation_matrix(angle: float, direction: ArrayLike, point: ArrayLike | None = None) -> np.ndarray:
    """Return the matrix that rotates by ``angle`` (rad) about ``direction`` through ``point`` (default: the origin)."""
    axis = np.asarray(direction, dtype=np.float64)[:3]
    if not np.any(axis):
        raise ValueError("the axis of rotation is (0, 0, 0); give a direction with a length")
    return axangles.axangle2aff(axis, angle, None if point is None else np.asarray(point, dtype=np.float64)[:3])


def rotation_from_matrix(matrix: ArrayLike) -> tuple[float, np.ndarray, np.ndarray]:
    """Return angle (rad), axis and a point on the axis; ValueError if the matrix is no rotation."""
    direction, angle, point = axangles.aff2axangle(np.asarray(matrix, dtype=np.float64))
    return angle, direction, point


def scale_matrix(factor: float, origin: ArrayLike | None = None, direction: ArrayLike | None = None) -> np.ndarray:
    """Return the matrix that scales by ``factor`` about ``origin``, in all directions or in one only."""
    origin = None if origin is None else np.asarray(origin, dtype=np.float64)[:3]
    direction = None if direction is None else np.asarray(direction, dtype=np.float64)[:3]
    return zooms.zfdir2aff(factor, direction=direction, origin=origin)


def scale_from_matrix(matrix: ArrayLike) -> tuple[float, np.ndarray, np.ndarray | None]:
    """Return factor, origin and direction (None if it scales in all); ValueError if the matrix does not scale."""
    factor, direction, origin = zooms.aff2zfdir(np.asarray(matrix, dtype=np.float64))
    return factor, origin, direction


def shear_matrix(angle: float, direction: ArrayLike, point: ArrayLike, normal: ArrayLike) -> np.ndarray:
    """Return the matrix that shears by ``angle`` (rad) along ``direction`` in the plane through point with this normal.

    ValueError if direction and normal are not orthogonal.
    """
    return shears.sadn2aff(angle, np.asarray(direction, dtype=np.float64)[:3], np.asarray(normal, dtype=np.float64)[:3],
                           np.asarray(point, dtype=np.float64)[:3])


def shear_from_matrix(matrix: ArrayLike) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Return angle (rad), direction, point and normal of a shear matrix."""
    angle, direction, normal, point = shears.aff2sadn(np.asarray(matrix, dtype=np.float64))
    return angle, direction, point, normal


def orthogonalization_matrix(lengths: ArrayLike, angles: ArrayLike) -> np.ndarray:
    """Return the matrix from fractional coordinates of a crystal cell to Cartesian ones.

    The columns are the cell's edges: c along z, b in the y-z plane, a with the given angles to both.

    Args:
        lengths: the edges a, b, c.
        angles: alpha (b, c), beta (a, c), gamma (a, b) in degrees.
    """
    a, b, c = (float(length) for length in np.asarray(lengths))
    alpha, beta, gamma = np.radians(np.asarray(angles, dtype=np.float64))
    # From a . b = a b cos(gamma), with b = b (0, sin(alpha), cos(alpha)) and a_z = a cos(beta).
    a_y = (math.cos(gamma) - math.cos(alpha) * math.cos(beta)) / math.sin(alpha)
    a_x = math.sqrt(math.sin(beta) ** 2 - a_y**2)
    matrix = np.identity(4)
    matrix[:3, 0] = a * a_x, a * a_y, a * math.cos(beta)
    matrix[:3, 1] = 0.0, b * math.sin(alpha), b * math.cos(alpha)
    matrix[:3, 2] = 0.0, 0.0, c
    return matrix


def inverse_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the inverse of a square matrix; LinAlgError if it has none."""
    return np.linalg.inv(matrix)


def concatenate_matrices(*matrices: ArrayLike) -> np.ndarray:
    """Return the product of 4x4 matrices, of which the last acts first."""
    product = np.identity(4)
    for matrix in matrices:
        product = product @ np.asarray(matrix, dtype=np.float64)
    return product


def is_same_transform(matrix0: ArrayLike, matrix1: ArrayLike) -> bool:
    """Return whether two homogeneous matrices do the same, that is are equal up to a factor."""
    first, second = np.asarray(matrix0, dtype=np.float64), np.asarray(matrix1, dtype=np.float64)
    return bool(np.allclose(first / first[3, 3], second / second[3, 3]))
