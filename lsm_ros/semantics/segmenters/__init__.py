# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters: labels for the pixels of keyframes. A new one is a file in this folder and a line in `lsm_ros.registry`."""
from __future__ import annotations

from lsm_ros.config import Config
from lsm_ros.registry import SEGMENTERS, load
from lsm_ros.semantics.segmenters.base import Segmenter

NONE = "none"


def make_segmenter(config: Config) -> Segmenter | None:
    """The segmenter that `config.semantics.segmenter` names; None for `none`. ValueError for a name that is not registered, and
    the segmenter's own errors for files that it needs."""
    wanted = config.semantics.segmenter
    return None if wanted == NONE else load(SEGMENTERS, wanted, "segmenter")(config)


__all__ = ["Segmenter", "make_segmenter"]
