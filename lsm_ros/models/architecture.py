# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Network that a state dict belongs to, and the names that checkpoints use for shared weights."""
from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch

from lsm_ros.models.blocks import PATCH

OFFICIAL_HEAD_DIM = 64
_RN = re.compile(r"(.*scratch\.)layer(?:(\d)_rn|_rn\.(\d))\.weight")
_HEADS = "downstream_head1.", "downstream_head2."
_LOCAL = "downstream_head1.head_local_features."
_FIRST = "patch_embed.proj.weight"


def unwrapped(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`state` without a prefix that all of its keys have, which training on several GPUs and wrappers leave there."""
    keys = list(state)
    prefix = next((k.removesuffix(_FIRST) for k in keys if k.endswith(f".{_FIRST}")), "")
    if not prefix or prefix.count(".") > 2 or not all(k.startswith(prefix) for k in keys):
        return dict(state)
    return {k.removeprefix(prefix): v for k, v in state.items()}


def alias(key: str) -> str | None:
    """The other name of a DPT weight that .pth files hold twice (`layer1_rn` is `layer_rn.0`); None for other keys."""
    match = _RN.fullmatch(key)
    if match is None:
        return None
    return f"{match[1]}layer_rn.{int(match[2]) - 1}.weight" if match[2] else f"{match[1]}layer{int(match[3]) + 1}_rn.weight"


def complete(state: Mapping[str, torch.Tensor], wanted: Collection[str]) -> dict[str, torch.Tensor]:
    """`state` with those of the keys `wanted` that it has by another name: both names of shared weights, and a second decoder,
    which a CroCo checkpoint lacks."""
    full = dict(state)
    for key, value in state.items():
        other = alias(key)
        if other in wanted:
            full.setdefault(other, value)
    if any(k.startswith("dec_blocks2.") for k in wanted) and not any(k.startswith("dec_blocks2.") for k in state):
        full |= {k.replace("dec_blocks.", "dec_blocks2.", 1): v for k, v in state.items() if k.startswith("dec_blocks.")}
    return full


def guess(state: Mapping[str, torch.Tensor]) -> tuple[str, dict[str, Any]]:
    """Name and keywords of the network that `state` fits, for files that hold weights only.

    Heads are taken to have 64 channels, positions RoPE100 unless cosine ones are stored. ValueError when it fits none.
    """
    shapes = {k: tuple(v.shape) for k, v in state.items()}
    if "point_transformer.embedding.stem.conv.weight" in shapes:
        return "lsm", {}  # the rest follows from the weights once all parts are there
    needed = ("patch_embed.proj.weight", "enc_norm.weight", "dec_norm.weight", "enc_blocks.0.norm1.weight",
              "dec_blocks.0.norm1.weight")
    patches = {s[-2:]: k for k, s in shapes.items() if k.endswith(_FIRST) and len(s) == 4 and s[-2:] != (PATCH, PATCH)}
    for (height, width), key in sorted(patches.items()):
        raise ValueError(f"{key} has patches of {height}x{width} pixels, as DUNE's and DINOv2's encoders do (dunemast3r): such "
                         f"an encoder is missing here, networks of this family have {PATCH}x{PATCH}")
    absent = [k for k in needed if k not in shapes]
    prefix = next((k.removesuffix(_FIRST) for k in shapes if k.endswith(f".{_FIRST}")), None)
    if absent and prefix is not None:
        others = sorted(k for k in shapes if not k.startswith(prefix))
        raise ValueError(f"the keys under {prefix!r} may be those of a network of this family, but {len(others)} others belong "
                         f"to parts that are missing here: {', '.join(others[:4])}, ...")
    if absent:
        raise ValueError(f"no network of this family has these keys: {', '.join(sorted(shapes)[:4])}, ... "
                         f"({len(shapes)} keys); CroCo, DUSt3R and MASt3R have {', '.join(absent)} besides")
    width, deep = shapes["enc_norm.weight"][0], shapes["dec_norm.weight"][0]
    config: dict[str, Any] = {
        "enc_embed_dim": width, "enc_depth": _count(shapes, "enc_blocks"), "enc_num_heads": max(1, width // OFFICIAL_HEAD_DIM),
        "dec_embed_dim": deep, "dec_depth": _count(shapes, "dec_blocks"), "dec_num_heads": max(1, deep // OFFICIAL_HEAD_DIM),
        "pos_embed": "cosine" if "enc_pos_embed" in shapes else "RoPE100"}
    if "downstream_head1.proj.weight" in shapes:
        return "dust3r", {**config, "head_type": "linear"}
    if "downstream_head1.dpt.head.4.weight" in shapes:
        config |= {"head_type": "dpt", **head_widths(state)}
        if f"{_LOCAL}fc2.weight" not in shapes:
            return "dust3r", config
        channels = shapes[f"{_LOCAL}fc2.weight"][0] // 256
        return "mast3r", {**config, "head_type": "catmlp+dpt", "output_mode": f"pts3d+desc{channels - 1}",
                          "two_confs": True, "desc_conf_mode": ("exp", 0, math.inf)}
    if "prediction_head.weight" in shapes:
        if config["pos_embed"] == "cosine":
            config["img_size"] = 16 * round(shapes["enc_pos_embed"][0] ** 0.5)
        if (width, deep) == (768, 512):  # the only official decoder whose heads have 32 channels
            config["dec_num_heads"] = 16
        return "croco", config
    raise ValueError("the checkpoint has a CroCo encoder and decoder, but no known head")


def head_widths(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The widths of DPT heads and of local features, which official files do not name; empty where `state` has none, or
    where its two heads differ."""

    def shape(key: str) -> tuple[int, ...]:
        first, second = (tuple(state[h + key].shape) if h + key in state else () for h in _HEADS)
        return first if first == second and len(first) > 1 else ()

    found: dict[str, Any] = {}
    coarse, fine = shape("dpt.head.0.weight"), shape("dpt.head.2.weight")
    layers = [shape(f"dpt.act_postprocess.{i}.0.weight") for i in range(4)]
    if coarse and fine and all(layers):
        found = {"feature_dim": coarse[1], "last_dim": fine[0], "layer_dims": tuple(s[0] for s in layers)}
    local = shape("head_local_features.fc1.weight")
    if local and all(local):
        found["hidden_dim_factor"] = math.nextafter(local[0] / local[1], math.inf)  # its product is rounded down again
    return found


def _count(shapes: Mapping[str, Any], stack: str) -> int:
    numbers = (k.split(".")[1] for k in shapes if k.startswith(f"{stack}."))
    return 1 + max(int(n) for n in numbers if n.isdecimal())


def explain(missing: list[str], unexpected: list[str], wrong: list[str]) -> str:
    """Description of what does not fit, with up to 20 names of each kind."""
    parts = []
    for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong)):
        if names:
            more = f", and {len(names) - 20} more" if len(names) > 20 else ""
            parts.append(f"{len(names)} keys {what}: {', '.join(sorted(names)[:20])}{more}")
    return "; ".join(parts)
