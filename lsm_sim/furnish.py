# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Furnishes a room of a plan: lamps, windows, sets and single things by its kind, small things, clutter."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lsm_sim.fixtures import closed_door, doorway, opening_pose, window
from lsm_sim.furniture.decor import blinds, curtain
from lsm_sim.placement import Body, Space, body_of, outline
from lsm_sim.placer import INWARD, Placer
from lsm_sim.plan import Plan
from lsm_sim.room_types import CLUTTER, FILL, FILLED, KINDS_HERE, MOST_ON_TOP, ON_TOP, ROOM_TYPES
from lsm_sim.sets import SETS, small_things
from lsm_sim.world import Thing

HEAD_ROOM = 1.95
"""Metres that ceiling lamps leave free below them."""


def fixture(plan: Plan, i: int, day: float) -> list[tuple[Thing, np.ndarray]]:
    """Doors and windows that belong to room i, at their poses in the world; day: 0 at night, 1 in daylight."""
    out = []
    for o in plan.openings:
        if o.zones[0] == i and o.kind != "passage":
            thing = doorway(o, plan.wall) if o.kind == "door" else closed_door(o) if o.kind == "closed" else \
                window(o, plan.wall, day)
            out.append((thing, opening_pose(o)))
    return out


def take_off_leaves(plan: Plan) -> None:
    """Takes the open leaves off the doors of rooms in which they would be in the way between doors; in copies, too."""
    for i, room in enumerate(plan.rooms):
        if room.source is not None:
            continue
        space, beside = Space(plan, i), {j for o, _ in plan.of_room(i) for j in o.zones if j >= 0}
        for thing, T in [f for j in sorted({i, *beside}) for f in fixture(plan, j, 0.0)]:
            if thing.label == "door":
                space.put(body_of(thing, T))
        if not space.can_walk():
            alike = {i, *(j for j, r in enumerate(plan.rooms) if r.source == i)}
            plan.openings = [replace(o, leaf=None) if o.zones[0] in alike else o for o in plan.openings]


def furnish(plan: Plan, i: int, fixed: list[tuple[Thing, np.ndarray]], clutter: float
            ) -> list[tuple[Thing, np.ndarray]]:
    """Things of room i and their poses (4, 4) in the world; `fixed` was placed before.

    clutter: 0 to 1, how many small things. The same room always gets the same things.
    """
    space = Space(plan, i)
    placer = Placer(space, np.random.default_rng([space.room.style, 41, i]), clutter)
    for thing, T in fixed:
        if thing.label in ("door", "window"):
            space.put(body_of(thing, T))
    _ceiling_lamps(placer)
    _windows(placer)
    _room(placer)
    _fill(placer)
    _on_top(placer)
    _clutter(placer)
    return [(b.thing, b.T) for b in placer.placed]


def _ceiling_lamps(p: Placer) -> None:
    """One lamp in the middle; in long rooms one every four metres or so, of one make."""
    room = p.space.room
    size = room.high - room.low
    lamp = p.make("lamp", ("ceiling",), lambda t, s: room.height + outline(t)[0][2] > HEAD_ROOM
                  and max(s[:2]) < 0.9 * size.min(), tries=80)
    if lamp is None:
        raise ValueError(f"no ceiling lamp fits under a ceiling of {room.height:.2f} m in a room of {size} m")
    long = int(np.argmax(size))
    count = max(1, round(float(size[long]) / 4.0))
    for k in range(count):
        spot = room.center.copy()
        spot[long] = room.low[long] + (k + 0.5) / count * size[long]
        p.under_ceiling(lamp, spot[0], spot[1], math.pi / 2 if long == 0 else 0.0)


