# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The voxel map: exact sums of what observations contribute, and what is read from them."""
from lsm_ros.fusion.backends.blocks import MapFullError
from lsm_ros.fusion.files.ply import PlyCloud, read_ply, write_ply
from lsm_ros.fusion.voxel_map import VoxelMap

__all__ = ["MapFullError", "PlyCloud", "VoxelMap", "read_ply", "write_ply"]
