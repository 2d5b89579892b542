# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A node that receives what the mapping node publishes, as a robot would, and keeps it for checks."""
from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException, TransformListener
from vision_msgs.msg import LabelInfo

from lsm_ros.msg import MappingStatus
from lsm_ros.ros.conversions import from_pose, from_transform, stamp_ns
from lsm_ros.types import TrajectoryPose

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MANY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)


@dataclass
class Heard:
    """Received data: newest messages of latched topics, all poses, counts of the others.

    tf_gaps_s: wall time between two messages on /tf that hold the map frame.
    """

    poses: list[TrajectoryPose] = field(default_factory=list)
    truth: list[TrajectoryPose] = field(default_factory=list)
    statuses_at: list[tuple[float, MappingStatus]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    newest: dict[str, Any] = field(default_factory=dict)
    tf_gaps_s: list[float] = field(default_factory=list)
    first_pose_at: float = 0.0
    last_pose_at: float = 0.0

    def statuses_while_mapping(self) -> list[MappingStatus]:
        """Those that came before the last pose did, with at least one frame processed."""
        return [s for at, s in self.statuses_at if s.frames_processed and at <= self.last_pose_at]


class Witness(Node):
    """Subscribes to the outputs of the node `mapping` (a name, resolved in this node's namespace)."""

    def __init__(self, mapping: str = "mapping", map_frame: str = "map") -> None:
        super().__init__("lsm_witness")
        self.heard = Heard()
        self.map_frame = map_frame
        self._last_tf: float | None = None
        self.buffer = Buffer(cache_time=Duration(seconds=600.0))
        self._listener = TransformListener(self.buffer, self)
        group = ReentrantCallbackGroup()
        for kind, topic, qos, call in (
                (PoseWithCovarianceStamped, f"{mapping}/pose", MANY, self._on_pose),
                (PoseStamped, "/ground_truth", MANY, self._on_truth),
                (MappingStatus, f"{mapping}/status", LATCHED, self._on_status),
                (TFMessage, "/tf", MANY, self._on_tf)):
            self.create_subscription(kind, topic, call, qos, callback_group=group)
        for kind, name, qos in (
                (Path, "path", LATCHED), (PointCloud2, "map_cloud", LATCHED), (LabelInfo, "label_info", LATCHED),
                (OccupancyGrid, "occupancy", LATCHED), (Odometry, "odometry", MANY), (PointCloud2, "cloud", MANY),
                (PointCloud2, "keyframe_cloud", MANY)):
            self.create_subscription(kind, f"{mapping}/{name}", lambda m, n=name: self._keep(n, m), qos, callback_group=group)
        self.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self._keep("diagnostics", m), MANY,
                                 callback_group=group)

    def _keep(self, name: str, message: Any) -> None:
        self.heard.newest[name] = message
        self.heard.counts[name] = self.heard.counts.get(name, 0) + 1

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self._keep("pose", message)
        self.heard.last_pose_at = time.monotonic()
        self.heard.first_pose_at = self.heard.first_pose_at or self.heard.last_pose_at
        self.heard.poses.append(TrajectoryPose(stamp_ns(message.header.stamp), from_pose(message.pose.pose)))

    def _on_truth(self, message: PoseStamped) -> None:
        self.heard.truth.append(TrajectoryPose(stamp_ns(message.header.stamp), from_pose(message.pose)))

    def _on_status(self, message: MappingStatus) -> None:
        self._keep("status", message)
        self.heard.statuses_at.append((time.monotonic(), message))

    def _on_tf(self, message: TFMessage) -> None:
        if any(t.header.frame_id == self.map_frame for t in message.transforms):
            now = time.monotonic()
            if self._last_tf is not None:
                self.heard.tf_gaps_s.append(now - self._last_tf)
            self._last_tf = now

    def transform(self, target: str, source: str, ns: int) -> np.ndarray | None:
        """T_target_source (4, 4) at a time, or None where TF does not know it."""
        try:
            found = self.buffer.lookup_transform(target, source, Time(nanoseconds=ns))
        except TransformException:
            return None
        return from_transform(found.transform)


class Spinning:
    """Spins a node in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            self._stop.set()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
