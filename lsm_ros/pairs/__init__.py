# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair models: what predicts geometry from images. A new one is a file in this folder and a line in `lsm_ros.registry`."""
from __future__ import annotations

from lsm_ros.config import PairConfig
from lsm_ros.pairs.base import (
    DEPTH,
    MATCHES,
    POINTS,
    Correspondences,
    DensePairModel,
    Matches,
    PairModel,
    PointmapPairModel,
    SparsePairModel,
)
from lsm_ros.registry import PAIR_MODELS, load

registry = PAIR_MODELS


def make_pair_model(config: PairConfig) -> PairModel:
    """The pair model that `config.model` names. ValueError for a name that is not registered."""
    return load(PAIR_MODELS, config.model, "pair model")(config)


__all__ = ["DEPTH", "MATCHES", "POINTS", "Correspondences", "DensePairModel", "Matches", "PairModel", "PointmapPairModel",
           "SparsePairModel", "make_pair_model", "registry"]
