# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Draws 3D Gaussians: projected, sorted by depth, blended front to back in tiles (Kerbl et al., 3D Gaussian Splatting, 2023).

Plain PyTorch, on a CPU or a GPU, with gradients for all that is drawn.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.models.gaussians import SH_C0

TILE = 16
NEAR = 0.01
BLUR = 0.3  # variance in pixels that no projected Gaussian falls below
MOST_ALPHA, LEAST_ALPHA, LEAST_LIGHT = 0.99, 1 / 255, 1e-4
_REACH = 3.0  # standard deviations
_AT_ONCE = 64  # Gaussians of a tile that are blended together
_PAIRS = 4_000_000  # pixels times Gaussians that are held at once


@dataclass(frozen=True)
class Flat:
    """Gaussians in an image, N of them, sorted by depth. centre (N, 2) pixels; conic (N, 3): inverse covariance xx, xy, yy;
    depth (N,); radius (N,) pixels; index (N,): of the Gaussians that were given."""

    centre: torch.Tensor
    conic: torch.Tensor
    depth: torch.Tensor
    radius: torch.Tensor
    index: torch.Tensor


def render(means: torch.Tensor, scales: torch.Tensor, rotations: torch.Tensor, opacities: torch.Tensor, values: torch.Tensor,
           T_cam_world: torch.Tensor, camera: CameraIntrinsics) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (height, width, C) of values, black where nothing is, and opacity (height, width).

    means (N, 3), scales (N, 3) and rotations (N, 4) w, x, y, z in the world; opacities (N,) from 0 to 1; values (N, C), as
    colours from 0 to 1; T_cam_world (4, 4) rigid; camera without distortion. Gaussians nearer than 0.01 are left out.
    """
    flat = project(means, scales, rotations, T_cam_world, camera)
    tiles_x, tiles_y = -(-camera.width // TILE), -(-camera.height // TILE)
    which, starts, counts = assign(flat, tiles_x, tiles_y)
    pieces = [values.new_zeros(TILE * TILE, values.shape[1] + 1)] * (tiles_x * tiles_y)
    busy = counts.nonzero()[:, 0]
    busy = busy[counts[busy].argsort()]  # tiles with about as many Gaussians go together
    opacity, value = opacities[flat.index], values[flat.index]
    for tiles in busy.split(max(1, _PAIRS // (TILE * TILE * _AT_ONCE))) if len(busy) else ():
        drawn = _blend(flat, opacity, value, which, starts[tiles], counts[tiles], tiles, tiles_x)
        for tile, piece in zip(tiles.tolist(), drawn, strict=True):
            pieces[tile] = piece
    whole = torch.stack(pieces).view(tiles_y, tiles_x, TILE, TILE, -1).transpose(1, 2).flatten(2, 3).flatten(0, 1)
    whole = whole[:camera.height, :camera.width]
    return whole[..., :-1], whole[..., -1]


def colours_of(sh: torch.Tensor) -> torch.Tensor:
    """(N, 3) colours from 0 to 1 of spherical harmonics (N, K, 3): those of degree 0, which do not depend on the direction."""
    return (sh[:, 0] * SH_C0 + 0.5).clamp(min=0)


def rotation_matrices(quaternions: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) of quaternions (N, 4) w, x, y, z of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    return torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1).view(-1, 3, 3)


def project(means: torch.Tensor, scales: torch.Tensor, rotations: torch.Tensor, T_cam_world: torch.Tensor,
            camera: CameraIntrinsics) -> Flat:
    """The Gaussians as a camera sees them (Zwicker et al., EWA splatting, 2001). Arguments as of `render`."""
    R, t = T_cam_world[:3, :3].to(means), T_cam_world[:3, 3].to(means)
    points = means @ R.T + t
    index = (points[:, 2] > NEAR).nonzero()[:, 0]
    points = points[index]
    x, y, z = points.unbind(1)
    zero = torch.zeros_like(z)
    # far outside of the image the slope of the projection is that at its border, as it would otherwise grow without end
    wide, high = (1.3 * max(c, n - c) / f for c, n, f in ((camera.cx, camera.width, camera.fx), (camera.cy, camera.height,
                                                                                             camera.fy)))
    u, v = (x / z).clamp(-wide, wide), (y / z).clamp(-high, high)
    slopes = torch.stack([camera.fx / z, zero, -camera.fx * u / z, zero, camera.fy / z, -camera.fy * v / z], 1).view(-1, 2, 3)
    half = slopes @ R @ (rotation_matrices(rotations[index]) * scales[index, None])
    covariance = half @ half.mT
    a, b, c = covariance[:, 0, 0] + BLUR, covariance[:, 0, 1], covariance[:, 1, 1] + BLUR
    # by minors (Cauchy and Binet): a c - b b of a long thin one would be what rounding leaves of it
    minors = torch.linalg.cross(half[:, 0], half[:, 1], dim=1)
    determinant = minors.square().sum(1) + BLUR * (a + c - BLUR)
    middle = 0.5 * (a + c)
    radius = _REACH * (middle + (middle ** 2 - determinant).clamp(min=0.1).sqrt()).sqrt().detach()
    centre = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], 1)
    conic = torch.stack([c, -b, a], 1) / determinant[:, None]
    seen = ((centre[:, 0] > -radius) & (centre[:, 0] < camera.width + radius) & (centre[:, 1] > -radius)
            & (centre[:, 1] < camera.height + radius)).nonzero()[:, 0]
    order = seen[z[seen].argsort(stable=True)]
    return Flat(centre[order], conic[order], z[order], radius[order], index[order])


def assign(flat: Flat, tiles_x: int, tiles_y: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gaussians (M,) of all tiles, one tile after the other, the nearest first; where each tile's begin; how many it has."""
    centre, reach = flat.centre.detach(), flat.radius[:, None]
    most = torch.tensor([tiles_x, tiles_y], device=centre.device)
    low = ((centre - reach) / TILE).floor().long().clamp(min=0).minimum(most)
    high = ((centre + reach) / TILE).floor().long().add(1).clamp(min=0).minimum(most)
    spans = (high - low).clamp(min=0)
    each = spans.prod(1)
    which = torch.arange(len(each), device=each.device).repeat_interleave(each)
    inner = torch.arange(len(which), device=each.device) - (each.cumsum(0) - each)[which]
    column, row = low[which, 0] + inner % spans[which, 0], low[which, 1] + inner // spans[which, 0]
    tile = row * tiles_x + column
    order = tile.argsort(stable=True)  # those of a tile stay sorted by depth
    counts = tile.bincount(minlength=tiles_x * tiles_y)
    return which[order], counts.cumsum(0) - counts, counts


