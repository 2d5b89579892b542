# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import threading
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("tf2_msgs")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from lsm_ros.datasets.record import record  # noqa: E402
from lsm_ros.ros.replay import BagClock, ReplayOptions, ReplaySummary, replay  # noqa: E402
from lsm_ros.ros.replay_qos import publisher_qos, recorded_qos  # noqa: E402
from lsm_sim.source import RoomSource  # noqa: E402

pytestmark = pytest.mark.ros
FRAMES = 12
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=2, frames=FRAMES, width=64, height=48)


@pytest.fixture(scope="module")
def bag(room, tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "room"
    record(room, path)
    return path


class Listener:
    """A node of its own that keeps what arrives."""

    def __init__(self):
        rclpy.init()
        self.node = rclpy.create_node("replay_listener")
        self.got = {"image": [], "info": [], "static": [], "clock": []}
        wanted = (("image", Image, "/front/image", RELIABLE), ("info", CameraInfo, "/front/camera_info", 50),
                  ("static", TFMessage, "/tf_static", LATCHED), ("clock", Clock, "/clock", 50))
        for key, kind, topic, qos in wanted:
            self.node.create_subscription(kind, topic, lambda m, k=key: self.got[k].append((time.monotonic(), m)), qos)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def wait(self, condition, seconds=10.0):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)
        return condition()

    def close(self):
        self.executor.shutdown()
        self.thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def listener():
    one = Listener()
    yield one
    one.close()


def stamps(messages):
    return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for _, m in messages]


def test_everything_arrives_in_order_and_in_time(listener, bag, room):
    summary = replay(bag, ReplayOptions(rate=1.0))
    assert listener.wait(lambda: len(listener.got["image"]) == FRAMES and len(listener.got["info"]) == FRAMES)
    offset = 1_700_000_000 * 10**9
    assert stamps(listener.got["image"]) == [p.stamp_ns + offset for p in room.ground_truth]
    image = listener.got["image"][3][1]
    assert np.array_equal(np.array(image.data, np.uint8).reshape(48, 64, 3), room.frame_set(3).frames[0].image)
    assert listener.got["static"][0][1].transforms[0].child_frame_id == "front_optical"
    assert summary.published["/front/image"] == FRAMES and summary.published["/front/depth"] == FRAMES
    assert summary.wall_s > 1.0 and not summary.warnings
    arrived = listener.got["image"][-1][0] - listener.got["image"][0][0]
    assert arrived == pytest.approx((FRAMES - 1) * 0.1, abs=0.25)


def test_clock_runs_in_bag_time(listener, bag):
    replay(bag, ReplayOptions(rate=0.5))
    times = [(t, m.clock.sec + m.clock.nanosec * 1e-9 - 1.7e9) for t, m in listener.got["clock"]]
    assert len(times) > 100  # 100 Hz over 2.2 s, on a busy machine
    values = np.array([v for _, v in times])
    assert (np.diff(values) >= 0).all() and values[0] < 0.2 and 1.05 < values[-1] < 1.6
    speed = (values[-1] - values[0]) / (times[-1][0] - times[0][0])
    assert speed == pytest.approx(0.5, rel=0.1)


def test_pause_and_resume(listener, bag):
    done = []
    playing = threading.Thread(target=lambda: done.append(replay(bag, ReplayOptions(start_paused=True))))
    playing.start()
    client = listener.node.create_client(Trigger, "/lsm_replay/resume")
    assert client.wait_for_service(10.0)
    time.sleep(2.5)  # a second for the subscribers to settle, and more
    assert not listener.got["image"] and not done
    future = client.call_async(Trigger.Request())
    assert listener.wait(future.done) and future.result().message == "playing"
    playing.join(20)
    assert done and listener.wait(lambda: len(listener.got["image"]) == FRAMES)


def test_rounds(listener, bag):
    summary = replay(bag, ReplayOptions(rate=4.0, loop=True, rounds=3))
    assert summary.published["/front/image"] == 3 * FRAMES
    assert listener.wait(lambda: len(listener.got["image"]) == 3 * FRAMES)
    values = np.array([m.clock.sec * 10**9 + m.clock.nanosec for _, m in listener.got["clock"]])
    assert np.count_nonzero(np.diff(values) < 0) == 2


def test_nobody_listens(bag):
    summary = replay(bag, ReplayOptions(rate=10.0, wait_for_s=0.3))
    assert any("nobody subscribed" in w for w in summary.warnings) and summary.published["/front/image"] == FRAMES
    assert not rclpy.ok()  # it ended what it had started


def test_no_bag(tmp_path):
    with pytest.raises(FileNotFoundError, match="no_bag"):
        replay(tmp_path / "no_bag")
    assert not rclpy.ok()


