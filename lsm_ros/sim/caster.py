# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Ray-caster: which part each pixel of many cameras in many worlds sees, and how far away, on CPU and GPU."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.sim.intersect import box, cylinder, ellipsoid, plane_forms
from lsm_ros.sim.packing import PackedWorlds, pack
from lsm_ros.sim.tiles import PIXELS, Candidates, TileGrid, candidates
from lsm_ros.sim.world import NO_PART, Shape, World

NEAR = 0.02
"""Metres along z nearer than which nothing is seen."""

_CHUNK_tileS = {"cpu": 1024, "cuda": 1 << 18}  # on a CPU what is worked on should stay in its caches
_CHUNK_CAMERAS = {"cpu": 4, "cuda": 512}
_CHUNK_PAIRS = {"cpu": 1 << 18, "cuda": 1 << 24}


@dataclass(frozen=True)
class Hits:
    """What C cameras see: depth (C, H, W) float32 metres along z, inf where nothing; part (C, H, W) int32, row of the
    packed parts, NO_PART where nothing; face (C, H, W) uint8, number of the part's face in `FACES`.
    """

    depth: torch.Tensor
    part: torch.Tensor
    face: torch.Tensor


@dataclass(frozen=True)
class Views:
    """Parts as seen by cameras, V pairs: camera (V,), part (V,), shape (V,), the camera o (V, 3) and its directions
    M (V, 3, 3) in the part's frame scaled by its half extents, taper (V,), forms (V, 9, 3) of its bounding box; float64.
    """

    camera: torch.Tensor
    part: torch.Tensor
    shape: torch.Tensor
    o: torch.Tensor
    M: torch.Tensor
    taper: torch.Tensor
    forms: torch.Tensor


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
        """What cameras see. world (C,) index of each one's world, T_world_cam (C, 4, 4), time_s (C,) seconds (0 if None).

        Pixels without a ray of the lens see nothing. ValueError for an index out of range and for a pose that is not
        finite or not rigid.
        """
        T = _rigid(T_world_cam, self.device)
        world, times = self._indices(world, len(T)), _times(time_s, len(T), self.device)
        grid, step = self._grid(camera), _CHUNK_CAMERAS[self.device.type]
        parts = [self._cast(grid, world[i:i + step], T[i:i + step], None if times is None else times[i:i + step])
                 for i in range(0, len(T), step)]
        depth, part, face = (torch.cat(values) for values in zip(*parts, strict=True))
        return Hits(depth, part, face)

    @torch.no_grad()
    def cast_rays(self, world: torch.Tensor | Sequence[int], origins: torch.Tensor | np.ndarray,
                  directions: torch.Tensor | np.ndarray, time_s: torch.Tensor | Sequence[float] | None = None,
                  near: float = NEAR) -> tuple[torch.Tensor, torch.Tensor]:
        """Where single rays end: t (N,) float64 in lengths of the directions, inf for nothing, and part (N,) int32.

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
            found, _ = _meet(views.o, reach, views.shape, views.taper, near)
            t[rows].scatter_reduce_(0, views.camera, found, "amin")
            best = torch.nonzero(torch.isfinite(found) & (found == t[rows][views.camera]))[:, 0]
            part[rows].scatter_reduce_(0, views.camera[best], views.part[best].int(), "amax")
        return t, part

    def _indices(self, world: torch.Tensor | Sequence[int], count: int) -> torch.Tensor:
        index = torch.as_tensor(world, device=self.device)
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
        # The camera's position goes out in float64: what is left is small where it has to be exact.
        M = R.transpose(1, 2) / half[..., None]
        o = (M @ (origin[camera] - center)[..., None])[..., 0]
        if R_world_cam is not None:
            M = M @ R_world_cam[camera]
        wide = torch.where(shape == Shape.CYLINDER, taper.clamp(min=1), 1.0)
        return Views(camera, part, shape, o, M, taper, plane_forms(o, M, torch.stack([wide, wide, torch.ones_like(wide)], 1)))

    def _cast(self, grid: TileGrid, world: torch.Tensor, T: torch.Tensor, times: torch.Tensor | None) -> tuple:
        views = self._views(world, T[:, :3, 3], T[:, :3, :3], times)
        forms = views.forms.float()
        pairs = candidates(grid, forms, views.shape == Shape.BOX, views.camera, len(T), NEAR)
        best = torch.where(grid.valid, 0.0, torch.inf).repeat(len(T), 1)
        seen = torch.full(best.shape, -1, dtype=torch.int32, device=self.device)
        unit = views.o.float(), views.M.float(), views.taper.float()
        for shape in Shape:
            chosen = torch.nonzero(views.shape[pairs.view] == shape)[:, 0]
            order, start, stop = _sorted(pairs, chosen, len(best))
            step = _CHUNK_tileS[self.device.type]
            for i in range(0, len(best), step):
                _sweep(shape, grid, slice(i, i + step), pairs, order, start, stop, best, seen, forms, unit)
        depth, face = _refined(grid, views, best, seen)
        part = torch.where(seen >= 0, views.part.int()[seen.clamp(min=0)], NO_PART)
        return grid.image(depth), grid.image(part), grid.image(face)


def _sorted(pairs: Candidates, chosen: torch.Tensor, tiles: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs by tile, those that may be nearest first, and where those of each tile start and stop (tiles,)."""
    tile, u = pairs.tile[chosen], pairs.u[chosen].contiguous()
    # The bits of positive floats sort like the floats.
    key = (tile << 32) + (0x7FFFFFFF - u.view(torch.int32))
    stop = torch.cumsum(torch.bincount(tile, minlength=tiles), 0)
    return chosen[torch.argsort(key)], torch.cat([stop.new_zeros(1), stop[:-1]]), stop


