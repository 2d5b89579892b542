# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stand-in for sensor_msgs_py on machines without a ROS installation: point clouds to NumPy and back."""
