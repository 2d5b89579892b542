# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A rendered room with a robot in it, whose truth is known."""
from lsm_ros.sim.source import RoomSource

__all__ = ["RoomSource"]
