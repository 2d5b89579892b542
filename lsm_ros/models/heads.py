# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Heads from decoder tokens to channels at the size of the image."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import pixel_shuffle

from lsm_ros.models.blocks import PATCH, Mlp
from lsm_ros.models.dpt import DPT, as_map

POINT_CHANNELS = 4  # x, y, z, confidence


class LinearHead(nn.Module):
    """One linear layer from the last tokens to the pixels of their patches."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, POINT_CHANNELS * PATCH ** 2)

    def forward(self, tokens: Sequence[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Tokens of all depths of an image of `size` (H, W) -> (B, 4, H, W)."""
        return pixel_shuffle(as_map(self.proj(tokens[-1]), size), PATCH)


class DPTHead(nn.Module):
    """DPT on the encoder's tokens and three depths of the decoder; with `desc_channels` also local features."""

    def __init__(self, enc_dim: int, dec_dim: int, dec_depth: int, *, feature_dim: int, last_dim: int,
                 layer_dims: Sequence[int], hooks: Sequence[int] | None = None, desc_channels: int = 0,
                 hidden_dim_factor: float = 4.0) -> None:
        super().__init__()
        self.hooks = default_hooks(dec_depth) if hooks is None else tuple(hooks)
        if len(self.hooks) != 4 or list(self.hooks) != sorted(set(self.hooks)) or self.hooks[0] != 0 \
                or self.hooks[-1] > dec_depth:
            raise ValueError(f"hooks {list(self.hooks)}: expected four increasing depths, 0 first, at most {dec_depth}")
        self.dpt = DPT((enc_dim, dec_dim, dec_dim, dec_dim), POINT_CHANNELS, feature_dim, last_dim, layer_dims)
        if desc_channels:
            width = enc_dim + dec_dim
            self.head_local_features = Mlp(width, int(hidden_dim_factor * width), desc_channels * PATCH ** 2)
        self.desc_channels = desc_channels

    def forward(self, tokens: Sequence[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Tokens of all depths of an image of `size` (H, W) -> (B, 4 + desc_channels, H, W)."""
        out = self.dpt([tokens[i] for i in self.hooks], size)
        if not self.desc_channels:
            return out
        local = self.head_local_features(torch.cat([tokens[0], tokens[-1]], -1))
        return torch.cat([out, pixel_shuffle(as_map(local, size), PATCH)], 1)


def default_hooks(depth: int) -> tuple[int, int, int, int]:
    """Depths of the decoder that a DPT head looks at: the encoder, a half, three quarters, the end."""
    if depth <= 9:
        raise ValueError(f"a DPT head needs a decoder of at least 10 blocks, got dec_depth {depth}")
    return 0, depth * 2 // 4, depth * 3 // 4, depth
