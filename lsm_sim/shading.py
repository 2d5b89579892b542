# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Colours of pixels from what they see: place on the face, picture, light map, reflection of the surroundings."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_sim.atlas import Atlas, atlas, look_up
from lsm_sim.caster import Hits
from lsm_sim.face_table import BALL, COLUMNS, FLAT, FaceTable, build_face_table
from lsm_sim.lighting import PROBE_SIDE, Light, light_world
from lsm_sim.packing import PackedWorlds
from lsm_sim.pictures import library
from lsm_sim.surroundings import Surroundings, probe_rays, reflections
from lsm_sim.world import MAX_FACES, World

_SAMPLES_PER_WORLD = 350_000
_SPACINGS = (0.035, 0.05, 0.07, 0.1, 0.14, 0.2)
_BLOCK_PIXELS = {"cpu": 1 << 16, "cuda": 1 << 23}  # on a CPU what is worked on should stay in its caches
_GLOSSY = 0.04
_KEY = 0.31
"""Mean linear brightness that a world gets in its images."""

_AT = {name: i for i, name in enumerate(COLUMNS)}


@dataclass(frozen=True)
class Faces:
    """The faces of all parts of all worlds as tensors, one column each, and one last for pixels that see nothing.

    values (len(COLUMNS), F + 1) float32; index (4, F + 1) int32: picture, first sample of the light map, its width, its
    height; kind (F + 1,) uint8, inner (F + 1, 3, 4), taper, swapped (F + 1,): for curved faces.
    """

    values: torch.Tensor
    index: torch.Tensor
    kind: torch.Tensor
    inner: torch.Tensor
    taper: torch.Tensor
    swapped: torch.Tensor


