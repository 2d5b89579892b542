# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of depth priors: networks that guess the depth of one image.

A new one is a file here and a line in `lsm_ros.registry.DEPTH_PRIORS`.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from lsm_ros.types import Frame

METRES, RELATIVE, DISPARITY = "metres", "relative", "disparity"
KINDS = (METRES, RELATIVE, DISPARITY)
MEANINGS = ("metres (depth), relative (depth up to a factor and a shift), disparity (inverse depth up to a factor and a shift, "
            "greater is nearer)")
LEAST_SPREAD = 1e-3  # of the values by their size: less is a constant
NEAREST = 0.05  # of the median: metres nearer than this become it


@dataclass(frozen=True)
class PriorDepth:
    """values (H, W) float32 of an image, finite and not constant; metres are above 0. kind: one of METRES, RELATIVE,
    DISPARITY."""

    values: np.ndarray
    kind: str


class DepthPrior(ABC):
    """Guesses the depth of one image. Made once, as kind(config); its `depth` is called from other threads than that one.

    name: as in messages. kind: of its values. focal_px: horizontal focal length, in pixels of an image that is `focal_width`
    wide, of the camera whose depths in metres it gives; 0 if it finds the scale whatever the camera.
    """

    name: str = ""
    kind: str = METRES
    focal_px: float = 0.0
    focal_width: int = 0

    @abstractmethod
    def predict(self, image: np.ndarray) -> np.ndarray:
        """Values (h, w) of an image (H, W, 3) uint8 RGB, at any size."""

    def depth(self, frame: Frame) -> PriorDepth:
        """The values of a frame, at its size. ValueError that says what is wrong with them."""
        values: np.ndarray = checked(self.predict(frame.image), self.name)
        height, width = frame.image.shape[:2]
        values = np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        if self.kind != METRES:
            return PriorDepth(values, self.kind)
        middle = float(np.median(values))
        if middle <= 0:
            raise ValueError(f"{self.name} gave {middle:.4g} m as the median depth of an image, where it must be above 0; does "
                             "its output mean what is stated?")
        values = np.maximum(values, NEAREST * middle)
        if self.focal_px > 0 and frame.intrinsics is not None:
            values *= frame.intrinsics.fx / width * self.focal_width / self.focal_px
        return PriorDepth(values, self.kind)


def checked(values: np.ndarray, name: str) -> np.ndarray:
    """Values (h, w) float32. ValueError for those that are no depth of an image."""
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"{name} gave an array {values.shape}, where one value for each pixel is needed")
    values = values.astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise ValueError(f"{name} gave {bad} of {values.size} values that are no numbers; if it runs in half precision, use "
                         "single precision")
    low, middle, high = np.percentile(values, (1, 50, 99))
    if high - low <= LEAST_SPREAD * max(abs(low), abs(high)):
        raise ValueError(f"{name} gave the same value ({middle:.4g}) for the whole image; is its input normalised as it was "
                         "trained?")
    return values
