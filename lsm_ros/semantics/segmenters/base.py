# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Interface of all segmenters."""
from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from lsm_ros.config import Config
from lsm_ros.types import UNLABELLED, Frame, LabelSpace


class Segmenter(ABC):
    """Labels the pixels of images. label_space: names of the ids that it gives. reads: parameters that only segmenters, or some
    of them, use, and this one does. The constructor takes the whole configuration and raises ValueError, FileNotFoundError or
    ImportError for what it cannot use."""

    label_space: LabelSpace
    reads: frozenset[str] = frozenset({"semantics.segmenter_model", "semantics.segmenter_labels",
                                       "semantics.min_label_probability"})

    @abstractmethod
    def __init__(self, config: Config) -> None:
        """Loads what is needed."""

    def apply(self, config: Config) -> None:  # noqa: B027 (most segmenters have nothing to do here)
        """Takes over parameters that may change at run time."""

    @abstractmethod
    def segment(self, frame: Frame) -> np.ndarray:
        """Label ids (H, W) uint16 of an image without lens distortion, 65535 where unknown."""

    def with_probability(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Label ids as of `segment`, and the probability (H, W) float32 of each, 0 where unknown; 1 for a segmenter that gives
        none."""
        labels = self.segment(frame)
        return labels, (labels != UNLABELLED).astype(np.float32)
