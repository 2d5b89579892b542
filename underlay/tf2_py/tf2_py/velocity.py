# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Velocity of a rigid body from its poses at two times."""

from math import atan2, sqrt

from tf2_py.rotation import Quaternion, Rigid, Vector, add, conjugate, cross, multiply, rotate, subtract


def rotation_vector(q: Quaternion) -> Vector:
    """Axis times angle (rad, at most pi) of a unit quaternion."""
    x, y, z, w = q if q[3] >= 0.0 else tuple(-c for c in q)
    sine = sqrt(x * x + y * y + z * z)
    # angle / sin(angle / 2) tends to 2 as the angle vanishes.
    scale = 2.0 * atan2(sine, w) / sine if sine > 1e-12 else 2.0
    return x * scale, y * scale, z * scale


def point_velocity(
    T_obs_start: Rigid,
    T_obs_end: Rigid,
    duration_s: float,
    point_obs: Vector,
    origin_obs: Vector,
    q_ref_obs: Quaternion,
) -> tuple[Vector, Vector]:
    """Mean linear (m/s) and angular (rad/s) velocity of a point on a body that moves from one pose to another.

    `point_obs` is the point, `origin_obs` the body's origin, both in the observing frame;
    v_point = v_origin + omega x (point - origin). Both results are turned by `q_ref_obs`.
    """
    shift = subtract(T_obs_end[0], T_obs_start[0])
    turn = rotation_vector(multiply(T_obs_end[1], conjugate(T_obs_start[1])))
    linear = tuple(c / duration_s for c in shift)
    angular = tuple(c / duration_s for c in turn)
    linear = add(linear, cross(angular, subtract(point_obs, origin_obs)))
    return rotate(q_ref_obs, linear), rotate(q_ref_obs, angular)
