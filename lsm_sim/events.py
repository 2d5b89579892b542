# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Events on a path that make mapping difficult: kidnapping, covered lenses, blank walls, rotations."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lsm_sim.driving import Segment, Turn, drives, ends, split_plan, turn_to
from lsm_sim.planner import BlockedError, Planner, rest
from lsm_sim.solids import signed_distance
from lsm_sim.world import World, label_id

EVENT_KINDS = ("kidnap", "covered_lens", "blank_wall", "pure_rotation", "fast_rotation", "pause")
PURE_RATE, FAST_RATE = 0.8, 3.0
"""Highest turning rates in rad/s of the rotations."""

WALL_DISTANCE = 0.5
"""Metres from the base's middle to the wall that it stares at: 0.4 m before a camera that is mounted 0.1 m ahead."""

_PEAK_OF_QUINTIC = 1.875
_KIDNAP_AT_LEAST = 1.5
_BARE = ((0.45, 0.5, 1.7), (0.3, 0.8, 1.5))
"""Half width, lowest and highest height of the bare piece of wall to stare at; the first that exists is taken."""


@dataclass(frozen=True)
class Event:
    """Something that happens on a path: kind is one of EVENT_KINDS, start_s and duration_s in seconds of the path.

    kidnap: at start_s the pose jumps to another free place (duration 0 or how long it stands there first), odometry
    does not notice; then it goes back to where it was and on. covered_lens: `camera` (all if None) sees nothing, the motion
    goes on. blank_wall: it goes to a blank piece of wall, stares at it for the duration, and comes back; in a path the
    event is the stare alone. pure_rotation, fast_rotation: on the spot, to and fro or whole turns. pause: stands still.
    ValueError for another kind or times that are not finite, negative start, or no duration where it needs one.
    """

    kind: str
    start_s: float
    duration_s: float = 4.0
    camera: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in EVENT_KINDS:
            raise ValueError(f"unknown kind of event {self.kind!r}; there are: {', '.join(EVENT_KINDS)}")
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise ValueError(f"start_s of {self.kind} must be 0 or more, got {self.start_s!r}")
        if not (math.isfinite(self.duration_s) and (self.duration_s > 0 or (self.kind == "kidnap" and self.duration_s == 0))):
            raise ValueError(f"duration_s of {self.kind} must be positive, got {self.duration_s!r}")


def added_time(events: Sequence[Event]) -> float:
    """Seconds by which events make a path longer, ways to walls and back not counted."""
    return float(sum(e.duration_s for e in events if e.kind != "covered_lens"))


def insert_events(plan: list[Segment], events: Sequence[Event], planner: Planner,
                  rng: np.random.Generator) -> tuple[list[Segment], list[Event], list[float]]:
    """The plan with events in it, the events as they happen, and the times in seconds of jumps.

    Each starts at its start_s, but up to 0.1 m of driving from it, at the nearer end of a turn, and after an event that
    goes on then; what comes later is later by as much as it takes.
    ValueError for an event after the end.
    """
    happened: list[Event] = []
    jumps: list[float] = []
    for event in sorted(events, key=lambda e: e.start_s):
        total = float(sum(s.duration for s in plan))
        if event.start_s >= total:
            raise ValueError(f"event {event.kind!r} at {event.start_s} s is after the end of the path at {total:.1f} s")
        if event.kind == "covered_lens":
            happened.append(event)
            continue
        before, after, pose = split_plan(plan, _free_time(event.start_s, happened))
        since = float(sum(s.duration for s in before))
        lead, stay = _happening(event, pose, planner, rng)
        at = sum(s.duration for s in (*before, *lead))
        length = event.duration_s if event.kind in ("kidnap", "blank_wall") else sum(s.duration for s in stay)
        plan = [*before, *lead, *stay, *after]
        happened, jumps = put_off(happened, jumps, since, float(sum(s.duration for s in plan)) - total)
        happened.append(Event(event.kind, float(at), float(length), event.camera))
        if event.kind == "kidnap":
            jumps.append(at)
    return plan, happened, jumps


def put_off(happened: Sequence[Event], jumps: Sequence[float], since: float, delay: float) -> tuple[list[Event], list[float]]:
    """Events and jumps when all from a time on is later by a delay; lenses stay covered when they were meant to be."""
    later = [e if e.kind == "covered_lens" or e.start_s < since - 1e-6 else replace(e, start_s=e.start_s + delay)
             for e in happened]
    return later, [t if t < since - 1e-6 else t + delay for t in jumps]


def _free_time(start_s: float, happened: Sequence[Event]) -> float:
    """The time, or if an event goes on then, just after it."""
    for event in sorted(happened, key=lambda e: e.start_s):
        if event.kind != "covered_lens" and event.start_s - 1e-3 <= start_s <= event.start_s + event.duration_s:
            start_s = event.start_s + event.duration_s + 1e-3
    return start_s


