# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair geometry from colour alone, without weights: corners found again, essential matrix or homography, dense flow."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics, relative_pose, se3_inverse, transform_points, triangulate_inverse_depth
from lsm_ros.pairs.agreement import Agreement, compare
from lsm_ros.pairs.base import Correspondences, DensePairModel, Matches, packed_image
from lsm_ros.pairs.corners import MARGIN_PX, find_by_flow, scaled_to
from lsm_ros.pairs.dense import DenseDepth, dense_inverse_depth
from lsm_ros.pairs.masks import clear_found, clear_keypoints, grown, packed, unpacked
from lsm_ros.pairs.point_features.base import Keypoints, PointFeatures
from lsm_ros.pairs.point_features.sift import SiftFeatures
from lsm_ros.pairs.vlad import compare_signatures, signature_of
from lsm_ros.types import Frame, PairPrediction

SIFT = SiftFeatures()  # of which signatures are made, whatever images are matched by
CORNERS = 300
MATCH_WINDOW = 11  # pixels: a small patch stays flat enough to be found exactly, in less than half the time
GUESSED_LEVELS = 2  # of the pyramid, where a pose says about where to look
TOLERANCE_PX = 1.0  # of a match beside its epipolar line
FEWEST_POINTS = 20  # of two images that give a pose


