# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From light to pixels: lens and motion blur, exposure, vignette, noise, white balance, the sRGB curve, JPEG.

Batched over images, on any device. What happens to an image depends on its own seed and light alone, not on its batch:
noise comes from hashed counters, and sums whose order could vary are avoided.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_sim.hashing import checked_seeds, normals
from lsm_sim.jpeg import jpeg, quantisation_tables

_LEVELS = 1 << 16
_SETTINGS, _LIGHT, _GREY = 0, 1, 2
"""Streams of random numbers: settings of the image, noise of the light, noise of the grey levels."""
_CPU_BATCH = 4  # as many images as stay in a core's cache
_LEAST_MOTION_PX, _STEP_PX, _MOST_STEPS = 0.5, 1.5, 32


@dataclass(frozen=True)
class SensorConfig:
    """Effects of a camera on light; the defaults are those of a small global-shutter camera indoors.

    blur_px: deviation of the lens blur. exposure_s: time that the shutter is open, for motion blur. auto_exposure: mean
    linear value that each image is brought to, 0 for none; exposure_ev: deviation in stops from what it should be.
    vignette: share of light lost in the corners. shot_noise: deviation at full white (grows with the root of light);
    read_noise: deviation at black, both linear with full white 1. white_balance: deviation of the logarithm of the
    gains of red and blue. gamma: the sRGB curve, else linear. color_sigma: noise in grey levels of 255 after the curve.
    jpeg_quality: 1 to 100, 0 for none. ValueError for what is out of range.
    """

    blur_px: float = 0.45
    exposure_s: float = 0.008
    auto_exposure: float = 0.0
    exposure_ev: float = 0.15
    vignette: float = 0.2
    shot_noise: float = 0.02
    read_noise: float = 0.002
    white_balance: float = 0.03
    gamma: bool = True
    color_sigma: float = 0.0
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        for name in ("blur_px", "exposure_s", "auto_exposure", "exposure_ev", "vignette", "shot_noise", "read_noise",
                     "white_balance", "color_sigma"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} of a sensor must be finite and >= 0, got {value!r}")
        if self.vignette > 1 or self.auto_exposure > 1 or self.blur_px > 20:
            raise ValueError(f"vignette and auto_exposure must be at most 1, blur_px at most 20, got {self}")
        if self.jpeg_quality != 0:
            quantisation_tables(self.jpeg_quality)

    @classmethod
    def clean(cls) -> SensorConfig:
        """A camera without fault: the sRGB curve alone."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, True, 0.0, 0)


def apply_sensor(linear: torch.Tensor, config: SensorConfig, seeds: Sequence[int] | np.ndarray | torch.Tensor | None = None,
                 angular_rate: np.ndarray | torch.Tensor | None = None, camera: CameraIntrinsics | None = None) -> torch.Tensor:
    """Pixels (C, H, W, 3) uint8 that a camera makes of light (C, H, W, 3) float, linear, full white 1.

    seeds: (C,) whole numbers >= 0, zeros if not given. angular_rate: (C, 3) rad/s of the camera in its optical frame;
    motion blur needs it, a camera (distortion is neglected) and an exposure_s. ValueError for other shapes or seeds.
    """
    if linear.ndim != 4 or linear.shape[-1] != 3 or not linear.is_floating_point():
        raise ValueError(f"light must be (C, H, W, 3) floating point, got {tuple(linear.shape)} {linear.dtype}")
    count, height, width, _ = linear.shape
    seeds = checked_seeds([0] * count if seeds is None else seeds, count)
    if config == SensorConfig.clean():
        return torch.index_select(_curve(True, str(linear.device)), 0, _levels(linear.to(torch.float32))).view(linear.shape)
    rate = None
    if config.exposure_s and angular_rate is not None:
        rate = np.asarray(torch.as_tensor(angular_rate).cpu(), dtype=np.float64)
        _check_motion(rate, camera, linear)
    size = _CPU_BATCH if linear.device.type == "cpu" else max(count, 1)
    out = torch.empty(linear.shape, dtype=torch.uint8, device=linear.device)
    for start in range(0, count, size):
        some = slice(start, start + size)
        out[some] = _sensed(linear[some], config, seeds[some], None if rate is None else rate[some], camera)
    return out


def _sensed(linear: torch.Tensor, config: SensorConfig, seeds: list[int], rate: np.ndarray | None,
            camera: CameraIntrinsics | None) -> torch.Tensor:
    """Pixels of a batch, with what was given checked before."""
    height, width = linear.shape[1:3]
    x = linear.to(torch.float32).permute(0, 3, 1, 2).contiguous()
    if rate is not None and camera is not None:
        x = motion_blurred(x, rate, camera, config.exposure_s)
    if config.blur_px:
        x = lens_blurred(x, config.blur_px)
    gain, balance = _settings(linear, config, seeds)
    x = x * gain
    if config.vignette:
        x *= 1 - config.vignette * _radius_squared(height, width, str(x.device))
    if config.shot_noise or config.read_noise:
        z = normals(seeds, _LIGHT, 3 * height * width, x.device).reshape(x.shape)
        spread = x.clamp(min=0).mul_(config.shot_noise ** 2).add_(config.read_noise ** 2).sqrt_()
        x += spread.mul_(z)
    if config.white_balance:
        x *= balance
    grey = torch.index_select(_curve(config.gamma, str(x.device)), 0, _levels(x)).view(x.shape)
    if config.color_sigma:
        z = normals(seeds, _GREY, 3 * height * width, x.device).reshape(x.shape)
        grey = (grey + z * config.color_sigma).round_().clamp_(0, 255)
    if config.jpeg_quality:
        grey = jpeg(grey.to(torch.float32), config.jpeg_quality)
    return grey.to(torch.uint8).permute(0, 2, 3, 1)


def _check_motion(rate: np.ndarray, camera: CameraIntrinsics | None, linear: torch.Tensor) -> None:
    """ValueError if an angular rate does not fit the light, or its camera is missing or of another size."""
    count, height, width, _ = linear.shape
    if rate.shape != (count, 3) or not np.isfinite(rate).all():
        raise ValueError(f"angular_rate must be finite and ({count}, 3), got {rate.tolist() if rate.size < 20 else rate.shape}")
    if camera is None:
        raise ValueError("motion blur from an angular_rate needs the camera")
    if (camera.height, camera.width) != (height, width):
        raise ValueError(f"the camera has {camera.width}x{camera.height} pixels, the light {width}x{height}")


def _settings(linear: torch.Tensor, config: SensorConfig, seeds: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Gain (C, 1, 1, 1) of the exposure and balance (C, 3, 1, 1) of the channels of each image."""
    z = normals(seeds, _SETTINGS, 4, linear.device).to(torch.float64)
    gain = torch.exp2(config.exposure_ev * z[:, 0])
    if config.auto_exposure:
        # in double precision, so that the order of the sum does not show in pixels
        gain = gain * (config.auto_exposure / linear[:, ::2, ::2].to(torch.float64).mean((1, 2, 3)).clamp(min=1e-4))
    balance = torch.exp(config.white_balance * torch.stack((z[:, 1], torch.zeros_like(z[:, 1]), z[:, 2]), 1))
    return gain.to(torch.float32).view(-1, 1, 1, 1), balance.to(torch.float32).view(-1, 3, 1, 1)


