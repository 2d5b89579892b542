# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Matches of image pairs by descriptors, kept where one epipolar geometry explains them."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

FEATURES = 4000
LONGEST = 1600  # pixels of the longer side at which features are found
RATIO = 0.8
TOLERANCE_PX = 2.0  # of a match beside its epipolar line, for an image of 640 pixels
LEAST_MATCHES = 20  # that agree, for two images to belong together
LEAST_SHARE = 0.25  # of all matches that agree: unrelated images always have some


@dataclass(frozen=True)
class ImageFeatures:
    """pixels: (N, 2) float64 of the image at full size. descriptors: (N, 128) uint8, RootSIFT. colors: (N, 3)
    uint8. tolerance: pixels."""

    pixels: np.ndarray
    descriptors: np.ndarray
    colors: np.ndarray
    tolerance: float


@dataclass(frozen=True)
class VerifiedPair:
    """Matches of images i and j that agree with F (3, 3), x_j' F x_i = 0: index_i, index_j (N,) of features."""

    i: int
    j: int
    index_i: np.ndarray
    index_j: np.ndarray
    F: np.ndarray


def find_features(image: np.ndarray, count: int = FEATURES) -> ImageFeatures:
    """Features of an image (H, W, 3) uint8 RGB."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = min(1.0, LONGEST / max(gray.shape))
    if factor < 1:
        gray = cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    points, found = cv2.SIFT.create(nfeatures=count, contrastThreshold=0.015).detectAndCompute(gray, None)
    tolerance = TOLERANCE_PX * max(1.0, max(image.shape[:2]) / 640)
    if found is None:
        return ImageFeatures(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), np.zeros((0, 3), np.uint8), tolerance)
    pixels = (np.array([p.pt for p in points], np.float64) + 0.5) / factor - 0.5
    # a corner with two directions is one point: its second descriptor would match the same place again
    _, first = np.unique(np.round(pixels, 2), axis=0, return_index=True)
    first = np.sort(first)
    root = np.sqrt(found[first] / np.maximum(found[first].sum(1, keepdims=True), 1e-6))
    pixels = pixels[first]
    x, y = np.clip(np.rint(pixels).astype(np.int64), 0, (image.shape[1] - 1, image.shape[0] - 1)).T
    return ImageFeatures(pixels, np.rint(root * 255).astype(np.uint8), image[y, x], tolerance)


def match_pair(i: int, j: int, a: ImageFeatures, b: ImageFeatures) -> VerifiedPair | None:
    """Verified matches of two images, None where too few agree."""
    index_a, index_b = nearest_both_ways(a.descriptors, b.descriptors)
    if len(index_a) < LEAST_MATCHES:
        return None
    cv2.setRNGSeed(0)
    x_a, x_b = a.pixels[index_a], b.pixels[index_b]
    try:
        F, mask = cv2.findFundamentalMat(x_a, x_b, cv2.USAC_MAGSAC, (a.tolerance + b.tolerance) / 2, 0.9999, 10000)
    except cv2.error:  # it raises where the points do not determine anything
        return None
    if F is None or F.shape != (3, 3):
        return None
    keep = mask.ravel() > 0
    if np.count_nonzero(keep) < max(LEAST_MATCHES, LEAST_SHARE * len(index_a)):
        return None
    return VerifiedPair(i, j, index_a[keep], index_b[keep], F)


def nearest_both_ways(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index (N,) into descriptors a (A, 128) and b (B, 128) uint8 of those that are each other's nearest and clearly so."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    x, y = (torch.from_numpy(d).float() for d in (a, b))
    likeness = x @ y.T  # descriptors have one length, so the nearest is the most alike
    length = float((x * x).sum(1).mean() + (y * y).sum(1).mean())
    best, at = likeness.topk(2, dim=1)
    back = likeness.argmax(0)
    distance = (length - 2 * best).clamp(min=0).sqrt()
    keep = (distance[:, 0] < RATIO * distance[:, 1]) & (back[at[:, 0]] == torch.arange(len(x)))
    index = torch.nonzero(keep)[:, 0]
    return index.numpy(), at[index, 0].numpy()
