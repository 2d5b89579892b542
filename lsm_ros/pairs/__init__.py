# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pair models, by name. A new one is a file in this folder and a line in `registry`."""
from __future__ import annotations

from importlib import import_module

from lsm_ros.config import PairConfig
from lsm_ros.pairs.base import Correspondences, Matches, PairModel, SparsePairModel

registry: dict[str, str] = {
    "depth": "lsm_ros.pairs.depth:DepthPairModel",
    "two_view": "lsm_ros.pairs.two_view:TwoViewPairModel",
    "dust3r": "lsm_ros.pairs.network:NetworkPairModel",
    "mast3r": "lsm_ros.pairs.network:NetworkPairModel",
    "lsm_small": "lsm_ros.pairs.network:NetworkPairModel",
}


def make_pair_model(config: PairConfig) -> PairModel:
    """The pair model that `config.model` names. ValueError for a name that is not registered."""
    if config.model not in registry:
        raise ValueError(f"pair model {config.model!r} does not exist; there are: {', '.join(sorted(registry))}")
    module, _, name = registry[config.model].partition(":")
    return getattr(import_module(module), name)(config)


__all__ = ["Correspondences", "Matches", "PairModel", "SparsePairModel", "make_pair_model", "registry"]
