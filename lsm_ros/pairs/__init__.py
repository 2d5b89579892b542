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
from lsm_ros.pairs.depth_priors import make_depth_prior
from lsm_ros.pairs.point_features import make_point_features
from lsm_ros.registry import PAIR_MODELS, load

registry = PAIR_MODELS


def make_pair_model(config: PairConfig, features: str = "sift") -> PairModel:
    """The pair model that `config.model` names, with the depth prior that `config.depth_prior` names. features: by which a
    model without depth of its own knows images again (`two_view.features`). ValueError for a name that is not registered, and
    for a prior with a model that does not use it; other errors as of `make_depth_prior` and `make_point_features`."""
    model: PairModel = load(PAIR_MODELS, config.model, "pair model")(config)
    if DEPTH in model.gives:
        model.features = make_point_features(features)
    if config.depth_prior != "none" and DEPTH not in model.gives:
        raise ValueError(f"pairs.depth_prior {config.depth_prior!r} is of no use to pair model {config.model!r}, which knows "
                         "depth by itself; it is for two_view")
    model.depth_prior = make_depth_prior(config)
    return model


__all__ = ["DEPTH", "MATCHES", "POINTS", "Correspondences", "DensePairModel", "Matches", "PairModel", "PointmapPairModel",
           "SparsePairModel", "make_pair_model", "registry"]
