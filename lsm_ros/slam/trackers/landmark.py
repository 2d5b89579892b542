# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking on landmarks, for pair models that find single points again: what tracking with and without depth share.

The landmarks of a few keyframes are projected with the pose expected from odometry or constant velocity, searched near
there, and the pose is solved from all of them.
"""
from __future__ import annotations

from abc import abstractmethod

import numpy as np

from lsm_ros.config import Config
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link, motion, thumbnail
from lsm_ros.slam.pose import RigPose, map_covariance
from lsm_ros.slam.trackers.base import TrackedFrame, Tracker
from lsm_ros.slam.trackers.landmark_links import join
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose
from lsm_ros.slam.trackers.progress import PoseStamp
from lsm_ros.types import FrameSet, TrackingState, TrackingUpdate

RELOCALIZE_TRIES = 6
SAME_VIEW = 0.7  # of what the best keyframe has: the present reference is kept, for it is newer


class LandmarkTracker(Tracker):
    """Tracks frame sets by landmarks; a kind of tracking says where these have their depth from."""

    model: SparsePairModel

    def __init__(self, config: Config, model: SparsePairModel) -> None:
        super().__init__(config, model, KeyframeGraph(config.keyframes, config.tracking))
        self._newest: TrackedFrame | None = None  # the last frame set with a pose

    def apply(self, config: Config) -> None:
        """Takes over parameters, at the start and while running."""
        self.config = config
        self.graph.config, self.graph.tracking = config.keyframes, config.tracking
        self._pose = LandmarkPose(config, self.model, self.graph, self.progress)

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Position of the rig as reported from outside (4, 4); the map is searched there."""
        super().set_initial_pose(T_map_rig)
        self._newest = None

    # frame by frame

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, TrackedFrame | None]:
        """Pose of the frame set; see `Tracker.track`."""
        frames = [f for f in frame_set.frames if f.intrinsics is not None]
        if not frames:
            return self._lose("no camera is calibrated yet"), None
        tokens = dict(zip((f.camera for f in frames), self.model.encode(frames), strict=True))
        new = TrackedFrame(frame_set.stamp_ns, tokens, {f.camera: f.intrinsics for f in frames if f.intrinsics is not None},
                           {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frames}, frame_set.T_odom_base,
                           frames={f.camera: f for f in frames})
        reason = self._find_pose(new) if self.graph.keyframes else ""
        return (self._lose(reason) if new.pose is None else self._accept(new, new.pose)), new

    def _find_pose(self, new: TrackedFrame) -> str:
        """Fills `new.pose` by the first way that works; returns why none did, or ''."""
        reason, initial, t = "", self.progress.initial, self.config.tracking
        if self.state is not TrackingState.LOST or initial is not None:
            reason = self._track_from(new, self._predict(new) if initial is None else initial)
            if new.pose is None and self._newest is not None:
                guess = self._pose.by_flow(new, self._newest)
                reason = (self._track_from(new, guess) if guess is not None
                          else "the last frame's points were not found again") or reason
            if new.pose is None and self.reference is not None:
                reason = self._pose.by_descriptors(new, [self.reference], t.min_match_fraction) or ""
        if new.pose is None and self.state is not TrackingState.INITIALIZING:
            reason = self._relocalize(new) or reason
        return reason

    def _predict(self, new: TrackedFrame) -> np.ndarray:
        expected, newest = self.progress.predict(new.stamp_ns, new.T_odom_base), self.graph.newest
        assert newest is not None  # there is a map to track in
        return newest.T_map_rig if expected is None else expected

    def _track_from(self, new: TrackedFrame, guess: np.ndarray) -> str:
        """From the reference keyframe and its best neighbours."""
        count = self.config.tracking.references
        references = [] if self.reference is None else [self.reference]
        references += self.graph.candidates(guess, new.cameras, count + 1, exclude=references)
        return self._pose.near(new, references[:count], guess, self.config.tracking.min_match_fraction)

    def _relocalize(self, new: TrackedFrame) -> str:
        """Searches the keyframes whose thumbnails are most like the frame set, with a stricter test."""
        here = self._thumbnail(new)
        scored = sorted(((float(k.thumbnail @ here), i) for i, k in self.graph.keyframes.items()
                         if k.thumbnail is not None and k.thumbnail.shape == here.shape), reverse=True)
        before, self.progress.state = self.state, TrackingState.LOST
        likely = [i for _, i in scored[:RELOCALIZE_TRIES]]
        reason = self._pose.by_descriptors(new, likely, self.config.tracking.relocalize_match_fraction)
        if reason:
            self.progress.state = before
        return reason

    def _lose(self, reason: str) -> TrackingUpdate:
        self._newest = None
        return self.progress.lose(reason)

    def _accept(self, new: TrackedFrame, found: RigPose) -> TrackingUpdate:
        self._newest = new
        if new.reference is not None and not self._reference_is_good(new):
            self.progress.reference = new.reference
        pose = PoseStamp(new.stamp_ns, found.T_map_rig, new.T_odom_base)
        return self.progress.accept(pose, map_covariance(found), new.fraction)

    def _reference_is_good(self, new: TrackedFrame) -> bool:
        """True while the present reference sees almost as much as the best one (it is newer, so it is kept)."""
        if self.reference is None or self.reference not in self.graph.keyframes:
            return False
        keyframe = self.graph.keyframes[self.reference]
        found = sum(len(m) for (k, _), m in new.matches.items() if k == self.reference)
        return found >= SAME_VIEW * new.fraction * max(keyframe.landmark_count, 1)

    # keyframes

    def wants_keyframe(self, new: TrackedFrame) -> bool:
        """True if a tracked frame set should become a keyframe (it needs landmarks of its own)."""
        if self.localization_only or new.pose is None or self.reference is None:
            return False
        last, rule = self.graph.keyframes[self.reference], self.config.keyframes
        distance, angle = motion(last.T_map_rig, new.pose.T_map_rig)
        moved = distance > 0.01 * last.median_depth or angle > 0.02
        due = (new.fraction < rule.overlap or distance > rule.max_translation * last.median_depth
               or angle > rule.max_rotation or (moved and (new.stamp_ns - last.stamp_ns) * 1e-9 > rule.max_seconds))
        return due and self.can_start(new)

    def add_keyframe(self, new: TrackedFrame, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """Makes a keyframe of a frame set, links it with its neighbours and optimises around it.

        Returns it and the ids of older keyframes that it was joined to again (loops).
        """
        views = {}
        for camera, tokens in new.tokens.items():
            corners, intrinsics = tokens.corners.astype(np.float64), new.intrinsics[camera]
            measured, guess_std = self._measured(new, camera, T_map_rig)
            views[camera] = KeyframeView(camera, tokens, intrinsics, new.T_rig_cam[camera], corners,
                                         intrinsics.unproject(corners), measured, tokens.inverse_depth.copy(), guess_std)
        keyframe = Keyframe(self.graph.next_id, new.stamp_ns, T_map_rig, views, self._thumbnail(new))
        recent = sorted(self.graph.keyframes)[-self.config.keyframes.window:]
        self.graph.add(keyframe)
        for (other, camera), matches in new.matches.items():
            self.graph.connect(Link(other, camera, keyframe.id, camera, matches))
        least = self.config.tracking.min_inliers
        joined = [i for i in self._neighbours(keyframe, new)
                  if join(self.graph, self.model, keyframe, self.graph.keyframes[i], least)]
        loops = tuple(i for i in joined if i not in recent)
        self.graph.optimize(set(recent) | {keyframe.id} | set(loops))
        if loops:
            self._spread_loop()
        self.progress.keyframe_added(keyframe.id, PoseStamp(new.stamp_ns, keyframe.T_map_rig.copy(), new.T_odom_base))
        return keyframe, loops

    @abstractmethod
    def _measured(self, new: TrackedFrame, camera: str, T_map_rig: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Inverse depth (N,) of the corners, whatever motion will say, and its relative deviation if it is a guess."""

    @abstractmethod
    def _neighbours(self, keyframe: Keyframe, new: TrackedFrame) -> list[int]:
        """Keyframes that a new keyframe is linked with."""

    @abstractmethod
    def _spread_loop(self) -> None:
        """After a loop: corrects everywhere what drifted since."""

    @staticmethod
    def _thumbnail(new: TrackedFrame) -> np.ndarray:
        return thumbnail([new.tokens[camera].gray for camera in sorted(new.tokens)])
