# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Networks by name, with random weights."""
from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

from lsm_ros.registry import NETWORKS, load

if TYPE_CHECKING:
    from torch import nn


def keywords(name: str) -> tuple[str, ...]:
    """Names of the keywords that `build(name, ...)` takes. ValueError for a network that does not exist."""
    names: list[str] = []
    for cls in network_class(name).__mro__:
        if cls.__module__ == "lsm_ros.models.backbone":
            break
        names += [p.name for p in inspect.signature(cls.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return tuple(dict.fromkeys(names))


def build(name: str, **config: Any) -> nn.Module:
    """A network with random weights, ready for inference.

    name: one of `lsm_ros.registry.NETWORKS`. config: the keywords of its class; what is left out has the official value
    (MASt3R and DUSt3R: ViT-Large, 512, DPT; CroCo: v1). ValueError for unknown names, keywords and values.
    """
    known = keywords(name)
    for key in config:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise ValueError(f"network {name!r} has no keyword {key!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    try:
        return network_class(name)(**config).eval()
    except TypeError as error:
        raise ValueError(f"network {name!r} cannot be built with {config}: {error}") from error


def network_class(name: str) -> type[nn.Module]:
    """The class of a network. ValueError for one that does not exist."""
    return load(NETWORKS, name, "network")
