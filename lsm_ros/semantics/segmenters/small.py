# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels from the language features of lsm_small: the name that is nearest, in cells of 16x16 pixels (8x8 in small images)."""
from __future__ import annotations

import numpy as np

from lsm_ros.config import Config
from lsm_ros.semantics.describing import Describer
from lsm_ros.semantics.label_spaces import find_label_space
from lsm_ros.semantics.language import language_of
from lsm_ros.semantics.segmenters.base import Segmenter
from lsm_ros.types import Frame


class SmallSegmenter(Segmenter):
    """Names are those of `semantics.label_space`, else of the training; weights those of `semantics.weights`, else the
    package's own. Features less similar to every name than `semantics.min_similarity` have no label. ValueError for
    settings of the segmenters that read a model."""

    reads = frozenset({"semantics.weights", "semantics.label_space", "semantics.min_similarity", "pairs.precision"})

    def __init__(self, config: Config) -> None:
        wanted = config.semantics
        for name in ("segmenter_model", "segmenter_labels"):
            if getattr(wanted, name):
                raise ValueError(f"segmenter lsm_small has no use for semantics.{name} ({getattr(wanted, name)!r}): "
                                 "its weights are semantics.weights, its names semantics.label_space")
        self._describer = Describer.load(wanted.weights, config.pairs.precision)
        self._language = language_of(self._describer)
        self.label_space = find_label_space(wanted.label_space) if wanted.label_space else self._language.trained_space
        self.apply(config)

    def apply(self, config: Config) -> None:
        """Takes over `semantics.min_similarity`, for the keyframes from now on."""
        self._names = self._language.names(self.label_space, config.semantics.min_similarity)

    def segment(self, frame: Frame) -> np.ndarray:
        """Label ids (H, W) uint16, one for each cell."""
        features = self._describer.describe(frame)
        labels, _ = self._names.nearest(features.reshape(-1, features.shape[-1]))
        rows, columns = features.shape[:2]
        height, width = frame.image.shape[:2]
        row = np.minimum(np.arange(height) // max(height // rows, 1), rows - 1)  # the last cell has what is left
        column = np.minimum(np.arange(width) // max(width // columns, 1), columns - 1)
        return labels.reshape(rows, columns)[row[:, None], column]
