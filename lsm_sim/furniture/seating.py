# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Seats: chairs (dining, shell, office, stool, armchair) and sofas (straight, with chaise longue, around a corner)."""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.world import Material, Part, Thing


def chair(rng: np.random.Generator) -> Thing:
    """A chair of any type; its seat's front is at +x."""
    return p.pick(rng, list(KINDS["chair"].values()), (5, 2, 4, 2, 3))(rng)


def dining(rng: np.random.Generator) -> Thing:
    """Four legs, a seat of wood or with a cushion, a back of boards, slats or spindles."""
    w, d, h = rng.uniform(0.40, 0.50), rng.uniform(0.40, 0.48), rng.uniform(0.43, 0.48)
    top = h + rng.uniform(0.36, 0.56)
    wood, x0, x1 = p.finish(rng), -d / 2, d / 2
    kind, thick = p.pick(rng, ("square", "round", "tapered")), rng.uniform(0.03, 0.045)
    seat = 0.022
    parts = p.legs((d / 2 - 0.01, w / 2 - 0.01), h - seat, thick, wood, kind, 0.0 if kind == "square" else 0.02)
    parts.append(p.box((x0, -w / 2, h - seat), (x1, w / 2, h), wood))
    if p.chance(rng, 0.45):
        parts += p.cushion((x0 + 0.035, -w / 2 + 0.02, h), (x1 - 0.005, w / 2 - 0.02, h + rng.uniform(0.025, 0.05)),
                           p.cover(rng))
    elif p.chance(rng, 0.5):
        parts.append(p.box((x0 + 0.05, -w / 2 + 0.05, h - seat - 0.06), (x1 - 0.05, w / 2 - 0.05, h - seat), wood))
    r, lean = 0.014, rng.uniform(4, 11)
    back = [p.upright(x0 + 0.02, s * (w / 2 - 0.025), (h, top), r, wood) for s in (-1, 1)]
    inner = w / 2 - 0.039
    style = p.pick(rng, ("slats", "board", "spindles", "padded"))
    if style == "slats":
        n = int(rng.integers(2, 5))
        for z in np.linspace(h + 0.12, top - 0.05, n):
            back.append(p.box((x0 + 0.012, -inner, z - 0.025), (x0 + 0.028, inner, z + 0.025), wood))
    elif style == "spindles":
        for y in np.linspace(-inner, inner, int(rng.integers(5, 8)) + 2)[1:-1]:
            back.append(p.upright(x0 + 0.02, y, (h, top - 0.03), 0.007, wood))
        back.append(p.box((x0 + 0.008, -inner, top - 0.07), (x0 + 0.032, inner, top - 0.005), wood))
    else:
        look = wood if style == "board" else p.cover(rng)
        low = h + (top - h) * rng.uniform(0.15, 0.45)
        back.append(p.box((x0 + 0.01, -inner, low), (x0 + (0.03 if style == "board" else 0.045), inner, top - 0.01), look))
    parts += [p.turned(q, p.rot_y(-lean), (x0 + 0.02, 0, h)) for q in back]
    return Thing("chair", tuple(parts), front_room=0.5)


def shell(rng: np.random.Generator) -> Thing:
    """A seat and back of one plastic or upholstered shell on thin legs."""
    w, d, h = rng.uniform(0.42, 0.52), rng.uniform(0.42, 0.50), rng.uniform(0.42, 0.47)
    look = p.plastic(rng) if p.chance(rng, 0.6) else p.cover(rng)
    frame = p.metal(rng) if p.chance(rng, 0.5) else p.wood(rng)
    thick = rng.uniform(0.018, 0.05)
    parts = p.legs((d / 2 - 0.07, w / 2 - 0.07), h - thick, rng.uniform(0.02, 0.034), frame, "tapered", 0.05)
    parts += p.cushion((-d / 2, -w / 2, h - thick), (d / 2, w / 2, h), look)
    high = rng.uniform(0.34, 0.46)
    back = [p.box((-d / 2 - thick / 2, -w / 2 + 0.01, h + 0.02), (-d / 2 + thick / 2, w / 2 - 0.01, h + high - 0.06), look),
            p.cylinder((-d / 2, 0, h + high - 0.06), (0.06, w / 2 - 0.01), thick * 0.98, look, axis="x")]
    parts += [p.turned(q, p.rot_y(-rng.uniform(10, 11)), (-d / 2, 0, h)) for q in back]
    if p.chance(rng, 0.4):
        for s in (-1, 1):
            parts.append(p.box((-d / 2, s * (w / 2 - 0.01) - 0.012, h + 0.15), (d / 2 - 0.08, s * (w / 2 - 0.01) + 0.012,
                                                                             h + 0.18), look))
            parts.append(p.box((d / 2 - 0.16, s * (w / 2 - 0.01) - 0.011, h), (d / 2 - 0.10, s * (w / 2 - 0.01) + 0.011,
                                                                            h + 0.15), look))
    return Thing("chair", tuple(parts), front_room=0.5)


