# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""In which number format a network runs fastest on a device. It is measured: what a CPU lacks it imitates, slowly."""
from __future__ import annotations

import time
from functools import lru_cache

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_WORTH = 1.2  # a shorter format has to be this much faster, for it is less exact
_SHAPE = (384, 1024, 2048)  # tokens, width, hidden width: half of an MLP of the encoder
_REPEATS = 3


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The format of weights and activations. wanted: 'float32', 'bfloat16', 'float16', or 'auto', which measures.

    ValueError for another name.
    """
    if wanted == "auto":
        return _fastest(device.type, device.index)
    if wanted not in DTYPES:
        raise ValueError(f"precision {wanted!r} is none of auto, {', '.join(DTYPES)}")
    return DTYPES[wanted]


@lru_cache(maxsize=8)
def _fastest(kind: str, index: int | None) -> torch.dtype:
    """float32, unless a shorter format wins by a measured product. bfloat16 goes first: it has float32's range."""
    device = torch.device(kind, index)
    reference = product_seconds(torch.float32, device)
    shorter = [torch.bfloat16]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        shorter = [torch.bfloat16] if native else [torch.float16]
    for dtype in shorter:
        if product_seconds(dtype, device) * _WORTH < reference:
            return dtype
    return torch.float32


def product_seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Shortest time of a product of the size that the networks are made of."""
    n, width, hidden = _SHAPE
    a = torch.ones(n, width, dtype=dtype, device=device)
    b = torch.ones(width, hidden, dtype=dtype, device=device)
    times = []
    for _ in range(_REPEATS + 1):
        synchronize(device)
        start = time.perf_counter()
        a @ b
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
