# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Surfaces that two depth images share, from whatever side: floors and walls are the same when nothing else is found again.

The inverse depth of a plane is linear in the image, and its noise is the same everywhere, so that a plane around a pixel is a
least-squares fit with a fixed matrix. Points of one image on the planes of another are what iterative closest points measures
(Chen and Medioni, Object modeling by registration of multiple range images, 1992).
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import CameraIntrinsics, transform_points

COLUMNS = 32  # points of the grid along the longer side
WINDOW = 3  # samples around a pixel to each side, each WIDTH / SAMPLES pixels from the next
SAMPLES = 160
FLAT = 1.5  # standard deviations of inverse depth that samples may scatter around their plane
ROUGH = 0.002  # relative; real surfaces and cameras are not better than this
GATE_M, GATE_SIGMA, MOST_M = 0.04, 3.0, 0.12  # distance of a point from a plane that may be its own, and at most
OFF_M = 0.05  # metres by which most points may be off to the same side: else it is another surface, parallel to it
SAME_WAY = np.cos(np.deg2rad(20.0))  # between normals of one surface
FEWEST, LEAST_SHARE = 40, 0.7  # points on planes of the other image, and their share of those that should be
STEEPEST = 0.1  # cosine between a surface and the ray to it; flatter ones are hardly seen
CALIBRATION_M = 0.003  # error of planes that does not come from noise


@dataclass(frozen=True)
class Surfaces:
    """S points of image b on planes of image a. points (S, 3) in the frame of camera b, planes (S, 4) in that of camera a: unit
    normal n towards the camera and offset o, n x + o = 0; sigma (S,) standard deviation of the distance, metres."""

    points: np.ndarray
    planes: np.ndarray
    sigma: np.ndarray

    def __len__(self) -> int:
        return len(self.sigma)

    def in_rigs(self, T_rig_b: np.ndarray, T_rig_a: np.ndarray) -> Surfaces:
        """The same in the frames of the rigs, for the mounts (4, 4) of cameras b and a."""
        normals = self.planes[:, :3] @ T_rig_a[:3, :3].T
        offsets = self.planes[:, 3] - normals @ T_rig_a[:3, 3]
        return Surfaces(transform_points(T_rig_b, self.points), np.column_stack([normals, offsets]), self.sigma)


@dataclass(frozen=True)
class _Patches:
    """N flat spots of a depth image: points (N, 3), planes (N, 4), good (N,); depth (N,) as measured, 0 = none."""

    points: np.ndarray
    planes: np.ndarray
    good: np.ndarray
    depth: np.ndarray


def common_surfaces(depth_b: np.ndarray, camera_b: CameraIntrinsics, depth_a: np.ndarray, camera_a: CameraIntrinsics,
                    T_a_b: np.ndarray, depth_sigma: float, unit: float = 1.0) -> Surfaces | None:
    """Points of image b that lie on surfaces of image a at a pose T_a_b (4, 4) that is known to some centimetres; None where
    there are too few, too many of them contradict, or most are off to the same side.

    depth_a, depth_b (H, W): 0 = none; `unit` makes metres of them. depth_sigma: metres at 1 m; it grows with depth squared.
    """
    height, width = depth_b.shape
    step = max(1, max(height, width) // COLUMNS)
    rows, columns = np.mgrid[step // 2:height:step, step // 2:width:step]
    b = _patches(np.stack([columns.ravel(), rows.ravel()], -1), depth_b, camera_b, depth_sigma, unit)
    points, planes_b = b.points[b.good], b.planes[b.good]
    if len(points) < FEWEST:
        return None
    points_a = transform_points(T_a_b, points)
    pixels, ok = camera_a.project(points_a)
    ok &= camera_a.contains(pixels)
    points, points_a, planes_b, pixels = points[ok], points_a[ok], planes_b[ok], pixels[ok]
    a = _patches(np.rint(pixels).astype(np.int64), depth_a, camera_a, depth_sigma, unit)
    sigma = np.hypot(_sigma(points_a, a.planes, depth_sigma), _sigma(points, planes_b, depth_sigma))
    distance = np.einsum("ni,ni->n", a.planes[:, :3], points_a) + a.planes[:, 3]
    same_way = np.einsum("ni,ni->n", planes_b[:, :3] @ T_a_b[:3, :3].T, a.planes[:, :3]) > SAME_WAY
    on = a.good & same_way & (np.abs(distance) < np.minimum(GATE_M + GATE_SIGMA * sigma, MOST_M))
    hidden = (a.depth > 0) & (a.depth < points_a[:, 2]) & ~on
    contradict = a.good & ~on & ~hidden
    count = int(np.count_nonzero(on))
    if count < FEWEST or count < LEAST_SHARE * (count + np.count_nonzero(contradict)):
        return None
    if abs(np.median(distance[on])) > OFF_M:
        return None
    return Surfaces(points[on], a.planes[on], sigma[on])


def _sigma(points: np.ndarray, planes: np.ndarray, depth_sigma: float) -> np.ndarray:
    """(N,) standard deviation of the distance of measured points (N, 3) from planes (N, 4), both in the camera's frame."""
    along = np.einsum("ni,ni->n", planes[:, :3], points) * points[:, 2]  # the ray with z = 1, times depth squared
    return np.hypot(along * depth_sigma, CALIBRATION_M)


def _patches(pixels: np.ndarray, depth: np.ndarray, camera: CameraIntrinsics, depth_sigma: float, unit: float) -> _Patches:
    """Planes around integer pixels (N, 2): 1 / z = p x + q y + r in normalised coordinates is the plane p X + q Y + r Z = 1."""
    height, width = depth.shape
    stride = max(1, width // SAMPLES)
    dy, dx = np.mgrid[-WINDOW:WINDOW + 1, -WINDOW:WINDOW + 1].reshape(2, -1) * stride
    x, y = pixels.T
    inside = (x >= dx.max()) & (y >= dy.max()) & (x < width - dx.max()) & (y < height - dy.max())
    columns = np.clip(x[:, None] + dx, 0, width - 1)
    z = unit * depth[np.clip(y[:, None] + dy, 0, height - 1), columns].astype(np.float64)
    known = (z > 0).all(axis=1) & inside
    rho = 1.0 / np.where(z > 0, z, 1.0)
    design = np.stack([dx / camera.fx, dy / camera.fy, np.ones(dx.size)], 1)
    p, q, middle = np.linalg.pinv(design) @ rho.T
    scatter = np.sqrt(np.mean((rho - np.stack([p, q, middle], 1) @ design.T) ** 2, axis=1))
    ray = camera.unproject(pixels.astype(np.float64))
    r = middle - p * ray[:, 0] - q * ray[:, 1]
    size = np.maximum(np.sqrt(p * p + q * q + r * r), 1e-9)
    planes = -np.stack([p, q, r, -np.ones(len(p))], 1) / size[:, None]
    cosine = np.abs(middle) / (size * np.linalg.norm(ray, axis=1))
    good = known & (middle > 0) & (scatter < FLAT * depth_sigma + ROUGH * middle) & (cosine > STEEPEST)
    points = ray / np.where(middle > 0, middle, 1.0)[:, None]
    return _Patches(points, planes, good, unit * depth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])


