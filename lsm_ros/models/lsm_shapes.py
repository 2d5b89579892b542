# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keywords of a Large Spatial Model from the names and shapes of its weights, and from the configuration in official files."""
from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from lsm_ros.models.architecture import OFFICIAL_HEAD_DIM, guess
from lsm_ros.models.point_transformer import PointTransformer

DUST3R, LSEG, POINTS = "dust3r.dust3r.", "lseg_feature_extractor.", "point_transformer."
POINT_HEAD_DIM = 16
Shapes = Mapping[str, tuple[int, ...]]


def keywords_of(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The keywords that weights imply; heads are taken to have the official widths. A part whose keys are not all there has
    none: `fill` then says which are missing."""
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    geometry = {k.removeprefix(DUST3R): v for k, v in state.items() if k.startswith(DUST3R)}
    found: dict[str, Any] = {}
    for name, read in (("semantic_dim", lambda: shapes["feature_expansion.1.weight"][1]),
                       ("dust3r", lambda: guess(geometry)[1]), ("lseg", lambda: _lseg(_below(shapes, LSEG))),
                       ("point_transformer", lambda: _points(_below(shapes, POINTS)))):
        with suppress(KeyError, IndexError, ValueError):
            found[name] = read()
    return found


def official_keywords(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords from those of an official file, whose only one is `config`, a dict of dicts: the point transformer's are found
    in it; what else it holds is about training, or follows from the weights."""
    stored = dict(stored)
    config = stored.pop("config", None)
    if isinstance(config, Mapping):
        names = {n for n in inspect.signature(PointTransformer.__init__).parameters
                 if n.startswith(("enc_", "dec_", "cross_"))}
        stored["point_transformer"] = _named(config, names)
    return stored


def _named(config: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= _named(value, names)
        elif key in names:
            found[key] = value
    return found


def _below(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}


def _count(shapes: Shapes, pattern: str) -> int:
    return 1 + max((int(m[1]) for k in shapes if (m := re.match(pattern, k))), default=-1)


def _lseg(shapes: Shapes) -> dict[str, Any]:
    width, depth = shapes["pretrained.model.cls_token"][-1], _count(shapes, r"pretrained\.model\.blocks\.(\d+)\.")
    return {"embed_dim": width, "depth": depth, "num_heads": max(1, width // OFFICIAL_HEAD_DIM),
            "grid": round((shapes["pretrained.model.pos_embed"][1] - 1) ** 0.5),
            "hooks": tuple(depth * (i + 1) // 4 - 1 for i in range(4)),
            "layer_dims": tuple(shapes[f"pretrained.act_postprocess{i}.3.weight"][0] for i in range(1, 5)),
            "feature_dim": shapes["scratch.layer1_rn.weight"][0], "out": shapes["scratch.head1.weight"][0],
            "clip": _clip(_below(shapes, "clip_pretrained."))}


def _clip(shapes: Shapes) -> dict[str, Any]:
    vocabulary, width = shapes["token_embedding.weight"]
    found = {"text_dim": width, "text_depth": _count(shapes, r"transformer\.resblocks\.(\d+)\."), "vocabulary": vocabulary,
             "text_heads": max(1, width // OFFICIAL_HEAD_DIM), "image_dim": 0}
    if "visual.conv1.weight" in shapes:
        image, _, patch, _ = shapes["visual.conv1.weight"]
        found |= {"image_dim": image, "patch": patch, "image_depth": _count(shapes, r"visual\.transformer\.resblocks\.(\d+)\."),
                  "image_size": patch * round((shapes["visual.positional_embedding"][0] - 1) ** 0.5)}
    return found


def _points(shapes: Shapes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side in ("enc", "dec"):
        stages = range(_count(shapes, rf"{side}\.{side}(\d+)\."))
        channels = tuple(shapes[f"{side}.{side}{s}.block0.norm1.0.weight"][0] for s in stages)
        found |= {f"{side}_channels": channels, f"{side}_num_head": tuple(max(1, c // POINT_HEAD_DIM) for c in channels),
                  f"{side}_depths": tuple(_count(shapes, rf"{side}\.{side}{s}\.block(\d+)\.") for s in stages),
                  f"{side}_patch_size": (1024,) * len(channels)}
    for name, keyword in (("dust", "cross_heads"), ("lseg", "cross_heads"), ("multi_scale", "multi_scale_heads")):
        width = shapes.get(f"decoder_block_{name}.norm1.weight")
        found[f"cross_{name}"] = width is not None
        if width is not None:
            found[keyword] = max(1, width[0] // OFFICIAL_HEAD_DIM)
    return found
