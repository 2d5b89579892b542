# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Unit quaternions (x, y, z, w) and rigid transforms as plain tuples.

Tuples of floats, not arrays: a lookup handles a few dozen numbers, where NumPy's cost per call would dominate.
A rigid transform is the pair (translation, rotation), which maps p to rotate(rotation, p) + translation.
"""

from math import acos, sin, sqrt

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Rigid = tuple[Vector, Quaternion]

IDENTITY: Rigid = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def canonical(q: Quaternion) -> Quaternion:
    """Unit quaternion of the same rotation, with the sign that tf2 reports.

    tf2 keeps rotations as matrices; read back, w is positive if the rotation is below 120 degrees, otherwise
    the largest of x, y, z is. A quaternion of length zero gives NaNs, as in tf2.
    """
    norm = sqrt(sum(c * c for c in q))
    if not 0.0 < norm < float("inf"):
        return (float("nan"),) * 4
    x, y, z, w = (c / norm for c in q)
    leading = w if 4.0 * w * w > 1.0 else max((x, y, z), key=abs)
    if leading < 0.0:
        x, y, z, w = -x, -y, -z, -w
    # Adding zero turns -0.0 into 0.0, which otherwise shows up in printed transforms.
    return x + 0.0, y + 0.0, z + 0.0, w + 0.0


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Hamilton product: the rotation b followed by a."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def conjugate(q: Quaternion) -> Quaternion:
    """Inverse of a unit quaternion."""
    return -q[0], -q[1], -q[2], q[3]


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def add(a: Vector, b: Vector) -> Vector:
    """Sum of two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def subtract(a: Vector, b: Vector) -> Vector:
    """Difference of two vectors."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Vector v turned by the unit quaternion q: v + 2 w (u x v) + 2 u x (u x v) with u = (x, y, z)."""
    u = q[:3]
    uv = cross(u, v)
    uuv = cross(u, uv)
    return tuple(v[i] + 2.0 * (q[3] * uv[i] + uuv[i]) for i in range(3))


def compose(a: Rigid, b: Rigid) -> Rigid:
    """Transform b followed by a."""
    return add(rotate(a[1], b[0]), a[0]), multiply(a[1], b[1])


def inverse(a: Rigid) -> Rigid:
    """Inverse of a rigid transform."""
    q = conjugate(a[1])
    return rotate(q, (-a[0][0], -a[0][1], -a[0][2])), q


def lerp(a: Vector, b: Vector, ratio: float) -> Vector:
    """Point between a (ratio 0) and b (ratio 1)."""
    return tuple(x + (y - x) * ratio for x, y in zip(a, b, strict=True))


def slerp(a: Quaternion, b: Quaternion, ratio: float) -> Quaternion:
    """Rotation between a (ratio 0) and b (ratio 1) at constant speed along the shorter arc (Shoemake 1985)."""
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    if dot < 0.0:
        b, dot = tuple(-c for c in b), -dot
    if dot > 1.0 - 1e-12:  # sin(theta) vanishes; the chord is as good as the arc here
        weights = 1.0 - ratio, ratio
    else:
        theta = acos(dot)
        weights = sin((1.0 - ratio) * theta) / sin(theta), sin(ratio * theta) / sin(theta)
    return canonical(tuple(weights[0] * x + weights[1] * y for x, y in zip(a, b, strict=True)))
