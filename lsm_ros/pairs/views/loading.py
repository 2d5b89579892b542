# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Help for networks of other packages: their images, cameras and folders."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.hub import find_in_hub
from lsm_ros.pairs.views.base import MEAN, STD


def folder_of(weights: str) -> Path:
    """The folder that weights name, or that of an id in Hugging Face's cache. FileNotFoundError, ValueError for a file."""
    place = Path(weights).expanduser()
    place = place if place.exists() else find_in_hub(weights)
    if not (place / "config.json").is_file():
        raise ValueError(f"{place} holds no config.json; a folder as `save_pretrained` writes it is needed")
    return place


def normalised(images: Sequence[np.ndarray], device: torch.device | str) -> torch.Tensor:
    """(N, 3, H, W) float32 of images (H, W, 3) uint8 RGB."""
    x = torch.from_numpy(np.stack(images)).to(device).float().permute(0, 3, 1, 2) / 255
    return (x - torch.tensor(MEAN, device=device)[:, None, None]) / torch.tensor(STD, device=device)[:, None, None]


def matrix(camera: CameraIntrinsics) -> np.ndarray:
    """(3, 3) float32 with the origin at the corner of the first pixel, as these networks have it."""
    return np.array([[camera.fx, 0, camera.cx + 0.5], [0, camera.fy, camera.cy + 0.5], [0, 0, 1]], np.float32)


def pinhole(K: np.ndarray, shape: tuple[int, ...]) -> CameraIntrinsics:
    """The camera of such a matrix, for an image (H, W)."""
    return CameraIntrinsics(shape[1], shape[0], float(K[0, 0]), float(K[1, 1]), float(K[0, 2]) - 0.5, float(K[1, 2]) - 0.5)


def device_of(model: torch.nn.Module) -> torch.device:
    """The device of a network's weights."""
    return next(model.parameters()).device
