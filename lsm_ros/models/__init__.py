# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The networks, by name. A new one is a file in this folder and a line in `registry`; nothing here knows how to map."""
from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

registry: dict[str, str] = {
    "croco": "lsm_ros.models.croco:CroCo",
    "dust3r": "lsm_ros.models.dust3r:DUSt3R",
    "mast3r": "lsm_ros.models.mast3r:MASt3R",
    "lsm_small": "lsm_ros.models.lsm_small:LsmSmall",
}


def keywords(name: str) -> tuple[str, ...]:
    """Names of the keywords that `build(name, ...)` takes. ValueError for a network that does not exist."""
    names: list[str] = []
    for cls in _network(name).__mro__:
        if cls.__module__ == "lsm_ros.models.backbone":
            break
        names += [p.name for p in inspect.signature(cls.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return tuple(dict.fromkeys(names))


def build(name: str, **config: Any) -> nn.Module:
    """A network with random weights, ready for inference.

    name: 'croco', 'dust3r', 'mast3r' or 'lsm_small'. config: the keywords of its class; what is left out has the official value
    (MASt3R and DUSt3R: ViT-Large, 512, DPT; CroCo: v1). ValueError for unknown names, keywords and values.
    """
    known = keywords(name)
    for key in config:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise ValueError(f"network {name!r} has no keyword {key!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    try:
        return _network(name)(**config).eval()
    except TypeError as error:
        raise ValueError(f"network {name!r} cannot be built with {config}: {error}") from error


def load(path_or_hub_id: str, **options: Any) -> nn.Module:
    """A network with the weights of a checkpoint; see `lsm_ros.models.checkpoint.load` for the options."""
    from lsm_ros.models import checkpoint

    return checkpoint.load(path_or_hub_id, **options)


def _network(name: str) -> type:
    if name not in registry:
        raise ValueError(f"network {name!r} does not exist; there are: {', '.join(registry)}")
    module, _, cls = registry[name].partition(":")
    return getattr(import_module(module), cls)


__all__ = ["build", "keywords", "load", "registry"]
