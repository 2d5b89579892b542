# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking with a network that predicts pointmaps (DUSt3R, MASt3R, lsm_small): each frame against the current keyframe.

The steps are those of MASt3R-SLAM (Murai et al., CVPR 2025): predict, match on rays, solve the pose, fuse the prediction into
the keyframe's pointmap, take a new keyframe when too little is found again, join it with older ones that show the same.
Keyframes have rigid poses in units of the map; what unit a prediction has is solved with the pose and taken out of its points.
"""
from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics, se3_inverse, transform_points
from lsm_ros.pairs.base import PointmapPairModel
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.slam.graph.keyframes import Keyframe, Link, motion
from lsm_ros.slam.pointmap.graph import PointmapGraph
from lsm_ros.slam.pointmap.loops import LoopCloser
from lsm_ros.slam.pointmap.matching import match_pair
from lsm_ros.slam.pointmap.pose import predict_for, solve_pair
from lsm_ros.slam.pointmap.ray_bundle import RayNoise
from lsm_ros.slam.pointmap.view import (
    LANDMARK_STEP,
    PointmapView,
    find_focal,
    frame_depth,
    on_rays,
    sane_confidence,
    why_not_a_camera,
)
from lsm_ros.slam.pose import RigPose, map_covariance
from lsm_ros.slam.trackers.bootstrap import START_DEPTH, with_focal
from lsm_ros.slam.trackers.depth import Tracked, Tracker
from lsm_ros.slam.trackers.two_view import DenseView
from lsm_ros.types import Frame, FrameSet, PairPrediction, TrackingState, TrackingUpdate

COMMON_FOCAL = 0.85  # of the width, before anything is known
FUSED_ENOUGH = 4  # predictions in a pointmap that may go into the map while its keyframe is still tracked against
RELOCALIZE_TRIES = 3
FOCALS_KEPT = 50


@dataclass
class PointmapTracked(Tracked):
    """A frame set with what was predicted of it.

    predictions: by camera, of (this frame, keyframe `reference`). units: of each, in units of the map. unique: share of the
    image that the keyframe covers. cells: by how much the residuals' covariance is too sure.
    """

    predictions: dict[str, PairPrediction] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    unique: float = 0.0
    cells: float = 1.0


class PointmapTracker(Tracker):
    """Tracks frame sets with predicted pointmaps; owns the keyframe graph. Not thread-safe.

    Without a metric model one camera of a rig is used, the first: what unit the predictions for the others have, nothing
    tells. The first keyframe's median depth is then 2 units.
    """

    def __init__(self, config: Config, model: PointmapPairModel) -> None:
        super().__init__(config, model)
        own = config.pointmap
        self.graph = PointmapGraph(config.keyframes, config.tracking, free_scale=not model.is_metric,
                                   noise=RayNoise(own.sigma_ray, own.sigma_distance, config.tracking.huber))
        self._loops = LoopCloser(config, model, self.graph)
        self.resizes = not model.is_metric
        self.focal_px: dict[str, float] = {}
        self.focal_std_px: dict[str, float] = {}
        self.off_pinhole: dict[str, float] = {}
        self._focals: dict[str, list[float]] = defaultdict(list)
        self._starts: tuple[int, dict[str, np.ndarray | None]] = (-1, {})
        self._waiting: dict[int, PointmapTracked] = {}

    # frame by frame

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, PointmapTracked | None]:
        """Pose of the frame set; the keyframe that it is found in takes its prediction in."""
        frames = [f for f in frame_set.frames if f.intrinsics is not None]
        if not self.model.is_metric:
            frames = frames[:1]
        if not frames:
            return self._update(None, "no camera gave an image"), None
        seen = [replace(f, intrinsics=None) if f.camera in self.uncalibrated else f for f in frames]
        tokens = dict(zip((f.camera for f in frames), self.model.encode(seen), strict=True))
        new = PointmapTracked(frame_set.stamp_ns, tokens, {f.camera: f.intrinsics for f in frames},
                              {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frames},
                              frame_set.T_odom_base, frames={f.camera: f for f in frames})
        if not self.graph.keyframes:
            return self._update(new, ""), new
        reason = ""
        if self.state is not TrackingState.LOST or self._initial is not None:
            reason = self._follow(new)
        if new.pose is None:
            reason = self._relocalize(new) or reason
        if new.pose is not None and not self.localization_only:
            self._fuse(new)
        return self._update(new, reason), new

    def _follow(self, new: PointmapTracked) -> str:
        """Pose against the reference, else against the keyframe that should see most; returns why not, or ''."""
        guess = self._initial if self._initial is not None else self._predict(new)
        likely = [] if self.reference is None or self._initial is not None else [self.reference]
        likely += self.graph.candidates(guess, new.cameras, 1, exclude=likely)
        reason = "there is no keyframe near"
        for i in likely:
            reason = self._try(new, self.graph.keyframes[i], self.config.tracking.min_match_fraction)
            if not reason:
                break
        return reason

    def _relocalize(self, new: PointmapTracked) -> str:
        """Looks for the frame set in the keyframes whose tokens are most like its own: found in both directions."""
        least = self.config.pointmap.relocalize_match_fraction
        likely = [i for _, i in self._loops.ranked([t for _, t in sorted(new.tokens.items())])[:RELOCALIZE_TRIES]]
        if self.state is TrackingState.LOST and self.reference in self.graph.keyframes and self.reference not in likely:
            likely = [self.reference, *likely[:-1]]  # what was seen last is where most are found again
        state, self.state = self.state, TrackingState.LOST
        for i in likely:
            keyframe = self.graph.keyframes[i]
            back = self._share_found(new, keyframe)
            if back >= least and not self._try(new, keyframe, least):
                return ""
        self.state = state
        return "the frame fits no keyframe"

    def _share_found(self, new: PointmapTracked, keyframe: Keyframe) -> float:
        """Share of the new frame's pixels found in the keyframe, the way that tracking does not look."""
        cameras = [c for c in new.tokens if c in keyframe.views]
        if not cameras:
            return 0.0
        found = self.model.predict([(keyframe.views[c].tokens, new.tokens[c]) for c in cameras])
        matches = [match_pair(p, self.config.pointmap)[0] for p in found]
        return max(len(m) / max(m.sampled, 1) for m in matches)

    def _try(self, new: PointmapTracked, keyframe: Keyframe, least: float) -> str:
        """Fills the pose of `new` from one keyframe, if it can be believed; returns why not, or ''."""
        rig = {c: (new.tokens[c], new.T_rig_cam[c]) for c in new.tokens}
        starts = self._starts[1] if self._starts[0] == keyframe.id else {}
        solved = solve_pair(rig, keyframe, predict_for(self.model, [(rig, keyframe)])[0], self.config,
                            not self.model.is_metric, starts)
        if isinstance(solved, str):
            return solved
        if solved.fraction < least:
            return f"only {solved.fraction:.0%} of a keyframe's pixels were found"
        T_map_rig = keyframe.T_map_rig @ se3_inverse(solved.alignment.T_new_kf)
        pose = RigPose(T_map_rig, solved.alignment.covariance, solved.alignment.inliers, solved.alignment.rms)
        too_fast = self._too_fast(new, pose) if self.model.is_metric else ""
        if too_fast:
            return too_fast
        new.pose, new.reference, new.predictions = pose, keyframe.id, solved.predictions
        new.fraction, new.unique, new.units, new.cells = solved.fraction, solved.unique, solved.units, solved.cells
        new.matches = {(keyframe.id, c): m for c, m in solved.matches.items()}
        self._starts = (keyframe.id, solved.pixels)
        return ""

    def _fuse(self, new: PointmapTracked) -> None:
        """Takes the predictions of the keyframe's pixels into its pointmap."""
        keyframe = self.graph.keyframes[new.reference]
        T_kf_new = se3_inverse(keyframe.T_map_rig) @ new.pose.T_map_rig
        for c, unit in new.units.items():
            view = keyframe.views[c]
            T = se3_inverse(view.T_rig_cam) @ T_kf_new @ new.T_rig_cam[c]
            points = new.predictions[c].points_b.float().cpu().numpy() * np.float32(unit)
            view.fuse(transform_points(T, points), new.predictions[c].conf_b.float().cpu().numpy())
            if keyframe.id in self._waiting:  # the map does not have its features yet
                view.features.add(new.predictions[c].features_b, new.predictions[c].conf_b)

    # keyframes

    def wants_keyframe(self, new: PointmapTracked) -> bool:
        """Whether a tracked frame set should become a keyframe."""
        if self.localization_only or new.pose is None:
            return False
        last, rule = self.graph.keyframes[self.reference], self.config.pointmap
        distance, angle = motion(last.T_map_rig, new.pose.T_map_rig)
        moved = distance > 0.01 * last.median_depth or angle > 0.02
        due = (min(new.fraction, new.unique) < rule.overlap or distance > rule.max_translation * last.median_depth
               or angle > rule.max_rotation
               or (moved and (new.stamp_ns - last.stamp_ns) * 1e-9 > self.config.keyframes.max_seconds))
        return due and any(not self._unbelievable(new, c, p) for c, p in new.predictions.items() if c in new.units)

    def has_landmarks(self, new: PointmapTracked) -> bool:
        """Whether a frame set could be a first keyframe: it has an image."""
        return bool(new.tokens)

    def start(self, new: PointmapTracked, T_map_rig: np.ndarray) -> tuple[Keyframe | None, str]:
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
            return None, "; ".join(f"camera {c!r}: {r}" for c, r in reasons.items())
        return self.add_keyframe(new, T_map_rig)[0], ""

    def _unbelievable(self, new: PointmapTracked, camera: str, prediction: PairPrediction) -> str:
        points, confidence = prediction.points_a.float().cpu().numpy(), prediction.conf_a.float().cpu().numpy()
        return why_not_a_camera(points, sane_confidence(confidence), self.config.pointmap.min_confidence,
                                new.tokens[camera].intrinsics)

    def add_keyframe(self, new: PointmapTracked, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
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
        self.reference = keyframe.id
        if loops or not self._last or self._last[-1][0] == new.stamp_ns:  # what went before is where the map was before
            self._last = [*([] if loops else self._last[:-1]), (new.stamp_ns, keyframe.T_map_rig.copy(), new.T_odom_base)]
        self.state = TrackingState.TRACKING if self.state is TrackingState.INITIALIZING else self.state
        return keyframe, loops

    def _view(self, new: PointmapTracked, camera: str) -> PointmapView:
        """The pointmap of one camera, in units of the map; what it says about the focal length is remembered."""
        tokens, prediction = new.tokens[camera], new.predictions[camera]
        points = prediction.points_a.float().cpu().numpy() * np.float32(new.units[camera])
        confidence = sane_confidence(prediction.conf_a.float().cpu().numpy())
        calibrated = tokens.intrinsics is not None
        if calibrated:
            points = on_rays(points, tokens.intrinsics)
        else:
            self._learn_focal(camera, find_focal(points, confidence, self.config.pointmap.min_confidence), tokens.crop)
            new.intrinsics[camera] = with_focal(new.intrinsics[camera], self.focal_px[camera])
        height, width = confidence.shape
        y, x = np.mgrid[LANDMARK_STEP // 2:height:LANDMARK_STEP, LANDMARK_STEP // 2:width:LANDMARK_STEP]
        corners = tokens.crop.to_image(np.stack([x.ravel(), y.ravel()], 1).astype(np.float64))
        nothing = np.full(len(corners), np.nan)
        view = PointmapView(camera, tokens, new.intrinsics[camera], new.T_rig_cam[camera], corners,
                            new.intrinsics[camera].unproject(corners), nothing, nothing, None, tokens.crop,
                            points.astype(np.float32), confidence.astype(np.float32), 1, calibrated)
        view.refresh()
        view.features.add(prediction.features_a, prediction.conf_a)
        return view

    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """How the scale of a keyframe's pointmap has changed since its `depth` (H, W), 0 = none, was taken from it."""
        view = keyframe.views[camera]
        x, y = np.rint(view.corners).astype(np.int64).T
        before = depth[np.clip(y, 0, depth.shape[0] - 1), np.clip(x, 0, depth.shape[1] - 1)]
        good = (before > 0) & np.isfinite(view.inverse_depth)
        if np.count_nonzero(good) < 10:
            return 1.0
        return float(np.median(1.0 / (view.inverse_depth[good] * before[good])))

    def take_dense(self, everything: bool = False) -> list[DenseView]:
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
                before = self.off_pinhole.get(camera, off)
                self.off_pinhole[camera] = before + 0.2 * (off - before)
                out.append(DenseView(i, new, camera, dense, view.features.cells(view.crop)))
                view.features = FeatureSum()
        return out

    def frame_depth(self, new: PointmapTracked) -> dict[str, DenseDepth]:
        """Depth of each camera of a frame set with a pose, in units of the map, as it was predicted with the keyframe."""
        out = {}
        for c, unit in new.units.items() if new.predictions else ():
            prediction = new.predictions[c]
            points = prediction.points_a.float().cpu().numpy() * np.float32(unit)
            confidence = sane_confidence(prediction.conf_a.float().cpu().numpy())
            out[c], _ = frame_depth(points, confidence, new.tokens[c].crop, new.intrinsics[c],
                                    self.config.pointmap.min_confidence)
        return out

    # cameras

    def guess_intrinsics(self, frame: Frame) -> CameraIntrinsics:
        """Pinhole with the focal length found so far, or a common one; tracking does not use it."""
        self.uncalibrated.add(frame.camera)
        height, width = frame.image.shape[:2]
        focal = self.focal_px.get(frame.camera, COMMON_FOCAL * width)
        return CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    def _learn_focal(self, camera: str, focal_px: float, crop: Any) -> None:
        """Takes in the focal length that one pointmap implies, in pixels of the network's image."""
        if np.isfinite(focal_px):
            self._focals[camera] = [*self._focals[camera][1 - FOCALS_KEPT:], focal_px * crop.source[0] / crop.resized[0]]
        known = np.array(self._focals[camera] or [COMMON_FOCAL * crop.source[0]])
        self.focal_px[camera] = float(np.median(known))
        spread = 1.4826 * float(np.median(np.abs(known - self.focal_px[camera]))) if len(known) > 2 else np.inf
        self.focal_std_px[camera] = min(max(spread / np.sqrt(len(known)), 0.005 * self.focal_px[camera]),
                                        0.1 * self.focal_px[camera])

    def knowledge(self) -> dict[str, Any]:
        """Focal lengths found with the map, how sure they are, and the share of pixels that no pinhole explains."""
        return {"focal_px": dict(self.focal_px), "focal_std_px": dict(self.focal_std_px),
                "off_pinhole": dict(self.off_pinhole), "uncalibrated": sorted(self.uncalibrated)}

    def recall(self, knowledge: dict[str, Any]) -> None:
        """Takes over what another tracker's `knowledge` said."""
        self.focal_px.update(knowledge.get("focal_px", {}))
        self.focal_std_px.update(knowledge.get("focal_std_px", {}))
        self.off_pinhole.update(knowledge.get("off_pinhole", {}))
        self.uncalibrated.update(knowledge.get("uncalibrated", ()))
        for camera, focal in self.focal_px.items():
            self._focals[camera] = [focal] * 3

    def finish(self) -> None:
        """Adjusts all keyframes, and gives those of an uncalibrated camera the focal length found with all of them."""
        super().finish()
        for keyframe in self.graph.keyframes.values():
            for camera, view in keyframe.views.items():
                if camera in self.uncalibrated and camera in self.focal_px:
                    view.intrinsics = with_focal(view.intrinsics, self.focal_px[camera])
                    view.rays = view.intrinsics.unproject(view.corners)

    def _covariance(self, new: PointmapTracked) -> np.ndarray:
        return map_covariance(new.pose, new.cells)

    def _reference_is_better(self, new: Tracked) -> bool:
        return False

    def _thumbnail(self, new: Tracked) -> np.ndarray:
        return self.model.signature([t for _, t in sorted(new.tokens.items())])
