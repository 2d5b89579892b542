# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras: intrinsics with distortion, projection, rays, resizing and rectification; pixel centres are integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lsm_ros.geometry.distortion import COEFFICIENT_COUNTS, distort, max_radius_squared, undistort

__all__ = ['CameraIntrinsics', 'Rectifier']

_NEAR = 1e-6  # metres; nearer points have no pixel
# A rectified image is a plane, so a fisheye's view is cut at this half angle instead of stretching its rim without end.
_MAX_HALF_VIEW = math.radians(65.0)
_UNLABELLED = 65535


T_BODY_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""Pose of a camera's optical frame (x right, y down, z forward) in its body frame (x forward, y left, z up), REP-103."""
T_BODY_OPTICAL.setflags(write=False)


@dataclass(frozen=True)
class CameraIntrinsics:
    """Pinhole with distortion, as in sensor_msgs/CameraInfo.

    width, height, fx, fy, cx, cy in pixels; `distortion_model` is '' (none), 'plumb_bob', 'rational_polynomial' or
    'equidistant', D its coefficients. ValueError, naming the value, for anything that is not a camera.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ''
    D: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ('width', 'height'):
            value = getattr(self, name)
            if not math.isfinite(value) or value != int(value) or value < 1:
                raise ValueError(f'{name} must be a positive whole number of pixels, got {value!r}')
            object.__setattr__(self, name, int(value))
        for name in ('fx', 'fy', 'cx', 'cy'):
            value = float(getattr(self, name))
            if not math.isfinite(value) or (name[0] == 'f' and value <= 0):
                kind = 'positive and finite' if name[0] == 'f' else 'finite'
                raise ValueError(f'{name} must be {kind}, got {value!r}')
            object.__setattr__(self, name, value)
        D = tuple(float(d) for d in self.D)
        if self.distortion_model not in COEFFICIENT_COUNTS:
            known = list(COEFFICIENT_COUNTS)
            raise ValueError(f'unknown distortion_model {self.distortion_model!r}, use one of {known}')
        if len(D) not in COEFFICIENT_COUNTS[self.distortion_model]:
            counts = ' or '.join(map(str, COEFFICIENT_COUNTS[self.distortion_model]))
            raise ValueError(f'distortion_model {self.distortion_model!r} has {counts} coefficients, got {len(D)}: {D}')
        if not all(map(math.isfinite, D)):
            raise ValueError(f'distortion coefficients must be finite, got {D}')
        object.__setattr__(self, 'D', D)

    @classmethod
    def from_K(cls, K: ArrayLike, width: int, height: int, model: str = '', D: ArrayLike = ()) -> CameraIntrinsics:
        """Camera from K (3, 3) or 9 values row by row, in pixels; without coefficients there is no distortion.

        ValueError for a wrong shape, skew, a last row other than (0, 0, 1), or values that are not a camera.
        """
        matrix = np.asarray(K, dtype=np.float64)
        if matrix.size != 9:
            raise ValueError(f'K must have 9 values, got shape {matrix.shape}')
        matrix = matrix.reshape(3, 3)
        D = tuple(np.asarray(D, dtype=np.float64).ravel().tolist())
        camera = cls(width, height, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], model if D else '', D)
        if abs(matrix[0, 1]) > 1e-9 * camera.fx or np.any(matrix[1, 0] != 0) or matrix[2].tolist() != [0, 0, 1]:
            raise ValueError(f'K must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {matrix.tolist()}')
        return camera

    @classmethod
    def from_fov(cls, width: int, height: int, fov_x: float) -> CameraIntrinsics:
        """Centred square-pixel pinhole whose image spans the horizontal angle fov_x, in radians within (0, pi)."""
        if not 0 < fov_x < math.pi:
            raise ValueError(f'fov_x must be in (0, pi) radians, got {fov_x!r}')
        focal = 0.5 * width / math.tan(0.5 * fov_x)
        return cls(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))

    @property
    def K(self) -> np.ndarray:
        """Camera matrix (3, 3) float64 in pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def has_distortion(self) -> bool:
        """True if pixels differ from those of a pinhole; a fisheye always does, also with zero coefficients."""
        return self.distortion_model == 'equidistant' or any(self.D)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.height, self.width

    def project(self, points_cam: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of points in the camera frame.

        points_cam (..., 3) in metres; returns pixels (..., 2), float32 if the points are, and valid (...) bool. Points
        behind the camera, not finite, or beyond the range of the distortion model are invalid and their pixels NaN;
        `contains` says which pixels are inside of the image.
        """
        points = np.asarray(points_cam)
        if points.ndim == 0 or points.shape[-1] != 3:
            raise ValueError(f'points_cam must have shape (..., 3), got {points.shape}')
        points = points.astype(np.float32 if points.dtype == np.float32 else np.float64, copy=False)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        valid = (z > _NEAR) & np.isfinite(z) & np.isfinite(x) & np.isfinite(y)
        inverse = 1 / np.where(valid, z, points.dtype.type(1))
        x, y = np.where(valid, x, 0) * inverse, np.where(valid, y, 0) * inverse
        if self.has_distortion:
            limit = max_radius_squared(self.distortion_model, self.D)
            with np.errstate(over='ignore'):
                valid &= x * x + y * y <= limit
            x, y = distort(self.distortion_model, self.D, np.where(valid, x, 0), np.where(valid, y, 0))
        pixels = np.stack([self.fx * x + self.cx, self.fy * y + self.cy], -1)
        pixels[~valid] = np.nan
        return pixels, valid

    def unproject(self, pixels: ArrayLike) -> np.ndarray:
        """Rays (..., 3) float64 with z = 1 in the camera frame of pixels (..., 2); NaN where the lens has none."""
        pixels = np.asarray(pixels, dtype=np.float64)
        if pixels.ndim == 0 or pixels.shape[-1] != 2:
            raise ValueError(f'pixels must have shape (..., 2), got {pixels.shape}')
        x, y = (pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy
        if self.has_distortion:
            x, y = undistort(self.distortion_model, self.D, x, y)
        return np.stack([x, y, np.where(np.isnan(x), np.nan, 1.0)], -1)

    def rays(self, unit: bool = True, dtype: Any = np.float64) -> np.ndarray:
        """Ray of every pixel, (height, width, 3), of unit length or with z = 1; cached, hence read-only."""
        return _ray_grid(self, bool(unit), np.dtype(dtype).str)

    def contains(self, pixels: ArrayLike, margin: float = 0.0) -> np.ndarray:
        """True for pixels (..., 2) on the image's area, `margin` pixels from its border; NaN is outside."""
        p = np.asarray(pixels)
        u, v, low = p[..., 0], p[..., 1], margin - 0.5
        return (u >= low) & (v >= low) & (u <= self.width - 1 - low) & (v <= self.height - 1 - low)

    def resize(self, width: int, height: int) -> CameraIntrinsics:
        """The same camera with the image scaled to (width, height); the image's corners, at -0.5, stay its corners."""
        if width < 1 or height < 1:
            raise ValueError(f'size must be positive, got {width}x{height}')
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy,
                       cx=(self.cx + 0.5) * sx - 0.5, cy=(self.cy + 0.5) * sy - 0.5)

    def crop(self, x: int, y: int, width: int, height: int) -> CameraIntrinsics:
        """The same camera with the window image[y:y + height, x:x + width]; ValueError if it leaves the image."""
        if x < 0 or y < 0 or width < 1 or height < 1 or x + width > self.width or y + height > self.height:
            raise ValueError(f'window {width}x{height} at ({x}, {y}) is not inside of {self.width}x{self.height}')
        return replace(self, width=width, height=height, cx=self.cx - x, cy=self.cy - y)

    def rectified(self, alpha: float = 0.0) -> tuple[CameraIntrinsics, tuple[np.ndarray, np.ndarray]]:
        """Camera of the same size and aspect without distortion, and the maps (x, y) that cv2.remap takes.

        alpha 0 keeps only pixels that the source image has, alpha 1 keeps all of the source, as in OpenCV. The maps are
        (height, width) float32 source pixels. Fisheye views are cut at a half angle of 65 degrees.
        """
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha must be in [0, 1], got {alpha!r}')
        target = _rectified_camera(self, alpha) if self.has_distortion else replace(self, distortion_model='', D=())
        pixels, _ = self.project(target.rays(unit=False))
        pixels = np.nan_to_num(pixels, nan=-1e4).astype(np.float32)  # far outside of the image, so remap fills them
        return target, (np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1]))


