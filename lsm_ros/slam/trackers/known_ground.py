# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Known ground: keyframes that show what a frame set shows, from about the same place, so that no new one is needed."""
from __future__ import annotations

import numpy as np

from lsm_ros.config import Config
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, motion
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose, blank
from lsm_ros.slam.trackers.watch import Watch
from lsm_ros.slam.trackers.whole_image import LEAST_MEASURED, agreement

NEAREST, LOOKED_AT = 8, 2  # keyframes around, and of these, that may make a new one needless
KNOWN_SHARE = 0.7  # of the overlap below which a keyframe is due: one around that has as much makes it needless
SAME_POSE = 0.02  # median depths and radians between the pose by that keyframe alone and the pose by all
UNCHANGED = 0.75  # of the measured depths: the world is as a keyframe of known ground shows it


class KnownGround:
    """Knowledge of what the keyframes of a graph already show. pose: finds frame sets by their landmarks."""

    def __init__(self, config: Config, model: SparsePairModel, graph: KeyframeGraph, pose: LandmarkPose) -> None:
        self._rule, self._model, self._graph, self._pose = config.keyframes, model, graph, pose
        self._look_again = Watch()
        self._last: int | None = None  # the keyframe that was found to be enough

    def is_elsewhere(self, keyframe: int, T_map_rig: np.ndarray) -> bool:
        """True for a pose (4, 4) too far from a keyframe's to show the same."""
        there = self._graph.keyframes[keyframe]
        distance, angle = motion(there.T_map_rig, T_map_rig)
        return distance > self._rule.max_translation * there.median_depth or angle > self._rule.max_rotation

    def known_by(self, new: TrackedFrame, T_map_rig: np.ndarray, reference: int | None) -> int | None:
        """A keyframe that shows the same as a frame set at T_map_rig (4, 4) from about the same place, and by whose landmarks
        alone the frame set is there. reference: the keyframe that shows too little of it. One that was found remains enough as
        long as the frames show as much of it."""
        least = KNOWN_SHARE * self._rule.overlap
        if self._last in self._graph.keyframes and self._shown(new, self._last) >= least \
                and not self.is_elsewhere(self._last, T_map_rig):
            return self._last
        nearest = self._graph.nearest(T_map_rig, new.cameras, NEAREST)
        for i in [i for i in nearest if i != reference and not self.is_elsewhere(i, T_map_rig)][:LOOKED_AT]:
            found = blank(new)
            if not self._pose.near(found, [i], T_map_rig, least) and found.pose is not None:
                distance, angle = motion(T_map_rig, found.pose.T_map_rig)
                if distance < SAME_POSE * self._graph.keyframes[i].median_depth and angle < SAME_POSE:
                    self._last = i
                    return i
        return None

    def _shown(self, new: TrackedFrame, keyframe: int) -> float:
        """Share of a keyframe's landmarks that a frame set shows."""
        found = sum(len(m) for (i, _), m in new.matches.items() if i == keyframe)
        return found / max(self._graph.keyframes[keyframe].landmark_count, 1)

    def has_changed(self, new: TrackedFrame, known: Keyframe) -> bool:
        """True if what a keyframe showed is no longer there; looked at now and then."""
        if new.pose is None or not self._look_again.is_due(new.stamp_ns):
            return False
        found = agreement(self._model, new, new.pose.T_map_rig, [known])
        return found.measured >= LEAST_MEASURED and found.agree < UNCHANGED * found.measured
