# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Televisions, monitors, computers and keyboards."""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture.parts import (
    EPS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    finish,
    fitted,
    flat,
    handle,
    labelled,
    metal,
    moved,
    pick,
    plastic,
    rod,
    rot_y,
    rot_z,
    turned,
    upright,
)
from lsm_sim.world import Material, Part, Support, Thing


def _case(rng: np.random.Generator) -> Material:
    """Plastic or metal of a device: black, grey, white or silver."""
    return flat(
        pick(rng, ("1b1b1d", "2d2e30", "8d8f92", "d9dadb", "f1f1ef"), (5, 3, 2, 2, 2)),
        rng,
        float(rng.uniform(0.05, 0.3)),
    )


def _display(rng: np.random.Generator, on: float = 0.6) -> Material:
    """A screen: with probability `on` it shows something, else it is dark and shiny."""
    if chance(rng, on):
        return fitted("screen", rng, 0.1, float(rng.uniform(0.5, 1.0)))
    return flat("0c0d10", None, float(rng.uniform(0.35, 0.7)), "blank")


def _panel(rng: np.random.Generator, w: float, h: float, z: float, depth: float, on: float) -> list[Part]:
    """A flat screen with a rim and a bulge at its back, around (0, 0), its lower edge at z; its front at x = depth / 2."""
    case, rim = _case(rng), float(rng.uniform(0.006, 0.02))
    x = depth / 2
    return [
        box((-x, -w / 2, z), (x, w / 2, z + h), case),
        box((x, -w / 2 + rim, z + 1.6 * rim), (x + EPS, w / 2 - rim, z + h - rim), case, front=_display(rng, on)),
        box((-x - 0.025, -0.3 * w, z + 0.2 * h), (-x, 0.3 * w, z + 0.75 * h), case),
    ]


def _board(rng: np.random.Generator, w: float) -> tuple[list[Part], float, float]:
    """A low board under a television: its parts (class cabinet), its depth and the height of its top."""
    stuff, d, h = finish(rng), float(rng.uniform(0.36, 0.46)), float(rng.uniform(0.36, 0.56))
    foot = float(rng.uniform(0.04, 0.14))
    kind = pick(rng, ("drawers", "doors", "open"))
    out = [
        box((-d / 2 + 0.04, sy * (w / 2 - 0.1) - 0.02, 0), (d / 2 - 0.04, sy * (w / 2 - 0.1) + 0.02, foot), stuff)
        for sy in (-1, 1)
    ]
    if kind == "open":
        t = 0.022
        out += [
            box((-d / 2, -w / 2, h - t), (d / 2, w / 2, h), stuff),
            box((-d / 2, -w / 2, foot), (d / 2, w / 2, foot + t), stuff),
            box((-d / 2, -w / 2 + t, foot + t), (-d / 2 + 0.01, w / 2 - t, h - t), stuff),
        ]
        out += [
            box((-d / 2, y - t / 2, foot + t), (d / 2, y + t / 2, h - t), stuff)
            for y in (-w / 2 + t / 2, 0, w / 2 - t / 2)
        ]
    else:
        out.append(box((-d / 2, -w / 2, foot), (d / 2, w / 2, h), stuff))
        n = int(rng.integers(2, 4))
        front = fitted(kind, rng, 0.1, color=stuff.color) if chance(rng, 0.5) else stuff
        for i in range(n):
            y0, y1 = ((j / n - 0.5) * (w - 0.02) for j in (i, i + 1))
            out.append(box((d / 2, y0 + 0.006, foot + 0.02), (d / 2 + 0.016, y1 - 0.006, h - 0.03), stuff, front=front))
            out += handle(d / 2 + 0.016, (y0 + y1) / 2, h - 0.08, metal(rng), kind=pick(rng, ("bar", "knob", "none")))
    return labelled(out, "cabinet"), d, h


