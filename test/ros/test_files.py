# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Files of configuration."""
from pathlib import Path

import yaml

from lsm_ros.config import Config, walk
from lsm_ros.ros.parameters import ros_name, yaml_text

ROOT = Path(__file__).resolve().parents[2]


def test_mapping_yaml_is_up_to_date():
    text = (ROOT / "config" / "mapping.yaml").read_text()
    assert text == yaml_text(), "write it anew: python -m lsm_ros.ros.parameters > config/mapping.yaml"
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    flat = {}
    for name, value in values.items():
        flat.update({f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value})
    assert flat.pop("cameras") == ["camera"]
    assert flat == {ros_name(name): value for name, _, value in walk(Config())}


def test_the_node_starts_with_mapping_yaml(client, start):
    node = start(files=[ROOT / "config" / "mapping.yaml"], odom_frame="")
    client.wait_active(node)
    assert "unknown parameter" not in node.log()


def test_rviz_config_shows_the_topics():
    config = yaml.safe_load((ROOT / "config" / "mapping.rviz").read_text())
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    topics = {d["Topic"]["Value"] for d in manager["Displays"] if "Topic" in d}
    assert {"/mapping/map_cloud", "/mapping/keyframe_cloud", "/mapping/path", "/mapping/pose", "/mapping/occupancy",
            "/camera/image"} <= topics
