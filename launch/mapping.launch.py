# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Starts the node /mapping.

    ros2 launch lsm_ros mapping.launch.py image:=/camera/color/image_raw camera_info:=/camera/color/camera_info \
        depth:=/camera/aligned_depth_to_color/image_raw base_frame:=base_link
    ros2 launch lsm_ros mapping.launch.py cameras:=front,rear image:=/front/color,/rear/color \
        camera_info:=/front/info,/rear/info base_frame:=base_link
    ros2 launch lsm_ros mapping.launch.py namespace:=robot1 image:=color/image_raw camera_info:=color/camera_info

With several cameras the topics stand in the order of `cameras`, separated by commas; an empty place leaves that camera's
topic at <camera>/image and so on; topics without a leading slash are below `namespace`. An argument that is left empty leaves
the value of the parameter file.
"""
import os
from pathlib import Path
from typing import List  # noqa: UP035  launch_ros compares with this one

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import Parameter

from launch import LaunchDescription
from lsm_ros.ros.launch_arguments import INPUTS, camera_names, full_namespace, logger_name, names, read_parameters, remappings

SHARE = Path(__file__).resolve().parent.parent
NODE_ARGUMENTS = {"base_frame": "robot's base frame; 'none' is the body frame of the first camera",
                  "odom_frame": "odometry frame on TF; 'none' if there is no odometry",
                  "map_frame": "name of the map frame on TF; two robots need one each",
                  "map_directory": "folder of saved maps", "load_map": "name of a saved map to start with",
                  "image_transport": "raw or compressed", "image_reliability": "best_effort or reliable"}


def arguments():
    """Arguments that can be given on the command line."""
    config = str(SHARE / "config" / "mapping.yaml")
    out = [DeclareLaunchArgument("config", default_value=config, description="parameter file"),
           DeclareLaunchArgument("params_file", default_value="", description="the same, as Nav2 calls it"),
           DeclareLaunchArgument("namespace", default_value="", description="of the node, its topics and services"),
           DeclareLaunchArgument("cameras", default_value="", description="names of the cameras, separated by commas"),
           DeclareLaunchArgument("use_sim_time", default_value="false", description="time comes from /clock"),
           DeclareLaunchArgument("replay", default_value="false", description="wait for the worker, drop nothing"),
           DeclareLaunchArgument("autostart", default_value="true", description="configure and activate at once"),
           DeclareLaunchArgument("rviz", default_value="false", description="start RViz"),
           DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error")]
    out += [DeclareLaunchArgument(name, default_value="", description=text) for name, text in NODE_ARGUMENTS.items()]
    out += [DeclareLaunchArgument(name, default_value="", description=f"topics of {name}, in the order of the cameras")
            for name in INPUTS]
    return out


def as_bool(context, name):
    """A yes or no of the command line."""
    text = LaunchConfiguration(name).perform(context).strip().lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{name}:={text} is neither true nor false")
    return text in ("true", "1")


def start(context):
    """The node with its parameters and remappings, and RViz if wanted."""
    def given(name):
        return LaunchConfiguration(name).perform(context).strip()

    config = given("params_file") or given("config")
    namespace = full_namespace(context.launch_configurations.get("ros_namespace", ""), given("namespace"))
    # One by one on the node's command line: of a dictionary launch_ros makes a file that it never removes.
    parameters = [Parameter(name, as_bool(context, name), value_type=bool) for name in ("use_sim_time", "replay", "autostart")]
    parameters += [Parameter(name, "" if given(name) == "none" else given(name), value_type=str)
                   for name in NODE_ARGUMENTS if given(name)]
    cameras = camera_names(given("cameras"), read_parameters(Path(config), namespace))
    if given("cameras"):
        parameters.append(Parameter("cameras", names(given("cameras")), value_type=List[str]))  # noqa: UP006
    node = LifecycleNode(package="lsm_ros", executable="mapping_node", name="mapping", namespace=given("namespace"),
                         output="screen", parameters=[config, *parameters],
                         remappings=remappings(cameras, {name: given(name) for name in INPUTS}),
                         arguments=["--ros-args", "--log-level", f"{logger_name(namespace)}:={given('log_level')}"])
    return [*(rviz() if as_bool(context, "rviz") else []), node]


def rviz():
    """RViz with the map. ValueError where it is not installed: an error once the node runs would leave that behind."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        raise ValueError("rviz:=true needs rviz2, which is not installed (apt install ros-$ROS_DISTRO-rviz2)") from error
    return [Node(package="rviz2", executable="rviz2", name="rviz2",
                 arguments=["-d", str(SHARE / "config" / "mapping.rviz")],
                 parameters=[Parameter("use_sim_time", LaunchConfiguration("use_sim_time"), value_type=bool)])]


def generate_launch_description():
    """The node, and RViz if wanted."""
    return LaunchDescription([*arguments(), *shared_memory(), OpaqueFunction(function=start)])


def shared_memory():
    """Room for images in Fast DDS's shared memory, unless the user has a profile; other middlewares ignore it."""
    name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    return [] if name in os.environ else [SetEnvironmentVariable(name, str(SHARE / "config" / "fastdds.xml"))]
