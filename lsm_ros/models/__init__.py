# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The networks. A new one is a file in this folder and two lines in `lsm_ros.registry`: in `NETWORKS`, and in
`PAIR_MODELS` to map by it. Nothing here knows how to map."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsm_ros.models.factory import build, keywords
from lsm_ros.registry import NETWORKS

if TYPE_CHECKING:
    from torch import nn

registry = NETWORKS


def load(path_or_hub_id: str, **options: Any) -> nn.Module:
    """A network with the weights of a checkpoint; see `lsm_ros.models.checkpoint.load` for the options."""
    from lsm_ros.models import checkpoint

    return checkpoint.load(path_or_hub_id, **options)


__all__ = ["build", "keywords", "load", "registry"]
