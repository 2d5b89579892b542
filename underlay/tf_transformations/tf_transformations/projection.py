# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Projections onto a plane, and the clip matrices of computer graphics."""

import numpy as np
from numpy.typing import ArrayLike

from tf_transformations.matrices import is_same_transform
from tf_transformations.vectors import _EPS, unit_vector


def _vector3(values: ArrayLike) -> np.ndarray:
    """Return the first three values as float64."""
    return np.asarray(values, dtype=np.float64)[:3]


def projection_matrix(point: ArrayLike, normal: ArrayLike, direction: ArrayLike | None = None,
                      perspective: ArrayLike | None = None, pseudo: bool = False) -> np.ndarray:
    """Return the matrix that projects onto the plane through ``point`` with this normal.

    The plane is n . x = h with unit normal n. Parallel: x goes to x - d (n . x - h) / (n . d). Perspective from c: to
    where the line from c through x meets the plane, homogeneous with weight n . (c - x).

    Args:
        point: a point of the plane.
        normal: its normal, of any length.
        direction: direction of a parallel projection; without it and perspective the projection is orthogonal.
        perspective: centre of a perspective projection; it goes before direction.
        pseudo: keep the relative depth of a perspective projection; orthogonal after it gives the plain one.
    """
    n = unit_vector(_vector3(normal))
    height = float(n @ _vector3(point))
    matrix = np.identity(4)
    if perspective is None:
        d = n if direction is None else _vector3(direction)
        slope = float(n @ d)
        matrix[:3, :3] -= np.outer(d, n) / slope
        matrix[:3, 3] = d * (height / slope)
        return matrix
    centre = _vector3(perspective)
    # A depth term n (h - n . x) makes the pseudo projection invertible.
    shift = centre + n if pseudo else centre
    matrix[:3, :3] = (float(n @ centre) - height) * np.identity(3) - np.outer(shift, n)
    matrix[:3, 3] = height * shift
    matrix[3, :3] = -n
    matrix[3, 3] = n @ centre
    return matrix


def _parallel_from(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return point, normal and direction (None if orthogonal) of a parallel projection with matrix[3] = (0, 0, 0, 1).

    I - L = d n^T / (n . d) has rank one, and (I - L) point = t for every point of the plane.
    """
    dyad = np.identity(3) - matrix[:3, :3]
    left, _, right = np.linalg.svd(dyad)
    direction, normal = left[:, 0], right[0]
    cosine = float(direction @ normal)
    if abs(cosine) < _EPS:
        raise ValueError(f"not a projection: its direction lies in the plane\n{matrix}")
    point = normal * float(direction @ matrix[:3, 3]) * cosine
    return point, normal, None if abs(abs(cosine) - 1.0) < 1e-12 else direction


def projection_from_matrix(matrix: ArrayLike, pseudo: bool = False) -> tuple:
    """Return the arguments of projection_matrix that give this matrix.

    Args:
        matrix: 4x4, up to a positive factor.
        pseudo: whether a perspective matrix keeps relative depth.

    Returns:
        point (4,) on the plane, unit normal (3,), direction (3,) or None, perspective (3,) or None, pseudo.

    Raises:
        ValueError: the matrix is no projection, or not of this kind.
    """
    given = np.array(matrix, dtype=np.float64)
    scale = float(np.linalg.norm(given[3, :3]))
    if scale <= _EPS * np.abs(given).max():
        given /= given[3, 3]
        point, normal, direction = _parallel_from(given)
        arguments = (np.append(point, 1.0), normal, direction, None, False)
    else:
        given /= scale
        normal, linear = -given[3, :3], given[:3, :3]
        kept = 1.0 if pseudo else 0.0
        # trace(L) = 3 (n . c - h) - n . c - kept, and n . c = matrix[3, 3].
        distance = (np.trace(linear) + given[3, 3] + kept) / 3.0
        centre = distance * normal - linear @ normal - kept * normal
        point = normal * (given[3, 3] - distance)
        arguments = (np.append(point, 1.0), normal, None, centre, pseudo)
    if not is_same_transform(projection_matrix(*arguments), given):
        raise ValueError(f"not a {'pseudo-perspective ' if pseudo else ''}projection:\n{given}")
    return arguments


def clip_matrix(left: float, right: float, bottom: float, top: float, near: float, far: float,
                perspective: bool = False) -> np.ndarray:
    """Return the matrix from a view volume to normalized device coordinates in [-1, 1].

    Args:
        left, right, bottom, top, near, far: its bounds along x, y and z.
        perspective: the bounds in x and y hold at z = near, and the rays meet in the origin; divide by w afterwards.

    Raises:
        ValueError: bounds in the wrong order, or near not positive with perspective.
    """
    low, high = np.array([left, bottom, near], dtype=np.float64), np.array([right, top, far], dtype=np.float64)
    if np.any(low >= high):
        raise ValueError(f"invalid frustum: each of {low.tolist()} must be below its partner in {high.tolist()}")
    box = np.identity(4)
    box[[0, 1, 2], [0, 1, 2]] = 2.0 / (high - low)
    box[:3, 3] = -(high + low) / (high - low)
    if not perspective:
        return box
    if near <= _EPS:
        raise ValueError(f"invalid frustum: near is {near}, but must be above 0 with perspective")
    # Takes the pyramid to the box: x and y to what they are at z = near; the bounds of z stay, w becomes z.
    to_box = np.array([[near, 0.0, 0.0, 0.0], [0.0, near, 0.0, 0.0],
                       [0.0, 0.0, near + far, -near * far], [0.0, 0.0, 1.0, 0.0]])
    # The sign of a homogeneous matrix is free; the original has w = -z.
    return -box @ to_box