def _windows(p: Placer) -> None:
    """Curtains or blinds before windows, radiators below them."""
    for o, side in p.space.plan.of_room(p.space.index):
        if o.kind != "window":
            continue
        along = float(o.center[1 - o.axis])
        top = min(o.sill + o.height + float(p.rng.uniform(0.06, 0.2)), p.space.room.height - 0.05)
        if p.rng.random() < 0.65:
            cover = curtain(p.rng, o.width, top) if p.rng.random() < 0.6 else \
                blinds(p.rng, o.width, top, o.height * float(p.rng.uniform(0.15, 1.0)))
            p.put(cover, p.against(side, along, cover), False, True, 0.0)
        if p.rng.random() < 0.6:
            thing = p.make("radiator", accept=lambda t, s, w=o.width, z=o.sill: s[1] < w + 0.5 and outline(t)[1][2] < z)
            if thing is not None:
                p.put(thing, p.against(side, along, thing), True, True, 0.0)


def _room(p: Placer) -> None:
    """Sets and single things of the room's kind, in their order."""
    for name, chance, most in ROOM_TYPES[p.space.room.kind]:
        if p.rng.random() > chance:
            continue
        for _ in range(1 if most == 1 else int(p.rng.integers(1, most + 1))):
            if _one_of(p, name) is None:
                break


def _fill(p: Placer) -> None:
    """More of what suits the room while much of its floor is bare."""
    names = FILL[p.space.room.kind]
    for _ in range(8 if names else 0):
        used = sum(float(np.prod(b.high[:2] - b.low[:2])) for b in p.placed if b.low[2] < 0.1 and b.high[2] > 0.1)
        if used > FILLED * p.space.room.area:
            return
        name = str(p.rng.choice(names))
        _one_of(p, name)


def _one_of(p: Placer, name: str) -> Body | None:
    return SETS[name](p) if name in SETS else place_one(p, name)


def place_one(p: Placer, name: str) -> Body | None:
    """One thing of a class where such things belong."""
    if name == "lamp":
        thing = p.make("lamp", ("floor", "floor", "wall"))
    elif name == "carpet":
        return _carpet(p)
    elif name == "person":
        thing = p.make(name, ("standing", "standing", "walking"))
    elif name == "plant":
        thing = p.make(name, ("tall",))
    else:
        kinds = KINDS_HERE.get(p.space.room.kind, {}).get(name, ())
        thing = p.make(name, kinds, lambda t, s: t.place != "top" or name in ("box", "bag", "shoes", "clothes"))
    if thing is None:
        return None
    if thing.place == "ceiling":
        spot = p.space.room.center + p.rng.uniform(-0.3, 0.3, 2) * (p.space.room.high - p.space.room.low)
        return p.under_ceiling(thing, spot[0], spot[1])
    if name in ("person", "plant") and thing.place == "floor" and p.rng.random() < 0.4:
        return p.in_open(thing, 0.9, square=False)
    return p.along_wall(thing)


def _carpet(p: Placer) -> Body | None:
    room = p.space.room
    for _ in range(6):
        carpet = p.make("carpet", accept=lambda t, s: s[2] < 0.03)
        if carpet is None:
            return None
        spot = room.center + p.rng.uniform(-0.25, 0.25, 2) * (room.high - room.low)
        yaw = INWARD[int(p.rng.integers(2))]
        T = np.eye(4)
        T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
        T[:2, 3] = spot
        body = body_of(carpet, T)
        if p.space.fits_below(body):
            p.placed.append(p.space.put_below(body))
            return body
    return None


def _on_top(p: Placer) -> None:
    """Small things on what has room for them."""
    for body in list(p.placed):
        names = ON_TOP.get(body.thing.label, ())
        if names and body.thing.supports:
            small_things(p, body, names, MOST_ON_TOP.get(body.thing.label, 2))


def _clutter(p: Placer) -> None:
    """Things that lie along walls."""
    names = CLUTTER[p.space.room.kind]
    for _ in range(int(p.rng.poisson(p.clutter * (1.5 + 0.25 * p.space.room.area)))):
        thing = p.make(str(p.rng.choice(names)), accept=lambda t, s: t.place != "wall" and max(s[:2]) < 0.8)
        if thing is None:
            continue
        p.along_wall(thing, tries=5, gap=0.03 + float(p.rng.exponential(0.08)))
