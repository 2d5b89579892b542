# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plays a bag into running nodes, with /clock in the time of the bag. Reads it without rosbag2."""
from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from lsm_ros.datasets.bagfile import BagFile
from lsm_ros.ros.replay_clock import CLOCK, clock_of
from lsm_ros.ros.replay_qos import IMAGE_TYPES, publisher_qos, recorded_qos
from lsm_ros.ros.shared_memory import make_room

CLOCK_HZ = 100.0
LATE_S = 0.05
_SETTLE_S = 2.5  # a subscriber that is known here may itself know of us a second later, and miss what came before
_SKIPPED = ("/rosout", "/parameter_events")


@dataclass(frozen=True)
class ReplayOptions:
    """Options of playing a bag.

    rate: bag time over wall time. loop: start over at the end. reliable: images are published reliably whatever was
    recorded. start_paused: wait for ~/resume. wait_for_s: wait at most so long for a subscriber of an image topic; 0
    does not wait. rounds: with loop, stop after so many rounds (0: never).
    """

    rate: float = 1.0
    loop: bool = False
    reliable: bool = False
    start_paused: bool = False
    wait_for_s: float = 10.0
    rounds: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate must be above 0, got {self.rate}")
        if not 0 <= self.wait_for_s < float("inf"):
            raise ValueError(f"wait-for must be 0 s or more, got {self.wait_for_s}")


@dataclass
class ReplaySummary:
    """Counts of what was played. published: messages by topic; late: how many went out more than 50 ms after their time;
    worst_late_s: the worst of them; wall_s: duration; warnings: what was skipped."""

    published: dict[str, int] = field(default_factory=dict)
    late: int = 0
    worst_late_s: float = 0.0
    wall_s: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def text(self) -> str:
        """A few lines for the terminal."""
        total = sum(self.published.values())
        lines = [f"warning: {w}" for w in self.warnings]
        lines.append(f"{total} messages in {self.wall_s:.1f} s; {self.late} more than {1000 * LATE_S:.0f} ms late "
                     f"(worst {1000 * self.worst_late_s:.0f} ms)")
        return "\n".join(lines + [f"  {n:6d}  {topic}" for topic, n in sorted(self.published.items())])


class BagClock:
    """Time of the bag as a function of wall time; it stands still while paused. Safe to use from several threads."""

    def __init__(self, rate: float, paused: bool) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._bag_ns, self._wall = 0, time.monotonic()
        self.paused = paused

    def start(self, bag_ns: int) -> None:
        """Puts the clock to bag_ns, now."""
        with self._lock:
            self._bag_ns, self._wall = bag_ns, time.monotonic()

    def now_ns(self) -> int:
        """Nanoseconds of bag time."""
        with self._lock:
            return self._now_ns()

    def pause(self, paused: bool) -> None:
        """Stops or goes on."""
        with self._lock:
            self._bag_ns, self._wall = self._now_ns(), time.monotonic()
            self.paused = paused

    def wall_seconds_until(self, bag_ns: int) -> float:
        """Wall time until bag_ns at the present rate, negative if it is past; infinite while paused."""
        with self._lock:
            return float("inf") if self.paused else (bag_ns - self._now_ns()) * 1e-9 / self._rate

    def _now_ns(self) -> int:
        if self.paused:
            return self._bag_ns
        return self._bag_ns + int((time.monotonic() - self._wall) * 1e9 * self._rate)


