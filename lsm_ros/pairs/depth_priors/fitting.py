# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A depth prior is fitted to what geometry knows of an image, and both become one dense depth.

First scale and shift, in the space of the prior's values, then a field over the image that is smooth where the prior is: a
Gaussian process on the logarithm of their ratio (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2.2), with
weights of Student's t, so that gross errors of either have no say. How large the field may be is what the prior still errs by.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import spearmanr

from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.depth_priors.base import DISPARITY, METRES, PriorDepth

CELLS = 20  # along the longer side, into which geometry is put together before the fit
FEWEST = 30  # points that a fit needs
CELL_STD, POINT_STD = 0.2, 0.03  # of the logarithm of a cell's and a landmark's depth, besides what is stated
LONG, SHORT, LAYER = 0.3, 0.3, 1.0  # of the width, and of the logarithm of depth: over which the field is alike
SHORT_SHARE = 0.5  # of the prior's error: what is alike only within a layer of depth
PIXEL_SHARE = 0.2  # of the prior's error: what is alike at no other pixel
LEAST_ERROR = 0.02  # of the logarithm of a prior's depth, however well it fits
OFFSET_STD = 0.3  # of the field as a whole
FREEDOM = 2.0  # of Student's t
RELIEF = 0.15  # spread of the logarithm of depth from which the prior must have near and far where motion has them
LEAST_ORDER = 0.1  # correlation of ranks
FARTHEST = 5.0  # times the middle of what is known: beyond it, as in the sky, a prior says nothing
EDGE_PX = 21  # for images 640 wide; beside a step of depth neither of the two is exact
APART = 4.0  # squared deviations by which the two may differ
ALIKE = 0.5  # correlation of their errors, for the prior was fitted to geometry


@dataclass(frozen=True)
class Anchors:
    """Points of an image whose depth is known: pixels (N, 2), inverse_depth (N,), and sigma (N,) of its logarithm."""

    pixels: np.ndarray
    inverse_depth: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """dense: geometry and prior together. scale: of a prior in metres, ln(metres per unit) as the median over the image, and
    the deviation from what geometry knows at a point, after scale and shift, in ln(depth); None for another prior."""

    dense: DenseDepth
    scale: tuple[float, float] | None


def fit_prior(prior: PriorDepth, geometry: DenseDepth | None, landmarks: Anchors) -> Fitted:
    """The dense depth of an image, in the unit of its geometry, which is of the size of the prior. ValueError that says why
    where the prior contradicts what is known, or nothing is."""
    values, shape = prior.values, prior.values.shape
    inverse = prior.kind == DISPARITY
    points = _together(landmarks, geometry)
    if len(points.pixels) < FEWEST:
        raise ValueError(f"only {len(points.pixels)} points of the image have a known depth")
    x, y = np.clip(np.rint(points.pixels).astype(np.int64), 0, (shape[1] - 1, shape[0] - 1)).T
    raw, known = values[y, x].astype(np.float64), -np.log(points.inverse_depth)
    relief = _spread(known)
    order = float(spearmanr(raw, -known if inverse else known)[0]) if np.ptp(raw) > 0 else 0.0
    if relief > RELIEF and order < LEAST_ORDER:
        raise ValueError(f"near and far are not where motion shows them (correlation of ranks {order:.2f})")
    slope, shift = _scale_and_shift(raw, np.exp(known if inverse else -known), points.sigma)
    if slope <= 0:
        raise ValueError("it fits only with near and far exchanged")
    log_prior = _log_depth(values, slope, shift, float(np.median(raw)), inverse)
    residual = known - log_prior[y, x]
    offset, error = float(np.median(residual)), max(_spread(residual), LEAST_ERROR)
    field, sigma = _field(_places(points.pixels, log_prior[y, x], shape), residual - offset, points.sigma, log_prior, error)
    log_depth = log_prior + field + offset
    sigma = np.hypot(sigma, _unsteady(log_depth, np.ones(shape, bool)))
    dense = _fused(log_depth, np.where(log_depth > np.median(known) + np.log(FARTHEST), np.inf, sigma), geometry)
    return Fitted(dense, (float(np.median(np.log(raw) - known)), error) if prior.kind == METRES else None)


