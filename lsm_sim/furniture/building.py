# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Parts of a building: doors, windows, stairs, railings, fireplaces, radiators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_sim.furniture import parts as kit
from lsm_sim.furniture.parts import (
    EPS,
    PAINTS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    fitted,
    flat,
    labelled,
    metal,
    paint,
    pick,
    placed,
    rod,
    rot_y,
    rot_z,
    stone,
    turned,
    upright,
    wood,
)
from lsm_sim.world import Lamp, Material, Part, Support, Thing


def _leaf(rng: np.random.Generator, width: float, height: float, thick: float) -> list[Part]:
    """A door's leaf from y = 0 to `width`, its middle plane at x = 0, handles at its far side."""
    stuff = paint(rng, pick(rng, (*PAINTS, "f4f2ec", "f4f2ec", "f7f7f7"))) if chance(rng, 0.6) else wood(rng)
    steel, x = metal(rng), thick / 2
    relief = replace(stuff, color=tuple(0.82 * c for c in stuff.color))
    kind = pick(rng, ("flat", "panels", "glass", "picture"), (4, 4, 3, 2))
    face = fitted("door", rng, 0.1, color=stuff.color) if kind == "picture" else stuff
    out = [box((-x, 0, 0.005), (x, width, height), stuff, front=face, back=face)]
    if kind == "panels":
        rows = pick(
            rng, ((0.08, 0.45, 0.5, 0.95), (0.06, 0.33, 0.37, 0.64, 0.68, 0.95), (0.3, 0.36, 0.4, 0.95), (0.06, 0.95))
        )
        columns = ((0.14, 0.86),) if chance(rng, 0.5) else ((0.13, 0.46), (0.54, 0.87))
        for z0, z1 in zip(rows[::2], rows[1::2], strict=True):
            for a, b in columns:
                for s in (-1, 1):
                    low, high = sorted((s * x, s * (x + 0.008)))
                    out.append(box((low, a * width, z0 * height), (high, b * width, z1 * height), relief))
    elif kind == "glass":
        pane = flat(pick(rng, ("c9d8dc", "dfe6e4", "a9bcc0")), rng, float(rng.uniform(0.4, 0.8)), "blank")
        n = int(pick(rng, (1, 2, 4)))
        z0, z1 = (0.12 if chance(rng, 0.5) else 0.5) * height, 0.94 * height
        for i in range(n):
            a, b = (z0 + (z1 - z0) * (k + d) / n for k, d in ((i, 0.0), (i + 1, -0.06 if n > 1 else 0.0)))
            out.append(box((-x - 0.003, 0.17 * width, a), (x + 0.003, 0.83 * width, b), pane))
    lever = chance(rng, 0.8)
    for s in (-1, 1):
        y = width - 0.065
        out.append(
            box((min(s * x, s * (x + 0.006)), y - 0.02, 0.92), (max(s * x, s * (x + 0.006)), y + 0.02, 1.12), steel)
        )
        if lever:
            out += [
                cylinder((s * (x + 0.025), y, 1.05), 0.01, 0.05, steel, axis="x"),
                box((s * (x + 0.05) - 0.008, y - 0.11, 1.04), (s * (x + 0.05) + 0.008, y + 0.01, 1.06), steel),
            ]
        else:
            out += [
                cylinder((s * (x + 0.02), y, 1.05), 0.012, 0.04, steel, axis="x"),
                ball((s * (x + 0.05), y, 1.05), 0.027, steel),
            ]
    return out


def door_leaf(rng: np.random.Generator, width: float = 0.85, height: float = 2.0) -> Thing:
    """A leaf alone, to stand open in a doorway (place 'floor'): here the origin is its hinge, not its middle.

    It reaches from the origin along y by `width` and up by `height`, 4 cm thick about x = 0, with handles on both sides.
    """
    return Thing("door", tuple(_leaf(rng, width, height, 0.04)))


