# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of point features."""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Keypoints:
    """Points of an image of a shape (H, W): pixels (M, 2) float64 and descriptors (M, D)."""

    pixels: np.ndarray
    descriptors: np.ndarray
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.pixels.nbytes + self.descriptors.nbytes


class PointFeatures(ABC):
    """Finds points of an image and describes them, so that they are known again in another. Made once, as kind(); called from
    several threads. name: that of the registry."""

    name: str = ""

    @abstractmethod
    def detect(self, gray: np.ndarray) -> Keypoints:
        """Points of an image (H, W) uint8."""

    @abstractmethod
    def match(self, a: Keypoints, b: Keypoints) -> tuple[np.ndarray, np.ndarray]:
        """Index (N,) int64 into a and into b of points that are the same, each at most once."""
