# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lengths, unit vectors and random numbers."""

import math

import numpy as np
from numpy.typing import ArrayLike

# Below this a number counts as zero.
_EPS = np.finfo(float).eps * 4.0


def vector_norm(data: ArrayLike, axis: int | None = None, out: np.ndarray | None = None) -> float | np.ndarray | None:
    """Return the Euclidean length: a float for one vector, else an array of at least one axis.

    Args:
        data: one vector or an array of them.
        axis: the axis that holds the vectors; None takes the whole array for one.
        out: float64 array that receives the lengths; then nothing is returned.
    """
    squares = np.square(np.asarray(data, dtype=np.float64))
    if out is not None:
        np.sqrt(squares.sum(axis=axis), out=out)
        return None
    if squares.ndim == 1:
        return math.sqrt(squares.sum())
    return np.atleast_1d(np.sqrt(squares.sum(axis=axis)))


def unit_vector(data: ArrayLike, axis: int | None = None, out: np.ndarray | None = None) -> np.ndarray | None:
    """Return ``data`` divided by its length along ``axis``; arguments as in vector_norm. A zero vector gives NaN."""
    values = np.array(data, dtype=np.float64)
    if values.ndim == 1:
        axis = None
    length = np.sqrt(np.sum(np.square(values), axis=axis, keepdims=axis is not None))
    if out is not None:
        np.divide(values, length, out=out)
        return None
    return values / length


def random_vector(size: int | tuple[int, ...]) -> np.ndarray:
    """Return an array of this size of random numbers, uniform in [0, 1), from NumPy's global generator."""
    return np.random.random(size)
