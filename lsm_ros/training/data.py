# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Batches for training and validation, and the truth in the form that the losses take."""
from __future__ import annotations

from dataclasses import fields
from typing import Any, Protocol

import torch

from lsm_ros.training.builders import AheadBatches, AheadSampler
from lsm_ros.training.config import TrainConfig
from lsm_sim.sampler import PairBatch, PairSampler

VALIDATION_SEED = 77  # of the draws of views; worlds have seeds of their own


class PairSource(Protocol):
    """Endless batches; batch n is always the same, so that a training can go on from any n."""

    def sample(self, n: int) -> PairBatch:
        """Batch number n >= 0."""
        ...


def training_source(config: TrainConfig, device: torch.device) -> PairSource:
    """The pairs that are trained on. FileNotFoundError or ValueError for folders that cannot be read."""
    if config.data.folders:
        from lsm_ros.training.folders import FolderPairs

        return FolderPairs(config.data.folders, config.data, config.seed, device)
    d = config.data
    return _rooms(config, device, range(*d.seeds), config.seed, d.worlds, d.batches_each, d.builders)


def validation_source(config: TrainConfig, device: torch.device) -> PairSource:
    """Pairs of held-out worlds, some of each world."""
    v = config.validation
    worlds = min(config.data.batch, config.data.worlds, v.worlds)
    each = max(1, v.batches * worlds // v.worlds)
    return Kept(_rooms(config, device, range(v.first_seed, v.first_seed + v.worlds), VALIDATION_SEED, worlds, each), device)


class Kept:
    """The batches of a source, each made once and then kept in the host's memory, since the same few are needed often."""

    def __init__(self, source: PairSource, device: torch.device) -> None:
        self._source, self._device = source, device
        self._kept: dict[int, PairBatch] = {}

    def sample(self, n: int) -> PairBatch:
        """Batch number n >= 0."""
        if n not in self._kept:
            self._kept[n] = _moved(self._source.sample(n), torch.device("cpu"))
        return _moved(self._kept[n], self._device)


def _moved(batch: PairBatch, device: torch.device) -> PairBatch:
    return PairBatch(**{f.name: getattr(batch, f.name).to(device) for f in fields(batch)})


def _rooms(config: TrainConfig, device: torch.device, seeds: range, seed: int, worlds: int, each: int,
           builders: int = 0) -> PairSource:
    d = config.data
    options: dict[str, Any] = {"kinds": d.kinds, "worlds": worlds, "batches_each": each, "seed": seed,
                               "overlap": (d.overlap[0], d.overlap[1]), "fov_deg": (d.fov_deg[0], d.fov_deg[1])}
    if not d.noise:
        options["sensor"] = None
    if builders and device.type == "cpu":
        return AheadBatches(seeds, d.batch, d.width, d.height, **options)
    if builders:
        return AheadSampler(builders, seeds, d.batch, d.width, d.height, device, **options)
    return PairSampler(seeds, d.batch, d.width, d.height, device, **options)


def network_images(batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Both images (B, 3, H, W), from -1 to 1."""
    return batch.image1 * 2 - 1, batch.image2 * 2 - 1


def truth(batch: PairBatch) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Views for `lsm_ros.training.losses`; the world is camera 1."""
    eye = torch.eye(4, device=batch.points1.device).expand(len(batch.points1), 4, 4)
    metric = torch.ones(len(eye), dtype=torch.bool, device=eye.device)
    return ({"pts3d": batch.points1, "camera_pose": eye, "valid_mask": batch.valid1, "is_metric_scale": metric},
            {"pts3d": batch.points2, "camera_pose": batch.T_1_2, "valid_mask": batch.valid2, "is_metric_scale": metric})


def generator_for(seed: int, *numbers: int) -> torch.Generator:
    """A CPU generator that depends on the numbers alone: the draws are the same on every device and after a resume."""
    mixed = seed & 0xFFFFFFFF
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(mixed)


def true_matches(batch: PairBatch, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels (B, M, 2) int64 (x, y) of both images that show the same point, and valid (B, M) bool.

    Points of image 1 are projected into image 2 by T_1_2 and K and rounded; a match is valid where image 2 shows a point
    within 2 % of its distance (at least 2 cm). Where a pair has fewer than M, the rest are pixels at random, not valid.
    """
    B, H, W = batch.valid1.shape
    device = batch.points1.device
    T_2_1 = torch.linalg.inv(batch.T_1_2)
    points = batch.points1.reshape(B, -1, 3) @ T_2_1[:, :3, :3].mT + T_2_1[:, None, :3, 3]
    z = points[..., 2]
    ahead = batch.valid1.reshape(B, -1) & (z > 0.05)
    pixels = (points @ batch.K.mT)[..., :2] / torch.where(ahead, z, torch.ones_like(z))[..., None]
    pixels = torch.where(ahead[..., None], pixels, torch.full_like(pixels, -1)).round().clamp(-1, max(H, W)).long()
    x, y = pixels.unbind(-1)
    inside = ahead & (x >= 0) & (y >= 0) & (x < W) & (y < H)
    flat = torch.where(inside, y * W + x, torch.zeros_like(x))
    there = batch.points2.reshape(B, -1, 3).gather(1, flat[..., None].expand(-1, -1, 3))
    apart = (there - batch.points1.reshape(B, -1, 3)).norm(dim=-1)
    seen = inside & batch.valid2.reshape(B, -1).gather(1, flat) & (apart <= (0.02 * z).clamp(min=0.02))
    # drawn by sorting random numbers, those of true matches first
    order = torch.rand(B, H * W, generator=generator).to(device) + (~seen).to(torch.float32)
    first = order.argsort(1)[:, :count]
    second = torch.where(seen.gather(1, first), flat.gather(1, first),
                         torch.randint(H * W, (B, first.shape[1]), generator=generator).to(device))
    pixels1, pixels2 = (torch.stack([i % W, i // W], -1) for i in (first, second))
    return pixels1, pixels2, seen.gather(1, first)
