# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The nearest part in each pixel of tiles: candidates met in the order of their nearness, then exact depth and face."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from lsm_sim.ray_solids import box, cylinder, ellipsoid, plane_forms
from lsm_sim.tiles import PIXELS, Candidates, TileGrid
from lsm_sim.world import NO_PART, Shape

_TOLERANCE = 2e-5  # metres that float32 may be wrong by before depth is computed in float64


@dataclass(frozen=True)
class Views:
    """Parts as seen by cameras, V pairs: camera (V,), part (V,), shape (V,), the camera o (V, 3) and its directions
    M (V, 3, 3) in the part's frame scaled by its half extents, taper (V,), all float64.
    """

    camera: torch.Tensor
    part: torch.Tensor
    shape: torch.Tensor
    o: torch.Tensor
    M: torch.Tensor
    taper: torch.Tensor

    def planes(self) -> torch.Tensor:
        """Planes (V, 9, 3) float64 of the parts' bounding boxes, see `plane_forms`."""
        wide = torch.where(self.shape == Shape.CYLINDER, self.taper.clamp(min=1), 1.0)
        return plane_forms(self.o, self.M, torch.stack([wide, wide, torch.ones_like(wide)], 1))


def sweep(grid: TileGrid, views: Views, planes: torch.Tensor, pairs: Candidates, cameras: int, near: float,
          chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest part in each pixel: inverse depth (C * T, 64) float32, inf where the lens has no ray, and code int32.

    The code is 4 * view + axis of the face of a box, 0 for other shapes, and -1 where nothing is met. `planes` as of
    `views`, `chunk` tiles are done at once.
    """
    best = torch.where(grid.valid, 0.0, torch.inf).repeat(cameras, 1)
    seen = torch.full(best.shape, -1, dtype=torch.int32, device=best.device)
    single = _Single(planes.float(), views.o.float(), views.M.float(), views.taper.float())
    # Boxes first: they are most parts, and walls among them hide what is behind.
    for shape in Shape:
        chosen = torch.nonzero(views.shape[pairs.view] == shape)[:, 0]
        order, start, stop = _sorted(pairs, chosen, len(best))
        for i in range(0, len(best), chunk):
            some = slice(i, i + chunk)
            tile = torch.arange(i, min(i + chunk, len(best)), device=best.device) % grid.tiles
            rows = grid.rays, tile, order, start[some], stop[some]
            _sweep_tiles(shape, rows, pairs, single, near, best[some], seen[some])
    return best, seen


@dataclass(frozen=True)
class _Single:
    planes: torch.Tensor
    o: torch.Tensor
    M: torch.Tensor
    taper: torch.Tensor


def _sorted(pairs: Candidates, chosen: torch.Tensor, tiles: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs by tile, those that may be nearest first, and where those of each tile start and stop (tiles,)."""
    tile, u = pairs.tile[chosen], pairs.u[chosen].contiguous()
    # The bits of positive floats sort like the floats.
    key = (tile << 32) + (0x7FFFFFFF - u.view(torch.int32))
    stop = torch.cumsum(torch.bincount(tile, minlength=tiles), 0)
    return chosen[torch.argsort(key)], torch.cat([stop.new_zeros(1), stop[:-1]]), stop


def _sweep_tiles(shape: Shape, rows: tuple, pairs: Candidates, single: _Single, near: float, best: torch.Tensor,
                 seen: torch.Tensor) -> None:
    """Meets the rays of tiles with their parts of one shape, the k-th of all tiles at once, until none can be nearer."""
    all_rays, tile, order, at, stop = rows
    at = at.clone()
    active = torch.arange(len(at), device=at.device)
    while True:
        active = active[at[active] < stop[active]]
        pair = order[at[active]]
        left = torch.nonzero(pairs.u[pair] > best[active].amin(1))[:, 0]
        active, pair = active[left], pair[left]
        if not len(active):
            return
        view = pairs.view[pair]
        u, axis = _inverse_depth(shape, single, view, all_rays[tile[active]], near)
        old = best[active]
        nearer = u > old
        best[active] = torch.where(nearer, u, old)
        seen[active] = torch.where(nearer, 4 * view[:, None].int() + axis, seen[active])
        at[active] += 1


def _inverse_depth(shape: Shape, single: _Single, view: torch.Tensor, rays: torch.Tensor,
                   near: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Inverse depth (n, 64), 0 for a miss, and axis of the face, of views (n,) of one shape met by rays (n, 3, 64)."""
    none = torch.zeros(1, dtype=torch.int32, device=rays.device)
    if shape == Shape.BOX:
        values = single.planes[view] @ rays
        x, y, z, leave = *values[:, :3].unbind(1), values[:, 3:].amax(1)
        u = torch.minimum(torch.minimum(x, y), z)
        axis = torch.where(x == u, none, torch.where(y == u, none + 1, none + 2))
        return torch.where((u >= leave) & (u <= 1 / near), u, 0.0), axis
    o, m = single.o[view][..., None].unbind(1), (single.M[view] @ rays).unbind(1)
    if shape == Shape.ELLIPSOID:
        return 1 / ellipsoid(o, m, near), none
    return 1 / cylinder(o, m, single.taper[view][:, None], near)[0], none


def meet(o: torch.Tensor, m: torch.Tensor, shape: torch.Tensor, taper: torch.Tensor,
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


def finish(grid: TileGrid, views: Views, planes: torch.Tensor, best: torch.Tensor,
           seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Depth (C * T, 64) float32, part int32 and face uint8 of the codes that `sweep` found.

    Depth is computed again in float64 where float32 may be wrong by more than _TOLERANCE: on planes that are far away at
    a grazing angle, and on all that is round, where a rim is steep.
    """
    flat = views.shape == Shape.BOX
    # By code: 4 * view + axis of the face. The last row is that of pixels that see nothing.
    enter = pad(planes[:, :3], (0, 0, 0, 1))
    error = torch.where(flat[:, None], enter.abs().sum(2) * 2.0**-22, torch.inf).float().flatten()
    axis = torch.arange(4, device=best.device, dtype=torch.uint8)
    side = pad(views.o > 0, (0, 1)).to(torch.uint8)
    face = torch.where(flat[:, None], 2 * axis + side, 0).to(torch.uint8).flatten()
    face, error = pad(face, (0, 1)), pad(error, (0, 1))
    part = pad(views.part.int(), (0, 1), value=NO_PART)
    code = torch.where(seen < 0, 4 * len(views.part), seen)
    depth = torch.where(grid.valid.repeat(len(best) // grid.tiles, 1), 1 / best, torch.inf)
    rough = (error[code].view(-1, grid.tiles, PIXELS) * grid.size).view_as(depth) * depth * depth > _TOLERANCE
    found_part, found_face = part[code >> 2], face[code]
    index = torch.nonzero(rough.flatten())[:, 0]
    code = code.flatten()[index].long()
    view = code >> 2
    rays = grid.rays64.transpose(1, 2).reshape(-1, 3)[index % (grid.tiles * PIXELS)]
    flats = torch.nonzero(flat[view])[:, 0]
    rounds = torch.nonzero(~flat[view])[:, 0]
    t = torch.empty_like(rays[:, 0])
    t[flats] = 1 / (enter.flatten(0, 1)[code[flats]] * rays[flats]).sum(1)
    v = view[rounds]
    m = (views.M[v] @ rays[rounds, :, None])[..., 0]
    t[rounds], found_face.view(-1)[index[rounds]] = meet(views.o[v], m, views.shape[v], views.taper[v], 0.0)
    # A ray that in float64 passes the part, by a hair, keeps what float32 found.
    depth.view(-1)[index] = torch.where(torch.isfinite(t), t.float(), depth.view(-1)[index])
    return depth, found_part, found_face
