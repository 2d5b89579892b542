# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The node's worker and outputs around a pipeline that maps nothing, without a network; and what parameters change in them."""
from __future__ import annotations

import threading
import time
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
from std_srvs.srv import Trigger

from helpers.fake_pipeline import FakeMap, FakePipeline
from lsm_ros.fusion.publish.updates import BlockPart
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.ros.input.transforms import OdometryState
from lsm_ros.ros.mapper import Mapper
from lsm_ros.ros.output import map_updates, publishers
from lsm_ros.ros.output.broadcasting import TransformOutput
from lsm_ros.ros.output.status import StatusReport
from lsm_ros.ros.problems import Problems
from lsm_ros.ros.services import Services
from lsm_ros.types import FrameCloud, MappingUpdate, TrackingState, TrackingUpdate

NOW_NS = 10_000_000_000
BLOCK_BYTES = 900_000


class Publisher:
    """One subscriber, who keeps everything."""

    def __init__(self):
        self.sent = []

    def get_subscription_count(self):
        return 1

    def publish(self, message):
        self.sent.append(message)


class Node:
    """Hands out publishers by topic and services by name; its clock stands still."""

    def __init__(self):
        self.publishers, self.services = defaultdict(Publisher), {}

    def create_publisher(self, kind, topic, *_, **__):
        return self.publishers[topic]

    def resolve_topic_name(self, topic):
        return topic.replace("~", "/mapping")

    def create_service(self, kind, name, callback, **_):
        self.services[name] = callback

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=NOW_NS))

    def get_logger(self):
        return SimpleNamespace(**dict.fromkeys(("debug", "info", "warning", "error"), lambda *_, **__: None))


class BusyMap(FakeMap):
    """Each look at it finds one more large block."""

    def refresh_blocks(self):
        self.blocks_version += 1
        return 1

    def encoded_blocks(self, since=0, max_bytes=0):
        return BlockPart(since, self.blocks_version, np.zeros(1, np.int64), (bytes(BLOCK_BYTES),))


class Running:
    """A configured node's worker, outputs and services. clock: that of what is sent at a bounded rate, in seconds."""

    def __init__(self, config, monkeypatch):
        self.now = 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now, perf_counter=time.perf_counter)
        for module in (publishers, map_updates):
            monkeypatch.setattr(module, "time", clock)
        self.node, self.pipeline, problems = Node(), FakePipeline(config), Problems(lambda _: None, lambda _: None)
        self.pipeline.map = BusyMap(config)
        tf_in = SimpleNamespace(config=config.node, odometry=OdometryState.PRESENT, base_name="base_link")
        self.tf = TransformOutput(self.node, config.node, tf_in)
        self.out = publishers.Publishers(self.node, config.node)
        self.mapper = Mapper(self.node, config, self.pipeline, {}, tf_in, self.tf, self.out,
                             StatusReport(self.node, {}, problems), problems, lambda _: None, lambda frame_set: frame_set)
        Services(self.node, lambda: self.mapper, lambda wanted: "", lambda: None)

    def apply(self, config):
        """As the node does when parameters change."""
        self.mapper.worker.call(lambda: self.mapper.apply(config)).result(10.0)

    def sent(self, topic):
        return self.node.publishers[topic].sent

    def send_map(self):
        """Five seconds of a map that changes."""
        for _ in range(5):
            self.out.voxels_changed()
            self.out.send_map(self.pipeline, self.pipeline.status(), NOW_NS, "map", True)
            self.now += 1.0

    def send_cloud(self):
        ramp = np.linspace(0.0, 1.0, 256, dtype=np.float32).reshape(16, 16)
        cloud = FrameCloud("camera", "optical", NOW_NS, np.ones((16, 16), np.float32), np.zeros((16, 16, 3), np.uint8), ramp,
                           CameraIntrinsics(16, 16, 20.0, 20.0, 7.5, 7.5))
        tracking = TrackingUpdate(TrackingState.TRACKING, np.eye(4), np.eye(6), 1.0)
        self.out.clouds(MappingUpdate(NOW_NS, tracking, clouds={"camera": cloud}), self.pipeline, True)
        self.now += 1.0

    def close(self):
        self.tf.stop()
        self.mapper.close()


def stamp_of_tf(running):
    """How far in the future map -> odom is stamped, in nanoseconds."""
    running.tf.pose(NOW_NS, np.eye(4), np.eye(4), OdometryState.PRESENT, True)
    running.tf.start()
    end = time.monotonic() + 10
    while not running.sent("/tf") and time.monotonic() < end:
        time.sleep(0.005)
    stamp = running.sent("/tf")[-1].transforms[0].header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec - NOW_NS


def clouds_in_two_seconds(running):
    running.send_cloud()
    running.send_cloud()
    return len(running.sent("~/cloud"))


def points_of_a_cloud(running):
    running.send_cloud()
    return running.sent("~/cloud")[-1].width


def messages(topic):
    """Number of messages of a topic in five seconds in which the map changes every second."""
    def count(running):
        running.send_map()
        return len(running.sent(topic))

    return count


def looks_for_changes(running):
    running.send_map()
    return running.pipeline.map.blocks_version


def blocks_sent(running):
    running.send_map()
    return sum(len(message) > BLOCK_BYTES for message in running.sent("~/map_update"))


def patience_of_a_service(running):
    """What a service answers while the worker is at something long."""
    over = threading.Event()
    running.mapper.worker.call(over.wait)
    try:
        return running.node.services["~/reset"](Trigger.Request(), Trigger.Response()).message
    finally:
        over.set()


EFFECTS = {
    "node.tf_tolerance": stamp_of_tf,
    "node.cloud_rate_hz": clouds_in_two_seconds,
    "node.cloud_stride": points_of_a_cloud,
    "node.cloud_min_confidence": points_of_a_cloud,
    "node.map_rate_hz": messages("~/map_cloud"),
    "node.mesh_rate_hz": messages("~/mesh"),
    "node.map_update_rate_hz": looks_for_changes,
    "node.map_update_megabytes_per_s": blocks_sent,
    "node.service_timeout": patience_of_a_service,
}
"""What each parameter of the node that may change at run time decides."""
