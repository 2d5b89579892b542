# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Whole worlds from a seed: a floor plan, its walls, doors and windows, furniture, lamps, and people that walk."""
from __future__ import annotations

import math
import numbers

import numpy as np

from lsm_sim.changes import change_room
from lsm_sim.furnish import fixture, furnish, take_off_leaves
from lsm_sim.keep_clear import KeepClear
from lsm_sim.labels import indoor_labels
from lsm_sim.layouts import LAYOUTS, SMALLEST, make_plan
from lsm_sim.movers import add_movers
from lsm_sim.other_light import other_day, relit, tint_of
from lsm_sim.placement import body_of
from lsm_sim.plan import Opening, Plan
from lsm_sim.shell import build_shell
from lsm_sim.world import Doorway, Thing, World, WorldBuilder, Zone

WORLD_KINDS = tuple(LAYOUTS)
"""Kinds of worlds: 'room', 'corridor', 'rooms', 'loop', 'lookalike'."""


Placed = list[tuple[Thing, np.ndarray]]
"""Things with their poses (4, 4) in the world."""

LAMPS_OUT = 0.25
"""Share of the lamps that are switched off in a world that has changed."""


def build_world(seed: int, kind: str = "room", *, movers: int = 0, clutter: float = 0.5,
                size: tuple | None = None, change: int = 0, clear: KeepClear | None = None) -> World:
    """A furnished world; the same arguments give the same world.

    kind: one of WORLD_KINDS. movers: people that walk to and fro. clutter: 0 (bare) to 1 (full) small things.
    size: (length, width) or (length, width, height) in metres of the insides of all zones together, for 'loop' and
    'lookalike' of the ring of corridors without the rooms off it; None draws it. change: 0, or the number of another day:
    the same plan and all that is built in, but some furniture has moved, gone or come, and the light is another. clear: ground
    onto which nothing comes then, such as a path's (`KeepClear.of_path`); the ways of movers are always kept clear. Copies of
    rooms stay copies. ValueError for arguments that are out of range, which names them.
    """
    seed, size = _checked(seed, kind, size)
    if isinstance(change, bool) or not isinstance(change, numbers.Integral) or change < 0:
        raise ValueError(f"change must be a whole number of at least 0, got {change!r}")
    if isinstance(movers, bool) or not isinstance(movers, numbers.Integral) or movers < 0:
        raise ValueError(f"movers must be a whole number of at least 0, got {movers!r}")
    if isinstance(clutter, bool) or not isinstance(clutter, numbers.Real) or not 0 <= clutter <= 1:
        raise ValueError(f"clutter must be a number from 0 to 1, got {clutter!r}")
    return _build(seed, kind, int(movers), float(clutter), size, int(change), clear or KeepClear.nothing())


def _checked(seed: int, kind: str, size: tuple | None) -> tuple[int, tuple | None]:
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"a seed is a whole number of at least 0, got {seed!r}")
    if kind not in LAYOUTS:
        raise ValueError(f"unknown kind of world {kind!r}; there are: {', '.join(LAYOUTS)}")
    if size is None:
        return int(seed), None
    try:
        values = tuple(float(v) for v in size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"size is (length, width) or (length, width, height) in metres, got {size!r}") from error
    if len(values) not in (2, 3) or not all(math.isfinite(v) for v in values):
        raise ValueError(f"size is (length, width) or (length, width, height) in metres, got {size!r}")
    long, short = SMALLEST[kind]
    if max(values[:2]) < long or min(values[:2]) < short:
        raise ValueError(f"size {size!r} is too small: a world of kind {kind!r} needs {long} x {short} m at least")
    if max(values[:2]) > 40:
        raise ValueError(f"size {size!r} is too large: at most 40 x 40 m")
    if len(values) == 3 and not 2.3 <= values[2] <= 6:
        raise ValueError(f"height must be 2.3 to 6 m, got {values[2]} in size {size!r}")
    return int(seed), values


