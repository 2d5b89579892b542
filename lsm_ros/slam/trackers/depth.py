# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of each frame set against the keyframes, and the choice of new keyframes.

For pair models that find single points again (`SparsePairModel`): the landmarks of a few keyframes are projected with the
pose expected from odometry or constant velocity, searched for near there, and the pose solved from all of them.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics, se3_exp, se3_inverse, se3_log, transform_points
from lsm_ros.pairs.base import Matches, SparsePairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link, motion, thumbnail
from lsm_ros.slam.pose import RigPose, View, map_covariance, solve_rig_pose
from lsm_ros.types import Frame, FrameSet, TrackingState, TrackingUpdate

RELOCALIZE_TRIES = 6
LOOP_GROWTH = 1.2  # times more keyframes than at the last adjustment of all make another one worth its seconds
LOCATE_INLIERS = 12  # by descriptors; what they find is checked by the landmarks
CLEAR_INLIERS = 30  # by descriptors; as many are believed without that check


@dataclass
class Tracked:
    """A frame set with its tokens, and what was found in it."""

    stamp_ns: int
    tokens: dict[str, Any]
    intrinsics: dict[str, CameraIntrinsics]
    T_rig_cam: dict[str, np.ndarray]
    T_odom_base: np.ndarray | None
    pose: RigPose | None = None
    matches: dict[tuple[int, str], Matches] = field(default_factory=dict)
    reference: int | None = None
    fraction: float = 0.0
    frames: dict[str, Frame] = field(default_factory=dict)

    @property
    def cameras(self) -> dict[str, tuple[CameraIntrinsics, np.ndarray]]:
        return {c: (self.intrinsics[c], self.T_rig_cam[c]) for c in self.tokens}