@dataclass
class TwoViewTokens:
    """A frame as it is kept for matching.

    gray: (H, W) uint8. intrinsics: None while unknown. inverse_depth: (N,) of the corners, NaN until it is known. dense:
    inverse depth of the image at reduced size, in the scale of the map, 0 = none. mask: (H, W) bool, where nothing is found, or
    None. Corners and keypoints are made when first needed.
    """

    camera: str
    stamp_ns: int
    gray: np.ndarray
    intrinsics: CameraIntrinsics | None
    config: PairConfig
    dense: np.ndarray | None = None
    mask: np.ndarray | None = None
    _corners: np.ndarray | None = field(default=None, repr=False)
    _inverse_depth: np.ndarray | None = field(default=None, repr=False)
    _keypoints: dict[str, Keypoints] = field(default_factory=dict, repr=False)

    @property
    def corners(self) -> np.ndarray:
        """(N, 2) float32 pixels of the landmarks."""
        if self._corners is None:
            distance = max(3.0, self.config.min_corner_distance * self.gray.shape[1] / 640)
            inner = np.zeros(self.gray.shape, np.uint8)
            inner[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = 255
            if self.mask is not None:
                inner[self.mask] = 0
            found = cv2.goodFeaturesToTrack(self.gray, min(CORNERS, self.config.max_points), 0.003, distance, mask=inner,
                                            blockSize=5)
            self._corners = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
        return self._corners

    @property
    def inverse_depth(self) -> np.ndarray:
        """(N,) float64 of the corners, NaN where unknown."""
        if self._inverse_depth is None:
            self._inverse_depth = np.full(len(self.corners), np.nan)
        return self._inverse_depth

    @property
    def pinhole(self) -> CameraIntrinsics:
        """The intrinsics. ValueError while they are unknown."""
        if self.intrinsics is None:
            raise ValueError(f"pair model 'two_view' needs the intrinsics of camera {self.camera!r}")
        return self.intrinsics

    @property
    def nbytes(self) -> int:
        return sum(p.nbytes for p in (self.gray, self.dense, self.mask, *self._keypoints.values()) if p is not None)

    def keypoints(self, features: PointFeatures) -> Keypoints:
        """Points of this kind in the whole image but its mask."""
        if features.name not in self._keypoints:
            self._keypoints[features.name] = clear_keypoints(self.mask, features.detect(self.gray))
        return self._keypoints[features.name]

    def adopt(self, dense: DenseDepth, max_relative_sigma: float) -> None:
        """Takes the inverse depth of corners, and of the image, from a dense estimate where it is sure enough."""
        sure = np.where(dense.relative_sigma < max_relative_sigma, dense.inverse_depth, 0.0).astype(np.float32)
        height, width = sure.shape
        self.dense = sure[::2, ::2].astype(np.float16)
        x, y = np.rint(self.corners).astype(np.int64).T
        at = sure[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float64)
        self._inverse_depth = np.where(at > 0, at, np.nan)

    def resize(self, factor: float) -> None:
        """Makes all that is known of depth larger by `factor`."""
        if self.dense is not None:
            self.dense = (self.dense.astype(np.float32) / factor).astype(np.float16)
        if self._inverse_depth is not None:
            self._inverse_depth = self._inverse_depth / factor

    def sample_depth(self, pixels: np.ndarray) -> np.ndarray:
        """(N,) float64 depth at pixels (N, 2) in the scale of the map, NaN where it is unknown."""
        if self.dense is None or not len(pixels):
            return np.full(len(pixels), np.nan)
        x, y = (np.rint(pixels) / 2).astype(np.int64).T
        w = self.dense[np.clip(y, 0, self.dense.shape[0] - 1), np.clip(x, 0, self.dense.shape[1] - 1)].astype(np.float64)
        return np.where(w > 0, 1.0 / np.where(w > 0, w, 1.0), np.nan)


class TwoViewPairModel(DensePairModel):
    """Pair model of a plain camera: classical two-view geometry. Not metric."""

    name = "two_view"
    features: PointFeatures = SIFT

    def __init__(self, config: PairConfig) -> None:
        self.config = config

    def encode(self, frames: Sequence[Frame]) -> list[TwoViewTokens]:
        """Tokens of each frame."""
        return [TwoViewTokens(f.camera, f.stamp_ns, cv2.cvtColor(f.image, cv2.COLOR_RGB2GRAY), f.intrinsics, self.config,
                              mask=grown(f.mask)) for f in frames]

    def match(self, tokens_a: TwoViewTokens, tokens_b: TwoViewTokens, guess_a: np.ndarray) -> Matches:
        """Finds b's corners in a by pyramidal Lucas-Kanade from `guess_a` (N, 2), checked backwards."""
        index, found = clear_found(tokens_a.mask, *find_by_flow(tokens_a.gray, tokens_b.gray, tokens_b.corners, guess_a,
                                                                GUESSED_LEVELS, MATCH_WINDOW))
        return Matches(index, found, np.full(len(index), np.nan))

    def follow(self, tokens_a: TwoViewTokens, tokens_b: TwoViewTokens, pixels_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Finds pixels_b (N, 2) of b in a, taken shortly after, by Lucas-Kanade from where they were."""
        guess_a = scaled_to(pixels_b, tokens_b.gray.shape, tokens_a.gray.shape)
        return clear_found(tokens_a.mask, *find_by_flow(tokens_a.gray, tokens_b.gray, pixels_b, guess_a))

    def correspond(self, tokens_a: TwoViewTokens, tokens_b: TwoViewTokens) -> Correspondences:
        """Points of both images by descriptors; depth_b is that of b's dense estimate. Depths of a are not given: they
        would come from the same images."""
        a, b = tokens_a.keypoints(self.features), tokens_b.keypoints(self.features)
        index_a, index_b = self.features.match(a, b)
        found_b = b.pixels[index_b]
        return Correspondences(a.pixels[index_a], found_b, np.full(len(index_a), np.nan), tokens_b.sample_depth(found_b))

    def dense(self, tokens: TwoViewTokens, partners: Sequence[tuple[TwoViewTokens, np.ndarray]], typical: float,
              quick: bool = False) -> DenseDepth:
        """Inverse depth of an image, much of which has the inverse depth `typical`, from others (tokens, T_partner_image)
        whose poses are known."""
        found = dense_inverse_depth(tokens.gray, tokens.pinhole, [(t.gray, t.pinhole, T) for t, T in partners], typical, quick,
                                    [t.mask for t, _ in partners])
        return found.without(tokens.mask)

    def agreement(self, tokens_a: TwoViewTokens, tokens_b: TwoViewTokens, T_a_b: np.ndarray) -> Agreement:
        """Agreement of a with b, by what they look like; nothing is compared while b has no dense depth."""
        if tokens_b.dense is None:
            return Agreement()
        assert tokens_a.intrinsics is not None and tokens_b.intrinsics is not None
        w = cv2.resize(tokens_b.dense.astype(np.float32), tokens_b.gray.shape[::-1], interpolation=cv2.INTER_NEAREST)
        depth_b = np.where(w > 0, 1.0 / np.where(w > 0, w, 1.0), 0.0)
        return compare(tokens_b.gray, depth_b, tokens_b.intrinsics, tokens_a.gray, None, tokens_a.intrinsics, T_a_b,
                       mask_a=tokens_a.mask)

    def signature(self, tokens: Sequence[TwoViewTokens]) -> np.ndarray:
        """(cameras, bytes) uint8: visual words of the descriptors, less than 2 kB a camera."""
        return signature_of([t.keypoints(SIFT).descriptors for t in tokens])

    def alike(self, tokens: Sequence[TwoViewTokens] | np.ndarray, signatures: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """(S,) from -1 to 1 by visual words; see `lsm_ros.pairs.vlad.compare_signatures`."""
        return compare_signatures(tokens if isinstance(tokens, np.ndarray) else self.signature(tokens), signatures)

    def pack(self, tokens: TwoViewTokens) -> dict[str, np.ndarray]:
        """The image, what is known of its depth at reduced size, and its mask."""
        dense = np.zeros((0, 0), np.float16) if tokens.dense is None else tokens.dense
        return {"gray": tokens.gray, "dense": dense} | packed(tokens.mask)

    def unpack(self, camera: str, stamp_ns: int, intrinsics: CameraIntrinsics, parts: Mapping[str, np.ndarray]
               ) -> TwoViewTokens:
        """Tokens from what `pack` gave, with their corners and the corners' inverse depth. ValueError for an image of another
        size than the camera's."""
        gray, (height, width) = packed_image(parts, "gray", np.uint8, intrinsics.shape), intrinsics.shape
        dense = packed_image(parts, "dense", np.float16, (-(-height // 2), -(-width // 2)), (0, 0))
        return TwoViewTokens(camera, stamp_ns, gray, intrinsics, self.config, dense if dense.size else None,
                             unpacked(parts, intrinsics.shape), parts["corners"].astype(np.float32),
                             parts["inverse_depth"].copy())

    def predict(self, pairs: Sequence[tuple[TwoViewTokens, TwoViewTokens]],
                priors: Sequence[np.ndarray | None] | None = None) -> list[PairPrediction]:
        """Predictions for pairs of tokens. priors: poses T_a_b (4, 4), which are believed; without one the pose is solved
        from matches and the baseline is the unit of length. ValueError when intrinsics are missing, when the images
        share too few points, or when there is no parallax between them.
        """
        return [self._predict(a, b, None if priors is None else priors[i]) for i, (a, b) in enumerate(pairs)]

    def _predict(self, a: TwoViewTokens, b: TwoViewTokens, prior: np.ndarray | None) -> PairPrediction:
        import torch

        both, fx = self.correspond(a, b), a.pinhole.fx
        rays_a, rays_b = a.pinhole.unproject(both.pixels_a), b.pinhole.unproject(both.pixels_b)
        T_a_b = _solved(a, b, rays_a, rays_b) if prior is None else prior
        w, slope, epipolar = triangulate_inverse_depth(rays_b, rays_a[:, :2], T_a_b)
        good = (w > 0) & (epipolar * fx < 2 * TOLERANCE_PX)
        sure = good & (slope * w * fx > 2 * TOLERANCE_PX)  # moved by more than noise
        typical = float(np.median(w[sure])) if sure.any() else 0.0  # without any the search begins at infinity
        of_b = self.dense(b, [(a, T_a_b)], typical)
        of_a = self.dense(a, [(b, se3_inverse(T_a_b))], typical)

        def tensor(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

        points_a = _pointmap(of_a, a.pinhole)
        points_b = transform_points(T_a_b, _pointmap(of_b, b.pinhole))
        return PairPrediction(tensor(points_a), tensor(points_b), tensor(of_a.confidence), tensor(of_b.confidence),
                              is_metric=False, matches_a=tensor(both.pixels_a[good]),
                              matches_b=tensor(both.pixels_b[good]), T_a_b=T_a_b)


def _solved(a: TwoViewTokens, b: TwoViewTokens, rays_a: np.ndarray, rays_b: np.ndarray) -> np.ndarray:
    """T_a_b (4, 4) from rays (N, 3) of the same points, with a baseline of 1. ValueError if they do not determine it."""
    who = f"the images of camera {a.camera!r} at {a.stamp_ns} ns and {b.camera!r} at {b.stamp_ns} ns"
    no_parallax = f"{who} have no parallax: the camera only turned, or did not move"
    shift_px = np.linalg.norm(rays_a - rays_b, axis=1) * a.pinhole.fx
    if len(shift_px) >= FEWEST_POINTS and np.median(shift_px) < TOLERANCE_PX:  # OpenCV before 4.7 finds no pose for these
        raise ValueError(no_parallax)
    pose = relative_pose(rays_b, rays_a, TOLERANCE_PX / a.pinhole.fx)
    if pose is None or np.count_nonzero(pose.inliers) < FEWEST_POINTS:
        raise ValueError(f"{who} share too few points ({len(rays_a)} matches)")
    if pose.parallax * a.pinhole.fx < 2 * TOLERANCE_PX:
        raise ValueError(no_parallax)
    return pose.T_a_b


def _pointmap(dense: DenseDepth, intrinsics: CameraIntrinsics) -> np.ndarray:
    """(H, W, 3) points in the camera, NaN where unknown."""
    w = np.where(dense.inverse_depth > 0, dense.inverse_depth, np.nan)
    return intrinsics.rays(unit=False, dtype=np.float64) / w[..., None]
