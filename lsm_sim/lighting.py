# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The light on all surfaces of a world, computed once: light maps, and cube maps of the surroundings for reflections.

Every face has a small grid of samples (see `face_table`); each holds the light that falls on it, from the lamps that it
sees and from what lit surfaces throw back. Shading a pixel then costs one bilinear lookup for any number of lamps.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lsm_sim.caster import Hits, RayCaster
from lsm_sim.cube_map import cube_lookup
from lsm_sim.face_table import BALL, COLUMNS, FLAT, TUBE, FaceTable
from lsm_sim.light_samples import (
    LightSamples,
    cubes,
    lamp_samples,
    nearest_zone,
    probe_positions,
    shadow_world,
    surface_samples,
)
from lsm_sim.world import World

PROBE_SIDE = 64
"""Texels of a side of the cube maps of the surroundings."""

_LAMP_SIDE, _BOUNCE_SIDE = 64, 32
_BOUNCES = (28, 12, 220)
"""Points that throw back light for each probe: at most, at least, and about how many in all."""

_BLOCK = {"cpu": 1 << 17, "cuda": 1 << 25}
_REST = 0.06
"""Share of a zone's ambient light that reaches every corner."""

_MORE_BOUNCES = 1.8
"""Light that the second and later bounces add to the first."""


@dataclass(frozen=True)
class Places:
    """All samples of the light maps: position, normal (L, 3) float32 (movers: where they are at time 0), area (L,) m^2,
    face (L,) int64, zone (L,) int64 (-1: outside)."""

    position: torch.Tensor
    normal: torch.Tensor
    area: torch.Tensor
    face: torch.Tensor
    zone: torch.Tensor


@dataclass(frozen=True)
class Light:
    """Light of one world. map (3, L): light on each sample, in units of `Lamp.power`. probes (N, 3), probe_zone (N,):
    places in zones from which surroundings are seen; hits: what is seen from them, of shape (N, 6, n, n)."""

    map: torch.Tensor
    probes: np.ndarray
    probe_zone: np.ndarray
    hits: Hits


