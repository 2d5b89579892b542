# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A second look at frames that got no pose while the map was made: most of them show what the finished map knows."""
from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from lsm_ros.mapping.frames import FramePreparation
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.trackers import Tracker
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.types import FrameSet, TrajectoryPose

MOST_HELD, MOST_BYTES = 40, 100 << 20  # frames in a row, and bytes of their images, that are held in memory at once


class SecondLook:
    """Looks for frames in the map of `tracker`, in order of time; what it finds goes into `history`. known: poses of the other
    frames."""

    def __init__(self, tracker: Tracker, history: PoseHistory, prepare: FramePreparation, known: Iterable[TrajectoryPose]
                 ) -> None:
        self._tracker, self._history, self._prepare = tracker, history, prepare
        self._poses = {p.stamp_ns: p.T_map_rig for p in known}
        self._stamps = sorted(self._poses)

    def look(self, frame_sets: Iterable[FrameSet]) -> int:
        """Number of the frames without a pose that were found. All frames may be given; those with a pose are passed over."""
        return sum(self._look_at(run) for run in self._runs(frame_sets))

    def _runs(self, frame_sets: Iterable[FrameSet]) -> Iterator[list[FrameSet]]:
        """Frames without a pose that follow each other."""
        run: list[FrameSet] = []
        held = 0
        for frame_set in frame_sets:
            if frame_set.stamp_ns not in self._poses:
                run.append(frame_set)
                held += sum(f.image.nbytes + (0 if f.depth is None else f.depth.nbytes) for f in frame_set.frames)
            if run and (frame_set.stamp_ns in self._poses or len(run) >= MOST_HELD or held >= MOST_BYTES):
                yield run
                run, held = [], 0
        if run:
            yield run

    def _look_at(self, run: list[FrameSet]) -> int:
        """Looks for frames from where poses are known, one after the other: each one that is found shows where the next is."""
        found, waiting = 0, list(run)
        while waiting and self._stamps:
            nearest = min(waiting, key=lambda f: abs(f.stamp_ns - self._nearest(f.stamp_ns)))
            waiting.remove(nearest)
            pose = self._find(nearest)
            if pose is not None and pose.pose is not None and pose.reference is not None:
                T = pose.pose.T_map_rig
                self._history.add(nearest.stamp_ns, T, self._tracker.graph, pose.reference, published=False)
                self._poses[nearest.stamp_ns] = T
                self._stamps.insert(bisect_left(self._stamps, nearest.stamp_ns), nearest.stamp_ns)
                found += 1
        return found

    def _nearest(self, stamp_ns: int) -> int:
        """Time of the known pose that is nearest."""
        at = bisect_left(self._stamps, stamp_ns)
        return min(self._stamps[max(at - 1, 0):at + 1], key=lambda s: abs(s - stamp_ns))

    def _find(self, frame_set: FrameSet) -> TrackedFrame | None:
        """The frame with its pose, near the nearest known one or anywhere; None for one that cannot be used either."""
        guess: np.ndarray = self._poses[self._nearest(frame_set.stamp_ns)]
        try:
            new = self._tracker.read(self._prepare(frame_set, self._tracker))
            return None if new is None else self._tracker.confirm(new, guess) or self._tracker.locate(new)
        except (ValueError, cv2.error):  # the map is whole without it
            return None
