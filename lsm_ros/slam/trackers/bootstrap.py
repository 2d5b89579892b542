# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Start of a map from colour alone: corners are followed until their parallax gives pose and depth."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, TwoViewPose, relative_pose, se3_inverse, triangulate_inverse_depth
from lsm_ros.pairs.base import Matches, SparsePairModel
from lsm_ros.slam.graph.bundle import BundleProblem, bundle_adjust
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.cameras import with_focal

MIN_TRACKS = 60
MIN_PARALLAX = np.deg2rad(1.3)
MIN_SHARE = 0.6  # of the tracks that the motion must explain
MAX_TURNED = 0.5  # of the tracks that a rotation explains
MAX_FRAMES = 80
MOST_BEFORE = 60  # frames of earlier attempts that get their poses afterwards
START_DEPTH = 2.0  # median depth of the first keyframe: indoors about metres, though nobody knows
TOLERANCE_PX = 1.0
WIDE_FOCALS = np.geomspace(0.5, 1.9, 7)  # of the image's width: 90 to 30 degrees


@dataclass(frozen=True)
class TwoFrames:
    """Two frames, how they lie to each other, and what both show.

    T_a_b: (4, 4), b the first frame, a the newest; inverse_depth (N,) of the first frame's corners, NaN where unknown;
    matches: those corners in the newest frame. between: the frames that came between. before: those that came before the
    first one, newest last. focal_px: where it was not known.
    """

    first: TrackedFrame
    newest: TrackedFrame
    camera: str
    T_a_b: np.ndarray
    inverse_depth: np.ndarray
    matches: Matches
    between: tuple[TrackedFrame, ...]
    before: tuple[TrackedFrame, ...] = ()
    focal_px: float | None = None


