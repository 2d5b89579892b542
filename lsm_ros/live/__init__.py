# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages of one instant put together, and the thread that works on them. Knows no ROS."""
