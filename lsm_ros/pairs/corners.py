# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Single points found again: near a guess by optical flow, without a guess by descriptors."""
from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np

FLOW_WINDOW = 21  # pixels
FLOW_LEVELS = 3
FLOW_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
RETURN_PX = 0.7  # what is found is right if the way back ends this near to the start
LEVEL_WINDOW = (45, 45)  # wide enough to leave what the pyramid needs to find what is far off
KEPT_IMAGES = 16
MARGIN_PX = FLOW_WINDOW // 2 + 1  # a patch that hangs over the edge is found up to a pixel beside where it is
MIN_WARP_POINTS = 30
LEAST_STRETCH = 0.1  # of a patch; below that it is looked for as it is
MAX_STRETCH = 3.0
HALVED_FROM = 480  # pixels of width: the finest scale of a large image costs most of the time and is found again least
RATIO = 0.8  # best to second best descriptor distance


def find_by_flow(gray_a: np.ndarray, gray_b: np.ndarray, pixels_b: np.ndarray, guess_a: np.ndarray,
                 levels: int = FLOW_LEVELS, window: int = FLOW_WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """Finds pixels_b (N, 2) of image b in a, which may have another size, by pyramidal Lucas-Kanade from `guess_a` (N, 2),
    checked backwards.

    Guesses that are NaN or more than 20 pixels outside are not looked for. levels: times that the image is halved; each
    doubles how far off a guess may be. window: pixels of the patches that are compared. Where the guesses say that a is
    turned, stretched or nearer, it is first warped to look like b: what a patch shows is then the same. Returns index (M,) of
    those found and their pixels (M, 2) float64 in a.
    """
    h, w = gray_a.shape
    index = np.flatnonzero(np.all((guess_a > -20) & (guess_a < (w + 20, h + 20)), axis=1))  # NaN compares false
    if not len(index):
        return index, np.zeros((0, 2))
    H = _common_view(pixels_b[index], guess_a[index])
    if H is None and gray_a.shape != gray_b.shape:
        H = resizing(gray_b.shape, gray_a.shape)
    if H is None:
        gray_a = _kept_level(gray_a)
    else:
        gray_a = _level(cv2.warpPerspective(gray_a, H, gray_b.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                            borderMode=cv2.BORDER_REPLICATE))
        guess_a = guess_a.copy()
        guess_a[index] = _moved(np.linalg.inv(H), guess_a[index])
    gray_b = _kept_level(gray_b)
    start = pixels_b[index].astype(np.float32).reshape(-1, 1, 2)
    guess = guess_a[index].astype(np.float32).reshape(-1, 1, 2)
    found, ok = _flow(gray_b, gray_a, start, guess, levels, window)
    # the way back is known: what is right stays where it started, at full resolution
    back, ok_back = _flow(gray_a, gray_b, found, start.copy(), 0, window)
    found, back = found.reshape(-1, 2).astype(np.float64), back.reshape(-1, 2)
    if H is not None:
        found = _moved(H, found)
    good = (ok.ravel() > 0) & (ok_back.ravel() > 0) & (np.abs(back - start.reshape(-1, 2)).max(1) < RETURN_PX)
    good &= np.all((found >= MARGIN_PX) & (found <= (w - 1 - MARGIN_PX, h - 1 - MARGIN_PX)), axis=1)
    return index[good], found[good]


def _flow(gray: np.ndarray, other: np.ndarray, start: np.ndarray, guess: np.ndarray, levels: int, window: int
          ) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 1, 2) float32 of `start` (N, 1, 2) in the other image, searched from `guess`, which is overwritten; and (N, 1)
    1 where they were found."""
    found, ok, _ = cv2.calcOpticalFlowPyrLK(gray, other, start, guess, winSize=(window, window), maxLevel=levels,
                                            criteria=FLOW_CRITERIA, flags=cv2.OPTFLOW_USE_INITIAL_FLOW)
    return found, ok


_levelled: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()  # by identity: the same few images come again


def _level(gray: np.ndarray) -> np.ndarray:
    """The image without its local brightness: exposure and vignetting would pull patches aside."""
    return cv2.addWeighted(gray, 1.0, cv2.blur(gray, LEVEL_WINDOW), -1.0, 128.0)


def _kept_level(gray: np.ndarray) -> np.ndarray:
    """`_level` of an image that may have been asked for already, kept for the last ones."""
    known = _levelled.get(id(gray))
    if known is not None and known[0] is gray:
        return known[1]
    out = _level(gray)
    _levelled[id(gray)] = gray, out
    while len(_levelled) > KEPT_IMAGES:
        _levelled.popitem(last=False)
    return out


def _common_view(pixels_b: np.ndarray, guess_a: np.ndarray) -> np.ndarray | None:
    """Homography (3, 3) from b to a that fits most guesses, None where patches look much alike without it.

    Fitted by least squares, then to the better half alone: guesses from wrong depths lie far off.
    """
    if len(pixels_b) < MIN_WARP_POINTS:
        return None
    H, _ = cv2.findHomography(pixels_b, guess_a, 0)
    if H is not None:
        error = np.linalg.norm(_moved(H, pixels_b) - guess_a, axis=1)
        H, _ = cv2.findHomography(pixels_b[error <= np.median(error)], guess_a[error <= np.median(error)], 0)
    if H is None:
        return None
    z = pixels_b @ H[2, :2] + H[2, 2]
    if z.min() <= 0.2 * z.max():
        return None
    u, v = _moved(H, pixels_b).T
    J = (H[:2, :2][None] - np.stack([u, v], 1)[:, :, None] * H[2, :2]) / z[:, None, None]
    least, most = _stretch(J)
    if least.min() < 1 / MAX_STRETCH or most.max() > MAX_STRETCH:
        return None
    return H if np.abs(J - np.eye(2)).max() > LEAST_STRETCH else None


def _stretch(J: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smaller and the larger singular value (N,) of matrices (N, 2, 2)."""
    a, b, c, d = J[:, 0, 0], J[:, 0, 1], J[:, 1, 0], J[:, 1, 1]
    p, q = np.hypot(a + d, c - b), np.hypot(a - d, b + c)
    return 0.5 * np.abs(p - q), 0.5 * (p + q)


def resizing(old: tuple[int, ...], new: tuple[int, ...]) -> np.ndarray:
    """Homography (3, 3) from pixels of an image of shape `old` (H, W) to those of the same image resized to `new`."""
    x, y = new[1] / old[1], new[0] / old[0]
    return np.array([[x, 0.0, 0.5 * x - 0.5], [0.0, y, 0.5 * y - 0.5], [0.0, 0.0, 1.0]])


def scaled_to(pixels: np.ndarray, old: tuple[int, ...], new: tuple[int, ...]) -> np.ndarray:
    """Pixels (N, 2) of an image of shape `old` (H, W) as those of the same image resized to `new`; themselves where both are
    of one size."""
    return pixels if old == new else _moved(resizing(old, new), pixels)


def _moved(H: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) pixels through a homography."""
    p = pixels @ H[:, :2].T + H[:, 2]
    return p[:, :2] / p[:, 2:]


def root_sift(gray: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (M, 2) float64 and RootSIFT descriptors (M, 128) uint8 of an image, at most about `count`.

    Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
    """
    half = gray.shape[1] >= HALVED_FROM
    image = cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if half else gray
    points, found = cv2.SIFT.create(nfeatures=count, contrastThreshold=0.02).detectAndCompute(image, None)
    pixels: np.ndarray = np.array([p.pt for p in points], np.float64).reshape(-1, 2)
    if half:
        pixels = 2.0 * pixels + 0.5  # the middle of each 2x2
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