class Rectifier:
    """Removes the distortion of one camera from images, depth and labels; its maps are computed once.

    `source` and `target` are the cameras before and after, `valid` (H, W) bool marks the target pixels with a source.
    Without distortion the inputs are handed back unchanged.
    """

    def __init__(self, intrinsics: CameraIntrinsics, alpha: float = 0.0) -> None:
        self.source = intrinsics
        self.is_identity = not intrinsics.has_distortion
        self.target, (self._map_x, self._map_y) = intrinsics.rectified(alpha)
        columns, rows = np.rint(self._map_x).astype(np.int64), np.rint(self._map_y).astype(np.int64)
        self.valid = (columns >= 0) & (rows >= 0) & (columns < intrinsics.width) & (rows < intrinsics.height)
        self._nearest = np.where(self.valid, rows * intrinsics.width + columns, 0)

    def image(self, image: np.ndarray) -> np.ndarray:
        """Rectified image (H, W) or (H, W, C), bilinear, black where there is no source."""
        self._check(image)
        if self.is_identity:
            return image
        return cv2.remap(image, self._map_x, self._map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                         borderValue=0)

    def depth(self, depth: np.ndarray) -> np.ndarray:
        """Rectified depth (H, W) along z, 0 where there is none; nearest sample: means are no surface."""
        return self._pick(depth, 0)

    def labels(self, labels: np.ndarray, fill: int | None = None) -> np.ndarray:
        """Rectified labels (H, W), nearest sample; `fill` (65535, or the largest value of a smaller type) elsewhere."""
        if fill is None:
            fill = min(_UNLABELLED, int(np.iinfo(labels.dtype).max))
        return self._pick(labels, fill)

    def _pick(self, values: np.ndarray, fill: float) -> np.ndarray:
        self._check(values)
        if self.is_identity:
            return values
        out = values.reshape(-1)[self._nearest]
        out[~self.valid] = fill
        return out

    def _check(self, array: np.ndarray) -> None:
        if array.shape[:2] != self.source.shape:
            raise ValueError(f'array of shape {array.shape} does not fit a camera of {self.source.width}x'
                             f'{self.source.height}; resize the intrinsics or the array')


