# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an IMU on their way to the worker: the node and TF are stand-ins."""
import numpy as np
import pytest
from helpers.unread import Unread
from sensor_msgs.msg import Imu

from lsm_ros.config import from_dict
from lsm_ros.geometry import T_BODY_OPTICAL, make_se3
from lsm_ros.ros.input.inertial import MOST_WAITING, InertialInput
from lsm_ros.ros.input.transforms import TransformInput
from lsm_ros.ros.problems import Problems
from lsm_ros.types import Frame, FrameSet

MS = 1_000_000
T_RIG_IMU = make_se3(np.eye(3), [0.1, 0.2, 0.3])


class Node:
    def __init__(self):
        self.callbacks = {}

    def resolve_topic_name(self, name):
        return f"/robot/{name}"

    def create_subscription(self, message, topic, callback, qos, callback_group):
        self.callbacks[topic] = callback


class Transforms:
    """mount: T_rig_imu, None as long as TF does not have it."""

    mount: np.ndarray | None = T_RIG_IMU
    seconds_since_start = 0.0
    asked: tuple[str, str] | None = None

    def sensor(self, frame_id, what):
        self.asked = (frame_id, what)
        return self.mount


class Inlet:
    def __init__(self, topic="imu"):
        self.node, self.transforms, self.problems = Node(), Transforms(), Problems(lambda _: None, lambda _: None)
        self.config = from_dict({"node.imu": topic, "node.missing_input_seconds": 0.1}).node
        self.input = InertialInput(self.node, self.config, self.transforms, self.problems, Unread())

    def send(self, *stamps_ns):
        for stamp_ns in stamps_ns:
            message = Imu()
            message.header.frame_id = "imu_link"
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1000 * MS)
            message.angular_velocity.x, message.linear_acceleration.z = 0.5, 9.81
            self.node.callbacks["/robot/imu"](message)

    def take(self, stamp_ns):
        frame = Frame(stamp_ns, "camera", np.zeros((4, 4, 3), np.uint8))
        found = self.input.attach(FrameSet(stamp_ns, (frame,)))
        return None if found.T_rig_imu is None else [s.stamp_ns for s in found.imu]


def test_each_frame_set_has_the_readings_since_the_last_one():
    inlet = Inlet()
    inlet.send(10 * MS, 20 * MS, 30 * MS, 40 * MS)
    assert inlet.take(30 * MS) == [10 * MS, 20 * MS, 30 * MS]
    assert inlet.take(35 * MS) == []
    inlet.send(50 * MS)
    assert inlet.take(60 * MS) == [40 * MS, 50 * MS]
    assert inlet.transforms.asked == ("imu_link", "the IMU on '/robot/imu'")


def test_values_are_those_of_the_message():
    inlet = Inlet()
    inlet.send(10 * MS)
    frame = Frame(0, "camera", np.zeros((4, 4, 3), np.uint8))
    (sample,) = inlet.input.attach(FrameSet(20 * MS, (frame,))).imu
    np.testing.assert_array_equal(sample.angular_velocity, [0.5, 0, 0])
    np.testing.assert_array_equal(sample.specific_force, [0, 0, 9.81])


def test_it_waits_for_its_place_on_the_rig():
    inlet = Inlet()
    inlet.transforms.mount = None
    inlet.send(10 * MS)
    assert inlet.take(20 * MS) is None
    inlet.transforms.mount = T_RIG_IMU
    assert inlet.take(30 * MS) == [10 * MS]


def test_without_the_parameter_there_is_no_subscription():
    inlet = Inlet("")
    assert inlet.node.callbacks == {} and inlet.take(10 * MS) is None
    inlet.transforms.seconds_since_start = 99.0
    inlet.input.poll()
    assert inlet.problems.all() == ()


def test_a_slash_before_its_frame_is_none():
    inlet = Inlet()
    message = Imu()
    message.header.frame_id = "/imu_link"
    inlet.node.callbacks["/robot/imu"](message)
    inlet.take(10 * MS)
    assert inlet.transforms.asked == ("imu_link", "the IMU on '/robot/imu'")


def test_so_many_readings_wait_and_then_the_oldest_go():
    inlet = Inlet()
    inlet.send(*range(MOST_WAITING + 3))
    taken = inlet.take(10 * MS)
    assert len(taken) == MOST_WAITING and taken[0] == 3


def test_after_a_restart_silence_counts_from_there():
    inlet = Inlet()
    inlet.send(10 * MS)
    inlet.input._arrived -= 60.0
    inlet.transforms.seconds_since_start = 0.05  # active anew: below the 0.1 s that are allowed
    inlet.input.poll()
    assert inlet.problems.all() == ()
    inlet.transforms.seconds_since_start = 7.0
    inlet.input.poll()
    assert "for 7.0 s" in inlet.problems.all()[0]


def test_silence_is_said_and_is_over():
    inlet = Inlet()
    inlet.input.poll()
    assert inlet.problems.all() == ()
    inlet.transforms.seconds_since_start = 5.0
    inlet.input.poll()
    assert "no readings of the IMU for 5.0 s on '/robot/imu'" in inlet.problems.all()
    inlet.send(10 * MS)
    inlet.input.poll()
    assert inlet.problems.all() == ()


def test_what_waits_is_forgotten_when_time_jumps():
    inlet = Inlet()
    inlet.send(10 * MS)
    inlet.input.clear()
    assert inlet.take(20 * MS) == []


class TestPlace:
    """T_rig_sensor by a TransformInput whose TF is a stand-in."""

    def transforms(self, base, lookup):
        out = object.__new__(TransformInput)
        out.config = from_dict({"node.base_frame": base, "node.missing_input_seconds": 0.1}).node
        out._problems = Problems(lambda _: None, lambda _: None)
        out._rig, out._first_optical, out._cameras, out._missing = {}, "cam_optical", ["camera"], {}
        import threading

        out._lock, out.asked = threading.Lock(), []
        out._lookup = lambda target, source, when, key, effect: out.asked.append((target, source, effect)) or lookup
        return out

    def test_on_the_base(self):
        tf = self.transforms("base_link", T_RIG_IMU)
        np.testing.assert_array_equal(tf.sensor("imu_link", "the IMU"), T_RIG_IMU)
        tf.sensor("imu_link", "the IMU")
        assert tf.asked == [("base_link", "imu_link", "the IMU is not used")]  # asked once

    def test_on_the_body_of_the_first_camera(self):
        np.testing.assert_allclose(self.transforms("", T_RIG_IMU).sensor("imu_link", "the IMU"), T_BODY_OPTICAL @ T_RIG_IMU)

    def test_unknown_yet(self):
        assert self.transforms("base_link", None).sensor("imu_link", "the IMU") is None

    def test_without_a_frame(self):
        tf = self.transforms("base_link", T_RIG_IMU)
        tf.sensor("", "the IMU")
        tf._missing = {"tf sensor": -1e9}
        assert tf.sensor("", "the IMU") is None and "the IMU have no frame_id" in tf._problems.all()[0]


@pytest.mark.parametrize("name", ["imu"])
def test_the_parameter_is_read_once(name):
    from lsm_ros.ros.parameters import FIXED

    assert name in FIXED
