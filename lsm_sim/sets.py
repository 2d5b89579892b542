# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Furniture that belongs together: where to sit, eat, sleep, work, cook and wash. Each returns its main thing."""
from __future__ import annotations

import math

import numpy as np

from lsm_sim.placement import Body, body_of, outline, skirting_gap
from lsm_sim.placer import WALL_GAP, Placer
from lsm_sim.plan import free_stretches
from lsm_sim.world import Thing

UNDER_TABLE = (0.22, 0.12, 0.04, -0.04, -0.12, -0.25)
"""Metres that a chair is pushed under a table, tried in turn."""


def sofa_set(p: Placer) -> Body | None:
    """A sofa at a wall, a low table on a carpet before it, an armchair, and a television opposite."""
    sofa = p.make("sofa")
    placed = p.along_wall(sofa, corner=0.2) if sofa is not None else None
    if placed is None:
        sofa = p.make("sofa", ("straight",), lambda t, s: s[1] < 1.9)
        placed = p.along_wall(sofa) if sofa is not None else None
    if placed is None:
        return None
    low, high = outline(sofa)
    middle = float((low[1] + high[1]) / 2)
    table = p.make("table", ("coffee",), lambda t, s: s[2] < 0.6)
    if table is not None:
        reach = -float(outline(table)[0][0])
        turned = 0.0 if p.rng.random() < 0.85 else math.pi / 2
        for gap in (0.4, 0.3, 0.5):
            at = p.beside(placed, table, high[0] + gap + reach, middle, turned)
            if at is not None:
                small_things(p, at, ("cup", "book", "book", "bottle", "plant"), 3)
                break
    carpet_below(p, placed, high[0] + 0.55, middle, 0.7)
    _television(p, placed)
    if p.rng.random() < 0.55:
        chair = p.make("chair", ("armchair",))
        for side in p.rng.permutation((-1, 1)):
            y = middle + side * (float(high[1] - low[1]) / 2 + 0.35)
            if chair is not None and p.beside(placed, chair, high[0] + 0.7, y, -side * 2.2, reserved=True) is not None:
                break
    if p.rng.random() < 0.5:
        beside_things(p, placed, ("lamp", "table", "plant", "box"))
    return placed


def _television(p: Placer, sofa: Body) -> Body | None:
    """A television that faces a sofa: opposite if there is room, else at any wall."""
    screen = p.make("television")
    if screen is None:
        return None
    side = int(np.argmin([abs((y - sofa.yaw + math.pi) % (2 * math.pi) - math.pi) for y in
                          (math.pi / 2, math.pi, -math.pi / 2, 0.0)]))
    opposite = (side + 2) % 4
    near = float(sofa.T[1 - (opposite + 1) % 2, 3])
    for sides, place in (((opposite,), near), ((opposite,), None), (None, None)):
        if screen.place == "top":
            stand = p.make("cabinet", accept=lambda t, s: s[2] < 0.75 and s[1] > 0.6 and bool(t.supports))
            host = p.along_wall(stand, sides, place, tries=6) if stand is not None else None
            if host is not None:
                return p.on_top(host, screen, yaw=0.0)
        else:
            body = p.along_wall(screen, sides, place, tries=6)
            if body is not None:
                return body
    return None


def dining_set(p: Placer) -> Body | None:
    """A table in the open with equal chairs around it, things on it, at times on a carpet."""
    table = p.make("table", ("dining", "round"), lambda t, s: 0.6 < s[2] < 0.85 and max(s[:2]) > 0.7)
    if table is None:
        return None
    placed = p.in_open(table, 0.7, around=0.42) or p.in_open(table, 0.7, around=0.3) or p.along_wall(table, gap=0.05)
    if placed is None:
        return None
    low, high = outline(table)
    size = high - low
    chair = p.make("chair", ("dining", "shell"), lambda t, s: max(s[:2]) < 0.7)
    if chair is None:
        return placed
    spots = []
    for axis in (0, 1):
        count = max(1, int(size[1 - axis] / 0.62)) if size[1 - axis] > 0.55 else 0
        for sign in (-1, 1):
            for k in range(count):
                spots.append((axis, sign, (k + 0.5) / count * size[1 - axis] - size[1 - axis] / 2))
    for axis, sign, along in spots:
        if p.rng.random() < 0.85:
            chair_at(p, placed, chair, axis, sign, along)
    small_things(p, placed, ("cup", "bottle", "book", "cup", "plant", "bag"), 5)
    if p.rng.random() < 0.35:
        carpet_below(p, placed, 0.0, 0.0, 1.0)
    return placed


