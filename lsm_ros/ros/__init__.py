# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The ROS 2 node. Nothing but this folder and `lsm_ros.demo` imports rclpy or a message."""
