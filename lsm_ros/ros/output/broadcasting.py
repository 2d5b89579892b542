# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TF out: map -> odom at a steady rate from a thread of its own, or poses at the images' stamps."""
from __future__ import annotations

import threading
import time

import numpy as np
from rclpy.node import Node
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from lsm_ros.config import NodeConfig
from lsm_ros.geometry import se3_inverse
from lsm_ros.ros.conversions import to_transform
from lsm_ros.ros.input.transforms import T_BODY_OPTICAL, OdometryState, TransformInput

SETTLE_S = 1.0  # time for a driver's static tree to be heard before a frame of ours is put on an optical frame


class TransformOutput:
    """Broadcasts poses by the rules of REP-105: each frame has one parent.

    With odometry on TF: map -> odom, stamped now + tolerance, at tf_rate_hz from a plain thread; the last correction
    stays while tracking is lost. Without: map -> base at the image's stamp, or map -> odom -> base with
    publish_odom_to_base_tf; then map -> odom is the identity until the graph moves what has been mapped.
    """

    def __init__(self, node: Node, config: NodeConfig, source: TransformInput) -> None:
        self.config = config
        self._node, self._source = node, source
        self._dynamic, self._static = TransformBroadcaster(node), StaticTransformBroadcaster(node)
        self._lock = threading.Lock()
        self._T_map_odom: np.ndarray | None = None
        self._child: tuple[str, np.ndarray] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.worst_gap_s = 0.0
        self.sent = 0

    def reconfigure(self, config: NodeConfig) -> None:
        """Takes over new settings."""
        if config.base_frame != self.config.base_frame:
            self._child = None
        self.config = config

    def start(self) -> None:
        """Starts the thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="tf", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; nothing is broadcast afterwards."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.forget()

    def forget(self) -> None:
        """Stops map -> odom until the next pose; for a new map."""
        with self._lock:
            self._T_map_odom = None

    def pose(self, stamp_ns: int, T_map_base: np.ndarray, T_odom_base: np.ndarray, state: OdometryState,
             is_metric: bool) -> None:
        """A believed pose of the frame at `stamp_ns`, in both frames. is_metric: map -> odom may be sent."""
        if state is OdometryState.PRESENT:
            if is_metric and self.config.publish_map_to_odom_tf:
                with self._lock:
                    self._T_map_odom = T_map_base @ se3_inverse(T_odom_base)
            return
        if state is OdometryState.UNKNOWN:
            return  # base might get a second parent
        self._at_stamp(stamp_ns, T_map_base, T_odom_base, is_metric)

    def _at_stamp(self, stamp_ns: int, T_map_base: np.ndarray, T_odom_base: np.ndarray, is_metric: bool) -> None:
        c, out = self.config, []
        child = self._base()
        if child is None:
            return
        name, T_base_child = child
        if c.publish_odom_to_base_tf:
            odom = c.odom_frame or "odom"
            if c.publish_map_to_odom_tf and is_metric:
                out.append(to_transform(T_map_base @ se3_inverse(T_odom_base), stamp_ns, c.map_frame, odom))
            out.append(to_transform(T_odom_base @ T_base_child, stamp_ns, odom, name))
        elif c.publish_map_to_odom_tf:
            out.append(to_transform(T_map_base @ T_base_child, stamp_ns, c.map_frame, name))
        if out:
            self._dynamic.sendTransform(out)
            self.sent += 1

    def _base(self) -> tuple[str, np.ndarray] | None:
        """The frame that gets our parent, and T_base_child: base_frame; or the root of the camera driver's tree; or a
        body frame of ours, on which the optical frame is put. Decided once, since our frames are on TF from then on."""
        if self._child is None:
            if self.config.base_frame:
                self._child = (self.config.base_frame, np.eye(4))
            elif self._source.seconds_since_start < SETTLE_S:
                return None
            else:
                self._child = self._body()
        return self._child

    def _body(self) -> tuple[str, np.ndarray]:
        source = self._source
        root = source.free_root()
        if root is not None and root[0] not in (source.base_name, self.config.map_frame, self.config.odom_frame):
            return root
        if source.first_optical and root is None:
            now_ns = self._node.get_clock().now().nanoseconds
            self._static.sendTransform(to_transform(T_BODY_OPTICAL, now_ns, source.base_name, source.first_optical))
        return source.base_name, np.eye(4)

    def _run(self) -> None:
        period, next_at, last = 1.0 / self.config.tf_rate_hz, time.monotonic(), None
        while not self._stop.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + period, time.monotonic())
            with self._lock:
                T = self._T_map_odom
            now_ns = self._node.get_clock().now().nanoseconds
            if T is None or now_ns == 0:  # 0: simulated time has not begun
                last = None
                continue
            stamp_ns = now_ns + int(self.config.tf_tolerance * 1e9)
            self._dynamic.sendTransform(to_transform(T, stamp_ns, self.config.map_frame, self.config.odom_frame))
            sent_at = time.monotonic()
            if last is not None:
                self.worst_gap_s = max(self.worst_gap_s, sent_at - last)
            last = sent_at
            self.sent += 1
