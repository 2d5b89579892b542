# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Dense inverse depth of an image from others whose relative poses are known: flow, checked and triangulated."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics, triangulate_inverse_depth

FLOW_SIGMA_PX = 0.35  # of flow at the working size, where the way back agrees exactly
RETURN_PX = 1.5
EPIPOLAR_PX = 1.2
AGREEMENT = 9.0  # squared deviations in which the depths of two partners may differ
WORKING_WIDTH = 320
CONFIDENT = 0.05  # relative deviation of depth at which a pixel's confidence is one half


@dataclass(frozen=True)
class DenseDepth:
    """inverse_depth (H, W) float32, 1 per unit of the poses' translation, 0 where unknown; relative_sigma (H, W) float32:
    standard deviation of the inverse depth divided by it, inf where unknown.
    """

    inverse_depth: np.ndarray
    relative_sigma: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """(H, W) float32 in [0, 1): falls with the relative deviation of depth; 0 where unknown."""
        return (1.0 / (1.0 + (self.relative_sigma / CONFIDENT) ** 2)).astype(np.float32)


def dense_inverse_depth(gray_b: np.ndarray, intrinsics_b: CameraIntrinsics,
                        partners: Sequence[tuple[np.ndarray, CameraIntrinsics, np.ndarray]]) -> DenseDepth:
    """Inverse depth of image b from partners (gray, pinhole intrinsics, T_partner_b).

    Each partner gives one estimate with a deviation from flow's error and the baseline; where several agree they are
    averaged, where they do not the pixel is unknown.
    """
    height, width = gray_b.shape
    weight = np.zeros(_working(gray_b).shape, np.float64)
    total, square = np.zeros_like(weight), np.zeros_like(weight)
    for gray_a, intrinsics_a, T_a_b in partners:
        w, sigma = _one_partner(gray_b, intrinsics_b, gray_a, intrinsics_a, T_a_b)
        part = np.where(np.isfinite(sigma), 1.0 / np.maximum(sigma, 1e-9) ** 2, 0.0)
        weight += part
        total += part * w
        square += part * w * w
    known = weight > 0
    safe = np.where(known, weight, 1.0)
    mean = total / safe
    known &= (square - total * mean < AGREEMENT) & (mean > 0)
    relative = np.where(known, 1.0 / np.sqrt(safe) / np.where(known, mean, 1.0), np.inf)
    mean = np.where(known, mean, 0.0)
    size = (width, height)
    return DenseDepth(cv2.resize(mean.astype(np.float32), size, interpolation=cv2.INTER_NEAREST),
                      cv2.resize(relative.astype(np.float32), size, interpolation=cv2.INTER_NEAREST))


def _working(gray: np.ndarray) -> np.ndarray:
    """The image at the size at which flow is made."""
    height, width = gray.shape
    if width <= WORKING_WIDTH:
        return gray
    return cv2.resize(gray, (WORKING_WIDTH, round(height * WORKING_WIDTH / width)), interpolation=cv2.INTER_AREA)


def _one_partner(gray_b: np.ndarray, intrinsics_b: CameraIntrinsics, gray_a: np.ndarray, intrinsics_a: CameraIntrinsics,
                 T_a_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth (h, w) at the working size and its standard deviation, inf where it is not believed."""
    b, a = _working(gray_b), _working(gray_a)
    camera_b = intrinsics_b.resize(b.shape[1], b.shape[0])
    camera_a = intrinsics_a.resize(a.shape[1], a.shape[0])
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = flow.calc(b, a, None), flow.calc(a, b, None)
    rows, columns = np.mgrid[:b.shape[0], :b.shape[1]].astype(np.float32)
    x, y = columns + forward[..., 0], rows + forward[..., 1]
    back = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e3, 1e3))
    loop = np.linalg.norm(forward + back, axis=-1)
    rays = camera_b.rays(unit=False, dtype=np.float64)
    points_a = np.stack([(x - camera_a.cx) / camera_a.fx, (y - camera_a.cy) / camera_a.fy], -1).astype(np.float64)
    w, slope, epipolar = triangulate_inverse_depth(rays, points_a, T_a_b)
    sigma = np.hypot(FLOW_SIGMA_PX, 0.5 * loop) / camera_a.fx / np.maximum(slope, 1e-9)
    good = (loop < RETURN_PX) & (epipolar * camera_a.fx < EPIPOLAR_PX) & (w > 0)
    good &= (x >= 0) & (y >= 0) & (x <= a.shape[1] - 1) & (y <= a.shape[0] - 1)
    return w, np.where(good, sigma, np.inf)
