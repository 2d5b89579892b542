# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Walls, floors and ceilings of a plan's rooms, as boxes around the free space."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture.parts import box, chance, pick, tint
from lsm_sim.plan import JAMB, SIDES, SLAB, Opening, Plan, Room, side_line, subtract
from lsm_sim.world import Material, Part, Thing

CASING = 0.06
"""Metres that the frame of a door covers of the wall beside it."""

SKIRTING = 0.014
"""Thickness in metres of the boards at the foot of walls."""

WALL_PAINTS = ("f3f0e8", "ece6d8", "e3ddd0", "f5f5f3", "dfe3e0", "d5dcd2", "c8d3d6", "d9cfc2", "e8d8c4", "cfd6c4",
               "b9c7c9", "a9b8a4", "c9b9a6", "d8c0b0", "8fa0a0", "6f7f86", "b58b6a", "9a5f4a", "4f5f6a", "d9bf7a")
WET_ROOMS = ("bath", "kitchen")
FLOORS = {"living": ("parquet", "planks", "carpet", "planks", "tiles"),
          "bedroom": ("planks", "parquet", "carpet", "carpet"),
          "kitchen": ("tiles", "checker", "planks", "marble"), "bath": ("tiles", "marble", "checker"),
          "office": ("carpet", "parquet", "planks", "noise"), "studio": ("planks", "parquet", "carpet"),
          "store": ("concrete", "noise", "planks"), "hall": ("tiles", "parquet", "planks", "marble"),
          "corridor": ("tiles", "carpet", "planks", "marble", "noise", "concrete", "parquet")}


def build_shell(plan: Plan, i: int, style: int) -> list[Thing]:
    """Wall, floor and ceiling of room i, in the world's frame; `style` seeds their looks."""
    rng = np.random.default_rng([style, 11])
    room = plan.rooms[i]
    walls = wall_materials(room, rng)
    board, board_height = skirting_material(rng), float(rng.uniform(0.06, 0.12))
    has_board = chance(rng, 0.75)
    parts: list[Part] = []
    for side in range(4):
        parts += _side_walls(plan, i, side, walls[side])
        if has_board:
            parts += _skirting(plan, i, side, board, board_height)
    floor, ceiling = floor_material(room.kind, rng), ceiling_material(room.kind, rng)
    (x0, y0), (x1, y1) = room.low, room.high
    grounds = [box((x0, y0, -SLAB), (x1, y1, 0), floor), *_thresholds(plan, i, floor)]
    cover = box((x0, y0, room.height), (x1, y1, room.height + SLAB), ceiling)
    return [Thing("wall", tuple(parts)), Thing("floor", tuple(grounds)), Thing("ceiling", (cover,))]


def wall_materials(room: Room, rng: np.random.Generator) -> list[Material]:
    """Material of each side: mostly one paint or paper, at times one side that differs, tiles in wet rooms."""
    family = pick(rng, ("plain", "plaster", "wallpaper", "blank", "noise", "brick", "concrete", "wood"),
                  (5, 4, 5, 2, 1, 0.7, 0.7, 0.4))
    if room.kind in WET_ROOMS and chance(rng, 0.55):
        family = "tiles"
    elif room.kind == "store":
        family = pick(rng, ("concrete", "plaster", "brick", "blank", "plain"))
    main = _wall(family, rng)
    walls = [main] * 4
    if chance(rng, 0.45):
        walls[int(rng.integers(4))] = _wall(pick(rng, ("wallpaper", "plain", "brick", "wood", "plaster")), rng, 1)
    return walls


