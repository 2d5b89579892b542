# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import threading
import time

import pytest
import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int32

from lsm_ros.ros.input.reader import Reader

TOPIC = "/reader/numbers"


@pytest.fixture
def node(ros):
    node = rclpy.create_node("reads", context=ros)
    yield node
    node.destroy_node()


@pytest.fixture
def reader(ros, node):
    reader = Reader(ros, "under test")
    yield reader
    reader.close()


@pytest.fixture
def executor(ros, node):
    executor = SingleThreadedExecutor(context=ros)
    executor.add_node(node)
    yield executor
    executor.shutdown()


def wait(condition, executor=None):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        if executor is None:
            time.sleep(0.01)
        else:
            executor.spin_once(timeout_sec=0.02)


def test_messages_come_in_order_in_a_thread_of_its_own_and_wake_no_executor(node, reader, executor):
    got = []
    subscription = node.create_subscription(Int32, TOPIC, lambda m: got.append((m.data, threading.current_thread().name)), 500)
    publisher = node.create_publisher(Int32, TOPIC, 500)
    reader.read(subscription)
    wait(publisher.get_subscription_count)
    publisher.publish(Int32(data=-1))
    wait(lambda: got)
    looked, is_ready = [], executor.can_execute
    executor.can_execute = lambda entity: looked.append(entity) or is_ready(entity)
    executor.spin_once(timeout_sec=0.05)
    at_rest = len(looked)
    looked.clear()
    for i in range(100):
        publisher.publish(Int32(data=i))
        executor.spin_once(timeout_sec=0.005)
    wait(lambda: len(got) == 101)
    assert [i for i, _ in got] == [-1, *range(100)] and {name for _, name in got} == {"under test"}
    # once for each spin: who waits for a subscription's events is woken by its messages and looks again
    assert len(looked) <= 100 * at_rest * 1.2


def test_what_comes_later_is_read_too_and_what_was_destroyed_no_longer(node, reader):
    first, second = [], []
    gone = node.create_subscription(Int32, TOPIC, lambda m: first.append(m.data), 10)
    reader.read(gone)
    publisher = node.create_publisher(Int32, TOPIC, 10)
    wait(publisher.get_subscription_count)
    publisher.publish(Int32(data=1))
    wait(lambda: first == [1])
    reader.read(node.create_subscription(Int32, TOPIC, lambda m: second.append(m.data), 10))
    wait(lambda: publisher.get_subscription_count() == 2)
    publisher.publish(Int32(data=2))
    wait(lambda: first == [1, 2] and second == [2])
    node.destroy_subscription(gone)
    wait(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(Int32(data=3))
    wait(lambda: second == [2, 3])
    assert first == [1, 2]
    reader.check()


def test_a_publisher_that_does_not_fit_is_heard_of(node, reader):
    told = []
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    reader.read(node.create_subscription(Int32, TOPIC, lambda m: None, reliable, callback_group=reader.group,
                                         event_callbacks=SubscriptionEventCallbacks(incompatible_qos=told.append)))
    node.create_publisher(Int32, TOPIC, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    wait(lambda: told)
    assert told[0].total_count == 1


def test_an_error_of_a_callback_is_raised_once_where_it_is_asked_for(node, reader):
    def fail(message):
        raise ValueError("seven")

    reader.read(node.create_subscription(Int32, TOPIC, fail, 1))
    publisher = node.create_publisher(Int32, TOPIC, 1)
    wait(publisher.get_subscription_count)
    reader.check()
    publisher.publish(Int32(data=1))

    def has_failed():
        try:
            reader.check()
        except ValueError as error:
            return str(error) == "seven"
        return False

    wait(has_failed)
    reader.check()


def test_it_ends(ros, node):
    reader = Reader(ros, "that ends")
    reader.read(node.create_subscription(Int32, TOPIC, lambda m: None, 1))
    reader.close()
    assert "that ends" not in {t.name for t in threading.enumerate()}
