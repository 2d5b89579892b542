# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""message_filters: what comes out of the cache and of the synchronizers."""

import itertools
import time
from types import SimpleNamespace

import pytest

rclpy = pytest.importorskip("rclpy")
message_filters = pytest.importorskip("message_filters")

from builtin_interfaces.msg import Time as TimeMessage  # noqa: E402
from message_filters import (  # noqa: E402
    ApproximateTimeSynchronizer,
    Cache,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.clock import ClockType  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.time import Time  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402


def message(time_s, name=""):
    """Something with a header; a String has none."""
    nanoseconds = round(time_s * 1e9)
    stamp = TimeMessage(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), name=name)


def at(time_s):
    # Times of messages count as ROS time; rclpy refuses to compare them with another clock's.
    return Time(nanoseconds=round(time_s * 1e9), clock_type=ClockType.ROS_TIME)


def collect(source):
    """List that grows by the tuple of messages of each output."""
    out = []
    source.registerCallback(lambda *msgs: out.append(tuple(m.name for m in msgs)))
    return out


class TestSimpleFilter:
    def test_callbacks_get_messages_then_their_own_arguments(self):
        source, calls = SimpleFilter(), []
        first = source.registerCallback(lambda *args: calls.append(args), "a", 1)
        second = source.registerCallback(lambda *args: calls.append(args))
        source.signalMessage("m", "n")
        assert calls == [("m", "n", "a", 1), ("m", "n")]
        assert (first, second) == (0, 1)


class TestCache:
    @pytest.fixture
    def filled(self):
        source = SimpleFilter()
        cache = Cache(source, cache_size=4)
        for time_s in range(6):
            source.signalMessage(message(time_s, f"m{time_s}"))
        return cache

    def test_keeps_the_last_ones(self, filled):
        assert filled.getOldestTime() == at(2)
        assert filled.getLatestTime() == filled.getLastestTime() == at(5)
        assert filled.getLast().name == "m5"

    def test_interval_includes_its_ends(self, filled):
        assert [m.name for m in filled.getInterval(at(3), at(4))] == ["m3", "m4"]
        assert [m.name for m in filled.getInterval(at(3.1), at(3.9))] == []
        with pytest.raises(AssertionError):
            filled.getInterval(at(4), at(3))

    def test_neighbours_of_a_time(self, filled):
        assert filled.getElemBeforeTime(at(3.5)).name == "m3"
        assert filled.getElemAfterTime(at(3.5)).name == "m4"
        assert filled.getElemBeforeTime(at(3)).name == filled.getElemAfterTime(at(3)).name == "m3"
        assert filled.getElemBeforeTime(at(1)) is None
        assert filled.getElemAfterTime(at(6)) is None

    def test_empty(self):
        cache = Cache(SimpleFilter())
        assert cache.getLast() is None
        assert cache.getOldestTime() is None
        assert cache.getLatestTime() is None

    def test_passes_messages_on(self):
        source = SimpleFilter()
        out = collect(Cache(source, 1))
        source.signalMessage(message(1, "m"))
        assert out == [("m",)]

    def test_headerless_messages_need_leave(self):
        source = SimpleFilter()
        strict, lenient = Cache(source, 5), Cache(source, 5, allow_headerless=True)
        source.signalMessage(String(data="no header"))
        assert strict.getLast() is None
        assert lenient.getLast().data == "no header"
        assert abs(lenient.getLatestTime().nanoseconds * 1e-9 - time.time()) < 60.0


class TestTimeSynchronizer:
    def test_matches_equal_stamps_in_any_order_of_arrival(self):
        a, b, c = SimpleFilter(), SimpleFilter(), SimpleFilter()
        out = collect(TimeSynchronizer([a, b, c], 10))
        for time_s in (2, 1, 3):
            a.signalMessage(message(time_s, f"a{time_s}"))
        for time_s in (1, 2):
            c.signalMessage(message(time_s, f"c{time_s}"))
        assert out == []
        b.signalMessage(message(2, "b2"))
        b.signalMessage(message(1, "b1"))
        b.signalMessage(message(1.000000001, "late"))
        assert out == [("a2", "b2", "c2"), ("a1", "b1", "c1")]

    def test_full_queue_drops_the_oldest(self):
        a, b = SimpleFilter(), SimpleFilter()
        out = collect(TimeSynchronizer([a, b], 2))
        for time_s in (1, 2, 3):
            a.signalMessage(message(time_s, f"a{time_s}"))
        for time_s in (1, 2, 3):
            b.signalMessage(message(time_s, f"b{time_s}"))
        assert out == [("a2", "b2"), ("a3", "b3")]

    def test_callback_may_feed_an_input(self):
        a, b = SimpleFilter(), SimpleFilter()
        sync = TimeSynchronizer([a, b], 5)
        b.signalMessage(message(2, "b2"))
        sync.registerCallback(lambda *msgs: a.signalMessage(message(2, "a2")) if msgs[0].name == "a1" else None)
        out = collect(sync)
        a.signalMessage(message(1, "a1"))
        b.signalMessage(message(1, "b1"))
        assert sorted(out) == [("a1", "b1"), ("a2", "b2")]


