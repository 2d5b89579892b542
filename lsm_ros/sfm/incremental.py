# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Structure from motion without a network: one image after the other is added to a model that is adjusted as it grows
(Snavely et al., Photo Tourism, 2006; Schoenberger and Frahm, Structure-from-Motion Revisited, CVPR 2016)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, relative_pose, se3_inverse
from lsm_ros.geometry.pnp import solve_pnp
from lsm_ros.sfm.bundle import BundleData, BundleState, adjust, residuals
from lsm_ros.sfm.feature_matching import VerifiedPair
from lsm_ros.sfm.model import SceneModel, SetImage
from lsm_ros.sfm.tracks import Tracks, triangulate

LEAST_SEEN = 20  # points of the model that an image shows
LEAST_INLIERS = 15
LEAST_PARALLAX = np.radians(1.5)  # of the two first images
GOOD_PARALLAX = np.radians(6.0)  # more makes a start no better
STARTS = 8  # first pairs that are tried
GROWTH = 1.15  # the whole model is adjusted when it has grown by so much
REJECT_PX = 4.0  # for an image of 640 pixels
LEAST_IMAGES = 2


@dataclass
class _Growing:
    """A model that grows. poses: T_cam_world by image. points: (T, 3) of all tracks, where `has` (T,). intrinsics: of the
    cameras, as in `BundleState`."""

    intrinsics: np.ndarray
    points: np.ndarray
    has: np.ndarray
    poses: dict[int, np.ndarray] = field(default_factory=dict)


