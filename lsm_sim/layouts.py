# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Draws floor plans: single rooms, corridors, flats of several rooms, rings of corridors, and plans with copies."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lsm_sim.furniture.parts import chance, pick
from lsm_sim.layout_parts import (
    ROOM_SIZES,
    add_closed_doors,
    add_windows,
    connect,
    copy_opening,
    door_between,
    new_height,
    new_room,
    new_style,
    new_wall,
    passage,
    rooms_off,
    split,
)
from lsm_sim.plan import SIDES, Plan, Room, check_plan, side_line

RING_LENGTH = (10.0, 60.0)
"""Metres of the centre line of a ring of corridors, smallest and largest."""

RING_WIDTH = (1.4, 2.2)


def room_plan(rng: np.random.Generator, size: tuple | None) -> Plan:
    """One room with a shut door and windows."""
    kind = str(pick(rng, ("living", "studio", "bedroom", "kitchen", "office", "bath", "store"),
                    (4, 4, 3, 3, 3, 0.8, 0.5)))
    (a, b), (c, d) = ROOM_SIZES[kind]
    length, width = (float(rng.uniform(a, b)), float(rng.uniform(c, d))) if size is None else size[:2]
    height = size[2] if size is not None and len(size) > 2 else new_height(rng)
    if size is None and chance(rng, 0.5):
        length, width = width, length
    half = np.array([length, width]) / 2
    plan = Plan(new_wall(rng), [new_room(-half, half, height, kind, rng)])
    add_closed_doors(plan, 0, 1, rng)
    add_windows(plan, 0, rng)
    return plan


def corridor_plan(rng: np.random.Generator, size: tuple | None) -> Plan:
    """A corridor, straight or round a corner, with none to three rooms off it and shut doors."""
    wall = new_wall(rng)
    width = float(rng.uniform(*RING_WIDTH)) if size is None else min(size[:2])
    length = float(rng.uniform(7, 16)) if size is None else max(size[:2])
    height = size[2] if size is not None and len(size) > 2 else new_height(rng)
    plan = Plan(wall, [new_room((0, 0), (length, width), height, "corridor", rng)])
    if size is None and chance(rng, 0.45):
        arm = float(rng.uniform(3.5, 8))
        plan.rooms.append(replace(new_room((length - width, width), (length, width + arm), height, "corridor", rng),
                                  style=plan.rooms[0].style))
        plan.openings.append(passage(plan, 0, 1, 2))
    if size is None:
        rooms_off(plan, 0, 0, int(rng.integers(0, 4)), rng)
    for i in range(len(plan.rooms)):
        corridor = plan.rooms[i].kind == "corridor"
        add_closed_doors(plan, i, int(rng.integers(1, 4)) if corridor else int(chance(rng, 0.2)), rng)
        add_windows(plan, i, rng, 2)
    return plan


def rooms_plan(rng: np.random.Generator, size: tuple | None) -> Plan:
    """A flat of two to five rooms."""
    wall, count = new_wall(rng), int(rng.integers(2, 6))
    area = count * float(rng.uniform(11, 17))
    length = math.sqrt(area * float(rng.uniform(1.0, 1.8)))
    length, width = (length, area / length) if size is None else size[:2]
    smallest = min(2.5, (max(length, width) - 2 * wall) / 2)
    rects = split(np.zeros(2), np.array([length, width]), count, 2 * wall, smallest, rng)
    height = size[2] if size is not None and len(size) > 2 else new_height(rng)
    by_area = sorted(rects, key=lambda r: -float(np.prod(r[1] - r[0])))
    kinds = ["living" if chance(rng, 0.7) else "studio"]
    kinds += list(rng.permutation(["bedroom", "kitchen", "office", "bedroom"]))[:max(0, len(rects) - 2)]
    small = float(np.prod(by_area[-1][1] - by_area[-1][0])) < 10
    last = {"bath": 6, "kitchen": 1, "hall": 2, "store": 1} if small else {"office": 2, "hall": 1, "kitchen": 2, "bedroom": 2}
    left = [k for k in last if k not in kinds]
    kinds.append(str(pick(rng, left, [last[k] for k in left])))
    plan = Plan(wall, [new_room(a, b, height, str(k), rng) for (a, b), k in zip(by_area, kinds, strict=False)])
    connect(plan, range(len(plan.rooms)), rng)
    for i in range(len(plan.rooms)):
        add_closed_doors(plan, i, int(chance(rng, 0.2)), rng)
        add_windows(plan, i, rng, 2)
    return plan


