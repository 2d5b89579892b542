# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Elements of floor plans: doors, passages, windows, rooms along a corridor, and rectangles cut into rooms."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lsm_sim.furniture.parts import chance, pick
from lsm_sim.plan import JAMB, SIDES, Opening, Plan, Room, free_stretches, on_side, side_line

ROOM_SIZES = {"living": ((4.0, 6.5), (3.4, 5.2)), "studio": ((4.6, 7.0), (3.8, 5.4)), "bedroom": ((3.4, 4.8), (3.0, 4.2)),
              "kitchen": ((3.2, 4.8), (2.8, 3.8)), "office": ((3.2, 5.4), (3.0, 4.4)), "bath": ((2.6, 3.6), (2.4, 3.0)),
              "store": ((2.6, 3.8), (2.4, 3.4))}
"""Metres of length and width, smallest and largest, by kind of room."""

SMALLEST_ROOM = 2.2
"""Metres of the shorter side."""


def new_style(rng: np.random.Generator) -> int:
    """A seed for looks."""
    return int(rng.integers(1 << 30))


def new_room(low: Sequence[float], high: Sequence[float], height: float, kind: str, rng: np.random.Generator) -> Room:
    """A room between two corners (2,) with a style of its own."""
    return Room(np.round(np.asarray(low, float), 7), np.round(np.asarray(high, float), 7), height, kind, new_style(rng))


def new_height(rng: np.random.Generator) -> float:
    """Height of rooms in metres."""
    return round(float(rng.uniform(2.4, 2.95)), 3)


def new_wall(rng: np.random.Generator) -> float:
    """Half the thickness of walls in metres."""
    return round(float(rng.uniform(0.05, 0.1)), 3)


def door_between(plan: Plan, a: int, b: int, side: int, rng: np.random.Generator,
                 along: float | None = None) -> Opening | None:
    """A doorway from room a through its side to room b that faces it; None if there is no room for one."""
    ra, rb = plan.rooms[a], plan.rooms[b]
    axis = SIDES[side][0]
    low = max(ra.low[1 - axis], rb.low[1 - axis])
    high = min(ra.high[1 - axis], rb.high[1 - axis])
    width = round(float(rng.uniform(0.94, 1.2)), 3)
    spare = (high - low) - (width + 2 * JAMB + 0.24)
    if spare < 0:
        width, spare = 0.94, (high - low) - (0.94 + 2 * JAMB + 0.24)
        if spare < 0:
            return None
    share = float(pick(rng, (0.0, 1.0, rng.random()))) if along is None else along
    place = low + JAMB + 0.12 + width / 2 + share * spare
    leaf = _leaf(ra, side, place, width, rng) if chance(rng, 0.7) else None
    return Opening("door", (a, b), side, on_side(ra, side, place, plan.wall), width,
                   round(float(rng.uniform(2.0, 2.1)), 3), 0.0, leaf, new_style(rng))


def _leaf(room: Room, side: int, place: float, width: float, rng: np.random.Generator) -> tuple[int, float]:
    """Hinge and angle of a leaf that stands open in a room: at right angles or more, as far as the corner allows."""
    hinge, (axis, sign) = int(rng.choice((-1, 1))), SIDES[side]
    toward = hinge * (-sign if axis == 0 else sign)
    _, low, high = side_line(room, side)
    space = (high - place if toward > 0 else place - low) - width / 2 - 0.14
    most = 75.0 if space > width else math.degrees(math.asin(max(space, 0.0) / width))
    return hinge, math.radians(90 + float(rng.uniform(0, most)))


def passage(plan: Plan, a: int, b: int, side: int) -> Opening:
    """No wall at all where room a touches room b."""
    ra, rb, axis = plan.rooms[a], plan.rooms[b], SIDES[side][0]
    low = max(ra.low[1 - axis], rb.low[1 - axis])
    high = min(ra.high[1 - axis], rb.high[1 - axis])
    return Opening("passage", (a, b), side, on_side(ra, side, (low + high) / 2), high - low, ra.height)


def add_closed_doors(plan: Plan, i: int, count: int, rng: np.random.Generator) -> None:
    """Shut doors on walls of room i without an opening, at most `count`."""
    for _ in range(count):
        width = round(float(rng.uniform(0.85, 1.0)), 3)
        spots = [(side, s) for side in range(4) for s in free_stretches(plan, i, side, 0.2)
                 if s[1] - s[0] > width + 2 * JAMB]
        if not spots:
            return
        side, (low, high) = spots[int(rng.integers(len(spots)))]
        place = float(rng.uniform(low + width / 2 + JAMB, high - width / 2 - JAMB))
        plan.openings.append(Opening("closed", (i, -1), side, on_side(plan.rooms[i], side, place), width,
                                     round(float(rng.uniform(2.0, 2.1)), 3), style=new_style(rng)))


