# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""In which number format a network runs fastest on a device. It is measured: what a CPU lacks it imitates, slowly."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch

from lsm_ros.models.blocks import EncoderBlock
from lsm_ros.models.positions import patch_positions, rope_rotation

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WORTH = {"cuda": 1.2, "cpu": 1.5}  # a shorter format has to be this much faster, for it is less exact
LARGEST_ERROR = 0.02  # of a block's output, rms over rms; bfloat16 has 8 bits, which give about 0.005
_ROWS, _COLUMNS, _WIDTH, _HEADS = 16, 24, 1024, 16  # an image of 384x256 through the official encoder
_REPEATS = 3


@dataclass(frozen=True)
class Trial:
    """Measurement of a shorter format: factors by which a product and a whole block are faster, and the block's error."""

    dtype: torch.dtype
    product: float
    block: float
    error: float

    def wins(self, worth: float) -> bool:
        """True if it is faster by that factor, and exact enough."""
        return min(self.product, self.block) > worth and self.error < LARGEST_ERROR


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The format of weights and activations. wanted: 'float32', 'bfloat16', 'float16', or 'auto', which measures.

    auto: float32, unless a product and then a whole transformer block are faster in a shorter format by a factor of 1.5 (on a
    GPU 1.2), and the block's output differs by less than 2 %. ValueError for another name, and for a format that this torch
    does not have on the device: before 2.2 there is no float16 on a CPU.
    """
    if wanted == "auto":
        return _fastest(device.type, device.index)
    if wanted not in DTYPES:
        raise ValueError(f"precision {wanted!r} is none of auto, {', '.join(DTYPES)}")
    try:
        one = torch.ones(1, 1, 1, 1, dtype=DTYPES[wanted], device=device)
        torch.nn.functional.conv2d(one, one)
    except RuntimeError as error:
        raise ValueError(f"precision {wanted} does not run on {device} with torch {torch.__version__} ({error}): use "
                         "float32, or a newer torch") from error
    return DTYPES[wanted]


@lru_cache(maxsize=8)
def _fastest(kind: str, index: int | None) -> torch.dtype:
    device = torch.device(kind) if index is None else torch.device(kind, index)
    worth = WORTH.get(kind, WORTH["cpu"])
    shorter = torch.bfloat16  # it has float32's range
    if kind == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        shorter = torch.float16
    return shorter if attempt(shorter, device, worth).wins(worth) else torch.float32


@torch.inference_mode()
def attempt(dtype: torch.dtype, device: torch.device, worth: float) -> Trial:
    """Measures a format against float32. Where a product is not `worth` it, the block is not measured: factor 0."""
    product = product_seconds(torch.float32, device) / product_seconds(dtype, device)
    if product <= worth:
        return Trial(dtype, product, 0.0, float("inf"))
    generator = torch.Generator().manual_seed(0)
    block = EncoderBlock(_WIDTH, _HEADS).eval()
    for parameter in block.parameters():
        if parameter.ndim > 1:
            parameter.data.uniform_(-1, 1, generator=generator).mul_(parameter[0].numel() ** -0.5)
    positions = patch_positions(_ROWS, _COLUMNS, 1, device)
    x = torch.randn(1, _ROWS * _COLUMNS, _WIDTH, generator=generator).to(device)
    seconds, outputs = [], []
    for kind in (torch.float32, dtype):
        block = block.to(device, kind)
        rotation, tokens = rope_rotation(positions, _WIDTH // _HEADS, dtype=kind), x.to(kind)
        seconds.append(shortest(partial(block, tokens, rotation), device))
        outputs.append((block(tokens, rotation) - tokens).float())
    error = (outputs[1] - outputs[0]).square().mean().sqrt() / outputs[0].square().mean().sqrt()
    return Trial(dtype, product, seconds[0] / seconds[1], float(error))


def product_seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Shortest time of a product of the size that the networks are made of: half of an MLP of the encoder."""
    a = torch.ones(_ROWS * _COLUMNS, _WIDTH, dtype=dtype, device=device)
    b = torch.ones(_WIDTH, 2 * _WIDTH, dtype=dtype, device=device)
    return shortest(lambda: a @ b, device)


def shortest(function: Callable[[], object], device: torch.device) -> float:
    """Shortest time of a few calls, after one that does not count."""
    times = []
    for _ in range(_REPEATS + 1):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def synchronize(device: torch.device) -> None:
    """Waits until the device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