def sample_places(world: World, table: FaceTable, device: torch.device) -> Places:
    """Places of the samples of the light maps."""
    n = table["nu"].astype(np.int64) * table["nv"].astype(np.int64)
    n[np.diff(np.append(table.light, table.samples)) == 0] = 0
    face = np.repeat(np.arange(len(n)), n)
    at = np.arange(len(face)) - table.light[face]
    nu, nv = (table[c].astype(np.int64)[face] for c in ("nu", "nv"))
    s, t = (at % nu) / (nu - 1), (at // nu) / (nv - 1)
    R, center = world.poses(0.0)
    R, center, half = R[face // 6], center[face // 6], world.half[face // 6]
    taper = table.taper[face].astype(np.float64)
    unit, grad = _unit_places(table, face, s, t, taper, world)
    position = np.einsum("nij,nj->ni", R, unit * half) + center
    normal = np.einsum("nij,nj->ni", R, grad / half)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    zone, distance = nearest_zone(world.zones, position + 0.03 * normal)
    area = (table.size[:, 0] * table.size[:, 1] / np.maximum(n, 1))[face]
    tensors = (torch.as_tensor(a, dtype=torch.float32, device=device) for a in (position, normal, area))
    index = (torch.as_tensor(a, device=device) for a in (face, np.where(distance < 0.45, zone, -1)))
    return Places(*tensors, *index)


def _unit_places(table: FaceTable, face: np.ndarray, s: np.ndarray, t: np.ndarray, taper: np.ndarray,
                 world: World) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) of faces in their parts' unit frames at (s, t), and gradients (N, 3) that point outwards."""
    kind = table.kind[face]
    unit, grad = np.zeros((len(face), 3)), np.zeros((len(face), 3))
    swap = table.swapped[face] & (kind != FLAT)
    s, t = np.where(swap, t, s), np.where(swap, s, t)
    angle = 2 * np.pi * (s - 0.5)
    k = kind == TUBE
    z = 1 - 2 * t[k]
    r = 1 + (taper[k] - 1) * (z + 1) / 2
    unit[k] = np.column_stack([r * np.cos(angle[k]), r * np.sin(angle[k]), z])
    grad[k] = np.column_stack([np.cos(angle[k]), np.sin(angle[k]), -(taper[k] - 1) / 2])
    k = kind == BALL
    polar = np.pi * t[k]
    unit[k] = grad[k] = np.column_stack([np.sin(polar) * np.cos(angle[k]), np.sin(polar) * np.sin(angle[k]), np.cos(polar)])
    # A flat face: the point of its plane where the affine functions of the table give (s, t).
    k = np.flatnonzero(kind == FLAT)
    v = {c: table[c][face[k]].astype(np.float64) for c in COLUMNS[:11]}
    R, center, half = world.R[face[k] // 6], world.center[face[k] // 6], world.half[face[k] // 6]
    ns, nt, nn = (np.column_stack([v[c + a] for a in "xyz"]) for c in ("s", "t", "n"))
    local_n = np.einsum("nji,nj->ni", R, nn)
    edge = np.abs(local_n * half).sum(1)
    p = center + nn * edge[:, None]
    for g, value in ((ns, s[k]), (nt, t[k])):
        p = p + g * ((value - 0.5) / np.maximum((g * g).sum(1), 1e-12))[:, None]
    unit[k] = np.einsum("nji,nj->ni", R, p - center) / half
    grad[k] = local_n * half
    return unit, grad


def light_world(world: World, table: FaceTable, albedo: torch.Tensor, device: torch.device) -> Light:
    """Light maps of a world; albedo (F, 3): mean colour of each face."""
    caster = RayCaster([shadow_world(world)], device)
    places = sample_places(world, table, device)
    neighbours = _neighbours(world)
    lamps = lamp_samples(world, caster, _LAMP_SIDE)
    light = torch.zeros((3, len(places.face)), device=device)
    _add(light, places, lamps, neighbours)
    full = RayCaster([world], device)
    probes, zone = probe_positions(world)
    hits = cubes(full, probes, PROBE_SIDE)
    most, least, total = _BOUNCES
    position, normal, area, owner, face = surface_samples(
        hits, probes, zone, torch.as_tensor(table.values[:3].T.copy(), device=device),
        min(most, max(least, total // len(probes))))
    ambient = torch.tensor([z.ambient for z in world.zones], dtype=torch.float32, device=device)
    spots = Places(position, normal, area, face, owner)
    direct = torch.zeros((3, len(face)), device=device)
    _add(direct, spots, lamps, neighbours)
    # Where there are lamps, what they light is most of the light around.
    around = ambient * (0.5 if len(lamps.position) else 1.0)
    thrown = _MORE_BOUNCES * albedo[face] * direct.T + around[owner][:, None]
    depth = cubes(caster, position.double().cpu().numpy(), _BOUNCE_SIDE).depth
    _add(light, places, LightSamples(position, thrown, normal, area, torch.full_like(area, 0.3), owner, depth), neighbours)
    inside = places.zone >= 0
    light[:, inside] += _REST * around[places.zone[inside]]
    return Light(light, probes, zone, hits)


def _neighbours(world: World) -> list[list[int]]:
    """Zones whose light reaches each zone: itself and those that a doorway joins to it, or that overlap or touch it."""
    out = []
    for i, a in enumerate(world.zones):
        joined = {i} | {j for d in world.doorways if i in d.zones for j in d.zones}
        joined |= {j for j, b in enumerate(world.zones)
                   if (a.low[:2] <= b.high[:2] + 0.02).all() and (b.low[:2] <= a.high[:2] + 0.02).all()}
        out.append(sorted(joined))
    return out


def _add(light: torch.Tensor, places: Places, lights: LightSamples, neighbours: list[list[int]]) -> None:
    """Adds to light (3, L) what falls on places from lights of their zone and of its neighbours."""
    block = _BLOCK[light.device.type]
    order = torch.argsort(places.zone, stable=True)
    ends = torch.searchsorted(places.zone[order], torch.arange(-1, len(neighbours), device=light.device), right=True).tolist()
    for zone, joined in enumerate(neighbours):
        wanted = torch.zeros(len(neighbours), dtype=torch.bool, device=light.device)
        wanted[joined] = True
        chosen = torch.nonzero(wanted[lights.zone])[:, 0]
        if not len(chosen):
            continue
        step = max(1, block // len(chosen))
        for i in range(ends[zone], ends[zone + 1], step):
            rows = order[i:min(i + step, ends[zone + 1])]
            light[:, rows] += _falling(places.position[rows].T.contiguous(), places.normal[rows].T.contiguous(), lights, chosen)


def _falling(p: torch.Tensor, n: torch.Tensor, lights: LightSamples, k: torch.Tensor) -> torch.Tensor:
    """(3, N) light that falls on points p (3, N) with normals n (3, N) from lights k (K,)."""
    # Pairs whose faces look away from each other go first: they are more than half.
    at, m, area = lights.position[k].T[:, :, None], lights.normal[k].T[:, :, None], lights.area[k]
    omni = (m == 0).all(0)
    d = p[:, None] - at
    facing, leaving = -(d * n[:, None]).sum(0), (d * m).sum(0)
    light, point = torch.nonzero((facing > 0) & (omni | (leaving > 0)), as_tuple=True)
    pair = light * p.shape[1] + point
    d = d.reshape(3, -1).index_select(1, pair)
    facing, leaving = facing.reshape(-1)[pair], leaving.reshape(-1)[pair]
    chosen = k[light]
    r2 = d.square().sum(0).clamp_(min=1e-6)
    r = r2.sqrt()
    # A lamp before a wall shines to one side only, twice as bright; a disc has its form factor (radius 0).
    shape = torch.stack([area * (1 / np.pi) + (area == 0) * lights.radius[k] ** 2,
                         torch.where(area > 0, area * (1 / np.pi), torch.where(omni[:, 0], 1.0, 2.0))])[:, light]
    strength = shape[1] * facing / (r * (r2 + shape[0])) * torch.where(omni[light, 0], 1.0, leaving / r)
    # A point is looked up a little before its surface, or the surface would shade itself in the coarse map.
    d.addcmul_(n.index_select(1, point), 0.01 + (1.5 / lights.depth.shape[-1]) * r)
    strength *= _visible(lights.depth, chosen, d, bool((lights.area == 0).any()))
    falling = p.new_zeros(len(k) * p.shape[1])
    falling[pair] = strength
    return lights.color[k].T @ falling.view(len(k), -1)


def _visible(depth: torch.Tensor, k: torch.Tensor, d: torch.Tensor, smooth: bool) -> torch.Tensor:
    """(N,) share of light that gets from lights k (N,) to points at d (3, N) from them: one texel, or four weighted."""
    size = depth.shape[-1]
    side, x, y, main = cube_lookup(d)
    limit = main * 0.985 - 0.015
    x, y = ((v * 0.5 + 0.5) * size for v in (x, y))
    start = (k * 6 + side) * (size * size)
    flat = depth.reshape(-1)
    if not smooth:
        x, y = x.clamp(0, size - 1).long(), y.clamp(0, size - 1).long()
        return (flat[start + y * size + x] > limit).float()
    x, y = (x - 0.5).clamp_(0, size - 1.001), (y - 0.5).clamp_(0, size - 1.001)
    x0, y0 = x.long(), y.long()
    wx, wy = x - x0, y - y0
    first = start + y0 * size + x0
    a, b, c, d = ((flat[first + step] > limit).float() for step in (0, 1, size, size + 1))
    return torch.lerp(torch.lerp(a, b, wx), torch.lerp(c, d, wx), wy)