@dataclass(frozen=True)
class Moving:
    """Faces of what moves, M columns that follow the `base` columns of `Faces`: for each camera those of its world.

    slot (N,) int32: for each pixel the sixth of the column, less base, of its part if that moves, else -1. values as of
    Faces, in the world; column (M,): where they come from; R (M, 3, 3), t (M, 3): mover to world.
    """

    base: int
    slot: torch.Tensor
    values: torch.Tensor
    column: torch.Tensor
    R: torch.Tensor
    t: torch.Tensor

    def origin(self, index: torch.Tensor) -> torch.Tensor:
        """Columns of `Faces` that columns (N,) come from."""
        return torch.where(index >= self.base, self.column[(index - self.base).clamp(min=0).long()].to(index.dtype), index)

    def back(self, index: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Points (3, N) of the world in the frames of the movers of columns (N,), as they are where nothing moves."""
        k = (index.long() - self.base).clamp(min=0)
        return torch.where(index >= self.base, torch.einsum("nij,in->jn", self.R[k], points - self.t[k].T), points)

    def turn(self, index: torch.Tensor, normals: torch.Tensor) -> torch.Tensor:
        """Normals (3, N) of movers' frames in the world."""
        k = (index.long() - self.base).clamp(min=0)
        return torch.where(index >= self.base, torch.einsum("nij,jn->in", self.R[k], normals), normals)


class Shader:
    """Colours of what cameras see in worlds. The light of a world is computed when it is first seen."""

    def __init__(self, worlds: Sequence[World], packed: PackedWorlds, device: torch.device) -> None:
        self.device, self.packed, self._worlds = device, packed, tuple(worlds)
        self._atlas: Atlas = atlas(device)
        self._tables = [_table(w, self._atlas.side) for w in worlds]
        self.faces = _joined(self._tables, device)
        starts = np.cumsum([0] + [t.samples for t in self._tables])
        self._starts = starts
        self._light = torch.zeros((3, int(starts[-1]) + 4), device=device)
        self._lit = np.zeros(len(self._worlds), bool)
        self._around = Surroundings(worlds, device)

    @torch.no_grad()
    def light(self, world: int) -> None:
        """Computes the light of a world, if that is not done yet."""
        if self._lit[world]:
            return
        self._lit[world] = True
        table, first = self._tables[world], int(self.packed.offsets[world])
        rows = slice(first * MAX_FACES, (first + len(self._worlds[world])) * MAX_FACES)
        values = self.faces.values[:, rows]
        albedo = self._atlas.mean[self.faces.index[0, rows].long()] * values[_AT["red"]:_AT["blue"] + 1].T
        light: Light = light_world(self._worlds[world], table, albedo, self.device)
        at = int(self._starts[world])
        own = self._light[:, at:at + table.samples]
        own[:] = light.map
        origin, rays = probe_rays(light.probes, self.device)
        part = torch.where(light.hits.part >= 0, light.hits.part + first, light.hits.part)
        index = self._columns(part.reshape(-1), light.hits.face.reshape(-1))
        depth = torch.where(light.hits.part >= 0, light.hits.depth, 0.0).reshape(-1)
        point = torch.addcmul(origin, rays, depth)
        # Exposure is set by what the probes see.
        albedo, lit, *_ = self._surface(index, point, depth, 0.5 * PROBE_SIDE, None)
        own *= _exposure(albedo * (lit - self.faces.values[_AT["glow"], index.long()]))
        albedo, lit, *_ = self._surface(index, point, depth, 0.5 * PROBE_SIDE, None)
        self._around.fill(world, self._worlds[world], light, albedo * lit)

    @torch.no_grad()
    def shade(self, hits: Hits, world: torch.Tensor, T_world_cam: torch.Tensor, camera: CameraIntrinsics,
              time_s: torch.Tensor | None = None) -> torch.Tensor:
        """Linear colours (3, C, H, W) float32 of what cameras see; 1 is white in good light. Arguments as of `cast`."""
        for w in torch.unique(world).tolist():
            self.light(w)
        count, height, width = hits.depth.shape
        color = torch.empty((3, count, height, width), device=self.device)
        step = max(1, _BLOCK_PIXELS[self.device.type] // (height * width))
        for i in range(0, count, step):
            some = slice(i, i + step)
            block = Hits(hits.depth[some], hits.part[some], hits.face[some])
            times = None if time_s is None else time_s[some]
            color[:, some] = self._shade(block, world[some], T_world_cam[some], camera, times)
        return color

    def _shade(self, hits: Hits, world: torch.Tensor, T_world_cam: torch.Tensor, camera: CameraIntrinsics,
               time_s: torch.Tensor | None) -> torch.Tensor:
        C, H, W = hits.depth.shape
        part, face = hits.part.reshape(-1), hits.face.reshape(-1)
        index = self._columns(part, face)
        moving = self._moving(hits, world, time_s)
        if moving is not None:
            index = torch.where((moving.slot >= 0) & (part >= 0), moving.base + moving.slot * MAX_FACES + face, index)
        depth = torch.where(part >= 0, hits.depth.reshape(-1), 0.0)
        rays = _rays(camera, self.device)
        pose = T_world_cam[:, :3].float().permute(1, 2, 0)[..., None]
        # Spelt out, since a matrix product may round differently in another batch.
        turned = (pose[:, 0] * rays[0]).addcmul_(pose[:, 1], rays[1]).addcmul_(pose[:, 2], rays[2])
        origin = pose[:, 3]
        point = torch.addcmul(origin, turned, depth.view(1, C, H * W)).reshape(3, -1)
        albedo, light, gloss, normal = self._surface(index, point, depth, camera.fx, moving)
        color = albedo.mul_(light)
        shiny = torch.nonzero(gloss > _GLOSSY)[:, 0]
        if len(shiny):
            chosen = turned.reshape(3, -1).index_select(1, shiny)
            owner = world[torch.div(shiny, H * W, rounding_mode="floor")]
            add, keep = reflections(self._around, owner, point.index_select(1, shiny), chosen,
                                    normal.index_select(1, shiny), gloss[shiny])
            color[:, shiny] = color.index_select(1, shiny) * keep + add
        return color.view(3, C, H, W)

    def _columns(self, part: torch.Tensor, face: torch.Tensor) -> torch.Tensor:
        last = self.faces.values.shape[1] - 1
        return torch.where(part >= 0, part * MAX_FACES + face, last)

    def _moving(self, hits: Hits, world: torch.Tensor, time_s: torch.Tensor | None) -> Moving | None:
        """Columns for the faces of what moves, as they stand in the world at each camera's time; None if nothing does."""
        packed = self.packed
        if not len(packed.movers):
            return None
        parts = torch.nonzero(packed.mover >= 0)[:, 0]
        pairs = torch.nonzero(packed.world[parts][None] == world[:, None])
        if not len(pairs):
            return None
        camera, part = pairs[:, 0], parts[pairs[:, 1]]
        time = torch.zeros(len(world), device=self.device, dtype=torch.float64) if time_s is None else time_s
        R, t = packed.movers.poses(packed.mover[part], time[camera])
        R, t = (x.float().repeat_interleave(MAX_FACES, 0) for x in (R, t))
        column = (part[:, None] * MAX_FACES + torch.arange(MAX_FACES, device=self.device)).reshape(-1)
        values = self.faces.values[:, column].clone()
        for first in (_AT["nx"], _AT["sx"], _AT["tx"]):
            values[first:first + 3] = torch.einsum("nij,jn->in", R, values[first:first + 3])
        for name in ("s", "t"):
            values[_AT[name + "0"]] -= (values[_AT[name + "x"]:_AT[name + "z"] + 1] * t.T).sum(0)
        slot = torch.full((len(world), len(packed)), -1, dtype=torch.int32, device=self.device)
        slot[camera, part] = torch.arange(len(part), dtype=torch.int32, device=self.device)
        at = slot[torch.arange(len(world), device=self.device)[:, None], hits.part.reshape(len(world), -1).clamp(min=0).long()]
        return Moving(self.faces.values.shape[1], at.reshape(-1), values, column, R, t)

    def _surface(self, index: torch.Tensor, point: torch.Tensor, depth: torch.Tensor, focal_px: float,
                 moving: Moving | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Albedo and light (3, N), gloss (N,), normal (3, N) at points (3, N) of the faces in columns `index` (N,)."""
        values, ints = self.faces.values, self.faces.index
        if moving is not None:
            values, ints = torch.cat([values, moving.values], 1), torch.cat([ints, ints[:, moving.column]], 1)
        v = values.index_select(1, index)
        picture, first, nu, nv = ints.index_select(1, index).unbind(0)
        x, y, z = point.unbind(0)
        s = (v[6].addcmul_(v[3], x)).addcmul_(v[4], y).addcmul_(v[5], z)
        t = (v[10].addcmul_(v[7], x)).addcmul_(v[8], y).addcmul_(v[9], z)
        self._bend(index, point, s, t, v, moving)
        s.clamp_(0, 1)
        t.clamp_(0, 1)
        light = look_up(self._light, *_light_corners(s, t, first, nu, nv))
        light += v[_AT["glow"]]
        texels = _texel_corners(self._atlas, s, t, v, picture, depth, focal_px)
        albedo = look_up(self._atlas.texels, *texels)
        albedo *= v[_AT["red"]:_AT["blue"] + 1] * (1 / 255)
        return albedo, light, v[_AT["gloss"]], v[0:3]

    def _bend(self, index: torch.Tensor, point: torch.Tensor, s: torch.Tensor, t: torch.Tensor, v: torch.Tensor,
              moving: Moving | None) -> None:
        """Puts s, t and the normal of pixels on curved faces right."""
        faces = self.faces
        origin = index if moving is None else moving.origin(index)
        rows = torch.nonzero(faces.kind[origin] != FLAT)[:, 0]
        if not len(rows):
            return
        column, p = origin[rows].long(), point.index_select(1, rows)
        if moving is not None:
            p = moving.back(index[rows], p)
        inner = faces.inner[column]
        local = torch.einsum("nij,jn->in", inner[..., :3], p) + inner[..., 3].T
        lx, ly, lz = local.unbind(0)
        ball = faces.kind[column] == BALL
        around = torch.atan2(ly, lx) * (0.5 / np.pi) + 0.5
        down = torch.where(ball, torch.acos(lz.clamp(-1, 1)) * (1 / np.pi), 0.5 - 0.5 * lz)
        widening = 0.5 * (faces.taper[column] - 1)
        slope = torch.where(ball, lz, -widening * (1 + widening * (lz + 1)))
        normal = torch.einsum("nij,in->jn", inner[..., :3], torch.stack([lx, ly, slope]))
        if moving is not None:
            normal = moving.turn(index[rows], normal)
        swap = faces.swapped[column]
        s[rows], t[rows] = torch.where(swap, down, around), torch.where(swap, around, down)
        v[0:3, rows] = torch.nn.functional.normalize(normal, dim=0)


def _exposure(color: torch.Tensor) -> float:
    """Factor that makes a world look like a well exposed photograph; color (3, N): what probes in it see."""
    shine = color.mean(0)
    # Bright spots around lamps do not count in full.
    level = float(shine.clamp(max=3 * float(shine.median()) + 1e-6).mean())
    return _KEY / max(level, 1e-4)


def _light_corners(s: torch.Tensor, t: torch.Tensor, first: torch.Tensor, nu: torch.Tensor, nv: torch.Tensor) -> tuple:
    """Corners and weights for `look_up` in light maps whose outermost samples lie on the edges of the face."""
    x, y = s * (nu - 1), t * (nv - 1)
    x0, y0 = torch.minimum(x.int(), nu - 2), torch.minimum(y.int(), nv - 2)
    top = torch.addcmul(first + x0, y0, nu)
    low = top + nu
    return (top, top + 1, low, low + 1), x - x0, y - y0


def _texel_corners(pictures: Atlas, s: torch.Tensor, t: torch.Tensor, v: torch.Tensor, picture: torch.Tensor,
                   depth: torch.Tensor, focal_px: float) -> tuple:
    """Corners and weights for `look_up` in the mip level whose texels are about as large as pixels."""
    per_px = v[_AT["texels_per_m"]] * depth
    level = torch.log2(per_px.mul_(1 / focal_px).clamp_(min=1e-3)).add_(0.4).clamp_(0, pictures.levels - 1).int()
    side = torch.bitwise_right_shift(pictures.side, level)
    start = pictures.start.index_select(0, level)
    x = torch.addcmul(v[_AT["ou"]], v[_AT["ru"]], s)
    y = torch.addcmul(v[_AT["ov"]], v[_AT["rv"]], t)
    # The neighbour of the edge of a fitted picture is not its other edge.
    free = (1 - v[_AT["fitted"]]) * 1e6
    x, y = (torch.minimum(torch.maximum(a.mul_(side).sub_(0.5), -free), free + (side - 1)) for a in (x, y))
    x0, y0 = x.floor(), y.floor()
    wx, wy = x - x0, y - y0
    last = side - 1
    x0, y0 = x0.int(), y0.int()
    x1, y1 = (x0 + 1) & last, (y0 + 1) & last
    x0, y0 = x0 & last, y0 & last
    start = torch.addcmul(start, picture * side, side)
    top, low = torch.addcmul(start, y0, side), torch.addcmul(start, y1, side)
    return (top + x0, top + x1, low + x0, low + x1), wx, wy


@lru_cache(maxsize=8)
def _rays(camera: CameraIntrinsics, device: torch.device) -> torch.Tensor:
    """(3, H * W) float32 rays with z = 1; where the lens has none, straight ahead."""
    rays = np.nan_to_num(camera.rays(unit=False), nan=0.0).reshape(-1, 3)
    return torch.as_tensor(np.ascontiguousarray(rays.T), dtype=torch.float32, device=device)


def _table(world: World, side: int) -> FaceTable:
    """Face table of a world, its light maps as fine as the limit on their samples allows."""
    pictures = library()
    index = [pictures.index(m.texture, m.variant) for m in world.materials]
    fitted = [pictures.fitted(m.texture) for m in world.materials]
    for spacing in _SPACINGS:
        table = build_face_table(world, index, fitted, side, spacing)
        if table.samples <= _SAMPLES_PER_WORLD * max(1.0, 0.25 * len(world.zones)):
            break
    return table


def _joined(tables: Sequence[FaceTable], device: torch.device) -> Faces:
    """The tables of all worlds one after the other, and the column of what is nothing."""
    starts = np.cumsum([0] + [t.samples for t in tables])
    nothing = np.zeros((len(COLUMNS), 1), np.float32)
    nothing[_AT["nz"]] = 1
    values = np.concatenate([t.values for t in tables] + [nothing], 1)
    index = [np.stack([t.picture, t.light + at, t["nu"], t["nv"]]).astype(np.int32)
             for t, at in zip(tables, starts[:-1], strict=True)]
    index.append(np.array([[0], [int(starts[-1])], [2], [2]], np.int32))
    curved = [np.concatenate([*(getattr(t, n) for t in tables), end]) for n, end in
              (("kind", np.zeros(1, np.uint8)), ("inner", np.zeros((1, 3, 4), np.float32)),
               ("taper", np.ones(1, np.float32)), ("swapped", np.zeros(1, bool)))]
    return Faces(*(torch.as_tensor(a, device=device) for a in (values, np.concatenate(index, 1), *curved)))
