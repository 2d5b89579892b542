# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with a network that predicts pointmaps (DUSt3R, MASt3R, lsm_small): each frame against the current keyframe.

The steps are those of MASt3R-SLAM (Murai et al., CVPR 2025): predict, match on rays, solve the pose, fuse the prediction into
the keyframe's pointmap, take a new keyframe when too little is found again, join it with older ones that show the same.
Keyframes have rigid poses in units of the map; what unit a prediction has is solved with the pose and taken out of its points.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.base import POINTS, PairModel, PointmapPairModel
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.slam.graph.keyframes import Keyframe, Link, motion
from lsm_ros.slam.pointmap.graph import PointmapGraph
from lsm_ros.slam.pointmap.loops import LoopCloser
from lsm_ros.slam.pointmap.matching import match_pair
from lsm_ros.slam.pointmap.pose import PairPose, Rig, predict_for, solve_pair
from lsm_ros.slam.pointmap.ray_bundle import RayNoise
from lsm_ros.slam.pointmap.view import (
    PointmapKeyframe,
    PointmapView,
    find_focal,
    frame_depth,
    grid_corners,
    on_rays,
    sane_confidence,
    why_not_a_camera,
)
from lsm_ros.slam.pose import RigPose, map_covariance
from lsm_ros.slam.trackers.base import FrameDepth, KeyframeDepth, Start, Tracker
from lsm_ros.slam.trackers.bootstrap import START_DEPTH
from lsm_ros.slam.trackers.cameras import with_focal
from lsm_ros.slam.trackers.dense import dense_view
from lsm_ros.slam.trackers.pointmap_frame import PointmapFrame
from lsm_ros.slam.trackers.progress import PoseStamp
from lsm_ros.types import FrameSet, PairPrediction, TrackingState, TrackingUpdate

FUSED_ENOUGH = 4  # predictions in a pointmap that may go into the map while its keyframe is still tracked against
RELOCALIZE_TRIES = 3
SAME_PLACE, SAME_TURN = 0.1, 0.1  # median depths and radians from where a frame should be
KNITTED = 3  # newest keyframes that are linked when two maps are joined


