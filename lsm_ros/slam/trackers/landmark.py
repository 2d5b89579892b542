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
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.base import SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link, motion
from lsm_ros.slam.graph.noise import MatchNoise
from lsm_ros.slam.graph.uncertainty import Uncertainty
from lsm_ros.slam.places import Places
from lsm_ros.slam.pose import RigPose, map_covariance
from lsm_ros.slam.trackers.base import Contradiction, TrackedFrame, Tracker, part_of
from lsm_ros.slam.trackers.carried import LostOdometry
from lsm_ros.slam.trackers.known_ground import KnownGround
from lsm_ros.slam.trackers.landmark_back_end import LandmarkBackEnd
from lsm_ros.slam.trackers.landmark_links import join_all
from lsm_ros.slam.trackers.landmark_pose import LandmarkPose, blank, take
from lsm_ros.slam.trackers.progress import PoseStamp
from lsm_ros.slam.trackers.trial import SEARCHED, Trial
from lsm_ros.slam.trackers.watch import Watch
from lsm_ros.slam.trackers.whole_image import WITNESSES, agreement, misfit, placed_in, refutation
from lsm_ros.types import FrameSet, TrackingState, TrackingUpdate

RELOCALIZE_TRIES = 6
EXPECTED_WITHIN_NS = 1_000_000_000  # after the newest pose; later every place is as likely
SAME_PLACE = 0.05  # of a keyframe's landmarks in view: it shows a place that was found already
NEAR_BY, NEAR_TURN = 0.2, 0.35  # median depths and radians from where the camera was expected: no other place
DOUBTFUL = 0.5  # of the landmarks in view: with fewer, another pose may fit better
CLEARLY = 1.5  # times as many
SAME_VIEW = 0.7  # of what the best keyframe has: the present reference is kept, for it is newer