def office(rng: np.random.Generator) -> Thing:
    """A swivel chair: five arms with castors, a column, seat, back, perhaps arm rests and a head rest."""
    w, d, h = rng.uniform(0.46, 0.54), rng.uniform(0.44, 0.52), rng.uniform(0.45, 0.56)
    look, dark, base = p.cover(rng), p.flat("232325", rng, 0.15), p.metal(rng, 0.5)
    reach, parts = rng.uniform(0.27, 0.33), []
    turn = rng.uniform(0, 72)
    for k in range(5):
        c, s = np.cos(np.radians(turn + 72 * k)), np.sin(np.radians(turn + 72 * k))
        parts.append(p.rod((0.02 * c, 0.02 * s, 0.12), (reach * c, reach * s, 0.085), 0.024, base, end=0.016))
        parts.append(p.turned(p.cylinder((reach * c, reach * s, 0.03), 0.03, 0.045, dark, axis="y"),
                              p.rot_z(float(rng.uniform(0, 180)))))
    parts.append(p.upright(0, 0, (0.08, h - 0.09), 0.026, base))
    parts.append(p.box((-0.12, -0.1, h - 0.10), (0.12, 0.1, h - 0.07), dark))
    parts += p.cushion((-d / 2, -w / 2, h - 0.07), (d / 2, w / 2, h), look)
    high, bw = rng.uniform(0.38, 0.62), w / 2 - rng.uniform(0.0, 0.04)
    x = -d / 2 - 0.01
    back = [p.box((x - 0.055, -0.03, h - 0.09), (x - 0.034, 0.03, h + 0.3), dark)]
    back += _pad((x, 0, h + 0.08 + high / 2), (0.06, 2 * bw, high), look, ends=(-1, 1))
    if p.chance(rng, 0.3):
        back.append(p.box((x - 0.02, -0.025, h + 0.08 + high), (x, 0.025, h + 0.13 + high), dark))
        back += _pad((x, 0, h + 0.19 + high), (0.07, 0.28, 0.14), look, ends=(-1, 1))
    parts += [p.turned(q, p.rot_y(-10), (x, 0, h)) for q in back]
    parts.append(p.box((x - 0.05, -0.03, h - 0.09), (-0.12, 0.03, h - 0.071), dark))
    if p.chance(rng, 0.65):
        top = h + rng.uniform(0.19, 0.24)
        for s in (-1, 1):
            y = s * (w / 2 + 0.025)
            parts.append(p.box((-0.04, y - 0.014, h - 0.05), (0.02, y + 0.014, top), dark))
            parts.append(p.box((-0.14, y - 0.038, top), (0.13, y + 0.038, top + 0.03), dark))
    return Thing("chair", tuple(parts), front_room=0.5)


def _pad(center: tuple, size: tuple, look: Material, *, ends: tuple[int, ...] = (1,)) -> list[Part]:
    """An upright cushion of size (x, y, z), rounded at its top (1), its bottom (-1), or both."""
    c, s = np.asarray(center), np.asarray(size) / 2
    r = s[0]
    low, high = (s[2] - (r if k in ends else 0) for k in (-1, 1))
    return [p.box(c - (r, s[1], low), c + (r, s[1], high), look),
            *[p.cylinder(c + (0, 0, k * (s[2] - r)), r, 2 * s[1], look, axis="y") for k in ends]]


def stool(rng: np.random.Generator) -> Thing:
    """A stool or bar stool, round or square, without a back."""
    h = rng.uniform(0.42, 0.50) if p.chance(rng, 0.5) else rng.uniform(0.62, 0.80)
    w = rng.uniform(0.30, 0.40)
    frame = p.wood(rng) if p.chance(rng, 0.5) else p.metal(rng)
    look = frame if p.chance(rng, 0.4) else p.cover(rng)
    thick = rng.uniform(0.025, 0.08)
    if p.chance(rng, 0.3):
        parts = [p.upright(0, 0, (0, 0.015), rng.uniform(0.19, 0.22), frame), p.upright(0, 0, (0.015, h - thick), 0.025, frame)]
        if h > 0.6:
            parts.append(p.upright(0, 0, (0.27, 0.29), 0.14, frame))
    else:
        splay = rng.uniform(0.02, 0.06)
        parts = p.legs((w / 2 - 0.05, w / 2 - 0.05), h - thick, rng.uniform(0.022, 0.038), frame, "tapered", splay)
        if h > 0.6:
            reach = w / 2 - 0.06 + 0.6 * splay
            for s in (-1, 1):
                parts.append(p.box((s * reach - 0.01, -reach, 0.25), (s * reach + 0.01, reach, 0.28), frame))
                parts.append(p.box((-reach, s * reach - 0.01, 0.29), (reach, s * reach + 0.01, 0.32), frame))
    if p.chance(rng, 0.6):
        parts.append(p.upright(0, 0, (h - thick, h), w / 2, look))
    else:
        parts += p.cushion((-w / 2, -w / 2, h - thick), (w / 2, w / 2, h), look)
    return Thing("chair", tuple(parts), front_room=0.4)


