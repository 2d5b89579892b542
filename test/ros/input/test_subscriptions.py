# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From callbacks to bundles, without a network: the node is a stand-in that hands out its callbacks."""
import time

import numpy as np
import pytest
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
        self.callbacks = {}

    def resolve_topic_name(self, name):
        return f"/{name}"

    def create_subscription(self, message, topic, callback, qos, callback_group):
        self.callbacks[topic] = callback

    def count_publishers(self, topic):
        return int(not topic.endswith("labels"))


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
        self.inputs = Inputs(self.node, Config(), ["camera"], Transforms(), self.problems, self.bundles.append,
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