class LandmarkTracker(Tracker):
    """Tracks frame sets by landmarks; a kind of tracking says where these have their depth from."""

    model: SparsePairModel

    def __init__(self, config: Config, model: SparsePairModel) -> None:
        graph: KeyframeGraph = KeyframeGraph(config.keyframes, config.tracking, places=Places(model))
        self._back = LandmarkBackEnd(config, model, graph, self._neighbours, self.resizes)
        super().__init__(config, model, graph)
        self._newest: TrackedFrame | None = None  # the last frame set with a pose
        self._trial: Trial | None = None
        self._lost = LostOdometry()
        self._watch = Watch()
        self._noise = MatchNoise()

    def apply(self, config: Config) -> None:
        """Takes over parameters, at the start and while running."""
        self.config = self._back.config = config
        self.graph.config, self.graph.tracking = config.keyframes, config.tracking
        self._pose = LandmarkPose(config, self.model, self.graph, self.progress)
        self._ground = KnownGround(config, self.model, self.graph, self._pose)
        self._uncertainty = Uncertainty(self.graph, config.tracking)

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Position of the rig as reported from outside (4, 4); the map is searched there."""
        super().set_initial_pose(T_map_rig)
        self._newest = self._trial = None

    # frame by frame

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, TrackedFrame | None]:
        """Pose of the frame set; see `Tracker.track`."""
        new = self.read(frame_set)
        if new is None:
            return self._lose("no camera is calibrated yet"), None
        reason = self._find_pose(new) if self.graph.keyframes else ""
        self.contradiction = None if new.pose is None else self._contradicted(new, new.pose.T_map_rig)
        return (self._lose(reason) if new.pose is None else self._accept(new, new.pose)), new

    def read(self, frame_set: FrameSet) -> TrackedFrame | None:
        """A frame set as it is tracked; see `Tracker.read`."""
        frames = [f for f in frame_set.frames if f.intrinsics is not None]
        if not frames:
            return None
        tokens = dict(zip((f.camera for f in frames), self.model.encode(frames), strict=True))
        return TrackedFrame(frame_set.stamp_ns, tokens, {f.camera: f.intrinsics for f in frames if f.intrinsics is not None},
                            {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frames}, frame_set.T_odom_base,
                            frames={f.camera: f for f in frames})

    def _find_pose(self, new: TrackedFrame) -> str:
        """Fills `new.pose` by the first way that works; returns why none did, or ''."""
        reason, initial = "", self.progress.initial
        if self._trial is not None:
            reason = self._try_again(new, self._trial)
        elif self.state is not TrackingState.LOST or initial is not None:
            reason = self._go_on(new, initial)
        if new.pose is None and self._trial is None and self.state is not TrackingState.INITIALIZING:
            expected = self._expected_while_lost(new)
            reason = self._relocalize(new, expected) or reason
        return reason

    def _expected_while_lost(self, new: TrackedFrame) -> np.ndarray | None:
        """T_map_rig (4, 4) by odometry, or None; the image is asked whether it may be so."""
        self._lost.lost(new.T_odom_base)
        expected = self.expected_from_odometry(new)
        if expected is None or self._lost.is_carried:
            return expected
        if self.can_start(new) and self.contradicts(new, expected):
            self._lost.refuted()
        return expected

    def _go_on(self, new: TrackedFrame, initial: np.ndarray | None) -> str:
        """Pose near where it is expected, by the last frame, or in the reference keyframe; returns why not, or ''."""
        reason = self._track_from(new, self._predict(new) if initial is None else initial)
        if new.pose is not None and initial is not None and not self._pose.is_confirmed(new, self._seen(new)):
            return "the image contradicts the pose that was given from outside"
        if new.pose is not None and (share := self._pose.share_in_view(new)) < DOUBTFUL:
            self._look_elsewhere(new, share)
        if new.pose is None and self._newest is not None:
            guess = self._pose.by_flow(new, self._newest)
            reason = (self._track_from(new, guess) if guess is not None
                      else "the last frame's points were not found again") or reason
        if new.pose is None and self.reference is not None:
            least = self.config.tracking.min_match_fraction
            reason = self._pose.by_descriptors(new, [self.reference], least) and reason
        return reason

    def _look_elsewhere(self, new: TrackedFrame, found_share: float) -> None:
        """Takes the pose by descriptors, if clearly more of the map is found there than the share at the present one: in a
        repeated pattern, that may be a period off."""
        other, least = blank(new), self.config.tracking.min_match_fraction
        if self.reference is None or self._pose.by_descriptors(other, [self.reference], least):
            return
        if self._pose.share_in_view(other) > CLEARLY * found_share:
            take(new, other)

    def _predict(self, new: TrackedFrame) -> np.ndarray:
        expected, newest = self.progress.predict(new.stamp_ns, new.T_odom_base), self.graph.newest
        assert newest is not None  # there is a map to track in
        return newest.T_map_rig if expected is None else expected

    def _track_from(self, new: TrackedFrame, guess: np.ndarray, reference: int | None = None) -> str:
        """From the reference keyframe, and its best neighbours where it shows too little."""
        reference = self.reference if reference is None else reference
        least, count = self.config.tracking.min_match_fraction, self.config.tracking.references
        first = [reference] if reference is not None and reference in self.graph.keyframes else []
        reason = self._pose.near(new, first, guess, least) if first else "there is no keyframe around"
        if new.pose is not None:
            guess = new.pose.T_map_rig
            if new.fraction >= self.config.keyframes.overlap and not self._ground.is_elsewhere(first[0], guess):
                return ""  # it shows so much that others would hardly add to it
        others = self.graph.candidates(guess, new.cameras, count + 1, exclude=first)
        if others:
            reason = self._pose.near(new, [*first, *others][:count], guess, least)
        return reason if new.pose is None else ""

    @staticmethod
    def _seen(new: TrackedFrame) -> list[int]:
        """Keyframes whose landmarks the frame set shows."""
        return sorted({i for i, _ in new.matches})

    # lost

    def _relocalize(self, new: TrackedFrame, expected: np.ndarray | None) -> str:
        """Searches the whole map. A find where the camera was expected counts at once; others are tried for some frames, but
        not where odometry, by which the rig is `expected` (4, 4), cannot have brought it."""
        before, self.progress.state = self.state, TrackingState.LOST
        found, reason = self._search(new)
        if found is None or found.pose is None:
            self.progress.state = before
            return reason
        if self._is_expected(new, found.pose):
            take(new, found)
            return ""
        self.progress.state = before
        if not self._lost.allows(expected, found.pose.T_map_rig, self.model.is_metric):
            return "a place that looks alike was found, where odometry cannot have brought the camera"
        self._trial = Trial(found.pose.T_map_rig, found)
        return "a place in the map was found; the next frames must be found there too"

    def _is_expected(self, new: TrackedFrame, found: RigPose) -> bool:
        """True for a pose near the one that odometry or the last motion lets expect, shortly after the newest one."""
        newest = self.progress.newest
        if newest is None or new.stamp_ns - newest.stamp_ns > EXPECTED_WITHIN_NS:
            return False
        distance, angle = motion(self._predict(new), found.T_map_rig)
        return distance < NEAR_BY * self.graph.depth_of(self.reference) and angle < NEAR_TURN

    def _try_again(self, new: TrackedFrame, trial: Trial) -> str:
        """Looks for the frame set where the last one was found; its pose counts once enough were."""
        last = trial.newest
        assert last.pose is not None
        found, frames = self._found_near(new, last.pose.T_map_rig, last), 1
        if found is None:
            before, self.progress.state = self.state, TrackingState.LOST
            found, frames = self._search(new)[0], SEARCHED
            self.progress.state = before
        if found is None or found.pose is None or not self._can_reach(last, found):
            self._trial = None
            return "the place that was found does not hold"
        trial.go_on(found, frames)
        if not trial.is_held(self.graph.depth_of(found.reference)):
            return "a place in the map was found; the next frames must be found there too"
        take(new, found)
        self._trial = None
        self._watch.forget()
        self.attach(self.graph.next_id, new.stamp_ns)
        self.progress.state = TrackingState.LOST
        return ""

    def _can_reach(self, last: TrackedFrame, new: TrackedFrame) -> bool:
        """True if a camera can have moved from the one pose to the other in the time between."""
        if last.pose is None or new.pose is None:
            return False
        step = PoseStamp(last.stamp_ns, last.pose.T_map_rig, last.T_odom_base)
        return not step.too_fast(new.stamp_ns, new.pose.T_map_rig, self.config.tracking)

    @property
    def is_trying(self) -> bool:
        """True while a place that was found is looked at again before it counts."""
        return self._trial is not None

    def locate(self, new: TrackedFrame) -> TrackedFrame | None:
        """Looks for a frame set in the whole map; see `Tracker.locate`."""
        before, self.progress.state = self.state, TrackingState.LOST
        found, _ = self._search(new)
        self.progress.state = before
        return found

    def confirm(self, new: TrackedFrame, T_map_rig: np.ndarray) -> TrackedFrame | None:
        """Looks for a frame set at a place; see `Tracker.locate`."""
        before, self.progress.state = self.state, TrackingState.LOST
        found = self._found_near(new, T_map_rig)
        self.progress.state = before
        return found

    def _found_near(self, new: TrackedFrame, guess: np.ndarray, last: TrackedFrame | None = None) -> TrackedFrame | None:
        """A copy of the frame set with its pose near a guess (4, 4), or where the points of the last frame set went, if the
        whole image speaks for it."""
        found = blank(new)
        reference = None if last is None else last.reference
        if self._track_from(found, guess, reference) and last is not None:
            moved = self._pose.by_flow(new, last)
            if moved is not None:
                self._track_from(found, moved, reference)
        if found.pose is None or not self._pose.is_confirmed(found, self._seen(found)):
            return None
        return found

    def _search(self, new: TrackedFrame) -> tuple[TrackedFrame | None, str]:
        """A copy of the frame set with its pose, from the keyframes that look most like it, with a stricter test; and why there
        is none. Two places apart that both fit are none."""
        places: list[TrackedFrame] = []
        for i in self.graph.alike(self.model.signature(new.in_order), RELOCALIZE_TRIES):
            keyframe, here = self.graph.keyframes[i], blank(new)
            found = [p.pose.T_map_rig for p in places if p.pose is not None]
            if any(self.graph.overlap(keyframe, T, new.cameras) > SAME_PLACE for T in found):
                continue
            if not self._pose.anywhere(here, i):
                places.append(here)
        if len(places) > 1:
            return None, f"{len(places)} places of the map look like what the camera sees"
        return (places[0], "") if places else (None, "the frame fits no keyframe")

    # watch

    def contradicts(self, new: TrackedFrame, T_map_rig: np.ndarray) -> str:
        """Why the map says that a frame set is not at T_map_rig (4, 4), or ''."""
        around = self.graph.candidates(T_map_rig, new.cameras, WITNESSES)
        return refutation(agreement(self.model, new, T_map_rig, [self.graph.keyframes[i] for i in around]))

    def _contradicted(self, new: TrackedFrame, T_map_rig: np.ndarray) -> Contradiction | None:
        """The part of the map that is not where it should be, if the image shows that. Only what was tied by a find without a
        prior is watched."""
        bounds = list(self.attached)
        if not bounds or not self._watch.is_due(new.stamp_ns):
            return None
        found: dict[int, Agreement] = {}
        for i in self.graph.candidates(T_map_rig, new.cameras, WITNESSES, before=bounds[-1]):
            part = part_of(i, bounds)
            found[part] = found.get(part, Agreement()) + agreement(self.model, new, T_map_rig, [self.graph.keyframes[i]])
        return self._watch.add(new.stamp_ns, found, bounds)

    def _lose(self, reason: str) -> TrackingUpdate:
        self._newest = None
        return self.progress.lose(reason)

    def _accept(self, new: TrackedFrame, found: RigPose) -> TrackingUpdate:
        self._newest, self._lost = new, LostOdometry(new.T_odom_base)
        self._noise.add(found.noise_px)
        self.graph.sigma_px = self._noise.sigma_px(self.config.tracking.sigma_px)
        if new.reference is not None:
            self.progress.reference = self._reference_for(new, found)
        pose = PoseStamp(new.stamp_ns, found.T_map_rig, new.T_odom_base)
        shared = None if new.reference is None else self._uncertainty.at(new.reference, found.T_map_rig)
        return self.progress.accept(pose, map_covariance(found), new.fraction, shared)

    def _reference_for(self, new: TrackedFrame, found: RigPose) -> int | None:
        """The present reference while it shows the same and almost as much of it as any; else the keyframe that shows most of
        those that show the same; else the one that shows most."""
        shares = {i: sum(len(m) for (k, _), m in new.matches.items() if k == i)
                  / max(self.graph.keyframes[i].landmark_count, 1) for i in self._seen(new)}
        same = [i for i in shares if not self._ground.is_elsewhere(i, found.T_map_rig)]
        if self.reference in same and shares[self.reference] >= SAME_VIEW * max(shares.values()):
            return self.reference
        return max(same, key=lambda i: (shares[i], i)) if same else new.reference

    # keyframes

    def wants_keyframe(self, new: TrackedFrame) -> bool:
        """True if a tracked frame set should become a keyframe (it needs landmarks of its own): it shows what no keyframe
        around shows, or what has changed since."""
        if self.localization_only or new.pose is None or self.reference is None:
            return False
        last, rule, T = self.graph.keyframes[self.reference], self.config.keyframes, new.pose.T_map_rig
        if self._ground.is_elsewhere(last.id, T) or new.fraction < rule.overlap:
            known = self._ground.known_by(new, T, self.reference)
            if known is not None:
                self.progress.reference = known
            return known is None and self.can_start(new)
        if (new.stamp_ns - last.stamp_ns) * 1e-9 <= rule.max_seconds:
            return False
        distance, angle = motion(last.T_map_rig, T)
        moved = distance > 0.01 * last.median_depth or angle > 0.02
        return (moved if last is self.graph.newest else self._ground.has_changed(new, last)) and self.can_start(new)

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
        keyframe = Keyframe(self.graph.next_id, new.stamp_ns, T_map_rig, views)
        self.graph.add(keyframe)
        for (other, camera), matches in new.matches.items():
            if other in self.graph.keyframes:  # others have just been taken out
                self.graph.connect(Link(other, camera, keyframe.id, camera, matches))
        self.progress.keyframe_added(keyframe.id, PoseStamp(new.stamp_ns, T_map_rig, new.T_odom_base))
        self._back.add(keyframe, new)
        return keyframe, self.catch_up(wait=False)

    def catch_up(self, wait: bool = True) -> tuple[int, ...]:
        """Takes over what the back end has found; see `Tracker.catch_up`."""
        done = self._back.take(wait or not self.background)
        if done.loops:
            self._uncertainty.forget()
        if done.correction is not None:
            self.progress.correct(done.correction)
            if done.loops:
                self._corrected(done.correction)
        return done.loops

    def _corrected(self, correction: np.ndarray) -> None:
        """Loops have moved the newest keyframe by a correction (4, 4) of the map, which holds for the newest frames too."""

    def knit(self, first: int) -> None:
        """Links the newest keyframes with those older than `first`, and moves them as that says."""
        newest = {i for i in sorted(self.graph.keyframes)[-self.config.keyframes.window:] if i >= first}
        count, least = self.config.keyframes.neighbours, self.config.tracking.min_inliers
        if join_all(self.graph, self.model, count, least, newest, before=first):
            self.graph.optimize(newest)

    def misfit(self, older: Tracker, T_older_here: np.ndarray, units: float) -> Contradiction | None:
        """From up to 60 keyframes, by the whole image of each; see `Tracker.misfit`."""
        placed = placed_in(self.graph, T_older_here, units)
        return misfit(self.model, placed, older.graph, list(older.attached))

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame; see `Tracker.move_map`."""
        super().move_map(T_new_old)
        self._uncertainty.renumbered()

    def absorb(self, older: Tracker) -> None:
        """Takes in the keyframes of an older map; what ties them is watched."""
        super().absorb(older)
        self._uncertainty.renumbered()
        self._trial = None
        self._watch.forget()

    def split(self, first: int, end: int | None) -> Tracker:
        """Lets go of keyframes; see `Tracker.split`."""
        self._watch.forget()
        self._uncertainty.renumbered()
        return super().split(first, end)

    @abstractmethod
    def _measured(self, new: TrackedFrame, camera: str, T_map_rig: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Inverse depth (N,) of the corners, whatever motion will say, and its relative deviation if it is a guess."""

    @abstractmethod
    def _neighbours(self, graph: KeyframeGraph, keyframe: Keyframe, new: TrackedFrame) -> list[int]:
        """Older keyframes of the graph that a new one is linked with."""
