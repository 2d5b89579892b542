# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Decoration of a room: pictures, mirrors, curtains, blinds, carpets; with plants."""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as kit
from lsm_sim.furniture.parts import (
    BRIGHTS,
    EPS,
    FABRICS,
    WOODS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    fabric,
    fitted,
    flat,
    metal,
    paint,
    pick,
    placed,
    rod,
    rot_x,
    rot_y,
    rot_z,
    turned,
    upright,
    wood,
)
from lsm_sim.furniture.plants import BUILDERS as _PLANTS
from lsm_sim.world import Material, Part, Thing


def _rim(rng: np.random.Generator) -> Material:
    """Material of frames: wood, black, white, gold."""
    return pick(
        rng,
        (wood(rng), flat(pick(rng, ("1d1d1f", "f3f3f0")), rng, 0.2), flat("a8843c", rng, 0.4, "metal"), metal(rng)),
        (4, 4, 2, 1),
    )


def _framed(rng: np.random.Generator, w: float, h: float, y: float, z: float, family: str) -> list[Part]:
    """A picture with a frame and maybe a mount, around (y, z)."""
    bar, rim = rng.uniform(0.012, 0.05), _rim(rng)
    bar = min(bar, 0.12 * min(w, h))
    deep = rng.uniform(0.018, 0.035)
    out = placed(kit.frame(w, h, bar, (0, deep), z - h / 2, rim), offset=(0, y, 0))
    a, b = w / 2 - bar, h / 2 - bar
    mount = rng.uniform(0.1, 0.22) * min(w, h) if chance(rng, 0.4) else 0.0
    gloss = float(pick(rng, (0.05, 0.3)))
    if mount:
        out.append(box((0, y - a, z - b), (0.5 * deep, y + a, z + b), flat("f1efe8", rng)))
    out.append(
        box(
            (0.4 * deep if mount else 0, y - a + mount, z - b + mount),
            (0.5 * deep + (EPS if mount else 0), y + a - mount, z + b - mount),
            rim,
            front=fitted(family, rng, gloss),
        )
    )
    return out


def picture(rng: np.random.Generator) -> Thing:
    """Paintings and photos in frames, canvases, posters, groups, a clock, a pin board (place 'wall'), 0.9 to 2.1 m up."""
    kind = pick(rng, ("framed", "canvas", "poster", "group", "clock", "board"), (5, 3, 3, 3, 2, 1))
    w = rng.uniform(0.25, 1.1)
    h = float(np.clip(w * pick(rng, (0.66, 0.75, 1.0, 1.4)), 0.2, 1.1))
    z = float(rng.uniform(1.45, 1.65))
    family = pick(rng, ("painting", "photo"))
    if kind == "framed":
        out = _framed(rng, w, h, 0, z, family)
    elif kind == "canvas":
        side = flat("e6e1d6", rng, texture="fabric", scale=0.2)
        out = [
            box((0, -w / 2, z - h / 2), (rng.uniform(0.02, 0.04), w / 2, z + h / 2), side, front=fitted(family, rng))
        ]
    elif kind == "poster":
        h = 1.41 * (w := rng.uniform(0.3, 0.7))
        out = [box((0, -w / 2, z - h / 2), (0.003, w / 2, z + h / 2), flat("eeeeea"), front=fitted("poster", rng, 0.1))]
        if chance(rng, 0.5):
            bar = wood(rng)
            out += [
                box((0, -w / 2 - 0.01, v - 0.012), (0.014, w / 2 + 0.01, v + 0.012), bar)
                for v in (z - h / 2, z + h / 2)
            ]
    elif kind == "group":
        rows, columns = pick(rng, ((1, 2), (1, 3), (2, 2), (2, 3)))
        s, gap, out = rng.uniform(0.2, 0.38), rng.uniform(0.04, 0.1), []
        for i in range(rows):
            for j in range(columns):
                k, v = s * rng.uniform(0.8, 1.0), s * rng.uniform(0.8, 1.0)
                out += _framed(
                    rng,
                    k,
                    v,
                    (j - (columns - 1) / 2) * (s + gap),
                    z + (i - (rows - 1) / 2) * (s + gap),
                    pick(rng, ("painting", "photo", "poster")),
                )
    elif kind == "clock":
        out, z = _clock(rng), 0.0
    else:
        out = [
            *kit.frame(w, h, 0.02, (0, 0.018), z - h / 2, wood(rng)),
            box(
                (0, -w / 2 + 0.02, z - h / 2 + 0.02),
                (0.01, w / 2 - 0.02, z + h / 2 - 0.02),
                flat(pick(rng, ("b98a58", "f4f4f2", "2f5d50")), rng, texture="noise", scale=0.3),
            ),
        ]
        for i in range(int(rng.integers(3, 8))):
            a, y, v = rng.uniform(0.04, 0.1), rng.uniform(-0.35, 0.35) * w, z + rng.uniform(-0.3, 0.3) * h
            note = box(
                (0.01, y - a / 2, v - 0.6 * a),
                (0.012 + 0.002 * i, y + a / 2, v + 0.6 * a),
                flat(pick(rng, ("f7f4c0", "f4f4f2", "d9e8f2"))),
                front=fitted(pick(rng, ("photo", "poster", "text_clutter", "newspaper")), rng),
            )
            out.append(turned(note, rot_x(float(rng.normal(0, 6)))))
    return Thing("picture", tuple(out), "wall")