def chair_at(p: Placer, table: Body, chair: Thing, axis: int, sign: int, along: float,
             edge: float | None = None) -> Body | None:
    """A chair that faces a side of a table (at `edge`, else its bounds), pushed under as far as it goes."""
    low, high = outline(table.thing)
    edge = float((high if sign > 0 else low)[axis]) if edge is None else edge
    front = float(outline(chair)[1][0])
    yaw = (math.pi if sign > 0 else 0.0) if axis == 0 else (-math.pi / 2 if sign > 0 else math.pi / 2)
    for depth in UNDER_TABLE:
        across = edge + sign * (front - depth)
        x, y = (across, along) if axis == 0 else (along, across)
        jitter = float(p.rng.normal(0, 0.06)) + (float(p.rng.normal(0, 0.4)) if p.rng.random() < 0.1 else 0.0)
        body = p.beside(table, chair, x, y + float(p.rng.normal(0, 0.01)), yaw + jitter)
        if body is not None:
            return body
    return None


def bed_set(p: Placer) -> Body | None:
    """A bed with its head at a wall, small tables with lamps or books beside it, a carpet."""
    placed = None
    for accept in (None, None, lambda t, s: s[1] < 1.5, lambda t, s: s[1] < 1.2):
        bed = p.make("bed", accept=accept)
        placed = p.along_wall(bed, corner=0.45, tries=10) if bed is not None else None
        if placed is not None:
            break
    if placed is None:
        return None
    low, high = outline(placed.thing)
    for side in (-1, 1):
        if p.rng.random() < 0.75:
            stand = p.make("cabinet", ("night",), lambda t, s: s[2] < 0.75 and max(s[:2]) < 0.65) or \
                p.make("table", ("side",), lambda t, s: s[2] < 0.75 and max(s[:2]) < 0.6)
            if stand is None:
                continue
            a, b = outline(stand)
            y = high[1] + 0.04 - a[1] if side > 0 else low[1] - 0.04 - b[1]
            at = p.beside(placed, stand, low[0] - a[0], float(y), reserved=True)
            if at is not None:
                lamp = p.make("lamp", ("table",)) if p.rng.random() < 0.7 else None
                if lamp is not None:
                    p.on_top(at, lamp)
                small_things(p, at, ("book", "cup", "bottle"), 2)
    if p.rng.random() < 0.5:
        carpet_below(p, placed, high[0] * 0.6, (high[1] + 0.3) * float(p.rng.choice((-1, 0, 1))), 0.9)
    return placed


