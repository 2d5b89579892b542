# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plays a bag into the node /mapping: `ros2 launch lsm_ros replay.launch.py bag:=FOLDER image:=/camera/image ...`.

Needs rosbag2 (`ros2 bag`); without it there is `lsm replay`. The node runs on the bag's time and waits for its worker
instead of dropping frames, and the player starts once the node is active.
"""
import tempfile
from pathlib import Path

import yaml
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription

HERE = Path(__file__).resolve().parent
PASSED_ON = ("config", "cameras", "rviz", "base_frame", "odom_frame", "map_directory", "load_map", "image_transport",
             "log_level")
TOPICS = ("image", "camera_info", "depth", "labels", "label_info")
RELIABLE = {"history": "keep_last", "depth": 50, "reliability": "reliable", "durability": "volatile"}


def generate_launch_description():
    """The node, and the player."""
    declared = [DeclareLaunchArgument("bag", description="folder of the bag"),
                DeclareLaunchArgument("rate", default_value="1.0", description="speed of the replay"),
                DeclareLaunchArgument("delay", default_value="5.0", description="seconds until the bag starts"),
                DeclareLaunchArgument("stop_at_end", default_value="false", description="end the node after the bag")]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context):
    """Node and player, with the arguments that were given."""
    def given(name):
        return context.launch_configurations.get(name, "").strip()

    bag = Path(given("bag")).expanduser()
    if not bag.exists():
        raise FileNotFoundError(f"bag:={bag} does not exist")
    values = {name: given(name) for name in (*PASSED_ON, *TOPICS) if given(name)}
    values.update(use_sim_time="true", replay="true", image_reliability="reliable")
    node = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / "mapping.launch.py")),
                                    launch_arguments=list(values.items()))
    player = ExecuteProcess(cmd=play(bag, given), output="screen", name="bag_player")
    shutdown = EmitEvent(event=Shutdown(reason="end of bag"))
    end = RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[shutdown]),
                               condition=IfCondition(LaunchConfiguration("stop_at_end")))
    return [node, end, player]


def play(bag, given):
    """Command line of the player: with a clock, and images sent reliably, whatever they were recorded with."""
    command = ["ros2", "bag", "play", str(bag), "--clock", "100", "--rate", given("rate") or "1.0",
               "--delay", given("delay") or "5.0", "--read-ahead-queue-size", "100"]
    images = [topic for name in ("image", "depth", "labels") if (topic := given(name))]
    if images:
        with tempfile.NamedTemporaryFile("w", prefix="replay_qos_", suffix=".yaml", delete=False) as file:
            yaml.safe_dump({topic: dict(RELIABLE) for topic in images}, file)
        command += ["--qos-profile-overrides-path", file.name]
    return command
