# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""config/nav2_semantic.yaml against the parameters that the plugins declare, and against the topics of this node."""
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "config" / "nav2_semantic.yaml"
# From declareParameter in the sources of the plugins (navigation2, semantic_segmentation_layer). {} stands for a source or a
# type of classes, whose name is for the user to choose.
DECLARED = {
    "nav2_costmap_2d::ObstacleLayer": {
        "enabled", "footprint_clearing_enabled", "min_obstacle_height", "max_obstacle_height", "combination_method",
        "observation_sources", *(f"{{}}.{n}" for n in (
            "topic", "sensor_frame", "observation_persistence", "expected_update_rate", "data_type", "min_obstacle_height",
            "max_obstacle_height", "inf_is_valid", "marking", "clearing", "obstacle_max_range", "obstacle_min_range",
            "raytrace_max_range", "raytrace_min_range"))},
    "semantic_segmentation_layer::SemanticSegmentationLayer": {
        "enabled", "combination_method", "observation_sources", "publish_debug_topics", *(f"{{}}.{n}" for n in (
            "segmentation_topic", "confidence_topic", "labels_topic", "pointcloud_topic", "observation_persistence",
            "expected_update_rate", "class_types", "max_obstacle_distance", "min_obstacle_distance", "tile_map_decay_time",
            "visualize_tile_map", "use_cost_selection")), *(f"{{}}.{{}}.{n}" for n in (
                "classes", "base_cost", "max_cost", "mark_confidence", "samples_to_max_cost", "dominant_priority"))},
    "nav2_costmap_2d::KeepoutFilter": {"enabled", "filter_info_topic", "transform_tolerance"},
    "nav2_costmap_2d::StaticLayer": {"enabled", "subscribe_to_updates", "map_subscribe_transient_local", "map_topic",
                                     "footprint_clearing_enabled"},
    "nav2_costmap_2d::InflationLayer": set(),  # all of it is the robot's own
}
COSTMAPS = {name: next(iter(node.values()))["ros__parameters"] for name, node in yaml.safe_load(FILE.read_text()).items()}


def leaves(values, at=()):
    """Dotted names of all parameters; what the user names stands as {}."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*at, "{}"))
        else:
            yield ".".join((*at, key))


@pytest.mark.parametrize("name", COSTMAPS)
def test_every_plugin_is_described_with_keys_that_it_declares(name):
    costmap = COSTMAPS[name]
    for plugin in (*costmap["plugins"], *costmap["filters"]):
        values = dict(costmap[plugin])
        unknown = set(leaves(values)) - {"plugin"} - DECLARED[values["plugin"]]
        assert not unknown, f"{plugin} does not declare {unknown}"
        for source in values.get("observation_sources", "").split():
            assert set(values[source].get("class_types", [])) == {k for k, v in values[source].items() if isinstance(v, dict)}
    assert set(costmap) == {"plugins", "filters", *costmap["plugins"], *costmap["filters"]}


def test_all_topics_are_published_by_the_node():
    published = set()
    for file in (ROOT / "lsm_ros" / "ros" / "output").glob("*.py"):
        published |= set(re.findall(r'create_publisher\(\w+, "~/([\w/]+)"', file.read_text()))
    used = set(re.findall(r"/mapping/([\w/]+)", FILE.read_text()))
    assert {"cloud", "segmentation/mask", "label_mask_info"} <= used <= published
