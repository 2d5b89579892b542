# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""tf2_ros: waiting for transforms, and their way over the topics."""

import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs")
tf2_ros = pytest.importorskip("tf2_ros")

from geometry_msgs.msg import PointStamped, TransformStamped  # noqa: E402
from rclpy.action import ActionServer  # noqa: E402
from rclpy.clock import ClockType  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.time import Time  # noqa: E402
from tf2_msgs.action import LookupTransform  # noqa: E402
from tf2_msgs.msg import TF2Error  # noqa: E402
from tf2_msgs.srv import FrameGraph  # noqa: E402


def transform(parent, child, time_s=0.0, x=0.0):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp = Time(nanoseconds=round(time_s * 1e9)).to_msg()
    message.transform.translation.x = x
    message.transform.rotation.w = 1.0
    return message


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def make_node(context):
    nodes = []

    def make(name):
        nodes.append(rclpy.create_node(name, context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.fixture
def spin(context):
    """Function that spins nodes until a condition holds; fails after 10 s."""

    def spin(nodes, condition):
        executor = SingleThreadedExecutor(context=context)
        for node in nodes:
            executor.add_node(node)
        deadline_s = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline_s, "nothing came within 10 s"
            executor.spin_once(timeout_sec=0.05)
        for node in nodes:
            executor.remove_node(node)
        executor.shutdown()

    return spin


class TestWaiting:
    def test_lookup_wakes_when_another_thread_delivers(self):
        buffer = tf2_ros.Buffer()
        timer = threading.Timer(0.2, buffer.set_transform, (transform("map", "base", 1.0, 7.0), "test"))
        timer.start()
        start_s = time.monotonic()
        found = buffer.lookup_transform("map", "base", Time(seconds=1), timeout=Duration(seconds=10))
        assert found.transform.translation.x == 7.0
        assert 0.1 < time.monotonic() - start_s < 5.0

    def test_timeout_ends_in_the_reason(self):
        buffer = tf2_ros.Buffer()
        buffer.set_transform(transform("map", "base", 1.0), "test")
        start_s = time.monotonic()
        assert not buffer.can_transform("map", "base", Time(seconds=2), timeout=Duration(seconds=0.2))
        assert time.monotonic() - start_s >= 0.2
        with pytest.raises(tf2_ros.ExtrapolationException):
            buffer.lookup_transform("map", "base", Time(seconds=2), Duration(seconds=0.05))
        with pytest.raises(tf2_ros.LookupException):
            buffer.lookup_transform("map", "arm", Time())

    def test_debug_tuple(self):
        buffer = tf2_ros.Buffer()
        buffer.set_transform(transform("map", "base", 1.0), "test")
        assert buffer.can_transform("map", "base", Time(), return_debug_tuple=True) == (True, "")
        possible, reason = buffer.can_transform_full("map", Time(), "arm", Time(), "map", return_debug_tuple=True)
        assert not possible
        assert "arm" in reason

    def test_future(self):
        buffer = tf2_ros.Buffer()
        future = buffer.wait_for_transform_async("map", "base", Time(seconds=1))
        full = buffer.wait_for_transform_full_async("base", Time(seconds=2), "base", Time(seconds=1), "map")
        cancelled = buffer.wait_for_transform_async("map", "base", Time(seconds=1))
        cancelled.cancel()
        assert not future.done()
        buffer.set_transform(transform("map", "base", 1.0, 3.0), "test")
        assert future.result().transform.translation.x == 3.0
        assert not full.done()
        buffer.set_transform(transform("map", "base", 2.0, 4.0), "test")
        assert full.result().transform.translation.x == -1.0
        assert cancelled.cancelled()
        assert buffer.wait_for_transform_async("map", "base", Time(seconds=2)).done()

    def test_coroutines(self):
        buffer = tf2_ros.Buffer()
        waiting = buffer.lookup_transform_full_async("map", Time(), "base", Time(), "map")
        waiting.send(None)
        buffer.set_transform_static(transform("map", "base", 0.0, 3.0), "test")
        with pytest.raises(StopIteration) as finished:
            waiting.send(None)
        assert finished.value.value.transform.translation.x == 3.0
        with pytest.raises(StopIteration) as finished:
            buffer.lookup_transform_async("map", "base", Time()).send(None)
        assert finished.value.value.transform.translation.x == 3.0


class TestTransformOfObjects:
    def test_registered_type_is_transformed_and_converted(self):
        class Celsius:
            def __init__(self, value):
                self.value = value

        class Reading(Celsius):
            header = transform("base", "").header

        def shift(reading, found):
            return Reading(reading.value + found.transform.translation.x)

        buffer = tf2_ros.Buffer()
        buffer.set_transform_static(transform("map", "base", 0.0, 5.0), "test")
        with pytest.raises(tf2_ros.TypeException, match="Reading"):
            buffer.transform(Reading(1.0), "map")
        tf2_ros.TransformRegistration().add(Reading, shift)
        assert buffer.transform(Reading(1.0), "map").value == 6.0
        assert buffer.transform_full(Reading(1.0), "map", Time(), "map").value == 6.0
        with pytest.raises(tf2_ros.TypeException, match="Celsius|Reading"):
            buffer.transform(Reading(1.0), "map", new_type=Celsius)
        tf2_ros.ConvertRegistration().add_to_msg(Reading, lambda reading: reading.value)
        tf2_ros.ConvertRegistration().add_from_msg(Celsius, Celsius)
        converted = buffer.transform(Reading(1.0), "map", new_type=Celsius)
        assert type(converted) is Celsius
        assert converted.value == 6.0
        tf2_ros.ConvertRegistration().add_convert((Reading, Celsius), lambda reading: Celsius(-reading.value))
        assert tf2_ros.convert(Reading(2.0), Celsius).value == -2.0

    def test_stamped(self):
        point = tf2_ros.Stamped(PointStamped(), Time(seconds=3).to_msg(), "map")
        assert (point.header.stamp.sec, point.header.frame_id) == (3, "map")

    def test_interface_alone_cannot_look_up(self):
        with pytest.raises(tf2_ros.NotImplementedException):
            tf2_ros.BufferInterface().lookup_transform("map", "base", Time())


class TestTopics:
    def test_broadcast_reaches_the_buffer(self, make_node, spin):
        talker, hearer = make_node("talker"), make_node("hearer")
        buffer = tf2_ros.Buffer(node=hearer)
        listener = tf2_ros.TransformListener(buffer, hearer)
        broadcaster = tf2_ros.TransformBroadcaster(talker)
        spin([talker, hearer], lambda: broadcaster.pub_tf.get_subscription_count() > 0)
        broadcaster.sendTransform([transform("map", "base", 1.0, 2.0), transform("base", "arm", 1.0, 3.0)])
        spin([hearer], lambda: buffer.can_transform("map", "arm", Time(seconds=1)))
        assert buffer.lookup_transform("map", "arm", Time()).transform.translation.x == 5.0
        listener.unregister()
        spin([talker, hearer], lambda: broadcaster.pub_tf.get_subscription_count() == 0)

    def test_late_listener_gets_all_static_transforms_as_last_sent(self, make_node, spin):
        talker, hearer = make_node("talker"), make_node("hearer")
        broadcaster = tf2_ros.StaticTransformBroadcaster(talker)
        message = transform("base", "left", 0.0, 1.0)
        broadcaster.sendTransform(message)
        message.child_frame_id = "right"  # reuse of the message must not alter what was sent
        broadcaster.sendTransform(message)
        broadcaster.sendTransform((transform("base", "right", 0.0, 9.0),))
        buffer = tf2_ros.Buffer()
        listener = tf2_ros.TransformListener(buffer, hearer)
        spin([talker, hearer], lambda: buffer.can_transform("left", "right", Time(seconds=77)))
        assert buffer.lookup_transform("base", "left", Time()).transform.translation.x == 1.0
        assert buffer.lookup_transform("base", "right", Time()).transform.translation.x == 9.0
        assert len(broadcaster.net_message.transforms) == 2
        listener.unregister()

    def test_spin_thread_serves_a_blocking_lookup(self, make_node):
        node = make_node("blocking")
        buffer = tf2_ros.Buffer(node=node)
        listener = tf2_ros.TransformListener(buffer, node, spin_thread=True)
        tf2_ros.StaticTransformBroadcaster(node).sendTransform(transform("map", "base", 0.0, 4.0))
        found = buffer.lookup_transform("map", "base", Time(), Duration(seconds=10))
        assert found.transform.translation.x == 4.0
        listener.executor.shutdown()
        listener.dedicated_listener_thread.join(10.0)
        assert not listener.dedicated_listener_thread.is_alive()

    def test_backward_jump_of_time_clears_what_moves(self, make_node):
        node = make_node("jumper")
        buffer = tf2_ros.Buffer(node=node)
        clock = node.get_clock()
        clock._set_ros_time_is_active(True)
        for now_s in (100, 101):
            clock.set_ros_time_override(Time(seconds=now_s, clock_type=ClockType.ROS_TIME))
        buffer.set_transform(transform("map", "base", 100.0), "test")
        buffer.set_transform_static(transform("base", "camera"), "test")
        clock.set_ros_time_override(Time(seconds=100.5, clock_type=ClockType.ROS_TIME))
        assert buffer.can_transform("map", "base", Time())  # half a second is no jump
        clock.set_ros_time_override(Time(seconds=3, clock_type=ClockType.ROS_TIME))
        assert not buffer.can_transform("map", "base", Time())
        assert buffer.can_transform("base", "camera", Time())

    def test_frames_service(self, make_node, spin):
        node = make_node("server")
        buffer = tf2_ros.Buffer(node=node)
        buffer.set_transform(transform("map", "base", 1.0), "test")
        client = node.create_client(FrameGraph, "tf2_frames")
        spin([node], client.service_is_ready)
        answer = client.call_async(FrameGraph.Request())
        spin([node], answer.done)
        assert answer.result().frame_yaml == buffer.all_frames_as_yaml()
        assert "base" in answer.result().frame_yaml


class TestBufferClient:
    @pytest.fixture
    def client(self, context, make_node):
        node = make_node("remote")
        buffer = tf2_ros.Buffer()
        buffer.set_transform(transform("map", "base", 1.0, 6.0), "test")
        server = ActionServer(node, LookupTransform, "lookup", lambda goal: self.answer(buffer, goal))
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        stop = threading.Event()

        def turn():
            while not stop.is_set():
                executor.spin_once(timeout_sec=0.05)

        thread = threading.Thread(target=turn)
        thread.start()
        client = tf2_ros.BufferClient(node, "lookup", timeout_padding=Duration(seconds=5))
        assert client.action_client.wait_for_server(10.0)
        yield client
        stop.set()
        thread.join()
        client.destroy()
        server.destroy()
        executor.shutdown()

    @staticmethod
    def answer(buffer, goal):
        result, request = LookupTransform.Result(), goal.request
        try:
            if request.advanced:
                result.transform = buffer.lookup_transform_full(
                    request.target_frame,
                    request.target_time,
                    request.source_frame,
                    request.source_time,
                    request.fixed_frame,
                )
            else:
                result.transform = buffer.lookup_transform(
                    request.target_frame, request.source_frame, request.source_time
                )
        except tf2_ros.LookupException as error:
            result.error = TF2Error(error=TF2Error.LOOKUP_ERROR, error_string=str(error))
        except tf2_ros.ExtrapolationException as error:
            result.error = TF2Error(error=TF2Error.EXTRAPOLATION_ERROR, error_string=str(error))
        goal.succeed()
        return result

    def test_asks_the_server(self, client):
        assert client.lookup_transform("map", "base", Time(seconds=1)).transform.translation.x == 6.0
        full = client.lookup_transform_full("map", Time(seconds=1), "base", Time(seconds=1), "map")
        assert full.transform.translation.x == 6.0
        assert client.can_transform("map", "base", Time())
        assert not client.can_transform_full("map", Time(seconds=1), "base", Time(seconds=2), "map")
        with pytest.raises(tf2_ros.LookupException, match="arm"):
            client.lookup_transform("map", "arm", Time())
        with pytest.raises(tf2_ros.ExtrapolationException, match="2.000000"):
            client.lookup_transform("map", "base", Time(seconds=2))

    def test_without_server(self, make_node):
        client = tf2_ros.BufferClient(make_node("lonely"), "nobody")
        with pytest.raises(tf2_ros.TimeoutException, match="not ready"):
            client.lookup_transform("map", "base", Time())
        client.destroy()