def door(rng: np.random.Generator, width: float | None = None, height: float | None = None) -> Thing:
    """A closed door with its frame on a wall (place 'wall', from the floor up); metres of the leaf, drawn if None."""
    width = float(rng.uniform(0.7, 1.0)) if width is None else float(width)
    height = float(rng.uniform(1.95, 2.1)) if height is None else float(height)
    rim, bar, deep = (paint(rng, "f4f2ec") if chance(rng, 0.6) else wood(rng)), rng.uniform(0.05, 0.1), 0.05
    w = width / 2
    parts = placed(_leaf(rng, width, height, 0.03), offset=(0.019, -w, 0))
    parts = [p for p in parts if p.corners()[:, 0].max() > 0.019]  # what is on the other side is within the wall
    parts += [
        box((0, s * (w + bar / 2) - bar / 2 + 0.002, 0), (deep, s * (w + bar / 2) + bar / 2 + 0.002, height + bar), rim)
        for s in (-1, 1)
    ]
    parts.append(box((0, -w + 0.002, height + 0.002), (deep, w + 0.002, height + bar), rim))
    return Thing("door", tuple(parts), "wall", front_room=0.9)


def window(
    rng: np.random.Generator, width: float | None = None, sill: float | None = None, top: float | None = None
) -> Thing:
    """A window with frame, panes that show the outdoors, and a board (place 'wall'); daylight stands before it.

    width: metres of the frame; sill, top: heights of its lower and upper edge; all drawn if None. It needs no hole: it lies
    on the wall, 6 cm thick (the board reaches further).
    """
    width = float(rng.uniform(0.7, 2.0)) if width is None else float(width)
    sill = float(pick(rng, (rng.uniform(0.8, 1.05), rng.uniform(0.05, 0.4)), (4, 1))) if sill is None else float(sill)
    top = float(rng.uniform(1.95, 2.25)) if top is None else float(top)
    if not (width > 0.2 and top - sill > 0.2):
        raise ValueError(f"a window must be wider and higher than 0.2 m, got width {width}, sill {sill}, top {top}")
    rim = pick(rng, (paint(rng, "f7f7f7"), wood(rng), flat(pick(rng, ("2b2b2d", "5a5c5e")), rng, 0.2)), (4, 2, 1))
    bar, h, w = rng.uniform(0.04, 0.075), top - sill, width / 2
    light = rng.uniform(0.9, 1.5)
    view = Material("window_view", (1.0, 1.0, 1.0), int(rng.integers(64)), 1.0, 0.1, float(light))
    parts = [
        *kit.frame(width, h, bar, (0, 0.06), sill, rim),
        box((0, -w + bar, sill + bar), (0.012, w - bar, top - bar), rim, front=view),
    ]
    n = max(1, int(round(width / rng.uniform(0.55, 1.0))))
    parts += [
        box((0.012, y - 0.6 * bar, sill + bar), (0.05, y + 0.6 * bar, top - bar), rim)
        for y in (np.arange(1, n) / n - 0.5) * width
    ]
    if chance(rng, 0.35):
        rows = int(rng.integers(2, 4))
        parts += [
            box((0.012, -w + bar, z - 0.012), (0.03, w - bar, z + 0.012), rim)
            for z in sill + np.arange(1, rows) / rows * h
        ]
    for i in range(n):
        y = ((i + 1) / n - 0.5) * width - (0.5 * bar if i == n - 1 else 0.0)
        parts.append(box((0.06, y - 0.012, sill + 0.45 * h), (0.09, y + 0.012, sill + 0.45 * h + 0.1), metal(rng, 0.2)))
    shelf = ()
    if sill > 0.5:
        out = rng.uniform(0.16, 0.25)
        parts.append(
            box((0, -w - 0.06, sill - 0.03), (out, w + 0.06, sill - 0.001), stone(rng) if chance(rng, 0.4) else rim)
        )
        shelf = (Support(((out + 0.1) / 2, 0), sill - 0.001, ((out - 0.1) / 2, w), 0.4),)
    size = float(np.sqrt(width * h))
    lamp = Lamp(
        np.array([0.3, 0.0, sill + 0.6 * h]),
        pick(rng, ((0.92, 0.97, 1.0), (1.0, 0.97, 0.92), (0.85, 0.93, 1.0))),
        float(light * size * rng.uniform(1.6, 2.6)),
        float(np.clip(0.35 * size, 0.15, 0.6)),
    )
    return Thing("window", tuple(parts), "wall", supports=shelf, lamp=lamp)


