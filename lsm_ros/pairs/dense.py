# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Dense inverse depth of an image from others whose relative poses are known: flow, checked and triangulated.

The other image is first warped as the plane in front of the camera at a typical depth would appear in it. What is left is
the parallax against that plane, a few pixels, whichever way the camera turned or drove: so flow finds it also for
baselines that are wide enough to be exact, and there is no epipole that it minds.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.geometry import CameraIntrinsics, triangulate_inverse_depth

FLOW_SIGMA_PX = 0.38  # of flow at the working size, where the way back agrees exactly
FLOOR = 0.025  # relative deviation that remains with the best parallax: poses and focal length are not exact
RETURN_PX = 1.5
EPIPOLAR_PX = 1.2
AGREEMENT = 9.0  # squared deviations in which the depths of two partners may differ
WORKING_WIDTH = 320
CONFIDENT = 0.05  # relative deviation of depth at which a pixel's confidence is one half


@dataclass(frozen=True)
class DenseDepth:
    """inverse_depth (H, W) float32, 1 per unit of the poses' translation, 0 where unknown; relative_sigma (H, W) float32:
    standard deviation of the inverse depth divided by it, inf where unknown.

    The deviation is honest: in simulated rooms, each view's scale taken out, 65 to 71 % of the pixels are within it in each
    of six bands of confidence from 0.03 to 1 (docs/two_view.md).
    """

    inverse_depth: np.ndarray
    relative_sigma: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """(H, W) float32 in [0, 1): falls with the relative deviation of depth; 0 where unknown."""
        return (1.0 / (1.0 + (self.relative_sigma / CONFIDENT) ** 2)).astype(np.float32)

    def without(self, mask: np.ndarray | None) -> DenseDepth:
        """This estimate, with nothing known in a mask (H, W) bool."""
        if mask is None:
            return self
        return DenseDepth(np.where(mask, np.float32(0.0), self.inverse_depth),
                          np.where(mask, np.float32(np.inf), self.relative_sigma))

    def filled(self, other: DenseDepth) -> DenseDepth:
        """This estimate, and another one of the same image where it knows nothing."""
        known = self.inverse_depth > 0
        return DenseDepth(np.where(known, self.inverse_depth, other.inverse_depth),
                          np.where(known, self.relative_sigma, other.relative_sigma))


def dense_inverse_depth(gray_b: np.ndarray, intrinsics_b: CameraIntrinsics,
                        partners: Sequence[tuple[np.ndarray, CameraIntrinsics, np.ndarray]], typical: float,
                        quick: bool = False, masks: Sequence[np.ndarray | None] | None = None) -> DenseDepth:
    """Inverse depth of image b from partners (gray, pinhole intrinsics, T_partner_b).

    typical: inverse depth of much of the image, where the search begins. quick: coarser flow in a third of the time.
    masks: for each partner what is not to be found in it, (H, W) bool, or None.
    Each partner gives one estimate with a deviation from flow's error and the baseline; where several agree they are
    averaged, where they do not the pixel is unknown.
    """
    height, width = gray_b.shape
    b = _working(gray_b)
    weight, total, square = (np.zeros(b.shape, np.float32) for _ in range(3))
    for (gray_a, intrinsics_a, T_a_b), mask_a in zip(partners, masks or [None] * len(partners), strict=True):
        w, sigma = _one_partner(b, intrinsics_b, _working(gray_a), intrinsics_a, T_a_b, mask_a, typical, quick)
        part = np.where(np.isfinite(sigma), 1.0 / np.maximum(sigma, 1e-6) ** 2, np.float32(0.0))
        weight += part
        total += part * w
        square += part * w * w
    known = weight > 0
    safe = np.where(known, weight, np.float32(1.0))
    mean = total / safe
    known &= (square - total * mean < AGREEMENT) & (mean > 0)
    relative = np.where(known, np.hypot(1.0 / np.sqrt(safe) / np.where(known, mean, 1.0), FLOOR), np.inf)
    mean = np.where(known, mean, np.float32(0.0))
    size = (width, height)
    return DenseDepth(cv2.resize(mean, size, interpolation=cv2.INTER_NEAREST),
                      cv2.resize(relative.astype(np.float32), size, interpolation=cv2.INTER_NEAREST))