def _happening(event: Event, pose: np.ndarray, planner: Planner,
               rng: np.random.Generator) -> tuple[list[Segment], list[Segment]]:
    """Segments that lead from a pose (3,) to an event, and the event with the segments back to the pose."""
    if event.kind == "pause":
        return [], rest(pose, event.duration_s)
    if event.kind == "kidnap":
        place = _elsewhere(planner, pose, rng)
        stay = rest(place, event.duration_s)
        back = drives(planner.between(place[:2], pose[:2]), planner.limits, place)
        out = [*stay, *back]
        return [], out + turn_to(ends(out[-1])[1], pose[2], planner.limits)
    if event.kind == "blank_wall":
        spot = blank_spot(planner, pose)
        return planner.detour(pose, spot, rest(spot, event.duration_s))
    rate = FAST_RATE if event.kind == "fast_rotation" else PURE_RATE
    angle = rate * event.duration_s / _PEAK_OF_QUINTIC
    turns = int(angle / (2 * np.pi) + 0.25)
    sign = float(rng.choice((-1, 1)))
    if turns:
        return [], [Turn(pose[:2], pose[2], sign * 2 * np.pi * turns, 2 * np.pi * turns * _PEAK_OF_QUINTIC / rate)]
    half, seconds = sign * angle / 2, event.duration_s / 2
    return [], [Turn(pose[:2], pose[2], half, seconds), Turn(pose[:2], pose[2] + half, -half, seconds)]


def _elsewhere(planner: Planner, pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A free place far from a pose, with any heading: (3,)."""
    points = planner.graph.points
    distance = np.linalg.norm(points - pose[:2], axis=1)
    far = np.flatnonzero(distance >= min(_KIDNAP_AT_LEAST, 0.7 * distance.max()))
    return np.r_[points[rng.choice(far)], rng.uniform(-np.pi, np.pi)]


def blank_spot(planner: Planner, pose: np.ndarray) -> np.ndarray:
    """Pose (3,) that faces a wall, WALL_DISTANCE from it, with nothing else in view there; the cheapest to go to.

    See _BARE for how much of it must be bare. ValueError if no wall is.
    """
    world, graph = planner.world, planner.graph
    points = np.c_[graph.points, np.full(len(graph.points), 1.1)]
    walls = np.flatnonzero((world.label == label_id(world.label_space, "wall")) & (world.mover < 0))
    cost, _ = graph.from_cells(np.array(graph.nearest(pose[:2])))
    near = np.flatnonzero(np.abs(signed_distance(world, points, parts=walls, limit=1.0) - WALL_DISTANCE) < 0.05)
    near = near[np.argsort(cost[near], kind="stable")]
    near = near[np.isfinite(cost[near])]
    for patch in _BARE:
        for start in range(0, len(near), 64):
            rows = near[start:start + 64]
            heading, gap = _towards(world, points[rows], walls)
            spots = points[rows, :2] + (gap - WALL_DISTANCE)[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
            good = planner.clearance.at(spots) >= planner.radius
            good[good] = _bare(world, points[rows][good], heading[good], gap[good], walls, patch)
            if good.any():
                k = int(np.argmax(good))
                return np.r_[spots[k], heading[k]]
    raise BlockedError(f"world {world.seed} ({world.kind!r}) has no bare piece of wall to stare at from {WALL_DISTANCE} m")


def _towards(world: World, points: np.ndarray, walls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heading (N,) from points (N, 3) to the nearest wall, and its distance (N,)."""
    step = 1e-3
    shifts = np.array([[step, 0, 0], [-step, 0, 0], [0, step, 0], [0, -step, 0], [0, 0, 0]])
    d = signed_distance(world, (points + shifts[:, None]).reshape(-1, 3), parts=walls).reshape(5, -1)
    return np.arctan2(d[3] - d[2], d[1] - d[0]), d[4]


def _bare(world: World, points: np.ndarray, heading: np.ndarray, gap: np.ndarray, walls: np.ndarray,
          patch: tuple[float, float, float]) -> np.ndarray:
    """True (N,) for bare wall ahead: just before it the wall is near and all else is not."""
    half, low, high = patch
    across, up = (a.ravel() for a in np.meshgrid(np.linspace(-half, half, 7), np.linspace(low, high, 7)))
    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)
    side = np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    xy = points[:, None, :2] + (gap - 0.04)[:, None, None] * ahead[:, None] + across[None, :, None] * side[:, None]
    probes = np.concatenate([xy, np.broadcast_to(up[None, :, None], (*xy.shape[:2], 1))], -1)
    flat = probes.reshape(-1, 3)
    wall = signed_distance(world, flat, parts=walls, limit=0.1).reshape(xy.shape[:2])
    others = np.setdiff1d(np.flatnonzero(world.mover < 0), walls)
    other = signed_distance(world, flat, parts=others, limit=0.15).reshape(xy.shape[:2])
    return ((np.abs(wall - 0.04) < 0.02) & (other > 0.08)).all(1)