@lru_cache(maxsize=16)
def _ray_grid(camera: CameraIntrinsics, unit: bool, dtype: str) -> np.ndarray:
    v, u = np.mgrid[0:camera.height, 0:camera.width].astype(np.float64)
    rays = camera.unproject(np.stack([u, v], -1))
    if unit:
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rays = rays.astype(dtype)
    rays.setflags(write=False)
    return rays


def _rectified_camera(camera: CameraIntrinsics, alpha: float) -> CameraIntrinsics:
    u, v = np.arange(camera.width, dtype=float), np.arange(camera.height, dtype=float)
    right, bottom = camera.width - 1.0, camera.height - 1.0
    left_x = _border(camera, np.stack([np.zeros_like(v), v], -1))[:, 0]
    right_x = _border(camera, np.stack([np.full_like(v, right), v], -1))[:, 0]
    top_y = _border(camera, np.stack([u, np.zeros_like(u)], -1))[:, 1]
    bottom_y = _border(camera, np.stack([u, np.full_like(u, bottom)], -1))[:, 1]
    inner = (left_x.max(), right_x.min(), top_y.max(), bottom_y.min())
    outer = (left_x.min(), right_x.max(), top_y.min(), bottom_y.max())
    x0, x1, y0, y1 = ((1 - alpha) * i + alpha * o for i, o in zip(inner, outer, strict=True))
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f'distortion {camera.distortion_model!r} {camera.D} leaves no area to rectify')
    # One factor for both axes keeps the pixels' aspect; the tighter axis decides inside, the wider one outside.
    factors = (right / (x1 - x0) / camera.fx, bottom / (y1 - y0) / camera.fy)
    factor = (1 - alpha) * max(factors) + alpha * min(factors)
    fx, fy = camera.fx * factor, camera.fy * factor
    return CameraIntrinsics(camera.width, camera.height, fx, fy,
                            0.5 * right - fx * 0.5 * (x0 + x1), 0.5 * bottom - fy * 0.5 * (y0 + y1))


def _border(camera: CameraIntrinsics, pixels: np.ndarray) -> np.ndarray:
    rays = camera.unproject(pixels)[:, :2]
    direction = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    beyond = np.isnan(rays)
    rays = np.where(beyond, np.where(direction == 0, 0.0, np.copysign(np.inf, direction)), rays)
    limit = math.tan(_MAX_HALF_VIEW)
    return np.clip(rays, -limit, limit)
