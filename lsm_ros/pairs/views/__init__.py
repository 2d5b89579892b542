# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Multi-view networks: geometry of several images at once. A new one is a file here and a line each in
`lsm_ros.registry.VIEW_MODELS` and `PAIR_MODELS`."""
from __future__ import annotations

from lsm_ros.pairs.views.base import View, ViewModel, ViewPrediction
from lsm_ros.registry import VIEW_MODELS

registry = VIEW_MODELS

__all__ = ["View", "ViewModel", "ViewPrediction", "registry"]
