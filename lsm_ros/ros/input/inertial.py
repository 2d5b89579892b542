# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an inertial sensor: kept until the frame set that they belong to is processed."""
from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu

from lsm_ros.config import NodeConfig
from lsm_ros.ros.conversions import stamp_ns
from lsm_ros.ros.input.reader import Reader
from lsm_ros.ros.input.transforms import TransformInput
from lsm_ros.ros.problems import Problems
from lsm_ros.types import FrameSet, ImuSample

MOST_WAITING = 20_000  # readings: 20 s of a fast sensor
DEPTH = 200


class InertialInput:
    """The IMU of parameter `imu`, if that names a topic. Thread-safe: callbacks put in, the worker takes out."""

    def __init__(self, node: Node, config: NodeConfig, transforms: TransformInput, problems: Problems,
                 reader: Reader) -> None:
        self._transforms, self._problems = transforms, problems
        self._waiting: deque[ImuSample] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._frame = ""
        self._arrived: float | None = None
        self._silent_s = config.missing_input_seconds
        self.topic = node.resolve_topic_name(config.imu) if config.imu else ""
        if self.topic:
            best_effort = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
            reader.read(node.create_subscription(Imu, self.topic, self._on_imu, best_effort, callback_group=reader.group))

    def _on_imu(self, message: Imu) -> None:
        w, a = message.angular_velocity, message.linear_acceleration
        sample = ImuSample(stamp_ns(message.header.stamp), np.array([w.x, w.y, w.z]), np.array([a.x, a.y, a.z]))
        with self._lock:
            self._waiting.append(sample)
            self._frame, self._arrived = message.header.frame_id.lstrip("/"), time.monotonic()

    def attach(self, frame_set: FrameSet) -> FrameSet:
        """The frame set with the readings up to its stamp that no other had. Without, until TF says where the sensor sits; what
        came before is then kept as far as there is room."""
        if not self.topic or self._arrived is None:
            return frame_set
        T_rig_imu = self._transforms.sensor(self._frame, f"the IMU on {self.topic!r}")
        if T_rig_imu is None:
            return frame_set
        with self._lock:
            taken = tuple(s for s in self._waiting if s.stamp_ns <= frame_set.stamp_ns)
            kept = [s for s in self._waiting if s.stamp_ns > frame_set.stamp_ns]
            self._waiting.clear()
            self._waiting.extend(kept)
        return replace(frame_set, imu=taken, T_rig_imu=T_rig_imu)

    def clear(self) -> None:
        """Forgets what waits."""
        with self._lock:
            self._waiting.clear()

    def poll(self) -> None:
        """Once a second: says if nothing comes although images do."""
        if not self.topic:
            return
        started = self._transforms.seconds_since_start
        silent = started if self._arrived is None else min(started, time.monotonic() - self._arrived)
        if silent > self._silent_s:
            self._problems.say("imu silent", f"no readings of the IMU for {silent:.1f} s on {self.topic!r}")
        else:
            self._problems.over("imu silent", f"readings of the IMU come on {self.topic!r}")