def _spread(values: np.ndarray) -> float:
    """Robust standard deviation: a tenth of the values has no say."""
    middle, high = np.percentile(np.abs(values - np.median(values)), (50, 90))
    return max(1.48 * float(middle), 0.61 * float(high))


def _together(landmarks: Anchors, geometry: DenseDepth | None) -> Anchors:
    """Landmarks, and one point for each cell of the image of which dense geometry knows a quarter."""
    sigma = np.hypot(landmarks.sigma, POINT_STD)
    if geometry is None:
        return Anchors(landmarks.pixels, landmarks.inverse_depth, sigma)
    height, width = geometry.inverse_depth.shape
    side = max(1, max(height, width) // CELLS)
    rows, columns = height // side, width // side

    def cells(a: np.ndarray) -> np.ndarray:
        a = a[:rows * side, :columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
        return np.sort(a.reshape(rows * columns, -1), axis=1)  # what is not known, inf, comes last

    w = geometry.inverse_depth
    known, deviation = cells(np.where(w > 0, w, np.inf)), cells(np.where(w > 0, geometry.relative_sigma, np.inf))
    count = np.count_nonzero(np.isfinite(known), axis=1)
    good = np.flatnonzero(count >= side * side // 4)

    def at(a: np.ndarray, share: float) -> np.ndarray:
        return a[good, (share * (count[good] - 1)).astype(np.int64)].astype(np.float64)

    middle, spread = at(known, 0.5), np.log(at(known, 0.84) / at(known, 0.16)) / 2
    centres = np.stack([good % columns, good // columns], -1) * side + (side - 1) / 2
    sigma = np.concatenate([sigma, np.sqrt(at(deviation, 0.5)**2 + (spread / 2)**2 + CELL_STD**2)])
    return Anchors(np.concatenate([landmarks.pixels, centres]), np.concatenate([landmarks.inverse_depth, middle]), sigma)


def _scale_and_shift(raw: np.ndarray, known: np.ndarray, sigma: np.ndarray) -> tuple[float, float]:
    """a, b for which (a raw + b) known is nearest to 1, with Cauchy weights. known (N,): 1 by what the values should be."""
    rows = np.stack([raw * known, known], 1)
    weight = 1.0 / (sigma**2 + CELL_STD**2)
    solution = np.zeros(2)
    for _ in range(15):
        weighted = rows * weight[:, None]
        solution = np.linalg.lstsq(weighted.T @ rows, weighted.sum(0), rcond=None)[0]
        off = rows @ solution - 1
        weight = 1.0 / (1 + (off / (1.5 * max(_spread(off), LEAST_ERROR)))**2) / (sigma**2 + CELL_STD**2)
    return float(solution[0]), float(solution[1])


def _log_depth(values: np.ndarray, slope: float, shift: float, middle: float, inverse: bool) -> np.ndarray:
    """ln(depth) (H, W) of a prior's values; they are cut off at a tenth of the middle one, for a fit may go below 0."""
    fitted = slope * values.astype(np.float64) + shift
    fitted = np.maximum(fitted, 0.1 * max(slope * middle + shift, 1e-9))
    return -np.log(fitted) if inverse else np.log(fitted)


def _places(pixels: np.ndarray, log_prior: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N, 3): where points are, by the width of the image, and the logarithm of their depth."""
    return np.column_stack([pixels / shape[1], log_prior])


def _alike(a: np.ndarray, b: np.ndarray, error: float) -> np.ndarray:
    """(N, M) covariance of the field at places a (N, 3) and b (M, 3)."""
    square = np.maximum((a[:, None, 0] - b[None, :, 0])**2 + (a[:, None, 1] - b[None, :, 1])**2, 0)
    layer = np.abs(a[:, None, 2] - b[None, :, 2]) / LAYER
    near = np.exp(-np.sqrt(square) / SHORT - layer)
    return OFFSET_STD**2 + error**2 * (np.exp(-0.5 * square / LONG**2) + SHORT_SHARE**2 * near)


def _field(places: np.ndarray, residual: np.ndarray, sigma: np.ndarray, log_prior: np.ndarray, error: float
           ) -> tuple[np.ndarray, np.ndarray]:
    """Sum to be added to the logarithm of a prior's depth (H, W), and the deviation then, from residuals (N,) at places."""
    among, noise = _alike(places, places, error), sigma**2 + (PIXEL_SHARE * error)**2
    weight = np.ones(len(residual))
    for _ in range(4):
        factor = cho_factor(among + np.diag(noise / weight))
        solved = cho_solve(factor, residual)
        left = noise / weight * solved  # of the residual, beside the field
        weight = (FREEDOM + 1) / (FREEDOM + left**2 / noise)
    rest = max(_spread(left)**2 - float(np.median(sigma))**2, (PIXEL_SHARE * error)**2)
    height, width = log_prior.shape
    side = max(1, max(height, width) // CELLS)
    small = cv2.resize(log_prior, (-(-width // side), -(-height // side)), interpolation=cv2.INTER_AREA)
    rows, columns = np.mgrid[:small.shape[0], :small.shape[1]]
    centres = (np.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * side - 0.5
    across = _alike(places, _places(centres, small.reshape(-1, 1), (height, width)), error)
    variance = OFFSET_STD**2 + error**2 * (1 + SHORT_SHARE**2) - np.sum(across * cho_solve(factor, across), axis=0)

    def large(a: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(a.reshape(small.shape), (width, height), interpolation=cv2.INTER_LINEAR))

    return large(solved @ across), np.sqrt(np.maximum(large(variance), 0) + rest)


def _unsteady(log_depth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(H, W) standard deviation of the logarithm of depth, where it is known, in a window around each pixel."""
    side = max(3, round(EDGE_PX * log_depth.shape[1] / 640))
    middle = float(np.median(log_depth[known])) if known.any() else 0.0
    part, x = known.astype(np.float32), np.where(known, log_depth - middle, 0.0).astype(np.float32)
    count = np.maximum(cv2.boxFilter(part, -1, (side, side), normalize=False), 1)
    mean, square = (cv2.boxFilter(a, -1, (side, side), normalize=False) / count for a in (x, x * x))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _fused(log_depth: np.ndarray, sigma: np.ndarray, geometry: DenseDepth | None) -> DenseDepth:
    """Both by their deviations; inf where the prior says nothing. Where they contradict each other, as at edges that are not in
    the same place, the deviation covers their difference."""
    if geometry is None:
        geometry = DenseDepth(np.zeros_like(log_depth), np.full_like(sigma, np.inf))
    known = geometry.inverse_depth > 0
    seen = np.where(known, -np.log(np.where(known, geometry.inverse_depth, 1.0)), log_depth)
    own = np.where(known, np.hypot(np.where(known, geometry.relative_sigma, 1.0), _unsteady(seen, known)), np.inf)
    a, b = own**-2.0, sigma**-2.0
    weight = np.maximum(a + b, 1e-12)
    mean = (a * seen + b * log_depth) / weight
    together = np.where(a + b > 0, np.sqrt((1 + 2 * ALIKE * np.sqrt(a * b) / weight) / weight), np.inf)
    apart = np.abs(seen - log_depth)
    together = np.where(known & (apart**2 > APART * (own**2 + sigma**2)), np.maximum(together, apart), together)
    return DenseDepth(np.where(a + b > 0, np.exp(-mean), 0.0).astype(np.float32), together.astype(np.float32))
