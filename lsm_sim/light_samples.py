# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The lights of a world as points, each with a cube map of its view: lamps, windows, and what surfaces throw back.

A lamp with a radius becomes a few points spread over it, which softens shadows. A wide lamp close to a wall is a window:
it shines away from the wall. Light thrown back (and that of a zone's surroundings) comes from points on the surfaces
that a probe in the zone sees: virtual point lights (Keller, "Instant radiosity", 1997), with disc form factors.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lsm_sim.caster import Hits, RayCaster
from lsm_sim.cube_map import SIDES, cube_camera, cube_lookup, cube_poses
from lsm_sim.solids import signed_distance
from lsm_sim.world import World, Zone

_SPREAD = np.array([[0.0, 0, 0], [1, 1, -0.3], [-1, 1, -0.3], [1, -1, -0.3], [-1, -1, -0.3]])
_MOST_POINTS = 100
_SHADOWLESS = ("lamp", "void")
_CHUNK = 48


@dataclass(frozen=True)
class LightSamples:
    """S points that shine. position, color (power included), normal (S, 3) float32: zero normal shines all round, else
    with the cosine; area (S,): m^2 of a disc, 0 for a lamp; radius (S,) metres; zone (S,) int64; depth (S, 6, n, n)
    float32: cube map, depth along each side's axis.
    """

    position: torch.Tensor
    color: torch.Tensor
    normal: torch.Tensor
    area: torch.Tensor
    radius: torch.Tensor
    zone: torch.Tensor
    depth: torch.Tensor


def shadow_world(world: World) -> World:
    """The world without what stands right around lamps, and without what moves, for light passes through these."""
    through = [i for i, name in world.label_space.names.items() if name in _SHADOWLESS]
    keep = (world.mover < 0) & ~np.isin(world.label, through)
    if not keep.any():
        keep[0] = True
    names = ("shape", "center", "R", "half", "taper", "label", "instance", "mover", "material")
    return replace(world, **{n: getattr(world, n)[keep] for n in names}, movers=())


def nearest_zone(zones: Sequence[Zone], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) index of the zone nearest to each point (N, 3), and (N,) metres to it, 0 inside."""
    best, distance = np.zeros(len(points), np.int64), np.full(len(points), np.inf)
    for i, zone in enumerate(zones):
        d = np.linalg.norm(np.maximum(np.maximum(zone.low - points, points - zone.high), 0), axis=1)
        best, distance = np.where(d < distance, i, best), np.minimum(d, distance)
    return best, distance


def cubes(caster: RayCaster, positions: np.ndarray, side: int) -> Hits:
    """Cube maps (N, 6, side, side) of what is seen from positions (N, 3) in the caster's first world."""
    poses, camera = cube_poses(positions).reshape(-1, 4, 4), cube_camera(side)
    found = [caster.cast([0] * len(T), T, camera)
             for T in (poses[i:i + _CHUNK] for i in range(0, len(poses), _CHUNK))]
    shape = (len(positions), SIDES, side, side)
    return Hits(*(torch.cat([getattr(h, n) for h in found]).view(shape) for n in ("depth", "part", "face")))


def lamp_samples(world: World, caster: RayCaster, side: int) -> LightSamples:
    """Points of all lamps of a world with their cube maps; `caster` holds its `shadow_world`."""
    device = caster.device
    if not world.lamps:
        return _samples([np.zeros((0, 3))] * 3, np.zeros(0), np.zeros(0), np.zeros(0, np.int64),
                        torch.zeros((0, SIDES, side, side), device=device))
    center = np.array([lamp.position for lamp in world.lamps], dtype=np.float64)
    radius = np.array([lamp.radius for lamp in world.lamps], dtype=np.float64)
    color = np.array([np.multiply(lamp.color, lamp.power) for lamp in world.lamps], dtype=np.float64)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    free = caster.cast_rays([0] * (6 * len(center)), np.repeat(center, 6, 0), np.tile(axes, (len(center), 1)), near=1e-3)[0]
    free = np.minimum(free.cpu().numpy().reshape(-1, 6), 10.0)
    # A window is wide and has a wall right behind it.
    behind = free[:, [0, 1, 3, 4]].argmin(1)
    window = (radius > 0.2) & (free[np.arange(len(center)), np.array([0, 1, 3, 4])[behind]] < 0.45)
    normal = np.where(window[:, None], -axes[[0, 1, 3, 4]][behind], 0.0)
    points = 5 if len(center) * 5 <= _MOST_POINTS else 3 if len(center) * 3 <= _MOST_POINTS else 1
    spread = _SPREAD[:points] if points != 3 else _SPREAD[[0, 1, 4]]
    # The points of a window lie in its plane.
    offset = np.where(window[:, None, None], 0.0, spread[None] * radius[:, None, None] * 0.6)
    across = np.cross(normal, (0.0, 0.0, 1.0))
    upright = spread[None, :, :1] * across[:, None] + spread[None, :, 1:2] * np.array([0.0, 0.0, 1.0])
    offset += window[:, None, None] * radius[:, None, None] * upright
    offset = np.clip(offset, -0.7 * free[:, None, 3:], 0.7 * free[:, None, :3])
    position = (center[:, None] + offset).reshape(-1, 3)
    rows = np.repeat(np.arange(len(center)), points)
    zone, _ = nearest_zone(world.zones, position)
    return _samples((position, color[rows] / points, normal[rows]), np.zeros(len(rows)), np.maximum(radius[rows], 0.05), zone,
                    cubes(caster, position, side).depth)


def probe_positions(world: World, every: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Free points (N, 3) at about eye height in the middle of zones, one for each `every` metres of a long one, and the
    zone (N,) of each."""
    candidates, owner, zone = [], [], []
    for i, z in enumerate(world.zones):
        extent = z.high - z.low
        counts = np.maximum(1, np.ceil(extent[:2] / every).astype(int))
        grid = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in counts], indexing="ij"), -1).reshape(-1, 2)
        height = z.low[2] + min(1.5, 0.6 * extent[2])
        for share in grid:
            around = (np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]]) * 0.25) / counts
            xy = z.low[:2] + (share + around) * extent[:2]
            owner += [len(zone)] * len(xy)
            zone.append(i)
            candidates.append(np.column_stack([xy, np.full(len(xy), height)]))
    points = np.concatenate(candidates)
    room = signed_distance(world, points)
    owner_of = np.array(owner)
    # The middle is kept where 30 cm around it are free.
    score = np.minimum(room, 0.3)
    best = [int(np.flatnonzero(owner_of == k)[score[owner_of == k].argmax()]) for k in range(len(zone))]
    return points[best], np.array(zone, np.int64)


def surface_samples(hits: Hits, probes: np.ndarray, zone: np.ndarray, normals: torch.Tensor, count: int) -> tuple:
    """Points on the surfaces that probes see, spread evenly over all directions.

    hits: cube maps of the probes (N, 3); normals (F, 3) of faces. Returns position (S, 3), normal (S, 3), area (S,),
    zone (S,), face (S,) as tensors, face = part * 6 + face of the hit.
    """
    n, device = hits.depth.shape[-1], hits.depth.device
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5 ** 0.5) * k
    d = np.column_stack([np.cos(angle) * np.sqrt(1 - z * z), np.sin(angle) * np.sqrt(1 - z * z), z])
    side, x, y, main = cube_lookup(torch.as_tensor(d.T, dtype=torch.float32, device=device))
    column, row = (((v + 1) * 0.5 * n).long().clamp(0, n - 1) for v in (x, y))
    depth, part, face = (getattr(hits, name)[:, side, row, column].reshape(-1) for name in ("depth", "part", "face"))
    rays = torch.as_tensor(np.tile(d, (len(probes), 1)), dtype=torch.float32, device=device)
    reach = depth / main.repeat(len(probes))
    index = part.long().clamp(min=0) * 6 + face.long()
    normal = normals[index]
    facing = -(rays * normal).sum(1)
    good = torch.nonzero((part >= 0) & torch.isfinite(reach) & (reach > 0.05) & (facing > 0.02))[:, 0]
    origin = torch.as_tensor(np.repeat(probes, count, 0), dtype=torch.float32, device=device)
    position = origin + rays * reach[:, None] + 0.02 * normal
    area = (4 * np.pi / count) * reach ** 2 / facing.clamp(min=0.25)
    owner = torch.as_tensor(np.repeat(zone, count), device=device)
    return tuple(v[good] for v in (position, normal, area.clamp(max=4.0), owner, index))


def _samples(vectors: Sequence[np.ndarray], area: np.ndarray, radius: np.ndarray, zone: np.ndarray,
             depth: torch.Tensor) -> LightSamples:
    position, color, normal, area, radius = (torch.as_tensor(a, dtype=torch.float32, device=depth.device)
                                             for a in (*vectors, area, radius))
    return LightSamples(position, color, normal, area, radius, torch.as_tensor(zone, device=depth.device), depth)
