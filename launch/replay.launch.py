# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plays a bag into the node /mapping: `ros2 launch lsm_ros replay.launch.py bag:=FOLDER image:=/camera/image ...`.

Needs rosbag2 (`ros2 bag`); without it there is `lsm replay`. The node runs on the bag's time and waits for its worker
instead of dropping frames; the bag starts `delay` seconds after the node was started. All arguments of mapping.launch.py can be
given, but for those that a replay sets.
"""
import tempfile
from pathlib import Path
from runpy import run_path

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
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription
from lsm_ros.ros.launch_arguments import INPUTS, camera_names, full_namespace, image_topics, read_parameters

HERE = Path(__file__).resolve().parent
SET = {"use_sim_time": "true", "replay": "true", "image_reliability": "reliable", "autostart": "true"}
RELIABLE = {"history": "keep_last", "depth": 50, "reliability": "reliable", "durability": "volatile"}


def generate_launch_description():
    """The node, and the player."""
    declared = [DeclareLaunchArgument("bag", description="folder of the bag"),
                DeclareLaunchArgument("rate", default_value="1.0", description="speed of the replay"),
                DeclareLaunchArgument("delay", default_value="5.0", description="seconds until the bag starts"),
                DeclareLaunchArgument("stop_at_end", default_value="false", description="end the node after the bag")]
    declared += [a for a in run_path(str(HERE / "mapping.launch.py"))["arguments"]() if a.name not in SET]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context):
    """Node and player, with the arguments that were given."""
    def given(name):
        return context.launch_configurations.get(name, "").strip()

    bag = Path(given("bag")).expanduser()
    if not bag.exists():
        raise FileNotFoundError(f"bag:={bag} does not exist")
    node = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / "mapping.launch.py")),
                                    launch_arguments=list(SET.items()))
    qos = write_qos(reliable_topics(given))
    player = ExecuteProcess(cmd=play(bag, qos, given), output="screen", name="bag_player")
    shutdown = EmitEvent(event=Shutdown(reason="end of bag"))
    end = RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[shutdown]),
                               condition=IfCondition(LaunchConfiguration("stop_at_end")))
    tidy = RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context: qos.unlink(missing_ok=True)))
    return [tidy, node, end, player]


def reliable_topics(given):
    """Topics of all images of all cameras: the node asks for them reliably."""
    namespace = full_namespace(given("ros_namespace"), given("namespace"))
    parameters = read_parameters(Path(given("params_file") or given("config")), namespace)
    return image_topics(camera_names(given("cameras"), parameters), {name: given(name) for name in INPUTS},
                        given("image_transport") or parameters.get("image_transport", "raw"), namespace)


def write_qos(topics):
    """A temporary file that lets the player send these topics reliably, regardless of their recorded QoS."""
    with tempfile.NamedTemporaryFile("w", prefix="replay_qos_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump({topic: dict(RELIABLE) for topic in topics}, file)
    return Path(file.name)


def play(bag, qos, given):
    """Command line of the player, which also publishes the clock."""
    return ["ros2", "bag", "play", str(bag), "--clock", "100", "--rate", given("rate") or "1.0", "--delay",
            given("delay") or "5.0", "--read-ahead-queue-size", "100", "--qos-profile-overrides-path", str(qos)]