class TestApproximateTimeSynchronizer:
    def test_slop_is_a_strict_limit_in_seconds(self):
        for gap_s, matched in ((0.099, True), (0.1, False), (0.3, False)):
            a, b = SimpleFilter(), SimpleFilter()
            out = collect(ApproximateTimeSynchronizer([a, b], 5, 0.1))
            a.signalMessage(message(1.0, "a"))
            b.signalMessage(message(1.0 + gap_s, "b"))
            assert bool(out) is matched, gap_s

    def test_takes_the_closest_partner_and_uses_it_once(self):
        a, b = SimpleFilter(), SimpleFilter()
        out = collect(ApproximateTimeSynchronizer([a, b], 5, 0.5))
        for time_s in (1.0, 1.2, 1.4):
            a.signalMessage(message(time_s, f"a{time_s}"))
        b.signalMessage(message(1.25, "b"))
        b.signalMessage(message(1.26, "b2"))
        assert out == [("a1.2", "b"), ("a1.4", "b2")]

    def test_all_pairs_must_lie_within_the_slop(self):
        a, b, c = SimpleFilter(), SimpleFilter(), SimpleFilter()
        out = collect(ApproximateTimeSynchronizer([a, b, c], 5, 0.1))
        a.signalMessage(message(1.00, "a"))
        c.signalMessage(message(1.14, "c"))
        b.signalMessage(message(1.07, "b"))  # within the slop of both, but they are 0.14 s apart
        assert out == []
        c.signalMessage(message(1.08, "c2"))
        assert out == [("a", "b", "c2")]

    def test_full_queue_drops_the_oldest(self):
        a, b = SimpleFilter(), SimpleFilter()
        out = collect(ApproximateTimeSynchronizer([a, b], 1, 0.1))
        a.signalMessage(message(1.0, "a1"))
        a.signalMessage(message(2.0, "a2"))
        b.signalMessage(message(1.0, "b1"))
        b.signalMessage(message(2.0, "b2"))
        assert out == [("a2", "b2")]

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_output_is_in_the_order_of_the_inputs(self, order):
        inputs = [SimpleFilter() for _ in range(3)]
        out = collect(ApproximateTimeSynchronizer(inputs, 5, 0.1))
        for i in order:
            inputs[i].signalMessage(message(1.0 + 0.01 * i, f"m{i}"))
        assert out == [("m0", "m1", "m2")]

    def test_headerless_messages_need_leave(self):
        for allowed in (False, True):
            a, b = SimpleFilter(), SimpleFilter()
            sync, calls = ApproximateTimeSynchronizer([a, b], 5, 30.0, allow_headerless=allowed), []
            sync.registerCallback(lambda *msgs, calls=calls: calls.append(msgs))
            a.signalMessage(message(time.time()))
            b.signalMessage(String(data="no header"))
            assert len(calls) == int(allowed)


class TestSubscriber:
    def test_topic_to_callback(self):
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node("filters", context=context)
        subscribers = [Subscriber(node, Header, "left"), Subscriber(node, Header, "right", qos_profile=3)]
        publishers = [node.create_publisher(Header, topic, 10) for topic in ("left", "right")]
        received = []
        for subscriber in subscribers:
            subscriber.registerCallback(
                lambda msg, topic: received.append((topic, msg.frame_id)), subscriber.getTopic()
            )
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        deadline_s = time.monotonic() + 10.0
        while any(p.get_subscription_count() == 0 for p in publishers) and time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.05)
        for publisher in publishers:
            publisher.publish(Header(frame_id="camera"))
        while len(received) < 2 and time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.05)
        assert sorted(received) == [("left", "camera"), ("right", "camera")]
        assert [s.qos_profile.depth for s in subscribers] == [10, 3]  # attributes of the subscription
        assert [s.getTopic() for s in subscribers] == ["left", "right"]
        assert not hasattr(subscribers[0], "no_such_attribute")
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