class Bootstrap:
    """Follows the corners of a first frame through the next ones. `reason` says what is missing."""

    def __init__(self, model: SparsePairModel, focal_unknown: bool = False) -> None:
        self.model = model
        self.focal_unknown = focal_unknown
        self.reason = "no frame yet"
        self._frames: list[TrackedFrame] = []
        self._before: deque[TrackedFrame] = deque(maxlen=MOST_BEFORE)
        self._tracks: list[tuple[np.ndarray, np.ndarray]] = []  # of each frame after the first: index, pixels

    def add(self, new: TrackedFrame) -> TwoFrames | None:
        """Takes the next frame set; returns the two frames once there is one. Only the first camera counts."""
        camera = next(iter(new.tokens))
        if not self._frames or self._frames[0].tokens.get(camera) is None:
            self._restart(new, camera)
            return None
        first = self._frames[0].tokens[camera]
        guess = np.full((len(first.corners), 2), np.nan)
        known, pixels = self._tracks[-1] if self._tracks else (np.arange(len(guess)), first.corners.astype(np.float64))
        guess[known] = pixels
        found = self.model.match(new.tokens[camera], first, guess)
        if len(found) < MIN_TRACKS or len(self._frames) > MAX_FRAMES:
            self._restart(new, camera)
            return None
        self._frames.append(new)
        self._tracks.append((found.index_b, found.pixels_a))
        return self._solve(new, camera, found)

    def _restart(self, new: TrackedFrame, camera: str) -> None:
        self._before += self._frames
        self._frames, self._tracks = [], []
        corners = len(new.tokens[camera].corners)
        if corners < MIN_TRACKS:
            self.reason = f"only {corners} corners in the image, {MIN_TRACKS} are needed: too dark, blurred or blank"
            return
        self._frames = [new]
        self.reason = "waiting for the camera to move sideways"

    def _solve(self, new: TrackedFrame, camera: str, found: Matches) -> TwoFrames | None:
        first = self._frames[0]
        corners = first.tokens[camera].corners.astype(np.float64)
        intrinsics = first.intrinsics[camera]
        shift = np.median(np.linalg.norm(found.pixels_a - corners[found.index_b], axis=1))
        if shift < 0.01 * intrinsics.width:
            self.reason = "waiting for the camera to move"
            return None
        pose = self._pose(corners, found, intrinsics)
        if pose is None:
            return None
        focal = None
        if self.focal_unknown:
            focal = self._find_focal(corners, found, intrinsics, camera)
            if focal is None:
                return None
            intrinsics = with_focal(intrinsics, focal)
            pose = self._pose(corners, found, intrinsics)
            if pose is None:
                return None
        matches = found.where(pose.inliers)
        T, w = self._refined(corners, matches, intrinsics, pose.T_a_b)
        scale = START_DEPTH * np.median(w)
        T[:3, 3] *= scale
        inverse_depth = np.full(len(corners), np.nan)
        inverse_depth[matches.index_b] = w / scale
        return TwoFrames(first, new, camera, T, inverse_depth, matches, tuple(self._frames[1:-1]),
                         tuple(self._before), focal)

    def _refined(self, corners: np.ndarray, matches: Matches, intrinsics: CameraIntrinsics, T_a_b: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
        """T_a_b, and the inverse depth of the matches, from a bundle with frames between: two views alone say little of a
        short way."""
        w = triangulate_inverse_depth(intrinsics.unproject(corners[matches.index_b]),
                                      intrinsics.unproject(matches.pixels_a)[:, :2], T_a_b)[0]
        problem = self._problem(corners, matches, intrinsics, T_a_b, w)
        problem.focal_std = None
        result = bundle_adjust(problem, 0.5 * TOLERANCE_PX, 1.0, iterations=15)
        return se3_inverse(result.T_map_rig[-1]), result.inverse_depth

    def _pose(self, corners: np.ndarray, found: Matches, intrinsics: CameraIntrinsics) -> TwoViewPose | None:
        """Pose from the matches if it can be believed."""
        pose = relative_pose(intrinsics.unproject(corners[found.index_b]), intrinsics.unproject(found.pixels_a),
                             TOLERANCE_PX / intrinsics.fx)
        if pose is None:
            self.reason = "the matches fit no motion"
        elif pose.parallax < MIN_PARALLAX:
            self.reason = (f"parallax {np.degrees(pose.parallax):.1f} degrees of {np.degrees(MIN_PARALLAX):.1f}: "
                           "the camera must move, not only turn")
        elif pose.turned > MAX_TURNED:
            self.reason = f"turning alone explains {pose.turned:.0%} of the matches: the camera must move, not only turn"
        elif np.count_nonzero(pose.inliers) < max(MIN_SHARE * len(found), 0.67 * MIN_TRACKS):
            self.reason = f"one motion explains only {np.count_nonzero(pose.inliers)} of {len(found)} matches"
        elif pose.ambiguous:
            self.reason = "two motions explain the matches equally well: more parallax is needed"
        else:
            return pose
        return None

    def _find_focal(self, corners: np.ndarray, found: Matches, guess: CameraIntrinsics, camera: str) -> float | None:
        """Focal length in pixels from a bundle of all frames so far, started from several; None if it is not clear."""
        costs: list[tuple[float, float, float]] = []
        for share in WIDE_FOCALS:
            intrinsics = with_focal(guess, share * guess.width)
            problem = self._bundle(corners, found, intrinsics)
            if problem is None:
                continue
            result = bundle_adjust(problem, 1.0, 1.0, iterations=25)
            if 0.35 < share * np.exp(result.log_focal) < 3.0:
                costs.append((result.costs[-1], intrinsics.fx * np.exp(result.log_focal), result.log_focal_std))
        if not costs:
            self.reason = "no focal length fits the motion yet"
            return None
        _, focal, std = min(costs)
        if std > 0.1:
            self.reason = (f"the focal length is not clear yet ({focal:.0f} px +- {100 * std:.0f} %): "
                           "the camera must turn and move")
            return None
        return float(focal)

    def _bundle(self, corners: np.ndarray, found: Matches, intrinsics: CameraIntrinsics) -> BundleProblem | None:
        """A bundle of the first frame and up to six later ones, with the focal length free; None without a start."""
        tolerance = 2 * TOLERANCE_PX / intrinsics.fx
        rays = intrinsics.unproject(corners)
        pose = relative_pose(rays[found.index_b], intrinsics.unproject(found.pixels_a), tolerance)
        if pose is None or pose.parallax < 0.5 * MIN_PARALLAX:
            return None
        inliers = found.where(pose.inliers)
        w = triangulate_inverse_depth(rays[inliers.index_b], intrinsics.unproject(inliers.pixels_a)[:, :2], pose.T_a_b)[0]
        return self._problem(corners, inliers, intrinsics, pose.T_a_b, w)

    def _problem(self, corners: np.ndarray, inliers: Matches, intrinsics: CameraIntrinsics, T_a_b: np.ndarray, w: np.ndarray
                 ) -> BundleProblem:
        """Corners of the first frame with inverse depth w at `inliers`, the newest frame at T_a_b, and up to five between."""
        rays = intrinsics.unproject(corners)
        row = np.full(len(corners), -1)
        row[inliers.index_b] = np.arange(len(inliers))
        last = len(self._tracks) - 1
        chosen = sorted({*np.linspace(0, last, 7).astype(int).tolist()[1:], last})
        T_b_a = se3_inverse(T_a_b)
        poses, landmark, keyframe, normalized = [np.eye(4)], [], [], []
        for n, i in enumerate(chosen):
            share = np.clip((i + 1) / (last + 1), 0.1, 1.0)  # between the two: on the way
            T = np.eye(4)
            T[:3, 3] = share * T_b_a[:3, 3]
            poses.append(T_b_a if i == last else T)
            index, pixels = self._tracks[i]
            seen = row[index] >= 0
            landmark.append(row[index][seen])
            keyframe.append(np.full(np.count_nonzero(seen), n + 1))
            normalized.append(intrinsics.unproject(pixels[seen])[:, :2])
        count, each = len(inliers), np.concatenate(keyframe)
        fixed = np.zeros(len(poses), bool)
        fixed[0] = True
        return BundleProblem(
            T_map_rig=np.stack(poses), fixed=fixed, T_rig_cam=np.eye(4)[None], anchor=np.zeros(count, np.int64),
            anchor_camera=np.zeros(count, np.int64), rays=rays[inliers.index_b], inverse_depth=np.clip(w, 0.002, 50.0),
            measured=np.full(count, np.nan), landmark=np.concatenate(landmark), keyframe=each, camera=np.zeros_like(each),
            normalized=np.concatenate(normalized), focal=np.full((len(each), 2), intrinsics.fx),
            depth=np.full(len(each), np.nan), focal_std=1.0)
