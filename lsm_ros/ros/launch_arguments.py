# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Arguments of the launch files as cameras, remappings and topics. Imports no ROS: launch reads them before a node runs."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INPUTS = ("image", "camera_info", "depth", "labels", "label_info")
IMAGES = ("image", "depth", "labels")
DEFAULT_CAMERA = "camera"


def names(text: str) -> list[str]:
    """Parts of a list separated by commas, without the blanks around them; an empty text has none."""
    return [part.strip() for part in text.split(",")] if text.strip() else []


def read_parameters(config: Path) -> dict[str, Any]:
    """Parameters that a ROS parameter file gives to the node `mapping`, those of a wildcard first.

    FileNotFoundError without the file, ValueError where it is no parameter file.
    """
    import yaml

    if not config.is_file():
        raise FileNotFoundError(f"config:={config} does not exist")
    content = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict):
        raise ValueError(f"config:={config} holds no parameters below <node>: ros__parameters:")
    found: dict[str, Any] = {}
    for node in ("/**", "**", "mapping", "/mapping"):
        found.update((content.get(node) or {}).get("ros__parameters") or {})
    return found


def camera_names(cameras: str, parameters: Mapping[str, Any]) -> list[str]:
    """Cameras named by the argument `cameras`, else by the parameter file, else the default. ValueError for an empty name."""
    found = names(cameras) or list(parameters.get("cameras") or [DEFAULT_CAMERA])
    if not all(found):
        raise ValueError(f"cameras:={cameras} has an empty name")
    return found


def remappings(cameras: Sequence[str], topics: Mapping[str, str]) -> list[tuple[str, str]]:
    """(<camera>/<input>, topic) for each topic that is given.

    topics: {input: topics in the order of `cameras`, separated by commas}. An empty place, or none, leaves that input at
    <camera>/<input>. ValueError for more topics than cameras.
    """
    rules = []
    for name in INPUTS:
        given = names(topics.get(name, ""))
        if len(given) > len(cameras):
            raise ValueError(f"{name}:={topics[name]} names {len(given)} topics for {len(cameras)} camera(s) "
                             f"({', '.join(cameras)}): name the cameras with cameras:=")
        rules += [(f"{camera}/{name}", topic) for camera, topic in zip(cameras, given, strict=False) if topic]
    return rules


def image_topics(cameras: Sequence[str], topics: Mapping[str, str], transport: str) -> list[str]:
    """Absolute topics of all images that the node takes in: colour, depth and labels of each camera.

    transport: raw or compressed; with compressed, colour images come on <topic>/compressed.
    """
    rules = dict(remappings(cameras, topics))
    found = []
    for camera in cameras:
        for name in IMAGES:
            topic = "/" + rules.get(f"{camera}/{name}", f"{camera}/{name}").lstrip("/")
            if name == "image" and transport == "compressed" and not topic.endswith("/compressed"):
                topic += "/compressed"
            found.append(topic)
    return found
