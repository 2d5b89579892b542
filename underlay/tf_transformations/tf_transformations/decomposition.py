# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Matrices taken apart and put together, and the matrix that lays one set of points on another."""

import math

import numpy as np
from numpy.typing import ArrayLike
from transforms3d import affines

from tf_transformations.matrices import ROTATION_IDENTITY, SHEAR_IDENTITY, TRANSLATION_IDENTITY, ZOOM_IDENTITY
from tf_transformations.quaternions import euler_from_matrix, euler_matrix, quaternion_matrix
from tf_transformations.vectors import _EPS


def decompose_matrix(matrix: ArrayLike) -> tuple:
    """Take a homogeneous matrix apart: the inverse of compose_matrix.

    Returns:
        scale (3,), shear (3,) for x-y, x-z, y-z, Euler angles (rad) about static x, y, z, translation (3,), and
        perspective (4,), which is None where the matrix has none.

    Raises:
        ValueError: not a 4x4 matrix, or one that flattens space.
    """
    given = np.array(matrix, dtype=np.float64)
    if given.shape != (4, 4):
        raise ValueError(f"a homogeneous matrix has shape (4, 4), not {given.shape}")
    perspective = None
    if np.any(np.abs(given[3, :3]) > _EPS):
        affine = np.vstack([given[:3], [0.0, 0.0, 0.0, 1.0]])
    else:
        if abs(given[3, 3]) < _EPS:
            raise ValueError(f"the last row of the matrix is zero:\n{given}")
        affine = given / given[3, 3]
    if np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise ValueError(f"the matrix is singular:\n{given}")
    if np.any(np.abs(given[3, :3]) > _EPS):
        perspective = np.linalg.solve(affine.T, given[3])
    translate, rotation, scale, shear = affines.decompose44(affine)
    return scale, shear, euler_from_matrix(rotation), translate, perspective


def compose_matrix(scale: ArrayLike | None = None, shear: ArrayLike | None = None, angles: ArrayLike | None = None,
                   translate: ArrayLike | None = None, perspective: ArrayLike | None = None) -> np.ndarray:
    """Put a matrix together: scale first, then shear, rotation, translation and perspective.

    Args:
        scale: factors along x, y, z.
        shear: factors for x-y, x-z, y-z.
        angles: Euler angles (rad) about static x, y, z.
        translate: (3,).
        perspective: (4,), the last row of the perspective part.
    """
    rotation = ROTATION_IDENTITY if angles is None else euler_matrix(*angles)[:3, :3]
    matrix = affines.compose(TRANSLATION_IDENTITY if translate is None else translate, rotation,
                             ZOOM_IDENTITY if scale is None else scale, SHEAR_IDENTITY if shear is None else shear)
    if perspective is not None:
        matrix[3] = np.asarray(perspective, dtype=np.float64) @ matrix
    return matrix


def _rotation_by_svd(covariance: np.ndarray) -> np.ndarray:
    """Return the rotation R that maximizes trace(R^T C), by W. Kabsch, Acta Cryst. A32 (1976) 922."""
    left, _, right = np.linalg.svd(covariance)
    mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return left @ mirror @ right


def _rotation_by_quaternion(covariance: np.ndarray) -> np.ndarray:
    """Return the same rotation as the largest eigenvector of a 4x4 matrix, by B. Horn, JOSA A 4 (1987) 629."""
    skew = covariance - covariance.T
    vector = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    trace = np.trace(covariance)
    quadratic = np.empty((4, 4))  # in the order x, y, z, w
    quadratic[:3, :3] = covariance + covariance.T - trace * np.identity(3)
    quadratic[3, :3] = quadratic[:3, 3] = vector
    quadratic[3, 3] = trace
    return quaternion_matrix(np.linalg.eigh(quadratic)[1][:, -1])[:3, :3]


def superimposition_matrix(v0: ArrayLike, v1: ArrayLike, scaling: bool = False, usesvd: bool = True) -> np.ndarray:
    """Return the matrix that lays the points v0 on v1 with least squared distance.

    Args:
        v0, v1: (3, N) or (4, N), N >= 3; a fourth row of ones is ignored.
        scaling: allow a uniform scale, the ratio of the spreads about the centroids.
        usesvd: by Kabsch's algorithm, else by Horn's; both give the same.

    Raises:
        ValueError: sets of different shape or of fewer than three points.
    """
    source, target = (np.asarray(points, dtype=np.float64)[:3] for points in (v0, v1))
    if source.shape != target.shape or source.ndim != 2 or source.shape[0] != 3 or source.shape[1] < 3:
        raise ValueError(f"need two sets of at least 3 points, (3, N) or (4, N), not {np.shape(v0)} and {np.shape(v1)}")
    centre0, centre1 = source.mean(axis=1), target.mean(axis=1)
    source, target = source - centre0[:, None], target - centre1[:, None]
    covariance = target @ source.T
    linear = _rotation_by_svd(covariance) if usesvd else _rotation_by_quaternion(covariance)
    if scaling:
        linear = linear * math.sqrt(np.sum(target**2) / np.sum(source**2))
    matrix = np.identity(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre1 - linear @ centre0
    return matrix
