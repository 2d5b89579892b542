# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bounds of the keyframe graph."""
from __future__ import annotations

from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.graph.keyframes import KeyframeGraph

FEWEST_KEYFRAMES = 3


def bound_keyframes(graph: KeyframeGraph, voxels: VoxelMap, history: PoseHistory, config: Config, warnings: Warnings) -> None:
    """Keeps number and memory of the keyframes below their limits: the oldest leave the graph. Their part of the map stays
    where it is, and so do their frames' poses."""
    most_bytes = config.limits.keyframe_megabytes * 1e6
    while len(graph.keyframes) > config.keyframes.max_keyframes or (
            graph.nbytes + voxels.observation_bytes > most_bytes and len(graph.keyframes) > FEWEST_KEYFRAMES):
        oldest = min(graph.keyframes)
        history.retire(graph, oldest)
        voxels.freeze(oldest)
        graph.remove(oldest)
        warnings.say("keyframes", "the oldest keyframes were dropped to stay within limits; their map stays as it is")
