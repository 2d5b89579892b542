# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects: things of counted classes in the voxels of a map, and their numbers, which stay while the map changes."""
from lsm_ros.semantics.objects.finding import LabelledVoxels, Seen, find_objects
from lsm_ros.semantics.objects.keeping import ObjectKeeper
from lsm_ros.semantics.objects.map_object import Box, MapObject

__all__ = ["Box", "LabelledVoxels", "MapObject", "ObjectKeeper", "Seen", "find_objects"]
