# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Reflections on glossy surfaces: cube maps of the light around probes in each zone, sharp to blurred."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lsm_sim.atlas import look_up
from lsm_sim.cube_map import SIDES, cube_camera, cube_lookup, cube_poses
from lsm_sim.lighting import PROBE_SIDE, Light
from lsm_sim.world import World

_LEVELS = (PROBE_SIDE, PROBE_SIDE // 2, PROBE_SIDE // 4, PROBE_SIDE // 8)
_CELL = 0.25


class Surroundings:
    """Probes of all worlds: maps (3, M) of all levels of all cubes; low, high, at (3, N): each probe's zone and place.

    cells: the probe of each cell of a grid on each world's floor; origin (W, 2), width (W,), start (W,).
    """

    def __init__(self, worlds: Sequence[World], device: torch.device) -> None:
        self.device = device
        self.maps: list[torch.Tensor] = []
        self.texels = torch.zeros((3, 1), device=device)
        self.box = torch.zeros((9, 0), device=device)
        low = np.array([w.bounds[0][:2] for w in worlds])
        cells = np.array([np.ceil((w.bounds[1][:2] - w.bounds[0][:2]) / _CELL).astype(int) + 1 for w in worlds])
        self.start = torch.as_tensor(np.cumsum([0, *cells.prod(1)])[:-1], device=device)
        self.origin = torch.as_tensor(low, dtype=torch.float32, device=device)
        self.shape = torch.as_tensor(cells, device=device)
        self.cells = torch.zeros(int(cells.prod(1).sum()), dtype=torch.int64, device=device)

    def fill(self, index: int, world: World, light: Light, color: torch.Tensor) -> None:
        """Adds the probes of world `index`; color (3, N): what the rays of `probe_rays` see."""
        n, device = len(light.probes), self.device
        picture = color.view(3, n, SIDES, PROBE_SIDE, PROBE_SIDE).transpose(0, 1)
        levels = [picture.reshape(n * 3, SIDES, PROBE_SIDE, PROBE_SIDE)]
        while len(levels) < len(_LEVELS):
            levels.append(torch.nn.functional.avg_pool2d(levels[-1], 2))
        flat = torch.cat([m.view(n, 3, -1) for m in levels], 2)
        known = self.box.shape[1]
        self.maps.append(flat.transpose(0, 1).reshape(3, -1))
        self.texels = torch.cat(self.maps, 1)
        zones = [world.zones[i] for i in light.probe_zone]
        box = np.stack([np.r_[z.low, z.high, p] for z, p in zip(zones, light.probes, strict=True)], 1)
        self.box = torch.cat([self.box, torch.as_tensor(box, dtype=torch.float32, device=device)], 1)
        self._assign(index, world, light, known)

    def _assign(self, index: int, world: World, light: Light, known: int) -> None:
        """Each cell of the floor takes the nearest probe of its zone."""
        nx, ny = self.shape[index].tolist()
        at = np.stack(np.meshgrid((np.arange(nx) + 0.5) * _CELL, (np.arange(ny) + 0.5) * _CELL, indexing="ij"), -1)
        at = at.reshape(-1, 2) + world.bounds[0][:2]
        distance = np.linalg.norm(at[:, None] - light.probes[None, :, :2], axis=2)
        for k, i in enumerate(light.probe_zone):
            z = world.zones[i]
            out = np.linalg.norm(np.maximum(np.maximum(z.low[:2] - at, at - z.high[:2]), 0), axis=1)
            distance[:, k] += 100 * np.maximum(out - 0.3, 0)
        first = int(self.start[index])
        self.cells[first:first + nx * ny] = torch.as_tensor(distance.argmin(1) + known, device=self.device)

    def probe(self, world: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
        """(N,) probe for points (3, N) in worlds (N,)."""
        shape = self.shape[world]
        cell = ((point[:2].T - self.origin[world]) / _CELL).long()
        cell = torch.minimum(cell.clamp(min=0), shape - 1)
        return self.cells[self.start[world] + cell[:, 0] * shape[:, 1] + cell[:, 1]]


def probe_rays(probes: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins and rays (depth 1 along each side's axis), both (3, N), of all texels of the cubes around probes (n, 3)."""
    camera = cube_camera(PROBE_SIDE)
    rays = torch.as_tensor(camera.rays(unit=False).reshape(-1, 3).T.copy(), dtype=torch.float32, device=device)
    R = torch.as_tensor(cube_poses(probes)[..., :3, :3], dtype=torch.float32, device=device)
    origin = torch.as_tensor(probes.T.copy(), dtype=torch.float32, device=device)
    origin = origin[:, :, None].expand(-1, -1, SIDES * PROBE_SIDE ** 2).reshape(3, -1)
    return origin, torch.einsum("psij,jn->ipsn", R, rays).reshape(3, -1)


_TEXELS = sum(SIDES * s * s for s in _LEVELS)
_LEVEL_START = tuple(int(x) for x in np.cumsum([0] + [SIDES * s * s for s in _LEVELS])[:-1])


def reflections(around: Surroundings, world: torch.Tensor, point: torch.Tensor, ray: torch.Tensor, normal: torch.Tensor,
                gloss: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Light (3, N) that glossy surfaces throw back to the eye, and the share (N,) of their own colour that stays.

    world (N,); point, ray (from the eye, any length), normal (3, N); gloss (N,). The zone's box stands for its walls, so
    that reflections move as they should; Schlick's approximation of Fresnel's term.
    """
    x, y, z = ray.unbind(0)
    d = ray * torch.rsqrt(x * x + y * y + z * z)
    facing = d[0] * normal[0] + d[1] * normal[1] + d[2] * normal[2]
    mirrored = d - 2 * facing * normal
    probe = around.probe(world, point)
    box = around.box.index_select(1, probe)
    inverse = 1 / torch.where(mirrored.abs() < 1e-5, 1e-5, mirrored)
    wall = torch.where(mirrored > 0, box[3:6], box[0:3])
    reach = ((wall - point) * inverse).amin(0).clamp(min=0)
    side, x, y, _ = cube_lookup(point + reach * mirrored - box[6:9])
    blur = ((1 - gloss) * len(_LEVELS)).long().clamp(0, len(_LEVELS) - 1)
    size = PROBE_SIDE >> blur
    start = probe * _TEXELS + torch.tensor(_LEVEL_START, device=probe.device)[blur] + side * size * size
    u, v = ((c * 0.5 + 0.5) * size - 0.5 for c in (x, y))
    u, v = torch.minimum(u.clamp(min=0), size - 1.001), torch.minimum(v.clamp(min=0), size - 1.001)
    u0, v0 = u.long(), v.long()
    top = start + v0 * size + u0
    found = look_up(around.texels, (top, top + 1, top + size, top + size + 1), u - u0, v - v0)
    least = 0.03 + 0.87 * gloss ** 2.5
    share = least + (gloss * 0.8) * (1 - least) * (1 - facing.abs()).clamp(0, 1) ** 5
    return found * share, 1 - share
