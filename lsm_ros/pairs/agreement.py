# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Agreement of two whole images at a relative pose: what one shows, warped into the other by its depth.

Matches say where two images are alike; this says where they contradict each other. A window that shows the same view as another
window gives enough matches for a pose, but the wall around it then has another depth and another look.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics, transform_points
from lsm_ros.pairs.masks import is_clear

GRID = 80  # points along the longer side
RELATIVE, ABSOLUTE = 0.05, 0.03  # of depth, and metres or units: depths that differ less agree
WINDOW = 5  # points; patches that are compared
TEXTURE = 5.0  # grey levels: standard deviation of a patch that can be compared
ALIKE = 0.5  # correlation of patches that look alike
NEAREST = 0.05  # of the median depth: points nearer to the camera are left out


@dataclass(frozen=True)
class Agreement:
    """Counts of points of image b on a grid that image a should show at the given pose.

    seen: points in view of a. measured: those where a has a depth, of which `agree` have the expected one, `through` are
    farther (a looks through what b shows), and the rest is nearer (something may stand in front). patches: points whose
    surroundings have texture in b; alike: those that look alike in a. hidden, hidden_alike: those of these where a measures
    something nearer.
    """

    seen: int = 0
    measured: int = 0
    agree: int = 0
    through: int = 0
    patches: int = 0
    alike: int = 0
    hidden: int = 0
    hidden_alike: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(*(a + b for a, b in zip(self.__dict__.values(), other.__dict__.values(), strict=True)))


def compare(gray_b: np.ndarray, depth_b: np.ndarray, camera_b: CameraIntrinsics, gray_a: np.ndarray,
            depth_a: np.ndarray | None, camera_a: CameraIntrinsics, T_a_b: np.ndarray, unit: float = 1.0,
            mask_a: np.ndarray | None = None) -> Agreement:
    """Agreement of image a (Ha, Wa) uint8 with image b (Hb, Wb) uint8 for a pose T_a_b (4, 4).

    depth_b (Hb, Wb): 0 where unknown; depth_a (Ha, Wa), or None where nothing measures it. unit: by which depths are
    multiplied to be in the unit of the pose. mask_a (Ha, Wa) bool: what a cannot see, or None.
    """
    step = max(1, -(-max(gray_b.shape) // GRID))
    rows, columns = np.mgrid[step // 2:gray_b.shape[0]:step, step // 2:gray_b.shape[1]:step]
    z_b = unit * depth_b[rows, columns].astype(np.float64)
    known = z_b > 0
    if not known.any():
        return Agreement()
    pixels_b = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64)
    points = transform_points(T_a_b, camera_b.unproject(pixels_b) * z_b.reshape(-1, 1))
    pixels, ok = camera_a.project(points)
    z = points[:, 2]
    ok &= known.ravel() & (z > NEAREST * np.median(z_b[known])) & camera_a.contains(pixels)
    pixels = np.where(ok[:, None], pixels, 0.0)
    ok &= is_clear(mask_a, pixels)
    seen = ok.reshape(rows.shape)
    measured, agree, through = _depths(pixels, z, ok, depth_a, unit)
    textured, alike = _patches(_small(gray_b, rows.shape), _sampled(gray_a, pixels, rows.shape, step), seen)
    hidden = (measured & ~agree & ~through).reshape(rows.shape)
    counted = (ok, measured, agree, through, textured, alike, textured & hidden, alike & hidden)
    return Agreement(*(int(c.sum()) for c in counted))


def _depths(pixels: np.ndarray, z: np.ndarray, ok: np.ndarray, depth_a: np.ndarray | None, unit: float
            ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks (N,) of the points that have a measured depth, the expected one, and a larger one."""
    if depth_a is None:
        return (np.zeros(len(z), bool),) * 3
    x, y = np.rint(pixels).astype(np.int64).T
    there = unit * depth_a[np.clip(y, 0, depth_a.shape[0] - 1), np.clip(x, 0, depth_a.shape[1] - 1)].astype(np.float64)
    measured = ok & (there > 0)
    error = np.where(measured, there - z, 0.0)
    tolerance = RELATIVE * z + ABSOLUTE
    return measured, measured & (np.abs(error) <= tolerance), measured & (error > tolerance)


def _small(gray: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image with one pixel for each point of the grid."""
    return cv2.resize(gray, (shape[1], shape[0]), interpolation=cv2.INTER_AREA).astype(np.float32)


def _sampled(gray: np.ndarray, pixels: np.ndarray, shape: tuple[int, ...], step: int) -> np.ndarray:
    """Image a at pixels (N, 2), as the grid of image b has them, equally smooth."""
    smooth = cv2.blur(gray, (step, step)) if step > 1 else gray
    x, y = pixels.T.reshape(2, *shape).astype(np.float32)
    return cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _patches(b: np.ndarray, a: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the patches that have texture in b and are whole in a, and of those of them that look alike."""
    size = (WINDOW, WINDOW)
    mean_a, mean_b = cv2.blur(a, size), cv2.blur(b, size)
    var_a, var_b = (np.maximum(cv2.blur(i * i, size) - m * m, 0.0) for i, m in ((a, mean_a), (b, mean_b)))
    covariance = cv2.blur(a * b, size) - mean_a * mean_b
    whole = cv2.blur(seen.astype(np.float32), size) > 0.99
    textured = whole & (var_b > TEXTURE**2)
    correlation = covariance / np.sqrt(np.maximum(var_a * var_b, 1e-6))
    return textured, textured & (correlation > ALIKE)