def _wall(family: str, rng: np.random.Generator, strong: int = 0) -> Material:
    color = pick(rng, WALL_PAINTS[6:] if strong else WALL_PAINTS)
    scale = {"wallpaper": (0.6, 1.4), "brick": (1.0, 1.6), "tiles": (0.5, 1.2), "wood": (0.7, 1.2),
             "noise": (0.6, 1.2)}
    low, high = scale.get(family, (1.2, 2.5))
    tinted = tint(color, rng, 0.05) if family != "brick" else tuple(rng.uniform(0.75, 1.0, 3))
    gloss = {"tiles": float(rng.uniform(0.2, 0.5)), "blank": float(pick(rng, (0.0, 0.0, 0.15)))}.get(family, 0.0)
    return Material(family, tinted, int(rng.integers(64)), float(rng.uniform(low, high)), gloss)


def floor_material(kind: str, rng: np.random.Generator) -> Material:
    """Material of a floor, by the kind of room."""
    family = pick(rng, FLOORS[kind])
    woods = ("d9b98c", "c79a63", "a4703f", "8a5a32", "6e4426", "d6c4a8", "b8ab98")
    stones = ("e0dcd2", "c9c2b4", "9d9a94", "6f6d69", "d9cbb2", "b9a58a", "cfd4d4")
    cloths = ("8d8f92", "b9b2a6", "6a6c70", "4f6478", "7b5f4b", "8c4a42", "5a6b4e", "a89878")
    color = pick(rng, woods if family in ("planks", "parquet") else cloths if family == "carpet" else stones)
    gloss = {"carpet": 0.0, "concrete": 0.05, "noise": 0.1}.get(family, float(rng.uniform(0.05, 0.45)))
    low, high = {"parquet": (0.7, 1.2), "noise": (0.5, 1.0), "carpet": (0.6, 1.2)}.get(family, (0.9, 1.8))
    return Material(family, tint(color, rng, 0.06), int(rng.integers(64)), float(rng.uniform(low, high)), gloss)


def ceiling_material(kind: str, rng: np.random.Generator) -> Material:
    """Material of a ceiling: mostly white, panels in offices and corridors."""
    family = pick(rng, ("plain", "blank", "plaster", "planks"), (5, 3, 3, 0.6))
    if kind in ("office", "corridor", "store", "hall") and chance(rng, 0.5):
        family = "ceiling_panels"
    color = pick(rng, ("f8f8f6", "f2efe8", "ececea", "e8e2d6"))
    return Material(family, tint(color, rng, 0.02), int(rng.integers(64)), float(rng.uniform(1.2, 2.4)))


def skirting_material(rng: np.random.Generator) -> Material:
    """Material of the boards at the foot of walls."""
    if chance(rng, 0.6):
        return Material("blank", tint(pick(rng, ("f5f5f2", "e5e0d5", "4a4a48"))), 0, 1.0, 0.15)
    return Material("wood", tint(pick(rng, ("b98550", "8a5a32", "4b2f1f")), rng), int(rng.integers(64)), 0.8, 0.1)


def _ends(plan: Plan, i: int, side: int, start: float, end: float) -> tuple[str, str]:
    """Shape of the free space at the start and end of a wall, walked with the room on the left.

    'convex' (the room's own corner), 'reflex' (the wall turns away around a corner), or 'straight' (goes on beyond).
    """
    axis, sign = SIDES[side]
    line = side_line(plan.rooms[i], side)[0]
    eps, out = 1e-3, []
    forward = 1 if end > start else -1
    for place, direction in ((start, -forward), (end, forward)):
        beyond, behind = np.zeros(2), np.zeros(2)
        beyond[axis], beyond[1 - axis] = line + sign * eps, place + direction * eps
        behind[axis], behind[1 - axis] = line - sign * eps, place + direction * eps
        out.append("reflex" if plan.zone_at(beyond) >= 0 else "straight" if plan.zone_at(behind) >= 0 else "convex")
    return out[0], out[1]


def _runs(plan: Plan, i: int, side: int) -> list[tuple[float, float]]:
    """Stretches (low, high) of a side that have a wall, passages left out."""
    _, low, high = side_line(plan.rooms[i], side)
    runs = [(low, high)]
    for o, at in plan.of_room(i):
        if at == side and o.kind == "passage":
            c = o.center[1 - o.axis]
            runs = subtract(runs, c - o.width / 2, c + o.width / 2)
    return [(a, b) for a, b in runs if b - a > 1e-6]