class Tracker:
    """Tracks frame sets one by one; owns the keyframe graph. Not thread-safe. resizes: loops change the units of keyframes."""
    resizes = False

    def __init__(self, config: Config, model: SparsePairModel) -> None:
        self.config = config
        self.model = model
        self.graph = KeyframeGraph(config.keyframes, config.tracking)
        self.state = TrackingState.INITIALIZING
        self.reference: int | None = None
        self.localization_only = False
        self.recovered: list[tuple[int, np.ndarray, int]] = []  # earlier frames that got a pose: stamp, pose, keyframe
        self.uncalibrated: set[str] = set()
        self._last: list[tuple[int, np.ndarray, np.ndarray | None]] = []  # newest two: stamp, T_map_rig, T_odom_base
        self._initial: np.ndarray | None = None
        self._newest: Tracked | None = None  # the last frame set with a pose

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Where the rig is, as somebody outside says; used to look for the map there."""
        self._initial = T_map_rig.copy()
        self._newest = None
        self.state = TrackingState.LOST
        self._last.clear()

    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, Tracked | None]:
        """Pose of the frame set. Frames need intrinsics without distortion. Nothing is added to the graph."""
        frames = [f for f in frame_set.frames if f.intrinsics is not None]
        if not frames:
            return self._update(None, "no camera is calibrated yet"), None
        tokens = dict(zip((f.camera for f in frames), self.model.encode(frames), strict=True))
        new = Tracked(frame_set.stamp_ns, tokens, {f.camera: f.intrinsics for f in frames},
                      {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frames}, frame_set.T_odom_base,
                      frames={f.camera: f for f in frames})
        if not self.graph.keyframes:
            return self._update(new, ""), new
        lost = self.state is TrackingState.LOST
        reason = ""
        if not lost or self._initial is not None:
            guess = self._initial if self._initial is not None else self._predict(new)
            reason = self._track_from(new, guess)
            if new.pose is None and self._newest is not None:
                reason = self._track_by_flow(new) or reason
            if new.pose is None and self.reference is not None:
                reason = self._search(new, [self.reference], self.config.tracking.min_match_fraction) or ""
        if new.pose is None and self.state is not TrackingState.INITIALIZING:
            reason = self._relocalize(new) or reason
        return self._update(new, reason), new

    def wants_keyframe(self, new: Tracked) -> bool:
        """Whether a tracked frame set should become a keyframe (it needs landmarks of its own)."""
        if self.localization_only or new.pose is None:
            return False
        last, rule = self.graph.keyframes[self.reference], self.config.keyframes
        distance, angle = motion(last.T_map_rig, new.pose.T_map_rig)
        moved = distance > 0.01 * last.median_depth or angle > 0.02
        due = (new.fraction < rule.overlap or distance > rule.max_translation * last.median_depth
               or angle > rule.max_rotation or (moved and (new.stamp_ns - last.stamp_ns) * 1e-9 > rule.max_seconds))
        return due and self.has_landmarks(new)

    def start(self, new: Tracked, T_map_rig: np.ndarray) -> tuple[Keyframe | None, str]:
        """Takes a frame set while there is no map. Returns the first keyframe once there is one, else why not."""
        if not self.has_landmarks(new):
            return None, "too few corners with depth to start from"
        return self.add_keyframe(new, T_map_rig)[0], ""

    def guess_intrinsics(self, frame: Frame) -> CameraIntrinsics | None:
        """Intrinsics to begin with for a camera without calibration; None where tracking cannot find them itself."""
        return None

    def knowledge(self) -> dict[str, Any]:
        """What was learned about the cameras, as plain values; a new session or a saved map goes on with it."""
        return {}

    def recall(self, knowledge: dict[str, Any]) -> None:
        """Takes over what another tracker's `knowledge` said."""

    def wrong_calibration(self) -> dict[str, tuple[float, float, float]]:
        """Cameras whose calibration does not fit their images: focal length given, found, and its deviation, pixels."""
        return {}

    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """How the scale at a keyframe has changed since its `depth` (H, W) was made; 1 where cameras measure it."""
        return 1.0

    def patience_s(self) -> float:
        """Seconds of being lost after which a new session starts."""
        return self.config.tracking.lost_session_seconds

    def take_dense(self, everything: bool = False) -> list:
        """Dense depth that tracking found since it was last asked; nothing where cameras measure it."""
        return []

    def frame_depth(self, new: Tracked) -> dict[str, Any]:
        """Dense depth by camera that tracking found for this very frame set; nothing where cameras measure it."""
        return {}

    def finish(self) -> None:
        """Brings the graph to its best, when no frame is expected soon."""
        if self.graph.adjusted_at != self.graph.next_id:
            self.graph.adjust_all()

    def has_landmarks(self, new: Tracked) -> bool:
        """Whether a frame set could be a keyframe: it has enough landmarks of its own."""
        return any(len(t.corners) >= self.config.tracking.min_inliers for t in new.tokens.values())

    def add_keyframe(self, new: Tracked, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """Makes a keyframe of a frame set, links it with its neighbours and optimises around it.

        Returns it and the ids of older keyframes that it was joined to again (loops).
        """
        views = {}
        for camera, tokens in new.tokens.items():
            corners = tokens.corners.astype(np.float64)
            rho, intrinsics = tokens.inverse_depth, new.intrinsics[camera]
            measured, guess_std = self._measured(new, camera, T_map_rig)
            views[camera] = KeyframeView(camera, tokens, intrinsics, new.T_rig_cam[camera], corners,
                                         intrinsics.unproject(corners), measured, rho.copy(), guess_std)
        keyframe = Keyframe(self.graph.next_id, new.stamp_ns, T_map_rig, views, self._thumbnail(new))
        recent = [i for i in sorted(self.graph.keyframes)[-self.config.keyframes.window:]]
        self.graph.add(keyframe)
        for (other, camera), matches in new.matches.items():
            self.graph.connect(Link(other, camera, keyframe.id, camera, matches))
        near = self._neighbours(keyframe, new)
        joined = [i for i in near if self._join(keyframe, self.graph.keyframes[i])]
        loops = tuple(i for i in joined if i not in recent)
        free = set(recent) | {keyframe.id} | set(loops)
        self.graph.optimize(free)
        if loops:
            self._spread_loop()
        self.reference = keyframe.id
        if self._last and self._last[-1][0] == new.stamp_ns:
            self._last[-1] = (new.stamp_ns, keyframe.T_map_rig.copy(), new.T_odom_base)
        elif not self._last:
            self._last.append((new.stamp_ns, keyframe.T_map_rig.copy(), new.T_odom_base))
        self.state = TrackingState.TRACKING if self.state is TrackingState.INITIALIZING else self.state
        return keyframe, loops

    def expected_from_odometry(self, new: Tracked) -> np.ndarray | None:
        """T_map_rig that odometry alone gives since the last believed pose; None without odometry."""
        if not self._last or self._last[-1][2] is None or new.T_odom_base is None:
            return None
        return self._predict(new)

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame: every pose P becomes T_new_old P."""
        for keyframe in self.graph.keyframes.values():
            keyframe.T_map_rig = T_new_old @ keyframe.T_map_rig
        self._last = [(stamp, T_new_old @ T, T_odom) for stamp, T, T_odom in self._last]
        self.graph.version += 1

    # the steps

    def _measured(self, new: Tracked, camera: str, T_map_rig: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Inverse depth (N,) of the corners, whatever motion will say, and its relative deviation if it is a guess."""
        return new.tokens[camera].inverse_depth, None

    def _neighbours(self, keyframe: Keyframe, new: Tracked) -> list[int]:
        """Keyframes that a new keyframe is linked with."""
        return self.graph.candidates(keyframe.T_map_rig, new.cameras, self.config.keyframes.neighbours, exclude=[keyframe.id])

    def _spread_loop(self) -> None:
        """After a loop: what drifted since is corrected everywhere, not too often."""
        if self.graph.next_id >= LOOP_GROWTH * self.graph.adjusted_at:
            self.graph.adjust_all()

    def _predict(self, new: Tracked) -> np.ndarray:
        """Expected T_map_rig: the last pose moved on by odometry, else by constant velocity."""
        stamp, T, T_odom = self._last[-1] if self._last else (new.stamp_ns, self.graph.newest.T_map_rig, None)
        if T_odom is not None and new.T_odom_base is not None:
            return T @ se3_inverse(T_odom) @ new.T_odom_base
        if len(self._last) < 2:
            return T
        stamp0, T0, _ = self._last[0]
        dt, ahead = stamp - stamp0, new.stamp_ns - stamp
        if dt <= 0 or ahead <= 0 or dt > 1e9:
            return T
        return T @ se3_exp(se3_log(se3_inverse(T0) @ T) * min(ahead / dt, 3.0))

    def _track_from(self, new: Tracked, guess: np.ndarray) -> str:
        """Fills `new.pose` from the reference keyframe and its best neighbours; returns why not, or ''."""
        count = self.config.tracking.references
        references = [] if self.reference is None else [self.reference]
        references += self.graph.candidates(guess, new.cameras, count + 1, exclude=references)
        return self._solve(new, references[:count], guess, self.config.tracking.min_match_fraction)

    def _track_by_flow(self, new: Tracked) -> str:
        """As `_track_from`, with a pose guessed from where the last frame set's points went: for motion that nobody
        expected."""
        last, views = self._newest, []
        for (i, camera), matches in last.matches.items():
            view = self.graph.keyframes[i].views[camera] if i in self.graph.keyframes else None
            if view is None or camera not in new.tokens or not len(matches):
                continue
            found, pixels = self.model.follow(new.tokens[camera], last.tokens[camera], matches.pixels_a)
            points = transform_points(self.graph.keyframes[i].T_map_rig, view.points_rig()[matches.index_b[found]])
            views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points, pixels, np.full(len(found), np.nan)))
        t = self.config.tracking
        guess = solve_rig_pose(views, None, 2 * t.sigma_px, t.depth_sigma, t.huber, t.min_inliers, self.config.seed)
        return "the last frame's points were not found again" if guess is None else self._track_from(new, guess.T_map_rig)

    def _solve(self, new: Tracked, references: list[int], guess: np.ndarray, min_fraction: float) -> str:
        """Fills `new.pose` from the landmarks of `references`, looked for where `guess` puts them."""
        t = self.config.tracking
        found: dict[tuple[int, str], Matches] = {}
        views: list[View] = []
        for i in references:
            for camera, view in self.graph.keyframes[i].views.items():
                if camera not in new.tokens or not len(view.corners):
                    continue
                matches = self._match(new, guess, self.graph.keyframes[i], view)
                found[i, camera] = matches
                points_map = transform_points(self.graph.keyframes[i].T_map_rig, view.points_rig())
                views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points_map[matches.index_b],
                                  matches.pixels_a, matches.depth_a))
        pose = solve_rig_pose(views, guess, t.sigma_px, t.depth_sigma, t.huber, t.min_inliers,
                              self.config.seed)
        if pose is None:
            return f"fewer than {t.min_inliers} points of the map agree on a pose"
        kept = {key: m.where(inliers) for (key, m), inliers in zip(found.items(), pose.inliers, strict=True)}
        shares = {}
        for i in references:
            total = sum(len(v.corners) for c, v in self.graph.keyframes[i].views.items() if c in new.tokens)
            shares[i] = sum(len(m) for (k, _), m in kept.items() if k == i) / total if total else 0.0
        best = max(shares, key=lambda i: shares[i])
        if shares[best] < min_fraction:
            return f"only {shares[best]:.0%} of a keyframe's points were found"
        too_fast = self._too_fast(new, pose)
        if too_fast:
            return too_fast
        new.pose, new.matches = pose, {k: m for k, m in kept.items() if len(m)}
        new.fraction, new.reference = shares[best], best
        return ""

    def _match(self, new: Tracked, guess: np.ndarray, keyframe: Keyframe, view: KeyframeView) -> Matches:
        T_cam_rig_kf = se3_inverse(guess @ new.T_rig_cam[view.camera]) @ keyframe.T_map_rig
        pixels, ok = new.intrinsics[view.camera].project(transform_points(T_cam_rig_kf, view.points_rig()))
        return self.model.match(new.tokens[view.camera], view.tokens, np.where(ok[:, None], pixels, np.nan))

    def _too_fast(self, new: Tracked, pose: RigPose) -> str:
        if not self._last or self.state is TrackingState.LOST:
            return ""
        stamp, T, _ = self._last[-1]
        seconds = (new.stamp_ns - stamp) * 1e-9
        if seconds <= 0:
            return ""
        distance, angle = motion(T, pose.T_map_rig)
        t = self.config.tracking
        if distance > t.max_speed * seconds + 0.05 or angle > t.max_rate * seconds + 0.1:
            return f"the pose needs {distance / seconds:.1f} m/s and {angle / seconds:.1f} rad/s"
        return ""

    def _relocalize(self, new: Tracked) -> str:
        """Looks for the frame set in the keyframes whose thumbnails are most like it, with a stricter test."""
        here = self._thumbnail(new)
        scored = sorted(((float(k.thumbnail @ here), i) for i, k in self.graph.keyframes.items()
                         if k.thumbnail.shape == here.shape), reverse=True)
        state, self.state = self.state, TrackingState.LOST
        likely = [i for _, i in scored[:RELOCALIZE_TRIES]]
        reason = self._search(new, likely, self.config.tracking.relocalize_match_fraction)
        if reason:
            self.state = state
        return reason

    def _search(self, new: Tracked, keyframes: list[int], min_fraction: float) -> str:
        """Finds the pose by descriptors against one keyframe after the other.

        A find counts if the landmarks around it are then found where they should be, or, where the view has changed too
        much for that, if descriptors alone agree clearly.
        """
        for i in keyframes:
            located, share = self._locate(new, self.graph.keyframes[i])
            if located is None:
                continue
            near = [i, *self.graph.candidates(located.T_map_rig, new.cameras, 2, exclude=[i])]
            if not self._solve(new, near, located.T_map_rig, min_fraction):
                return ""
            if located.inlier_count >= CLEAR_INLIERS and share >= 0.5 and not self._too_fast(new, located):
                new.pose, new.matches, new.fraction, new.reference = located, {}, min_fraction, i
                return ""
        return "the frame fits no keyframe"

    def _locate(self, new: Tracked, keyframe: Keyframe) -> tuple[RigPose | None, float]:
        """Pose from the descriptors that the frame set shares with a keyframe, and the share of them that agree."""
        t, views = self.config.tracking, []
        for camera, view in keyframe.views.items():
            if camera in new.tokens:
                both = self.model.correspond(new.tokens[camera], view.tokens)
                both = both.where(np.isfinite(both.depth_b))
                points_cam = view.intrinsics.unproject(both.pixels_b) * both.depth_b[:, None]
                points_map = transform_points(keyframe.T_map_rig @ view.T_rig_cam, points_cam)
                views.append(View(new.intrinsics[camera], new.T_rig_cam[camera], points_map, both.pixels_a, both.depth_a))
        found = solve_rig_pose(views, None, 2 * t.sigma_px, 3 * t.depth_sigma, t.huber, LOCATE_INLIERS, self.config.seed)
        return found, 0.0 if found is None else found.inlier_count / sum(len(v.pixels) for v in views)

    def _join(self, new: Keyframe, old: Keyframe) -> bool:
        """Links two keyframes in both directions, where points are found again near where they should be."""
        found = 0
        for a, b in ((new, old), (old, new)):
            for camera, view in b.views.items():
                if camera not in a.views or (b.id, camera, a.id, camera) in self.graph.links or not len(view.corners):
                    continue
                target = a.views[camera]
                T = se3_inverse(a.T_map_rig @ target.T_rig_cam) @ b.T_map_rig
                in_a = transform_points(T, view.points_rig())
                pixels, ok = target.intrinsics.project(in_a)
                matches = self.model.match(target.tokens, view.tokens, np.where(ok[:, None], pixels, np.nan))
                matches = self._verified(matches, pixels, in_a[:, 2])
                if len(matches) >= self.config.tracking.min_inliers:
                    self.graph.connect(Link(b.id, camera, a.id, camera, matches))
                    found += len(matches)
        return found > 0

    def _verified(self, matches: Matches, expected: np.ndarray, depth: np.ndarray) -> Matches:
        """Keeps matches that moved alike: within 6 pixels of the median shift, and at the depth that they should have."""
        if not len(matches):
            return matches
        shift = matches.pixels_a - expected[matches.index_b]
        good = np.linalg.norm(shift - np.median(shift, axis=0), axis=1) < 6.0
        known = np.isfinite(matches.depth_a)
        good &= ~known | (np.abs(matches.depth_a - depth[matches.index_b]) < 0.1 * depth[matches.index_b])
        return matches.where(good)

    def _thumbnail(self, new: Tracked) -> np.ndarray:
        return thumbnail([new.tokens[camera].gray for camera in sorted(new.tokens)])

    def _update(self, new: Tracked | None, reason: str) -> TrackingUpdate:
        """Moves the state on and reports it."""
        if new is None or new.pose is None:
            if self.state is not TrackingState.INITIALIZING:
                self.state = TrackingState.LOST
            self._newest = None
            return TrackingUpdate(self.state, None, None, 0.0, reason=reason)
        self.state = TrackingState.RELOCALIZED if self.state is TrackingState.LOST else TrackingState.TRACKING
        if self.state is TrackingState.RELOCALIZED:
            self._last.clear()
        self._initial = None
        self._newest = new
        if new.reference is not None and not self._reference_is_better(new):
            self.reference = new.reference
        self._last = [*self._last[-1:], (new.stamp_ns, new.pose.T_map_rig, new.T_odom_base)]
        return TrackingUpdate(self.state, new.pose.T_map_rig, self._covariance(new), new.fraction)

    def _covariance(self, new: Tracked) -> np.ndarray:
        """(6, 6) of the pose in the map, in ROS order."""
        return map_covariance(new.pose)

    def _reference_is_better(self, new: Tracked) -> bool:
        """Whether the present reference still sees almost as much as the best one (it is newer, so it is kept)."""
        if self.reference is None or self.reference not in self.graph.keyframes:
            return False
        keyframe = self.graph.keyframes[self.reference]
        found = sum(len(m) for (k, _), m in new.matches.items() if k == self.reference)
        return found >= 0.7 * new.fraction * max(keyframe.landmark_count, 1)
