# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking without depth: landmarks get their depth from other frames, and the scale is that of the first keyframe.

The frame by frame work is that of `LandmarkTracker`. What differs: a map starts from two frames with parallax, a new keyframe's
depth comes from recent frames whose poses are known, keyframes give dense depth once they have partners on both sides,
and focal lengths may be refined with the map.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.config import Config
from lsm_ros.geometry import rigid, se3_inverse, transform_points
from lsm_ros.pairs.base import DEPTH, MATCHES, DensePairModel, PairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, motion, spread
from lsm_ros.slam.scale import resized
from lsm_ros.slam.scale_sources import map_units_per_metre
from lsm_ros.slam.trackers import bootstrap
from lsm_ros.slam.trackers.base import FrameDepth, KeyframeDepth, Start, TrackedFrame, Tracker
from lsm_ros.slam.trackers.bootstrap import START_DEPTH, Bootstrap
from lsm_ros.slam.trackers.cameras import with_focal
from lsm_ros.slam.trackers.keyframe_dense import PARTNERS, SURE, KeyframeDense, partners, seen_from
from lsm_ros.slam.trackers.landmark import LandmarkTracker
from lsm_ros.slam.trackers.landmark_depth import dense_ratio, depth_ratio, seen_landmarks
from lsm_ros.slam.trackers.progress import PoseStamp
from lsm_ros.types import FrameSet, TrackingState, TrackingUpdate

RECENT = 15  # frames kept as partners of a new keyframe
BASELINE = 0.08  # best distance to a partner, relative to the median depth
ENOUGH = 0.7  # of the landmarks may be without a depth
FEW_NEAR = 5  # landmarks around a corner that give its depth, when nothing else does
GUESS_STD = 3.0  # of the logarithm of a guessed depth: it counts where nothing else does, for guesses are wrong together
CALIBRATE_AT = (6, 10, 16, 25, 40, 64, 100)  # keyframes at which focal lengths are refined
SHORTEST_PATIENCE = 1.0  # seconds
SPREAD_OVER = 5  # times as many keyframes as a new one is linked with are looked at for that
LINK_MATCHES = 60  # of each link in that: plenty for a handful of parameters


