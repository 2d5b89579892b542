# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sending transforms that never change."""

from collections.abc import Iterable
from copy import deepcopy

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Publisher on /tf_static, latched: late subscribers get the last message.

    That is why each message holds all transforms sent so far. `qos` is a profile or a history depth.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, history=HistoryPolicy.KEEP_LAST)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self.net_message = TFMessage()

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, with all earlier ones; a later one for the same child replaces."""
        by_child = {sent.child_frame_id: sent for sent in self.net_message.transforms}
        # Copies, because callers like to fill one message again and again.
        by_child.update((new.child_frame_id, deepcopy(new)) for new in as_list(transform))
        self.net_message.transforms = list(by_child.values())
        self.pub_tf.publish(self.net_message)
