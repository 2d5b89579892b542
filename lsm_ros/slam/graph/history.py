# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses of all frames, held relative to keyframes so that they follow when the graph changes."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.scale import resized
from lsm_ros.types import TrajectoryPose

MAX_POSES = 2_000_000


@dataclass(frozen=True)
class PoseRecord:
    """A frame's pose: its reference keyframe, T_keyframe_rig (4, 4), the keyframe's size then, and the pose as it was first
    published, None if it was not."""

    stamp_ns: int
    keyframe: int
    T_keyframe_rig: np.ndarray
    size: float
    online: np.ndarray | None

    def final(self, graph: KeyframeGraph) -> TrajectoryPose:
        """The pose in the map as it is now. Where the map has another size than then, the camera's way has too."""
        keyframe = graph.keyframes[self.keyframe]
        T_keyframe_rig = self.T_keyframe_rig
        if keyframe.size != self.size:
            T_rig_cam = next(iter(keyframe.views.values())).T_rig_cam
            T_keyframe_rig = resized(T_keyframe_rig, T_rig_cam, T_rig_cam[:3, 3], keyframe.size / self.size)
        return TrajectoryPose(self.stamp_ns, keyframe.T_map_rig @ T_keyframe_rig)


class PoseHistory:
    """Poses of the frames tracked in `graph`, and of those of earlier graphs. At most two million of each are kept."""

    def __init__(self) -> None:
        self._records: deque[PoseRecord] = deque(maxlen=MAX_POSES)
        self._final: deque[TrajectoryPose] = deque(maxlen=MAX_POSES)
        self._online: deque[TrajectoryPose] = deque(maxlen=MAX_POSES)

    def add(self, stamp_ns: int, T_map_rig: np.ndarray, graph: KeyframeGraph, keyframe: int, published: bool = True) -> None:
        """A frame's pose, tied to a keyframe of the graph. published: false for a pose that was found only afterwards."""
        T_keyframe_rig = se3_inverse(graph.keyframes[keyframe].T_map_rig) @ T_map_rig
        self._records.append(PoseRecord(stamp_ns, keyframe, T_keyframe_rig, graph.keyframes[keyframe].size,
                                        T_map_rig.copy() if published else None))

    def retire(self, graph: KeyframeGraph, keyframe: int | None = None) -> None:
        """Fixes the poses tied to a keyframe that leaves the graph, or all of them when the graph itself goes."""
        kept: deque[PoseRecord] = deque(maxlen=MAX_POSES)
        for r in self._records:
            if keyframe is None or r.keyframe == keyframe:
                self._final.append(r.final(graph))
                if r.online is not None:
                    self._online.append(TrajectoryPose(r.stamp_ns, r.online))
            else:
                kept.append(r)
        self._records = kept

    def final(self, graph: KeyframeGraph) -> list[TrajectoryPose]:
        """Final poses in order of time."""
        live = [r.final(graph) for r in self._records]
        return sorted([*self._final, *live], key=lambda p: p.stamp_ns)

    def online(self) -> list[TrajectoryPose]:
        """Poses as they were first published, in order of time."""
        live = [TrajectoryPose(r.stamp_ns, r.online) for r in self._records if r.online is not None]
        return sorted([*self._online, *live], key=lambda p: p.stamp_ns)
