# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bath: toilet, bathtub, shower."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.furniture.sinks import around, tap
from lsm_sim.world import Material, Part, Thing


def toilet(rng: np.random.Generator) -> Thing:
    """A toilet with a cistern, or a hanging one before a panel; the lid down or up."""
    look, w, h = p.enamel(rng), rng.uniform(0.34, 0.39), rng.uniform(0.38, 0.44)
    lid = look if p.chance(rng, 0.7) else (p.wood(rng) if p.chance(rng, 0.5) else p.plastic(rng))
    hanging = p.chance(rng, 0.35)
    back, r = (0.13 if hanging else rng.uniform(0.17, 0.21)), rng.uniform(0.23, 0.26)
    length = back + 0.06 + 2 * r
    x0 = -length / 2
    c = length / 2 - r
    low = 0.16 if hanging else 0.0
    if hanging:
        parts = [p.upright(c, 0, (low, h), (0.62 * r, 0.36 * w), look, taper=1.5)]
        parts.append(p.box((x0 + back - 0.01, -0.36 * w, low + 0.08), (c, 0.36 * w, h - 0.002), look))
    else:
        parts = [p.upright(c - 0.06, 0, (0, 0.2), (0.17, 0.115), look, taper=0.85),
                 p.upright(c, 0, (0.13, h), (0.62 * r, 0.36 * w), look, taper=1.5),
                 p.box((x0 + back - 0.06, -0.1, 0), (c - 0.05, 0.1, h - 0.006), look)]
    seat = 0.018
    rim = (r + 0.004, w / 2)
    if p.chance(rng, 0.7):
        parts.append(p.upright(c, 0, (h, h + seat), rim, look))
        parts.append(p.upright(c - 0.002, 0, (h + seat + 0.002, h + 2 * seat), (rim[0] - 0.003, rim[1] - 0.003), lid))
        parts.append(p.box((x0 + back, -w / 2 + 0.04, h + 0.003), (c - 0.6 * r, w / 2 - 0.04, h + 0.03), lid))
    else:
        parts.append(p.upright(c, 0, (h, h + seat), rim, lid, top=lid))
        water = p.flat("8f989b", rng, 0.6, "blank")
        parts.append(p.upright(c + 0.01, 0, (h + 0.004, h + seat + 0.002), (0.66 * r, 0.31 * w), water))
        parts.append(p.box((x0 + back, -w / 2 + 0.04, h + 0.003), (c - 0.72 * r, w / 2 - 0.04, h + 0.03), lid))
        up = p.cylinder((x0 + back + 0.045, 0, h + 0.03 + r * 0.95), (0.97 * r, w / 2 - 0.004), 0.016, lid, axis="x")
        parts.append(p.turned(up, p.rot_y(-6), (x0 + back + 0.045, 0, h)))
    parts += _cistern(rng, x0, back, w, h, hanging, look)
    return Thing("toilet", tuple(parts), against_wall=True, front_room=0.6)


def _cistern(rng: np.random.Generator, x0: float, back: float, w: float, h: float, hanging: bool, look: Material) -> list[Part]:
    """Cistern with a lid and a button, or the boxed-in wall with a plate that a hanging toilet has at its back."""
    chrome = p.metal(rng, 0.0)
    if hanging:
        tiles = p.flat(p.pick(rng, ("e9e9e6", "cfd6d6", "b9b3a8")), rng, 0.4, "tiles", 0.6)
        top = rng.uniform(1.0, 1.2)
        return [p.box((x0, -0.3, 0), (x0 + back - 0.002, 0.3, top), tiles),
                p.box((x0 + back - 0.01, -0.11, 0.86), (x0 + back + 0.008, 0.11, 0.98), chrome),
                p.box((x0 + back, -0.09, 0.88), (x0 + back + 0.012, 0.02, 0.96), look)]
    half, top = rng.uniform(0.17, 0.21), h + rng.uniform(0.32, 0.42)
    return [p.box((x0, -half, h + 0.005), (x0 + back - 0.01, half, top), look),
            p.box((x0, -0.12, h - 0.08), (x0 + back - 0.02, 0.12, h + 0.01), look),
            p.box((x0 - 0.002, -half - 0.008, top), (x0 + back, half + 0.008, top + 0.025), look),
            p.upright(x0 + back / 2, 0, (top + 0.02, top + 0.032), 0.022, chrome)]


