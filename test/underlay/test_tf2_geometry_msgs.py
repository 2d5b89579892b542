# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""tf2_geometry_msgs: known values of each message type, and the way through Buffer.transform."""

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs")
tf2_ros = pytest.importorskip("tf2_ros")
tf2_geometry_msgs = pytest.importorskip("tf2_geometry_msgs")

from geometry_msgs.msg import (  # noqa: E402
    Point32,
    PointStamped,
    PolygonStamped,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3Stamped,
)
from rclpy.time import Time  # noqa: E402

HALF = math.sqrt(0.5)


@pytest.fixture
def T_map_base():
    """A quarter turn about z, then (1, 2, 3)."""
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = "map", "base"
    message.header.stamp = Time(seconds=5).to_msg()
    t, r = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = 1.0, 2.0, 3.0
    r.z = r.w = HALF
    return message


def xyz(v):
    return v.x, v.y, v.z


def test_point(T_map_base):
    point = PointStamped()
    point.header.frame_id = "base"
    point.point.x, point.point.y = 1.0, 10.0
    moved = tf2_geometry_msgs.do_transform_point(point, T_map_base)
    np.testing.assert_allclose(xyz(moved.point), (-9.0, 3.0, 3.0))
    assert moved.header == T_map_base.header
    assert point.header.frame_id == "base"


def test_vector_turns_but_does_not_move(T_map_base):
    vector = Vector3Stamped()
    vector.vector.x, vector.vector.z = 1.0, 5.0
    turned = tf2_geometry_msgs.do_transform_vector3(vector, T_map_base)
    np.testing.assert_allclose(xyz(turned.vector), (0.0, 1.0, 5.0), atol=1e-15)
    assert T_map_base.transform.translation.x == 1.0


def test_pose(T_map_base):
    pose = Pose()
    pose.position.x = 1.0
    pose.orientation.z, pose.orientation.w = HALF, -HALF  # a quarter turn backwards, written with w < 0
    moved = tf2_geometry_msgs.do_transform_pose(pose, T_map_base)
    np.testing.assert_allclose(xyz(moved.position), (1.0, 3.0, 3.0))
    orientation = (*xyz(moved.orientation), moved.orientation.w)
    np.testing.assert_allclose(orientation, (0.0, 0.0, 0.0, 1.0), atol=1e-15)


def test_covariance_swaps_axes_under_a_quarter_turn(T_map_base):
    # std of 1 m in x, 2 m in y, 0.1 rad about x, and a correlation of z with the rotation about x
    covariance = np.diag([1.0, 4.0, 9.0, 0.01, 0.04, 0.09])
    covariance[2, 3] = covariance[3, 2] = 0.2
    message = PoseWithCovarianceStamped()
    message.pose.covariance = covariance.reshape(36)
    moved = tf2_geometry_msgs.do_transform_pose_with_covariance_stamped(message, T_map_base)
    expected = np.diag([4.0, 1.0, 9.0, 0.04, 0.01, 0.09])
    expected[2, 4] = expected[4, 2] = 0.2
    np.testing.assert_allclose(np.reshape(moved.pose.covariance, (6, 6)), expected, atol=1e-14)
    np.testing.assert_allclose(xyz(moved.pose.pose.position), (1.0, 2.0, 3.0))


def test_polygon(T_map_base):
    polygon = PolygonStamped()
    polygon.polygon.points = [Point32(x=1.0), Point32(y=1.0)]
    moved = tf2_geometry_msgs.do_transform_polygon_stamped(polygon, T_map_base)
    np.testing.assert_allclose([xyz(p) for p in moved.polygon.points], [(1, 3, 3), (0, 2, 3)], atol=1e-6)


@pytest.mark.parametrize(
    "message_type", [PointStamped, Vector3Stamped, PoseStamped, PoseWithCovarianceStamped, PolygonStamped]
)
def test_buffer_transforms_all_types(T_map_base, message_type):
    buffer = tf2_ros.Buffer()
    buffer.set_transform(T_map_base, "test")
    message = message_type()
    message.header.frame_id = "base"
    message.header.stamp = Time(seconds=5).to_msg()
    moved = buffer.transform(message, "map", new_type=message_type)
    assert type(moved) is message_type
    assert moved.header.frame_id == "map"
    back = buffer.transform(moved, "base")
    assert back.header.frame_id == "base"