def _clock(rng: np.random.Generator) -> list[Part]:
    """A round or square clock whose hands stand out."""
    r, z, rim, dark = rng.uniform(0.11, 0.2), rng.uniform(1.7, 2.05), _rim(rng), flat("161616")
    face = flat(pick(rng, ("f6f6f2", "efe6cf", "1d2a3a")), rng)
    if chance(rng, 0.75):
        out = [
            cylinder((0.015, 0, z), r, 0.03, rim, axis="x"),
            cylinder((0.031, 0, z), 0.88 * r, 0.002, face, axis="x"),
        ]
    else:
        out = [
            box((0, -r, z - r), (0.03, r, z + r), rim),
            box((0.03, -0.88 * r, z - 0.88 * r), (0.032, 0.88 * r, z + 0.88 * r), face),
        ]
    mark = flat("f2f2f0") if face.color[0] < 0.3 else dark
    for i in range(12):
        tick = box((0.032, -0.01 * r - 0.002, z + 0.68 * r), (0.034, 0.01 * r + 0.002, z + 0.8 * r), mark)
        out.append(turned(tick, rot_x(30.0 * i), (0, 0, z)))
    for long, wide, x in ((0.5, 0.03, 0.035), (0.72, 0.02, 0.0375)):
        hand = box((x, -wide * r, z - 0.1 * r), (x + 0.002, wide * r, z + long * r), mark)
        out.append(turned(hand, rot_x(float(rng.uniform(0, 360))), (0, 0, z)))
    return out


def mirror(rng: np.random.Generator) -> Thing:
    """A mirror with or without a frame: square, tall, round or oval (place 'wall')."""
    glass = Material("blank", (0.88, 0.9, 0.9), 0, 1.0, float(rng.uniform(0.88, 0.97)))
    kind = pick(rng, ("square", "tall", "round", "oval"), (4, 3, 3, 2))
    rim, bar = _rim(rng), rng.uniform(0.012, 0.06)
    if kind in ("square", "tall"):
        w, h = (
            (rng.uniform(0.4, 1.0), rng.uniform(0.5, 0.9))
            if kind == "square"
            else (rng.uniform(0.35, 0.6), rng.uniform(1.3, 1.75))
        )
        z = rng.uniform(1.4, 1.55) if kind == "square" else h / 2 + rng.uniform(0.06, 0.25)
        if kind == "square" and chance(rng, 0.3):
            out = [box((0, -w / 2, z - h / 2), (0.008, w / 2, z + h / 2), metal(rng), front=glass)]
            if chance(rng, 0.6):
                out.append(box((0, -w / 2, z - h / 2 - 0.1), (0.11, w / 2, z - h / 2 - 0.085), paint(rng)))
        else:
            out = [
                *kit.frame(w, h, bar, (0, 0.025), z - h / 2, rim),
                box((0, -w / 2 + bar, z - h / 2 + bar), (0.012, w / 2 - bar, z + h / 2 - bar), rim, front=glass),
            ]
    else:
        r = rng.uniform(0.2, 0.42)
        radii = (r, r) if kind == "round" else (r, 0.65 * r)
        z = rng.uniform(1.45, 1.6)
        outer = tuple(v + bar for v in radii)
        out = [
            cylinder((0.009, 0, z), outer, 0.018, rim, axis="x"),
            cylinder((0.0195, 0, z), radii, 0.003, rim, axis="x", top=glass),
        ]
    return Thing("mirror", tuple(out), "wall")


def _folds(
    rng: np.random.Generator, y: tuple[float, float], z: tuple[float, float], x: float, cloth: Material
) -> list[Part]:
    """A hanging cloth between two widths and heights at a distance x from the wall, in upright folds."""
    n = max(3, int(round((y[1] - y[0]) / rng.uniform(0.07, 0.12))))
    step = (y[1] - y[0]) / n
    deep, out = (
        min(0.045, 0.5 * step),
        [box((x - 0.006, y[0] + 0.3 * step, z[0] + 0.004), (x + 0.006, y[1] - 0.3 * step, z[1]), cloth)],
    )
    for i in range(n):
        k = rng.uniform(0.75, 1.0)
        out.append(
            upright(
                x + (0.3 * deep if i % 2 else -0.1 * deep),
                y[0] + (i + 0.5) * step,
                z,
                (k * deep, 0.52 * step),
                cloth,
                taper=float(rng.uniform(0.85, 1.0)),
            )
        )
    return out


