# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors: networks that guess the depth of one image, and how a guess is fitted to what geometry knows."""
from __future__ import annotations

from lsm_ros.config import PairConfig
from lsm_ros.pairs.depth_priors.base import DISPARITY, KINDS, METRES, RELATIVE, DepthPrior, PriorDepth
from lsm_ros.registry import DEPTH_PRIORS, load

registry = DEPTH_PRIORS


def make_depth_prior(config: PairConfig) -> DepthPrior | None:
    """The prior that `config.depth_prior` names; None for none. ValueError, FileNotFoundError or ImportError that says what to
    do."""
    return None if config.depth_prior == "none" else load(DEPTH_PRIORS, config.depth_prior, "depth prior")(config)


__all__ = ["DISPARITY", "KINDS", "METRES", "RELATIVE", "DepthPrior", "PriorDepth", "make_depth_prior", "registry"]
