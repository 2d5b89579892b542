# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Voxels in the order of curves that fill space: neighbours on the curve are neighbours in space."""
from __future__ import annotations

import torch

ORDERS = ("z", "z-trans", "hilbert", "hilbert-trans")
MOST_BITS = 20  # for each axis: three times as many fit into an int64


def codes(voxels: torch.Tensor, depth: int) -> torch.Tensor:
    """(4, N) int64: places of voxels (N, 3) int64, 0 to 2**depth - 1, on the curves of `ORDERS`.

    'trans' swaps x and y. ValueError for a depth of more than 20 bits.
    """
    if depth > MOST_BITS:
        raise ValueError(f"voxels up to {int(voxels.max())} need {depth} bits, more than {MOST_BITS}: use larger ones")
    swapped = voxels[:, [1, 0, 2]]
    return torch.stack([interleave(voxels, depth), interleave(swapped, depth), hilbert(voxels, depth), hilbert(swapped, depth)])


def interleave(voxels: torch.Tensor, depth: int) -> torch.Tensor:
    """(N,) int64: the bits of x, y and z of (N, 3) in turn, x first (Morton's order)."""
    x, y, z = voxels.unbind(1)
    code = torch.zeros_like(x)
    for bit in range(depth):
        for axis, value in enumerate((z, y, x)):
            code |= (value >> bit & 1) << (3 * bit + axis)
    return code


def hilbert(voxels: torch.Tensor, depth: int) -> torch.Tensor:
    """(N,) int64: places of (N, 3) on Hilbert's curve (Skilling, Programming the Hilbert curve, 2004)."""
    axes = [a.clone() for a in voxels.unbind(1)]
    for bit in range(depth - 1, 0, -1):
        below = (1 << bit) - 1
        for axis in range(3):
            is_set = (axes[axis] >> bit & 1).bool()
            swapped = torch.where(is_set, 0, (axes[0] ^ axes[axis]) & below)
            axes[0] = axes[0] ^ torch.where(is_set, below, swapped)
            if axis:
                axes[axis] = axes[axis] ^ swapped
    code = interleave(torch.stack(axes, 1), depth)
    for shift in (1, 2, 4, 8, 16, 32):  # from Gray code to binary
        code = code ^ (code >> shift)
    return code
