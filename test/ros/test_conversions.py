# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import array
import time

import numpy as np
import pytest
from geometry_msgs.msg import Pose, Transform
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import LabelInfo, VisionClass

from lsm_ros.geometry import CameraIntrinsics, se3_exp
from lsm_ros.images.codecs import encode_png
from lsm_ros.ros import conversions as c
from lsm_ros.types import UNLABELLED, FrameCloud, LabelSpace, OccupancyMap, TrajectoryPose

LAYOUT = np.dtype({"names": ["x", "y", "z", "rgb", "label", "confidence"],
                   "formats": ["f4", "f4", "f4", "u4", "u2", "f4"], "offsets": [0, 4, 8, 12, 16, 20], "itemsize": 24})


def frame_cloud(height, width, labels=True, holes=True):
    rng = np.random.default_rng(1)
    depth = rng.uniform(0.5, 4, (height, width)).astype(np.float32)
    if holes:
        depth[rng.random(depth.shape) < 0.2] = 0
    return FrameCloud("a", "optical", 5_000_000_007, depth, rng.integers(0, 255, (height, width, 3), dtype=np.uint8),
                      np.where(depth > 0, 0.5, 0).astype(np.float32),
                      CameraIntrinsics(width, height, 500.0, 510.0, 300.0, 250.0),
                      rng.integers(0, 9, (height, width)).astype(np.uint16) if labels else None)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("labels", [True, False])
def test_frame_cloud(stride, labels):
    cloud = frame_cloud(48, 64, labels)
    cloud.confidence[:10] = 0.05
    message = c.frame_cloud_message(cloud, stride, 0.1)
    assert isinstance(message.data, array.array) and message.data.typecode == "B"
    assert (message.point_step, message.height, message.row_step) == (24, 1, 24 * message.width)
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("rgb", 12, 7, 1), ("label", 16, 4, 1),
        ("confidence", 20, 7, 1)]
    assert c.stamp_ns(message.header.stamp) == cloud.stamp_ns and message.header.frame_id == "optical"
    points = np.frombuffer(bytes(message.data), LAYOUT)
    v, u = (x * stride for x in np.nonzero(((cloud.depth > 0) & (cloud.confidence >= 0.1))[::stride, ::stride]))
    assert len(points) == len(u) == message.width
    z = cloud.depth[v, u]
    np.testing.assert_allclose(points["x"], (u - 300) / 500 * z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(points["y"], (v - 250) / 510 * z, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(points["z"], z)
    r, g, b = cloud.image[v, u].astype(np.uint32).T
    np.testing.assert_array_equal(points["rgb"], r << 16 | g << 8 | b)
    np.testing.assert_array_equal(points["label"], cloud.labels[v, u] if labels else UNLABELLED)
    assert (points["confidence"] == 0.5).all()


def test_a_vga_cloud_takes_at_most_10_ms():
    cloud = frame_cloud(480, 640)
    times = []
    for _ in range(30):  # the processor's time: others may be at work on the machine
        start = time.thread_time()
        c.frame_cloud_message(cloud, 1, 0.1)
        times.append(time.thread_time() - start)
    assert min(times) < 0.010


def test_empty_clouds():
    cloud = frame_cloud(8, 8)
    cloud.depth[:] = 0
    assert c.frame_cloud_message(cloud).width == 0
    none = np.zeros((0, 3), np.float32)
    empty = c.to_cloud(none, none.astype(np.uint8), None, np.zeros(0, np.float32), 0, "map")
    assert empty.width == 0 and len(empty.data) == 0


def test_poses_and_transforms_round_trip():
    T = se3_exp([1.0, -2.0, 3.0, 0.3, -2.0, 0.5])
    np.testing.assert_allclose(c.from_pose(c.to_pose(T)), T, atol=1e-12)
    message = c.to_transform(T, 1_500_000_000, "map", "odom")
    np.testing.assert_allclose(c.from_transform(message.transform), T, atol=1e-12)
    assert (message.header.frame_id, message.child_frame_id) == ("map", "odom")
    path = c.to_path([TrajectoryPose(7, T)], 9, "map")
    assert c.stamp_ns(path.poses[0].header.stamp) == 7 and path.poses[0].header.frame_id == "map"


@pytest.mark.parametrize("broken", ["zero", "nan"])
def test_what_is_no_pose(broken):
    pose, transform = Pose(), Transform()
    pose.orientation.w = transform.rotation.w = 0.0 if broken == "zero" else float("nan")
    for convert, message in ((c.from_pose, pose), (c.from_transform, transform)):
        with pytest.raises(ValueError, match="no pose"):
            convert(message)


def test_stamps():
    for ns in (0, 1, 999_999_999, 1_700_000_000_123_456_789, -1_500_000_000):
        assert c.stamp_ns(c.to_stamp(ns)) == ns
    with pytest.raises(ValueError, match="does not fit"):
        c.to_stamp(2**63)


def test_covariances_are_in_ros_order():
    covariance = np.diag([1.0, 2, 3, 4, 5, 6])
    message = c.to_pose_with_covariance(np.eye(4), covariance, 0, "map")
    np.testing.assert_array_equal(message.pose.covariance.reshape(6, 6), covariance)
    assert c.to_pose_with_covariance(np.eye(4), None, 0, "map").pose.covariance[0] == -1
    twist = c.to_odometry(np.eye(4), covariance, np.arange(6.0), covariance, 0, "odom", "base").twist
    assert (twist.twist.linear.x, twist.twist.linear.z, twist.twist.angular.x) == (0, 2, 3)


def test_labels():
    space = LabelSpace({0: "wall", 7: "chair"}, 0.25)
    message = c.to_label_info(space, 3, "map")
    assert c.label_space(message) == space
    twice = LabelInfo(class_map=[VisionClass(class_id=1, class_name="a"), VisionClass(class_id=1, class_name="b")])
    with pytest.raises(ValueError, match="label id 1 has two names"):
        c.label_space(twice)
    with pytest.raises(ValueError, match="65535"):
        c.label_space(LabelInfo(class_map=[VisionClass(class_id=65535, class_name="none")]))


def test_images_raw_and_compressed():
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    padded = np.zeros((6, 30), np.uint8)
    padded[:, :24] = image[..., ::-1].reshape(6, 24)
    message = Image(height=6, width=8, step=30, encoding="bgr8", data=padded.tobytes())
    np.testing.assert_array_equal(c.color_image(message), image)
    np.testing.assert_array_equal(c.color_image(CompressedImage(format="png", data=encode_png(image))), image)
    depth = Image(height=1, width=2, step=4, encoding="16UC1", is_bigendian=1, data=bytes([0x03, 0xE8, 0, 0]))
    np.testing.assert_array_equal(c.depth_image(depth), np.array([[1.0, 0.0]], np.float32))
    labels = Image(height=1, width=2, step=2, encoding="8UC1", data=bytes([3, 255]))
    assert c.label_image(labels).tolist() == [[3, UNLABELLED]]


def test_occupancy_grid():
    grid = np.array([[-1, 0, 100], [0, 0, 100]], np.int8)
    message = c.to_occupancy_grid(OccupancyMap(grid, -1.0, 2.0, 0.1), 5, "map")
    assert (message.info.width, message.info.height) == (3, 2)
    assert list(message.data) == [-1, 0, 100, 0, 0, 100]
    origin = message.info.origin
    assert (origin.position.x, origin.position.y, origin.orientation.w) == (-1, 2, 1)
