# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Puts things into a room: along walls, on walls, in the open, on top of other things, under the ceiling."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from lsm_sim.furniture import build
from lsm_sim.furniture.lights import ceiling_lamp, floor_lamp, table_lamp, wall_lamp
from lsm_sim.furniture.parts import Builder
from lsm_sim.furniture.people import standing, walking
from lsm_sim.furniture.plants import plant
from lsm_sim.placement import Body, Space, block, body_of, outline, pose, skirting_gap
from lsm_sim.plan import SIDES, side_line
from lsm_sim.shell import SKIRTING
from lsm_sim.world import Support, Thing

INWARD = (math.pi / 2, math.pi, -math.pi / 2, 0.0)
"""Heading of what stands with its back to each side."""

WALL_GAP = SKIRTING + 0.006
TRIES = 14

MORE_KINDS: dict[tuple[str, str | None], Builder] = {
    ("lamp", "ceiling"): ceiling_lamp, ("lamp", "floor"): floor_lamp, ("lamp", "table"): table_lamp,
    ("lamp", "wall"): wall_lamp, ("plant", "small"): partial(plant, small=True),
    ("plant", "tall"): partial(plant, small=False), ("person", "standing"): standing, ("person", "walking"): walking}
"""Builders of kinds that `build` does not distinguish."""

Accept = Callable[[Thing, np.ndarray], bool]
"""True if a thing is suitable, by itself and its full size (3,)."""