def stairs(rng: np.random.Generator) -> Thing:
    """A flight that leads up towards -x to the wall behind it, with or without a railing, or a set of steps of two or three."""
    kind = pick(rng, ("solid", "open", "steps"), (4, 3, 1))
    rise, run = rng.uniform(0.155, 0.185), rng.uniform(0.25, 0.3)
    n, w = int(rng.integers(5, 10)), rng.uniform(0.8, 1.1)
    if kind == "steps":
        n, w, rise, run = 3, rng.uniform(0.4, 0.55), 0.21, 0.22
    body, tread = pick(rng, (wood, stone, paint))(rng), pick(rng, (wood, stone))(rng)
    long, out, t = n * run, [], 0.03
    front = long / 2
    for i in range(n):
        x0, x1, z = front - (i + 1) * run, front - i * run, (i + 1) * rise
        if kind == "solid":
            out.append(box((x0, -w / 2, 0), (x1, w / 2, z - t), body))
            out.append(box((x0, -w / 2 - 0.01, z - t), (x1 + 0.02, w / 2 + 0.01, z), tread))
        else:
            out.append(box((x0 - 0.015, -w / 2, z - 0.04), (x1 + 0.015, w / 2, z), tread))
    if kind != "solid":
        pitch = float(np.degrees(np.arctan2(rise, run)))
        size = np.hypot(long, n * rise)
        for s in (-1, 1):
            y = s * (w / 2 + 0.02)
            string = turned(box((-size / 2, y - 0.02, -0.1), (size / 2, y + 0.02, 0.1), body), rot_y(pitch), (0, 0, 0))
            out.append(kit.moved(string, (0, 0, n * rise / 2 + 0.05)))
        low = min(p.corners()[:, 2].min() for p in out)
        out = placed(out, offset=(0, 0, -low)) if low < 0 else out
        out += [
            box((-front, s * (w / 2 + 0.02) - 0.03, 0), (-front + 0.06, s * (w / 2 + 0.02) + 0.03, n * rise), body)
            for s in (-1, 1)
        ]
    if kind != "steps" and chance(rng, 0.75):
        sides = ((-1, 1), (1,), (-1,))[int(rng.integers(3))]
        rail, post = wood(rng) if chance(rng, 0.6) else metal(rng), metal(rng, 0.6) if chance(rng, 0.6) else paint(rng)
        for s in sides:
            y = s * (w / 2 - 0.04)
            a, b = (front - 0.5 * run, y, rise + 0.9), (-front + 0.5 * run, y, n * rise + 0.9)
            more = [rod(a, b, 0.025, rail)]
            more += [
                upright(front - (i + 0.5) * run, y, ((i + 1) * rise, (i + 1) * rise + 0.89), 0.011, post)
                for i in range(1, n)
            ]
            more += [
                box((front - 0.5 * run - 0.03, y - 0.03, rise), (front - 0.5 * run + 0.03, y + 0.03, rise + 1.0), rail)
            ]
            out += labelled(more, "railing")
    return Thing("stairs", tuple(out), against_wall=True, front_room=0.8)


