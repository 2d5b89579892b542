# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Masks of frames in pair models: what lies under one, or so near that its edge is in the patch around it, is left out."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lsm_ros.pairs.corners import MARGIN_PX
from lsm_ros.pairs.point_features.base import Keypoints

if TYPE_CHECKING:
    import torch

    from lsm_ros.models.preprocess import Crop


def grown(mask: np.ndarray | None) -> np.ndarray | None:
    """The mask (H, W) bool with a margin of half a patch that is tracked: the robot's edge stays where it is in the image,
    and would hold a patch that has a part of it."""
    if mask is None:
        return None
    side = 2 * MARGIN_PX + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def is_clear(mask: np.ndarray | None, pixels: np.ndarray) -> np.ndarray:
    """(N,) bool, true for pixels (N, 2) that are not in a mask (H, W); pixels outside of the image count as its border."""
    if mask is None or not len(pixels):
        return np.ones(len(pixels), bool)
    x, y = np.rint(pixels).astype(np.int64).T
    clear: np.ndarray = ~mask[np.clip(y, 0, mask.shape[0] - 1), np.clip(x, 0, mask.shape[1] - 1)]
    return clear


def clear_found(mask: np.ndarray | None, index: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds of `find_by_flow`, index (M,) and pixels (M, 2), without those in a mask."""
    if mask is None:
        return index, pixels
    keep = is_clear(mask, pixels)
    return index[keep], pixels[keep]


def clear_keypoints(mask: np.ndarray | None, found: Keypoints) -> Keypoints:
    """The keypoints that are not in a mask."""
    if mask is None:
        return found
    keep = is_clear(mask, found.pixels)
    return replace(found, pixels=found.pixels[keep], descriptors=found.descriptors[keep])


def cropped(mask: np.ndarray | None, crop: Crop) -> np.ndarray | None:
    """The mask of a network's image (h, w): pixels that have any of the masked ones in them."""
    if mask is None:
        return None
    whole = cv2.resize(mask.astype(np.float32), crop.resized, interpolation=cv2.INTER_AREA)
    return whole[crop.top:crop.top + crop.height, crop.left:crop.left + crop.width] > 0


def masked(confidence: torch.Tensor, mask: np.ndarray | None) -> torch.Tensor:
    """Confidence (h, w) of a prediction, 0 in a mask (h, w) of the network's image."""
    import torch

    return confidence if mask is None else confidence.masked_fill(torch.from_numpy(mask).to(confidence.device), 0.0)


def packed(mask: np.ndarray | None) -> dict[str, np.ndarray]:
    """The mask for a map on disk: its bits as `mask`, or nothing."""
    return {} if mask is None else {"mask": np.packbits(mask)}


def unpacked(parts: Mapping[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray | None:
    """The mask (H, W) that `packed` gave, None without. ValueError for one of another size."""
    bits = parts.get("mask")
    if bits is None:
        return None
    count = shape[0] * shape[1]
    if bits.dtype != np.uint8 or bits.shape != (-(-count // 8),):
        raise ValueError(f"mask is {bits.shape} {bits.dtype}, where the camera needs {(-(-count // 8),)} uint8")
    return np.unpackbits(bits, count=count).reshape(shape).astype(bool)
