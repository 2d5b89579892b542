# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A small network of MASt3R's class with language features: metric points, descriptors, and 64 numbers of meaning."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize, pixel_shuffle

from lsm_ros.models.blocks import PATCH, Mlp, PatchEmbed
from lsm_ros.models.dpt import DPT, as_map
from lsm_ros.models.dust3r import Size, View
from lsm_ros.models.heads import POINT_CHANNELS
from lsm_ros.models.mast3r import MASt3R

FEATURE_STRIDE = 8


class StemEmbed(PatchEmbed):
    """Tokens from a stack of convolutions of stride 2, which learn from fewer images than one large patch (Xiao et al.,
    Early convolutions help transformers see better, 2021)."""

    def __init__(self, dim: int, stem_dims: Sequence[int]) -> None:
        super().__init__(dim)
        layers: list[nn.Module] = []
        last = 3
        for width in stem_dims:
            layers += [nn.Conv2d(last, width, 3, 2, 1), nn.GroupNorm(8, width), nn.ReLU(inplace=True)]
            last = width
        self.stem = nn.Sequential(*layers)
        rest = PATCH >> len(stem_dims)
        self.proj = nn.Conv2d(last, dim, rest, rest)

    def _embed(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super()._embed(self.stem(image))


class SmallHead(nn.Module):
    """One narrow DPT for points, confidence and descriptors, and an MLP on tokens for the features of stride 8."""

    def __init__(self, enc_dim: int, dec_dim: int, dec_depth: int, *, desc_channels: int, feature_channels: int,
                 feature_dim: int, last_dim: int, layer_dims: Sequence[int], hooks: Sequence[int] | None) -> None:
        super().__init__()
        self.hooks = spread_hooks(dec_depth) if hooks is None else tuple(hooks)
        if len(self.hooks) != 4 or list(self.hooks) != sorted(self.hooks) or self.hooks[0] != 0 or self.hooks[-1] > dec_depth:
            raise ValueError(f"hooks {list(self.hooks)}: expected four depths in order, 0 first, at most {dec_depth}")
        widths = [enc_dim if h == 0 else dec_dim for h in self.hooks]
        self.dpt = DPT(widths, POINT_CHANNELS + desc_channels, feature_dim, last_dim, layer_dims)
        self.cells = (PATCH // FEATURE_STRIDE) ** 2
        self.language = Mlp(enc_dim + dec_dim, max(16, (enc_dim + dec_dim) // 2), feature_channels * self.cells)

    def forward(self, tokens: Sequence[torch.Tensor], size: Size) -> torch.Tensor:
        """Tokens of all depths of an image of `size` (H, W) -> (B, 4 + desc_channels, H, W)."""
        return self.dpt([tokens[i] for i in self.hooks], size)

    def features(self, tokens: Sequence[torch.Tensor], size: Size) -> torch.Tensor:
        """(B, H/8, W/8, feature_channels) float32 of unit length."""
        out = self.language(torch.cat([tokens[0], tokens[-1]], -1))
        return normalize(pixel_shuffle(as_map(out, size), PATCH // FEATURE_STRIDE).permute(0, 2, 3, 1).float(), dim=-1)


class LsmSmall(MASt3R):
    """MASt3R with narrow heads and language features; the defaults have 11.3 million weights.

    feature_channels: length of the language features; their text encoder is named by the file
    language.safetensors beside the weights (`lsm_ros.semantics.codec`). Views have `features`
    (B, H/8, W/8, feature_channels) of unit length besides what MASt3R gives. stem_dims: channels of up to four convolutions
    of stride 2, multiples of 8, before the patches are taken; none: patches of 16x16 pixels, as in MASt3R.
    """

    head_types = ("dpt", "linear")

    @classmethod
    def implied_keywords(cls, state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Empty: its checkpoints hold all keywords."""
        return {}

    def __init__(self, *, img_size: int | Sequence[int] = (192, 256), head_type: str = "dpt",
                 output_mode: str = "pts3d+desc16", enc_embed_dim: int = 256, enc_depth: int = 6, enc_num_heads: int = 4,
                 dec_embed_dim: int = 192, dec_depth: int = 4, dec_num_heads: int = 3, feature_channels: int = 64,
                 stem_dims: Sequence[int] = (), feature_dim: int = 48, last_dim: int = 48,
                 layer_dims: Sequence[int] = (24, 48, 96, 96), hooks: Sequence[int] | None = None, **config: Any) -> None:
        if head_type != "dpt":
            raise ValueError(f"head_type {head_type!r}: this network has 'dpt' only")
        if isinstance(feature_channels, bool) or not isinstance(feature_channels, int) or feature_channels < 1:
            raise ValueError(f"feature_channels must be a whole number of at least 1, got {feature_channels!r}")
        if len(stem_dims) > 4 or any(d < 8 or d % 8 for d in stem_dims):
            raise ValueError(f"stem_dims {list(stem_dims)}: expected at most four multiples of 8")
        self.feature_channels, self.feature_stride = feature_channels, FEATURE_STRIDE
        # the linear heads are cheap to make and give way to the narrow ones below
        super().__init__(img_size=img_size, head_type="linear", output_mode=output_mode, enc_embed_dim=enc_embed_dim,
                         enc_depth=enc_depth, enc_num_heads=enc_num_heads, dec_embed_dim=dec_embed_dim,
                         dec_depth=dec_depth, dec_num_heads=dec_num_heads, **config)
        if stem_dims:
            self.patch_embed = StemEmbed(enc_embed_dim, stem_dims)
        for n in (1, 2):
            head = SmallHead(enc_embed_dim, dec_embed_dim, dec_depth, desc_channels=self.desc_channels,
                             feature_channels=feature_channels, feature_dim=feature_dim, last_dim=last_dim,
                             layer_dims=layer_dims, hooks=hooks)
            self.add_module(f"downstream_head{n}", head)
            for module in head.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.zeros_(module.bias)

    def read_out(self, deep: Sequence[torch.Tensor], size: Size, which: int) -> View:
        """Output of MASt3R, and `features`."""
        view = super().read_out(deep, size, which)
        view["features"] = getattr(self, f"downstream_head{which}").features(deep, size)
        return view


def spread_hooks(depth: int) -> tuple[int, int, int, int]:
    """Depths that the head looks at: the encoder, a half, three quarters, the end; shallow decoders repeat some."""
    return 0, max(1, depth // 2), max(1, depth * 3 // 4), depth


__all__ = ["FEATURE_STRIDE", "LsmSmall", "SmallHead", "spread_hooks"]
