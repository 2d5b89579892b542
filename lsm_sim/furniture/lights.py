# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Lamps at the ceiling, on the floor, on tables and on walls.

Solids let no light through, so that the light of a lamp is a point close beside its shade (under it, above a bowl).
"""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture.parts import (
    PAINTS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    flat,
    metal,
    paint,
    pick,
    placed,
    plastic,
    rod,
    rot_y,
    rot_z,
    tint,
    turned,
    upright,
    wood,
)
from lsm_sim.world import Lamp, Material, Part, Thing

_WARM, _NEUTRAL, _COLD = (1.0, 0.86, 0.68), (1.0, 0.95, 0.88), (0.93, 0.97, 1.0)


def _light(
    rng: np.random.Generator, position: tuple[float, float, float], power: tuple[float, float], radius: float
) -> Lamp:
    """A light at a position (3,), its power drawn evenly from an interval."""
    color = pick(rng, (_WARM, _NEUTRAL, _COLD), (5, 4, 2))
    return Lamp(np.array(position, float), color, float(rng.uniform(*power)), radius)


def _shining(rng: np.random.Generator, color: str = "fff4dc", glow: float = 1.0) -> Material:
    """Material that shines: a bulb, a diffuser."""
    return flat(color, None, glow=glow * float(rng.uniform(0.8, 1.3)), texture="blank")


def _shade_stuff(rng: np.random.Generator) -> Material:
    """Cloth, paper or glass of a shade, lit from within."""
    color = pick(
        rng, ("f5ecd8", "efe2c6", "fbf7ee", "e0c79a", "d98f6a", "9fb3b5", "c24d3f", "7a8a62"), (5, 5, 5, 2, 1, 1, 1, 1)
    )
    return Material(
        pick(rng, ("plain", "fabric", "blank")),
        tint(color, rng, 0.05),
        int(rng.integers(64)),
        0.3,
        0.0,
        float(rng.uniform(0.35, 0.8)),
    )


def _shade(rng: np.random.Generator, z: tuple[float, float], radius: float, x: float = 0.0) -> list[Part]:
    """A shade about a pole at (x, 0) between two heights: drum, cone or box, its openings bright."""
    cloth, bright = _shade_stuff(rng), _shining(rng)
    kind = pick(rng, ("cone", "drum", "box"), (5, 4, 1))
    if kind == "box":
        s = 0.85 * radius
        return [box((x - s, -s, z[0]), (x + s, s, z[1]), cloth, bottom=bright, top=bright)]
    taper = float(rng.uniform(0.45, 0.85)) if kind == "cone" else 1.0
    return [upright(x, 0, z, radius, cloth, taper=taper, bottom=bright, top=bright)]


def _pendant(rng: np.random.Generator) -> Thing:
    """Hangs on a cable: a cone, a drum, a globe, a lens or a bare bulb."""
    drop, cord = float(rng.uniform(0.35, 0.75)), flat(pick(rng, ("222222", "efefef", "8a8a8a")))
    parts = [upright(0, 0, (-0.03, 0), 0.05, cord), upright(0, 0, (-drop, -0.03), 0.005, cord)]
    kind = pick(rng, ("cone", "shade", "globe", "lens", "bulb", "cluster"), (4, 4, 3, 2, 1, 2))
    low = -drop
    if kind == "cone":
        r, h = float(rng.uniform(0.12, 0.28)), float(rng.uniform(0.12, 0.25))
        low = -drop - h
        parts += [
            upright(
                0,
                0,
                (low, -drop),
                r,
                pick(rng, (paint, metal, plastic))(rng),
                taper=float(rng.uniform(0.15, 0.4)),
                bottom=_shining(rng),
            ),
            ball((0, 0, low + 0.01), (0.05, 0.05, 0.03), _shining(rng, glow=1.6)),
        ]
        low -= 0.02
    elif kind == "shade":
        h = float(rng.uniform(0.15, 0.3))
        low = -drop - h
        parts += _shade(rng, (low, -drop), float(rng.uniform(0.16, 0.3)))
    elif kind in ("globe", "lens"):
        r = float(rng.uniform(0.1, 0.2))
        flatness = 1.0 if kind == "globe" else float(rng.uniform(0.4, 0.75))
        parts.append(ball((0, 0, -drop - r * flatness), (r, r, r * flatness), _shade_stuff(rng)))
        low = -drop - 2 * r * flatness
    elif kind == "bulb":
        low = -drop - 0.16
        parts += [
            upright(0, 0, (-drop - 0.06, -drop), 0.02, metal(rng, 0.8)),
            ball((0, 0, -drop - 0.11), 0.05, _shining(rng, glow=1.5)),
        ]
    else:
        parts.pop()
        stuff, spread, low = _shade_stuff(rng), float(rng.uniform(0.17, 0.3)), -drop - 0.16
        parts[0] = box((-0.04, -spread - 0.06, -0.025), (0.04, spread + 0.06, 0), metal(rng, 0.7))
        for i in (-1, 0, 1):
            parts += [
                upright(0, i * spread, (-drop, -0.025), 0.004, cord),
                upright(0, i * spread, (low, -drop), 0.07, stuff, taper=0.6, bottom=_shining(rng)),
            ]
    return Thing("lamp", tuple(parts), "ceiling", lamp=_light(rng, (0, 0, low - 0.05), (3.0, 5.5), 0.12))


def _panel(rng: np.random.Generator) -> Thing:
    """A flat panel or a long housing with tubes, as in offices, kitchens and corridors."""
    w, length = pick(rng, ((0.6, 0.6), (0.3, 1.2), (0.62, 1.25), (0.15, 1.2), (0.4, 0.4)))
    h, case = float(rng.uniform(0.02, 0.09)), flat(pick(rng, ("f3f3f1", "d0d2d3", "333335"), (6, 2, 1)))
    bright = _shining(rng, pick(rng, ("ffffff", "fff6e6", "f2f7ff")), 1.4)
    parts = [box((-w / 2, -length / 2, -h), (w / 2, length / 2, 0), case)]
    if w < 0.35 and chance(rng, 0.6):
        n = 1 if w < 0.2 else 2
        for i in range(n):
            x = (i - (n - 1) / 2) * w / 2
            parts.append(cylinder((x, 0, -h - 0.018), 0.016, length - 0.08, bright, axis="y"))
            parts += [
                box((x - 0.02, y - 0.02, -h - 0.036), (x + 0.02, y + 0.02, -h), case)
                for y in (-length / 2 + 0.03, length / 2 - 0.03)
            ]
        h += 0.036
    else:
        parts.append(
            box((-w / 2 + 0.02, -length / 2 + 0.02, -h - 0.004), (w / 2 - 0.02, length / 2 - 0.02, -h), bright)
        )
    return Thing("lamp", tuple(parts), "ceiling", lamp=_light(rng, (0, 0, -h - 0.06), (3.5, 6.0), 0.25))


def _flush(rng: np.random.Generator) -> Thing:
    """A round or square bowl right at the ceiling."""
    r, h = float(rng.uniform(0.14, 0.28)), float(rng.uniform(0.06, 0.13))
    glass, rim = _shining(rng, pick(rng, ("fffaf0", "ffffff", "fff0d0"))), metal(rng, 0.3)
    if chance(rng, 0.7):
        parts = [
            upright(0, 0, (-0.03, 0), r + 0.012, rim),
            upright(0, 0, (-h, -0.03), 0.8 * r, glass, taper=1.25),
            ball((0, 0, -h), (0.79 * r, 0.79 * r, 0.03), glass),
        ]
    else:
        parts = [
            box((-r, -r, -0.02), (r, r, 0), rim),
            box((-0.92 * r, -0.92 * r, -h), (0.92 * r, 0.92 * r, -0.02), glass),
        ]
    return Thing("lamp", tuple(parts), "ceiling", lamp=_light(rng, (0, 0, -h - 0.09), (3.0, 5.0), 0.2))


def _spots(rng: np.random.Generator) -> Thing:
    """A rail with spots that look to several sides."""
    n, length, stuff = int(rng.integers(2, 6)), float(rng.uniform(0.5, 1.3)), pick(rng, (metal, paint))(rng)
    parts = [box((-0.02, -length / 2, -0.025), (0.02, length / 2, 0), stuff)]
    r = float(rng.uniform(0.03, 0.05))
    for i in range(n):
        y = ((i + 0.5) / n - 0.5) * length
        R = rot_z(float(rng.uniform(0, 360))) @ rot_y(float(rng.uniform(10, 40)))
        parts.append(upright(0, y, (-0.08, -0.025), 0.008, stuff))
        head = cylinder((0, y, -0.13), r, 0.12, stuff, taper=0.75, bottom=_shining(rng, glow=1.5))
        parts.append(turned(head, R, (0, y, -0.08)))
    return Thing("lamp", tuple(parts), "ceiling", lamp=_light(rng, (0, 0, -0.27), (2.5, 4.5), 0.2))


def _chandelier(rng: np.random.Generator) -> Thing:
    """A hub with arms that carry candles or globes."""
    n, drop, reach = int(rng.integers(4, 9)), float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.22, 0.4))
    stuff, bright = pick(rng, (metal(rng, 0.5), flat("b08d3c", rng, 0.5, "metal"))), _shining(rng, "fff0cc", 1.2)
    globes = chance(rng, 0.5)
    parts = [
        upright(0, 0, (-0.04, 0), 0.06, stuff, taper=1.3),
        upright(0, 0, (-drop, -0.04), 0.01, stuff),
        ball((0, 0, -drop), (0.05, 0.05, 0.06), stuff),
    ]
    for a in np.arange(n) * 2 * np.pi / n:
        x, y = reach * np.cos(a), reach * np.sin(a)
        parts.append(rod((0, 0, -drop), (x, y, -drop + 0.04), 0.009, stuff))
        if globes:
            parts.append(ball((x, y, -drop + 0.1), 0.06, bright))
        else:
            parts += [
                upright(x, y, (-drop + 0.04, -drop + 0.06), 0.03, stuff),
                upright(x, y, (-drop + 0.06, -drop + 0.16), 0.012, flat("f4efe0")),
                ball((x, y, -drop + 0.185), (0.014, 0.014, 0.025), bright),
            ]
    return Thing("lamp", tuple(parts), "ceiling", lamp=_light(rng, (0, 0, -drop - 0.12), (3.0, 5.0), 0.25))


def ceiling_lamp(rng: np.random.Generator) -> Thing:
    """Lamp at a ceiling (place 'ceiling'): a pendant, panel, bowl, rail of spots or chandelier, up to 1.1 m down."""
    return pick(rng, (_pendant, _panel, _flush, _spots, _chandelier), (5, 4, 3, 3, 1))(rng)


def _foot(rng: np.random.Generator, stuff: Material, radius: float) -> Part:
    """The plate that a lamp stands on."""
    h = float(rng.uniform(0.015, 0.03))
    if chance(rng, 0.75):
        return upright(0, 0, (0, h), radius, stuff)
    return box((-radius, -radius, 0), (radius, radius, h), stuff)


def floor_lamp(rng: np.random.Generator) -> Thing:
    """Standing lamp (place 'floor'), 1.1 to 1.95 m high: with a shade, a tripod, an arc, a bowl, a column of paper."""
    kind = pick(rng, ("shade", "tripod", "arc", "bowl", "column", "reading"), (5, 3, 2, 3, 1, 3))
    h, stuff = float(rng.uniform(1.45, 1.85)), metal(rng, 0.5) if chance(rng, 0.7) else wood(rng)
    if kind in ("shade", "tripod"):
        r, tall = float(rng.uniform(0.16, 0.27)), float(rng.uniform(0.2, 0.4))
        low = h - tall
        if kind == "shade":
            parts = [_foot(rng, stuff, float(rng.uniform(0.12, 0.17))), upright(0, 0, (0.015, low), 0.012, stuff)]
        else:
            feet = [(0.28 * np.cos(a), 0.28 * np.sin(a), 0.015) for a in np.radians((0, 120, 240))]
            parts = [rod(f, (0.02 * f[0], 0.02 * f[1], low - 0.03), 0.014, stuff) for f in feet]
            parts += [ball(f, 0.0155, stuff) for f in feet]
            parts.append(upright(0, 0, (low - 0.06, low), 0.02, stuff))
        parts += _shade(rng, (low, h), r)
        light = (0.6 * r, 0, low - 0.05)
    elif kind == "bowl":
        parts = [
            _foot(rng, stuff, 0.14),
            upright(0, 0, (0.015, h), 0.013, stuff),
            upright(0, 0, (h, h + 0.1), 0.05, stuff, taper=float(rng.uniform(2.6, 3.6)), top=_shining(rng, glow=1.4)),
        ]
        light = (0, 0, h + 0.17)
    elif kind == "column":
        h, w = float(rng.uniform(1.1, 1.5)), float(rng.uniform(0.1, 0.17))
        paper = _shade_stuff(rng)
        parts = [
            box((-w, -w, 0), (w, w, 0.03), stuff),
            box((-w + 0.01, -w + 0.01, 0.03), (w - 0.01, w - 0.01, h), paper),
        ]
        parts += [
            box((sx * w - 0.01, sy * w - 0.01, 0.03), (sx * w + 0.01, sy * w + 0.01, h + 0.01), stuff)
            for sx in (-1, 1)
            for sy in (-1, 1)
        ]
        light = (0, 0, h + 0.12)
    else:
        far = float(rng.uniform(0.6, 0.9)) if kind == "arc" else float(rng.uniform(0.2, 0.35))
        tip = h - (0.1 if kind == "arc" else 0.25)
        bend = ((0, 0, h - 0.35), (0.25 * far, 0, h - 0.08), (0.6 * far, 0, h), (far, 0, tip + 0.02))
        r = 0.17 if kind == "arc" else 0.07
        parts = [_foot(rng, stuff, 0.16), upright(0, 0, (0.015, h - 0.35), 0.013, stuff)]
        parts += [rod(a, b, 0.011, stuff) for a, b in zip(bend, bend[1:], strict=False)]
        parts.append(
            upright(
                far, 0, (tip - 0.13, tip), r, paint(rng) if chance(rng, 0.5) else stuff, taper=0.5, bottom=_shining(rng)
            )
        )
        light = (far, 0, tip - 0.2)
        parts = _centred(parts, far / 2)
        light = (far - far / 2, 0, light[2])
    return Thing("lamp", tuple(parts), "floor", lamp=_light(rng, light, (1.6, 3.0), 0.12))


def _centred(parts: list[Part], x: float) -> list[Part]:
    """Parts moved back by x so that the origin is in the middle of the footprint."""
    return placed(parts, offset=(-x, 0, 0))


def _body(rng: np.random.Generator, h: float) -> list[Part]:
    """Body under the shade of a table lamp, from the table to height h: a belly, a pillar, a stack of balls, a rod."""
    stuff = pick(rng, (plastic, paint, wood, metal))(rng)
    kind = pick(rng, ("belly", "pillar", "balls", "rod", "jug"))
    neck = upright(0, 0, (0.5 * h, h), 0.011, metal(rng))
    r = float(rng.uniform(0.05, 0.09))
    if kind == "belly":
        return [upright(0, 0, (0, 0.03), 0.7 * r, stuff), ball((0, 0, 0.42 * h), (r, r, 0.42 * h), stuff), neck]
    if kind == "pillar":
        return [upright(0, 0, (0, 0.85 * h), 0.6 * r, stuff, taper=float(rng.uniform(0.6, 1.2))), neck]
    if kind == "balls":
        return [
            upright(0, 0, (0, 0.02), r, stuff),
            *(ball((0, 0, 0.02 + (i + 0.5) * 0.29 * h), 0.15 * h, stuff) for i in range(3)),
            neck,
        ]
    if kind == "jug":
        return [
            upright(0, 0, (0, 0.55 * h), 0.6 * r, stuff, taper=1.6),
            upright(0, 0, (0.55 * h, 0.85 * h), 0.96 * r, stuff, taper=0.4),
            neck,
        ]
    return [_foot(rng, stuff, 1.2 * r), upright(0, 0, (0.015, h), 0.01, stuff)]


def table_lamp(rng: np.random.Generator) -> Thing:
    """Lamp for tables and boards (place 'top'), 0.25 to 0.65 m high: shaded, for desks, or a globe of paper or glass."""
    kind = pick(rng, ("shade", "desk", "globe", "mushroom"), (5, 4, 2, 1))
    if kind == "shade":
        h, tall = float(rng.uniform(0.16, 0.38)), float(rng.uniform(0.13, 0.25))
        r = float(rng.uniform(0.1, 0.18))
        parts = [*_body(rng, h), *_shade(rng, (h, h + tall), r)]
        light = (0.75 * r, 0, h - 0.03)
    elif kind == "desk":
        stuff = metal(rng, 0.5) if chance(rng, 0.5) else plastic(rng)
        elbow, tip = (
            np.array([-0.16, 0, float(rng.uniform(0.26, 0.36))]),
            np.array([0.12, 0, float(rng.uniform(0.38, 0.5))]),
        )
        head = cylinder(tip + (0.03, 0, -0.06), 0.08, 0.12, stuff, taper=0.4, bottom=_shining(rng, glow=1.5))
        parts = [
            upright(-0.04, 0, (0, 0.025), 0.09, stuff),
            rod((-0.04, 0, 0.02), elbow, 0.009, stuff),
            ball(elbow, 0.016, stuff),
            rod(elbow, tip, 0.009, stuff),
            turned(head, rot_y(float(rng.uniform(-25, 0))), tip),
        ]
        light = (tip[0] + 0.03, 0, tip[2] - 0.2)
    elif kind == "globe":
        r = float(rng.uniform(0.08, 0.15))
        parts = [
            upright(0, 0, (0, 0.03), 0.6 * r, pick(rng, (wood, metal))(rng)),
            ball((0, 0, 0.02 + r), r, _shade_stuff(rng)),
        ]
        light = (0, 0, 2 * r + 0.1)
    else:
        h, r, stuff = (
            float(rng.uniform(0.2, 0.32)),
            float(rng.uniform(0.11, 0.16)),
            plastic(rng, pick(rng, (*PAINTS, "d9752e"))),
        )
        parts = [upright(0, 0, (0, h), 0.5 * r, stuff, taper=0.4), ball((0, 0, h), (r, r, 0.5 * r), _shade_stuff(rng))]
        light = (1.25 * r, 0, h - 0.02)
    return Thing("lamp", tuple(parts), "top", lamp=_light(rng, light, (0.7, 1.5), 0.08))


def wall_lamp(rng: np.random.Generator) -> Thing:
    """Lamp on a wall (place 'wall'), 1.5 to 2 m up: an arm with a shade, a tube that shines up and down, a bowl."""
    z, stuff = float(rng.uniform(1.6, 1.95)), metal(rng, 0.5)
    kind = pick(rng, ("arm", "tube", "bowl", "bar"))
    if kind == "arm":
        r = float(rng.uniform(0.07, 0.11))
        parts = [
            cylinder((0.01, 0, z), 0.05, 0.02, stuff, axis="x"),
            rod((0.02, 0, z), (r + 0.06, 0, z + 0.03), 0.009, stuff),
            *_shade(rng, (z + 0.03, z + 0.19), r, r + 0.06),
        ]
        light = (2 * r + 0.09, 0, z + 0.01)
    elif kind == "tube":
        h = float(rng.uniform(0.09, 0.15))
        parts = [
            box((0, -0.03, z - 0.04), (0.03, 0.03, z + 0.04), stuff),
            upright(
                0.075, 0, (z - h, z + h), 0.045, stuff, bottom=_shining(rng, glow=1.5), top=_shining(rng, glow=1.5)
            ),
        ]
        light = (0.1, 0, z + h + 0.06)
    elif kind == "bowl":
        r = float(rng.uniform(0.1, 0.16))
        parts = [
            box((0, -0.04, z - 0.09), (0.02, 0.04, z - 0.01), stuff),
            upright(r, 0, (z - 0.1, z), (0.5 * r, 0.6 * r), _shade_stuff(rng), taper=1.9, top=_shining(rng, glow=1.4)),
        ]
        light = (r + 0.05, 0, z + 0.09)
    else:
        w = float(rng.uniform(0.15, 0.35))
        parts = [
            box((0, -0.05, z - 0.04), (0.03, 0.05, z + 0.04), stuff),
            rod((0.02, 0, z), (0.09, 0, z), 0.01, stuff),
            cylinder((0.09, 0, z), 0.028, 2 * w, _shining(rng, glow=1.3), axis="y"),
        ]
        light = (0.17, 0, z)
    return Thing("lamp", tuple(parts), "wall", lamp=_light(rng, light, (0.7, 1.4), 0.1))


def lamp(rng: np.random.Generator) -> Thing:
    """Any lamp; see its `place`."""
    return pick(rng, (ceiling_lamp, floor_lamp, table_lamp, wall_lamp), (3, 3, 3, 1))(rng)


KINDS: dict[str, dict[str, Builder]] = {
    "lamp": {"ceiling": ceiling_lamp, "floor": floor_lamp, "table": table_lamp, "wall": wall_lamp}
}
BUILDERS: dict[str, Builder] = {"lamp": lamp}
