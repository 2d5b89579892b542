# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The same rooms on another day: some furniture has moved, some has gone, some is new; what is built in stays."""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lsm_sim.furnish import place_one
from lsm_sim.keep_clear import KeepClear
from lsm_sim.placement import Body, Space, body_of, outline, pose
from lsm_sim.placer import Placer
from lsm_sim.plan import Plan
from lsm_sim.room_types import CLUTTER, ON_TOP, ROOM_TYPES
from lsm_sim.shell import SKIRTING
from lsm_sim.world import Thing

MOVED, REMOVED, ADDED = 1 / 3, 0.1, 0.1
"""Shares of the loose things of a room that move, go and come: of those that stand, and of those that lie on others."""

SHIFT = (0.2, 1.0)
"""Metres that a thing is moved, at least and at most; what finds no place for that is turned."""

BUILT_IN = frozenset({"door", "window", "curtain", "blinds", "radiator", "counter", "sink", "stove", "oven", "dishwasher",
                      "refrigerator", "washing machine", "toilet", "bathtub", "shower", "stairs", "railing", "fireplace",
                      "mirror", "carpet"})
"""Classes that stay where they are."""

HUNG = frozenset({"picture", "clothes", "shelf"})
"""Classes of what hangs on walls and moves along them; the rest that hangs stays."""

ROUND = frozenset({"chair", "plant", "box", "bag", "shoes", "bin", "person", "clothes", "lamp", "pillow", "book", "cup",
                   "bottle", "blanket"})
"""Classes that may face anywhere; the others keep their heading when they are moved."""

NEW = ("chair", "cabinet", "bookcase", "plant", "lamp", "box", "bag", "bin", "shoes", "table", "picture", "clothes")
_TRIES = 12
_AT_WALL = 0.15  # metres from a wall within which a thing stands against it, and then slides along it


class ChangingRoom(Space):
    """The space of a room whose things may be taken out again; nothing fits on ground that must stay clear."""

    def __init__(self, plan: Plan, index: int, clear: KeepClear) -> None:
        super().__init__(plan, index)
        self._keep = clear

    def can_walk(self, body: Body | None = None) -> bool:
        """True: the ground that must stay clear is what counts."""
        return True

    def fits(self, body: Body, reserved: bool = True, walk: bool = True, inside: float = SKIRTING) -> bool:
        """As of any space, and off the ground that must stay clear."""
        return super().fits(body, reserved, walk, inside) and not self._keep.is_hit_by(body)

    def put(self, body: Body) -> Body:
        """Adds a body without asking `fits`."""
        self.bodies.append(body)
        self._boxes = np.vstack([self._boxes, np.r_[body.low, body.high]])
        return body

    def take(self, body: Body) -> None:
        """Takes out a body that was put in."""
        row = next(i for i, b in enumerate(self.bodies) if b is body)
        del self.bodies[row]
        self._boxes = np.delete(self._boxes, row, axis=0)


def change_room(plan: Plan, i: int, things: Sequence[tuple[Thing, np.ndarray]], near: Sequence[tuple[Thing, np.ndarray]],
                clear: KeepClear, rng: np.random.Generator) -> list[tuple[Thing, np.ndarray]]:
    """The furniture of room i on another day: things with their poses (4, 4), the old ones first.

    near: doors and windows of the room and of those beside it. clear: ground, in the world, onto which nothing may come; what
    stands there already may stay. What lies on a thing goes with it.
    """
    room = ChangingRoom(plan, i, clear.within(plan.rooms[i].low, plan.rooms[i].high))
    for thing, T in near:
        if thing.label in ("door", "window"):
            room.put(body_of(thing, T))
    change = _Change(room, [body_of(thing, T) for thing, T in things], rng)
    standing = [k for k, b in enumerate(change.bodies) if change.host[k] is None and _is_loose(b.thing)]
    lying = [k for k, h in enumerate(change.host) if h is not None]
    for group in (standing, lying):
        order = [int(k) for k in rng.permutation(group)]
        gone = change.remove(order, round(REMOVED * len(group)))
        change.move([k for k in order if k not in gone], round(MOVED * len(group)))
    new = change.add(round(ADDED * (len(standing) + len(lying))))
    kept = [b for k, b in enumerate(change.bodies) if k not in change.gone]
    return [(b.thing, b.T) for b in (*kept, *new)]


def _is_loose(thing: Thing) -> bool:
    """True for what stands on the floor or hangs on a wall and is not built in."""
    return thing.label not in BUILT_IN and (thing.place in ("floor", "top") or (thing.place == "wall" and thing.label in HUNG))


def host_of(body: Body, others: Sequence[Body]) -> int | None:
    """Index of the body that one lies on, None for what stands on the floor, hangs, or floats."""
    at = body.T[:3, 3]
    if at[2] < 0.02 or body.thing.place in ("wall", "ceiling"):
        return None
    for k, other in enumerate(others):
        local = other.T[:3, :3].T @ (at - other.T[:3, 3])
        for s in other.thing.supports if other is not body else ():
            if abs(local[2] - s.z) < 0.012 and (np.abs(local[:2] - s.center) <= np.asarray(s.half) + 0.02).all():
                return k
    return None