@dataclass(frozen=True)
class _Style:
    """Sizes and looks that all pieces of one upholstered suite share; metres, heights from the floor."""

    look: Material
    seat: Material
    feet: Material
    depth: float
    height: float
    back: float
    top: float
    arm: float
    arm_top: float
    foot: float
    base: float
    rounded: bool

    @property
    def front(self) -> float:
        return self.depth / 2


def _style(rng: np.random.Generator) -> _Style:
    look, h, top = p.cover(rng), rng.uniform(0.40, 0.46), rng.uniform(0.74, 0.92)
    return _Style(look, look if p.chance(rng, 0.8) else p.cover(rng), p.wood(rng) if p.chance(rng, 0.7) else p.metal(rng),
                  rng.uniform(0.80, 0.96), h, rng.uniform(0.16, 0.24), top, rng.uniform(0.08, 0.22),
                  rng.uniform(0.54, min(0.66, top - 0.06)), float(p.pick(rng, (0.03, 0.06, 0.12, 0.16))),
                  h - rng.uniform(0.13, 0.17), p.chance(rng, 0.5))


def armchair(rng: np.random.Generator) -> Thing:
    """An upholstered easy chair."""
    s, place = _style(rng), rng.uniform(0.50, 0.60)
    parts = _seats(s, rng, [place], 0.35, feet=False) + [q for k in (-1, 1) for q in _arm(s, k, place / 2)]
    return Thing("chair", tuple(parts), front_room=0.6)


def _seats(s: _Style, rng: np.random.Generator, places: list[float], pillows: float, *, feet: bool = True) -> list[Part]:
    """Feet, base, back and cushions of seats of given widths in a row along y, from right to left."""
    w, x0, x1 = sum(places) / 2, -s.front, s.front
    parts = [p.upright(x, y, (0, s.foot), 0.024, s.feet)
             for x in (x0 + 0.06, x1 - 0.08) for y in (-w + 0.05, w - 0.05) if feet]
    parts.append(p.box((x0 + 0.004, -w, s.foot), (x1 - 0.02, w, s.base), s.look))
    parts.append(p.turned(p.box((x0 + 0.02, -w + 0.001, s.base - 0.05), (x0 + 0.13, w - 0.001, s.top - 0.03), s.look),
                          p.rot_y(-4), (x0 + 0.07, 0, s.base)))
    edge = -w
    for place in places:
        y0, y1 = edge + 0.006, edge + place - 0.006
        edge += place
        parts += p.cushion((x0 + s.back, y0, s.base), (x1, y1, s.height), s.seat, front_only=True)
        pad = _pad((x0 + s.back - 0.04, (y0 + y1) / 2, (s.height + s.top) / 2), (0.15, y1 - y0, s.top - s.height), s.seat)
        parts += [p.turned(q, p.rot_y(-9), (x0 + s.back, 0, s.height)) for q in pad]
        if p.chance(rng, pillows):
            parts += _thrown(rng, x0 + s.back + 0.16, (y0, y1), s.height)
    return parts


def _arm(s: _Style, side: int, y: float) -> list[Part]:
    """Arm rest outside of a distance y on one side (-1 right, 1 left)."""
    low, high = sorted((side * y, side * (y + s.arm)))
    x0, x1 = -s.front + 0.03, s.front - 0.012
    feet = [p.upright(x, (low + high) / 2, (0, s.foot), min(0.024, s.arm / 2), s.feet) for x in (x0 + 0.05, x1 - 0.06)]
    if not s.rounded:
        return [*feet, p.box((x0, low, s.foot), (x1, high, s.arm_top), s.look)]
    r = s.arm / 2
    return [*feet, p.box((x0, low, s.foot), (x1, high, s.arm_top - r), s.look),
            p.cylinder(((x0 + x1) / 2, low + r, s.arm_top - r), r, x1 - x0, s.look, axis="x")]


