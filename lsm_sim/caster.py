# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Ray-caster: the part seen by each pixel of many cameras in many worlds, and its depth, on CPU and GPU."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_sim.packing import PackedWorlds, pack
from lsm_sim.sweep import Views, finish, meet, sweep
from lsm_sim.tiles import TileGrid, candidates
from lsm_sim.world import NO_PART, Shape, World

NEAR = 0.02
"""Metres along z nearer than which nothing is seen."""

# How much is worked on at once: on a CPU what fits its caches, on a GPU what fills it and takes about 3 GB.
_CHUNK_TILES = {"cpu": 2240, "cuda": 1 << 18}
_CHUNK_BLOCKS = {"cpu": 1 << 17, "cuda": 1 << 24}  # cameras x parts x blocks of the image
_CHUNK_PAIRS = {"cpu": 1 << 17, "cuda": 1 << 23}  # rays x parts


@dataclass(frozen=True)
class Hits:
    """View of C cameras: depth (C, H, W) float32 metres along z, inf where nothing; part (C, H, W) int32, row of the
    packed parts, NO_PART where nothing; face (C, H, W) uint8, number of the part's face in `FACES`.
    """

    depth: torch.Tensor
    part: torch.Tensor
    face: torch.Tensor


class RayCaster:
    """Casts rays into worlds. Parts are met where rays enter them, so one around the camera is not seen.

    packed: the parts of all worlds. Raises ValueError without worlds, and for a world without parts.
    """

    def __init__(self, worlds: Sequence[World], device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.packed: PackedWorlds = pack(worlds, self.device)
        self._counts = np.array([len(w) for w in worlds])
        self._grid = lru_cache(maxsize=8)(lambda camera: TileGrid.of(camera, self.device))

    @torch.no_grad()
    def cast(self, world: torch.Tensor | Sequence[int], T_world_cam: torch.Tensor | np.ndarray, camera: CameraIntrinsics,
             time_s: torch.Tensor | Sequence[float] | None = None) -> Hits:
        """Casts the rays of cameras. world (C,) index of each one's world, T_world_cam (C, 4, 4), time_s (C,) seconds or None.

        Pixels without a ray of the lens see nothing. ValueError for an index out of range and for a pose that is not
        finite or not rigid.
        """
        T = _rigid(T_world_cam, self.device)
        world, times = self._indices(world, len(T)), _times(time_s, len(T), self.device)
        grid = self._grid(camera)
        step = max(1, _CHUNK_BLOCKS[self.device.type] // (int(self._counts.max()) * len(grid.block_open)))
        parts = [self._cast(grid, world[i:i + step], T[i:i + step], None if times is None else times[i:i + step])
                 for i in range(0, len(T), step)]
        depth, part, face = (torch.cat(values) for values in zip(*parts, strict=True))
        return Hits(depth, part, face)

    @torch.no_grad()
    def cast_rays(self, world: torch.Tensor | Sequence[int], origins: torch.Tensor | np.ndarray,
                  directions: torch.Tensor | np.ndarray, time_s: torch.Tensor | Sequence[float] | None = None,
                  near: float = NEAR) -> tuple[torch.Tensor, torch.Tensor]:
        """Ends of single rays: t (N,) float64 in lengths of the directions, inf for nothing, and part (N,) int32.

        world (N,), origins and directions (N, 3) in the world, time_s (N,), near: the least t. Tries all parts in
        float64: for few rays. ValueError for an index out of range and for values that are not finite.
        """
        o, d = (_vectors(name, v, self.device) for name, v in (("origins", origins), ("directions", directions)))
        if o.shape != d.shape:
            raise ValueError(f"as many origins as directions are needed, got {len(o)} and {len(d)}")
        world, times = self._indices(world, len(o)), _times(time_s, len(o), self.device)
        t, part = torch.full_like(o[:, 0], torch.inf), torch.full((len(o),), NO_PART, dtype=torch.int32, device=self.device)
        step = max(1, _CHUNK_PAIRS[self.device.type] // int(self._counts.max()))
        for i in range(0, len(o), step):
            rows = slice(i, i + step)
            views = self._views(world[rows], o[rows], None, None if times is None else times[rows])
            reach = (views.M @ d[rows][views.camera][..., None])[..., 0]
            found, _ = meet(views.o, reach, views.shape, views.taper, near)
            t[rows].scatter_reduce_(0, views.camera, found, "amin")
            best = torch.nonzero(torch.isfinite(found) & (found == t[rows][views.camera]))[:, 0]
            part[rows].scatter_reduce_(0, views.camera[best], views.part[best].int(), "amax")
        return t, part

    def _indices(self, world: torch.Tensor | Sequence[int], count: int) -> torch.Tensor:
        index = _tensor(world, self.device)
        if index.shape != (count,) or index.is_floating_point() or index.dtype == torch.bool:
            raise ValueError(f"world must be {count} whole numbers, one for each pose or ray, got {world!r}")
        wrong = (index < 0) | (index >= len(self._counts))
        if wrong.any():
            raise ValueError(f"world {int(index[wrong][0])} is out of range, there are {len(self._counts)} worlds")
        return index.long()

    def _views(self, world: torch.Tensor, origin: torch.Tensor, R_world_cam: torch.Tensor | None,
               times: torch.Tensor | None) -> Views:
        """All parts of each camera's world as it sees them; without rotations in the axes of the world."""
        packed = self.packed
        first, count = packed.offsets[world], packed.offsets[world + 1] - packed.offsets[world]
        camera = torch.repeat_interleave(torch.arange(len(world), device=self.device), count)
        before = torch.cumsum(count, 0) - count
        part = torch.arange(len(camera), device=self.device) + (first - before)[camera]
        R, center = packed.poses(part, None if times is None else times[camera])
        half, shape, taper = packed.half[part], packed.shape[part], packed.taper[part]
        # The camera's position is subtracted in float64: the rest is small where it has to be exact.
        M = R.transpose(1, 2) / half[..., None]
        o = (M @ (origin[camera] - center)[..., None])[..., 0]
        if R_world_cam is not None:
            M = M @ R_world_cam[camera]
        return Views(camera, part, shape, o, M, taper)

    def _cast(self, grid: TileGrid, world: torch.Tensor, T: torch.Tensor, times: torch.Tensor | None) -> tuple:
        views = self._views(world, T[:, :3, 3], T[:, :3, :3], times)
        planes = views.planes()
        pairs = candidates(grid, planes.float(), views.shape == Shape.BOX, views.camera, len(T), NEAR)
        best, seen = sweep(grid, views, planes, pairs, len(T), NEAR, _CHUNK_TILES[self.device.type])
        depth, part, face = finish(grid, views, planes, best, seen)
        return grid.image(depth), grid.image(part), grid.image(face)


def _tensor(values: torch.Tensor | np.ndarray | Sequence, device: torch.device) -> torch.Tensor:
    return values.to(device) if isinstance(values, torch.Tensor) else torch.tensor(np.asarray(values), device=device)


def _rigid(T_world_cam: torch.Tensor | np.ndarray, device: torch.device) -> torch.Tensor:
    T = _tensor(T_world_cam, device).double()
    if T.ndim != 3 or T.shape[1:] != (4, 4) or not len(T):
        raise ValueError(f"T_world_cam must have shape (C, 4, 4) with C > 0, got {tuple(T.shape)}")
    R, last = T[:, :3, :3], T.new_tensor([0.0, 0, 0, 1])
    off = (R @ R.transpose(1, 2) - torch.eye(3, device=device, dtype=T.dtype)).abs().amax((1, 2))
    good = torch.isfinite(T).all(2).all(1) & (off < 1e-5) & (torch.linalg.det(R) > 0) & ((T[:, 3] - last).abs() < 1e-9).all(1)
    if not good.all():
        i = int(torch.nonzero(~good)[0, 0])
        raise ValueError(f"T_world_cam[{i}] must be a finite rigid transform, got {T[i].tolist()}")
    return T


def _times(time_s: torch.Tensor | Sequence[float] | None, count: int, device: torch.device) -> torch.Tensor | None:
    if time_s is None:
        return None
    times = _tensor(time_s, device).double()
    if times.shape != (count,) or not torch.isfinite(times).all():
        raise ValueError(f"time_s must be {count} finite seconds, one for each pose or ray, got {time_s!r}")
    return times


def _vectors(name: str, values: torch.Tensor | np.ndarray, device: torch.device) -> torch.Tensor:
    vectors = _tensor(values, device).double()
    if vectors.ndim != 2 or vectors.shape[1] != 3 or not torch.isfinite(vectors).all():
        raise ValueError(f"{name} must be finite and of shape (N, 3), got shape {tuple(vectors.shape)}")
    return vectors
