# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A virtual trackball: drags of the mouse become rotations (K. Shoemake, Graphics Interface 1992)."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tf_transformations.quaternions import (
    quaternion_from_matrix,
    quaternion_matrix,
    quaternion_multiply,
    quaternion_slerp,
)
from tf_transformations.vectors import _EPS, unit_vector


def arcball_map_to_sphere(point: ArrayLike, center: ArrayLike, radius: float) -> np.ndarray:
    """Return the unit vector of a window point (x right, y down) on the ball; points beside it go to its rim."""
    x, y = (point[0] - center[0]) / radius, (center[1] - point[1]) / radius
    inside = 1.0 - x * x - y * y
    return np.array([x, y, math.sqrt(inside)]) if inside >= 0.0 else unit_vector([x, y, 0.0])


def arcball_constrain_to_axis(point: ArrayLike, axis: ArrayLike) -> np.ndarray:
    """Return the point of the ball's front nearest to ``point`` and perpendicular to the unit vector ``axis``."""
    axis = np.asarray(axis, dtype=np.float64)
    flat = np.asarray(point, dtype=np.float64)
    flat = flat - axis * (axis @ flat)
    if np.linalg.norm(flat) > _EPS:
        return unit_vector(-flat if flat[2] < 0.0 else flat)
    # The point lies on the axis: any perpendicular will do, here one in the window's plane.
    return np.array([1.0, 0.0, 0.0]) if axis[2] == 1.0 else unit_vector([-axis[1], axis[0], 0.0])


def arcball_nearest_axis(point: ArrayLike, axes: ArrayLike) -> np.ndarray | None:
    """Return the axis whose great circle passes nearest to the point; None without axes."""
    point = np.asarray(point, dtype=np.float64)
    return max(axes, key=lambda axis: float(arcball_constrain_to_axis(point, axis) @ point), default=None)


class Arcball:
    """A ball under the mouse: place it, press (down), drag, and read the rotation by matrix."""

    def __init__(self, initial: ArrayLike | None = None) -> None:
        """Start from a quaternion (x, y, z, w) or a 4x4 rotation; ValueError for anything else."""
        start = np.array([0.0, 0.0, 0.0, 1.0]) if initial is None else np.array(initial, dtype=np.float64)
        if start.shape == (4, 4):
            start = np.array(quaternion_from_matrix(start))
        elif start.shape != (4,):
            raise ValueError(f"initial must be a quaternion (4,) or a matrix (4, 4), not of shape {start.shape}")
        self._start = self._previous = self._now = unit_vector(start)
        self._pressed = np.array([0.0, 0.0, 1.0])
        self._center, self._radius = [0.0, 0.0], 1.0
        self._axes: list[np.ndarray] | None = None
        self._axis: np.ndarray | None = None
        self._constrain = False

    def place(self, center: ArrayLike, radius: float) -> None:
        """Put the ball's centre and radius, both in window coordinates."""
        self._center, self._radius = [center[0], center[1]], float(radius)

    def setaxes(self, *axes: ArrayLike | None) -> None:
        """Set the axes that rotations may be constrained to; none, or None, removes them."""
        given = [axis for axis in axes if axis is not None]
        self._axes = [unit_vector(axis) for axis in given] or None

    def setconstrain(self, constrain: bool) -> None:
        """Switch on or off that rotations keep to the nearest of the axes."""
        self._constrain = constrain is True

    def getconstrain(self) -> bool:
        """Return whether rotations keep to the axes."""
        return self._constrain

    def down(self, point: ArrayLike) -> None:
        """Start a drag at a window point."""
        self._pressed = arcball_map_to_sphere(point, self._center, self._radius)
        self._start = self._previous = self._now
        self._axis = None
        if self._constrain and self._axes is not None:
            self._axis = arcball_nearest_axis(self._pressed, self._axes)
            self._pressed = arcball_constrain_to_axis(self._pressed, self._axis)

    def drag(self, point: ArrayLike) -> None:
        """Move the mouse to a window point: the ball turns by twice the arc from where the drag started."""
        current = arcball_map_to_sphere(point, self._center, self._radius)
        if self._axis is not None:
            current = arcball_constrain_to_axis(current, self._axis)
        self._previous = self._now
        axis = np.cross(self._pressed, current)
        if axis @ axis < _EPS:
            self._now = self._start
        else:
            self._now = np.array(quaternion_multiply([*axis, self._pressed @ current], self._start))

    def next(self, acceleration: float = 0.0) -> None:
        """Go on turning as in the last drag, faster by the acceleration."""
        following = quaternion_slerp(self._previous, self._now, 2.0 + acceleration, 0)
        self._previous, self._now = self._now, following

    def matrix(self) -> np.ndarray:
        """Return the rotation, 4x4."""
        return quaternion_matrix(self._now)
