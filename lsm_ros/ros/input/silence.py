# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reasons why nothing comes on a topic, as far as the graph shows them."""
from __future__ import annotations

from collections.abc import Collection

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_MOST = 4  # topics that are named


def why_silent(node: Node, topic: str, wanted: str, wants_reliable: bool, own: Collection[str]) -> str:
    """Why no message of type `wanted` comes on a topic. wants_reliable: the subscription is reliable. own: beginnings of topics
    that are no input."""
    there = node.get_publishers_info_by_topic(topic)
    if not there:
        others = sorted(name for name, types in node.get_topic_names_and_types()
                        if set(types) & set(_IMAGES) and name != topic and node.count_publishers(name)
                        and not name.startswith(tuple(own)))
        more = f" and {len(others) - _MOST} more" if len(others) > _MOST else ""
        return f"nobody publishes it; images are on {', '.join(others[:_MOST])}{more}" if others else "nobody publishes it"
    who = ", ".join(sorted({f"{p.node_namespace.rstrip('/')}/{p.node_name}" for p in there}))
    kinds = {p.topic_type for p in there}
    if wanted not in kinds:
        return (f"{who} publishes {', '.join(sorted(kinds))} there, not {wanted}; parameter image_transport says which is "
                "expected")
    if wants_reliable and all(p.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for p in there):
        return (f"{who} sends with QoS best effort, which does not reach a reliable subscription: set image_reliability to "
                "best_effort")
    return f"{who} publishes it, but has sent nothing"
