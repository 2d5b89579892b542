# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/depth and ~/segmentation: images and an organised cloud with one stamp."""
import numpy as np
from helpers.harness import START_NS
from helpers.robot import Robot
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.ros.conversions import stamp_ns
from lsm_ros.ros.output.frame_images import NO_LABEL, camera_message, image_message, organised_cloud
from lsm_ros.types import FrameCloud

TOPICS = {"depth/image": Image, "depth/camera_info": CameraInfo, "segmentation/mask": Image, "segmentation/confidence": Image,
          "segmentation/cloud": PointCloud2}


def test_each_pixel_has_its_point():
    depth = np.array([[1, 0, 2], [4, 1, 1]], np.float32)
    camera = CameraIntrinsics(3, 2, 10.0, 20.0, 1.0, 0.5)
    cloud = FrameCloud("a", "optical", 5, depth, np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.float32), camera)
    message = organised_cloud(cloud, Header(frame_id="optical"))
    points = np.frombuffer(bytes(message.data), np.float32).reshape(2, 3, 3)
    assert (message.height, message.width, message.row_step, message.is_dense) == (2, 3, 36, False)
    assert np.isnan(points[0, 1]).all() and np.allclose(points[1, 0], [4 * -0.1, 4 * 0.025, 4])
    info = camera_message(cloud, Header())
    assert list(info.k) == [10, 0, 1, 0, 20, 0.5, 0, 0, 1] and list(info.p) == [10, 0, 1, 0, 0, 20, 0.5, 0, 0, 0, 1, 0]
    image = image_message(depth, "32FC1", Header())
    assert (image.step, image.encoding) == (12, "32FC1")
    assert np.array_equal(np.frombuffer(bytes(image.data), np.float32), depth.ravel())


def test_all_images_of_a_frame_have_its_stamp_and_its_pixels(client, room, start_shared):
    node = start_shared(base_frame="base_link")
    client.wait_active(node)
    robot = Robot(client, room, START_NS)
    for topic, kind in TOPICS.items():
        client.listen(kind, f"/mapping/{topic}")
    robot.drive(2, labels=True)
    seen = robot.frame_set.frames[0]
    sent = set(robot.drive(3, labels=True))
    found = {t: client.wait_message(f"/mapping/{t}", lambda m: stamp_ns(m.header.stamp) == max(sent)) for t in TOPICS}
    height, width = seen.image.shape[:2]
    assert all((m.height, m.width) == (height, width) and m.header.frame_id == found["depth/image"].header.frame_id
               for m in found.values())
    mask = np.frombuffer(bytes(found["segmentation/mask"].data), np.uint8).reshape(height, width)
    confidence = np.frombuffer(bytes(found["segmentation/confidence"].data), np.uint8).reshape(height, width)
    known = mask != NO_LABEL
    assert set(np.unique(mask[known])) <= set(seen.label_space.names) and known.mean() > 0.5
    assert (confidence == np.where(known, 255, 0)).all()
    depth = np.frombuffer(bytes(found["depth/image"].data), np.float32).reshape(height, width)
    points = np.frombuffer(bytes(found["segmentation/cloud"].data), np.float32).reshape(height, width, 3)
    assert np.array_equal(np.isnan(points[..., 2]), depth == 0) and np.array_equal(points[depth > 0, 2], depth[depth > 0])
