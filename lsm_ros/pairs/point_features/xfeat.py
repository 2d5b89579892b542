# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""XFeat: learned points, matched by their descriptors or by LightGlue."""
from __future__ import annotations

import numpy as np

from lsm_ros.pairs.point_features.base import Keypoints, PointFeatures

COUNT = 1000
LEAST_COSINE = 0.82  # of two descriptors of one point, as its authors have it


class XFeatFeatures(PointFeatures):
    """Descriptors (M, 64) float32; mutual nearest neighbours that are alike. FileNotFoundError that says what to install."""

    name = "xfeat"

    def __init__(self) -> None:
        from lsm_ros.models.xfeat import load_xfeat

        self._model = load_xfeat()
        self._device = next(self._model.parameters()).device

    def detect(self, gray: np.ndarray) -> Keypoints:
        """As of `PointFeatures`. Smaller images than 32 pixels have no points."""
        import torch

        if min(gray.shape) < 32:
            return Keypoints(np.zeros((0, 2)), np.zeros((0, 64), np.float32), gray.shape)
        pixels, descriptors = self._model.points(torch.from_numpy(gray).to(self._device), COUNT)
        return Keypoints(pixels.cpu().numpy().astype(np.float64), descriptors.cpu().numpy(), gray.shape)

    def match(self, a: Keypoints, b: Keypoints) -> tuple[np.ndarray, np.ndarray]:
        """As of `PointFeatures`."""
        if not len(a.pixels) or not len(b.pixels):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        cosine = a.descriptors @ b.descriptors.T
        partner, back = cosine.argmax(1), cosine.argmax(0)
        index = np.arange(len(partner))
        good = (back[partner] == index) & (cosine[index, partner] > LEAST_COSINE)
        return index[good], partner[good]


class XFeatLightGlueFeatures(XFeatFeatures):
    """XFeat's points, matched by LightGlue (LighterGlue): slower, and finds more where the view has changed much."""

    name = "xfeat_lightglue"

    def __init__(self) -> None:
        from lsm_ros.models.lightglue import load_lightglue

        super().__init__()
        self._matcher = load_lightglue()

    def match(self, a: Keypoints, b: Keypoints) -> tuple[np.ndarray, np.ndarray]:
        """As of `PointFeatures`."""
        import torch

        from lsm_ros.models.lightglue import placed

        def given(k: Keypoints) -> tuple[torch.Tensor, torch.Tensor]:
            pixels = torch.from_numpy(k.pixels.astype(np.float32)).to(self._device)
            return placed(pixels, k.shape), torch.from_numpy(k.descriptors).to(self._device)

        index_a, index_b = self._matcher.match(*given(a), *given(b))
        return index_a.cpu().numpy(), index_b.cpu().numpy()
