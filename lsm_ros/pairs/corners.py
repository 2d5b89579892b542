# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Single points found again: near a guess by optical flow, without a guess by descriptors."""
from __future__ import annotations

import cv2
import numpy as np

FLOW_WINDOW = (21, 21)
FLOW_LEVELS = 3
FLOW_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
RETURN_PX = 0.7  # what is found is right if the way back ends this near to the start
RATIO = 0.8  # best to second best descriptor distance


def find_by_flow(gray_a: np.ndarray, gray_b: np.ndarray, pixels_b: np.ndarray, guess_a: np.ndarray,
                 levels: int = FLOW_LEVELS) -> tuple[np.ndarray, np.ndarray]:
    """Finds pixels_b (N, 2) of image b in a by pyramidal Lucas-Kanade from `guess_a` (N, 2), checked backwards.

    Guesses that are NaN or more than 20 pixels outside are not looked for. levels: times that the image is halved; each
    doubles how far off a guess may be. Returns index (M,) of those found and their pixels (M, 2) float64 in a.
    """
    h, w = gray_a.shape
    index = np.flatnonzero(np.all((guess_a > -20) & (guess_a < (w + 20, h + 20)), axis=1))  # NaN compares false
    if not len(index):
        return index, np.zeros((0, 2))
    start = pixels_b[index].astype(np.float32).reshape(-1, 1, 2)
    guess = guess_a[index].astype(np.float32).reshape(-1, 1, 2)
    options = dict(winSize=FLOW_WINDOW, criteria=FLOW_CRITERIA, flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
    found, ok, _ = cv2.calcOpticalFlowPyrLK(gray_b, gray_a, start, guess, maxLevel=levels, **options)
    # the way back is known: what is right stays where it started, at full resolution
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(gray_a, gray_b, found, start.copy(), maxLevel=0, **options)
    found, back = found.reshape(-1, 2), back.reshape(-1, 2)
    good = (ok.ravel() > 0) & (ok_back.ravel() > 0) & (np.abs(back - start.reshape(-1, 2)).max(1) < RETURN_PX)
    good &= np.all((found >= 1) & (found <= (w - 2, h - 2)), axis=1)
    return index[good], found[good].astype(np.float64)


def root_sift(gray: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (M, 2) float64 and RootSIFT descriptors (M, 128) uint8 of an image, at most about `count`.

    Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
    """
    points, found = cv2.SIFT_create(nfeatures=count, contrastThreshold=0.02).detectAndCompute(gray, None)
    pixels = np.array([p.pt for p in points], np.float64).reshape(-1, 2)
    found = np.zeros((0, 128), np.float32) if found is None else found
    root = np.sqrt(found / np.maximum(found.sum(1, keepdims=True), 1e-6))
    return pixels, np.rint(root * 255).astype(np.uint8)


def match_descriptors(features_a: np.ndarray, features_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index (N,) into a and into b of mutual nearest neighbours that pass the ratio test; descriptors (M, 128) uint8."""
    if len(features_a) < 2 or len(features_b) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    a, b = features_a.astype(np.float32), features_b.astype(np.float32)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    backward = {m.queryIdx: m.trainIdx for m in matcher.match(a, b)}
    good = [(m.trainIdx, m.queryIdx) for m, n in matcher.knnMatch(b, a, k=2)
            if m.distance < RATIO * n.distance and backward[m.trainIdx] == m.queryIdx]
    index_a, index_b = np.array(good, np.int64).reshape(-1, 2).T
    return index_a, index_b