def _working(gray: np.ndarray) -> np.ndarray:
    """The image at the size at which flow is made."""
    height, width = gray.shape
    if width <= WORKING_WIDTH:
        return gray
    return cv2.resize(gray, (WORKING_WIDTH, round(height * WORKING_WIDTH / width)), interpolation=cv2.INTER_AREA)


def _one_partner(b: np.ndarray, intrinsics_b: CameraIntrinsics, a: np.ndarray, intrinsics_a: CameraIntrinsics,
                 T_a_b: np.ndarray, mask_a: np.ndarray | None, typical: float, quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth (h, w) float32 at the working size and its standard deviation, inf where it is not believed."""
    camera_b = intrinsics_b.resize(b.shape[1], b.shape[0])
    camera_a = intrinsics_a.resize(a.shape[1], a.shape[0])
    H = plane_homography(camera_a, camera_b, T_a_b, typical)
    warped = cv2.warpPerspective(a, H, (b.shape[1], b.shape[0]), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                 borderMode=cv2.BORDER_REPLICATE)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST if quick else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # None: OpenCV makes the array
    forward, backward = flow.calc(b, warped, None), flow.calc(warped, b, None)  # type: ignore[call-overload]  # not in its stubs
    rows, columns = np.mgrid[:b.shape[0], :b.shape[1]].astype(np.float32)
    u, v = columns + forward[..., 0], rows + forward[..., 1]
    back = forward + cv2.remap(backward, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1e3, 1e3))
    loop = np.hypot(back[..., 0], back[..., 1])
    h = H.astype(np.float32)
    z = h[2, 0] * u + h[2, 1] * v + h[2, 2]
    front = z > 1e-3
    z = np.where(front, z, np.float32(1.0))
    x, y = (h[0, 0] * u + h[0, 1] * v + h[0, 2]) / z, (h[1, 0] * u + h[1, 1] * v + h[1, 2]) / z
    rays = camera_b.rays(unit=False, dtype=np.float32)
    points_a = np.stack([(x - camera_a.cx) / camera_a.fx, (y - camera_a.cy) / camera_a.fy], -1).astype(np.float32)
    w, slope, epipolar = triangulate_inverse_depth(rays, points_a, T_a_b)
    sigma = np.hypot(FLOW_SIGMA_PX, 0.5 * loop) / camera_a.fx / np.maximum(slope, 1e-9)
    good = front & (loop < RETURN_PX) & (epipolar * camera_a.fx < EPIPOLAR_PX) & (w > 0)
    good &= (x >= 0) & (y >= 0) & (x <= a.shape[1] - 1) & (y <= a.shape[0] - 1)
    if mask_a is not None:
        small = cv2.resize(mask_a.astype(np.uint8), a.shape[::-1], interpolation=cv2.INTER_NEAREST)
        good &= cv2.remap(small, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0) == 0
    return w, np.where(good, sigma, np.inf).astype(np.float32)


def plane_homography(camera_a: CameraIntrinsics, camera_b: CameraIntrinsics, T_a_b: np.ndarray, inverse_depth: float
                     ) -> np.ndarray:
    """(3, 3) that maps pixels of b to pixels of a for points at one depth in b: K_a (R + w t e_z^T) K_b^-1.

    Hartley and Zisserman, Multiple View Geometry, 2nd edition, equation 13.2.
    """
    G = T_a_b[:3, :3].copy()
    G[:, 2] += inverse_depth * T_a_b[:3, 3]
    K_a, K_b = (np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1.0]]) for k in (camera_a, camera_b))
    H = K_a @ G @ np.linalg.inv(K_b)
    return H / np.linalg.norm(H)