def _build(seed: int, kind: str, movers: int, clutter: float, size: tuple | None, change: int, clear: KeepClear) -> World:
    plan = make_plan(seed, kind, size)
    take_off_leaves(plan)
    rng = np.random.default_rng([seed, 2])
    day = float(rng.uniform(0.6, 1.0)) if rng.random() < 0.85 else 0.0
    builder = WorldBuilder(seed, kind, indoor_labels())
    contents = {i: _contents(plan, i, day, clutter) for i, room in enumerate(plan.rooms) if room.source is None}
    bodies = [body_of(thing, plan.T_copy_source(i) @ T) for i in range(len(plan.rooms))
              for thing, T in contents[_source(plan, i)] if thing.label not in ("wall", "floor", "ceiling")]
    walkers = WorldBuilder(seed, kind, builder.label_space)
    if movers:
        add_movers(walkers, plan, bodies, movers, np.random.default_rng([seed, 3]))
    ambient = 1.0
    if change:
        contents = _another_day(plan, contents, day, clear.with_all(KeepClear.of_movers(walkers.movers)), seed, change)
        ambient = float(np.random.default_rng([seed, 2, change, 1]).uniform(0.7, 1.3))
    for i, room in enumerate(plan.rooms):
        builder.zones.append(Zone(np.r_[room.low, 0.0], np.r_[room.high, room.height], room.kind,
                                  ambient * float(np.random.default_rng([room.style, 31]).uniform(0.25, 0.45))))
        for thing, T in contents[_source(plan, i)]:
            builder.add(thing, plan.T_copy_source(i) @ T)
    builder.doorways = [_doorway(o) for o in plan.openings if o.kind in ("door", "passage")]
    if movers:
        add_movers(builder, plan, bodies, movers, np.random.default_rng([seed, 3]))
    return builder.build()


def _source(plan: Plan, i: int) -> int:
    """The room that room i is a copy of, or itself."""
    source = plan.rooms[i].source
    return i if source is None else source


def _contents(plan: Plan, i: int, day: float, clutter: float) -> Placed:
    """Walls, fixtures and furniture of room i, which is no copy."""
    near = [f for j in _sources_beside(plan, i) for f in fixture(plan, j, day)]
    return [*((t, np.eye(4)) for t in build_shell(plan, i, plan.rooms[i].style)), *fixture(plan, i, day),
            *furnish(plan, i, near, clutter)]


def _another_day(plan: Plan, contents: dict[int, Placed], day: float, clear: KeepClear, seed: int, change: int
                 ) -> dict[int, Placed]:
    """The contents of all rooms on another day: fixtures in another light, furniture moved. Ground that must stay clear in
    a room or in a copy of it stays so in both."""
    light = np.random.default_rng([seed, 2, change])
    now, tint, out = other_day(day, light), tint_of(light), {}
    for i, things in contents.items():
        rng = np.random.default_rng([seed, 43, change, i])
        shell, before, after = len(build_shell(plan, i, plan.rooms[i].style)), fixture(plan, i, day), fixture(plan, i, now)
        near = [f for j in _sources_beside(plan, i) for f in fixture(plan, j, now)]
        kept = KeepClear.nothing()
        for j in (j for j in range(len(plan.rooms)) if _source(plan, j) == i):
            kept = kept.with_all(clear.within(plan.rooms[j].low, plan.rooms[j].high).taken_by(
                np.linalg.inv(plan.T_copy_source(j))))
        furniture = change_room(plan, i, things[shell + len(before):], near, kept, rng)
        share = LAMPS_OUT if now > 0 else 0.0  # at night at least the lamps are on
        out[i] = [*things[:shell], *after, *((relit(thing, tint, share, rng), T) for thing, T in furniture)]
    return out


def _sources_beside(plan: Plan, i: int) -> list[int]:
    """Room i and the rooms that share a doorway with it."""
    return sorted({i, *(j for o, _ in plan.of_room(i) for j in o.zones if j >= 0)})


def _doorway(o: Opening) -> Doorway:
    return Doorway(o.zones, np.r_[o.center, 0.0], o.width, o.height, o.axis)