def television(rng: np.random.Generator) -> Thing:
    """A flat screen on a wall (place 'wall') or on a low board, or an old tube on a board (place 'floor')."""
    kind = pick(rng, ("wall", "board", "tube"), (3, 5, 1))
    w = float(rng.uniform(0.7, 1.38))
    h = 0.57 * w + 0.02
    if kind == "wall":
        z = float(rng.uniform(0.95, 1.3))
        parts = [moved(p, (0.055, 0, 0)) for p in _panel(rng, w, h, z, 0.04, 0.55)]
        return Thing(
            "television",
            (*parts, box((0, -0.15, z + 0.3 * h), (0.012, 0.15, z + 0.6 * h), metal(rng, 0.9))),
            "wall",
            front_room=0.6,
        )
    if kind == "tube":
        w = float(rng.uniform(0.45, 0.7))
        h = 0.8 * w
        parts, d, top = _board(rng, w + float(rng.uniform(0.1, 0.4)))
        case = flat(pick(rng, ("2b2b2d", "5a4a3a", "9a9a98")), rng, 0.1)
        parts += [
            box((0, -w / 2, top), (d / 2 - 0.02, w / 2, top + h), case),
            box((-d / 2 + 0.03, -0.36 * w, top + 0.03), (0, 0.36 * w, top + 0.8 * h), case),
            box(
                (d / 2 - 0.02, -w / 2 + 0.04, top + 0.08),
                (d / 2 - 0.012, w / 2 - 0.04, top + h - 0.04),
                case,
                front=_display(rng),
            ),
        ]
        parts += [
            cylinder((d / 2 - 0.012, w / 2 - 0.07 - 0.05 * i, top + 0.045), 0.012, 0.02, metal(rng), axis="x")
            for i in range(3)
        ]
        return Thing("television", tuple(parts), against_wall=True, front_room=0.6)
    long = min(w * float(rng.uniform(1.0, 1.5)), 1.95)
    parts, d, top = _board(rng, long)
    gap, stand = float(rng.uniform(0.03, 0.09)), metal(rng, 0.8)
    if chance(rng, 0.5):
        parts += [
            box((-0.1, -0.18 * w, top), (0.1, 0.18 * w, top + 0.012), stand),
            box((-0.015, -0.05, top + 0.012), (0.015, 0.05, top + gap), stand),
        ]
    else:
        parts += [
            box((-0.11, sy * 0.36 * w - 0.012, top), (0.11, sy * 0.36 * w + 0.012, top + gap), stand) for sy in (-1, 1)
        ]
    parts += _panel(rng, w, h, top + gap, 0.04, 0.55)
    if chance(rng, 0.3):
        parts.append(box((0.08, -0.4 * w, top), (0.16, 0.4 * w, top + 0.06), _case(rng)))
    side = (long - w) / 2
    free = (Support((0, (w + long) / 4), top, (d / 2 - 0.03, side / 2 - 0.02)),) if side > 0.2 else ()
    return Thing("television", tuple(parts), against_wall=True, supports=free, front_room=0.6)


def monitor(rng: np.random.Generator) -> Thing:
    """A computer's screen on a stand (place 'top'), 19 to 34 inches."""
    w = float(rng.uniform(0.42, 0.62))
    aspect = pick(rng, (0.58, 0.64, 0.78, 0.44), (5, 3, 2, 1))
    w *= 1.3 if aspect < 0.5 else 1.0
    z, stand = float(rng.uniform(0.07, 0.15)), _case(rng)
    tilt = rot_y(float(rng.uniform(-8, 0)))
    parts = [turned(p, tilt, (0, 0, z)) for p in _panel(rng, w, aspect * w, z, 0.03, 0.65)]
    lean = rod((-0.07, 0, 0.01), (-0.045 + aspect * w * np.sin(np.radians(-2)), 0, z + 0.4 * aspect * w), 0.018, stand)
    base = pick(rng, ("disc", "plate", "feet"))
    if base == "disc":
        parts.append(upright(-0.03, 0, (0, 0.014), (0.1, 0.13), stand))
    elif base == "plate":
        parts.append(box((-0.13, -0.13, 0), (0.08, 0.13, 0.014), stand))
    else:
        parts += [
            turned(
                box((-0.09, s * 0.07 - 0.015, 0), (0.12, s * 0.07 + 0.015, 0.014), stand), rot_z(s * 25), (-0.05, 0, 0)
            )
            for s in (-1, 1)
        ]
    return Thing("monitor", (*parts, lean), "top")


def laptop(rng: np.random.Generator) -> Thing:
    """An open laptop of class computer (place 'top')."""
    w = float(rng.uniform(0.29, 0.39))
    d, case, t = 0.68 * w, _case(rng), float(rng.uniform(0.012, 0.022))
    lean = float(rng.uniform(-35, -8))
    lid = [
        box((-d / 2 - 0.007, -w / 2, t), (-d / 2, w / 2, t + d), case),
        box(
            (-d / 2, -w / 2 + 0.01, t + 0.02),
            (-d / 2 + EPS, w / 2 - 0.01, t + d - 0.01),
            case,
            front=_display(rng, 0.75),
        ),
    ]
    parts = [
        box((-d / 2, -w / 2, 0), (d / 2, w / 2, t), case),
        box((-0.4 * d, -0.44 * w, t), (0.12 * d, 0.44 * w, t + EPS), case, top=fitted("keyboard", rng)),
        box((0.2 * d, -0.16 * w, t), (0.44 * d, 0.16 * w, t + EPS), flat("77797c", None, 0.2)),
    ]
    return Thing("computer", (*parts, *(turned(p, rot_y(lean), (-d / 2, 0, t)) for p in lid)), "top")