def desk_set(p: Placer) -> Body | None:
    """A desk at a wall with its chair, monitor, keyboard, computer, and what lies about."""
    placed = None
    for _ in range(3):
        desk = p.make("desk")
        placed = p.along_wall(desk, tries=10) if desk is not None else None
        if placed is not None:
            break
    if placed is None or not placed.thing.supports:
        return placed
    top = max(placed.thing.supports, key=lambda s: s.half[0] * s.half[1])
    chair = p.make("chair", ("office", "office", "shell"), lambda t, s: max(s[:2]) < 0.85)
    y = 0.0
    for share in (float(p.rng.uniform(-0.3, 0.3)), -0.4, 0.4, 0.0):
        y = top.center[1] + share * top.half[1]
        if chair is None or chair_at(p, placed, chair, 0, 1, y, top.center[0] + top.half[0]) is not None:
            break
    y -= top.center[1]
    if p.rng.random() < 0.22:
        laptop = p.make("computer", accept=lambda t, s: t.place == "top" and s[1] < 0.45)
        if laptop is not None:
            p.on_top(placed, laptop, top, (0.0, y), 0.0)
    else:
        two = top.half[1] > 0.7 and p.rng.random() < 0.4
        for k in (-1, 1) if two else (0,):
            monitor = p.make("monitor", accept=lambda t, s: t.place == "top")
            if monitor is not None:
                p.on_top(placed, monitor, top, (-0.6 * top.half[0], y + 0.34 * k), -0.2 * k)
        keyboard = p.make("keyboard")
        if keyboard is not None:
            p.on_top(placed, keyboard, top, (0.55 * top.half[0], y), float(p.rng.normal(0, 0.05)))
        if p.rng.random() < 0.7:
            computer = p.make("computer")
            if computer is not None and computer.place == "top":
                p.on_top(placed, computer, top)
            elif computer is not None:
                low, high = outline(placed.thing)
                y_end = float(p.rng.choice((low[1] - 0.15, high[1] + 0.15, low[1] + 0.3, high[1] - 0.3)))
                p.beside(placed, computer, 0.0, y_end)
    if p.rng.random() < 0.4:
        lamp = p.make("lamp", ("table",))
        if lamp is not None:
            p.on_top(placed, lamp, top)
    small_things(p, placed, ("book", "cup", "book", "bottle", "box", "plant", "bag"), 5)
    return placed


def kitchen_row(p: Placer) -> Body | None:
    """Counters, sink, stove and appliances side by side along the longest stretch of wall, and things on them."""
    stretches = [(b - a, side, a, b) for side in range(4)
                 for a, b in free_stretches(p.space.plan, p.space.index, side, WALL_GAP, windows=False)]
    stretches.sort(key=lambda s: -s[0])
    counter = p.make("counter", ("kitchen",), lambda t, s: s[1] < 1.2)
    units = [counter, p.make("sink", ("kitchen",)), counter, p.make(str(p.rng.choice(("stove", "stove", "oven")))), counter]
    extra = ["refrigerator", "dishwasher", "oven", "washing machine"]
    p.rng.shuffle(extra)
    for name in extra[:int(p.rng.integers(1, 4))]:
        units.insert(int(p.rng.choice((0, len(units), 3))), p.make(name))
    units = [u for u in units if u is not None]
    placed: list[Body] = []
    for length, side, a, b in stretches:
        if length > 1.2 and units:
            units = _row(p, side, a, b, units, placed)
    if not placed:
        return None
    counters = [body for body in placed if body.thing.label == "counter"]
    if counters and p.rng.random() < 0.8:
        oven = p.make("microwave")
        if oven is not None:
            p.on_top(counters[int(p.rng.integers(len(counters)))], oven, yaw=0.0)
    for body in counters:
        if p.rng.random() < 0.6:
            _above(p, body, *(("cabinet", ("wall",)) if p.rng.random() < 0.7 else ("shelf", ("wall",))))
        small_things(p, body, ("cup", "bottle", "bottle", "box", "cup", "plant", "book"), 3)
    return placed[0]


def _row(p: Placer, side: int, a: float, b: float, units: list[Thing], placed: list[Body]) -> list[Thing]:
    """Puts as many units as fit side by side from a to b along a side; adds to `placed`, returns the remaining units."""
    place, left = a, list(units)
    while left and place < b - 0.4:
        for k, thing in enumerate(left):
            _, _, below, above = p.spread(side, thing)
            body = None
            if place + below + above <= b:
                body = p.put(thing, p.against(side, place + below, thing))
            if body is not None:
                placed.append(body)
                left.pop(k)
                place += below + above + 0.004
                break
        else:
            place += 0.1
    return left


