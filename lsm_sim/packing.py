# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The parts of several worlds as tensors, one row for each part, and where they are at a time."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lsm_sim.world import Material, Mover, World


@dataclass(frozen=True)
class PackedWorlds:
    """All parts of W worlds, those of one world in succession; P rows in all, tensors on one device.

    offsets (W + 1,) int64: rows of world w are offsets[w] to offsets[w + 1]. world (P,) int64. shape (P,) uint8.
    center (P, 3), R (P, 3, 3) part to world (or to the mover), half (P, 3) float64; taper (P,) float64. label (P,) and
    instance (P,) int32 as in the part's World. material (P, 6) int32 indices of `materials`, those of all worlds one
    after the other. mover (P,) int64, row of `movers` or -1.
    """

    offsets: torch.Tensor
    world: torch.Tensor
    shape: torch.Tensor
    center: torch.Tensor
    R: torch.Tensor
    half: torch.Tensor
    taper: torch.Tensor
    label: torch.Tensor
    instance: torch.Tensor
    material: torch.Tensor
    mover: torch.Tensor
    materials: tuple[Material, ...]
    movers: MoverTable

    def __len__(self) -> int:
        return len(self.shape)

    def poses(self, part: torch.Tensor, time_s: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """R (N, 3, 3) and center (N, 3) float64 in the world of rows `part` (N,) at time_s (N,), 0 if None."""
        R, center = self.R[part], self.center[part]
        if len(self.movers):
            moving = torch.nonzero(self.mover[part] >= 0)[:, 0]
            times = torch.zeros_like(center[moving, 0]) if time_s is None else time_s[moving]
            R_m, t_m = self.movers.poses(self.mover[part[moving]], times)
            R[moving] = R_m @ R[moving]
            center[moving] = (R_m @ center[moving, :, None])[..., 0] + t_m
        return R, center


@dataclass(frozen=True)
class MoverTable:
    """Stamps of all movers as tensors: times (V, N) padded with inf, xyz (V, N, 3), yaw (V, N), period (V,)."""

    times: torch.Tensor
    xyz: torch.Tensor
    yaw: torch.Tensor
    period: torch.Tensor

    def __len__(self) -> int:
        return len(self.period)

    @classmethod
    def of(cls, movers: Sequence[Mover], device: torch.device) -> MoverTable:
        """The table of V movers."""
        longest = max((len(m.times) for m in movers), default=0)
        times = np.full((len(movers), longest), np.inf)
        xyz, yaw = np.zeros((len(movers), longest, 3)), np.zeros((len(movers), longest))
        for i, m in enumerate(movers):
            n = len(m.times)
            times[i, :n], xyz[i, :n] = m.times, m.poses[:, :3, 3]
            yaw[i, :n] = np.arctan2(m.poses[:, 1, 0], m.poses[:, 0, 0])
        period = np.array([m.times[-1] for m in movers], dtype=np.float64)
        return cls(*(torch.as_tensor(a, dtype=torch.float64, device=device) for a in (times, xyz, yaw, period)))

    def poses(self, mover: torch.Tensor, time_s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """R (N, 3, 3), t (N, 3) of movers (N,) at times (N,): as Mover.pose, linear in position and in heading."""
        t = torch.remainder(time_s, self.period[mover])
        times = self.times[mover]
        last = torch.isfinite(times).sum(1) - 2
        i = (torch.searchsorted(times, t[:, None], right=True)[:, 0] - 1).clamp(min=0).minimum(last)
        start, end = times.gather(1, i[:, None])[:, 0], times.gather(1, i[:, None] + 1)[:, 0]
        share = (t - start) / (end - start)
        yaw_a, yaw_b = self.yaw[mover, i], self.yaw[mover, i + 1]
        yaw = yaw_a + share * (torch.remainder(yaw_b - yaw_a + math.pi, 2 * math.pi) - math.pi)
        c, s, zero, one = yaw.cos(), yaw.sin(), torch.zeros_like(yaw), torch.ones_like(yaw)
        R = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).view(-1, 3, 3)
        return R, torch.lerp(self.xyz[mover, i], self.xyz[mover, i + 1], share[:, None])


def pack(worlds: Sequence[World], device: torch.device) -> PackedWorlds:
    """All parts of the worlds as tensors; ValueError if there is no world, or a world without parts."""
    if not worlds:
        raise ValueError("a ray-caster needs at least one world, got none")
    empty = [i for i, w in enumerate(worlds) if not len(w)]
    if empty:
        raise ValueError(f"a ray-caster needs worlds with parts, those at {empty} have none")
    counts = np.array([len(w) for w in worlds])
    first_material = np.cumsum([0] + [len(w.materials) for w in worlds])
    first_mover = np.cumsum([0] + [len(w.movers) for w in worlds])

    def join(name: str, dtype: torch.dtype, first: np.ndarray | None = None) -> torch.Tensor:
        columns = [np.asarray(getattr(w, name)) for w in worlds]
        if first is not None:
            columns = [np.where(c >= 0, c + f, c) for c, f in zip(columns, first[:-1], strict=True)]
        # Without the change of type here, torch would have to know uint16, which older releases do not.
        wide = np.concatenate(columns)
        return torch.as_tensor(wide.astype(np.int64) if wide.dtype.kind in "iu" else wide, device=device).to(dtype)

    index = torch.as_tensor(np.repeat(np.arange(len(worlds)), counts), device=device)
    offsets = torch.as_tensor(np.concatenate([[0], np.cumsum(counts)]), device=device)
    return PackedWorlds(
        offsets=offsets, world=index, shape=join("shape", torch.uint8), center=join("center", torch.float64),
        R=join("R", torch.float64), half=join("half", torch.float64), taper=join("taper", torch.float64),
        label=join("label", torch.int32), instance=join("instance", torch.int32),
        material=join("material", torch.int32, first_material), mover=join("mover", torch.int64, first_mover),
        materials=tuple(m for w in worlds for m in w.materials),
        movers=MoverTable.of([m for w in worlds for m in w.movers], device))