def lens_blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """(C, 3, H, W) blurred by a Gaussian of a deviation in pixels; borders are repeated outwards."""
    radius = max(1, math.ceil(2.5 * sigma))
    # a Gaussian integrated over each pixel: the sampled one would be too wide for small deviations
    edges = [math.erf((k - 0.5) / (sigma * math.sqrt(2))) for k in range(radius + 2)]
    weights = [edges[k + 1] - edges[k] for k in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    for axis in (2, 3):
        n = x.shape[axis]
        pad = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
        wide = F.pad(x, pad, mode="replicate")
        x = wide.narrow(axis, radius, n) * (weights[0] / total)
        for k in range(1, radius + 1):
            x += (wide.narrow(axis, radius - k, n) + wide.narrow(axis, radius + k, n)).mul_(weights[k] / total)
    return x


def motion_blurred(x: torch.Tensor, rate: np.ndarray, camera: CameraIntrinsics, exposure_s: float) -> torch.Tensor:
    """(C, 3, H, W) averaged over an exposure about its middle while the camera turns at rate (C, 3) rad/s.

    At time t a pixel u sees what pixel K exp([rate t]x) K^-1 u sees in the middle of the exposure. The steps are at
    most 1.5 pixels (32 steps at most); less motion than half a pixel is left out.
    """
    height, width = x.shape[2:]
    K = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    way = exposure_s * (max(camera.fx, camera.fy) * np.hypot(rate[:, 0], rate[:, 1])
                        + np.abs(rate[:, 2]) * 0.5 * math.hypot(width, height))
    steps = np.where(way < _LEAST_MOTION_PX, 1, 2 ** np.ceil(np.log2(np.maximum(way / _STEP_PX, 2))))
    out = x
    for n in sorted({int(min(s, _MOST_STEPS)) for s in steps} - {1}):
        rows = np.flatnonzero(np.minimum(steps, _MOST_STEPS) == n)
        index = torch.as_tensor(rows, device=x.device)
        part = x[index]
        total = torch.zeros_like(part)
        for t in (np.arange(n) + 0.5) / n - 0.5:
            H = K @ _rotations(rate[rows] * (t * exposure_s)) @ np.linalg.inv(K)
            total += F.grid_sample(part, _grid(H, height, width, x.device), padding_mode="border", align_corners=True)
        out = out.clone() if out is x else out
        out[index] = total.mul_(1 / n)
    return out


def _rotations(vectors: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations of rotation vectors (N, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    o = np.zeros_like(x)
    W = np.array([[o, -z, y], [z, o, -x], [-y, x, o]]).transpose(2, 0, 1)
    return np.eye(3) + np.sinc(angle / np.pi) * W + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * (W @ W)


def _grid(H: np.ndarray, height: int, width: int, device: torch.device) -> torch.Tensor:
    """(N, H, W, 2) places of grid_sample at which homographies (N, 3, 3) in pixels put the pixels."""
    to_unit = np.array([[2 / max(width - 1, 1), 0, -1], [0, 2 / max(height - 1, 1), -1], [0, 0, 1.0]])
    h = torch.as_tensor(to_unit @ H, dtype=torch.float32, device=device)[:, :, :, None, None]
    u = torch.arange(width, dtype=torch.float32, device=device)[None, None, :]
    v = torch.arange(height, dtype=torch.float32, device=device)[None, :, None]
    a, b, w = (h[:, k, 0] * u + h[:, k, 1] * v + h[:, k, 2] for k in range(3))
    return torch.stack((a / w, b / w), -1)


def _levels(x: torch.Tensor) -> torch.Tensor:
    """Rows (flat, int32) of the curve's table for linear values."""
    return x.clamp(0, 1).mul_(_LEVELS - 1).add_(0.5).to(torch.int32).reshape(-1)


@lru_cache(maxsize=8)
def _curve(gamma: bool, device: str) -> torch.Tensor:
    """(65536,) uint8 grey levels of linear values 0 to 1: IEC 61966-2-1, or straight."""
    v = torch.linspace(0, 1, _LEVELS, dtype=torch.float64)
    if gamma:
        v = torch.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)
    return (255 * v).round().to(torch.uint8).to(device)


@lru_cache(maxsize=8)
def _radius_squared(height: int, width: int, device: str) -> torch.Tensor:
    """(H, W) squared distance from the middle, 1 in the corners."""
    v = torch.linspace(-1, 1, height, dtype=torch.float32)[:, None] * height
    u = torch.linspace(-1, 1, width, dtype=torch.float32)[None] * width
    return ((u * u + v * v) / (height ** 2 + width ** 2)).to(device)
