# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Dense prediction from tokens of four depths of a transformer (Ranftl et al., ICCV 2021)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

from lsm_ros.models.blocks import PATCH


class ResidualConvUnit(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, added to the input."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, dim, H, W) -> the same shape."""
        return self.conv2(self.conv1(x.relu()).relu_()) + x


class FusionBlock(nn.Module):
    """Adds the skip connection, refines, doubles the resolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(dim, dim, 1)
        self.resConfUnit1 = ResidualConvUnit(dim)  # the coarsest block has one too in the checkpoints, and never uses it
        self.resConfUnit2 = ResidualConvUnit(dim)

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        """(B, dim, H, W) -> (B, dim, 2H, 2W)."""
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        # A 1x1 convolution commutes with interpolation, whose weights add up to one; before it, it costs a quarter.
        return upsample(self.out_conv(self.resConfUnit2(x)))


class Scratch(nn.Module):
    """The convolutions that are not tied to a depth of the transformer, under the names of the checkpoints."""

    def __init__(self, dims: Sequence[int], dim: int) -> None:
        super().__init__()
        for i, d in enumerate(dims, 1):
            self.add_module(f"layer{i}_rn", nn.Conv2d(d, dim, 3, padding=1, bias=False))
        # The same four again: .pth checkpoints name each of these weights twice.
        self.layer_rn = nn.ModuleList(getattr(self, f"layer{i}_rn") for i in range(1, 5))
        for i in range(1, 5):
            self.add_module(f"refinenet{i}", FusionBlock(dim))


class DPT(nn.Module):
    """Four token maps to one map of `channels` at the size of the image."""

    def __init__(self, token_dims: Sequence[int], channels: int, feature_dim: int = 256, last_dim: int = 128,
                 layer_dims: Sequence[int] = (96, 192, 384, 768)) -> None:
        super().__init__()
        if len(layer_dims) != 4 or min(*layer_dims, feature_dim, last_dim) < 1 or feature_dim % 2:
            raise ValueError(f"a DPT head needs four positive layer_dims and an even feature_dim, got {list(layer_dims)} "
                             f"and {feature_dim}")
        a, b, c, d = layer_dims
        self.act_postprocess = nn.ModuleList([
            nn.Sequential(nn.Conv2d(token_dims[0], a, 1), nn.ConvTranspose2d(a, a, 4, 4)),
            nn.Sequential(nn.Conv2d(token_dims[1], b, 1), nn.ConvTranspose2d(b, b, 2, 2)),
            nn.Sequential(nn.Conv2d(token_dims[2], c, 1)),
            nn.Sequential(nn.Conv2d(token_dims[3], d, 1), nn.Conv2d(d, d, 3, 2, 1)),
        ])
        self.scratch = Scratch(layer_dims, feature_dim)
        self.head = nn.Sequential(nn.Conv2d(feature_dim, feature_dim // 2, 3, padding=1), nn.Identity(),
                                  nn.Conv2d(feature_dim // 2, last_dim, 3, padding=1), nn.ReLU(inplace=True),
                                  nn.Conv2d(last_dim, channels, 1))

    def forward(self, tokens: Sequence[torch.Tensor], size: tuple[int, int]) -> torch.Tensor:
        """Four tokens (B, N, token_dim) of an image of `size` (H, W) -> (B, channels, H, W)."""
        maps = (as_map(t, size) for t in tokens)
        s = self.scratch
        l1, l2, l3, l4 = (rn(process(m)) for rn, process, m in zip(s.layer_rn, self.act_postprocess, maps, strict=True))
        # With an odd number of patches the coarsest map is rounded up, and its double is one too large.
        x = s.refinenet4(l4)[..., :l3.shape[-2], :l3.shape[-1]]
        x = s.refinenet1(s.refinenet2(s.refinenet3(x, l3), l2), l1)
        coarse, _, fine, relu, last = self.head
        x = relu(fine(upsample(coarse(x))))
        with torch.autocast(x.device.type, enabled=False):  # the eight bits of bfloat16 are few for metres
            return last(x.to(last.weight.dtype))


def as_map(tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(B, N, C) tokens of an image of `size` (H, W) -> (B, C, H/16, W/16), channels last in memory."""
    return tokens.transpose(1, 2).unflatten(2, (size[0] // PATCH, size[1] // PATCH))


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Doubles height and width bilinearly, corners aligned."""
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