def curtain(rng: np.random.Generator, width: float | None = None, top: float | None = None) -> Thing:
    """Curtains on a rod (place 'wall'), drawn aside, half or fully closed, long or to the sill, or bound aside.

    width: metres of the opening that they belong to; top: height of the rod; both drawn if None.
    """
    width = float(rng.uniform(0.9, 2.2)) if width is None else float(width)
    top = float(rng.uniform(2.1, 2.35)) if top is None else float(top)
    low = float(rng.uniform(0.02, 0.06)) if chance(rng, 0.75) else min(0.85, 0.4 * top)
    cloth = (
        fabric(rng, pick(rng, (*FABRICS, *BRIGHTS, "f4f1e8", "f4f1e8")), 0.35)
        if chance(rng, 0.8)
        else Material("wallpaper", (1.0, 1.0, 1.0), int(rng.integers(64)), 0.6)
    )
    half, x, pole = width / 2 + rng.uniform(0.1, 0.22), 0.075, pick(rng, (metal, wood))(rng)
    out = [cylinder((x, 0, top), 0.013, 2 * half + 0.1, pole, axis="y")]
    out += [ball((x, s * (half + 0.05), top), 0.028, pole) for s in (-1, 1)]
    out += [
        box((0, s * (half + 0.01) - 0.01, top - 0.012), (x, s * (half + 0.01) + 0.01, top + 0.012), pole)
        for s in (-1, 1)
    ]
    kind = pick(rng, ("aside", "half", "closed", "bound", "one"), (5, 2, 1, 2, 1))
    share = {
        "aside": rng.uniform(0.2, 0.32),
        "half": rng.uniform(0.5, 0.75),
        "closed": 0.99,
        "bound": 0.3,
        "one": rng.uniform(0.35, 0.7),
    }[kind]
    for s in (-1, 1)[: 1 if kind == "one" else 2]:
        ends = sorted((s * half, s * half * (1 - share)))
        hem = top - 0.02
        if kind == "bound":
            tie, middle = low + 0.42 * (top - low), s * half * 0.9
            waist = 0.055 * half
            lean = np.degrees(np.arctan2(s * 0.1 * half, hem - tie))
            length = float(np.hypot(0.1 * half, hem - tie))
            fall = upright(x, middle, (tie, tie + length), (0.02, waist), cloth, taper=2.6)
            out += [
                upright(x, middle, (low, tie), (0.045, 2.0 * waist), cloth, taper=0.5),
                turned(fall, rot_x(lean), (x, middle, tie)),
                upright(x, middle, (tie - 0.03, tie + 0.03), (0.03, 1.15 * waist), flat(pick(rng, FABRICS), rng)),
            ]
        else:
            out += _folds(rng, (float(ends[0]), float(ends[1])), (low, hem), x, cloth)
    return Thing("curtain", tuple(out), "wall")