def tower(rng: np.random.Generator) -> Thing:
    """A computer's case that stands upright (place 'floor')."""
    w, h, d, case = (
        float(rng.uniform(0.17, 0.23)),
        float(rng.uniform(0.36, 0.5)),
        float(rng.uniform(0.38, 0.5)),
        _case(rng),
    )
    front = _case(rng) if chance(rng, 0.5) else case
    x, z = d / 2, 0.015
    parts = [
        box((-x, -w / 2, z), (x - 0.03, w / 2, h), case),
        box((x - 0.03, -w / 2 - 0.002, z), (x, w / 2 + 0.002, h), front),
    ]
    parts += [
        box(
            (sx * (x - 0.08) - 0.02, sy * (w / 2 - 0.03) - 0.015, 0),
            (sx * (x - 0.08) + 0.02, sy * (w / 2 - 0.03) + 0.015, z),
            flat("1a1a1a"),
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    dark, light = flat("141416", None, 0.3), flat(pick(rng, ("57c7ff", "7dff8a", "ff5a4a", "ffffff")), None, glow=1.0)
    kind = pick(rng, ("drives", "mesh", "plain"))
    if kind == "drives":
        parts += [
            box(
                (x, -0.4 * w, h - 0.04 - 0.055 * (i + 1)),
                (x + 0.004, 0.4 * w, h - 0.045 - 0.055 * i),
                flat(pick(rng, ("2a2a2c", "b9babb")), rng),
            )
            for i in range(int(rng.integers(1, 4)))
        ]
    elif kind == "mesh":
        parts.append(
            box((x, -0.38 * w, z + 0.04), (x + 0.004, 0.38 * w, h - 0.09), Material("checker", dark.color, 0, 0.03))
        )
        if chance(rng, 0.5):
            parts += [cylinder((x + 0.006, 0, zz), 0.34 * w, 0.008, light, axis="x") for zz in (0.3 * h, 0.62 * h)]
    parts.append(cylinder((x + 0.003, 0.3 * w, h - 0.03), 0.011, 0.008, light if chance(rng, 0.5) else dark, axis="x"))
    return Thing("computer", tuple(parts), supports=(Support((0, 0), h, (x - 0.06, w / 2 - 0.01)),), front_room=0.1)


def small_computer(rng: np.random.Generator) -> Thing:
    """A computer that fits on a desk (place 'top'): a mini box or a slim case under a screen."""
    case = _case(rng)
    if chance(rng, 0.5):
        s, h = float(rng.uniform(0.07, 0.1)), float(rng.uniform(0.035, 0.06))
        parts = [
            box((-s, -s, 0.004), (s, s, h), case),
            upright(0, 0, (0, 0.004), 0.8 * s, flat("222222")),
            cylinder((s + 0.001, 0.6 * s, 0.5 * h), 0.006, 0.004, flat("dfe8ff", None, glow=1.0), axis="x"),
            box((s, -0.6 * s, 0.4 * h), (s + EPS, -0.2 * s, 0.6 * h), flat("111111")),
        ]
    else:
        w, d, h = float(rng.uniform(0.15, 0.18)), 0.15, 0.09
        parts = [
            box((-d, -w, 0.005), (d, w, h), case),
            box((d, -0.9 * w, 0.5 * h), (d + 0.004, 0.1 * w, 0.85 * h), flat("2b2b2d")),
            box((-0.8 * d, -0.8 * w, 0), (0.8 * d, 0.8 * w, 0.005), flat("222222")),
            cylinder((d + 0.003, 0.75 * w, 0.6 * h), 0.01, 0.006, metal(rng), axis="x"),
            ball((d, 0.45 * w, 0.6 * h), 0.004, flat("7dff8a", None, glow=1.0)),
        ]
    return Thing("computer", tuple(parts), "top")


def computer(rng: np.random.Generator) -> Thing:
    """A laptop, a tower, or a case for the desk; see its `place`."""
    return pick(rng, (laptop, tower, small_computer), (5, 4, 1))(rng)


def keyboard(rng: np.random.Generator) -> Thing:
    """A keyboard (place 'top'), its front side (+x) the one with the space bar."""
    w, d = float(rng.uniform(0.28, 0.46)), float(rng.uniform(0.12, 0.16))
    case, h = _case(rng) if chance(rng, 0.8) else plastic(rng), float(rng.uniform(0.012, 0.022))
    parts = [
        box((-d / 2, -w / 2, 0), (d / 2, w / 2, h), case, top=case),
        box(
            (-d / 2 + 0.008, -w / 2 + 0.008, h),
            (d / 2 - 0.008, w / 2 - 0.008, h + 0.005),
            case,
            top=fitted("keyboard", rng, 0.05),
        ),
    ]
    if chance(rng, 0.3):
        parts.append(box((d / 2, -w / 2, 0), (d / 2 + 0.06, w / 2, 0.7 * h), flat("222224", rng, 0.1)))
    tilt = float(rng.uniform(0, 5))
    lift = 0.5 * d * np.sin(np.radians(tilt)) + (0.06 * np.sin(np.radians(tilt)) if len(parts) > 2 else 0)
    parts = [moved(turned(p, rot_y(tilt), (0, 0, 0)), (0, 0, lift)) for p in parts]
    return Thing("keyboard", tuple(parts), "top")


KINDS: dict[str, dict[str, Builder]] = {"computer": {"laptop": laptop, "tower": tower, "small": small_computer}}
BUILDERS: dict[str, Builder] = {
    "television": television,
    "monitor": monitor,
    "computer": computer,
    "keyboard": keyboard,
}
