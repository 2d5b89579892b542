# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""With which QoS the topics of a bag are published again."""
from __future__ import annotations

from pathlib import Path
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from lsm_ros.reading import read_yaml, read_yaml_file, reading

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_LATCHED_TYPES = ("vision_msgs/msg/LabelInfo", "nav_msgs/msg/OccupancyGrid")
_DEPTH = 30
_NUMBERS: dict[str, dict[object, str]] = {"reliability": {1: "reliable", 2: "best_effort"},
                                          "durability": {1: "transient_local", 2: "volatile"}}


def recorded_qos(bag: Path) -> dict[str, dict[str, Any]]:
    """QoS of the first recorded publisher of each topic, from metadata.yaml: reliability, durability and depth.

    Empty for a bag without metadata; topics without a profile are left out. Both ways in which rosbag2 wrote profiles
    are read: as YAML in a string with numbers (Humble) and as YAML with names (Jazzy).
    """
    path = bag / "metadata.yaml"
    if not path.is_file():
        return {}
    with reading(path):
        topics = [t["topic_metadata"] for t in read_yaml_file(path)["rosbag2_bagfile_information"]["topics_with_message_count"]]
        found = {t["name"]: t.get("offered_qos_profiles") for t in topics}
        parsed = {n: read_yaml(p, f"the profile of {n}") if isinstance(p, str) else p for n, p in found.items()}
    return {name: _named(profiles[0]) for name, profiles in parsed.items() if profiles}


def _named(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile with the names of its policies."""
    out = {key: names.get(profile.get(key), profile.get(key)) for key, names in _NUMBERS.items()}
    return {**out, "depth": int(profile.get("depth") or 0)}


def publisher_qos(topic: str, msgtype: str, recorded: dict[str, Any] | None, reliable_images: bool) -> QoSProfile:
    """The QoS to publish a topic with: as recorded; without a record, reliable, and latched for what is usually so."""
    latched = topic == "/tf_static" or topic.endswith("/tf_static") or msgtype in _LATCHED_TYPES
    best_effort, depth = False, 0
    if recorded is not None:
        latched = latched or recorded["durability"] == "transient_local"
        best_effort = recorded["reliability"] == "best_effort"
        depth = recorded["depth"]
    if best_effort and reliable_images and msgtype in IMAGE_TYPES:
        best_effort = False
    if topic == "/tf_static":
        depth = 100  # several nodes publish it, and all that they said must reach who comes late
    elif not latched:
        depth = max(depth, _DEPTH)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=max(depth, 1),
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)
