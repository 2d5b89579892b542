# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pairs of views of simulated worlds with overlap, for training: straight to tensors on the device."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import se3_inverse
from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.renderer import Renderer
from lsm_sim.sensor import SensorConfig
from lsm_sim.source import SENSOR, seed_of
from lsm_sim.viewpoints import Viewpoints
from lsm_sim.world import World

_CANDIDATES = 3  # times the size of the batch: pairs whose overlap is computed, each time
_TRIES = 24
_COARSE = 4  # by which images are smaller when only the overlap is computed
_TOLERANCE = 0.03  # of the depth: how far a point may lie behind what is seen and still be that
_MARGIN = 0.02  # between the overlap as seen coarsely and in full
_BINS = 8


@dataclass(frozen=True)
class PairBatch:
    """B pairs of views. Tensors on the sampler's device.

    image1, image2 (B, 3, H, W) float32 in [0, 1]. points1, points2 (B, H, W, 3) float32: what each pixel of image 1 and 2
    shows, metres, both in camera 1. valid1, valid2 (B, H, W) bool. labels1, labels2 (B, H, W) int32, 65535 unlabelled.
    T_1_2 (B, 4, 4) float32: pose of camera 2 in camera 1. K (B, 3, 3) float32. overlap (B,): share of the pixels of
    image 1 whose point is visible in image 2. world (B,) int64: seed of the world.
    """

    image1: torch.Tensor
    image2: torch.Tensor
    points1: torch.Tensor
    points2: torch.Tensor
    valid1: torch.Tensor
    valid2: torch.Tensor
    labels1: torch.Tensor
    labels2: torch.Tensor
    T_1_2: torch.Tensor
    K: torch.Tensor
    overlap: torch.Tensor
    world: torch.Tensor


