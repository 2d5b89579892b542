# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A pair model of single points that knows which point is which, and keyframes made of such points."""
from dataclasses import dataclass, field

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, se3_inverse, transform_points
from lsm_ros.pairs.agreement import Agreement
from lsm_ros.pairs.base import Correspondences, Matches
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeView
from lsm_ros.slam.trackers.base import TrackedFrame

PINHOLE = CameraIntrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)
SEARCH_PX = 60.0  # from a guess


def points_around(count=120, seed=0, low=(-1.5, -1.0, 2.0), high=(1.5, 1.0, 4.0)):
    """(N, 3) points of the world, before a camera at the origin."""
    return np.random.default_rng(seed).uniform(low, high, (count, 3))


@dataclass
class PointTokens:
    """Where each of the world's points (N,) is seen: pixels (N, 2) and depth (N,), NaN where it is not. gives_depth: whether
    what is found again has its depth. Corner i is point corner_of[i]."""

    pixels: np.ndarray
    depth: np.ndarray
    corner_of: np.ndarray
    gives_depth: bool = True
    inverse_depth: np.ndarray = field(default_factory=lambda: np.zeros(0))
    nbytes: int = 1000

    @property
    def corners(self):
        return self.pixels[self.corner_of]


def look(points, T_map_cam, intrinsics=PINHOLE, gives_depth=True, corners=None):
    """Tokens of an image at T_map_cam; corners (M,) indices of points, by default all that are in view."""
    cam = transform_points(se3_inverse(T_map_cam), points)
    pixels, ok = intrinsics.project(cam)
    ok &= intrinsics.contains(pixels)
    pixels, depth = np.where(ok[:, None], pixels, np.nan), np.where(ok, cam[:, 2], np.nan)
    chosen = np.flatnonzero(ok) if corners is None else np.asarray(corners, np.int64)
    return PointTokens(pixels, depth, chosen, gives_depth, 1 / depth[chosen])


class PointModel:
    """Finds points again that both images show. verdict: the agreement of any two whole images; asked: what was asked of it."""

    def __init__(self):
        self.verdict = Agreement(1000, 500, 500, 0, 100, 100)
        self.asked = []

    def match(self, tokens_a, tokens_b, guess_a):
        there = tokens_a.pixels[tokens_b.corner_of]
        found = np.flatnonzero(np.linalg.norm(there - guess_a, axis=1) < SEARCH_PX)  # NaN compares false
        return Matches(found, there[found], self._depths(tokens_a, tokens_b.corner_of[found]))

    def follow(self, tokens_a, tokens_b, pixels_b):
        which = [int(np.nanargmin(np.linalg.norm(tokens_b.pixels - p, axis=1))) for p in pixels_b]
        there = tokens_a.pixels[which]
        found = np.flatnonzero(np.isfinite(there[:, 0]))
        return found, there[found]

    def correspond(self, tokens_a, tokens_b):
        both = np.flatnonzero(np.isfinite(tokens_a.pixels[:, 0]) & np.isfinite(tokens_b.pixels[:, 0]))
        return Correspondences(tokens_a.pixels[both], tokens_b.pixels[both], self._depths(tokens_a, both), tokens_b.depth[both])

    def agreement(self, tokens_a, tokens_b, T_a_b):
        self.asked.append((tokens_a, tokens_b, T_a_b))
        return self.verdict

    def surfaces(self, tokens_a, tokens_b, T_a_b, depth_sigma):
        return None

    def _depths(self, tokens, which):
        return tokens.depth[which] if tokens.gives_depth else np.full(len(which), np.nan)


def keyframe_of(number, points, T_map_rig, mounts, **looks):
    """A keyframe whose cameras {name: T_rig_cam} see the points; its landmarks are exact."""
    views = {}
    for camera, T_rig_cam in mounts.items():
        tokens = look(points, T_map_rig @ T_rig_cam, **looks)
        views[camera] = KeyframeView(camera, tokens, PINHOLE, T_rig_cam, tokens.corners, PINHOLE.unproject(tokens.corners),
                                     tokens.inverse_depth.copy(), tokens.inverse_depth.copy())
    return Keyframe(number, number, T_map_rig, views)


def frame_of(stamp_ns, points, T_map_rig, mounts, **looks):
    """A frame set at a pose that is not known yet."""
    return TrackedFrame(stamp_ns, {c: look(points, T_map_rig @ T, **looks) for c, T in mounts.items()},
                        dict.fromkeys(mounts, PINHOLE), dict(mounts), None)
