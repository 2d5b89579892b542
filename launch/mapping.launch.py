# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Starts the node /mapping.

    ros2 launch lsm_ros mapping.launch.py image:=/camera/color/image_raw camera_info:=/camera/color/camera_info \
        depth:=/camera/aligned_depth_to_color/image_raw base_frame:=base_link

The topics are those of the first camera of `cameras`. For more cameras, name them in `config` and let their topics be
<camera>/image and so on. An argument that is left empty leaves the value of `config`.
"""
import os
import tempfile
from pathlib import Path

import yaml
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchDescription

SHARE = Path(__file__).resolve().parent.parent
TOPICS = ("image", "camera_info", "depth", "labels", "label_info")
NODE_ARGUMENTS = {"base_frame": "robot's base frame; '' is the body frame of the first camera",
                  "odom_frame": "odometry frame on TF; 'none' if there is no odometry",
                  "map_directory": "folder of saved maps", "load_map": "name of a saved map to start with",
                  "image_transport": "raw or compressed", "image_reliability": "best_effort or reliable"}


def arguments():
    """What can be given on the command line."""
    config = str(SHARE / "config" / "mapping.yaml")
    out = [DeclareLaunchArgument("config", default_value=config, description="parameter file"),
           DeclareLaunchArgument("cameras", default_value="", description="names of the cameras, separated by commas"),
           DeclareLaunchArgument("use_sim_time", default_value="false", description="time comes from /clock"),
           DeclareLaunchArgument("replay", default_value="false", description="wait for the worker, drop nothing"),
           DeclareLaunchArgument("autostart", default_value="true", description="configure and activate at once"),
           DeclareLaunchArgument("rviz", default_value="false", description="start RViz"),
           DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error")]
    out += [DeclareLaunchArgument(name, default_value="", description=text) for name, text in NODE_ARGUMENTS.items()]
    out += [DeclareLaunchArgument(name, default_value="", description=f"topic of the first camera's {name}")
            for name in TOPICS]
    return out


def as_bool(context, name):
    """A yes or no of the command line."""
    text = LaunchConfiguration(name).perform(context).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{name}:={text} is neither true nor false")
    return text in ("true", "1")


def start(context):
    """The node with its parameters and remappings."""
    def given(name):
        return LaunchConfiguration(name).perform(context).strip()

    parameters = {name: as_bool(context, name) for name in ("use_sim_time", "replay", "autostart")}
    parameters.update({name: "" if given(name) == "none" else given(name) for name in NODE_ARGUMENTS if given(name)})
    cameras = [c.strip() for c in given("cameras").split(",") if c.strip()]
    if cameras:
        parameters["cameras"] = cameras
    first = (cameras or first_camera(given("config")) or ["camera"])[0]
    remappings = [(f"{first}/{name}", given(name)) for name in TOPICS if given(name)]
    # A file of its own: launch would take an empty string on the way for no value.
    with tempfile.NamedTemporaryFile("w", prefix="mapping_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump({"/**": {"ros__parameters": parameters}}, file)
    return [LifecycleNode(package="lsm_ros", executable="mapping_node", name="mapping", namespace="", output="screen",
                          parameters=[given("config"), file.name], remappings=remappings,
                          arguments=["--ros-args", "--log-level", f"mapping:={given('log_level')}"])]


def first_camera(config):
    """Cameras that a parameter file names."""
    values = yaml.safe_load(Path(config).read_text()) or {}
    return next((part["ros__parameters"].get("cameras") for part in values.values()
                 if isinstance(part, dict) and part.get("ros__parameters")), None)


def generate_launch_description():
    """The node, and RViz if wanted."""
    rviz = Node(package="rviz2", executable="rviz2", name="rviz2",
                arguments=["-d", str(SHARE / "config" / "mapping.rviz")],
                parameters=[{"use_sim_time": LaunchConfiguration("use_sim_time")}],
                condition=IfCondition(LaunchConfiguration("rviz")))
    return LaunchDescription([*arguments(), *shared_memory(), OpaqueFunction(function=start), rviz])


def shared_memory():
    """Room for images in Fast DDS's shared memory, unless the user has a profile; other middlewares ignore it."""
    name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    return [] if name in os.environ else [SetEnvironmentVariable(name, str(SHARE / "config" / "fastdds.xml"))]