def ring_rooms(length: float, width: float, w: float, height: float, rng: np.random.Generator) -> list[Room]:
    """Four corridors around a block, of outer length and width, each filling one corner, so that turns map them."""
    x, y, style = length, width, new_style(rng)
    rects = (((0, 0), (x - w, w)), ((x - w, 0), (x, y - w)), ((w, y - w), (x, y)), ((0, w), (w, y)))
    return [replace(new_room(a, b, height, "corridor", rng), style=style) for a, b in rects]


def _ring_size(rng: np.random.Generator, size: tuple | None, square: bool = False) -> tuple[float, float, float, float]:
    """Outer length and width, corridor width, height of a ring."""
    height = size[2] if size is not None and len(size) > 2 else new_height(rng)
    if size is not None:
        w = min(float(rng.uniform(*RING_WIDTH)), (min(size[:2]) - 0.6) / 2)
        return size[0], size[1], w, height
    total = float(np.exp(rng.uniform(math.log(RING_LENGTH[0] + 0.5), math.log(RING_LENGTH[1] - 1))))
    w = float(rng.uniform(RING_WIDTH[0], min(RING_WIDTH[1], max(RING_WIDTH[0] + 0.01, total / 8))))
    ratio = 0.5 if square else float(rng.uniform(0.36, 0.64))
    least = w + 2 * 0.1 + 0.5
    a = min(max(total / 2 * ratio, least), total / 2 - least)
    return a + w, total / 2 - a + w, w, height


def loop_plan(rng: np.random.Generator, size: tuple | None) -> Plan:
    """A ring of corridors with rooms off it, outside and inside."""
    length, width, w, height = _ring_size(rng, size)
    plan = Plan(new_wall(rng), ring_rooms(length, width, w, height, rng))
    plan.openings += [passage(plan, k, (k + 1) % 4, (1, 2, 3, 0)[k]) for k in range(4)]
    _rooms_inside(plan, length, width, w, rng)
    most = int(rng.integers(3, 7))
    for side in rng.permutation(4):
        if len(plan.rooms) - 4 < most and chance(rng, 0.8):
            rooms_off(plan, int(side), int(side), int(rng.integers(1, 3)), rng)
    for i, room in enumerate(plan.rooms):
        corridor = room.kind == "corridor"
        add_closed_doors(plan, i, int(rng.integers(0, 3)) if corridor else int(chance(rng, 0.15)), rng)
        add_windows(plan, i, rng, 2)
    return plan


def _rooms_inside(plan: Plan, length: float, width: float, w: float, rng: np.random.Generator) -> None:
    """Rooms in the block that a ring goes around, where it is large enough, each with a doorway to the ring."""
    low = np.full(2, w + 2 * plan.wall)
    high = np.array([length, width]) - low
    if (high - low).min() < 2.4 or not chance(rng, 0.8):
        return
    for a, b in split(low, np.minimum(high, low + 7.5), int(rng.integers(1, 4)), 2 * plan.wall, 2.4, rng):
        area = float(np.prod(b - a))
        kind = str(pick(rng, ("bath", "store", "office", "kitchen"))) if area < 10 else \
            str(pick(rng, ("office", "living", "kitchen", "bedroom", "studio")))
        plan.rooms.append(new_room(a, b, new_height(rng), kind, rng))
        index = len(plan.rooms) - 1
        for side in rng.permutation(4):
            corridor = int(side)
            rect, ring = plan.rooms[index], plan.rooms[corridor]
            axis, sign = SIDES[corridor]
            gap = sign * (side_line(ring, (corridor + 2) % 4)[0] - side_line(rect, corridor)[0])
            door = door_between(plan, index, corridor, corridor, rng) if abs(gap - 2 * plan.wall) < 1e-3 else None
            if door is not None:
                plan.openings.append(door)
                break
        else:
            plan.rooms.pop()


def lookalike_plan(rng: np.random.Generator, size: tuple | None) -> Plan:
    """Rooms of a corridor, or the sides of a ring, that are copies of each other."""
    plan = _alike_ring(rng, size) if size is not None or chance(rng, 0.5) else _alike_rooms(rng)
    for i, room in enumerate(plan.rooms):
        if room.source is None:
            if room.kind != "corridor":
                add_windows(plan, i, rng, 1)
            elif not any(r.source == i for r in plan.rooms):
                add_closed_doors(plan, i, 2, rng)
    return plan