class _Change:
    """One room as it changes. bodies: of the furniture; host: index of what each lies on, or None; gone: removed indices."""

    def __init__(self, room: ChangingRoom, bodies: list[Body], rng: np.random.Generator) -> None:
        self.room, self.bodies, self.rng = room, bodies, rng
        self.host = [host_of(b, bodies) for b in bodies]
        self.gone: set[int] = set()
        for body in bodies:
            if body.thing.label == "carpet":
                room.put_below(body)
            else:
                room.put(body)

    def on(self, k: int) -> list[int]:
        """A thing and all that lies on it, and on that."""
        out = [k]
        for j in out:
            out += [c for c, h in enumerate(self.host) if h == j and c not in self.gone]
        return out

    def remove(self, order: Sequence[int], count: int) -> set[int]:
        """Takes things out, the first in order that are at most `count` with what lies on them. Returns all that are gone."""
        for k in order:
            group = [] if k in self.gone else self.on(k)
            if 0 < len(group) <= count:
                count -= len(group)
                self.gone |= set(group)
                for j in group:
                    self.room.take(self.bodies[j])
        return self.gone

    def move(self, order: Sequence[int], count: int) -> None:
        """Moves the first `count` things in order that can be moved."""
        for k in order:
            if count > 0 and k not in self.gone and self._move(k):
                count -= 1

    def _move(self, k: int) -> bool:
        group = self.on(k)
        old = [self.bodies[j] for j in group]
        for body in old:
            self.room.take(body)
        for T in self._places(k):
            step = T @ np.linalg.inv(old[0].T)
            new = [body_of(b.thing, step @ b.T) for b in old]
            if self._fit(new, k):
                break
        else:
            new = old
        for j, body in zip(group, new, strict=True):
            self.bodies[j] = self.room.put(body)
        return new is not old

    def _fit(self, group: Sequence[Body], k: int) -> bool:
        """True if a thing and what lies on it fit where they are now; they do not hinder each other."""
        first, *rest = group
        standing = self.host[k] is None
        margin = SKIRTING if standing and first.thing.place != "wall" else 0.0
        return self.room.fits(first, standing, False, margin) and all(self.room.fits(b, False, False, 0.0) for b in rest)

    def _places(self, k: int) -> Iterator[np.ndarray]:
        """Poses (4, 4) to try for a thing: shifted, then turned."""
        body, rng = self.bodies[k], self.rng
        host = self.host[k]
        side = self._wall(body)
        for n in range(_TRIES):
            far = float(rng.uniform(*SHIFT)) * (1.0 if n < _TRIES // 2 else 0.5) + (0.0 if n < _TRIES // 2 else 0.1)
            if host is not None:
                T = self._on_host(body, self.bodies[host])
                if T is not None:
                    yield T
            elif side is not None:
                shift = np.zeros(2)
                shift[side] = far * rng.choice((-1, 1))
                yield _shifted(body.T, shift, 0.0)
            else:
                angle = rng.uniform(-math.pi, math.pi)
                turn = float(rng.uniform(-math.pi, math.pi)) if body.thing.label in ROUND else 0.0
                yield _shifted(body.T, far * np.array([math.cos(angle), math.sin(angle)]), turn)
        if body.thing.place != "wall" and (side is None or host is not None):
            for _ in range(_TRIES // 2):
                yield _shifted(body.T, np.zeros(2), float(rng.uniform(0.5, math.pi) * rng.choice((-1, 1))))

    def _wall(self, body: Body) -> int | None:
        """The axis (0, 1) along which a thing that hangs on a wall, or stands against one, slides; None for others."""
        if body.thing.place == "wall":
            return int(np.argmax(np.abs(body.T[:2, 1])))
        gaps = np.minimum(body.low[:2] - self.room.room.low, self.room.room.high - body.high[:2])
        axis = int(np.argmin(gaps))
        return 1 - axis if gaps[axis] < _AT_WALL else None

    def _on_host(self, body: Body, host: Body) -> np.ndarray | None:
        """Another pose (4, 4) on the same support, SHIFT away from where it is; None if the support is too small."""
        local = np.linalg.inv(host.T) @ body.T
        support = next(s for s in host.thing.supports if abs(local[2, 3] - s.z) < 0.012
                       and (np.abs(local[:2, 3] - s.center) <= np.asarray(s.half) + 0.02).all())
        low, high = outline(body.thing)
        reach = float(np.abs([low[:2], high[:2]]).max())
        room = np.maximum(np.asarray(support.half) - reach, 0.0)
        spot = np.asarray(support.center) + self.rng.uniform(-1, 1, 2) * room
        if not SHIFT[0] <= np.linalg.norm(spot - local[:2, 3]) <= SHIFT[1]:
            return None
        return host.T @ pose(spot[0], spot[1], float(self.rng.uniform(-math.pi, math.pi)), float(local[2, 3]))

    def add(self, count: int) -> list[Body]:
        """New things, about half of them on others, where there is room."""
        placer = Placer(self.room, self.rng)
        kind = self.room.room.kind
        names = [*CLUTTER[kind], *(n for n, _, _ in ROOM_TYPES[kind] if n in NEW)]
        for _ in range(4 * count):
            if len(placer.placed) >= count:
                break
            hosts = [b for k, b in enumerate(self.bodies)
                     if k not in self.gone and b.thing.supports and b.thing.label in ON_TOP]
            if hosts and self.rng.random() < 0.5:
                host = hosts[int(self.rng.integers(len(hosts)))]
                self._add_on(placer, host)
            else:
                place_one(placer, str(self.rng.choice(names)))
        return placer.placed

    def _add_on(self, placer: Placer, host: Body) -> None:
        name = str(self.rng.choice(ON_TOP[host.thing.label]))
        kinds = {"plant": ("small",), "lamp": ("table",)}.get(name, ())
        thing = placer.make(name, kinds, lambda t, s: t.place == "top" or (
            t.place == "floor" and max(s) < 0.45 and not t.against_wall), tries=4)
        if thing is not None:
            placer.on_top(host, thing)


def _shifted(T: np.ndarray, shift: np.ndarray, turn: float) -> np.ndarray:
    """Pose (4, 4) moved over the floor by shift (2,) metres and turned in place by radians."""
    out = T @ pose(0.0, 0.0, turn)
    out[:2, 3] = T[:2, 3] + shift
    return out
