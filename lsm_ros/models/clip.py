# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""CLIP (Radford et al., 2021) under the names of OpenAI's checkpoints: its text tower, and its image tower, which checkpoints
hold and which nothing here uses."""
from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import linear

from lsm_ros.models.blocks import attend

CONTEXT = 77  # tokens of a text


class ClipAttention(nn.Module):
    """Multi-head self-attention, optionally to earlier tokens only."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim); each token looks at itself and those before."""
        q, k, v = linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return self.out_proj(attend(q, k, v, causal=True))


class ClipMlp(nn.Module):
    """Two linear layers with CLIP's quick GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(dim, 4 * dim)
        self.c_proj = nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        x = self.c_fc(x)
        return self.c_proj(x * (1.702 * x).sigmoid())


class ClipBlock(nn.Module):
    """Attention and an MLP, each after a LayerNorm and added to its input."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn = ClipAttention(dim, heads)
        self.ln_1 = nn.LayerNorm(dim)
        self.mlp = ClipMlp(dim)
        self.ln_2 = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class ClipTransformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ClipBlock(dim, heads) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        for block in self.resblocks:
            x = block(x)
        return x


class ClipImageWeights(nn.Module):
    """Weights of the image tower."""

    def __init__(self, dim: int, depth: int, patch: int, image: int, out: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(dim))
        self.positional_embedding = nn.Parameter(torch.zeros((image // patch) ** 2 + 1, dim))
        self.proj = nn.Parameter(torch.zeros(dim, out))
        self.conv1 = nn.Conv2d(3, dim, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(dim)
        self.transformer = ClipTransformer(dim, depth, 1)
        self.ln_post = nn.LayerNorm(dim)


class Clip(nn.Module):
    """CLIP; the defaults are those of ViT-B/32. The image tower is there if it has a width (image_dim)."""

    def __init__(self, *, text_dim: int = 512, text_depth: int = 12, text_heads: int = 8, vocabulary: int = 49408,
                 out: int = 512, image_dim: int = 768, image_depth: int = 12, patch: int = 32, image_size: int = 224) -> None:
        super().__init__()
        if text_dim % text_heads:
            raise ValueError(f"text_dim {text_dim} does not split into {text_heads} text_heads")
        self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, text_dim) * 0.01)
        self.text_projection = nn.Parameter(torch.randn(text_dim, out) * text_dim ** -0.5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if image_dim:
            self.visual = ClipImageWeights(image_dim, image_depth, patch, image_size, out)
        self.transformer = ClipTransformer(text_dim, text_depth, text_heads)
        self.token_embedding = nn.Embedding(vocabulary, text_dim)
        self.ln_final = nn.LayerNorm(text_dim)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, out) embeddings, not normalised, of token ids (B, N), N at most 77; the highest id ends a text."""
        x = self.token_embedding(tokens) + self.positional_embedding[:tokens.shape[1]]
        x = self.ln_final(self.transformer(x))
        return x[torch.arange(len(x)), tokens.argmax(1)] @ self.text_projection
