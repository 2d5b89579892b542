# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with a multi-view network, by windows: the new frame and several keyframes, seen in one run.

Windows overlap in their keyframes, whose places in the map are known; by these a run is placed, and judged. Everything else is
as with networks that see two images (`lsm_ros.slam.trackers.pointmap`).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.base import VIEWS, PairModel
from lsm_ros.slam.graph.keyframes import Keyframe
from lsm_ros.slam.pointmap.loops import LoopCloser
from lsm_ros.slam.pointmap.pose import PairPose, Rig, predict_for
from lsm_ros.slam.pointmap.view import PointmapKeyframe
from lsm_ros.slam.pointmap.window import looks, solve_window
from lsm_ros.slam.trackers.pointmap import PointmapTracker
from lsm_ros.slam.trackers.pointmap_frame import PointmapFrame
from lsm_ros.slam.trackers.whole_image import contradiction, refutation, same_cameras
from lsm_ros.types import TrackingState


@dataclass
class WindowLoops(LoopCloser):
    """As `LoopCloser`. Both directions of a pair come from one run here, so that they agree even where it is wrong: what says
    otherwise are the images."""

    def _refuted(self, new: PointmapKeyframe, solved: PairPose) -> bool:
        T_map_rig = solved.keyframe.T_map_rig @ se3_inverse(solved.alignment.T_new_kf)
        return bool(contradiction(look(new, [solved.keyframe], T_map_rig)))


class WindowTracker(PointmapTracker):
    """Tracks frame sets in windows of `config.pointmap.window` images. Not thread-safe."""

    loop_closer = WindowLoops

    @staticmethod
    def suits(model: PairModel) -> bool:
        """True for models that see several images at once."""
        return VIEWS in model.gives

    def _solve(self, new: PointmapFrame, rig: Rig, keyframe: PointmapKeyframe, starts: Mapping) -> PairPose | str:
        """Pose in the window of a keyframe and those that are linked with it."""
        window = [keyframe, *self._beside(new, keyframe)]
        found = predict_for(self.model, [(rig, k) for k in window])
        solved = solve_window(rig, window, found, self.config, not self.model.is_metric, starts)
        if isinstance(solved, str):
            return solved
        agree = [k for k in window if k is solved.keyframe or any(i == k.id for i, _ in solved.others)]
        T_map_rig = solved.keyframe.T_map_rig @ se3_inverse(solved.alignment.T_new_kf)
        seen = look(new, agree, T_map_rig)
        return (contradiction if self.state is TrackingState.LOST else refutation)(seen) or solved

    def _beside(self, new: PointmapFrame, keyframe: PointmapKeyframe) -> list[PointmapKeyframe]:
        """Keyframes linked with one that show most of the same as it."""
        graph = self.graph
        cameras = {c: k for c, k in new.cameras.items() if c in keyframe.views}
        shared = {i: graph.overlap(graph.keyframes[i], keyframe.T_map_rig, cameras) for i in graph.linked(keyframe.id)
                  if i in graph.keyframes}
        best = sorted((i for i, s in shared.items() if s > 0), key=lambda i: (-shared[i], -i))
        return [graph.keyframes[i] for i in best[:self.config.pointmap.window - 2]]


def look(new: PointmapFrame | Keyframe, keyframes: list[PointmapKeyframe], T_map_rig: np.ndarray) -> Agreement:
    """Agreement of the images of a frame set, or of a keyframe, at T_map_rig (4, 4) with those of keyframes."""
    return sum((looks(tokens.image, tokens.crop.intrinsics(intrinsics), tokens.mask, view, T)
                for tokens, intrinsics, view, T in same_cameras(new, T_map_rig, keyframes)), Agreement())