class PointmapTracker(Tracker[PointmapFrame]):
    """Tracks frame sets with predicted pointmaps; owns the keyframe graph. Not thread-safe.

    Without a metric model one camera of a rig is used, the first, because the unit of the predictions for the others is
    unknown. The first keyframe's median depth is then 2 units.
    """

    finds_focal = True
    view_type = PointmapView
    frame_type = PointmapFrame
    loop_closer: type[LoopCloser] = LoopCloser
    model: PointmapPairModel
    graph: PointmapGraph

    def __init__(self, config: Config, model: PointmapPairModel) -> None:
        graph = PointmapGraph(config.keyframes, config.tracking, free_scale=not model.is_metric)
        super().__init__(config, model, graph)
        self.resizes = not model.is_metric
        self._starts: tuple[int, dict[str, np.ndarray | None]] = (-1, {})
        self._waiting: dict[int, PointmapFrame] = {}

    @staticmethod
    def suits(model: PairModel) -> bool:
        """True for models that predict pointmaps."""
        return POINTS in model.gives

    def apply(self, config: Config) -> None:
        """Takes over parameters, at the start and while running."""
        self.config, own = config, config.pointmap
        self.graph.config, self.graph.tracking = config.keyframes, config.tracking
        self.graph.noise = RayNoise(own.sigma_ray, own.sigma_distance, config.tracking.huber)
        self._loops = self.loop_closer(config, self.model, self.graph)

    # frame by frame

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, PointmapFrame | None]:
        """Pose of the frame set; the keyframe that it is found in takes its prediction in."""
        new = self.read(frame_set)
        if new is None:
            return self.progress.lose("no camera gave an image"), None
        reason = self._find_pose(new) if self.graph.keyframes else ""
        if new.pose is None:
            return self.progress.lose(reason), new
        if new.reference is not None:
            if not self.localization_only:
                self._fuse(new, self.graph.keyframes[new.reference], new.pose.T_map_rig)
            self.progress.reference = new.reference
        pose = PoseStamp(new.stamp_ns, new.pose.T_map_rig, new.T_odom_base)
        return self.progress.accept(pose, map_covariance(new.pose, new.cells), new.fraction), new

    def read(self, frame_set: FrameSet) -> PointmapFrame | None:
        """A frame set as it is tracked; see `Tracker.read`."""
        frames = [f for f in frame_set.frames if f.intrinsics is not None][:None if self.model.is_metric else 1]
        if not frames:
            return None
        seen = [replace(f, intrinsics=None) if f.camera in self.cameras.uncalibrated else f for f in frames]
        tokens = dict(zip((f.camera for f in frames), self.model.encode(seen), strict=True))
        return PointmapFrame(frame_set.stamp_ns, tokens, {f.camera: f.intrinsics for f in frames if f.intrinsics is not None},
                             {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frames},
                             frame_set.T_odom_base, frames={f.camera: f for f in frames})

    def _find_pose(self, new: PointmapFrame) -> str:
        """Fills `new.pose`; returns why it could not, or ''."""
        reason = ""
        if self.state is not TrackingState.LOST or self.progress.initial is not None:
            reason = self._follow(new)
        if new.pose is None:
            reason = self._relocalize(new) or reason
        return reason

    def _follow(self, new: PointmapFrame) -> str:
        """Pose against the reference, else against the keyframe that should see most; returns why not, or ''."""
        initial = self.progress.initial
        guess, newest = initial, self.graph.newest
        assert newest is not None  # there is a map to track in
        if guess is None:
            guess = self.progress.predict(new.stamp_ns, new.T_odom_base)
        guess = newest.T_map_rig if guess is None else guess
        likely = [] if self.reference is None or initial is not None else [self.reference]
        likely += self.graph.candidates(guess, new.cameras, 1, exclude=likely)
        reason = "there is no keyframe near"
        for i in likely:
            reason = self._try(new, self.graph.keyframes[i], self.config.tracking.min_match_fraction)
            if not reason:
                break
        return reason

    def _relocalize(self, new: PointmapFrame) -> str:
        """Looks for the frame set in the keyframes whose tokens are most like its own: found in both directions."""
        least = self.config.pointmap.relocalize_match_fraction
        likely = [i for _, i in self._loops.ranked(new.in_order)[:RELOCALIZE_TRIES]]
        if self.state is TrackingState.LOST and self.reference in self.graph.keyframes and self.reference not in likely:
            likely = [self.reference, *likely[:-1]]  # what was seen last is where most are found again
        before, self.progress.state = self.state, TrackingState.LOST
        for i in likely:
            keyframe = self.graph.keyframes[i]
            back = self._share_found(new, keyframe)
            if back >= least and not self._try(new, keyframe, least):
                return ""
        self.progress.state = before
        return "the frame fits no keyframe"

    def _share_found(self, new: PointmapFrame, keyframe: PointmapKeyframe) -> float:
        """Share of the new frame's pixels found in the keyframe, the way that tracking does not look."""
        cameras = [c for c in new.tokens if c in keyframe.views]
        if not cameras:
            return 0.0
        found = self.model.predict([(keyframe.views[c].tokens, new.tokens[c]) for c in cameras])
        matches = [match_pair(p, self.config.pointmap)[0] for p in found]
        return max(len(m) / max(m.sampled, 1) for m in matches)

    def _try(self, new: PointmapFrame, keyframe: PointmapKeyframe, least: float) -> str:
        """Fills the pose of `new` from one keyframe, if it can be believed; returns why not, or ''."""
        rig = {c: (new.tokens[c], new.T_rig_cam[c]) for c in new.tokens}
        starts = self._starts[1] if self._starts[0] == keyframe.id else {}
        solved = self._solve(new, rig, keyframe, starts)
        if isinstance(solved, str):
            return solved
        keyframe = solved.keyframe
        if solved.fraction < least:
            return f"only {solved.fraction:.0%} of a keyframe's pixels were found"
        T_map_rig = keyframe.T_map_rig @ se3_inverse(solved.alignment.T_new_kf)
        pose = RigPose(T_map_rig, solved.alignment.covariance, solved.alignment.inliers)
        if self.model.is_metric:
            too_fast = self.progress.too_fast(new.stamp_ns, T_map_rig, self.config.tracking)
            if too_fast:
                return too_fast
        new.pose, new.reference, new.predictions = pose, keyframe.id, solved.predictions
        new.fraction, new.unique, new.units, new.cells = solved.fraction, solved.unique, solved.units, solved.cells
        new.matches = {(keyframe.id, c): m for c, m in solved.matches.items()} | solved.others
        self._starts = (keyframe.id, solved.pixels)
        return ""

    def _solve(self, _new: PointmapFrame, rig: Rig, keyframe: PointmapKeyframe, starts: Mapping) -> PairPose | str:
        """Pose against one keyframe, from `starts`, or why there is none."""
        found = predict_for(self.model, [(rig, keyframe)])[0]
        return solve_pair(rig, keyframe, found, self.config, not self.model.is_metric, starts)

    def _fuse(self, new: PointmapFrame, keyframe: PointmapKeyframe, T_map_rig: np.ndarray) -> None:
        """Takes the predictions of the keyframe's pixels into its pointmap. T_map_rig (4, 4): of the frame set."""
        T_kf_new = se3_inverse(keyframe.T_map_rig) @ T_map_rig
        for c, unit in new.units.items():
            view = keyframe.views[c]
            T = se3_inverse(view.T_rig_cam) @ T_kf_new @ new.T_rig_cam[c]
            points = new.predictions[c].points_b.float().cpu().numpy() * np.float32(unit)
            view.fuse(transform_points(T, points), new.predictions[c].conf_b.float().cpu().numpy())
            if keyframe.id in self._waiting:  # the map does not have its features yet
                view.features.add(new.predictions[c].features_b, new.predictions[c].conf_b)

    # keyframes

    def wants_keyframe(self, new: PointmapFrame) -> bool:
        """True if a tracked frame set should become a keyframe."""
        if self.localization_only or new.pose is None or self.reference is None:
            return False
        last, rule = self.graph.keyframes[self.reference], self.config.pointmap
        distance, angle = motion(last.T_map_rig, new.pose.T_map_rig)
        moved = distance > 0.01 * last.median_depth or angle > 0.02
        due = (min(new.fraction, new.unique) < rule.overlap or distance > rule.max_translation * last.median_depth
               or angle > rule.max_rotation
               or (moved and (new.stamp_ns - last.stamp_ns) * 1e-9 > self.config.keyframes.max_seconds))
        return due and any(not self._unbelievable(new, c, p) for c, p in new.predictions.items() if c in new.units)

    def can_start(self, new: PointmapFrame) -> bool:
        """True if the frame set has an image."""
        return bool(new.tokens)

    def start(self, new: PointmapFrame, T_map_rig: np.ndarray) -> Start:
        """Takes a frame set while there is no map: the first whose own pointmap is that of a camera becomes a keyframe."""
        cameras = list(new.tokens)
        found = self.model.predict([(new.tokens[c], new.tokens[c]) for c in cameras])
        reasons = {}
        for c, prediction in zip(cameras, found, strict=True):
            reasons[c] = self._unbelievable(new, c, prediction)
            if not reasons[c]:
                z = prediction.points_a[..., 2].float()
                median = float(z[z > 0].median())
                new.predictions[c] = prediction
                new.units[c] = 1.0 if self.model.is_metric else START_DEPTH / median
        if not new.units:
            return Start(None, "; ".join(f"camera {c!r}: {r}" for c, r in reasons.items()))
        return Start(self.add_keyframe(new, T_map_rig)[0])

    def _unbelievable(self, new: PointmapFrame, camera: str, prediction: PairPrediction) -> str:
        points, confidence = prediction.points_a.float().cpu().numpy(), prediction.conf_a.float().cpu().numpy()
        return why_not_a_camera(points, sane_confidence(confidence), self.config.pointmap.min_confidence,
                                new.tokens[camera].intrinsics)

    def add_keyframe(self, new: PointmapFrame, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """Makes a keyframe of a frame set from what was predicted of it, and joins it with others. Returns it, and the ids of
        older keyframes that it was joined to again (loops)."""
        views = {c: self._view(new, c) for c in new.units if not self._unbelievable(new, c, new.predictions[c])}
        keyframe = Keyframe(self.graph.next_id, new.stamp_ns, T_map_rig, views, self._thumbnail(new))
        for i, old in self.graph.keyframes.items():
            for view in old.views.values() if i not in self._waiting else ():
                view.compact()
        self.graph.add(keyframe)
        self._waiting[keyframe.id] = new
        for (other, camera), matches in new.matches.items():
            if camera in views:
                self.graph.connect(Link(other, camera, keyframe.id, camera, matches))
        loops = self._loops.join(keyframe, new.reference) if len(self.graph.keyframes) > 1 else ()
        new.units = {c: unit * keyframe.size for c, unit in new.units.items()}
        pose = PoseStamp(new.stamp_ns, keyframe.T_map_rig.copy(), new.T_odom_base)
        self.progress.keyframe_added(keyframe.id, pose, forget=bool(loops))
        return keyframe, loops

    def _view(self, new: PointmapFrame, camera: str) -> PointmapView:
        """The pointmap of one camera, in units of the map; what it says about the focal length is remembered."""
        tokens, prediction = new.tokens[camera], new.predictions[camera]
        points = prediction.points_a.float().cpu().numpy() * np.float32(new.units[camera])
        confidence = sane_confidence(prediction.conf_a.float().cpu().numpy())
        calibrated = tokens.intrinsics is not None
        if calibrated:
            points = on_rays(points, tokens.intrinsics)
        else:
            self._learn_focal(camera, find_focal(points, confidence, self.config.pointmap.min_confidence), tokens.crop)
            new.intrinsics[camera] = with_focal(new.intrinsics[camera], self.cameras.focal_px[camera])
        corners = grid_corners(tokens.crop)
        nothing = np.full(len(corners), np.nan)
        view = PointmapView(camera, tokens, new.intrinsics[camera], new.T_rig_cam[camera], corners,
                            new.intrinsics[camera].unproject(corners), nothing, nothing, crop=tokens.crop,
                            points_cam=points.astype(np.float32), confidence=confidence.astype(np.float32),
                            calibrated=calibrated)
        view.refresh()
        view.features.add(prediction.features_a, prediction.conf_a)
        return view

    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """Change of the scale of a keyframe's pointmap since its `depth` (H, W), 0 = none, was taken from it."""
        view = keyframe.views[camera]
        x, y = np.rint(view.corners).astype(np.int64).T
        before = depth[np.clip(y, 0, depth.shape[0] - 1), np.clip(x, 0, depth.shape[1] - 1)]
        good = (before > 0) & np.isfinite(view.inverse_depth)
        if np.count_nonzero(good) < 10:
            return 1.0
        return float(np.median(1.0 / (view.inverse_depth[good] * before[good])))

    def take_depth(self, everything: bool = False) -> list[KeyframeDepth]:
        """Depth of the keyframes whose pointmaps are settled by now: several predictions are in them, or others are tracked
        against."""
        out = []
        for i in list(self._waiting):
            keyframe = self.graph.keyframes.get(i)
            counts = [] if keyframe is None else [v.count for v in keyframe.views.values()]
            if keyframe is not None and not everything and i == self.reference and min(counts) < FUSED_ENOUGH:
                continue
            new = self._waiting.pop(i)
            new.predictions.clear()
            for camera, view in ({} if keyframe is None else keyframe.views).items():
                new.intrinsics[camera] = view.intrinsics
                dense, off = view.dense(self.config.pointmap.min_confidence)
                before = self.cameras.off_pinhole.get(camera, off)
                self.cameras.off_pinhole[camera] = before + 0.2 * (off - before)
                depth = dense_view(new.frames[camera], view.intrinsics, dense, self.config.pointmap.min_depth_confidence)
                out.append(KeyframeDepth(i, new.T_rig_cam[camera], depth, view.features.cells(view.crop)))
                view.features = FeatureSum()
        return out

    def frame_depth(self, new: PointmapFrame) -> dict[str, FrameDepth]:
        """Depth of each camera of a frame set with a pose, in units of the map, as it was predicted with the keyframe."""
        out = {}
        for c, unit in new.units.items() if new.predictions else ():
            prediction = new.predictions[c]
            points = prediction.points_a.float().cpu().numpy() * np.float32(unit)
            confidence = sane_confidence(prediction.conf_a.float().cpu().numpy())
            dense, _ = frame_depth(points, confidence, new.tokens[c].crop, new.intrinsics[c],
                                   self.config.pointmap.min_confidence)
            out[c] = dense_view(new.frames[c], new.intrinsics[c], dense, self.config.pointmap.min_depth_confidence)
        return out

    def _learn_focal(self, camera: str, focal_px: float, crop: Any) -> None:
        """Takes in the focal length that one pointmap implies, in pixels of the network's image."""
        self.cameras.learn(camera, focal_px * crop.source[0] / crop.resized[0], crop.source[0])

    # two maps

    def locate(self, new: PointmapFrame) -> PointmapFrame | None:
        """Looks for a frame set in the whole map; see `Tracker.locate`."""
        return self._elsewhere(new, self._relocalize)

    def confirm(self, new: PointmapFrame, T_map_rig: np.ndarray) -> PointmapFrame | None:
        """Looks for a frame set at a place; see `Tracker.locate`."""
        likely = self.graph.candidates(T_map_rig, new.cameras, 1)
        if not likely:
            return None
        keyframe = self.graph.keyframes[likely[0]]
        found = self._elsewhere(new, lambda n: self._try(n, keyframe, self.config.pointmap.relocalize_match_fraction))
        if found is None or found.pose is None:
            return None
        distance, angle = motion(T_map_rig, found.pose.T_map_rig)
        return found if distance < SAME_PLACE * keyframe.median_depth and angle < SAME_TURN else None

    def _elsewhere(self, new: PointmapFrame, find: Callable[[PointmapFrame], str]) -> PointmapFrame | None:
        """A copy of the frame set as `find` fills it, None where it gives a reason; the state of tracking stays."""
        found = replace(new, pose=None, matches={}, fraction=0.0, reference=None, predictions={}, units={}, unique=0.0)
        before, self.progress.state = self.state, TrackingState.LOST
        starts = self._starts
        reason = find(found)
        self.progress.state, self._starts = before, starts
        return None if reason or found.pose is None else found

    def unit_ratio(self, here: PointmapFrame, new: PointmapFrame, there: Tracker) -> float:
        """From the depth that both maps give to the frame set; see `Tracker.unit_ratio`."""
        if self.model.is_metric:
            return 1.0
        ours, theirs = self.frame_depth(here), there.frame_depth(new)
        ratios = [(ours[c].depth / theirs[c].depth)[(ours[c].confidence > 0) & (theirs[c].confidence > 0)]
                  for c in ours if c in theirs]
        found = np.concatenate(ratios) if ratios else np.zeros(0)
        return float(np.median(found)) if len(found) else float("nan")

    def resize(self, factor: float) -> None:
        """Makes the map larger by a factor. ValueError where the model is metric."""
        if self.model.is_metric:
            raise ValueError(f"a map of a metric model cannot be resized by {factor}")
        for keyframe in self.graph.keyframes.values():
            keyframe.T_map_rig = keyframe.T_map_rig.copy()
            keyframe.T_map_rig[:3, 3] *= factor
            keyframe.size *= factor
            for view in keyframe.views.values():
                view.resize(factor)
        for new in self._waiting.values():
            new.units = {c: unit * factor for c, unit in new.units.items()}
        self.progress.resize(factor)
        self.graph.version += 1

    def knit(self, first: int) -> None:
        """Links the newest keyframes with older ones that show the same."""
        for i in [i for i in sorted(self.graph.keyframes) if i >= first][-KNITTED:]:
            self._loops.join(self.graph.keyframes[i], None)

    def finish(self) -> None:
        """Adjusts all keyframes, and gives those of an uncalibrated camera the focal length found with all of them."""
        if self.graph.adjusted_at != self.graph.next_id:
            self.graph.adjust_all()
        for keyframe in self.graph.keyframes.values():
            for camera, view in keyframe.views.items():
                if camera in self.cameras.uncalibrated and camera in self.cameras.focal_px:
                    view.intrinsics = with_focal(view.intrinsics, self.cameras.focal_px[camera])
                    view.rays = view.intrinsics.unproject(view.corners)

    def _thumbnail(self, new: PointmapFrame) -> np.ndarray:
        return self.model.signature(new.in_order)