def _alike_rooms(rng: np.random.Generator) -> Plan:
    """A straight corridor with two to five equal rooms on one side or on both."""
    w, wall, height = float(rng.uniform(*RING_WIDTH)), new_wall(rng), new_height(rng)
    kind = str(pick(rng, ("office", "bedroom", "kitchen", "store", "bath")))
    (_, b), (e, f) = ROOM_SIZES[kind]
    along, deep, count = float(rng.uniform(e, b - 0.4)), float(rng.uniform(e, f)), int(rng.integers(2, 4))
    plan = Plan(wall, [new_room((0, 0), (count * (along + 2 * wall) - 2 * wall, w), height, "corridor", rng)])
    both = chance(rng, 0.5)
    first, share = None, float(pick(rng, (0.0, 1.0, 0.5)))
    for row in range(2 if both else 1):
        for k in range(count):
            x = k * (along + 2 * wall)
            low, high = ((x, w + 2 * wall), (x + along, w + 2 * wall + deep)) if row == 0 else \
                ((x, -2 * wall - deep), (x + along, -2 * wall))
            room = new_room(low, high, height, kind, rng)
            if first is not None:
                room = replace(room, style=plan.rooms[1].style, source=1, turns=2 * row)
            plan.rooms.append(room)
            j = len(plan.rooms) - 1
            if first is None:
                first = door_between(plan, 1, 0, 0, rng, share)
                plan.openings.append(first)
            else:
                plan.openings.append(copy_opening(plan, j, first, (j, 0)))
    return plan


def _alike_ring(rng: np.random.Generator, size: tuple | None) -> Plan:
    """A ring whose opposite sides, or in a square all four, are copies, at times each with an equal room off it."""
    square = size is None and chance(rng, 0.5)
    length, width, w, height = _ring_size(rng, size, square)
    square = abs(length - width) < 1e-6
    rooms = ring_rooms(length, width, w, height, rng)
    sources = (0, 0, 0, 0) if square else (0, 1, 0, 1)
    rooms = [r if s == k else replace(r, source=s, turns=k - s)
             for k, (r, s) in enumerate(zip(rooms, sources, strict=True))]
    plan = Plan(new_wall(rng), rooms)
    plan.openings += [passage(plan, k, (k + 1) % 4, (1, 2, 3, 0)[k]) for k in range(4)]
    if chance(rng, 0.7):
        _equal_rooms_off(plan, sources, rng)
    return plan


def _equal_rooms_off(plan: Plan, sources: tuple[int, ...], rng: np.random.Generator) -> None:
    """A room off corridor 0, and its copies off the corridors that are copies of it."""
    added = rooms_off(plan, 0, 0, 1, rng)
    if not added:
        return
    first, door = added[0], plan.openings[-1]
    for k in range(1, 4):
        if sources[k] != 0:
            continue
        T = plan.T_copy_source(k)
        a, b = plan.rooms[first].low, plan.rooms[first].high
        corners = np.array([a, b]) @ T[:2, :2].T + T[:2, 3]
        plan.rooms.append(replace(plan.rooms[first], low=corners.min(0), high=corners.max(0), source=first,
                                  turns=plan.rooms[k].turns))
        j = len(plan.rooms) - 1
        plan.openings.append(copy_opening(plan, j, door, (j, k)))


LAYOUTS = {"room": room_plan, "corridor": corridor_plan, "rooms": rooms_plan, "loop": loop_plan,
           "lookalike": lookalike_plan}
SMALLEST = {"room": (2.2, 2.2), "corridor": (4.0, 1.3), "rooms": (5.0, 2.4), "loop": (3.8, 3.8), "lookalike": (3.8, 3.8)}
"""Metres, the longer and the shorter side, that a world of each kind must have at least."""


def make_plan(seed: int, kind: str, size: tuple | None = None) -> Plan:
    """The floor plan of a world; it is complete, checked, and the same for the same arguments."""
    for attempt in range(20):
        rng = np.random.default_rng([seed, 1, attempt])
        plan = LAYOUTS[kind](rng, size)
        if _all_reached(plan):
            check_plan(plan)
            return plan
    raise ValueError(f"no floor plan of kind {kind!r} was found for seed {seed} and size {size}: try a larger size")


def _all_reached(plan: Plan) -> bool:
    reached, todo = {0}, [0]
    while todo:
        i = todo.pop()
        for o, _ in plan.of_room(i):
            for j in o.zones:
                if o.kind in ("door", "passage") and j >= 0 and j not in reached:
                    reached.add(j)
                    todo.append(j)
    return len(reached) == len(plan.rooms)
