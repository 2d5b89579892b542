# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Errors of a depth camera and of a network for labels."""
from __future__ import annotations

import cv2
import numpy as np

from lsm_ros.types import UNLABELLED

_DEPTH_SIGMA = 0.0012  # metres at 1 m; grows with the square of depth
_DEPTH_RANGE = (0.25, 8.0)


def noisy_depth(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth (H, W) float32 in metres, 0 where nothing, as a stereo camera gives it: whole millimetres, 0 where it fails.

    Noise of 1.2 mm z^2. It fails in patches (2 %), along half of the edges of things, and out of 0.25 to 8 m.
    """
    noise = rng.standard_normal(depth.shape, dtype=np.float32) * np.float32(_DEPTH_SIGMA)
    out = np.rint((depth + noise * depth * depth) * 1000) / np.float32(1000)
    jump = cv2.morphologyEx(depth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0.06 * depth
    failed = _patches(depth.shape, rng, 6, 0.877) | (jump & (rng.random(depth.shape) < 0.5))
    out[failed | (depth < _DEPTH_RANGE[0]) | (depth > _DEPTH_RANGE[1])] = 0
    return out.astype(np.float32)


def noisy_labels(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels (H, W) uint16 of which 1 % in patches are unlabelled, as where a network is not sure."""
    out = labels.copy()
    out[_patches(labels.shape, rng, 8, 0.91)] = UNLABELLED
    return out


def _patches(shape: tuple[int, ...], rng: np.random.Generator, size: int, level: float) -> np.ndarray:
    """(H, W) bool: blobs of about `size` pixels where smooth noise in [0, 1] passes a level."""
    height, width = shape
    coarse = rng.random((height // size + 2, width // size + 2), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) > level