def railing(rng: np.random.Generator) -> Thing:
    """A barrier along y with bars, wires, panes or boards (place 'floor')."""
    long, h = rng.uniform(1.0, 2.4), rng.uniform(0.9, 1.1)
    rail = wood(rng) if chance(rng, 0.5) else metal(rng)
    post = metal(rng, 0.5) if chance(rng, 0.6) else paint(rng)
    n = max(2, int(round(long / 1.0)) + 1)
    parts = [
        box((-0.025, y - 0.025, 0), (0.025, y + 0.025, h), post)
        for y in np.linspace(-long / 2 + 0.025, long / 2 - 0.025, n)
    ]
    parts.append(
        box((-0.035, -long / 2 - 0.01, h), (0.035, long / 2 + 0.01, h + 0.035), rail)
        if chance(rng, 0.6)
        else cylinder((0, 0, h + 0.02), 0.024, long + 0.02, rail, axis="y")
    )
    kind = pick(rng, ("bars", "wires", "panes", "boards"), (5, 2, 2, 2))
    if kind == "bars":
        parts.append(box((-0.015, -long / 2, 0.08), (0.015, long / 2, 0.11), post))
        parts += [upright(0, y, (0.11, h), 0.009, post) for y in np.arange(-long / 2 + 0.12, long / 2 - 0.05, 0.12)]
    elif kind == "wires":
        parts += [
            cylinder((0, 0, z), 0.005, long - 0.02, metal(rng, 0), axis="y") for z in np.linspace(0.12, h - 0.1, 7)
        ]
    elif kind == "panes":
        glass = flat(pick(rng, ("bcd0d2", "a9c4c0", "dfe6e6")), rng, 0.7, "blank")
        parts.append(box((-0.006, -long / 2 + 0.05, 0.08), (0.006, long / 2 - 0.05, h - 0.03), glass))
    else:
        parts += [
            box((-0.012, -long / 2 + 0.005, z), (0.012, long / 2 - 0.005, z + 0.09), rail)
            for z in np.arange(0.1, h - 0.12, 0.19)
        ]
    return Thing("railing", tuple(parts))


def fireplace(rng: np.random.Generator) -> Thing:
    """A hearth with a surround, logs or flames and a board above it, or an iron stove on a plate; its back to the wall."""
    if chance(rng, 0.3):
        return _iron_stove(rng)
    w, h, d = rng.uniform(1.1, 1.6), rng.uniform(0.95, 1.25), rng.uniform(0.3, 0.45)
    hole_w, hole_h = rng.uniform(0.5, 0.62) * w, rng.uniform(0.58, 0.7) * h
    body = pick(rng, (Material("brick", (1.0, 1.0, 1.0), int(rng.integers(64)), 0.8), stone(rng), paint(rng, "f4f2ec")))
    soot = flat("1a1715", rng, texture="noise", scale=0.4)
    x = d / 2
    side = (w - hole_w) / 2
    out = [
        box((-x, s * (w / 2 - side / 2) - side / 2, 0), (x, s * (w / 2 - side / 2) + side / 2, hole_h), body)
        for s in (-1, 1)
    ]
    out += [
        box((-x, -w / 2, hole_h), (x, w / 2, h), body),
        box((-x, -hole_w / 2, 0.03), (-x + 0.06, hole_w / 2, hole_h), soot),
        box((-x, -hole_w / 2, 0), (x, hole_w / 2, 0.03), soot),
        box((x, -w / 2 - 0.05, 0), (x + rng.uniform(0.2, 0.35), w / 2 + 0.05, 0.03), stone(rng)),
    ]
    mantel = pick(rng, (wood, stone, paint))(rng)
    out.append(box((-x, -w / 2 - 0.1, h), (x + 0.1, w / 2 + 0.1, h + 0.06), mantel))
    if chance(rng, 0.5):
        out += [
            box(
                (x, s * (w / 2 - side / 2) - 0.3 * side, 0.031),
                (x + 0.04, s * (w / 2 - side / 2) + 0.3 * side, h),
                mantel,
            )
            for s in (-1, 1)
        ]
    out += _fire(rng, 0.0, 0.03, hole_w)
    if chance(rng, 0.4):
        out.append(box((-x, -0.36 * w, h + 0.06), (0.4 * x, 0.36 * w, 2.3), body))
        shelf = Support((0.7 * x + 0.05, 0), h + 0.06, (0.25 * x + 0.04, w / 2))
    else:
        shelf = Support((0.05, 0), h + 0.06, (x, w / 2), 0.8)
    middle = (max(p.corners()[:, 0].max() for p in out) - x) / 2
    out = placed(out, offset=(-middle, 0, 0))
    shelf = Support((shelf.center[0] - middle, 0), shelf.z, shelf.half, shelf.clear)
    return Thing("fireplace", tuple(out), against_wall=True, supports=(shelf,), front_room=0.7)


