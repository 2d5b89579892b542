# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lets the tests of the voxel map share `fusion_scenes`."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
