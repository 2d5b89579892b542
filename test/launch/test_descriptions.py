# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The launch files, read but not started: their arguments, and what becomes of them."""
from pathlib import Path
from runpy import run_path

import pytest
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LocalSubstitution
from launch.utilities import perform_substitutions
from launch_ros.actions import LifecycleNode

from launch import LaunchContext

pytestmark = pytest.mark.ros
LAUNCH = Path(__file__).resolve().parents[2] / "launch"


def described(name, **given):
    """A launch file's own names, and a context with its arguments."""
    names, context = run_path(str(LAUNCH / name)), LaunchContext()
    context.launch_configurations.update(given)
    for entity in names["generate_launch_description"]().entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
    return names, context


def mapping_node(**given):
    """The node that mapping.launch.py would start, with its whole command line."""
    names, context = described("mapping.launch.py", **given)
    (node,) = [a for a in names["start"](context) if isinstance(a, LifecycleNode)]
    node._perform_substitutions(context)
    words = [perform_substitutions(context, list(part)) for part in node.cmd
             if not any(isinstance(x, LocalSubstitution) for x in part)]  # what is known once it runs
    words += [str(value).split("\n")[0] for value, _ in node._Node__expanded_parameter_arguments]
    return node, words


def test_without_arguments_the_node_has_no_namespace():
    node, words = mapping_node()
    assert node.node_name == "/mapping" and "mapping:=info" in words


def test_a_namespace_is_that_of_the_node_and_of_its_log_level():
    node, words = mapping_node(namespace="robot1", log_level="debug", map_frame="robot1/map")
    assert node.node_name == "/robot1/mapping" and "robot1.mapping:=debug" in words
    assert any(w.startswith("map_frame:=robot1/map") for w in words)


def test_a_namespace_that_another_launch_file_pushed_counts_too():
    node, words = mapping_node(ros_namespace="/fleet", namespace="robot1", log_level="warn")
    assert node.node_name == "/fleet/robot1/mapping" and "fleet.robot1.mapping:=warn" in words


@pytest.mark.parametrize("name", ["config", "params_file"])
def test_both_names_of_the_parameter_file(tmp_path, name):
    file = tmp_path / "robot.yaml"
    file.write_text("mapping:\n  ros__parameters: {cameras: [front]}\n")
    node, words = mapping_node(image="/a/rgb", **{name: str(file)})
    assert ("front/image", "/a/rgb") in node.expanded_remapping_rules and str(file) in words


def test_rviz_that_is_missing_is_said_before_anything_starts(monkeypatch):
    names, context = described("mapping.launch.py", rviz="true")

    def missing(package):
        raise names["PackageNotFoundError"](package)

    monkeypatch.setitem(names["start"].__globals__, "get_package_prefix", missing)
    with pytest.raises(ValueError, match="rviz:=true needs rviz2, which is not installed"):
        names["start"](context)
    monkeypatch.setitem(names["start"].__globals__, "get_package_prefix", lambda package: "/opt")
    assert len(names["start"](context)) == 2


def test_a_replay_has_the_arguments_of_mapping_but_for_those_that_it_sets():
    """`ros2 launch --show-args` lists them, and an argument that is not given is as it is there."""
    mapping, replay = (described(n, bag="b")[0]["generate_launch_description"]().get_launch_arguments()
                       for n in ("mapping.launch.py", "replay.launch.py"))
    names = {a.name for a in mapping}
    assert {a.name for a in replay} == {"bag", "rate", "delay", "stop_at_end"} | (
        names - {"use_sim_time", "replay", "image_reliability", "autostart"})
    assert len(names) >= 20


def test_a_replay_in_a_namespace_asks_for_the_topics_there():
    names, context = described("replay.launch.py", bag="b", namespace="robot1", image="rgb", cameras="front")
    topics = names["reliable_topics"](lambda name: context.launch_configurations.get(name, ""))
    assert topics == ["/robot1/rgb", "/robot1/front/depth", "/robot1/front/labels"]
