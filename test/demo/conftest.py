# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tests of the demo talk over topics, too."""
import helpers.ros_environment  # noqa: F401