class Replayer(Node):
    """Node `lsm_replay`: publishes what is in a bag, /clock, and offers ~/pause and ~/resume."""

    def __init__(self, bag: BagFile, options: ReplayOptions) -> None:
        super().__init__("lsm_replay")
        self._bag, self._options = bag, options
        self._stopping = threading.Event()
        self.bag_clock = BagClock(options.rate, options.start_paused)
        self.summary = ReplaySummary()
        self._played = clock_of(bag)
        skipped = _SKIPPED if self._played.is_recorded else (*_SKIPPED, CLOCK)
        self._types = {t.name: t.msgtype for t in bag.topics if t.name not in skipped and t.count}
        self._publishers_of: dict[str, Publisher] = {}
        self._make_publishers()
        self._clock_publisher = None if self._played.is_recorded else self.create_publisher(Clock, CLOCK, 10)
        self.create_service(Trigger, "~/pause", lambda _, answer: self._pause(True, answer))
        self.create_service(Trigger, "~/resume", lambda _, answer: self._pause(False, answer))

    def play(self) -> ReplaySummary:
        """Plays all rounds; returns when done or stopped."""
        self._wait_for_subscribers()
        start = time.monotonic()
        ticking = threading.Thread(target=self._tick, name="bag_clock", daemon=True)
        rounds = 0
        while not self._stopping.is_set():
            self._play_once(ticking)
            rounds += 1
            if not self._options.loop or rounds == self._options.rounds:
                break
        finished = not self._stopping.is_set()
        self.summary.wall_s = time.monotonic() - start
        self.stop()
        if ticking.is_alive():
            ticking.join()
        if finished:
            self._flush()
        self.summary.warnings = self._bag.log.lines()
        return self.summary

    def stop(self) -> None:
        """Ends `play` and the clock soon."""
        self._stopping.set()

    def _make_publishers(self) -> None:
        qos = recorded_qos(self._bag.path)
        for topic, msgtype in list(self._types.items()):
            package, _, name = msgtype.replace("/msg/", "/").partition("/")
            try:
                kind = getattr(importlib.import_module(f"{package}.msg"), name)
            except (ImportError, AttributeError):
                self._bag.log.add(f"{topic} is not played: its type {msgtype} is not installed")
                del self._types[topic]
                continue
            profile = publisher_qos(topic, msgtype, qos.get(topic), self._options.reliable)
            self._publishers_of[topic] = self.create_publisher(kind, topic, profile)
        if not self._types:
            raise ValueError(f"bag {self._bag.path} holds nothing that can be played")

    def _messages(self) -> Iterator[tuple[str, int, bytes]]:
        """(topic, time in ns, serialised message) in order."""
        store = self._bag.store
        for topic, stamp_ns, message in self._bag.messages(self._types):
            yield topic, stamp_ns, bytes(store.serialize_cdr(message, self._types[topic]))

    def _play_once(self, ticking: threading.Thread) -> None:
        first = True
        for topic, stamp_ns, data in self._messages():
            if first:
                first = False
                self.bag_clock.start(stamp_ns)
                if not ticking.is_alive():
                    self._publish_clock()
                    ticking.start()
            if not self._wait_until(stamp_ns):
                return
            late_s = -self.bag_clock.wall_seconds_until(stamp_ns)
            if late_s > LATE_S:
                self.summary.late += 1
                self.summary.worst_late_s = max(self.summary.worst_late_s, late_s)
            self._publishers_of[topic].publish(data)
            self.summary.published[topic] = self.summary.published.get(topic, 0) + 1

    def _wait_until(self, stamp_ns: int) -> bool:
        """Waits for a time of the bag; false if the replay was stopped meanwhile."""
        while not self._stopping.is_set():
            left = self.bag_clock.wall_seconds_until(stamp_ns)
            if left <= 0:
                return True
            self._stopping.wait(min(left, 0.05))
        return False

    def _wait_for_subscribers(self) -> None:
        """Waits until image topics have subscribers and their number has been the same for a while."""
        images = [p for t, p in self._publishers_of.items() if self._types[t] in IMAGE_TYPES] \
            or list(self._publishers_of.values())
        deadline = time.monotonic() + self._options.wait_for_s
        last, since = 0, time.monotonic()
        while self._options.wait_for_s > 0 and not self._stopping.is_set():
            count = sum(p.get_subscription_count() for p in self._publishers_of.values())
            now = time.monotonic()
            if count != last:
                last, since = count, now
            if any(p.get_subscription_count() for p in images) and now - since >= _SETTLE_S:
                return
            if now > deadline:
                self._bag.log.add("nobody subscribed to the images before the replay began",
                                  f"waited {self._options.wait_for_s:g} s")
                return
            self._stopping.wait(0.05)

    def _flush(self) -> None:
        """Gives reliable subscribers the time to get what was published last."""
        deadline = time.monotonic() + 5.0
        for publisher in self._publishers_of.values():
            left = deadline - time.monotonic()
            if left <= 0:
                return
            publisher.wait_for_all_acked(Duration(seconds=left))

    def _tick(self) -> None:
        """Publishes the clock, in a thread of its own so that big messages do not hold it up."""
        while not self._stopping.wait(1.0 / CLOCK_HZ):
            self._publish_clock()

    def _publish_clock(self) -> None:
        if self._clock_publisher is None:  # the bag's own goes out among its messages
            return
        now_ns = self.bag_clock.now_ns() + self._played.offset_ns
        message = Clock()
        message.clock.sec, message.clock.nanosec = now_ns // 1_000_000_000, now_ns % 1_000_000_000
        self._clock_publisher.publish(message)

    def _pause(self, paused: bool, answer: Trigger.Response) -> Trigger.Response:
        changed = self.bag_clock.paused != paused
        if changed:
            self.bag_clock.pause(paused)
        answer.success = True
        answer.message = ("paused" if paused else "playing") + ("" if changed else " already")
        return answer


def replay(bag: str | Path, options: ReplayOptions | None = None) -> ReplaySummary:
    """Plays a bag and returns what was published; with `loop` until interrupted.

    FileNotFoundError or ValueError for what is no bag or holds nothing that can be played. Starts and ends rclpy unless
    it runs already. KeyboardInterrupt passes through after everything is closed.
    """
    options = options or ReplayOptions()
    file = BagFile(bag)
    own = not rclpy.ok()
    if own:
        make_room()
        # signals stay Python's own: KeyboardInterrupt ends the replay in order
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    spinning = threading.Thread(target=_spin, args=(executor,), name="replay_services", daemon=True)
    try:
        node = Replayer(file, options)
        try:
            executor.add_node(node)
            spinning.start()
            if options.start_paused:
                name = node.get_fully_qualified_name()
                print(f"paused; go on with: ros2 service call {name}/resume std_srvs/srv/Trigger", file=sys.stderr)
            return node.play()
        finally:
            node.stop()
            executor.shutdown()
            if spinning.is_alive():
                spinning.join(5.0)
            node.destroy_node()
    finally:
        file.close()
        if own and rclpy.ok():
            rclpy.shutdown()


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return  # somebody else ended ROS, which ends the replay's services too


__all__ = ["BagClock", "ReplayOptions", "ReplaySummary", "Replayer", "replay"]
