# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Focal length of an uncalibrated camera from images with depth, and whether that of a calibrated one can be right.

The same points, seen from two places with their depths, fit a rigid motion only with the right focal length: each
candidate is judged by how well the motion that fits best reprojects the points, in pixels and in depth.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, umeyama
from lsm_ros.geometry.align import DegenerateGeometryError
from lsm_ros.pairs.base import Correspondences, SparsePairModel

CANDIDATES = np.geomspace(0.35, 3.0, 64)  # focal lengths in units of the longer image side
MIN_MATCHES = 60
MIN_SHIFT = 0.04  # of the image's width
MAX_RELATIVE_STD = 0.03
CORRELATION = 5.0  # matches of neighbouring points are not independent: the curvature alone is too sure by this
NEEDED_PAIRS = 4
FACTORS = np.geomspace(0.4, 2.5, 15)  # of a given focal length, which a check compares
WRONG_FACTOR = 1.22  # depth that is taken 20 ms apart from its image, in a turning hand, shifts what is found by up to 1.17
CHECKED_PAIRS = 6
MOST_CHECKED = 60  # keyframes: a camera that turned in none of them costs no more time


@dataclass
class FocalEstimator:
    """Collects pairs of one camera's images until the focal length is known.

    `focal_px` is None until then; `std_px` is its standard deviation, from the curvature of the cost.
    """

    model: SparsePairModel
    sigma_px: float = 1.5
    sigma_inverse_depth: float = 0.003
    focal_px: float | None = None
    std_px: float = float("nan")
    _first: Any = None
    _pairs: list[Correspondences] = field(default_factory=list)

    def add(self, tokens: Any) -> float | None:
        """Takes the tokens of the next image; returns the focal length in pixels once it is known."""
        if self.focal_px is not None or tokens.depth_mm is None:
            return self.focal_px
        if self._first is None or self._first.gray.shape != tokens.gray.shape:
            self._first, self._pairs = tokens, []
            return None
        matches = self.model.correspond(tokens, self._first)
        matches = matches.where(np.isfinite(matches.depth_a) & np.isfinite(matches.depth_b))
        if len(matches) < MIN_MATCHES // 2:
            self._first, self._pairs = tokens, self._pairs[-8:]
            return None
        shift = np.median(np.linalg.norm(matches.pixels_a - matches.pixels_b, axis=1))
        if len(matches) >= MIN_MATCHES and shift > MIN_SHIFT * tokens.gray.shape[1]:
            self._take(matches, tokens.gray.shape)
            if shift > 4 * MIN_SHIFT * tokens.gray.shape[1]:
                self._first = tokens
        return self.focal_px

    def intrinsics(self, width: int, height: int) -> CameraIntrinsics:
        """Pinhole with the estimated focal length and the principal point in the middle."""
        if self.focal_px is None:
            raise ValueError("the focal length is not known yet")
        return CameraIntrinsics(width, height, self.focal_px, self.focal_px, (width - 1) / 2, (height - 1) / 2)

    def _take(self, pair: Correspondences, shape: tuple[int, int]) -> None:
        """Takes a pair of images of a shape (height, width) that are far enough from each other."""
        self._pairs = [*self._pairs[-23:], pair]
        if len(self._pairs) >= NEEDED_PAIRS:
            height, width = shape
            centre = np.array([(width - 1) / 2, (height - 1) / 2])
            focals = CANDIDATES * max(width, height)
            self._decide(focals, np.array([sum(self._cost(f, centre, p) for p in self._pairs) for f in focals]))

    def _decide(self, focals: np.ndarray, costs: np.ndarray) -> None:
        """Knows the focal length if the costs of the candidates have a minimum that is narrow enough."""
        best = int(np.argmin(costs))
        if best in (0, len(focals) - 1):
            return
        x = np.log(focals[best - 1:best + 2])
        a, b, _ = np.polyfit(x - x[1], costs[best - 1:best + 2], 2)
        if a <= 0:
            return
        relative_std = CORRELATION / float(np.sqrt(2 * a))
        if relative_std < MAX_RELATIVE_STD:
            self.focal_px = float(np.exp(x[1] - b / (2 * a)))
            self.std_px = relative_std * self.focal_px

    def _cost(self, focal: float, centre: np.ndarray, pair: Correspondences) -> float:
        """Robust cost of the best rigid motion between the two clouds of a pair."""
        pixels_a, pixels_b, depth_a, depth_b = pair.pixels_a, pair.pixels_b, pair.depth_a, pair.depth_b
        cloud_b = np.column_stack([(pixels_b - centre) / focal, np.ones(len(pixels_b))]) * depth_b[:, None]
        cloud_a = np.column_stack([(pixels_a - centre) / focal, np.ones(len(pixels_a))]) * depth_a[:, None]
        weights = np.ones(len(cloud_a))
        residual = np.full(len(cloud_a), np.inf)
        for _ in range(6):
            try:
                T = umeyama(cloud_b, cloud_a, weights / depth_a**2, with_scale=False)
            except DegenerateGeometryError:
                return float(len(cloud_a)) * 10.0
            moved = cloud_b @ T[:3, :3].T + T[:3, 3]
            z = np.maximum(moved[:, 2], 0.05)
            pixel = np.linalg.norm(focal * moved[:, :2] / z[:, None] + centre - pixels_a, axis=1) / self.sigma_px
            depth = (1 / z - 1 / depth_a) / self.sigma_inverse_depth
            residual = pixel**2 + depth**2
            weights = 1.0 / (1.0 + residual / 9.0)
        return float(4.5 * np.log1p(residual / 9.0).sum())


class CalibrationCheck(FocalEstimator):
    """Compares the focal length of a calibration with images and their depth: `wrong_px` is the one that they fit, once it is
    clear that they do not fit the given one. A camera that only moves straight shows nothing of it, and is no longer looked at
    after MOST_CHECKED images."""

    def __init__(self, model: SparsePairModel, given: CameraIntrinsics) -> None:
        super().__init__(model)
        self.given = given
        self._costs = np.zeros(len(FACTORS))
        self._taken = self._looked = 0

    def add(self, tokens: Any) -> float | None:
        """As of FocalEstimator, for a bounded number of images."""
        self._looked += 1
        if self._looked > MOST_CHECKED:
            self._first, self._pairs = None, []
            return self.focal_px
        return super().add(tokens)

    @property
    def wrong_px(self) -> float | None:
        """The focal length that fits, where the given one does not."""
        if self.focal_px is None or abs(np.log(self.focal_px / self.given.fx)) < np.log(WRONG_FACTOR):
            return None
        return self.focal_px

    def _take(self, pair: Correspondences, shape: tuple[int, int]) -> None:
        k = self.given
        square = np.array([1.0, k.fx / k.fy])  # pixels as if they were square
        pair = replace(pair, pixels_a=pair.pixels_a * square, pixels_b=pair.pixels_b * square)
        self._costs += [self._cost(f * k.fx, np.array([k.cx, k.cy]) * square, pair) for f in FACTORS]
        self._taken += 1
        if self._taken >= CHECKED_PAIRS:
            self._decide(FACTORS * k.fx, self._costs)