def _fire(rng: np.random.Generator, x: float, z: float, width: float) -> list[Part]:
    """Logs on the ground at height z, with flames or without."""
    bark, out = flat("5a3f28", rng, texture="wood", scale=0.3), []
    for i in range(3):
        log = cylinder(
            (x + (i - 1) * 0.08 if i < 2 else x - 0.04, 0, z + (0.045 if i < 2 else 0.12)),
            0.043,
            0.62 * width,
            bark,
            axis="y",
            top=flat("c79a63"),
            bottom=flat("c79a63"),
        )
        out.append(turned(log, rot_z(float(rng.normal(0, 7)))))
    if chance(rng, 0.6):
        for _ in range(int(rng.integers(4, 8))):
            h, y = rng.uniform(0.08, 0.2), rng.uniform(-0.22, 0.22) * width
            flame = flat(pick(rng, ("ff9a2e", "ffc94d", "ff6a1f")), None, texture="blank", glow=1.3)
            out.append(ball((x + rng.uniform(-0.05, 0.05), y, z + 0.1 + h / 2), (0.03, 0.04, h / 2 + 0.03), flame))
    return out


def _iron_stove(rng: np.random.Generator) -> Thing:
    """A stove of black iron with a glass door and a pipe."""
    w, d, h = rng.uniform(0.42, 0.6), rng.uniform(0.36, 0.46), rng.uniform(0.65, 1.0)
    iron, x = flat(pick(rng, ("242424", "333436", "5a1f1a", "e6e0d2"), (5, 3, 1, 1)), rng, 0.15), d / 2
    glow = flat("ff8a2e", None, texture="blank", glow=0.9) if chance(rng, 0.6) else flat("120e0c", None, 0.4, "blank")
    plate = box((-x - 0.05, -w / 2 - 0.15, 0), (x + 0.25, w / 2 + 0.15, 0.012), pick(rng, (stone, metal))(rng))
    out = [
        plate,
        *placed(kit.legs((x, w / 2), 0.13, 0.05, iron), offset=(0, 0, 0.012)),
        box((-x, -w / 2, 0.14), (x, w / 2, h), iron),
        box((-x - 0.02, -w / 2 - 0.02, h), (x + 0.02, w / 2 + 0.02, h + 0.025), iron),
        box((x, -0.38 * w, 0.22), (x + 0.02, 0.38 * w, 0.86 * h), iron),
        box((x + 0.02, -0.29 * w, 0.3), (x + 0.022, 0.29 * w, 0.8 * h), glow),
        rod((x + 0.04, 0.34 * w, 0.4 * h), (x + 0.04, 0.34 * w, 0.55 * h), 0.01, metal(rng, 0)),
        upright(-0.3 * x, 0, (h + 0.025, 2.25), 0.07, iron),
        upright(-0.3 * x, 0, (h + 0.025, h + 0.06), 0.085, iron),
    ]
    return Thing("fireplace", tuple(placed(out, offset=(-0.1, 0, 0))), against_wall=True, front_room=0.6)