def add_windows(plan: Plan, i: int, rng: np.random.Generator, most: int = 3) -> None:
    """Windows in outer walls of room i, as many as fit and at most `most`; for copies too where it has any."""
    room = plan.rooms[i]
    copies = [j for j, r in enumerate(plan.rooms) if r.source == i]
    for side in rng.permutation(4):
        for low, high in free_stretches(plan, i, int(side), 0.35, outside=True):
            wide = 0.9 if room.kind in ("bath", "store") else 2.2
            width = round(min(high - low, float(rng.uniform(0.8, wide))), 3)
            if width < 0.6 or most <= 0 or chance(rng, 0.15):
                continue
            place = low + width / 2 + float(rng.random()) * max(high - low - width, 0.0)
            sill = float(rng.uniform(1.3, 1.5)) if room.kind == "bath" else float(rng.uniform(0.75, 1.05))
            top = min(float(rng.uniform(1.95, 2.25)), room.height - 0.2)
            window = Opening("window", (i, -1), int(side), on_side(room, int(side), place), width,
                             round(top - sill, 3), round(sill, 3), None, new_style(rng))
            if all(_fits_copy(plan, j, window) for j in copies):
                plan.openings += [window, *(copy_opening(plan, j, window, (j, -1)) for j in copies)]
                most -= 1


def _fits_copy(plan: Plan, j: int, window: Opening) -> bool:
    other = copy_opening(plan, j, window, (j, -1))
    c = other.center[1 - other.axis]
    return any(low <= c - other.width / 2 and c + other.width / 2 <= high
               for low, high in free_stretches(plan, j, other.side, 0.2, outside=True))


def copy_opening(plan: Plan, j: int, o: Opening, zones: tuple[int, int]) -> Opening:
    """An opening of the source of room j as it is in room j, which is `zones[0]`."""
    T = plan.T_copy_source(j)
    return replace(o, zones=zones, side=(o.side + plan.rooms[j].turns) % 4, center=T[:2, :2] @ o.center + T[:2, 3])


def rooms_off(plan: Plan, corridor: int, side: int, count: int, rng: np.random.Generator,
               kinds: Sequence[str] | None = None) -> list[int]:
    """Adds up to `count` rooms beyond a side of a corridor, each with a doorway to it; returns their indices."""
    c, added = plan.rooms[corridor], []
    axis, sign = SIDES[side]
    line, low, high = side_line(c, side)
    place = low
    for k in range(count):
        kind = str(pick(rng, ("bedroom", "kitchen", "office", "bath", "living", "store"), (3, 2, 3, 2, 2, 1))
                   if kinds is None else kinds[k % len(kinds)])
        (a, b), (e, f) = ROOM_SIZES[kind]
        along, deep = float(rng.uniform(e, b)), float(rng.uniform(e, f))
        along = min(along, high - place)
        if along < SMALLEST_ROOM:
            break
        near = line + sign * 2 * plan.wall
        rect_low, rect_high = np.zeros(2), np.zeros(2)
        rect_low[axis], rect_high[axis] = sorted((near, near + sign * deep))
        rect_low[1 - axis], rect_high[1 - axis] = place, place + along
        plan.rooms.append(new_room(rect_low, rect_high, new_height(rng), kind, rng))
        index = len(plan.rooms) - 1
        door = door_between(plan, index, corridor, (side + 2) % 4, rng)
        if door is None:
            plan.rooms.pop()
            break
        plan.openings.append(door)
        added.append(index)
        place += along + 2 * plan.wall + float(pick(rng, (0.0, 0.0, rng.uniform(0, 2))))
    return added


def split(low: np.ndarray, high: np.ndarray, count: int, gap: float, smallest: float,
          rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """At most `count` rectangles of a rectangle, `gap` apart, none narrower than `smallest`; cut across the longest."""
    rects = [(low, high)]
    while len(rects) < count:
        rects.sort(key=lambda r: -float(np.prod(r[1] - r[0])))
        for k, (a, b) in enumerate(rects):
            axis = int(np.argmax(b - a))
            spare = (b - a)[axis] - 2 * smallest - gap
            if spare >= 0:
                cut = a[axis] + smallest + spare * float(rng.uniform(0.25, 0.75))
                first, second = b.copy(), a.copy()
                first[axis], second[axis] = cut, cut + gap
                rects[k:k + 1] = [(a, first), (second, b)]
                break
        else:
            return rects
    return rects


def connect(plan: Plan, indices: Sequence[int], rng: np.random.Generator, extra: float = 0.3) -> None:
    """Doorways so that all of these rooms can be reached, and at times a second way round."""
    pairs = []
    for a in indices:
        for b in indices:
            for side in (1, 2):
                axis, _ = SIDES[side]
                if abs(plan.rooms[b].low[axis] - plan.rooms[a].high[axis] - 2 * plan.wall) < 1e-3:
                    pairs.append((a, b, side))
    group = {i: i for i in indices}
    for k in rng.permutation(len(pairs)):
        a, b, side = pairs[k]
        if group[a] == group[b] and not chance(rng, extra):
            continue
        door = door_between(plan, a, b, side, rng) if chance(rng, 0.5) else \
            door_between(plan, b, a, (side + 2) % 4, rng)
        if door is not None and _spot_is_free(plan, door):
            plan.openings.append(door)
            old, new = group[b], group[a]
            group = {i: new if g == old else g for i, g in group.items()}


def _spot_is_free(plan: Plan, o: Opening) -> bool:
    return all(np.abs(o.center - p.center).max() > (o.width + p.width) / 2 + 0.3 for p in plan.openings)
