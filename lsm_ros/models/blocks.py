# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Transformer parts that all networks of the CroCo family share. Attention is fused."""
from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from lsm_ros.models.positions import Rotation, patch_positions, rotate

NORM_EPS = 1e-6
PATCH = 16


class Mlp(nn.Module):
    """Two linear layers with the exact GELU between them."""

    def __init__(self, dim: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim if out is None else out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, dim) -> (B, N, out)."""
        return self.fc2(gelu(self.fc1(x)))


class Attention(nn.Module):
    """Multi-head self-attention; queries and keys are turned by their positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, rotation: Rotation | None) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        qk, v = qkv[:, :, :2], qkv[:, :, 2]
        if rotation is not None:
            qk = rotate(qk, rotation)
        return self.proj(attend(qk[:, :, 0], qk[:, :, 1], v))


class CrossAttention(nn.Module):
    """Multi-head attention of one image's tokens to the other's."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projq = nn.Linear(dim, dim)
        self.projk = nn.Linear(dim, dim)
        self.projv = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, y: torch.Tensor, rotation_x: Rotation | None, rotation_y: Rotation | None
                ) -> torch.Tensor:
        """Queries from x (B, N, dim), keys and values from y (B, M, dim) -> (B, N, dim)."""
        q, k, v = (f(t).unflatten(-1, (self.heads, -1)) for f, t in ((self.projq, x), (self.projk, y), (self.projv, y)))
        if rotation_x is not None and rotation_y is not None:
            q, k = rotate(q, rotation_x), rotate(k, rotation_y)
        return self.proj(attend(q, k, v))


class EncoderBlock(nn.Module):
    """Self-attention and an MLP, each after a LayerNorm and added to its input."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: torch.Tensor, rotation: Rotation | None) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        x = x + self.attn(self.norm1(x), rotation)
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    """Self-attention, attention to the other image, and an MLP."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.cross_attn = CrossAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.norm3 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.norm_y = nn.LayerNorm(dim, eps=NORM_EPS)

    def forward(self, x: torch.Tensor, y: torch.Tensor, rotation_x: Rotation | None, rotation_y: Rotation | None
                ) -> torch.Tensor:
        """x (B, N, dim) looks at y (B, M, dim); returns the new x."""
        x = x + self.attn(self.norm1(x), rotation_x)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(y), rotation_x, rotation_y)
        return x + self.mlp(self.norm3(x))


class PatchEmbed(nn.Module):
    """One token for each 16x16 patch of an image of any size, and its position."""

    def __init__(self, dim: int, patch: int = PATCH) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, image: torch.Tensor, portrait: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """image (B, 3, H, W) -> tokens (B, N, dim), positions (B, N, 2).

        portrait (B,) bool: these samples hold a portrait image that was transposed to fit into a landscape batch; they
        are transposed back before they are cut into patches. None: no sample is.
        """
        if portrait is None or not bool(portrait.any()):
            return self._embed(image)
        rows, columns = (s // self.patch for s in image.shape[-2:])
        tokens = image.new_empty(len(image), rows * columns, self.proj.out_channels)
        positions = torch.empty(len(image), rows * columns, 2, dtype=torch.int64, device=image.device)
        for which, turned in ((portrait, True), (~portrait, False)):
            if bool(which.any()):
                part, where = self._embed(image[which].mT if turned else image[which])
                tokens[which], positions[which] = part.to(tokens.dtype), where
        return tokens, positions

    def _embed(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.proj(image)
        positions = patch_positions(x.shape[-2], x.shape[-1], len(x), x.device)
        return x.flatten(2).transpose(1, 2), positions


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
    """Softmax attention. q (B, N, heads, d), k and v (B, M, heads, d) -> (B, N, heads * d). causal: to earlier tokens only."""
    out = scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=causal)
    return out.transpose(1, 2).flatten(2)
