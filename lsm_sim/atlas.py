# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bilinear lookups in grids of many sizes that lie one after the other in one tensor: pictures with their mips, light maps."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from lsm_sim.pictures import library


@dataclass(frozen=True)
class Atlas:
    """All pictures of the library. texels (3, M) uint8; start (levels,) int32: first texel of each level of mips; in a
    level pictures lie one after the other, row by row. side: texels of a picture at the finest level.
    mean (N, 3) float32: mean colour of each picture in [0, 1].
    """

    texels: torch.Tensor
    start: torch.Tensor
    side: int
    mean: torch.Tensor

    @property
    def levels(self) -> int:
        return len(self.start)


@lru_cache(maxsize=4)
def atlas(device: torch.device) -> Atlas:
    """The library's pictures on a device, made once for each."""
    mips = library().mips()
    sizes = [m.shape[0] * m.shape[1] * m.shape[2] for m in mips]
    start = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
    texels = torch.empty((3, sum(sizes)), dtype=torch.uint8, device=device)
    for m, at, size in zip(mips, start.tolist(), sizes, strict=True):
        texels[:, at:at + size] = torch.as_tensor(np.ascontiguousarray(m.reshape(-1, 3).T), device=device)
    mean = torch.tensor(mips[-1].reshape(-1, 3), device=device).float() / 255
    return Atlas(texels, torch.as_tensor(start, device=device), mips[0].shape[1], mean)


def look_up(table: torch.Tensor, corner: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
            wx: torch.Tensor, wy: torch.Tensor) -> torch.Tensor:
    """(3, N) float32 mean of table (3, M) at four corners (N,) (top left, top right, bottom left, bottom right)."""
    a, b, c, d = (table.index_select(1, i).float() for i in corner)
    return torch.lerp(torch.lerp(a, b, wx), torch.lerp(c, d, wx), wy)
