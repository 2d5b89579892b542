# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Paths through worlds: free of collisions, smooth, with revisits, at the pace of a robot or of a walking person."""
from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry.lie import interpolate_se3, make_se3
from lsm_sim.bodies import PERSON, ROBOT, Body, free_space
from lsm_sim.clearance import ClearanceMap
from lsm_sim.driving import Limits, Segment, cut_to, sample_segments
from lsm_sim.events import Event, added_time, insert_events, put_off
from lsm_sim.hand_path import in_hand
from lsm_sim.planner import BlockedError, Planner
from lsm_sim.world import World
from lsm_sim.yielding import Walkers, with_waits

PATH_KINDS = ("robot", "hand", "look_around", "shuttle", "tour", "both_ways")
"""A robot from place to place; a device in the hand of a walking person; a robot that turns once round at each place; a
robot that goes to and fro along one way; a robot from place to place in worlds of kind 'loop', too; a robot that goes round
the world's ring, and half of the rounds against the direction of the first. New kinds come last: the index seeds the path."""

ROBOT_LIMITS = Limits()
WALKING = Limits(speed=0.8, acceleration=0.6, rate=1.2, angular_acceleration=2.5)
DEFAULT_LENGTH = 12.0
DEFAULT_ROUNDS = 2

_MARGINS = (0.1, 0.06, 0.03)
_HAND_MARGIN = 0.05  # metres: steps sway the device and soft turns cut corners
_WALKER_ROOM = 0.08
_ENOUGH_FLOOR = 0.6
_LONGEST = 3600.0


@dataclass(frozen=True)
class Path:
    """Poses of a base over time.

    times (N,) s from 0, evenly spaced. T_world_base (N, 4, 4): of a robot the base on the floor, x ahead; of kind 'hand' the
    device itself, x ahead, z up. events: what happens on it, as it happens. jumps (J,): indices of samples that do not
    follow from the one before (kidnapping). body: what was checked to be free of collisions. length_m: way driven.
    """

    kind: str
    times: np.ndarray
    T_world_base: np.ndarray
    body: Body
    seed: int
    events: tuple[Event, ...] = ()
    jumps: tuple[int, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return float(self.times[-1])

    @property
    def length_m(self) -> float:
        """Metres that the base moved over the floor, jumps not counted."""
        steps = np.linalg.norm(np.diff(self.T_world_base[:, :2, 3], axis=0), axis=1)
        steps[[j - 1 for j in self.jumps]] = 0
        return float(steps.sum())

    def at(self, times: np.ndarray) -> np.ndarray:
        """T_world_base (M, 4, 4) at times (M,) in seconds; before and after the path it stands still. Jumps stay jumps."""
        t = np.clip(np.asarray(times, float), 0, self.times[-1])
        i = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2)
        share = (t - self.times[i]) / (self.times[i + 1] - self.times[i])
        leaps = np.isin(i + 1, self.jumps)
        share = np.where(leaps, (share > 1 - 1e-9).astype(float), share)
        return interpolate_se3(self.T_world_base[i], self.T_world_base[i + 1], share)


def plan_path(world: World, kind: str = "robot", *, length_m: float | None = None, duration_s: float | None = None,
              rounds: int | None = None, speed: float | None = None, seed: int = 0, events: Sequence[Event] = (),
              rate_hz: float = 100.0) -> Path:
    """A path through a world that touches nothing; the same arguments give the same path.

    kind: one of PATH_KINDS. How far: length_m metres, or duration_s seconds (what is left when it came to an end it stands
    still), or whole rounds of the world's ring; else DEFAULT_LENGTH, and in a world of kind 'loop' DEFAULT_ROUNDS. In a
    'loop', 'robot' and 'hand' go whole rounds, as many as come nearest to length_m, or fit into duration_s (a part of one if
    none does), and end with the pose they started with; so does 'both_ways', in any world with a ring, but for the heading,
    since its last rounds (the smaller half) go against the direction of the first. speed: highest, in m/s, up to what the
    body can do. events: see `Event`; they come on top of length_m and rounds, but within duration_s. rate_hz: samples a second.
    ValueError for arguments out of range, and for a world that is too small, with its size.
    """
    _check(kind, length_m, duration_s, rounds, speed, seed, rate_hz)
    handheld = kind == "hand"
    body, limits = (PERSON, WALKING) if handheld else (ROBOT, ROBOT_LIMITS)
    limits = limits if speed is None else Limits(min(speed, limits.speed), limits.acceleration, limits.rate,
                                                 limits.angular_acceleration)
    problem: ValueError | None = None
    for attempt, (clearance, margin, walkers) in enumerate(_attempts(world, body, handheld)):
        rng = np.random.default_rng([int(seed), PATH_KINDS.index(kind), attempt])
        try:
            planner = Planner(world, clearance, body, limits, margin)
            plan = _plan(planner, kind, length_m, duration_s, rounds, events, rng)
            plan, happened, leaps = insert_events(plan, events, planner, rng)
            if walkers is not None:
                plan, shifts = with_waits(plan, walkers)
                for since, delay in shifts:
                    happened, leaps = put_off(happened, leaps, since, delay)
        except BlockedError as error:
            problem = problem or error
            continue
        plan = plan if duration_s is None else cut_to(plan, duration_s)
        path = _sampled(plan, kind, body, seed, rate_hz, happened, leaps, rng)
        gap = check_free(world, path)
        if gap.min() > 0:
            return path
        worst = int(np.argmin(gap))
        problem = problem or ValueError(f"no path free of collisions in world {world.seed} ({world.kind!r}): one comes "
                                        f"{-gap[worst]:.3f} m too near to something")
    raise ValueError(str(problem)) from problem