def bath_set(p: Placer) -> Body | None:
    """Bathtub or shower in a corner, toilet, sink with a mirror above, at times a washing machine."""
    names = ["bathtub", "shower"] if p.rng.random() < 0.5 else ["shower", "bathtub"]
    done = None
    for name in names if p.space.room.area > 7 and p.rng.random() < 0.5 else names[:1]:
        thing = p.make(name)
        done = (p.along_wall(thing, corner=0.9) if thing is not None else None) or done
    for name in ("toilet", "sink", "washing machine"):
        thing = p.make(name, ("basin",) if name == "sink" else ())
        body = p.along_wall(thing) if thing is not None and (name != "washing machine" or p.rng.random() < 0.5) else None
        if body is None:
            continue
        done = done or body
        if name == "sink":
            _above(p, body, "mirror")
            small_things(p, body, ("cup", "bottle"), 2)
    return done


def _above(p: Placer, host: Body, name: str, kinds: tuple[str, ...] = ()) -> Body | None:
    """A thing on the wall behind another, in line with it."""
    for _ in range(4):
        thing = p.make(name, kinds, lambda t, s: t.place == "wall")
        if thing is None:
            return None
        back = float(outline(host.thing)[0][0]) - WALL_GAP + skirting_gap(thing)
        body = p.put(thing, p.ground(host.T @ _shift(back)), True, True, 0.0)
        if body is not None:
            return body
    return None


def _shift(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


def carpet_below(p: Placer, host: Body, x: float, y: float, share: float) -> Body | None:
    """A carpet at a place of a thing's frame, with probability `share`; legs may stand on it."""
    if p.rng.random() > share:
        return None
    room = p.space.room
    carpet = p.make("carpet", accept=lambda t, s: s[2] < 0.03 and max(s[:2]) < 0.75 * (room.high - room.low).max())
    if carpet is None:
        return None
    for turn in (0.0, math.pi / 2):
        T = host.T @ _turn(x, y, turn)
        body = body_of(carpet, p.ground(T))
        if p.space.fits_below(body):
            p.placed.append(p.space.put_below(body))
            return body
    return None


def _turn(x: float, y: float, yaw: float) -> np.ndarray:
    T = np.eye(4)
    c, s = math.cos(yaw), math.sin(yaw)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:2, 3] = x, y
    return T


def small_things(p: Placer, host: Body, names: tuple[str, ...], most: int) -> None:
    """Up to `most` small things of these classes on a thing's supports, by the room's clutter."""
    for _ in range(int(p.rng.binomial(most, min(1.0, 0.15 + p.clutter)))):
        name = str(p.rng.choice(names))
        kinds = {"plant": ("small",), "lamp": ("table",)}.get(name, ())
        thing = p.make(name, kinds, lambda t, s: t.place == "top" or (
            t.place == "floor" and max(s) < 0.45 and not t.against_wall), tries=4)
        if thing is not None:
            p.on_top(host, thing)


def beside_things(p: Placer, host: Body, names: tuple[str, ...]) -> Body | None:
    """One thing of these classes next to another, in line with its back."""
    name = str(p.rng.choice(names))
    kinds = {"plant": ("tall",), "lamp": ("floor",), "table": ("side",)}.get(name, ())
    thing = p.make(name, kinds, lambda t, s: t.place == "floor" and max(s[:2]) < 0.7)
    if thing is None:
        return None
    low, high = outline(host.thing)
    a, b = outline(thing)
    for side in p.rng.permutation((-1, 1)):
        y = high[1] + 0.06 - a[1] if side > 0 else low[1] - 0.06 - b[1]
        body = p.beside(host, thing, float(low[0] - a[0]), float(y), reserved=True)
        if body is not None:
            return body
    return None


SETS = {"sofa set": sofa_set, "dining set": dining_set, "bed set": bed_set, "desk set": desk_set,
        "kitchen row": kitchen_row, "bath set": bath_set}
"""Sets by the names that room_types.py uses."""
