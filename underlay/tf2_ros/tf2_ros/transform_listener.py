# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Filling a buffer from /tf and /tf_static."""

from contextlib import suppress
from threading import Thread, current_thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage
from tf2_py import BufferCore

AUTHORITY = "default_authority"


def _last_100(durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(depth=100, durability=durability, history=HistoryPolicy.KEEP_LAST)


class TransformListener:
    """Subscriptions that put all transforms they hear into a buffer.

    `spin_thread` starts a thread that spins the node, for programs that do not; `qos` and `static_qos` are
    profiles or history depths. The subscriptions have a reentrant callback group of their own, so that with a
    multi-threaded executor another callback can wait for transforms.
    """

    def __init__(
        self,
        buffer: BufferCore,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
    ) -> None:
        qos = _last_100(DurabilityPolicy.VOLATILE) if qos is None else qos
        static_qos = _last_100(DurabilityPolicy.TRANSIENT_LOCAL) if static_qos is None else static_qos
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(TFMessage, "/tf", self.callback, qos, callback_group=self.group)
        self.tf_static_sub = node.create_subscription(
            TFMessage, "/tf_static", self.static_callback, static_qos, callback_group=self.group
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = Thread(target=_spin, args=(self.executor, node), daemon=True)
            self.dedicated_listener_thread.start()

    def __del__(self) -> None:
        if hasattr(self, "dedicated_listener_thread"):
            self.executor.shutdown()
            if self.dedicated_listener_thread is not current_thread():
                self.dedicated_listener_thread.join()
        if hasattr(self, "tf_static_sub"):
            self.unregister()

    def unregister(self) -> None:
        """Stop listening."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        """Store what came on /tf."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        """Store what came on /tf_static."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, AUTHORITY)


def _spin(executor: SingleThreadedExecutor, node: Node) -> None:
    # rclpy.shutdown() ends the thread by this exception; that is its regular end.
    with suppress(ExternalShutdownException):
        executor.spin()
    executor.remove_node(node)
