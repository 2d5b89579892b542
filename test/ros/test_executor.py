# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import threading
import time

import pytest
import rclpy
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType

from lsm_ros.ros.executor import MappingExecutor


@pytest.fixture
def spun(ros):
    """A node, the group whose callbacks may wait, and the executor that runs it."""
    node = rclpy.create_node("executor_under_test", context=ros)
    group = ReentrantCallbackGroup()
    executor = MappingExecutor({group}, threads=2, context=ros)
    executor.add_node(node)
    yield node, group, executor
    executor.shutdown()
    node.destroy_node()


def once(node, callback, group=None):
    """A timer that fires one time."""
    def fire():
        timer.cancel()
        callback()

    timer = node.create_timer(0.01, fire, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))


def spin_until(executor, condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        executor.spin_once(timeout_sec=0.05)


def test_who_waits_does_not_hold_up_the_others(spun):
    node, group, executor = spun
    released, events = threading.Event(), []

    def wait():
        events.append(("begins", threading.get_ident()))
        assert released.wait(5)
        events.append(("ends", threading.get_ident()))

    once(node, wait, group)
    spin_until(executor, lambda: events)
    once(node, lambda: events.append(("other", threading.get_ident())))
    once(node, lambda: events.append(("same group", threading.get_ident())), group)
    spin_until(executor, lambda: len(events) == 3)
    released.set()
    spin_until(executor, lambda: len(events) == 4)
    names, threads = zip(*events, strict=True)
    assert set(names[1:3]) == {"other", "same group"} and names[3] == "ends"
    by_name = dict(events)
    assert by_name["other"] == threading.get_ident()
    assert by_name["begins"] == by_name["ends"] != by_name["other"] and by_name["same group"] != by_name["other"]


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_comes_out_of_spin_once(spun, waits):
    node, group, executor = spun

    def fail():
        raise ValueError("seven")

    once(node, fail, group if waits else None)
    with pytest.raises(ValueError, match="seven"):
        spin_until(executor, lambda: False, 2.0)
    executor.spin_once(timeout_sec=0.01)  # and once only


def test_a_timeout_and_the_end(spun):
    _, _, executor = spun
    start = time.monotonic()
    executor.spin_once(timeout_sec=0.1)
    executor.spin_once(timeout_sec=0.1)
    assert 0.1 < time.monotonic() - start < 2.0
    executor.shutdown()
    executor.spin_once(timeout_sec=0.1)