class IncrementalMapper:
    """Adds images with matched features to models. images: of the set; intrinsics that are guesses are pinholes, known ones may
    be distorted. tracks: in pixels of the images. progress: called with the number of images added."""

    def __init__(self, images: Sequence[SetImage], tracks: Tracks, pairs: Sequence[VerifiedPair],
                 progress: Callable[[int], None] | None = None) -> None:
        self.images, self.tracks, self.pairs, self.progress = images, tracks, pairs, progress
        self.camera = np.array([image.camera for image in images])
        cameras = int(self.camera.max()) + 1
        self.guess, self.free = np.zeros((cameras, 4)), np.zeros(cameras, bool)
        for image in images:
            c = image.intrinsics
            self.guess[image.camera] = (c.fx, c.cx, c.cy, 0.0)
            self.free[image.camera] = not image.known
        # a known camera's pixels become those of a pinhole of its focal length; the lens of others is estimated
        self.pixels = tracks.pixels.copy()
        for n in np.unique(tracks.image):
            if images[n].known:
                c, rows = images[n].intrinsics, tracks.image == n
                self.pixels[rows] = c.fx * c.unproject(tracks.pixels[rows])[:, :2] + (c.cx, c.cy)
        self.reject = np.array([REJECT_PX * max(1.0, max(i.intrinsics.shape) / 640) for i in images])

    def run(self) -> tuple[list[SceneModel], dict[int, str]]:
        """Models of all groups of images that can be connected, and why the other images are in none."""
        left = set(range(len(self.images)))
        why = {n: "shares too few points with any other image" for n in left}
        models = []
        while True:
            grown = self._begin(left, why)
            if grown is None:
                return models, {n: why[n] for n in sorted(left)}
            self._grow(grown, left, why)
            if len(grown.poses) < LEAST_IMAGES:
                return models, {n: why[n] for n in sorted(left)}
            models.append(self._model(grown))
            left -= set(grown.poses)

    # the start

    def _begin(self, left: set[int], why: dict[int, str]) -> _Growing | None:
        """The two images to begin with, the best of several by how many points they give."""
        scored = []
        for p in self.pairs:
            if p.i in left and p.j in left:
                scored.append((len(p.index_i), p))
        tried = sorted(scored, key=lambda s: (-s[0], s[1].i, s[1].j))[:300]
        found = []
        for _, p in tried:
            start = self._pose_of(p)
            if start is None:
                continue
            pose, inliers = start
            if pose.parallax < LEAST_PARALLAX:
                for n in (p.i, p.j):
                    why[n] = "shares points with others only without parallax: the camera turned, or did not move"
                continue
            if pose.ambiguous:
                for n in (p.i, p.j):
                    why[n] = "shares points with others only that are flat: two motions explain them"
                continue
            found.append((inliers * min(pose.parallax / GOOD_PARALLAX, 1.0), p, pose.T_a_b))
        for _, p, T_i_j in sorted(found, key=lambda s: (-s[0], s[1].i, s[1].j))[:STARTS]:
            grown = _Growing(self.guess.copy(), np.zeros((self.tracks.count, 3)), np.zeros(self.tracks.count, bool))
            grown.poses = {p.i: np.eye(4), p.j: se3_inverse(T_i_j)}
            self._triangulate(grown)
            self._adjust(grown)
            if np.count_nonzero(grown.has) >= LEAST_SEEN and len(grown.poses) == 2:
                return grown
        return None

    def _pose_of(self, p: VerifiedPair) -> tuple[object, int] | None:
        """Relative pose of a pair and its number of inliers."""
        rows = [self.tracks.image == n for n in (p.i, p.j)]
        shared, a, b = np.intersect1d(*(self.tracks.track[r] for r in rows), assume_unique=True, return_indices=True)
        if len(shared) < LEAST_SEEN:
            return None
        rays = [self._rays(self.guess, n, self.pixels[r][at]) for n, r, at in zip((p.i, p.j), rows, (a, b), strict=True)]
        tolerance = 0.5 * self.reject[p.i] / self.guess[self.camera[p.i], 0]
        pose = relative_pose(rays[1], rays[0], tolerance)
        return None if pose is None else (pose, int(np.count_nonzero(pose.inliers)))

    def _rays(self, intrinsics: np.ndarray, image: int, pixels: np.ndarray) -> np.ndarray:
        """(N, 3) rays with z = 1."""
        f, cx, cy, k = intrinsics[self.camera[image]]
        bent = (pixels - (cx, cy)) / f
        flat = bent
        for _ in range(5):
            flat = bent / (1 + k * (flat**2).sum(1, keepdims=True))
        return np.concatenate([flat, np.ones((len(flat), 1))], 1)

    # growth

    def _grow(self, grown: _Growing, left: set[int], why: dict[int, str]) -> None:
        adjusted, failed = len(grown.poses), {}
        while True:
            seen = np.bincount(self.tracks.image[grown.has[self.tracks.track]], minlength=len(self.images))
            waiting = [n for n in sorted(left) if n not in grown.poses and failed.get(n, 0) < seen[n]]
            n = max(waiting, key=lambda n: seen[n], default=-1)
            if n < 0 or seen[n] < LEAST_SEEN:
                if adjusted == len(grown.poses):
                    break
                self._refine(grown)
                adjusted = len(grown.poses)
                continue
            T = self._register(grown, n)
            if T is None:
                failed[n] = int(seen[n])  # again when more of it is known
                why[n] = f"shows {seen[n]} points of a model, but no camera pose explains them"
                continue
            grown.poses[n] = T
            if self.progress is not None:
                self.progress(1)
            self._triangulate(grown)
            if len(grown.poses) >= GROWTH * adjusted:
                self._refine(grown)
                adjusted = len(grown.poses)
        for _ in range(3):
            self._refine(grown)

    def _register(self, grown: _Growing, n: int) -> np.ndarray | None:
        rows = np.flatnonzero((self.tracks.image == n) & grown.has[self.tracks.track])
        f = grown.intrinsics[self.camera[n], 0]
        height, width = self.images[n].intrinsics.shape
        pinhole = CameraIntrinsics(width, height, f, f, *grown.intrinsics[self.camera[n], 1:3])
        pixels = self._rays(grown.intrinsics, n, self.pixels[rows])[:, :2] * f + grown.intrinsics[self.camera[n], 1:3]
        found = solve_pnp(grown.points[self.tracks.track[rows]], pixels, pinhole, reprojection_px=self.reject[n],
                          iterations=1000, min_inliers=LEAST_INLIERS)
        if found is None or np.count_nonzero(found.inliers) < max(LEAST_INLIERS, 0.25 * len(rows)):
            return None
        return found.T_cam_map

    def _refine(self, grown: _Growing) -> None:
        for step in (self._adjust, self._triangulate):
            if grown.poses:  # all may have gone: what they had in common was no scene
                step(grown)

    def _observations(self, grown: _Growing) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Rows of the tracks in images with a pose, the place of each row's image among these, and those images."""
        order = sorted(grown.poses)
        place = np.full(len(self.images), -1)
        place[order] = np.arange(len(order))
        rows = np.flatnonzero(place[self.tracks.image] >= 0)
        return rows, place[self.tracks.image[rows]], order

    def _state(self, grown: _Growing, order: list[int]) -> BundleState:
        return BundleState(np.stack([grown.poses[n] for n in order]), grown.points, grown.intrinsics)

    def _data(self, rows: np.ndarray, place: np.ndarray, order: list[int]) -> BundleData:
        return BundleData(place, self.tracks.track[rows], self.pixels[rows], self.camera[order], self.free, self.guess)

    def _triangulate(self, grown: _Growing) -> None:
        """Makes points of tracks that have none; a track's worst ray is left out until the others agree."""
        rows, place, order = self._observations(grown)
        new = ~grown.has[self.tracks.track[rows]]
        rows, place = rows[new], place[new]
        for _ in range(3):
            if not len(rows):
                return
            T = se3_inverse(np.stack([grown.poses[n] for n in order]))
            rays = np.concatenate([self._rays(grown.intrinsics, n, self.pixels[rows[place == k]]) for k, n in enumerate(order)])
            by_image = np.argsort(place, kind="stable")
            rows, place = rows[by_image], place[by_image]
            directions = np.einsum("mij,mj->mi", T[place][:, :3, :3], rays / np.linalg.norm(rays, axis=1, keepdims=True))
            track = self.tracks.track[rows]
            points, good = triangulate(directions, T[place][:, :3, 3], track, self.tracks.count)
            state = replace(self._state(grown, order), points=points)
            error, local = residuals(state, self._data(rows, place, order))
            size = np.where(local[:, 2] > 0, np.linalg.norm(error, axis=1), np.inf) / self.reject[self.tracks.image[rows]]
            worst = np.zeros(self.tracks.count)
            np.maximum.at(worst, track, size)
            done = good & (worst < 1) & np.isin(np.arange(self.tracks.count), track)
            grown.points[done], grown.has[done] = points[done], True
            keep = ~done[track] & (size < worst[track])
            rows, place = rows[keep], place[keep]

    def _inliers(self, grown: _Growing) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """As `_observations`, of tracks with a point, where it is seen."""
        rows, place, order = self._observations(grown)
        known = grown.has[self.tracks.track[rows]]
        rows, place = rows[known], place[known]
        error, local = residuals(self._state(grown, order), self._data(rows, place, order))
        good = (local[:, 2] > 0) & (np.linalg.norm(error, axis=1) < self.reject[self.tracks.image[rows]])
        return rows[good], place[good], order

    def _adjust(self, grown: _Growing) -> None:
        """Bundle adjustment; then points that fewer than two images see, or without an angle, and images with few points go."""
        rows, place, order = self._inliers(grown)
        used, compact = np.unique(self.tracks.track[rows], return_inverse=True)
        state, data = self._state(grown, order), self._data(rows, place, order)
        state = adjust(replace(state, points=grown.points[used]), replace(data, point=compact))
        grown.points[used], grown.intrinsics = state.points, state.intrinsics
        grown.poses = dict(zip(order, state.T_cam_world, strict=True))
        rows, place, order = self._inliers(grown)
        track = self.tracks.track[rows]
        T = se3_inverse(np.stack([grown.poses[n] for n in order]))
        away = grown.points[track] - T[place][:, :3, 3]
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12)
        grown.has = triangulate(away, T[place][:, :3, 3], track, self.tracks.count)[1]
        kept = np.bincount(self.tracks.image[rows[grown.has[track]]], minlength=len(self.images))
        for n in order:
            if kept[n] < LEAST_INLIERS:
                del grown.poses[n]

    # the result

    def _model(self, grown: _Growing) -> SceneModel:
        rows, place, order = self._inliers(grown)
        many = np.bincount(self.tracks.track[rows], minlength=self.tracks.count) >= 2
        keep = many[self.tracks.track[rows]]
        rows, place = rows[keep], place[keep]
        used, first, point = np.unique(self.tracks.track[rows], return_index=True, return_inverse=True)
        cameras = []
        for n in order:
            f, cx, cy, k = (float(v) for v in grown.intrinsics[self.camera[n]])
            height, width = self.images[n].intrinsics.shape
            cameras.append(self.images[n].intrinsics if self.images[n].known else CameraIntrinsics(
                width, height, f, f, cx, cy, "plumb_bob" if k else "", (k, 0.0, 0.0, 0.0) if k else ()))
        poses = se3_inverse(np.stack([grown.poses[n] for n in order]))
        return SceneModel(np.array(order), tuple(cameras), poses, grown.points[used],
                          self.tracks.colors[rows[first]], place, point, self.tracks.pixels[rows])