def _blend(flat: Flat, opacity: torch.Tensor, value: torch.Tensor, which: torch.Tensor, starts: torch.Tensor,
           counts: torch.Tensor, tiles: torch.Tensor, tiles_x: int) -> torch.Tensor:
    """(B, 256, C + 1): values and opacity of the pixels of B tiles."""
    step = torch.arange(TILE, device=tiles.device)
    inside = torch.stack([step.repeat(TILE), step.repeat_interleave(TILE)], 1)
    pixels = torch.stack([tiles % tiles_x, tiles // tiles_x], 1)[:, None] * TILE + inside  # (B, 256, 2)
    light = value.new_ones(len(tiles), TILE * TILE)
    total = value.new_zeros(len(tiles), TILE * TILE, value.shape[1])
    for first in range(0, int(counts.max()), _AT_ONCE):
        place = first + torch.arange(_AT_ONCE, device=tiles.device)
        here = place < counts[:, None]
        some = which[(starts[:, None] + place).clamp(max=len(which) - 1)]  # (B, K)
        d = pixels[:, :, None].to(value) - flat.centre[some][:, None]
        xx, xy, yy = flat.conic[some][:, None].unbind(-1)
        power = -0.5 * (xx * d[..., 0] ** 2 + yy * d[..., 1] ** 2) - xy * d[..., 0] * d[..., 1]
        alpha = (opacity[some][:, None] * power.exp()).clamp(max=MOST_ALPHA)
        alpha = torch.where(here[:, None] & (alpha >= LEAST_ALPHA), alpha, torch.zeros_like(alpha))
        through = (1 - alpha).cumprod(-1)
        weight = alpha * light[..., None] * torch.cat([torch.ones_like(through[..., :1]), through[..., :-1]], -1)
        total = total + weight @ value[some]
        light = light * through[..., -1]
        if float(light.detach().max()) < LEAST_LIGHT:
            break
    return torch.cat([total, 1 - light[..., None]], -1)
