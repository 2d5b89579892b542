# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Waits on a plan where people walk by, so that the way stays the same and nothing is met."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsm_sim.clearance import mover_radius
from lsm_sim.driving import Segment, Wait, sample_segments, split_plan
from lsm_sim.planner import BlockedError
from lsm_sim.world import World

_TICK = 0.1
_BEFORE_S = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0, 30.0)
_AFTER_S = 4.0
_LONGEST_WAIT = 60.0
_MOST_WAITS = 40


class Walkers:
    """Moving things of a world, each a disc that keeps `room` metres from the middle of a body."""

    def __init__(self, world: World, room: float) -> None:
        self.movers = world.movers
        self.room = [room + mover_radius(world, i) for i in range(len(world.movers))]

    def meet(self, xy: np.ndarray, times: np.ndarray) -> np.ndarray:
        """True (N,) where a body at points (N, 2) at times (N,) in seconds is too near to one of them."""
        out = np.zeros(len(times), bool)
        for mover, room in zip(self.movers, self.room, strict=True):
            t = times % mover.times[-1]
            at = np.stack([np.interp(t, mover.times, mover.poses[:, k, 3]) for k in (0, 1)], -1)
            out |= np.linalg.norm(xy - at, axis=1) < room
        return out


def with_waits(plan: Sequence[Segment], walkers: Walkers) -> tuple[list[Segment], list[tuple[float, float]]]:
    """The plan with waits that let walkers pass, and for each wait from when on and by how many seconds all is later.

    At the first meeting it stops some way before, as near as it can, until the way is free well past it; then it looks
    for the next. BlockedError if there is a meeting that no such wait avoids.
    """
    plan, shifts = list(plan), []
    for _ in range(_MOST_WAITS):
        met = _first_meeting(plan, walkers)
        if met is None:
            return plan, shifts
        total = sum(s.duration for s in plan)
        found = next((p for back in _BEFORE_S if back < met + 1.0
                      if (p := _wait_at(plan, max(met - back, 0.0), met, walkers)) is not None), None)
        if found is None:
            raise BlockedError(f"a person walks where the path is after {met:.1f} s, and no wait before that lets them pass; "
                               "ask for fewer movers, or for another seed")
        plan, since = found
        shifts.append((since, sum(s.duration for s in plan) - total))
    raise BlockedError(f"more than {_MOST_WAITS} waits are needed to let people pass")


def _first_meeting(plan: Sequence[Segment], walkers: Walkers, until: float = np.inf) -> float | None:
    times = np.arange(0, min(sum(s.duration for s in plan), until) + _TICK, _TICK)
    met = walkers.meet(sample_segments(plan, times)[:, :2], times)
    return float(times[np.argmax(met)]) if met.any() else None


def _wait_at(plan: Sequence[Segment], time_s: float, met: float,
             walkers: Walkers) -> tuple[list[Segment], float] | None:
    """The plan with a wait about a time that avoids the meeting at `met`, and when that begins; None if none does."""
    before, after, pose = split_plan(plan, time_s)
    start = float(sum(s.duration for s in before))
    if not after or (before and _first_meeting(before, walkers) is not None):
        return None
    waits = np.arange(0, _LONGEST_WAIT, _TICK)
    caught = walkers.meet(np.tile(pose[:2], (len(waits), 1)), start + waits)
    longest = waits[np.argmax(caught)] if caught.any() else _LONGEST_WAIT
    ahead = np.arange(0, met - start + _AFTER_S, _TICK)
    xy = sample_segments(after, ahead)[:, :2]
    for wait in np.arange(0.5, longest, 0.5):
        if not walkers.meet(xy, start + wait + ahead).any():
            return [*before, Wait(pose[:2].copy(), float(pose[2]), float(wait)), *after], start
    return None
