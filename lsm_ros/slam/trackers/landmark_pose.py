# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a frame set from the landmarks of keyframes: near an expected pose, by flow from the last frame, by descriptors."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.base import Matches, SparsePairModel
from lsm_ros.slam.graph.bundle import GATE
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.pose import RigPose, View, solve_rig_pose
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.progress import Progress
from lsm_ros.slam.trackers.whole_image import agreement, confirms
from lsm_ros.types import TrackingState

LOCATE_INLIERS = 12  # by descriptors; what they find is checked by the landmarks
CLEAR_INLIERS = 30  # by descriptors; as many are believed without that check
CLEAR_SHARE = 0.5
BORDER_PX = 8.0  # of the image, where points are not looked for


class LandmarkPose:
    """Fills `pose`, `matches`, `fraction` and `reference` of frame sets. Each way returns why there is no pose, or ''."""

    def __init__(self, config: Config, model: SparsePairModel, graph: KeyframeGraph, progress: Progress) -> None:
        self.config, self._model, self._graph, self._progress = config, model, graph, progress

    def near(self, new: TrackedFrame, references: Sequence[int], guess: np.ndarray, min_fraction: float) -> str:
        """From the landmarks of keyframes `references`, searched where the pose `guess` (4, 4) puts them. At least
        `min_fraction` of those of one keyframe must be found."""
        t = self.config.tracking
        found: dict[tuple[int, str], Matches] = {}
        views: list[View] = []
        for i in references:
            keyframe = self._graph.keyframes[i]
            for camera, view in keyframe.views.items():
                if camera not in new.tokens or not len(view.corners):
                    continue
                matches = self._match(new, guess, keyframe, view)
                found[i, camera] = matches
                points_map = transform_points(keyframe.T_map_rig, view.points_rig())
                views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points_map[matches.index_b],
                                  matches.pixels_a, matches.depth_a))
        pose = solve_rig_pose(views, guess, self._graph.match_sigma_px, t.depth_sigma, t.huber, t.min_inliers, self.config.seed,
                              GATE * t.sigma_px)
        if pose is None:
            return f"fewer than {t.min_inliers} points of the map agree on a pose"
        kept = {key: m.where(inliers) for (key, m), inliers in zip(found.items(), pose.inliers, strict=True)}
        best, share = self._best(new, references, kept)
        if share < min_fraction:
            return f"only {share:.0%} of a keyframe's points were found"
        too_fast = self._progress.too_fast(new.stamp_ns, pose.T_map_rig, t)
        if too_fast:
            return too_fast
        new.pose, new.matches = pose, {k: m for k, m in kept.items() if len(m)}
        new.fraction, new.reference = share, best
        return ""

    def _match(self, new: TrackedFrame, guess: np.ndarray, keyframe: Keyframe, view: KeyframeView) -> Matches:
        T_cam_rig_kf = se3_inverse(guess @ new.T_rig_cam[view.camera]) @ keyframe.T_map_rig
        pixels, _ = new.intrinsics[view.camera].project(transform_points(T_cam_rig_kf, view.points_rig()))
        return self._model.match(new.tokens[view.camera], view.tokens, pixels)

    def _best(self, new: TrackedFrame, references: Sequence[int], kept: dict[tuple[int, str], Matches]) -> tuple[int, float]:
        """The keyframe of which most is found, and the share of its landmarks."""
        shares = {}
        for i in references:
            total = sum(len(v.corners) for c, v in self._graph.keyframes[i].views.items() if c in new.tokens)
            shares[i] = sum(len(m) for (k, _), m in kept.items() if k == i) / total if total else 0.0
        best = max(shares, key=lambda i: shares[i])
        return best, shares[best]

    def share_in_view(self, new: TrackedFrame) -> float:
        """Share of the landmarks that were found, of those that the pose puts into the image, of all keyframes of which any
        were: where one of them shows nothing but a repeated pattern, another one shows that the pose is a period off."""
        assert new.pose is not None
        promised = 0
        for keyframe in [self._graph.keyframes[i] for i in sorted({i for i, _ in new.matches})]:
            for camera, view in keyframe.views.items():
                if camera in new.tokens:
                    intrinsics = new.intrinsics[camera]
                    T_cam_rig_kf = se3_inverse(new.pose.T_map_rig @ new.T_rig_cam[camera]) @ keyframe.T_map_rig
                    pixels, ok = intrinsics.project(transform_points(T_cam_rig_kf, view.points_rig()))
                    promised += int(np.count_nonzero(ok & intrinsics.contains(pixels, BORDER_PX)))
        return sum(len(m) for m in new.matches.values()) / max(promised, 1)

    def by_flow(self, new: TrackedFrame, last: TrackedFrame) -> np.ndarray | None:
        """A guess T_map_rig (4, 4) from where the points of the last frame set went, for motion that nobody expected; None
        where they were not found again."""
        t, views = self.config.tracking, []
        for (i, camera), matches in last.matches.items():
            view = self._graph.keyframes[i].views[camera] if i in self._graph.keyframes else None
            if view is None or camera not in new.tokens or not len(matches):
                continue
            found, pixels = self._model.follow(new.tokens[camera], last.tokens[camera], matches.pixels_a)
            points = transform_points(self._graph.keyframes[i].T_map_rig, view.points_rig()[matches.index_b[found]])
            views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points, pixels, np.full(len(found), np.nan)))
        guess = solve_rig_pose(views, None, 2 * t.sigma_px, t.depth_sigma, t.huber, t.min_inliers, self.config.seed)
        return None if guess is None else guess.T_map_rig

    def anywhere(self, new: TrackedFrame, keyframe: int) -> str:
        """As `by_descriptors` against one keyframe, with a stricter test, however far that is from the newest pose."""
        before, self._progress.state = self._progress.state, TrackingState.LOST  # every pose is possible
        reason = self.by_descriptors(new, [keyframe], self.config.tracking.relocalize_match_fraction)
        self._progress.state = before
        return reason

    def by_descriptors(self, new: TrackedFrame, keyframes: Sequence[int], min_fraction: float) -> str:
        """From descriptors, against one keyframe after the other.

        A find counts if the landmarks around it are then found where they should be, or, where the view has changed too
        much for that, if descriptors alone agree clearly; and if the whole image agrees with the map.
        """
        for i in keyframes:
            located, share = self._locate(new, self._graph.keyframes[i])
            if located is None:
                continue
            around = [i, *self._graph.candidates(located.T_map_rig, new.cameras, 2, exclude=[i])]
            clear = located.inlier_count >= CLEAR_INLIERS and share >= CLEAR_SHARE
            if self.near(new, around, located.T_map_rig, min_fraction):  # not found there
                if not clear or self._progress.too_fast(new.stamp_ns, located.T_map_rig, self.config.tracking):
                    continue
                new.pose, new.matches, new.fraction, new.reference = located, {}, min_fraction, i
            if self.is_confirmed(new, around):
                return ""
        return "the frame fits no keyframe"

    def is_confirmed(self, new: TrackedFrame, keyframes: Sequence[int]) -> bool:
        """True if the whole image speaks for the pose; else the pose is taken back."""
        assert new.pose is not None
        found = agreement(self._model, new, new.pose.T_map_rig, [self._graph.keyframes[i] for i in keyframes])
        if confirms(found):
            return True
        new.pose, new.matches, new.fraction, new.reference = None, {}, 0.0, None
        return False

    def _locate(self, new: TrackedFrame, keyframe: Keyframe) -> tuple[RigPose | None, float]:
        """Pose from the descriptors that the frame set shares with a keyframe, and the share of them that agree."""
        t, views = self.config.tracking, []
        for camera, view in keyframe.views.items():
            if camera in new.tokens:
                both = self._model.correspond(new.tokens[camera], view.tokens)
                both = both.where(np.isfinite(both.depth_b))
                points_cam = view.intrinsics.unproject(both.pixels_b) * both.depth_b[:, None]
                points_map = transform_points(keyframe.T_map_rig @ view.T_rig_cam, points_cam)
                views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points_map, both.pixels_a, both.depth_a))
        found = solve_rig_pose(views, None, 2 * t.sigma_px, 3 * t.depth_sigma, t.huber, LOCATE_INLIERS, self.config.seed)
        return found, 0.0 if found is None else found.inlier_count / sum(len(v.pixels) for v in views)


def take(new: TrackedFrame, found: TrackedFrame) -> None:
    """Gives a frame set what was found in a copy of it."""
    new.pose, new.matches, new.fraction, new.reference = found.pose, found.matches, found.fraction, found.reference


def blank(new: TrackedFrame) -> TrackedFrame:
    """A copy of a frame set in which nothing was found yet."""
    return replace(new, pose=None, matches={}, fraction=0.0, reference=None)
