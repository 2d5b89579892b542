# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The environment of tests that talk over topics; to be imported before rclpy."""
import os
from pathlib import Path

# Of its own for each test process, and below 102, where the ports of DDS are outside of the ephemeral range.
os.environ["ROS_DOMAIN_ID"] = os.environ.get("LSM_TEST_DOMAIN_ID", str(2 + os.getpid() % 99))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(Path(__file__).resolve().parents[2] / "config" / "fastdds.xml")