def _sweep(shape: Shape, grid: TileGrid, tiles: slice, pairs: Candidates, order: torch.Tensor, start: torch.Tensor,
           stop: torch.Tensor, best: torch.Tensor, seen: torch.Tensor, forms: torch.Tensor, unit: tuple) -> None:
    """Meets the rays of tiles with their parts of one shape, the k-th of all tiles at once, until none can be nearer.

    Writes inverse depth and view of the nearest to best and seen (tiles, 64).
    """
    at = start[tiles]
    active = torch.arange(len(at), device=at.device)
    best, seen, stop = best[tiles], seen[tiles], stop[tiles]
    at = at.clone()
    while True:
        left = torch.nonzero(at[active] < stop[active])[:, 0]
        active = active[left]
        pair = order[at[active]]
        left = torch.nonzero(pairs.u[pair] > best[active].amin(1))[:, 0]
        active, pair = active[left], pair[left]
        if not len(active):
            return
        view = pairs.view[pair]
        rays = grid.rays[(active + tiles.start) % grid.tiles]
        if shape == Shape.BOX:
            values = forms[view] @ rays
            u, leave = values[:, :3].amin(1), values[:, 3:].amax(1)
            u = torch.where((u >= leave) & (u <= 1 / NEAR), u, 0.0)
        else:
            o, m = unit[0][view][..., None].unbind(1), (unit[1][view] @ rays).unbind(1)
            t = ellipsoid(o, m, NEAR) if shape == Shape.ELLIPSOID else cylinder(o, m, unit[2][view][:, None], NEAR)[0]
            u = 1 / t
        old = best[active]
        nearer = u > old
        best[active] = torch.where(nearer, u, old)
        seen[active] = torch.where(nearer, view[:, None].int(), seen[active])
        at[active] += 1


def _meet(o: torch.Tensor, m: torch.Tensor, shape: torch.Tensor, taper: torch.Tensor,
          near: float) -> tuple[torch.Tensor, torch.Tensor]:
    """t (N,) and face (N,) at which rays enter parts: o, m (N, 3) in the frames of parts of these shapes and tapers."""
    t, face = torch.full_like(taper, torch.inf), torch.zeros_like(shape)
    for kind in Shape:
        rows = torch.nonzero(shape == kind)[:, 0]
        a, b = o[rows].unbind(1), m[rows].unbind(1)
        if kind == Shape.ELLIPSOID:
            t[rows] = ellipsoid(a, b, near)
        else:
            t[rows], face[rows] = box(a, b, near) if kind == Shape.BOX else cylinder(a, b, taper[rows], near)
    return t, face


def _refined(grid: TileGrid, views: Views, best: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth (C * T, 64) float32 and face: in float64 for the part that each ray sees, which float32 has found.

    A floor far away at a grazing angle, and the rim of a ball, would be off by more than 1e-4 m otherwise.
    """
    depth, face = torch.full_like(best, torch.inf), torch.zeros_like(best, dtype=torch.uint8)
    index = torch.nonzero(seen.flatten() >= 0)[:, 0]
    view = seen.flatten()[index].long()
    rays = grid.rays64.transpose(1, 2).reshape(-1, 3)[index % (grid.tiles * PIXELS)]
    m = (views.M[view] @ rays[..., None])[..., 0]
    t, which = _meet(views.o[view], m, views.shape[view], views.taper[view], 0.0)
    rough = 1 / best.flatten()[index]
    # A ray that in float64 passes the part, by a hair, keeps what float32 found.
    depth.view(-1)[index] = torch.where(torch.isfinite(t), t.float(), rough)
    face.view(-1)[index] = which
    return depth, face


def _rigid(T_world_cam: torch.Tensor | np.ndarray, device: torch.device) -> torch.Tensor:
    T = torch.as_tensor(T_world_cam, device=device).double()
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
    times = torch.as_tensor(time_s, device=device).double()
    if times.shape != (count,) or not torch.isfinite(times).all():
        raise ValueError(f"time_s must be {count} finite seconds, one for each pose or ray, got {time_s!r}")
    return times


def _vectors(name: str, values: torch.Tensor | np.ndarray, device: torch.device) -> torch.Tensor:
    vectors = torch.as_tensor(values, device=device).double()
    if vectors.ndim != 2 or vectors.shape[1] != 3 or not torch.isfinite(vectors).all():
        raise ValueError(f"{name} must be finite and of shape (N, 3), got shape {tuple(vectors.shape)}")
    return vectors
