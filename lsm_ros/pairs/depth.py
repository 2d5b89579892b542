# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair geometry from measured depth: corners found again by optical flow or descriptors, pose by PnP."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, depth_discontinuities, depth_to_pointmap, solve_pnp, transform_points
from lsm_ros.pairs.agreement import Agreement, compare
from lsm_ros.pairs.base import Correspondences, Matches, SparsePairModel, packed_image
from lsm_ros.pairs.corners import find_by_flow, match_descriptors, root_sift, scaled_to
from lsm_ros.pairs.masks import clear_found, grown, is_clear, packed, unpacked
from lsm_ros.pairs.surfaces import Surfaces, common_surfaces
from lsm_ros.pairs.vlad import compare_signatures, signature_of
from lsm_ros.types import Frame, PairPrediction

FEATURES = 800


@dataclass
class DepthTokens:
    """A frame as it is kept for matching.

    gray: (H, W) uint8. depth_mm: (H, W) uint16 millimetres, 0 = none, or None. intrinsics: None while unknown.
    mask: (H, W) bool, where nothing is found, or None. Corners and descriptors are made when first needed.
    """

    camera: str
    stamp_ns: int
    gray: np.ndarray
    depth_mm: np.ndarray | None
    intrinsics: CameraIntrinsics | None
    config: PairConfig
    mask: np.ndarray | None = None
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
        parts = [self.gray, self.depth_mm, self.mask, *(self._features or ())]
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
        usable: np.ndarray = ((depth > self.config.min_depth) & (depth < self.config.max_depth)).astype(np.uint8)
        usable[depth_discontinuities(depth)] = 0
        usable = cv2.erode(usable, np.ones((5, 5), np.uint8), borderValue=0)
        if self.mask is not None:
            usable[self.mask] = 0
        distance = max(3.0, self.config.min_corner_distance * self.gray.shape[1] / 640)
        found = cv2.goodFeaturesToTrack(self.gray, self.config.max_points, 0.005, distance, mask=usable, blockSize=5)
        if found is None:
            return np.zeros((0, 2), np.float32)
        found = found.reshape(-1, 2)
        return found[np.isfinite(self.sample_depth(found))]

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (M, 2) float64 and RootSIFT descriptors (M, 128) uint8 of the whole image but its mask."""
        if self._features is None:
            pixels, found = root_sift(self.gray, FEATURES)
            clear = is_clear(self.mask, pixels)
            self._features = pixels[clear], found[clear]
        return self._features


class DepthPairModel(SparsePairModel):
    """Pair model of an RGB-D camera, or of a camera with a depth node. Metric; needs depth at image b."""

    name = "depth"
    uses_depth = True
    is_metric = True
    scale_source = "depth"
    scale_std = 0.01

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
        return DepthTokens(frame.camera, frame.stamp_ns, gray, depth_mm, frame.intrinsics, self.config, grown(frame.mask))

    def match(self, tokens_a: DepthTokens, tokens_b: DepthTokens, guess_a: np.ndarray) -> Matches:
        """Finds b's corners in a by pyramidal Lucas-Kanade from `guess_a` (N, 2), checked backwards."""
        index, found = clear_found(tokens_a.mask, *find_by_flow(tokens_a.gray, tokens_b.gray, tokens_b.corners, guess_a))
        return Matches(index, found, tokens_a.sample_depth(found))

    def follow(self, tokens_a: DepthTokens, tokens_b: DepthTokens, pixels_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds pixels_b (N, 2) of b in a, taken shortly after, by Lucas-Kanade from where they were."""
        guess_a = scaled_to(pixels_b, tokens_b.gray.shape, tokens_a.gray.shape)
        return clear_found(tokens_a.mask, *find_by_flow(tokens_a.gray, tokens_b.gray, pixels_b, guess_a))

    def correspond(self, tokens_a: DepthTokens, tokens_b: DepthTokens) -> Correspondences:
        """Points of both images by descriptors: mutual nearest neighbours that pass the ratio test."""
        pixels_a, features_a = tokens_a.features()
        pixels_b, features_b = tokens_b.features()
        index_a, index_b = match_descriptors(features_a, features_b)
        found_a, found_b = pixels_a[index_a], pixels_b[index_b]
        return Correspondences(found_a, found_b, tokens_a.sample_depth(found_a), tokens_b.sample_depth(found_b))

    def agreement(self, tokens_a: DepthTokens, tokens_b: DepthTokens, T_a_b: np.ndarray) -> Agreement:
        """Agreement of a with b, by the depth of both and by what they look like."""
        assert tokens_a.intrinsics is not None and tokens_b.intrinsics is not None
        if tokens_b.depth_mm is None:
            return Agreement()
        return compare(tokens_b.gray, tokens_b.depth_mm, tokens_b.intrinsics, tokens_a.gray, tokens_a.depth_mm,
                       tokens_a.intrinsics, T_a_b, 0.001, tokens_a.mask)

    def surfaces(self, tokens_a: DepthTokens, tokens_b: DepthTokens, T_a_b: np.ndarray, depth_sigma: float
                 ) -> Surfaces | None:
        """Points of b on surfaces of a, by the depth of both."""
        if tokens_a.depth_mm is None or tokens_b.depth_mm is None:
            return None
        assert tokens_a.intrinsics is not None and tokens_b.intrinsics is not None
        return common_surfaces(tokens_b.depth_mm, tokens_b.intrinsics, tokens_a.depth_mm, tokens_a.intrinsics, T_a_b,
                               depth_sigma, 0.001)

    def signature(self, tokens: Sequence[DepthTokens]) -> np.ndarray:
        """(cameras, bytes) uint8: visual words of the descriptors, less than 2 kB a camera."""
        return signature_of([t.features()[1] for t in tokens])

    def alike(self, tokens: Sequence[DepthTokens] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) from -1 to 1 by visual words; see `lsm_ros.pairs.vlad.compare_signatures`."""
        return compare_signatures(tokens if isinstance(tokens, np.ndarray) else self.signature(tokens), signatures)

    def pack(self, tokens: DepthTokens) -> dict[str, np.ndarray]:
        """The image, its depth, without any an empty array, and its mask."""
        depth_mm = np.zeros((0, 0), np.uint16) if tokens.depth_mm is None else tokens.depth_mm
        return {"gray": tokens.gray, "depth_mm": depth_mm} | packed(tokens.mask)

    def unpack(self, camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, parts: Mapping[str, np.ndarray]
               ) -> DepthTokens:
        """Tokens from what `pack` gave, and their corners. ValueError for an image of another size than the camera's."""
        gray = packed_image(parts, "gray", np.uint8, intrinsics.shape)
        depth_mm = packed_image(parts, "depth_mm", np.uint16, intrinsics.shape, (0, 0))
        return DepthTokens(camera, stamp_ns, gray, depth_mm if depth_mm.size else None, intrinsics, self.config,
                           unpacked(parts, intrinsics.shape), parts["corners"].astype(np.float32))

    def predict(self, pairs: Sequence[tuple[DepthTokens, DepthTokens]],
                priors: Sequence[np.ndarray | None] | None = None) -> list[PairPrediction]:
        """Predictions for pairs of tokens; priors: guesses of T_a_b (4, 4). ValueError when b has no depth, when
        intrinsics are missing, or when too few points are found again to solve the pose."""
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

