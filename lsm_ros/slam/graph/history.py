# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses of all frames, held relative to keyframes so that they follow when the graph changes."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.slam.scale import resized
from lsm_ros.types import TrajectoryPose

MAX_POSES = 2_000_000


@dataclass(frozen=True)
class PoseRecord:
    """A frame's pose: its reference keyframe, T_keyframe_rig (4, 4), and the keyframe's size then."""

    stamp_ns: int
    keyframe: int
    T_keyframe_rig: np.ndarray
    size: float

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

    def __len__(self) -> int:
        return len(self._records) + len(self._final)

    def add(self, stamp_ns: int, T_map_rig: np.ndarray, graph: KeyframeGraph, keyframe: int, published: bool = True) -> None:
        """A frame's pose, tied to a keyframe of the graph. published: false for a pose that was found only afterwards."""
        self._records.append(record(stamp_ns, T_map_rig, graph, keyframe))
        if published:
            self._online.append(TrajectoryPose(stamp_ns, T_map_rig.copy()))

    def retire(self, graph: KeyframeGraph, keyframe: int | None = None) -> None:
        """Fixes the poses tied to a keyframe that leaves the graph, or all of them when the graph itself goes."""
        kept: deque[PoseRecord] = deque(maxlen=MAX_POSES)
        for r in self._records:
            if keyframe is None or r.keyframe == keyframe:
                self._final.append(r.final(graph))
            else:
                kept.append(r)
        self._records = kept

    def take(self, other: PoseHistory, keyframes: Iterable[int]) -> None:
        """Takes over the poses tied to keyframes that come from another graph. What was published stays where it was."""
        moved = set(keyframes)
        ours = [r for r in other._records if r.keyframe in moved]
        other._records = deque((r for r in other._records if r.keyframe not in moved), maxlen=MAX_POSES)
        self._records = deque(sorted([*self._records, *ours], key=lambda r: r.stamp_ns), maxlen=MAX_POSES)

    def detach(self, graph: KeyframeGraph, since_ns: int, keyframes: Iterable[int]) -> int:
        """Poses from a time on turn out not to belong to the keyframes that they are tied to: they are tied to the last one
        before them, or the first, of those given. Without any these poses are forgotten; returns how many were."""
        ours = sorted((graph.keyframes[i].stamp_ns, i) for i in keyframes)
        known, kept, forgotten = {i for _, i in ours}, [], 0
        for r in self._records:
            if r.stamp_ns < since_ns or r.keyframe in known:
                kept.append(r)
            elif ours:
                before = [i for stamp_ns, i in ours if stamp_ns <= r.stamp_ns]
                kept.append(record(r.stamp_ns, r.final(graph).T_map_rig, graph, before[-1] if before else ours[0][1]))
            else:
                forgotten += 1
        self._records = deque(kept, maxlen=MAX_POSES)
        return forgotten

    def final(self, graph: KeyframeGraph) -> list[TrajectoryPose]:
        """Final poses in order of time."""
        live = [r.final(graph) for r in self._records]
        return sorted([*self._final, *live], key=lambda p: p.stamp_ns)

    def online(self) -> list[TrajectoryPose]:
        """Poses as they were first published, in order of time."""
        return sorted(self._online, key=lambda p: p.stamp_ns)


def record(stamp_ns: int, T_map_rig: np.ndarray, graph: KeyframeGraph, keyframe: int) -> PoseRecord:
    """A pose tied to a keyframe of a graph."""
    tied = graph.keyframes[keyframe]
    return PoseRecord(stamp_ns, keyframe, se3_inverse(tied.T_map_rig) @ T_map_rig, tied.size)
