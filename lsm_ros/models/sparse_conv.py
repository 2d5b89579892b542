# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Submanifold convolution: only occupied voxels have values (Graham et al., 2018). Sorted keys, no compiled extension."""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class Voxels:
    """Points in voxels (N, 3) int64. Several points may share a voxel; the first of them owns it.

    count: occupied voxels U; inverse (N,): voxel of each point; owner (U,): point that owns each voxel.
    """

    def __init__(self, voxel: torch.Tensor) -> None:
        low = voxel.min(0).values
        self._span = [int(s) for s in (voxel.max(0).values - low + 1).tolist()]
        key = self._key((voxel - low).unbind(1), 0)
        self._keys, self.inverse = key.unique(return_inverse=True)
        self.count = len(self._keys)
        points = torch.arange(len(voxel), device=voxel.device)
        self.owner = points.new_full((self.count,), len(voxel)).scatter_reduce_(0, self.inverse, points, "amin")
        self._voxel = (voxel - low)[self.owner]
        self._tables: dict[int, torch.Tensor] = {}

    def _key(self, xyz: Sequence[torch.Tensor], reach: int) -> torch.Tensor:
        """Numbers that sort as x, y, z do, and that no step of `reach` leads from one row of voxels into another."""
        _, height, depth = (s + 2 * reach for s in self._span)
        x, y, z = xyz
        return (x * height + y) * depth + z

    def neighbours(self, size: int) -> torch.Tensor:
        """(size**3, U) int64: voxel at each offset of a cube of `size` around each voxel, x outermost; U where none is."""
        if size not in self._tables:
            reach = size // 2
            keys = self._key(self._voxel.unbind(1), reach)  # in the same order as without a margin
            step = torch.arange(-reach, reach + 1, device=keys.device)
            wanted = keys + self._key(torch.meshgrid(step, step, step, indexing="ij"), reach).reshape(-1, 1)
            place = torch.searchsorted(keys, wanted).clamp_(max=self.count - 1)
            self._tables[size] = torch.where(keys[place] == wanted, place, self.count)
        return self._tables[size]

    def sums(self, x: torch.Tensor) -> torch.Tensor:
        """(U, C): sums of (N, C) over the points of each voxel."""
        if self.count == len(x):
            return x[self.owner]
        return x.new_zeros(self.count, x.shape[1]).index_add(0, self.inverse, x)


class SubmanifoldConv(nn.Module):
    """Convolution with a cube of `size` voxels; weight [out, x, y, z, in].

    Where points share a voxel, as in networks trained with spconv: a point's own value counts at offset 0; at the offsets
    before it (in order of x, y, z) only owners receive, the sum of all points there; at those after it every point receives,
    from the owner alone.
    """

    def __init__(self, dim: int, out: int, size: int, bias: bool = True) -> None:
        super().__init__()
        if size % 2 == 0:
            raise ValueError(f"size {size} of a submanifold convolution must be odd")
        self.size = size
        self.weight = nn.Parameter(torch.empty(out, size, size, size, dim))
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None
        bound = 1 / math.sqrt(dim * size ** 3)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: torch.Tensor, voxels: Voxels) -> torch.Tensor:
        """(N, dim) -> (N, out)."""
        weights = self.weight.flatten(1, 3).permute(1, 2, 0)  # (size**3, dim, out)
        middle = len(weights) // 2
        table = voxels.neighbours(self.size)
        before = gathered(voxels.sums(x), table[:middle], weights[:middle])
        after = gathered(x[voxels.owner], table[middle + 1:], weights[middle + 1:])
        out = x @ weights[middle]
        if self.bias is not None:
            out = out + self.bias
        return (out + after[voxels.inverse]).index_add(0, voxels.owner, before)


def gathered(values: torch.Tensor, table: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(U, out): sum over k of values (U, dim) at table (K, U), nothing where that is U, times weights (K, dim, out)."""
    out = values.new_zeros(values.shape[0], weights.shape[-1])
    for places, weight in zip(table, weights, strict=True):
        here = (places < len(values)).nonzero()[:, 0]
        out.index_add_(0, here, values[places[here]] @ weight)
    return out
