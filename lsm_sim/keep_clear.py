# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Ground that must stay free: where a path leads, and where people walk."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lsm_sim.movers import MOST_RADIUS
from lsm_sim.placement import Body
from lsm_sim.world import Mover

if TYPE_CHECKING:
    from lsm_sim.paths import Path

_BOTTOM, _TOP = 0.02, 2.0
_STEP = 0.02
_MARGIN = 0.06
"""Metres kept beside a body: twice what its sampled path and the balls that stand for it in checks may err, and a little."""


@dataclass(frozen=True)
class KeepClear:
    """Discs of the floor, up to 2 m above it: points (N, 2) in metres, and radius (N,) around each."""

    points: np.ndarray
    radius: np.ndarray

    @classmethod
    def nothing(cls) -> KeepClear:
        """No ground at all."""
        return cls(np.zeros((0, 2)), np.zeros(0))

    @classmethod
    def of_path(cls, path: Path) -> KeepClear:
        """The ground that a path's body moves over, and a few centimetres beside."""
        at = path.T_world_base[:, :2, 3]
        way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(at, axis=0), axis=1))]
        rows = np.unique(np.r_[np.unique(np.floor(way / _STEP), return_index=True)[1], len(at) - 1, path.jumps]).astype(int)
        return cls(at[rows], np.full(len(rows), path.body.radius + _MARGIN))

    @classmethod
    def of_movers(cls, movers: Sequence[Mover]) -> KeepClear:
        """The ground that people walk over."""
        if not movers:
            return cls.nothing()
        at = np.concatenate([np.array([m.pose(t)[:2, 3] for t in np.arange(0, m.times[-1], 0.05)]) for m in movers])
        return cls(at, np.full(len(at), MOST_RADIUS))

    def with_all(self, other: KeepClear) -> KeepClear:
        """Both."""
        return KeepClear(np.r_[self.points, other.points], np.r_[self.radius, other.radius])

    def taken_by(self, T: np.ndarray) -> KeepClear:
        """The same after a rigid move T (4, 4) about the vertical."""
        return KeepClear(self.points @ T[:2, :2].T + T[:2, 3], self.radius)

    def within(self, low: np.ndarray, high: np.ndarray) -> KeepClear:
        """Those whose disc reaches into a rectangle with corners low, high (2,)."""
        near = ((self.points > low - self.radius[:, None]) & (self.points < high + self.radius[:, None])).all(1)
        return KeepClear(self.points[near], self.radius[near])

    def is_hit_by(self, body: Body) -> bool:
        """True if a body stands on some of it."""
        near = self.within(body.low[:2], body.high[:2])
        low = (body.z[:, 1] > _BOTTOM) & (body.z[:, 0] < _TOP)
        if not len(near.points) or not low.any():
            return False
        across = np.abs((near.points[:, None] - body.middle[low]) @ body.axes.T)
        gap = np.linalg.norm(np.maximum(across - body.half[low], 0.0), axis=2)
        return bool((gap < near.radius[:, None]).any())
