# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Positions of patches: integer rows and columns, their rotary embedding in two dimensions, and the fixed cosine embedding."""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch


class Rotation(NamedTuple):
    """Cosines and signed sines (B, N, d) that `rotate` multiplies into queries and keys of head dimension d."""

    cos: torch.Tensor
    sin: torch.Tensor


def patch_positions(rows: int, columns: int, batch: int = 1, device: torch.device | str | None = None) -> torch.Tensor:
    """(batch, rows * columns, 2) int64: row and column of each patch, row by row."""
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    return torch.stack([y, x], -1).reshape(1, rows * columns, 2).expand(batch, -1, -1)


def rope_base(pos_embed: str) -> float | None:
    """The base in a name such as 'RoPE100'; None for 'cosine'. ValueError for anything else."""
    if pos_embed == "cosine":
        return None
    number = pos_embed.removeprefix("RoPE") if isinstance(pos_embed, str) else ""
    try:
        base = float(number)
    except ValueError:
        base = 0.0
    if not str(pos_embed).startswith("RoPE") or not 0 < base < math.inf:
        raise ValueError(f"pos_embed {pos_embed!r} is neither 'cosine' nor 'RoPE' with a positive base, such as 'RoPE100'")
    return base


def rope_rotation(positions: torch.Tensor, head_dim: int, base: float = 100.0,
                  dtype: torch.dtype = torch.float32) -> Rotation:
    """Table for `rotate`. positions (B, N, 2) integer rows and columns; head_dim a multiple of 4, else ValueError.

    The first half of the channels turns with the row, the second with the column; the k-th pair of a half turns by
    position * base^(-k / (head_dim / 4)). RoFormer, Su et al. 2021, once for each axis. Angles are float32.
    """
    if head_dim % 4:
        raise ValueError(f"rotary positions need a head dimension that is a multiple of 4, got {head_dim}")
    quarter = head_dim // 4
    k = torch.arange(quarter, device=positions.device, dtype=torch.float32)
    angle = positions.float()[..., None] * torch.pow(base, -k / quarter)  # (B, N, 2, quarter)
    cos, sin = angle.cos(), angle.sin()
    return Rotation(torch.stack([cos, cos], -2).flatten(-3).to(dtype), torch.stack([-sin, sin], -2).flatten(-3).to(dtype))


def rotate(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turns the channel pairs (k, k + d/4) of both halves of x (B, N, ..., d)."""
    middle = [1] * (x.ndim - 3)
    cos, sin = (t.reshape(*t.shape[:2], *middle, t.shape[2]) for t in rotation)
    a, b, c, d = x.chunk(4, -1)
    return torch.addcmul(x * cos, torch.cat([b, a, d, c], -1), sin)


def cosine_embedding(dim: int, rows: int, columns: int) -> torch.Tensor:
    """(rows * columns, dim) float32, computed in float64: sines and cosines of the column, then of the row.

    dim is a multiple of 4. Frequencies 10000^(-k / (dim / 4)), as in "Attention is all you need", once for each axis.
    """
    if dim % 4:
        raise ValueError(f"the cosine embedding needs a width that is a multiple of 4, got {dim}")
    omega = 10000.0 ** -(np.arange(dim // 4) / (dim / 4))
    y, x = np.meshgrid(np.arange(rows, dtype=np.float64), np.arange(columns, dtype=np.float64), indexing="ij")
    parts = [f(axis.reshape(-1, 1) * omega) for axis in (x, y) for f in (np.sin, np.cos)]
    return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32))
