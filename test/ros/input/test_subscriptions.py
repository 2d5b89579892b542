# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From callbacks to bundles, without a network: the node is a stand-in that hands out its callbacks."""
import time

import numpy as np
import pytest
from helpers.unread import Unread
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from lsm_ros.config import Config, from_dict
from lsm_ros.ros.input.subscriptions import Inputs
from lsm_ros.ros.input.transforms import OdometryState
from lsm_ros.ros.problems import Problems

MS = 1_000_000
S = 1_000_000_000


class Node:
    """Every topic but the labels has a publisher."""

    def __init__(self):
        self.callbacks, self.qos = {}, {}

    def resolve_topic_name(self, name):
        return f"/{name}"

    def create_subscription(self, message, topic, callback, qos, callback_group):
        self.callbacks[topic] = callback
        self.qos.setdefault(topic, []).append(qos)

    def count_publishers(self, topic):
        return int(not topic.endswith("labels"))

    def get_publishers_info_by_topic(self, topic):
        return []

    def get_topic_names_and_types(self):
        return [("/camera/color", ["sensor_msgs/msg/Image"]), ("/mapping/depth", ["sensor_msgs/msg/Image"])]

    def get_fully_qualified_name(self):
        return "/mapping"


class Transforms:
    """Everything is where the rig is, and there is no odometry."""

    odometry = OdometryState.NONE

    def saw_image(self, *_):
        pass

    def rig(self, *_):
        return np.eye(4)


class Inlet:
    def __init__(self):
        self.node, self.problems, self.bundles, self.jumps = Node(), Problems(lambda _: None, lambda _: None), [], []
        self.inputs = Inputs(self.node, Unread(), Config(), ["camera"], Transforms(), self.problems, self.bundles.append,
                             lambda *_: None, self.jumps.append)
        self.inputs.open()
        self.node.callbacks["/camera/camera_info"](CameraInfo())

    def send(self, kind, stamp_ns):
        message = Image(height=1, width=1, encoding="mono8", step=1, data=b"\0")
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, S)
        self.node.callbacks[f"/camera/{kind}"](message)

    def wait(self, count):
        end = time.monotonic() + 5
        while len(self.bundles) < count and time.monotonic() < end:
            time.sleep(0.005)
        return [(b.group.stamp_ns, bool(b.group.depth)) for b in self.bundles]


@pytest.fixture
def inlet():
    inlet = Inlet()
    yield inlet
    inlet.inputs.close()


def test_a_camera_info_that_was_latched_before_the_node_came_is_asked_for(inlet):
    """One subscription takes what is sent from now on, whatever its QoS, the other what was said once."""
    asked = {(qos.durability, qos.reliability) for qos in inlet.node.qos["/camera/camera_info"]}
    assert asked == {(DurabilityPolicy.VOLATILE, ReliabilityPolicy.BEST_EFFORT),
                     (DurabilityPolicy.TRANSIENT_LOCAL, ReliabilityPolicy.RELIABLE)}


def test_images_wait_for_depth_that_is_published_also_after_a_jump_of_time(inlet):
    stamps = [100 * S, 100 * S + 33 * MS, 50 * S, 50 * S + 33 * MS, 50 * S + 66 * MS]
    for stamp_ns in stamps:
        inlet.send("image", stamp_ns)
        time.sleep(0.02)  # the depth comes a little later
        inlet.send("depth", stamp_ns)
    assert inlet.wait(5) == [(stamp_ns, True) for stamp_ns in stamps]
    assert inlet.jumps == ["stamps jumped back by 50.0 s"]


def test_depth_between_images_is_no_problem(inlet):
    for k in range(4):
        inlet.send("image", S + k * 66 * MS)
        inlet.send("depth", S + k * 66 * MS)
        inlet.send("depth", S + k * 66 * MS + 33 * MS)
    assert [depth for _, depth in inlet.wait(4)] == [True] * 4
    inlet.inputs.poll()
    assert inlet.problems.all() == ()
    inlet.send("depth", S)
    inlet.inputs.poll()
    assert inlet.problems.all() == ()
    inlet.send("image", S)
    assert "its stamp goes back" in inlet.problems.of("camera image")


def test_a_silent_camera_is_stale_until_it_is_back(inlet):
    inlet.inputs.configure(from_dict({"node.missing_input_seconds": 0.1}))
    inlet.send("image", S)
    time.sleep(0.15)
    inlet.inputs.poll()
    assert inlet.inputs.cameras["camera"].stale
    assert "no image of camera 'camera' for 0." in inlet.problems.of("camera silent image")
    inlet.send("depth", S)
    assert inlet.inputs.cameras["camera"].stale  # depth alone is no image
    inlet.send("image", S + 33 * MS)
    assert not inlet.inputs.cameras["camera"].stale and not inlet.problems.of("camera silent image")


@pytest.mark.parametrize("late_ms, is_far", [(25, True), (15, False)])
def test_depth_that_is_too_far_from_its_images_is_named_with_the_gap(inlet, late_ms, is_far):
    for i in range(6):
        inlet.send("image", S + i * 100 * MS)
        inlet.send("depth", S + i * 100 * MS + late_ms * MS)
    inlet.wait(5)
    inlet.inputs.poll()
    said = inlet.problems.of("camera far depth")
    assert ("25 ms" in said and "sync_slop_ms is 20" in said) == is_far and bool(said) == is_far


def test_a_camera_that_never_sends_is_named_with_the_reason(inlet):
    inlet.inputs.poll()
    assert not inlet.problems.all(), "it has some time"
    inlet.inputs.configure(from_dict({"node.missing_input_seconds": 0.1}))
    time.sleep(0.15)
    inlet.inputs.poll()
    assert inlet.problems.of("camera no image") == ("no image of camera 'camera' came yet on '/camera/image': nobody publishes "
                                                    "it; images are on /camera/color")
    inlet.send("image", S)
    inlet.inputs.poll()
    assert not inlet.problems.of("camera no image")


@pytest.mark.parametrize("transport, topic", [("raw", "/camera/image"), ("compressed", "/camera/image/compressed")])
def test_images_are_asked_for_on_one_topic(transport, topic):
    node = Node()
    inputs = Inputs(node, Unread(), from_dict({"node.image_transport": transport}), ["camera"], Transforms(),
                    Problems(lambda _: None, lambda _: None), lambda _: None, lambda *_: None, lambda _: None)
    assert [t for t in node.callbacks if "/image" in t] == [topic] == inputs.image_topics and len(node.qos[topic]) == 1