def bathtub(rng: np.random.Generator) -> Thing:
    """A bathtub with a panelled front (its front, +x, is a long side), or one that stands free; with a tap."""
    length, d, h, look = rng.uniform(1.5, 1.8), rng.uniform(0.68, 0.82), rng.uniform(0.52, 0.62), p.enamel(rng)
    rim, deep = rng.uniform(0.05, 0.08), rng.uniform(0.36, 0.42)
    free = p.chance(rng, 0.25)
    skin = look if p.chance(rng, 0.6) else p.flat(p.pick(rng, ("dfe0dc", "b9c4c6", "a89f92", "5d6d75")), rng, 0.4, "tiles", 0.6)
    out = 0.035
    x, y = (-d / 2 + rim, d / 2 - rim), (-length / 2 + rim, length / 2 - rim)
    parts = around((-d / 2, d / 2), (-length / 2, length / 2), x, y, (h - 0.03, h), look)
    low = 0.1 if free else 0.0
    wall = 0.03 if free else rim - out + 0.02
    shell = ((-d / 2 + out, d / 2 - out), (-length / 2 + out, length / 2 - out))
    parts += around(*shell, (-d / 2 + out + wall, d / 2 - out - wall), (-length / 2 + out + wall, length / 2 - out - wall),
                    (low, h - 0.03), look if free else skin)
    inner = ((-d / 2 + out + wall, d / 2 - out - wall), (-length / 2 + out + wall, length / 2 - out - wall))
    parts.append(p.box((inner[0][0], inner[1][0], h - deep - 0.03), (inner[0][1], inner[1][1], h - deep), look))
    if not free:
        parts += _lining(inner, (h - deep, h - 0.03), look)
    slope = p.box((inner[0][0] + 0.004, -0.02, 0), (inner[0][1] - 0.004, 0.02, deep), look)
    parts.append(p.moved(p.turned(slope, p.rot_x(18), (0, 0, 0)), (0, inner[1][1] - 0.05, h - deep - 0.05)))
    parts.append(p.upright(0, inner[1][0] + 0.25, (h - deep, h - deep + 0.003), 0.03, p.flat("8b8d90", gloss=0.7)))
    if free:
        chrome = p.metal(rng, 0.3)
        parts += [p.ball((sx * (d / 2 - 0.12), sy * (length / 2 - 0.2), 0.055), (0.045, 0.045, 0.055), chrome)
                  for sx in (-1, 1) for sy in (-1, 1)]
    parts += p.placed(tap(0, 0, 0, rng, 0.15, 0.12), 90, (0, -length / 2 + rim / 2, h))
    return Thing("bathtub", tuple(parts), against_wall=not free, front_room=0.6)


def _lining(inner: tuple[tuple[float, float], tuple[float, float]], z: tuple[float, float], look: Material) -> list[Part]:
    """Thin enamel on the inner sides of a walled-in tub."""
    (x0, x1), (y0, y1) = inner
    t = 0.004
    return [p.box((x0, y0, z[0]), (x0 + t, y1, z[1]), look), p.box((x1 - t, y0, z[0]), (x1, y1, z[1]), look),
            p.box((x0 + t, y0, z[0]), (x1 - t, y0 + t, z[1]), look), p.box((x0 + t, y1 - t, z[0]), (x1 - t, y1, z[1]), look)]


