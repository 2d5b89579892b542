# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with measured depth: landmarks have the depth that a camera measures, and the map is metric."""
from __future__ import annotations

import numpy as np

from lsm_ros.config import Config
from lsm_ros.pairs.base import MATCHES, PairModel, SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers.base import FrameDepth, KeyframeDepth, Start, TrackedFrame, Tracker
from lsm_ros.slam.trackers.landmark import LandmarkTracker


class DepthTracker(LandmarkTracker):
    """Tracks frame sets of cameras with depth; owns the keyframe graph. Not thread-safe."""

    def __init__(self, config: Config, model: SparsePairModel) -> None:
        super().__init__(config, model)
        self._waiting: list[tuple[int, TrackedFrame]] = []  # keyframes whose depth was not taken yet

    @staticmethod
    def suits(model: PairModel) -> bool:
        """True for models that find points again in images with depth."""
        return MATCHES in model.gives and model.uses_depth

    def can_start(self, new: TrackedFrame) -> bool:
        """True if the frame set has enough landmarks of its own."""
        return any(len(t.corners) >= self.config.tracking.min_inliers for t in new.tokens.values())

    def start(self, new: TrackedFrame, T_map_rig: np.ndarray) -> Start:
        """Takes the frame set as the first keyframe if it has landmarks."""
        if not self.can_start(new):
            return Start(None, "too few corners with depth to start from")
        return Start(self.add_keyframe(new, T_map_rig)[0])

    def add_keyframe(self, new: TrackedFrame, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """As `LandmarkTracker.add_keyframe`; the map can have its depth at once."""
        keyframe, loops = super().add_keyframe(new, T_map_rig)
        self._waiting.append((keyframe.id, new))
        return keyframe, loops

    def frame_depth(self, new: TrackedFrame) -> dict[str, FrameDepth]:
        """The measured depth, by camera."""
        return {c: FrameDepth(f, new.intrinsics[c], f.depth, measured_confidence(f.depth), measured=True)
                for c, f in new.frames.items() if f.depth is not None}

    def take_depth(self, everything: bool = False) -> list[KeyframeDepth]:
        """The measured depth of new keyframes."""
        waiting, self._waiting = self._waiting, []
        return [KeyframeDepth(i, new.T_rig_cam[c], view) for i, new in waiting for c, view in self.frame_depth(new).items()]

    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """1: the camera measures the scale."""
        return 1.0

    def unit_ratio(self, here: TrackedFrame, new: TrackedFrame, there: Tracker) -> float:
        """1: the camera measures the scale."""
        return 1.0

    def resize(self, factor: float) -> None:
        """ValueError: the camera measures the scale."""
        raise ValueError(f"a map made of measured depth cannot be resized by {factor}")

    def finish(self) -> None:
        """Adjusts all keyframes that came since that was done last."""
        self.catch_up()
        if self.graph.adjusted_at != self.graph.next_id:
            self._back.link_all()
            self.graph.adjust_all()

    def _measured(self, new: TrackedFrame, camera: str, T_map_rig: np.ndarray) -> tuple[np.ndarray, float | None]:
        return new.tokens[camera].inverse_depth, None

    def _neighbours(self, graph: KeyframeGraph, keyframe: Keyframe, new: TrackedFrame) -> list[int]:
        return graph.candidates(keyframe.T_map_rig, new.cameras, self.config.keyframes.neighbours, before=keyframe.id)


def measured_confidence(depth: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: 1 up to 1 m, then falling with depth, as the noise of depth cameras grows; 0 = none."""
    confidence = (1.0 / np.maximum(depth, np.float32(1.0))).astype(np.float32, copy=False)
    confidence[~(depth > 0)] = 0.0  # NaN is none either
    return confidence