def radiator(rng: np.random.Generator) -> Thing:
    """A panel, columns or a towel rail (place 'wall')."""
    kind = pick(rng, ("panel", "columns", "towel"), (5, 4, 3))
    white = flat(pick(rng, ("f4f4f1", "ebe7dc", "dcdedd", "3a3b3d"), (6, 2, 1, 1)), rng, 0.3, "blank")
    pipe = metal(rng, 0.1)
    if kind == "towel":
        w, z0, h, n = rng.uniform(0.42, 0.6), rng.uniform(0.3, 0.7), rng.uniform(0.8, 1.2), int(rng.integers(8, 15))
        stuff = white if chance(rng, 0.6) else metal(rng, 0.1)
        out = [upright(0.07, s * w / 2, (z0, z0 + h), 0.018, stuff) for s in (-1, 1)]
        out += [
            cylinder((0.07, 0, z), 0.012, w, stuff, axis="y")
            for z in z0 + h * (0.03 + 0.94 * np.arange(n) / (n - 1))
            if abs((z - z0) / h - 0.55) > 0.06
        ]
        out += [
            cylinder((0.03, s * w / 2, z), 0.012, 0.06, stuff, axis="x")
            for s in (-1, 1)
            for z in (z0 + 0.15, z0 + h - 0.15)
        ]
        return Thing("radiator", tuple(out), "wall")
    w, h, z0 = rng.uniform(0.5, 1.6), rng.uniform(0.4, 0.65), rng.uniform(0.1, 0.16)
    if kind == "panel":
        d = rng.uniform(0.05, 0.12)
        out = [
            box((0.03, -w / 2, z0), (0.03 + d, w / 2, z0 + h), white),
            box(
                (0.03 + d, -w / 2 + 0.02, z0 + 0.03),
                (0.034 + d, w / 2 - 0.02, z0 + h - 0.03),
                white,
                front=fitted("radiator", rng, 0.25, color=white.color),
            ),
            box(
                (0.04, -w / 2 + 0.01, z0 + h),
                (0.02 + d, w / 2 - 0.01, z0 + h + EPS),
                Material("stripes", kit.tint("8a8c8e"), 0, 0.04),
            ),
        ]
    else:
        n = int(np.clip(w / 0.065, 6, 16))
        w, out = n * 0.065, []
        d = rng.uniform(0.08, 0.14)
        for y in (np.arange(n) - (n - 1) / 2) * 0.065:
            out += [
                upright(0.035 + d / 2, y, (z0, z0 + h), (d / 2, 0.022), white),
                ball((0.035 + d / 2, y, z0 + h), (d / 2, 0.022, 0.03), white),
            ]
        out += [cylinder((0.035 + d / 2, 0, z), 0.02, w - 0.03, white, axis="y") for z in (z0 + 0.06, z0 + h - 0.06)]
    out += [
        box((0, s * 0.3 * w - 0.02, z0 + 0.6 * h), (0.035, s * 0.3 * w + 0.02, z0 + 0.7 * h), white) for s in (-1, 1)
    ]
    side = pick(rng, (-1, 1))
    out += [
        upright(0.07, side * (w / 2 + 0.04), (0, z0 + 0.06), 0.009, pipe),
        cylinder((0.07, side * (w / 2 + 0.02), z0 + 0.06), 0.012, 0.05, pipe, axis="y"),
        cylinder((0.07, side * (w / 2 + 0.09), z0 + h - 0.07), 0.022, 0.08, flat("f4f4f1"), axis="y"),
        cylinder((0.07, side * (w / 2 + 0.025), z0 + h - 0.07), 0.012, 0.06, pipe, axis="y"),
    ]
    return Thing("radiator", tuple(out), "wall")


KINDS: dict[str, dict[str, Builder]] = {"door": {"closed": door, "leaf": door_leaf}}
BUILDERS: dict[str, Builder] = {
    "door": door,
    "window": window,
    "stairs": stairs,
    "railing": railing,
    "fireplace": fireplace,
    "radiator": radiator,
}