def shower(rng: np.random.Generator) -> Thing:
    """A shower: tray, back panels, a pole with its head, and a screen of glass at one side or a curtain."""
    w, d, high = rng.uniform(0.78, 1.2), rng.uniform(0.78, 0.95), rng.uniform(1.95, 2.15)
    tray, chrome = rng.uniform(0.04, 0.16), p.metal(rng, 0.1)
    look = p.enamel(rng)
    tiles = p.flat(p.pick(rng, ("eceeed", "c9d6da", "a7b7ba", "d8d0c2", "6d7f88", "e3e6e2")), rng, 0.45,
                   p.pick(rng, ("tiles", "tiles", "marble", "blank")), float(rng.uniform(0.5, 1.0)))
    x0, rim = -d / 2, 0.04
    parts = around((x0, d / 2), (-w / 2, w / 2), (x0 + rim, d / 2 - rim), (-w / 2 + rim, w / 2 - rim), (0, tray), look)
    floor = max(0.012, tray - 0.05)
    parts.append(p.box((x0 + rim, -w / 2 + rim, 0), (d / 2 - rim, w / 2 - rim, floor), look))
    parts.append(p.upright(x0 + 0.2, 0, (floor, floor + 0.003), 0.045, p.flat("85888b", gloss=0.7)))
    parts.append(p.box((x0, -w / 2, tray), (x0 + 0.025, w / 2, high), tiles))
    parts.append(p.box((x0 + 0.025, w / 2 - 0.025, tray), (d / 2 - 0.02, w / 2, high), tiles))
    bar = x0 + 0.07
    y = rng.uniform(-0.1, 0.1)
    parts += [p.rod((bar, y, 1.0), (bar, y, high - 0.06), 0.011, chrome),
              p.box((x0 + 0.025, y - 0.1, 1.0), (bar + 0.02, y + 0.1, 1.06), chrome),
              p.box((x0 + 0.025, y - 0.012, high - 0.12), (bar, y + 0.012, high - 0.1), chrome)]
    if p.chance(rng, 0.5):
        parts.append(p.rod((bar, y, high - 0.07), (bar + 0.3, y, high - 0.05), 0.01, chrome))
        parts.append(p.upright(bar + 0.3, y, (high - 0.085, high - 0.062), rng.uniform(0.09, 0.14), chrome))
    else:
        parts.append(p.rod((bar, y, high - 0.32), (bar + 0.1, y, high - 0.24), 0.013, chrome))
        parts.append(p.turned(p.upright(bar + 0.12, y, (high - 0.26, high - 0.23), 0.05, chrome), p.rot_y(-35)))
    parts.append(p.rod((bar + 0.02, y + 0.05, 1.02), (bar + 0.02, y + 0.06, 0.55), 0.007, chrome))
    parts += _screen(rng, (x0, d / 2), w, (tray, high), chrome)
    if p.chance(rng, 0.5):
        parts = p.mirrored(parts)
    return Thing("shower", tuple(parts), against_wall=True, front_room=0.6)


def _screen(rng: np.random.Generator, x: tuple[float, float], w: float, z: tuple[float, float], chrome: Material) -> list[Part]:
    """Screen that closes the right side and a part of the front: frosted glass in frames, or a curtain on a rod."""
    y, top = -w / 2, z[1] - 0.02
    if p.chance(rng, 0.3):
        cloth = p.fabric(rng, p.pick(rng, ("f1f1ee", "c9dfe2", "e8dcc8", "7fa7b5", "d9b8b0")), 0.5)
        parts = [p.rod((x[1] - 0.02, y, top), (x[1] - 0.02, -y, top), 0.012, chrome),
                 p.rod((x[0], y + 0.02, top - 0.001), (x[1] - 0.02, y + 0.02, top - 0.001), 0.012, chrome)]
        for k in range(n := int(rng.integers(4, 8))):
            t = y + 0.04 + k * 0.075
            parts.append(p.upright(x[1] - 0.02 + 0.012 * (-1) ** k, t, (z[0] + 0.03, top - 0.015), (0.018, 0.042), cloth))
        for k in range(n):
            parts.append(p.upright(x[1] - 0.09 - k * 0.075, y + 0.02 + 0.012 * (-1) ** k, (z[0] + 0.03, top - 0.016),
                                   (0.042, 0.018), cloth))
        return parts
    glass = p.flat(p.pick(rng, ("cfdcdc", "bcd0d2", "dfe6e6", "a9c2c4")), rng, 0.75, "blank")
    b, t = 0.028, 0.008
    parts = [p.box((x[0] + 0.025, y + 0.01, z[0]), (x[1] - b, y + 0.01 + t, top - b), glass)]
    parts += [p.box((x[0] + 0.025, y + 0.002, top - b), (x[1], y + b, top), chrome),
              p.box((x[1] - b, y + 0.002, z[0]), (x[1] - 0.001, y + b, top - b), chrome)]
    part = rng.uniform(0.35, 0.55) * w
    if p.chance(rng, 0.6):
        parts += [p.box((x[1] - 0.018, y + b, z[0]), (x[1] - 0.01, y + part, top - b), glass),
                  p.box((x[1] - b, y + part, z[0]), (x[1] - 0.002, y + part + 0.02, top - b), chrome),
                  p.box((x[1] - b, y + b, top - b), (x[1] - 0.002, w / 2 - 0.026, top), chrome)]
    return parts


BUILDERS = {"toilet": toilet, "bathtub": bathtub, "shower": shower}
