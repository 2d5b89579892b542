# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Transforms of geometry messages by a TransformStamped T_target_source; results carry its header (the target)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import (
    Point32,
    PointStamped,
    PolygonStamped,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3Stamped,
)
from tf2_py.rotation import Rigid, Vector, add, canonical, compose, rotate
from tf2_ros import ConvertRegistration, TransformRegistration


def _xyz(v: Any) -> Vector:
    return v.x, v.y, v.z


def _rigid(transform: TransformStamped) -> Rigid:
    q = transform.transform.rotation
    return _xyz(transform.transform.translation), canonical((q.x, q.y, q.z, q.w))


def _apply(transform: TransformStamped, point: Any) -> Vector:
    translation, rotation = _rigid(transform)
    return add(rotate(rotation, _xyz(point)), translation)


def do_transform_point(point: PointStamped, transform: TransformStamped) -> PointStamped:
    """Point in the target frame."""
    result = PointStamped(header=transform.header)
    result.point.x, result.point.y, result.point.z = _apply(transform, point.point)
    return result


def do_transform_vector3(vector3: Vector3Stamped, transform: TransformStamped) -> Vector3Stamped:
    """Vector in the target frame: turned, not shifted."""
    result = Vector3Stamped(header=transform.header)
    result.vector.x, result.vector.y, result.vector.z = rotate(_rigid(transform)[1], _xyz(vector3.vector))
    return result


def do_transform_pose(pose: Pose, transform: TransformStamped) -> Pose:
    """Pose in the target frame; the quaternion has w >= 0."""
    q = pose.orientation
    translation, rotation = compose(_rigid(transform), (_xyz(pose.position), canonical((q.x, q.y, q.z, q.w))))
    sign = -1.0 if rotation[3] < 0.0 else 1.0
    result = Pose()
    result.position.x, result.position.y, result.position.z = translation
    orientation = result.orientation
    orientation.x, orientation.y, orientation.z, orientation.w = (sign * c for c in rotation)
    return result


def do_transform_pose_stamped(pose: PoseStamped, transform: TransformStamped) -> PoseStamped:
    """Pose in the target frame."""
    return PoseStamped(header=transform.header, pose=do_transform_pose(pose.pose, transform))


def transform_covariance(cov_in: Sequence[float], transform: TransformStamped) -> np.ndarray:
    """Covariance of (x, y, z, rotation about x, y, z), 36 numbers row by row, in the target frame.

    B C B^T with B = diag(R, R): position and rotation vector turn alike (propagation of errors, first order).
    """
    rotation = _rigid(transform)[1]
    R = np.array([rotate(rotation, axis) for axis in np.eye(3)]).T
    B = np.kron(np.eye(2), R)
    return (B @ np.asarray(cov_in, dtype=np.float64).reshape(6, 6) @ B.T).reshape(36)


def do_transform_pose_with_covariance_stamped(
    pose: PoseWithCovarianceStamped, transform: TransformStamped
) -> PoseWithCovarianceStamped:
    """Pose and covariance in the target frame."""
    result = PoseWithCovarianceStamped(header=transform.header)
    result.pose.pose = do_transform_pose(pose.pose.pose, transform)
    result.pose.covariance = transform_covariance(pose.pose.covariance, transform)
    return result


def do_transform_polygon_stamped(polygon: PolygonStamped, transform: TransformStamped) -> PolygonStamped:
    """Polygon in the target frame."""
    result = PolygonStamped(header=transform.header)
    for corner in polygon.polygon.points:
        x, y, z = _apply(transform, corner)
        result.polygon.points.append(Point32(x=x, y=y, z=z))
    return result


def to_msg_msg(msg: Any) -> Any:
    """The message that stands for a message: itself."""
    return msg


def from_msg_msg(msg: Any) -> Any:
    """The message that a message stands for: itself."""
    return msg


def _register() -> None:
    for message, do_transform in (
        (PointStamped, do_transform_point),
        (Vector3Stamped, do_transform_vector3),
        (PoseStamped, do_transform_pose_stamped),
        (PoseWithCovarianceStamped, do_transform_pose_with_covariance_stamped),
        (PolygonStamped, do_transform_polygon_stamped),
    ):
        TransformRegistration().add(message, do_transform)
        ConvertRegistration().add_to_msg(message, to_msg_msg)
        ConvertRegistration().add_from_msg(message, from_msg_msg)


_register()