def blinds(
    rng: np.random.Generator, width: float | None = None, top: float | None = None, drop: float | None = None
) -> Thing:
    """Blinds (place 'wall'): slats across, upright strips, a roller or a pleated cloth, let down by `drop` metres.

    width: metres of the opening; top: height of the box at the top; all drawn if None.
    """
    width = float(rng.uniform(0.7, 1.8)) if width is None else float(width)
    top = float(rng.uniform(2.0, 2.3)) if top is None else float(top)
    drop = float(rng.uniform(0.4, 1.35)) if drop is None else float(drop)
    w, stuff = width / 2 + 0.04, pick(rng, (paint(rng), flat("f2f2ee", rng), wood(rng, pick(rng, WOODS))), (2, 4, 2))
    out = [box((0.01, -w, top - 0.05), (0.075, w, top), stuff)]
    low, kind = top - 0.05 - drop, pick(rng, ("slats", "strips", "roller", "pleats"), (5, 2, 3, 1))
    if kind == "slats":
        n = int(np.clip(drop / 0.05, 6, 26))
        tilt, step = float(pick(rng, (rng.uniform(-70, -50), rng.uniform(-35, 35), 70.0))), drop / n
        for i in range(n):
            z = low + (i + 0.5) * step
            out.append(
                turned(
                    box(
                        (0.042 - 0.45 * step, -w + 0.01, z - 0.0015), (0.042 + 0.45 * step, w - 0.01, z + 0.0015), stuff
                    ),
                    rot_y(tilt),
                )
            )
        out += [
            box((0.041, y - 0.004, low), (0.043, y + 0.004, top - 0.05), flat("e9e9e4")) for y in (-0.7 * w, 0.7 * w)
        ]
        out.append(box((0.025, -w + 0.01, low - 0.02), (0.06, w - 0.01, low), stuff))
    elif kind == "strips":
        n = int(np.clip(2 * w / 0.1, 6, 22))
        cloth, turn = (
            flat(pick(rng, ("f2f0e8", "d8d2c6", "b9c4bd", "8f9aa6")), rng, texture="fabric", scale=0.3),
            float(rng.uniform(10, 75)),
        )
        for i in range(n):
            y = -w + (i + 0.5) * 2 * w / n
            out.append(
                turned(
                    box((0.041, y - 0.5 * w / n * 1.05, low), (0.043, y + 0.5 * w / n * 1.05, top - 0.05), cloth),
                    rot_z(turn),
                )
            )
    else:
        cloth = fabric(rng, pick(rng, ("f2f0e8", "d8d2c6", *FABRICS)), 0.25)
        if kind == "roller":
            out += [
                cylinder((0.045, 0, top - 0.06), 0.028, 2 * w - 0.02, cloth, axis="y"),
                box((0.016, -w + 0.02, low), (0.019, w - 0.02, top - 0.05), cloth),
            ]
        else:
            n = int(np.clip(drop / 0.16, 3, 9))
            for i in range(n):
                z = low + i * drop / n
                out.append(turned(box((0.028, -w + 0.02, z), (0.034, w - 0.02, z + drop / n), cloth), rot_y(-7)))
        out.append(box((0.012, -w + 0.02, low - 0.025), (0.03, w - 0.02, low), stuff))
        out += [rod((0.06, w - 0.05, low - 0.2), (0.06, w - 0.05, top - 0.05), 0.0025, flat("f2f2ee"))]
    return Thing("blinds", tuple(out), "wall")


def carpet(rng: np.random.Generator) -> Thing:
    """A carpet, round rug, runner or bath mat, at most 1.5 cm thick (place 'floor'), along y the longer way."""
    kind = pick(rng, ("rug", "plain", "round", "runner", "mat", "patches"), (4, 3, 2, 2, 2, 1))
    t = float(rng.uniform(0.006, 0.01))
    pile = Material(
        "carpet", kit.tint(pick(rng, (*FABRICS, *BRIGHTS)), rng), int(rng.integers(64)), float(rng.uniform(0.5, 1.0))
    )
    size = {
        "runner": (rng.uniform(0.6, 0.8), rng.uniform(1.6, 2.6)),
        "mat": (rng.uniform(0.4, 0.55), rng.uniform(0.6, 0.9)),
    }
    d, w = size.get(kind, (rng.uniform(0.9, 1.9), rng.uniform(1.3, 2.8)))
    if kind == "round":
        r = rng.uniform(0.5, 1.1)
        out = [upright(0, 0, (0, t), r, pile)]
        if chance(rng, 0.6):
            rings = [Material("carpet", kit.tint(pick(rng, FABRICS), rng), 0, 0.8) for _ in range(2)]
            out += [
                upright(0, 0, (0, t + EPS * (i + 1)), r * k, m)
                for i, (k, m) in enumerate(zip((0.85, 0.6), rings, strict=True))
            ]
    elif kind == "patches":
        n, out = int(rng.integers(2, 5)), []
        tones = [Material("carpet", kit.tint(pick(rng, FABRICS), rng), 0, 0.8) for _ in range(3)]
        for i in range(n):
            for j in range(n):
                out.append(
                    box(
                        ((i / n - 0.5) * d, (j / n - 0.5) * w, 0),
                        (((i + 1) / n - 0.5) * d, ((j + 1) / n - 0.5) * w, t),
                        tones[(i + j) % 3],
                    )
                )
    else:
        top = fitted("rug", rng, 0.0) if kind == "rug" or (kind == "runner" and chance(rng, 0.6)) else pile
        out = [box((-d / 2, -w / 2, 0), (d / 2, w / 2, t), pile, top=top)]
        if chance(rng, 0.4) and kind != "mat":
            fringe = Material("stripes", kit.tint("e9e2d0"), 0, 0.05)
            out += [
                box(
                    (-d / 2, min(s * w / 2, s * (w / 2 + 0.06)), 0),
                    (d / 2, max(s * w / 2, s * (w / 2 + 0.06)), 0.003),
                    fringe,
                )
                for s in (-1, 1)
            ]
    return Thing("carpet", tuple(out))


BUILDERS: dict[str, Builder] = {
    "picture": picture,
    "mirror": mirror,
    "curtain": curtain,
    "blinds": blinds,
    "carpet": carpet,
    **_PLANTS,
}