def _attempts(world: World, body: Body, handheld: bool) -> Iterator[tuple[ClearanceMap, float, Walkers | None]]:
    """Ways to try: the map, the margin in metres to keep, and the walkers to wait for.

    Where people walk, their ways are left out, or if that leaves too little of the floor, they are let pass.
    """
    sway = _HAND_MARGIN if handheld else 0.0
    still = ClearanceMap.of(world, body.reach, body.bottom, movers=False)
    maps: list[tuple[ClearanceMap, Walkers | None]] = [(still, None)]
    if world.movers:
        swept = ClearanceMap.of(world, body.reach, body.bottom)
        share = swept.reachable(body.radius + _MARGINS[0]).sum() / max(still.reachable(body.radius + _MARGINS[0]).sum(), 1)
        maps = [(swept, None), (still, Walkers(world, body.radius + sway + _WALKER_ROOM))]
        maps = maps if share > _ENOUGH_FLOOR else maps[::-1]
    for clearance, walkers in maps:
        for margin in _MARGINS + _MARGINS:
            yield clearance, margin + sway, walkers


def check_free(world: World, path: Path, step_m: float = 0.02) -> np.ndarray:
    """Metres that solids keep from the body along a path, about every `step_m` metres; positive: it touches nothing."""
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(path.T_world_base[:, :3, 3], axis=0), axis=1))]
    rows = np.unique(np.r_[np.unique(np.floor(way / step_m), return_index=True)[1], len(way) - 1])
    if world.movers:
        rows = np.unique(np.r_[rows, np.flatnonzero(np.diff(np.floor(path.times / 0.1), prepend=-1))])
    return free_space(world, path.T_world_base[rows], path.times[rows], path.body)


def _plan(planner: Planner, kind: str, length_m: float | None, duration_s: float | None, rounds: int | None,
          events: Sequence[Event], rng: np.random.Generator) -> list[Segment]:
    both_ways = kind == "both_ways"
    rings = rounds is not None or both_ways or (planner.world.kind == "loop" and kind in ("robot", "hand"))
    left = None if duration_s is None else max(duration_s - added_time(events), 1.0)
    if rings:
        if rounds is None:
            one = planner.rounds(1, np.random.default_rng(0))[0]
            if left is not None:
                two = planner.rounds(2, np.random.default_rng(0))[0]
                rounds = max(1, 1 + int((left - one.duration) / max(two.duration - one.duration, 0.1) + 1e-6))
            else:
                rounds = DEFAULT_ROUNDS if length_m is None else max(1, round(length_m / one.curve.length))
        return planner.rounds(rounds, rng, both_ways)
    length = length_m if length_m is not None else DEFAULT_LENGTH if left is None else left * planner.limits.speed + 0.5
    if kind == "shuttle":
        return planner.shuttle(length, rng)
    return planner.tour(length, rng, full_turns=kind == "look_around")


def _sampled(plan: list[Segment], kind: str, body: Body, seed: int, rate_hz: float, happened: list[Event], leaps: list[float],
             rng: np.random.Generator) -> Path:
    total = sum(s.duration for s in plan)
    times = np.arange(max(2, math.ceil(total * rate_hz - 1e-6) + 1)) / rate_hz
    planar = sample_segments(plan, times)
    jumps = tuple(int(np.searchsorted(times, t - 1e-9)) for t in leaps if t < times[-1])
    if kind == "hand":
        T = in_hand(planar, rate_hz, rng, np.array(jumps, int))
    else:
        c, s, zero, one = np.cos(planar[:, 2]), np.sin(planar[:, 2]), np.zeros(len(planar)), np.ones(len(planar))
        R = np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1), np.stack([zero, zero, one], -1)], 1)
        T = make_se3(R, np.c_[planar[:, :2], zero])
    kept = tuple(e for e in happened if e.start_s < times[-1])
    return Path(kind, times, T, body, int(seed), kept, jumps)


def _check(kind: str, length_m: float | None, duration_s: float | None, rounds: int | None, speed: float | None, seed: int,
           rate_hz: float) -> None:
    if kind not in PATH_KINDS:
        raise ValueError(f"unknown kind of path {kind!r}; there are: {', '.join(PATH_KINDS)}")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"a seed is a whole number of at least 0, got {seed!r}")
    if sum(v is not None for v in (length_m, duration_s, rounds)) > 1:
        raise ValueError(f"give one of length_m ({length_m}), duration_s ({duration_s}) and rounds ({rounds}), not several")
    for name, value, low, high in (("length_m", length_m, 0.2, 2000.0), ("duration_s", duration_s, 0.5, _LONGEST),
                                   ("speed", speed, 0.05, 5.0), ("rate_hz", rate_hz, 1.0, 1000.0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= value <= high):
            raise ValueError(f"{name} must be {low} to {high}, got {value!r}")
    if rounds is not None and (isinstance(rounds, bool) or not isinstance(rounds, numbers.Integral) or not 1 <= rounds <= 100):
        raise ValueError(f"rounds must be a whole number from 1 to 100, got {rounds!r}")
