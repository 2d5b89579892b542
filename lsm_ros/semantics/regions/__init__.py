# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Regions: the rooms of a map, the doors between them, and poses to go to."""
from lsm_ros.semantics.regions.finding import Door, Region, Regions, find_regions
from lsm_ros.semantics.regions.goals import Goal, goal_near
from lsm_ros.semantics.regions.naming import Pin, with_names

__all__ = ["Door", "Goal", "Pin", "Region", "Regions", "find_regions", "goal_near", "with_names"]
