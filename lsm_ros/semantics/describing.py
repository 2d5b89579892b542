# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Language features of keyframes with depth from another source: a depth camera, or `two_view`."""
from __future__ import annotations

import numpy as np

from lsm_ros.config import PairConfig
from lsm_ros.models.known import OWN
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.pairs.network import NetworkPairModel, NetworkTokens
from lsm_ros.types import Frame


class Describer:
    """Looks at each image together with the one before of the same camera. feature_dim, language_*, text_encoder: as of its
    model."""

    def __init__(self, model: NetworkPairModel) -> None:
        self._model = model
        self.feature_dim, self.language_file = model.feature_dim, model.language_file
        self.language_basis, self.text_encoder = model.language_basis, model.text_encoder
        self._before: dict[str, NetworkTokens] = {}

    @classmethod
    def load(cls, weights: str, precision: str) -> Describer:
        """With the weights of lsm_small in a folder; empty: the package's own. Errors as of `NetworkPairModel`."""
        return cls(NetworkPairModel(PairConfig(model=OWN, weights=weights, precision=precision)))

    def describe(self, frame: Frame) -> np.ndarray:
        """(h, w, D) int8 features of an image as an `Observation` has them."""
        new = self._model.encode([frame])[0]
        before = self._before.get(frame.camera, new)
        first, second = self._model.predict([(new, before), (before, new)])
        self._before[frame.camera] = new
        total = FeatureSum()
        total.add(first.features_a, first.conf_a)
        total.add(second.features_b, second.conf_b)
        found = total.cells(new.crop)
        assert found is not None  # both predictions have features
        return found

    def clear(self) -> None:
        """Forgets the images before."""
        self._before.clear()