class Placer:
    """A room's space and generator, and the ways to put things into it; all return the body, or None if none fits."""

    def __init__(self, space: Space, rng: np.random.Generator, clutter: float = 0.5) -> None:
        self.space, self.rng, self.clutter = space, rng, clutter
        self.placed: list[Body] = []

    def make(self, name: str, kinds: Sequence[str] = (), accept: Accept | None = None, tries: int = 12) -> Thing | None:
        """A thing of a class, of any kind or of one of `kinds`, that will do; None if none of the first tries does."""
        for _ in range(tries):
            kind = str(self.rng.choice(kinds)) if len(kinds) else None
            maker = MORE_KINDS.get((name, kind))
            thing = build(name, self.rng, kind) if maker is None else maker(self.rng)
            low, high = outline(thing)
            if accept is None or accept(thing, high - low):
                return thing
        return None

    def put(self, thing: Thing, T: np.ndarray, reserved: bool = True, walk: bool = True,
            inside: float = SKIRTING) -> Body | None:
        """Puts a thing at a pose (4, 4) if it fits there."""
        body = body_of(thing, T)
        if not self.space.fits(body, reserved, walk, inside):
            return None
        self.placed.append(self.space.put(body))
        return body

    def against(self, side: int, along: float, thing: Thing, gap: float = WALL_GAP) -> np.ndarray:
        """Pose (4, 4) of a thing with its back to a side, its origin at a coordinate along it."""
        axis, sign = SIDES[side]
        out = skirting_gap(thing) if thing.place == "wall" else gap - float(outline(thing)[0][0])
        spot = np.zeros(2)
        spot[axis], spot[1 - axis] = side_line(self.space.room, side)[0] - sign * out, along
        return pose(spot[0], spot[1], INWARD[side])

    def spread(self, side: int, thing: Thing) -> tuple[float, float, float, float]:
        """Lowest and highest coordinate along a side for a thing's origin; metres it reaches below and above it."""
        low, high = outline(thing)
        flip = INWARD[side] in (math.pi / 2, math.pi)
        below, above = (high[1], -low[1]) if flip else (-low[1], high[1])
        _, a, b = side_line(self.space.room, side)
        return a + below + WALL_GAP, b - above - WALL_GAP, below, above

    def along_wall(self, thing: Thing, sides: Sequence[int] | None = None, near: float | None = None, corner: float = 0.35,
                   tries: int = TRIES, gap: float = WALL_GAP, reserved: bool = True) -> Body | None:
        """With its back to a wall; near: coordinate along the wall, else anywhere, at times in a corner."""
        for _ in range(tries):
            side = int(self.rng.choice(range(4) if sides is None else sides))
            a, b, _, _ = self.spread(side, thing)
            if b < a:
                continue
            if near is not None:
                along = float(np.clip(near + self.rng.normal(0, 0.1), a, b))
            elif self.rng.random() < corner:
                along = a if self.rng.random() < 0.5 else b
            else:
                along = float(self.rng.uniform(a, b))
            body = self._try(thing, self.against(side, along, thing, gap), reserved)
            if body is not None:
                return body
        return None

    def _try(self, thing: Thing, T: np.ndarray, reserved: bool = True) -> Body | None:
        body = body_of(thing, T)
        margin = 0.0 if thing.place == "wall" else SKIRTING
        if not self.space.fits(body, reserved, True, margin):
            return None
        if thing.place == "floor" and thing.front_room > 0:
            front = self.space.front(body)
            if self.space.hit(front) or not self.in_room(front):
                return None
        self.placed.append(self.space.put(body))
        return body

    def in_room(self, body: Body) -> bool:
        """True if a body's footprint is inside the room."""
        return bool((body.low[:2] >= self.space.low[:2]).all() and (body.high[:2] <= self.space.high[:2]).all())

    def in_open(self, thing: Thing, middle: float = 1.0, tries: int = TRIES, square: bool = True,
                around: float = 0.0) -> Body | None:
        """Anywhere on the floor; middle: share of the room about its centre; square: turned by quarters only.

        around: metres on all sides in which there is room for chairs, too.
        """
        room = self.space.room
        low, high = outline(thing)
        for _ in range(tries):
            spot = room.center + self.rng.uniform(-0.5, 0.5, 2) * (room.high - room.low) * middle
            yaw = float(self.rng.integers(4)) * math.pi / 2 if square else float(self.rng.uniform(-math.pi, math.pi))
            T = pose(spot[0], spot[1], yaw)
            if around and not self.space.fits(block(low[:2] - around, high[:2] + around, T, (0.02, 1.0))):
                continue
            body = self.put(thing, T)
            if body is not None:
                return body
        return None

    def beside(self, host: Body, thing: Thing, x: float, y: float, yaw: float = 0.0, walk: bool = True,
               reserved: bool = False) -> Body | None:
        """At a place of another thing's frame, on the floor."""
        return self.put(thing, self.ground(host.T @ pose(x, y, yaw)), reserved, walk)

    @staticmethod
    def ground(T: np.ndarray) -> np.ndarray:
        """The pose with its origin on the floor."""
        T = T.copy()
        T[2, 3] = 0.0
        return T

    def on_top(self, host: Body, thing: Thing, support: Support | None = None, at: tuple[float, float] | None = None,
               yaw: float | None = None, tries: int = 6) -> Body | None:
        """On a support of another thing: at a place of the support's frame, or anywhere on it, turned at will."""
        supports = host.thing.supports if support is None else (support,)
        if not supports:
            return None
        low, high = outline(thing)
        for _ in range(tries):
            s = supports[int(self.rng.integers(len(supports)))]
            if high[2] > s.clear:
                continue
            turn = float(self.rng.normal(0, 0.25)) if yaw is None else yaw
            local = pose(0, 0, turn)
            corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])]) @ local[:2, :2].T
            a, b = corners.min(0), corners.max(0)
            free_low, free_high = -np.asarray(s.half) - a, np.asarray(s.half) - b
            if (free_high < free_low).any():
                continue
            spot = self.rng.uniform(free_low, free_high) if at is None else np.clip(at, free_low, free_high)
            local[:3, 3] = spot[0] + s.center[0], spot[1] + s.center[1], s.z
            body = self.put(thing, host.T @ local, False, False, 0.0)
            if body is not None:
                return body
            if at is not None and yaw is not None:
                return None
        return None

    def under_ceiling(self, thing: Thing, x: float, y: float, yaw: float = 0.0) -> Body | None:
        """Hanging from the ceiling above a point of the floor."""
        return self.put(thing, pose(x, y, yaw, self.space.room.height), False, False, 0.0)