class PairSampler:
    """Endless batches of pairs; batch n depends on the arguments and on n alone, so that training can go on from any n.

    seeds: of the worlds to take from, in this order, over and over; kinds: of worlds, by turns. worlds: how many are held at
    once; after `batches_each` batches the next ones are built. overlap: range of the overlap, within which the pairs are
    spread evenly. fov_deg: range of the horizontal angle of view, drawn for each batch. sensor: None for clean images.
    ValueError for arguments out of range; RuntimeError if a set of worlds offers no pairs of such overlap.
    """

    def __init__(self, seeds: Sequence[int], batch: int = 16, width: int = 224, height: int = 160,
                 device: str | torch.device = "cpu", *, kinds: Sequence[str] = WORLD_KINDS, worlds: int = 4,
                 batches_each: int = 64, overlap: tuple[float, float] = (0.3, 0.95),
                 fov_deg: tuple[float, float] = (55.0, 90.0), sensor: SensorConfig | None = SENSOR, seed: int = 0) -> None:
        if not len(seeds) or not len(kinds):
            raise ValueError("a sampler needs seeds and kinds of worlds, got none")
        for name, value in (("batch", batch), ("worlds", worlds), ("batches_each", batches_each)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 < overlap[0] < overlap[1] <= 1 or overlap[1] - overlap[0] < 4 * _MARGIN:
            raise ValueError(f"overlap must be a range within 0 to 1, at least {4 * _MARGIN} wide, got {overlap}")
        if not 20 <= fov_deg[0] <= fov_deg[1] <= 120:
            raise ValueError(f"fov_deg must be a range within 20 to 120 degrees, got {fov_deg}")
        if min(width, height) < 16:
            raise ValueError(f"images must have 16 pixels or more a side, got {width}x{height}")
        self.seeds, self.kinds, self.device = [int(s) for s in seeds], tuple(kinds), torch.device(device)
        self.batch, self.width, self.height, self.seed = batch, width, height, int(seed)
        self._worlds, self._each = min(worlds, batch), batches_each
        self._overlap, self._fov, self._sensor = overlap, fov_deg, sensor
        self._group: tuple[int, Renderer | None, list[Viewpoints], list[World]] = (-1, None, [], [])

    def __iter__(self) -> Iterator[PairBatch]:
        n = 0
        while True:
            yield self.sample(n)
            n += 1

    def sample(self, n: int) -> PairBatch:
        """Batch number n >= 0."""
        if n < 0:
            raise ValueError(f"batches have numbers from 0, got {n}")
        renderer, viewpoints, worlds = self._ready(n // self._each)
        rng = np.random.default_rng([self.seed, n, 1])
        fov = math.radians(rng.uniform(*self._fov))
        camera = CameraIntrinsics.from_fov(self.width, self.height, fov)
        coarse = camera.resize(max(8, self.width // _COARSE), max(8, self.height // _COARSE))
        chosen = self._choose(renderer, viewpoints, coarse, rng)
        return self._render(renderer, worlds, chosen, camera, n)

    def close(self) -> None:
        """Forgets the worlds; they are built again when needed."""
        self._group = (-1, None, [], [])

    def _ready(self, group: int) -> tuple[Renderer, list[Viewpoints], list[World]]:
        """The worlds of a group of batches."""
        if self._group[0] != group:
            worlds = []
            for k in range(group * self._worlds, (group + 1) * self._worlds):
                worlds.append(build_world(self.seeds[k % len(self.seeds)], self.kinds[k % len(self.kinds)]))
            viewpoints = [Viewpoints(w) for w in worlds]
            self._group = (group, Renderer(worlds, self.device), viewpoints, worlds)
        _, renderer, viewpoints, worlds = self._group
        assert renderer is not None
        return renderer, viewpoints, worlds

    def _choose(self, renderer: Renderer, viewpoints: list[Viewpoints], camera: CameraIntrinsics,
                rng: np.random.Generator) -> _Pairs:
        """As many pairs as the batch has, spread evenly over the bins of overlap, as far as there are any."""
        low, high = self._overlap[0] + _MARGIN, self._overlap[1] - _MARGIN
        quota = np.bincount(rng.permutation(self.batch) % _BINS, minlength=_BINS)
        kept: list[_Pairs] = []
        spare: list[_Pairs] = []
        for attempt in range(_TRIES):
            found = self._candidates(renderer, viewpoints, camera, rng)
            for i in np.flatnonzero((found.overlap >= low) & (found.overlap <= high)):
                k = min(int((found.overlap[i] - low) / (high - low) * _BINS), _BINS - 1)
                one = found.rows(slice(i, i + 1))
                if quota[k] > 0:
                    quota[k] -= 1
                    kept.append(one)
                else:
                    spare.append(one)
            if quota.sum() == 0 or (attempt >= _TRIES // 3 and len(kept) + len(spare) >= self.batch):
                break
        pairs = (kept + spare)[:self.batch]
        if len(pairs) < self.batch:
            raise RuntimeError(f"only {len(pairs)} of {self.batch} pairs with an overlap of {self._overlap} were found")
        return _Pairs.joined(pairs)

    def _candidates(self, renderer: Renderer, viewpoints: list[Viewpoints], camera: CameraIntrinsics,
                    rng: np.random.Generator) -> _Pairs:
        count = _CANDIDATES * self.batch
        world = rng.permutation(count) % len(viewpoints)
        T1, T2 = np.zeros((count, 4, 4)), np.zeros((count, 4, 4))
        for w, places in enumerate(viewpoints):
            rows = world == w
            T1[rows], T2[rows] = places.pairs(int(rows.sum()), rng)
        index = torch.as_tensor(np.r_[world, world], device=self.device)
        depth = renderer.caster.cast(index, np.concatenate([T1, T2]), camera, None).depth
        depth = torch.where(torch.isfinite(depth), depth, torch.zeros_like(depth))
        T_2_1 = torch.as_tensor(se3_inverse(T2) @ T1, dtype=torch.float32, device=self.device)
        points1 = depth[:count, ..., None] * _rays(camera, self.device)
        seen = visible(points1, depth[:count] > 0, T_2_1, depth[count:], camera)
        return _Pairs(world, T1, T2, seen.float().mean((1, 2)).cpu().numpy().astype(np.float64))

    def _render(self, renderer: Renderer, worlds: list[World], pairs: _Pairs, camera: CameraIntrinsics, n: int) -> PairBatch:
        count = len(pairs.world)
        sensor = SensorConfig.clean() if self._sensor is None else self._sensor
        index = torch.as_tensor(np.r_[pairs.world, pairs.world], device=self.device)
        seen: Any = renderer.render(np.concatenate([pairs.T1, pairs.T2]), camera, world=index, sensor=sensor,
                                    seeds=[seed_of(self.seed, 6, n, i) for i in range(2 * count)])
        T_1_2 = torch.as_tensor(se3_inverse(pairs.T1) @ pairs.T2, dtype=torch.float32, device=self.device)
        T_2_1 = torch.as_tensor(se3_inverse(pairs.T2) @ pairs.T1, dtype=torch.float32, device=self.device)
        depth1, depth2 = seen.depth[:count], seen.depth[count:]
        rays = _rays(camera, self.device)
        points1 = depth1[..., None] * rays
        points2 = _moved(T_1_2, depth2[..., None] * rays)
        overlap = visible(points1, depth1 > 0, T_2_1, depth2, camera).float().mean((1, 2))
        image = seen.image.permute(0, 3, 1, 2).float() / 255
        K = torch.as_tensor(camera.K, dtype=torch.float32, device=self.device).expand(count, 3, 3).contiguous()
        seeds = torch.as_tensor([worlds[w].seed for w in pairs.world], device=self.device)
        return PairBatch(image[:count], image[count:], points1, points2, depth1 > 0, depth2 > 0, seen.labels[:count],
                         seen.labels[count:], T_1_2, K, overlap, seeds)


@dataclass(frozen=True)
class _Pairs:
    """world (N,) indices, T1, T2 (N, 4, 4) camera poses in the world, overlap (N,)."""

    world: np.ndarray
    T1: np.ndarray
    T2: np.ndarray
    overlap: np.ndarray

    def rows(self, rows: slice) -> _Pairs:
        return replace(self, world=self.world[rows], T1=self.T1[rows], T2=self.T2[rows], overlap=self.overlap[rows])

    @classmethod
    def joined(cls, parts: list[_Pairs]) -> _Pairs:
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("world", "T1", "T2", "overlap")))


def visible(points1: torch.Tensor, valid1: torch.Tensor, T_2_1: torch.Tensor, depth2: torch.Tensor,
            camera: CameraIntrinsics) -> torch.Tensor:
    """Pixels (B, H, W) bool of image 1 that show points that image 2 shows too.

    points1 (B, H, W, 3) in camera 1; valid1 (B, H, W); T_2_1 (B, 4, 4); depth2 (B, H, W) metres, 0 where nothing; a pinhole
    camera. A point is visible if its pixel in image 2 has a depth that differs from its own by at most 3 %.
    """
    moved = _moved(T_2_1, points1)
    z = moved[..., 2]
    ahead = valid1 & (z > 0.05)
    safe = torch.where(ahead, z, torch.ones_like(z))
    u = torch.round(camera.fx * moved[..., 0] / safe + camera.cx).long()
    v = torch.round(camera.fy * moved[..., 1] / safe + camera.cy).long()
    inside = ahead & (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    flat = torch.where(inside, v * camera.width + u, torch.zeros_like(u)).flatten(1)
    there = depth2.flatten(1).gather(1, flat).view_as(z)
    return inside & (there > 0) & ((there - z).abs() <= _TOLERANCE * safe)


def _rays(camera: CameraIntrinsics, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(np.array(camera.rays(unit=False, dtype=np.float32)), device=device)


def _moved(T: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (B, H, W, 3) moved by T (B, 4, 4)."""
    B = points.shape[0]
    flat = points.reshape(B, -1, 3) @ T[:, :3, :3].transpose(1, 2) + T[:, None, :3, 3]
    return flat.view_as(points)