def _thrown(rng: np.random.Generator, x: float, y: tuple[float, float], h: float) -> list[Part]:
    """A pillow that leans on the back of a seat at x, between two ends along y, on a seat of height h."""
    size = min(rng.uniform(0.34, 0.46), y[1] - y[0] - 0.08)
    lean, thick = rng.uniform(16, 30), rng.uniform(0.12, 0.17)
    slack = (y[1] - y[0] - size) / 2 - 0.03
    middle = (x, (y[0] + y[1]) / 2 + rng.uniform(-1, 1) * slack, h + size / 2 * np.cos(np.radians(lean)) + 0.02)
    return p.pillow(middle, (size, size, thick), p.fabric(rng, pattern=0.4),
                    R=p.rot_z(rng.uniform(-8, 8)) @ p.rot_y(90 - lean))


def sofa(rng: np.random.Generator) -> Thing:
    """A sofa of two or three seats, straight, with a chaise longue at one end, or around a corner."""
    return p.pick(rng, list(KINDS["sofa"].values()), (6, 3, 2))(rng)


def _sofa(rng: np.random.Generator, kind: str) -> Thing:
    """A sofa of one of the kinds."""
    s, n, place = _style(rng), int(rng.integers(2, 4)), rng.uniform(0.58, 0.78)
    places = [place] * n if kind != "corner" else [s.depth] + [place] * n
    w = sum(places) / 2
    parts = _seats(s, rng, places, 0.4 if kind == "corner" else 0.55, feet=kind == "corner") + _arm(s, 1, w)
    if kind == "straight":
        parts += _arm(s, -1, w)
    elif kind == "chaise":
        parts += _arm(s, -1, w) + _chaise(s, rng.uniform(0.50, 0.72), (-w, -w + place))
    else:
        parts += _wing(s, rng, 1 if n == 3 else int(rng.integers(1, 3)), place, w)
    if p.chance(rng, 0.5):
        parts = p.mirrored(parts)
    if p.chance(rng, 0.15):
        parts += _throw(rng, s)
    low, high = Thing("sofa", tuple(parts)).bounds()
    middle = (low + high) / 2 * (1, 1, 0)
    return Thing("sofa", tuple(p.moved(q, -middle) for q in parts), against_wall=p.chance(rng, 0.85), front_room=0.7)


def _chaise(s: _Style, length: float, y: tuple[float, float]) -> list[Part]:
    """Extension of a seat between two ends along y, long enough to lie on."""
    x0, x1 = s.front, s.front + length
    feet = [p.upright(x1 - 0.08, t, (0, s.foot), 0.024, s.feet) for t in (y[0] + 0.05, y[1] - 0.05)]
    return [*feet, p.box((x0 - 0.02, y[0], s.foot), (x1 - 0.02, y[1], s.base), s.look),
            *p.cushion((x0 - 0.02, y[0] + 0.006, s.base), (x1, y[1] - 0.006, s.height), s.seat)]


def _wing(s: _Style, rng: np.random.Generator, n: int, place: float, w: float) -> list[Part]:
    """Seats that go on from the right end (y = -w) of a row forwards around a corner, with the back of the corner."""
    shift = (s.front + n * place / 2, -w + s.front, 0)
    parts = p.placed(_seats(s, rng, [place] * n, 0.5), 90, shift)
    parts += p.placed(_arm(s, -1, n * place / 2), 90, shift)
    parts.append(p.box((-s.front + 0.14, -w + 0.005, s.height), (s.front, -w + 0.13, s.top - 0.05), s.look))
    pad = _pad((-s.front + s.back - 0.03, 0, (s.height + s.top) / 2),
               (0.14, s.depth - s.back - 0.03, s.top - s.height - 0.01), s.seat)
    return parts + p.placed(pad, 90, ((s.back + 0.02) / 2, -w + s.front, 0))


def _throw(rng: np.random.Generator, s: _Style) -> list[Part]:
    """A blanket spread over a seat and its front edge."""
    look, wide, x1 = p.fabric(rng, pattern=0.6), rng.uniform(0.4, 0.7), s.front
    y = rng.uniform(-0.3, 0.3)
    z = s.height + 0.008
    parts = [p.box((-s.front + s.back + 0.1, y - wide / 2, z - 0.008), (x1 + 0.006, y + wide / 2, z + 0.006), look),
             p.box((x1 + 0.001, y - wide / 2, z - rng.uniform(0.15, 0.3)), (x1 + 0.012, y + wide / 2, z + 0.004), look)]
    return p.labelled(parts, "blanket")


KINDS = {
    "chair": {"dining": dining, "shell": shell, "office": office, "stool": stool, "armchair": armchair},
    "sofa": {k: partial(_sofa, kind=k) for k in ("straight", "chaise", "corner")},
}
BUILDERS = {"chair": chair, "sofa": sofa}