class TwoViewTracker(LandmarkTracker):
    """Tracks frame sets of cameras without depth; owns the keyframe graph. Not thread-safe."""

    finds_focal = True
    resizes = True
    model: DensePairModel

    def __init__(self, config: Config, model: DensePairModel) -> None:
        super().__init__(config, model)
        self._recent: deque[tuple[TrackedFrame, np.ndarray]] = deque(maxlen=RECENT)
        self._dense = KeyframeDense(model, self.graph)
        self._bootstrap: Bootstrap | None = None
        self._calibrated_at = 0
        self._on_wheels = self._sized = False

    @staticmethod
    def suits(model: PairModel) -> bool:
        """True for models that find points again, and depth between frames whose poses are known."""
        return {MATCHES, DEPTH} <= model.gives and not model.uses_depth

    def apply(self, config: Config) -> None:
        """Takes over parameters; some of tracking have other values for landmarks without measured depth."""
        own = config.two_view
        super().apply(replace(config, tracking=replace(config.tracking, sigma_px=own.sigma_px, references=own.references)))

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, TrackedFrame | None]:
        """Pose of the frame set. Frames need intrinsics without distortion. Nothing is added to the graph."""
        self._on_wheels = frame_set.rig_is_base and len(frame_set.frames) == 1
        for frame in frame_set.frames:
            if frame.intrinsics is not None and frame.camera not in self.cameras.uncalibrated:
                self.cameras.given_px[frame.camera] = frame.intrinsics.fx
        update, new = super().track(frame_set)
        if new is not None and new.pose is not None:
            self._recent.append((new, new.pose.T_map_rig))
        return update, new

    def read(self, frame_set: FrameSet) -> TrackedFrame | None:
        """A frame set as it is tracked, with the focal lengths found so far; see `Tracker.read`."""
        return super().read(replace(frame_set, frames=tuple(self.cameras.corrected(f) for f in frame_set.frames)))

    def start(self, new: TrackedFrame, T_map_rig: np.ndarray) -> Start:
        """Collects frame sets until two give pose and depth; these become the first two keyframes, and the newest is returned.

        T_map_rig: where the map starts. Frames between the two have their poses in `Start.recovered`.
        """
        if self._bootstrap is None:
            unknown = set(new.tokens) & self.cameras.uncalibrated - set(self.cameras.focal_std_px)
            self._bootstrap = Bootstrap(self.model, bool(unknown))
        found = self._bootstrap.add(new)
        if found is None:
            return Start(None, self._bootstrap.reason)
        if found.focal_px is not None:
            self._set_focal(found.camera, found.focal_px, [found.first, new, *found.between, *found.before])
        self._bootstrap = None
        return self._begin(found, T_map_rig)

    def _begin(self, found: bootstrap.TwoFrames, T_map_rig: np.ndarray) -> Start:
        """Makes two keyframes, and poses for what lies between."""
        first, new, camera = found.first, found.newest, found.camera
        T_rig_cam = first.T_rig_cam[camera]
        T_new = T_map_rig @ T_rig_cam @ se3_inverse(found.T_a_b) @ se3_inverse(T_rig_cam)
        first.tokens[camera].inverse_depth[:] = found.inverse_depth
        zero, _ = super().add_keyframe(first, T_map_rig)
        self._dense.add(zero, first, self.background)
        self._recent.append((first, T_map_rig))
        new.matches = {(zero.id, camera): found.matches}
        self.progress.poses = [PoseStamp(new.stamp_ns, T_new, new.T_odom_base)]
        keyframe, _ = self.add_keyframe(new, T_new)
        recovered = [(first.stamp_ns, zero.T_map_rig, zero.id)]
        poses = self.progress.poses
        for between in found.between:
            why_not = self._pose.near(between, [zero.id, keyframe.id], T_map_rig, self.config.tracking.min_match_fraction)
            if between.pose is not None and not why_not:
                recovered.append((between.stamp_ns, between.pose.T_map_rig, zero.id))
        recovered += self._backwards(found.before, T_map_rig, zero.id)
        self.progress.poses = poses
        self.progress.state = TrackingState.TRACKING
        return Start(keyframe, recovered=tuple(recovered))

    def _backwards(self, before: Sequence[TrackedFrame], T_map_rig: np.ndarray, keyframe: int
                   ) -> list[tuple[int, np.ndarray, int]]:
        """Poses of the frame sets before the first one, as `Start.recovered` has them, from the newest back."""
        out: list[tuple[int, np.ndarray, int]] = []
        guess, last, least = T_map_rig, None, self.config.tracking.min_match_fraction
        for new in reversed(before):
            self.progress.poses = []  # time runs backwards: no speed is known
            moved = None if last is None else self._pose.by_flow(new, last)
            if self._pose.near(new, [keyframe], guess if moved is None else moved, least):
                self._pose.by_descriptors(new, [keyframe], least)
            if new.pose is not None:
                guess, last = new.pose.T_map_rig, new
                out.append((new.stamp_ns, guess, keyframe))
        return out

    def patience_s(self) -> float:
        """Seconds of being lost after which a new session starts: not longer than the map took, which is what is lost."""
        stamps = [k.stamp_ns for k in self.graph.keyframes.values()]
        span = (max(stamps) - min(stamps)) * 1e-9 if stamps else 0.0
        return min(self.config.tracking.lost_session_seconds, max(SHORTEST_PATIENCE, span))

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame, and the frames that may become partners of a keyframe."""
        super().move_map(T_new_old)
        self._recent = deque(((n, T_new_old @ T) for n, T in self._recent), maxlen=RECENT)

    def unit_ratio(self, here: TrackedFrame, new: TrackedFrame, there: Tracker) -> float:
        """From the depths that landmarks of both maps have; see `Tracker.unit_ratio`."""
        return depth_ratio(self.graph, here, there.graph, new)

    def expected_from_odometry(self, new: TrackedFrame) -> None:
        """None: a map that starts again has another scale."""

    def finish(self) -> None:
        """Bundle adjustment of all keyframes, with the focal lengths; the size of a map made by one camera on wheels."""
        if len(self.graph.keyframes) > 2 and self._calibrated_at != self.graph.next_id:
            self._calibrated_at = self.graph.next_id
            self.catch_up()
            self._back.link_all()
            self.calibrate()
            if self._on_wheels and not self._sized:
                self._resize_by_lever()

    def _resize_by_lever(self) -> None:
        """Makes the map as large as the camera's place on the base says. That place is in metres: in a map of another
        scale, the base would swing about when it turns on the spot."""
        keyframes = [k for _, k in sorted(self.graph.keyframes.items())]
        camera = next(iter(keyframes[0].views))
        T_rig_cam = keyframes[0].views[camera].T_rig_cam
        if any(not np.allclose(v.T_rig_cam, T_rig_cam) for k in keyframes for v in k.views.values()):
            return
        found = map_units_per_metre(np.stack([k.T_map_rig for k in keyframes]), T_rig_cam)
        if found is not None:
            self._grow(1.0 / found[0])

    def resize(self, factor: float) -> None:
        """Makes the map larger by a factor: where cameras are, around the first one, and how far away what they see is. From
        then on it keeps the size that it was given."""
        self._sized = True
        self._grow(factor)

    def _grow(self, factor: float) -> None:
        self.catch_up()
        keyframes = [k for _, k in sorted(self.graph.keyframes.items())]
        T_rig_cam = next(iter(keyframes[0].views.values())).T_rig_cam
        centre = (keyframes[0].T_map_rig @ T_rig_cam)[:3, 3]
        tokens = {id(t): t for new in [*(n for n, _ in self._recent), *self._dense.frame_sets] for t in new.tokens.values()}
        for keyframe in keyframes:
            keyframe.T_map_rig = resized(keyframe.T_map_rig, T_rig_cam, centre, factor)
            keyframe.size *= factor
            for view in keyframe.views.values():
                view.inverse_depth = view.inverse_depth / factor
                view.measured = view.measured / factor
                tokens[id(view.tokens)] = view.tokens
        for each in tokens.values():
            each.resize(factor)
        self._recent = deque(((n, resized(T, T_rig_cam, centre, factor)) for n, T in self._recent), maxlen=RECENT)
        self.progress.poses = [replace(p, T_map_rig=resized(p.T_map_rig, T_rig_cam, centre, factor))
                               for p in self.progress.poses]
        self.graph.version += 1
        self._uncertainty.renumbered()

    def wants_keyframe(self, new: TrackedFrame) -> bool:
        """As for any tracker, and twice as often while there are few: depth from the short way of the start is not exact."""
        if super().wants_keyframe(new):
            return True
        if self.localization_only or new.pose is None or self.reference is None:
            return False
        if len(self.graph.keyframes) >= CALIBRATE_AT[0]:
            return False
        last, rule = self.graph.keyframes[self.reference], self.config.keyframes
        distance, angle = motion(last.T_map_rig, new.pose.T_map_rig)
        return (distance > 0.5 * rule.max_translation * last.median_depth or angle > 0.5 * rule.max_rotation) \
            and self.can_start(new)

    def _corrected(self, correction: np.ndarray) -> None:
        """Moves the frames that may become partners of a keyframe."""
        self._recent = deque(((new, rigid(correction @ T)) for new, T in self._recent), maxlen=RECENT)

    def can_start(self, new: TrackedFrame) -> bool:
        """True if the frame set has corners enough, whose depth will be found."""
        return any(len(t.corners) >= 2 * self.config.tracking.min_inliers for t in new.tokens.values())

    def add_keyframe(self, new: TrackedFrame, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """Makes a keyframe of a frame set; its landmarks take their depth from recent frames."""
        for camera, tokens in new.tokens.items():
            known = [(t, T) for t, T in self._recent if camera in t.tokens]
            best = partners(known, new.stamp_ns, T_map_rig, BASELINE, 1.0 / self._typical(), PARTNERS)
            if best:
                pairs = seen_from(new, camera, T_map_rig, best)
                tokens.adopt(self.model.dense(tokens, pairs, self._typical(), quick=True), SURE)
            unknown = np.isnan(tokens.inverse_depth)
            if unknown.mean() > ENOUGH:  # the camera only turned: any depth says where it looks
                tokens.inverse_depth[unknown] = self._guess(new, camera, T_map_rig)[unknown]
        keyframe, loops = super().add_keyframe(new, T_map_rig)
        self._dense.add(keyframe, new, self.background)
        return keyframe, loops + self._calibrate()

    def _neighbours(self, graph: KeyframeGraph, keyframe: Keyframe, new: TrackedFrame) -> list[int]:
        """Half of them see most of the same; the others are spread down to those that see little of it, from where depth is
        seen best: in a turn only they have any baseline."""
        count = self.config.keyframes.neighbours if self.background else self.config.keyframes.all_neighbours
        likely = graph.candidates(keyframe.T_map_rig, new.cameras, SPREAD_OVER * count, before=keyframe.id)
        near, far = likely[:count // 2], likely[count // 2:]
        return near + [far[i] for i in spread(len(far), count - len(near))] if far else near

    def _measured(self, new: TrackedFrame, camera: str, T_map_rig: np.ndarray) -> tuple[np.ndarray, float | None]:
        """A guess, see `_guess`."""
        return self._guess(new, camera, T_map_rig), GUESS_STD

    def _guess(self, new: TrackedFrame, camera: str, T_map_rig: np.ndarray) -> np.ndarray:
        """(N,) inverse depth of the corners: that of the landmarks found around them, else of much of what was seen last.

        It matters while nothing moves sideways, when neither depth nor distance travelled would be known: the camera then
        stays where it is, and what comes into view continues what was there, so that the scale goes on.
        """
        corners = new.tokens[camera].corners.astype(np.float64)
        pixels, points_map = seen_landmarks(self.graph, new, camera)
        points_cam = transform_points(se3_inverse(T_map_rig @ new.T_rig_cam[camera]), points_map)
        known = points_cam[:, 2] > 0.05 / self._typical()
        if np.count_nonzero(known) < FEW_NEAR:
            return np.full(len(corners), self._typical())
        _, near = cKDTree(pixels[known]).query(corners, k=FEW_NEAR)
        return np.median(1.0 / points_cam[known, 2][near], axis=1)

    def _typical(self) -> float:
        """Inverse depth of much of what was seen last."""
        return 1.0 / (self.graph.keyframes[self.reference].median_depth if self.reference is not None else START_DEPTH)

    # dense depth

    def frame_depth(self, new: TrackedFrame) -> dict[str, FrameDepth]:
        """Empty: depth is found for keyframes, once they have partners."""
        return {}

    def take_depth(self, everything: bool = False) -> list[KeyframeDepth]:
        """Dense depth of the keyframes that have partners on both sides by now, or of all that are still without."""
        if not everything and self.config.two_view.refine_focal and len(self.graph.keyframes) < CALIBRATE_AT[0]:
            return []
        return self._dense.take(self.config, self.graph.next_id - 3, self._typical(), self.background, everything)

    def prior_note(self) -> str:
        """As it is with `Tracker`."""
        return self._dense.note

    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """Change of the scale at a keyframe since its `depth` (H, W), 0 = none, was made, by its landmarks."""
        return dense_ratio(self.graph, keyframe, camera, depth)

    # focal length

    def _calibrate(self) -> tuple[int, ...]:
        """Refines the focal lengths with all keyframes, now and then. Returns loops that were found on the way."""
        count = len(self.graph.keyframes)
        due = [n for n in CALIBRATE_AT if self._calibrated_at < n <= count]
        if not self.config.two_view.refine_focal or not due:
            return ()
        self._calibrated_at = count
        self._back.ask(self._adjust_all)
        return self.catch_up(wait=False)

    def calibrate(self) -> None:
        """Bundle adjustment of all keyframes with a common factor of the focal lengths."""
        self._back.ask(self._adjust_all)
        self.catch_up()

    def _adjust_all(self, graph: KeyframeGraph) -> Callable[[], None] | None:
        """Adjusts all keyframes of a graph, and returns what gives the cameras the focal lengths that were found."""
        cameras = {c for k in graph.keyframes.values() for c in k.views}
        known = cameras - self.cameras.uncalibrated
        prior = self.config.two_view.focal_std if known else 1.0
        result = graph.optimize(set(graph.keyframes), 10, focal_std=prior, max_matches=LINK_MATCHES)
        if result is None:
            return None
        before = {c: next(k.views[c].intrinsics.fx for k in reversed(list(graph.keyframes.values())) if c in k.views)
                  for c in cameras}

        def give() -> None:
            for camera, focal in before.items():
                self._set_focal(camera, focal * float(np.exp(result.log_focal)), [t for t, _ in self._recent])
                self.cameras.focal_std_px[camera] = self.cameras.focal_px[camera] * result.log_focal_std

        return give

    def _set_focal(self, camera: str, focal_px: float, frames: list[TrackedFrame]) -> None:
        """From now on the camera has this focal length, and so have all frames and keyframes that are kept."""
        self.cameras.focal_px[camera] = focal_px
        self._dense.forget_running()
        for new in [*frames, *self._dense.frame_sets]:
            if camera in new.tokens:
                new.intrinsics[camera] = with_focal(new.intrinsics[camera], focal_px)
                new.tokens[camera].intrinsics = new.intrinsics[camera]
        for keyframe in self.graph.keyframes.values():
            view = keyframe.views.get(camera)
            if view is not None:
                view.intrinsics = view.tokens.intrinsics = with_focal(view.intrinsics, focal_px)
                view.rays = view.intrinsics.unproject(view.corners)
