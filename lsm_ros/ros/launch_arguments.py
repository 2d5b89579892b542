# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Arguments of the launch files as cameras, remappings and topics. Imports no ROS: launch reads them before a node runs."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsm_ros.reading import read_yaml_file

INPUTS = ("image", "camera_info", "depth", "labels", "label_info")
IMAGES = ("image", "depth", "labels")
DEFAULT_CAMERA = "camera"


def names(text: str) -> list[str]:
    """Parts of a list separated by commas, without the blanks around them; an empty text has none."""
    return [part.strip() for part in text.split(",")] if text.strip() else []


def full_namespace(pushed: str, given: str) -> str:
    """The namespace of the node from the root, '/' for none. pushed: that of the launch file that includes this one; given: the
    argument, which counts from there unless it begins with a slash."""
    parts = (given if given.startswith("/") else f"{pushed}/{given}").split("/")
    return "/" + "/".join(p for p in parts if p)


def logger_name(namespace: str) -> str:
    """Name of the logger of the node in a namespace, as rcl makes it."""
    return ".".join([*(p for p in namespace.split("/") if p), "mapping"])


def read_parameters(config: Path, namespace: str = "/") -> dict[str, Any]:
    """Parameters that a ROS parameter file gives to the node `mapping` in a namespace, those of a wildcard first.

    FileNotFoundError without the file, ValueError where it is no parameter file.
    """
    if not config.is_file():
        raise FileNotFoundError(f"config:={config} does not exist")
    content = read_yaml_file(config, f"config:={config}") or {}
    if not isinstance(content, dict):
        raise ValueError(f"config:={config} holds no parameters below <node>: ros__parameters:")
    name = f"{namespace.rstrip('/')}/mapping"
    found: dict[str, Any] = {}
    for node in ("/**", "**", "/**/mapping", "**/mapping", name.lstrip("/"), name):
        found.update(_section(content, node).get("ros__parameters") or {})
    return found


def _section(content: dict[str, Any], node: str) -> dict[str, Any]:
    """Part of a parameter file for a node: below its whole name, or with its namespaces as levels of their own."""
    if isinstance(content.get(node), dict):
        return content[node]
    for name, below in content.items():
        if isinstance(below, dict) and name.strip("/") and node.lstrip("/").startswith(f"{name.strip('/')}/"):
            return _section(below, node.lstrip("/").removeprefix(name.strip("/")).lstrip("/"))
    return {}


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


def transported(topic: str, transport: str) -> str:
    """Topic of colour images by a transport, raw or compressed. image_transport puts compressed ones one level deeper, so that
    remapping <camera>/image moves both."""
    return f"{topic}/compressed" if transport == "compressed" and not topic.endswith("compressed") else topic


def image_topics(cameras: Sequence[str], topics: Mapping[str, str], transport: str,
                 namespace: str = "/") -> list[str]:
    """Absolute topics of all images that the node in a namespace takes in: colour, depth and labels of each camera.

    transport: raw or compressed; with compressed, colour images come on <topic>/compressed.
    """
    rules = dict(remappings(cameras, topics))
    found = []
    for camera in cameras:
        for name in IMAGES:
            topic = rules.get(f"{camera}/{name}", f"{camera}/{name}")
            topic = topic if topic.startswith("/") else f"{namespace.rstrip('/')}/{topic}"
            found.append(transported(topic, transport) if name == "image" else topic)
    return found