class TestQos:
    IMAGE = "sensor_msgs/msg/Image"

    def test_of_a_recorded_bag(self, bag):
        found = recorded_qos(bag)
        assert found["/tf_static"]["durability"] == "transient_local"
        assert found["/front/image"]["durability"] == "volatile"
        assert found["/front/image"]["reliability"] == "reliable"

    @pytest.mark.parametrize("profile", [
        "[{reliability: best_effort, durability: volatile, depth: 5}]",
        "'[{reliability: 2, durability: 2, depth: 5}]'"])
    def test_both_ways_of_writing(self, tmp_path, profile):
        (tmp_path / "metadata.yaml").write_text(
            "rosbag2_bagfile_information:\n  topics_with_message_count:\n"
            f"  - topic_metadata: {{name: /a, type: t, offered_qos_profiles: {profile}}}\n    message_count: 1\n"
            "  - topic_metadata: {name: /b, type: t, offered_qos_profiles: ''}\n    message_count: 1\n")
        assert recorded_qos(tmp_path) == {"/a": {"reliability": "best_effort", "durability": "volatile", "depth": 5}}

    def test_none_and_broken(self, tmp_path):
        assert recorded_qos(tmp_path) == {}
        (tmp_path / "metadata.yaml").write_text("a: [")
        with pytest.raises(ValueError, match="metadata.yaml"):
            recorded_qos(tmp_path)

    def test_images_are_reliable_when_asked(self):
        recorded = {"reliability": "best_effort", "durability": "volatile", "depth": 5}
        assert publisher_qos("/a", self.IMAGE, recorded, False).reliability == ReliabilityPolicy.BEST_EFFORT
        assert publisher_qos("/a", self.IMAGE, recorded, True).reliability == ReliabilityPolicy.RELIABLE
        imu = publisher_qos("/imu", "sensor_msgs/msg/Imu", recorded, True)
        assert imu.reliability == ReliabilityPolicy.BEST_EFFORT

    def test_what_was_recorded_as_volatile_is_latched_where_it_usually_is(self):
        """As by a recorder that took the QoS of a subscriber."""
        volatile = {"reliability": "reliable", "durability": "volatile", "depth": 7}
        for topic in ("/tf_static", "/robot1/tf_static"):
            found = publisher_qos(topic, "tf2_msgs/msg/TFMessage", volatile, False)
            assert found.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert found.depth == (100 if topic == "/tf_static" else 7)  # many nodes publish the first
        latched = {**volatile, "durability": "transient_local"}
        assert publisher_qos("/map", "nav_msgs/msg/OccupancyGrid", latched, False).depth == 7  # as many as were said

    def test_a_stream_has_room_for_more_than_was_recorded(self):
        one = {"reliability": "reliable", "durability": "volatile", "depth": 1}
        assert publisher_qos("/a", self.IMAGE, one, False).depth > 1
        many = {**one, "depth": 5000}
        assert publisher_qos("/a", self.IMAGE, many, False).depth == 5000

    def test_latched_without_a_record(self):
        for topic, kind in (("/tf_static", "tf2_msgs/msg/TFMessage"), ("/c/label_info", "vision_msgs/msg/LabelInfo")):
            assert publisher_qos(topic, kind, None, False).durability == DurabilityPolicy.TRANSIENT_LOCAL
        assert publisher_qos("/tf", "tf2_msgs/msg/TFMessage", None, False).durability == DurabilityPolicy.VOLATILE


class TestBagClock:
    def test_runs_at_its_rate_and_stands_while_paused(self):
        clock = BagClock(10.0, paused=False)
        clock.start(10**9)
        time.sleep(0.1)
        passed = clock.now_ns() - 10**9
        assert 0.9e9 < passed < 3e9
        clock.pause(True)
        stopped = clock.now_ns()
        time.sleep(0.05)
        assert clock.now_ns() == stopped and clock.wall_seconds_until(stopped + 1) == float("inf")
        clock.pause(False)
        assert clock.now_ns() - stopped < 0.3e9
        assert clock.wall_seconds_until(clock.now_ns() + 10**10) == pytest.approx(1.0, abs=0.1)


def test_options_and_summary():
    for bad in ({"rate": 0.0}, {"rate": float("nan")}, {"wait_for_s": -1.0}):
        with pytest.raises(ValueError):
            ReplayOptions(**bad)
    text = ReplaySummary({"/a": 3}, late=1, worst_late_s=0.2, wall_s=1.0, warnings=["odd"]).text()
    assert "warning: odd" in text and "3 messages in 1.0 s; 1 more than 50 ms late (worst 200 ms)" in text
