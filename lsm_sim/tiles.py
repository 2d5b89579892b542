# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images as tiles of 8x8 pixels in blocks of 4x4 tiles, and the parts that may be visible in each tile."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics

SIDE = 8
PIXELS = SIDE * SIDE
BLOCK_SIDE = 4
TILES = BLOCK_SIDE * BLOCK_SIDE
_SLACK = 4e-6  # share of a form's terms that rounding to float32 may cost, with room to spare


@dataclass(frozen=True)
class TileGrid:
    """Rays (x, y, 1) of a camera, ordered by block, tile and pixel, and rectangles (x, y) around them.

    rays (T, 3, 64) float32 and rays64 (T, 3, 64) float64, (0, 0, 1) where the lens has no ray; valid (T, 64) bool;
    size (T, 64) float32 the greatest of |x|, |y| and 1.
    Rectangles as middle (3, n) = (x, y, 1) and reach (3, n) = (half width, half height, slack), of the whole image
    (n = 1), of blocks (B), and of the tiles of each block (B, 3, 16); block_open (B,), tile_open (B, 16): has any ray.
    """

    camera: CameraIntrinsics
    blocks_x: int
    blocks_y: int
    rays: torch.Tensor
    rays64: torch.Tensor
    valid: torch.Tensor
    size: torch.Tensor
    image_rect: tuple[torch.Tensor, torch.Tensor]
    block_rect: tuple[torch.Tensor, torch.Tensor]
    tile_rect: tuple[torch.Tensor, torch.Tensor]
    block_open: torch.Tensor
    tile_open: torch.Tensor

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.rays)

    @classmethod
    def of(cls, camera: CameraIntrinsics, device: torch.device) -> TileGrid:
        """The grid of a camera."""
        size = SIDE * BLOCK_SIDE
        by, bx = -(-camera.height // size), -(-camera.width // size)
        xy = np.full((by * size, bx * size, 2), np.nan)
        xy[:camera.height, :camera.width] = camera.rays(unit=False)[..., :2]
        xy = xy.reshape(by, BLOCK_SIDE, SIDE, bx, BLOCK_SIDE, SIDE, 2).transpose(0, 3, 1, 4, 6, 2, 5)
        xy = torch.tensor(np.ascontiguousarray(xy).reshape(by * bx, TILES, 2, PIXELS))
        valid = torch.isfinite(xy).all(2)
        low, high = (torch.where(valid[:, :, None], xy, torch.tensor(s * torch.inf)) for s in (1, -1))
        low, high = low.amin(3), high.amax(3)
        levels = [(low.amin((0, 1))[None], high.amax((0, 1))[None]), (low.amin(1), high.amax(1)), (low, high)]
        rects = [_rectangle(*level, device) for level in levels]
        rays = torch.cat([torch.where(valid[:, :, None], xy, 0), torch.ones_like(xy[:, :, :1])], 2).flatten(0, 1)
        return cls(camera, bx, by, rays.float().to(device), rays.to(device), valid.flatten(0, 1).to(device),
                   rays.abs().amax(1).float().to(device), *((m.movedim(-1, -2), r.movedim(-1, -2)) for m, r in rects),
                   valid.any(-1).any(-1).to(device), valid.any(-1).to(device))

    def image(self, values: torch.Tensor) -> torch.Tensor:
        """Values (C, T, 64) of pixels as images (C, H, W)."""
        v = values.view(-1, self.blocks_y, self.blocks_x, BLOCK_SIDE, BLOCK_SIDE, SIDE, SIDE)
        v = v.permute(0, 1, 3, 5, 2, 4, 6).reshape(len(v), self.blocks_y * BLOCK_SIDE * SIDE, -1)
        return v[:, :self.camera.height, :self.camera.width].contiguous()


def _rectangle(low: torch.Tensor, high: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle and reach (..., 3) of bounds (..., 2); of nothing around (0, 0)."""
    open_ = torch.isfinite(low) & torch.isfinite(high)
    low, high = torch.where(open_, low, 0), torch.where(open_, high, 0)
    middle, one = (low + high) / 2, torch.ones_like(low[..., :1])
    reach = (high - low) / 2 + _SLACK * torch.maximum(low.abs(), high.abs())
    return (torch.cat([middle, one], -1).float().to(device),
            torch.cat([reach * (1 + 1e-6), _SLACK * one], -1).float().to(device))


def may_meet(forms: torch.Tensor, middle: torch.Tensor, reach: torch.Tensor,
             near: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bounds over rectangles of rays for boxes given as `plane_forms`: forms (N, 9, 3); middle, reach (3, n) or (N, 3, n).

    Returns (N, n) each: whether any ray may meet the box, the greatest inverse depth at which one may, and the least at
    which all do, 0 where not all do for certain.
    """
    value, spread = forms @ middle, forms.abs() @ reach
    low, high = value - spread, value.add_(spread)
    first = high[:, :3].amin(1)
    meets = (first >= low[:, 3:].amax(1)) & (first > 0)
    last = low[:, :3].amin(1)
    covers = (last >= high[:, 3:].amax(1)) & (last > 0) & (first <= 1 / near)
    return meets, first, torch.where(covers, last, 0)


@dataclass(frozen=True)
class Candidates:
    """Pairs of a view (see caster.py) and a tile that it may be seen in: view (N,), tile (N,) of all cameras' tiles,
    u (N,) the greatest inverse depth it may have there; floor (C * T,) inverse depth that every ray of a tile reaches.
    """

    view: torch.Tensor
    tile: torch.Tensor
    u: torch.Tensor
    floor: torch.Tensor


def candidates(grid: TileGrid, forms: torch.Tensor, solid: torch.Tensor, camera: torch.Tensor, cameras: int,
               near: float) -> Candidates:
    """Pairs of V parts, as seen by their `camera` (V,), and tiles in which they may be visible.

    forms (V, 9, 3) float32 of their bounding boxes; solid (V,) bool: whether the part fills it. From whole images to
    blocks to tiles; parts behind boxes that fill a block or tile are left out.
    """
    index = torch.nonzero(may_meet(forms, *grid.image_rect, near)[0][:, 0])[:, 0]
    meets, first, floor = may_meet(forms[index], *grid.block_rect, near)
    blocks = len(grid.block_open)
    place = camera[index, None] * blocks + torch.arange(blocks, device=forms.device)
    level = _floors(place, torch.where(solid[index, None], floor, 0), cameras * blocks)
    rows, block = torch.nonzero(meets & (first >= level[place]) & grid.block_open, as_tuple=True)
    view = index[rows]
    middle, reach = (r.index_select(0, block) for r in grid.tile_rect)
    meets, first, floor = may_meet(forms[view], middle, reach, near)
    tile = (camera[view] * blocks + block)[:, None] * TILES + torch.arange(TILES, device=forms.device)
    level = _floors(tile, torch.where(solid[view, None], floor, 0), cameras * blocks * TILES)
    rows, child = torch.nonzero(meets & (first >= level[tile]) & grid.tile_open[block], as_tuple=True)
    return Candidates(view[rows], tile[rows, child], first[rows, child], level)


def _floors(place: torch.Tensor, floor: torch.Tensor, count: int) -> torch.Tensor:
    return floor.new_zeros(count).scatter_reduce_(0, place.flatten(), floor.flatten(), "amax")
