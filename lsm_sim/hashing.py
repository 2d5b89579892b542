# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Random numbers from hashed counters: number i of stream s of a seed is the same in any batch and on any device.

The hash is the 32-bit finaliser of MurmurHash3 (A. Appleby, public domain), keyed twice; each half of its result looks
up a normal deviate in a table of the quantiles of the normal distribution.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

_FIRST, _SECOND, _GOLDEN = 0x85EBCA6B - (1 << 32), 0xC2B2AE35 - (1 << 32), 0x9E3779B9 - (1 << 32)
_MASK = (1 << 32) - 1
_HALF = 1 << 16


def checked_seeds(seeds: Sequence[int] | np.ndarray | torch.Tensor, count: int) -> list[int]:
    """The seeds as `count` whole numbers >= 0; ValueError that names the seeds otherwise."""
    values = list(seeds.tolist() if hasattr(seeds, "tolist") else seeds)
    wrong = [s for s in values if isinstance(s, bool | np.bool_) or not isinstance(s, int | np.integer) or s < 0]
    if wrong or len(values) != count:
        raise ValueError(f"need {count} seeds, whole numbers >= 0 (one for each image), got {seeds!r}")
    return [int(s) for s in values]


def normals(seeds: Sequence[int], stream: int, count: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(len(seeds), count) float32 standard normal deviates; row k depends on seeds[k], the stream and `count` alone.

    They take 65536 values and so do not pass 4.4 deviations.
    """
    keys = torch.tensor([_keys(s, stream) for s in seeds], dtype=torch.int32, device=device).reshape(-1, 2, 1)
    pairs = (count + 1) // 2
    x = torch.arange(pairs, dtype=torch.int32, device=device)[None] * _GOLDEN
    x = _mixed(x ^ keys[:, 0])
    x = _mixed(x ^ keys[:, 1])
    halves = torch.empty((len(seeds), 2, pairs), dtype=torch.int32, device=device)
    torch.bitwise_and(x, _HALF - 1, out=halves[:, 0])
    torch.bitwise_and(x >> 16, _HALF - 1, out=halves[:, 1])
    values = torch.index_select(_quantiles(str(device)), 0, halves.reshape(-1))
    return values.reshape(len(seeds), 2 * pairs)[:, :count]


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """MurmurHash3's finaliser on int32, in place; shifts are made logical by masks."""
    x ^= (x >> 16) & 0xFFFF
    x *= _FIRST
    x ^= (x >> 13) & 0x7FFFF
    x *= _SECOND
    x ^= (x >> 16) & 0xFFFF
    return x


def _keys(seed: int, stream: int) -> tuple[int, int]:
    """Two signed 32-bit keys of a seed and a stream (SplitMix64, S. Vigna)."""
    z = (seed * 0x9E3779B97F4A7C15 + (stream + 1) * 0xD1B54A32D192ED03) & ((1 << 64) - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ((1 << 64) - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ((1 << 64) - 1)
    z ^= z >> 31
    return tuple(k - (1 << 32) if k >= 1 << 31 else k for k in (z & _MASK, z >> 32))


@lru_cache(maxsize=4)
def _quantiles(device: str) -> torch.Tensor:
    share = (torch.arange(_HALF, dtype=torch.float64) + 0.5) / _HALF
    table = torch.special.ndtri(share)
    return (table / table.square().mean().sqrt()).to(torch.float32).to(device)
