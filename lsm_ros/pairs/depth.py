# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair geometry from measured depth: corners found again by optical flow or descriptors, pose by PnP."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, depth_discontinuities, depth_to_pointmap, solve_pnp, transform_points
from lsm_ros.pairs.base import Correspondences, Matches
from lsm_ros.types import Frame, PairPrediction

FLOW_WINDOW = (21, 21)
FLOW_LEVELS = 3
FLOW_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
RATIO = 0.8  # best to second best descriptor distance
FEATURES = 800


@dataclass
class DepthTokens:
    """What is kept of a frame for matching.

    gray: (H, W) uint8. depth_mm: (H, W) uint16 millimetres, 0 = none, or None. intrinsics: None while unknown.
    Corners and descriptors are made when first needed.
    """

    camera: str
    stamp_ns: int
    gray: np.ndarray
    depth_mm: np.ndarray | None
    intrinsics: CameraIntrinsics | None
    config: PairConfig
    _corners: np.ndarray | None = field(default=None, repr=False)
    _features: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @property
    def corners(self) -> np.ndarray:
        """(N, 2) float32 pixels of the landmarks: corners that have a depth and do not lie on its edges."""
        if self._corners is None:
            self._corners = self._detect()
        return self._corners

    @property
    def inverse_depth(self) -> np.ndarray:
        """(N,) float64, 1/m, of the corners."""
        return 1.0 / self.sample_depth(self.corners)

    @property
    def nbytes(self) -> int:
        parts = [self.gray, self.depth_mm, *(self._features or ())]
        return sum(p.nbytes for p in parts if p is not None)

    def depth(self) -> np.ndarray:
        """(H, W) float32 metres, 0 = none."""
        if self.depth_mm is None:
            return np.zeros(self.gray.shape, np.float32)
        return self.depth_mm.astype(np.float32) * np.float32(0.001)

    def sample_depth(self, pixels: np.ndarray) -> np.ndarray:
        """(N,) float64 metres at pixels (N, 2): the median of the 3x3 neighbours, NaN where fewer than 5 are known, or
        where they differ by more than 5 % (an edge)."""
        if self.depth_mm is None or not len(pixels):
            return np.full(len(pixels), np.nan)
        h, w = self.gray.shape
        x, y = np.rint(pixels).astype(np.int64).T
        inside = (x >= 1) & (y >= 1) & (x < w - 1) & (y < h - 1)
        x, y = np.clip(x, 1, w - 2), np.clip(y, 1, h - 2)
        dy, dx = np.mgrid[-1:2, -1:2].reshape(2, 9)
        near = self.depth_mm[y[:, None] + dy, x[:, None] + dx].astype(np.float64) * 0.001
        near.sort(axis=1)
        unknown = (near == 0).sum(1)
        middle = near[np.arange(len(near)), (unknown + 9) // 2 - (unknown == 9)]
        span = near[:, -1] - near[np.arange(len(near)), np.minimum(unknown, 8)]
        return np.where(inside & (unknown <= 4) & (span < 0.05 * middle), middle, np.nan)

    def _detect(self) -> np.ndarray:
        if self.depth_mm is None:
            return np.zeros((0, 2), np.float32)
        depth = self.depth()
        usable = ((depth > self.config.min_depth) & (depth < self.config.max_depth)).astype(np.uint8)
        usable[depth_discontinuities(depth)] = 0
        usable = cv2.erode(usable, np.ones((5, 5), np.uint8), borderValue=0)
        distance = max(3.0, self.config.min_corner_distance * self.gray.shape[1] / 640)
        found = cv2.goodFeaturesToTrack(self.gray, self.config.max_points, 0.005, distance, mask=usable, blockSize=5)
        if found is None:
            return np.zeros((0, 2), np.float32)
        found = found.reshape(-1, 2)
        return found[np.isfinite(self.sample_depth(found))]

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, 2) float64 and RootSIFT descriptors (M, 128) uint8 of the whole image."""
        if self._features is None:
            points, found = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=0.02).detectAndCompute(self.gray, None)
            pixels = np.array([p.pt for p in points], np.float64).reshape(-1, 2)
            found = np.zeros((0, 128), np.float32) if found is None else found
            # Arandjelovic and Zisserman, Three things everyone should know ..., CVPR 2012
            root = np.sqrt(found / np.maximum(found.sum(1, keepdims=True), 1e-6))
            self._features = pixels, np.rint(root * 255).astype(np.uint8)
        return self._features


class DepthPairModel:
    """Pair model of an RGB-D camera, or of a camera with a depth node. Metric; needs depth at image b."""

    name = "depth"
    is_metric = True

    def __init__(self, config: PairConfig) -> None:
        self.config = config

    def encode(self, frames: Sequence[Frame]) -> list[DepthTokens]:
        """Tokens of each frame. Depth outside [min_depth, max_depth] is taken as unknown."""
        return [self._encode(f) for f in frames]

    def _encode(self, frame: Frame) -> DepthTokens:
        depth_mm = None
        if frame.depth is not None:
            good = (frame.depth >= self.config.min_depth) & (frame.depth <= min(self.config.max_depth, 65.0))
            depth_mm = np.where(good, frame.depth * 1000 + 0.5, 0).astype(np.uint16)
        gray = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        return DepthTokens(frame.camera, frame.stamp_ns, gray, depth_mm, frame.intrinsics, self.config)

    def match(self, tokens_a: DepthTokens, tokens_b: DepthTokens, guess_a: np.ndarray) -> Matches:
        """Finds b's corners in a by pyramidal Lucas-Kanade from `guess_a` (N, 2), checked backwards."""
        h, w = tokens_a.gray.shape
        inside = np.all((guess_a > -20) & (guess_a < (w + 20, h + 20)), axis=1)  # NaN compares false
        index = np.flatnonzero(inside)
        if not len(index):
            return Matches.none()
        start = tokens_b.corners[index].reshape(-1, 1, 2)
        guess = guess_a[index].astype(np.float32).reshape(-1, 1, 2)
        options = dict(winSize=FLOW_WINDOW, criteria=FLOW_CRITERIA, flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
        found, ok, _ = cv2.calcOpticalFlowPyrLK(tokens_b.gray, tokens_a.gray, start, guess, maxLevel=FLOW_LEVELS, **options)
        # the way back is known: what is right stays where it started, at full resolution
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(tokens_a.gray, tokens_b.gray, found, start.copy(), maxLevel=0, **options)
        found, back = found.reshape(-1, 2), back.reshape(-1, 2)
        good = (ok.ravel() > 0) & (ok_back.ravel() > 0) & (np.abs(back - start.reshape(-1, 2)).max(1) < 0.7)
        good &= np.all((found >= 1) & (found <= (w - 2, h - 2)), axis=1)
        found = found[good].astype(np.float64)
        return Matches(index[good], found, tokens_a.sample_depth(found))

    def correspond(self, tokens_a: DepthTokens, tokens_b: DepthTokens) -> Correspondences:
        """Points of both images by descriptors: mutual nearest neighbours that pass the ratio test."""
        pixels_a, features_a = tokens_a.features()
        pixels_b, features_b = tokens_b.features()
        if len(features_a) < 2 or len(features_b) < 2:
            return Correspondences.none()
        matcher = cv2.BFMatcher(cv2.NORM_L2)
        forward = matcher.knnMatch(features_b.astype(np.float32), features_a.astype(np.float32), k=2)
        backward = {m.queryIdx: m.trainIdx for m in matcher.match(features_a.astype(np.float32),
                                                                  features_b.astype(np.float32))}
        good = [(m.trainIdx, m.queryIdx) for m, n in forward
                if m.distance < RATIO * n.distance and backward[m.trainIdx] == m.queryIdx]
        index_a, index_b = np.array(good, np.int64).reshape(-1, 2).T
        found_a, found_b = pixels_a[index_a], pixels_b[index_b]
        return Correspondences(found_a, found_b, tokens_a.sample_depth(found_a), tokens_b.sample_depth(found_b))

    def predict(self, pairs: Sequence[tuple[DepthTokens, DepthTokens]],
                priors: Sequence[np.ndarray | None] | None = None) -> list[PairPrediction]:
        """Predictions for pairs of tokens; priors: guesses of T_a_b (4, 4). ValueError when b has no depth, when
        intrinsics are missing, or when too few points are found again to tell the pose."""
        return [self._predict(a, b, None if priors is None else priors[i]) for i, (a, b) in enumerate(pairs)]

    def _predict(self, a: DepthTokens, b: DepthTokens, prior: np.ndarray | None) -> PairPrediction:
        import torch

        if a.intrinsics is None or b.intrinsics is None:
            raise ValueError(f"pair model 'depth' needs the intrinsics of camera {a.camera!r}")
        if prior is None:
            both = self.correspond(a, b)
            pixels_a, pixels_b, depth_a, depth_b = both.pixels_a, both.pixels_b, both.depth_a, both.depth_b
        else:
            depth_b = 1.0 / b.inverse_depth
            guess, ok = a.intrinsics.project(transform_points(prior, b.intrinsics.unproject(b.corners) * depth_b[:, None]))
            near = self.match(a, b, np.where(ok[:, None], guess, np.nan))
            pixels_a, depth_a = near.pixels_a, near.depth_a
            pixels_b, depth_b = b.corners[near.index_b].astype(np.float64), depth_b[near.index_b]
        solved = solve_pnp(b.intrinsics.unproject(pixels_b) * depth_b[:, None], pixels_a, a.intrinsics,
                           T_cam_map_init=prior, depths=depth_a)
        if solved is None:
            raise ValueError(f"the images of camera {a.camera!r} at {a.stamp_ns} ns and {b.camera!r} at {b.stamp_ns} ns "
                             f"share too few points ({len(pixels_a)} matches)")
        points_a, valid_a = depth_to_pointmap(a.depth(), a.intrinsics)
        points_b, valid_b = depth_to_pointmap(b.depth(), b.intrinsics)
        points_b = transform_points(solved.T_cam_map, points_b)

        def tensor(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

        return PairPrediction(tensor(points_a), tensor(points_b), tensor(valid_a), tensor(valid_b), is_metric=True,
                              matches_a=tensor(pixels_a[solved.inliers]), matches_b=tensor(pixels_b[solved.inliers]),
                              T_a_b=solved.T_cam_map)