def _walked(side: int, low: float, high: float) -> tuple[float, float, int]:
    """Start, end and direction (+1, -1) of a stretch when walked with the room on the left."""
    return (low, high, 1) if side in (0, 1) else (high, low, -1)


def _slab(room: Room, side: int, along: tuple[float, float], out: tuple[float, float], z: tuple[float, float],
          material: Material) -> Part:
    """A box along a side, from out[0] to out[1] metres outwards of its inner plane."""
    axis, sign = SIDES[side]
    line = side_line(room, side)[0]
    low, high = np.zeros(3), np.zeros(3)
    low[axis], high[axis] = sorted((line + sign * out[0], line + sign * out[1]))
    low[1 - axis], high[1 - axis] = sorted(along)
    low[2], high[2] = z
    return box(low, high, material)


def _side_walls(plan: Plan, i: int, side: int, material: Material) -> list[Part]:
    room, parts = plan.rooms[i], []
    cuts = sorted(((o.center[1 - o.axis], o) for o, at in plan.of_room(i)
                   if at == side and o.kind in ("door", "window")), key=lambda c: c[0])
    for low, high in _runs(plan, i, side):
        start, end, forward = _walked(side, low, high)
        first, last = _ends(plan, i, side, start, end)
        # Where two walls meet, the one walked first fills the corner, so that their faces never share a plane.
        start += forward * plan.wall * (first == "reflex")
        end += forward * plan.wall * (last == "convex")
        a, b = sorted((start, end))
        for place, o in cuts:
            if low < place < high:
                jamb = JAMB if o.kind == "door" else 0.0
                left, right = place - o.width / 2 - jamb, place + o.width / 2 + jamb
                parts.append(_slab(room, side, (a, left), (0, plan.wall), (-SLAB, room.height + SLAB), material))
                parts += _around(room, side, (left, right), plan.wall, o, material)
                a = right
        parts.append(_slab(room, side, (a, b), (0, plan.wall), (-SLAB, room.height + SLAB), material))
    return parts


def _around(room: Room, side: int, along: tuple[float, float], wall: float, o: Opening,
            material: Material) -> list[Part]:
    """The wall above a doorway, or above and below a window."""
    top = o.sill + o.height + (JAMB if o.kind == "door" else 0.0)
    parts = [_slab(room, side, along, (0, wall), (top, room.height + SLAB), material)]
    if o.kind == "window":
        parts.append(_slab(room, side, along, (0, wall), (-SLAB, o.sill), material))
    return parts


def _thresholds(plan: Plan, i: int, floor: Material) -> list[Part]:
    """The floor under the room's half of each doorway."""
    parts = []
    for o, side in plan.of_room(i):
        if o.kind == "door":
            c, half = o.center[1 - o.axis], o.width / 2 + JAMB
            parts.append(_slab(plan.rooms[i], side, (c - half, c + half), (0, plan.wall), (-SLAB, 0), floor))
    return parts


def _skirting(plan: Plan, i: int, side: int, material: Material, height: float) -> list[Part]:
    room, parts = plan.rooms[i], []
    for low, high in _runs(plan, i, side):
        start, end, forward = _walked(side, low, high)
        first, last = _ends(plan, i, side, start, end)
        start += forward * SKIRTING * (first == "convex")
        end += forward * SKIRTING * (last == "reflex")
        pieces = [tuple(sorted((start, end)))]
        for o, at in plan.of_room(i):
            if at == side and (o.kind in ("door", "closed") or (o.kind == "window" and o.sill < height)):
                c, half = o.center[1 - o.axis], o.width / 2 + JAMB + CASING
                pieces = subtract(pieces, c - half, c + half)
        parts += [_slab(room, side, p, (-SKIRTING, 0), (0, height), material) for p in pieces if p[1] - p[0] > 0.02]
    return parts
