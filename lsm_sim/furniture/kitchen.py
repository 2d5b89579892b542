# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Kitchen and white goods: refrigerator, oven, stove, microwave, dishwasher, washing machine."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.furniture.tables import base_size, on_top
from lsm_sim.world import Material, Part, Thing

GLASS = "1a1c1e"
"""Colour of dark glass of oven doors and hobs."""


def _goods(rng: np.random.Generator) -> Material:
    """Outside of an appliance: white, steel, or black."""
    kind = p.pick(rng, ("white", "steel", "black"), (5, 4, 1))
    return {"white": p.enamel, "steel": p.steel, "black": lambda r: p.flat("242527", r, 0.4)}[kind](rng)


def _glass(rng: np.random.Generator) -> Material:
    return p.flat(GLASS, rng, 0.7, "blank")


def _bar(rng: np.random.Generator, x: float, y: tuple[float, float], z: float, look: Material) -> list[Part]:
    """A handle: a horizontal rod before a front, on two studs."""
    a, b = y[0] + 0.06, y[1] - 0.06
    return [p.rod((x + 0.035, a, z), (x + 0.035, b, z), 0.009, look),
            *[p.box((x - 0.002, t - 0.008, z - 0.008), (x + 0.035, t + 0.008, z + 0.008), look) for t in (a + 0.03, b - 0.03)]]


def _knobs(rng: np.random.Generator, x: float, y: tuple[float, float], z: float, n: int, look: Material) -> list[Part]:
    """A row of turning knobs on a panel."""
    return [p.cylinder((x + 0.011, t, z), 0.018, 0.026, look, axis="x", taper=0.85)
            for t in np.linspace(y[0], y[1], n)]


def refrigerator(rng: np.random.Generator) -> Thing:
    """A refrigerator: small, tall with a freezer, or with two doors side by side; doors, handles, feet."""
    kind = p.pick(rng, ("tall", "small", "double"), (6, 2, 2))
    w, h, d = {"tall": (rng.uniform(0.55, 0.70), rng.uniform(1.5, 2.0), rng.uniform(0.60, 0.72)),
               "small": (rng.uniform(0.48, 0.60), rng.uniform(0.82, 0.9), rng.uniform(0.52, 0.62)),
               "double": (rng.uniform(0.86, 0.95), rng.uniform(1.72, 1.85), rng.uniform(0.66, 0.78))}[kind]
    look = _goods(rng) if p.chance(rng, 0.85) else p.plastic(rng)
    x, dark = d / 2 - 0.06, p.flat("2b2c2e", rng)
    body = look if look.texture != "metal" or p.chance(rng, 0.4) else p.flat("8c8e90", rng, 0.2)
    parts = [p.box((-d / 2, -w / 2, 0.03), (x - 0.012, w / 2, h), body, front=dark),
             p.box((-d / 2 + 0.03, -w / 2 + 0.02, 0), (x - 0.03, w / 2 - 0.02, 0.03), dark)]
    split = h * (p.pick(rng, (0.3, 0.38, 0.68, 0.74)) + rng.uniform(-0.02, 0.02)) if kind == "tall" else h
    if kind == "double":
        low = h * rng.uniform(0.28, 0.36) if p.chance(rng, 0.5) else 0.05
        doors = [((-w / 2, -0.003), (low + 0.003, h), 1), ((0.003, w / 2), (low + 0.003, h), -1)]
        doors += [((-w / 2, w / 2), (0.05, low - 0.003), 0)] if low > 0.1 else []
    elif kind == "tall" and p.chance(rng, 0.85):
        doors = [((-w / 2, w / 2), (0.05, split - 0.003), 1), ((-w / 2, w / 2), (split + 0.003, h), 1)]
    else:
        doors = [((-w / 2, w / 2), (0.05, h), 1)]
    bar = p.metal(rng, 0.2)
    side, hidden = p.pick(rng, (-1, 1)), p.chance(rng, 0.2)
    for y, z, s in doors:
        parts.append(p.box((x - 0.01, y[0], z[0]), (x + 0.035, y[1], z[1]), look))
        if hidden:
            continue
        if s == 0:
            parts += _bar(rng, x + 0.035, y, z[1] - 0.06, bar)
            continue
        edge = (y[1] - 0.04 if s > 0 else y[0] + 0.04) if kind == "double" else side * (w / 2 - 0.045)
        upper = z[0] > 0.4 * h and len(doors) > 1 and kind == "tall"
        a, b = (z[0] + 0.06, min(z[0] + 0.45, z[1] - 0.06)) if upper else (max(z[1] - 0.5, z[0] + 0.06), z[1] - 0.06)
        parts.append(p.box((x + 0.033, edge - 0.012, a), (x + 0.06, edge + 0.012, b), bar))
    if kind == "double" and p.chance(rng, 0.4):
        parts.append(p.box((x + 0.03, -w / 4 - 0.1, 1.02), (x + 0.038, -w / 4 + 0.1, 1.36), dark))
    elif kind == "tall" and p.chance(rng, 0.25):
        y = rng.uniform(-0.08, 0.08)
        parts.append(p.box((x + 0.035, y - 0.07, h * 0.52), (x + 0.0365, y + 0.07, h * 0.52 + 0.2), p.fitted("photo", rng)))
    return Thing("refrigerator", tuple(parts), against_wall=True, front_room=0.8,
                 supports=(on_top((-d / 2, x), (-w / 2, w / 2), h, 0.35),))


def _oven_front(rng: np.random.Generator, x: float, w: float, z: tuple[float, float], look: Material, *,
                panel: bool = True) -> list[Part]:
    """Door of an oven with a window and a handle, below a panel with knobs and a display."""
    bar = p.metal(rng, 0.1)
    split = z[1] - (rng.uniform(0.09, 0.12) if panel else 0.0)
    parts = [p.box((x - 0.012, -w / 2, z[0]), (x + 0.02, w / 2, split - 0.003), look if p.chance(rng, 0.5) else _glass(rng))]
    parts.append(p.box((x + 0.018, -w / 2 + 0.06, z[0] + 0.07), (x + 0.024, w / 2 - 0.06, split - 0.1), _glass(rng)))
    parts += _bar(rng, x + 0.02, (-w / 2, w / 2), split - 0.05, bar)
    if panel:
        parts.append(p.box((x - 0.012, -w / 2, split), (x + 0.018, w / 2, z[1]), look))
        n, zz = int(rng.integers(2, 4)), (split + z[1]) / 2
        parts += _knobs(rng, x + 0.018, (-w / 2 + 0.07, -w / 2 + 0.07 * (1 + n - 1)), zz, n, bar)
        parts += _knobs(rng, x + 0.018, (w / 2 - 0.07 * n, w / 2 - 0.07), zz, n, bar)
        parts.append(p.box((x + 0.012, -0.05, zz - 0.022), (x + 0.0205, 0.05, zz + 0.022), p.flat("101214", rng, 0.6, "blank")))
    return parts


def oven(rng: np.random.Generator) -> Thing:
    """An oven built into a base cabinet with a worktop, or into a tall one at the height of the chest."""
    look = _goods(rng)
    d, h, plinth = base_size(rng)
    w = 0.60 + (rng.uniform(-0.01, 0.01) if p.chance(rng, 0.4) else 0.0)
    x, case, dark = d / 2 - 0.04, p.finish(rng), p.flat("2f3032", rng)
    if p.chance(rng, 0.6):
        t, top = rng.uniform(0.02, 0.04), p.worktop(rng)
        parts = [p.box((-d / 2 + 0.005, -w / 2 + 0.002, plinth), (x, w / 2 - 0.002, h - t), case, front=dark),
                 p.box((-d / 2 + 0.03, -w / 2 + 0.01, 0), (x - 0.05, w / 2 - 0.01, plinth), dark),
                 p.box((-d / 2, -w / 2, h - t), (d / 2, w / 2, h), top)]
        low = plinth + 0.1
        parts += p.drawer_fronts(x, (-w / 2, w / 2), (plinth + 0.002, low), 1, case, lambda *a: [])
        parts += _oven_front(rng, x, w - 0.01, (low + 0.002, h - t - 0.005), look)
        return Thing("oven", tuple(parts), against_wall=True, front_room=0.8,
                     supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h, 0.45),))
    tall = rng.uniform(1.45, 2.1)
    low = rng.uniform(0.65, 0.85)
    parts = [p.box((-d / 2, -w / 2, plinth), (x, w / 2, tall), case, front=p.shadow(case)),
             p.box((-d / 2 + 0.03, -w / 2 + 0.01, 0), (x - 0.05, w / 2 - 0.01, plinth), dark)]
    parts += p.drawer_fronts(x, (-w / 2, w / 2), (plinth + 0.002, low - 0.002), int(rng.integers(1, 4)), case, p.grips(rng))
    parts += _oven_front(rng, x, w - 0.02, (low + 0.002, low + 0.58), look)
    parts += p.door_fronts(x, (-w / 2, w / 2), (low + 0.59, tall - 0.004), 1, case, p.grips(rng, "z"))
    return Thing("oven", tuple(parts), against_wall=True, front_room=0.8,
                 supports=(on_top((-d / 2, x), (-w / 2, w / 2), tall, 0.25),))


def stove(rng: np.random.Generator) -> Thing:
    """A cooker that stands free: hob with four plates or gas burners, knobs, oven door below, perhaps a back panel."""
    look, w, d, h = _goods(rng), rng.uniform(0.5, 0.76), rng.uniform(0.58, 0.65), rng.uniform(0.85, 0.92)
    x, dark, bar = d / 2 - 0.04, p.flat("1f2022", rng, 0.3), p.metal(rng, 0.3)
    parts = [p.box((-d / 2, -w / 2, 0.06), (x, w / 2, h - 0.02), look, front=dark),
             p.box((-d / 2 + 0.04, -w / 2 + 0.03, 0), (x - 0.05, w / 2 - 0.03, 0.06), dark)]
    gas = p.chance(rng, 0.45)
    kind = "gas" if gas else p.pick(rng, ("plates", "glass", "picture"))
    hob = {"gas": look, "plates": look, "glass": _glass(rng), "picture": p.fitted("stove", rng, 0.3)}[kind]
    parts.append(p.box((-d / 2, -w / 2 - 0.002, h - 0.02), (d / 2 - 0.01, w / 2 + 0.002, h), look, top=hob))
    for sx in (-1, 1):
        for sy in (-1, 1):
            c, r = (sx * d * 0.22 - 0.01, sy * w * 0.24), rng.uniform(0.07, 0.105)
            if kind == "gas":
                parts.append(p.upright(*c, (h, h + 0.018), 0.6 * r, dark, taper=0.8))
            elif kind == "plates":
                parts.append(p.upright(*c, (h, h + 0.012), r, dark))
            elif kind == "glass":
                parts.append(p.upright(*c, (h - 0.01, h + 0.0022), r, p.flat("4a3a38", rng, 0.4, "blank")))
    if gas:
        for sy in (-1, 1):
            y, z = sy * w * 0.24, h + 0.03
            parts += [p.box((-d * 0.36, y + t - 0.005, z - 0.006), (d * 0.32, y + t + 0.005, z + 0.006), dark)
                      for t in (-0.05, 0.05)]
            parts += [p.box((t - 0.005, y - 0.1, z - 0.004), (t + 0.005, y + 0.1, z + 0.004), dark)
                      for t in (-d * 0.22, d * 0.21)]
            parts += [p.box((t - 0.006, y + u - 0.005, h), (t + 0.006, y + u + 0.005, z - 0.006), dark)
                      for t in (-d * 0.35, d * 0.31) for u in (-0.05, 0.05)]
    split = h - rng.uniform(0.1, 0.13)
    parts.append(p.box((x - 0.01, -w / 2 + 0.002, split), (x + 0.02, w / 2 - 0.002, h - 0.022), look))
    parts += _knobs(rng, x + 0.02, (-w / 2 + 0.08, w / 2 - 0.08), (split + h) / 2 - 0.012, int(rng.integers(4, 7)), bar)
    parts += _oven_front(rng, x, w - 0.004, (0.2, split), look, panel=False)
    parts.append(p.box((x - 0.01, -w / 2 + 0.002, 0.065), (x + 0.018, w / 2 - 0.002, 0.195), look))
    if p.chance(rng, 0.35):
        parts.append(p.box((-d / 2, -w / 2 + 0.001, h), (-d / 2 + 0.05, w / 2 - 0.001, h + rng.uniform(0.1, 0.2)), look))
    return Thing("stove", tuple(parts), against_wall=True, front_room=0.8)


def microwave(rng: np.random.Generator) -> Thing:
    """A microwave oven, which stands on something: door with a window, a panel with knobs or keys."""
    w, d, h, look = rng.uniform(0.44, 0.54), rng.uniform(0.33, 0.42), rng.uniform(0.25, 0.31), _goods(rng)
    x, dark, side = d / 2 - 0.03, p.flat("26272a", rng, 0.2), p.pick(rng, (1, 1, -1))
    front = p.fitted("microwave", rng, 0.3) if p.chance(rng, 0.25) else None
    parts = [p.box((-d / 2, -w / 2, 0.012), (x, w / 2, h), look, front=dark)]
    parts += [p.upright(t, s * (w / 2 - 0.05), (0, 0.012), 0.016, dark) for t in (-d / 2 + 0.05, x - 0.05) for s in (-1, 1)]
    if front is not None:
        parts.append(p.box((x, -w / 2 + 0.002, 0.014), (x + 0.028, w / 2 - 0.002, h - 0.002), look, front=front))
    else:
        cut = w / 2 - rng.uniform(0.10, 0.14)
        parts.append(p.box((x, -cut, 0.014), (x + 0.026, w / 2 - 0.001, h - 0.002), look))
        parts.append(p.box((x + 0.02, -cut + 0.05, 0.055), (x + 0.029, w / 2 - 0.045, h - 0.045), _glass(rng)))
        parts.append(p.box((x, -w / 2 + 0.001, 0.014), (x + 0.022, -cut - 0.003, h - 0.002), look))
        y = (-w / 2 - cut) / 2
        parts.append(p.box((x + 0.02, y - 0.035, h - 0.065), (x + 0.0245, y + 0.035, h - 0.035),
                           p.flat("2c5a48", rng, 0.3, "blank", glow=0.15)))
        if p.chance(rng, 0.5):
            parts += [p.cylinder((x + 0.03, y, z), 0.022, 0.022, dark, axis="x") for z in (h * 0.25, h * 0.52)]
        else:
            parts += [p.box((x + 0.02, y + t - 0.009, z - 0.007), (x + 0.025, y + t + 0.009, z + 0.007), dark)
                      for t in (-0.025, 0, 0.025) for z in np.linspace(0.05, h - 0.1, 4)]
        parts.append(p.box((x + 0.024, -cut + 0.012, 0.05), (x + 0.05, -cut + 0.03, h - 0.04), p.metal(rng, 0.3)))
        if side < 0:
            parts = p.mirrored(parts)
    return Thing("microwave", tuple(parts), place="top", against_wall=True,
                 supports=(on_top((-d / 2, x), (-w / 2, w / 2), h, 0.3),))


def dishwasher(rng: np.random.Generator) -> Thing:
    """A dishwasher: door, panel with keys, handle, plinth; under its own top or a worktop."""
    d, h, plinth = base_size(rng)
    w, look = p.pick(rng, (0.60, 0.60, 0.45)) + rng.uniform(-0.005, 0.005), _goods(rng)
    x, t, dark = d / 2 - 0.03, rng.uniform(0.02, 0.04), p.flat("303134", rng)
    top = look if p.chance(rng, 0.4) else p.worktop(rng)
    parts = [p.box((-d / 2 + 0.005, -w / 2 + 0.002, plinth), (x, w / 2 - 0.002, h - t), look, front=dark),
             p.box((-d / 2 + 0.03, -w / 2 + 0.01, 0), (x - 0.05, w / 2 - 0.01, plinth), dark),
             p.box((-d / 2, -w / 2, h - t), (d / 2, w / 2, h), top)]
    split = h - t - rng.uniform(0.1, 0.13)
    panel = look if p.chance(rng, 0.5) else p.flat("3a3b3e", rng, 0.2)
    parts.append(p.box((x - 0.01, -w / 2 + 0.004, plinth + 0.01), (x + 0.02, w / 2 - 0.004, split), look))
    parts.append(p.box((x - 0.01, -w / 2 + 0.004, split + 0.003), (x + 0.022, w / 2 - 0.004, h - t - 0.005), panel))
    z = (split + h - t) / 2
    parts += [p.box((x + 0.02, y - 0.008, z - 0.006), (x + 0.026, y + 0.008, z + 0.006), p.metal(rng, 0.1))
              for y in np.linspace(0.06, w / 2 - 0.05, 4)]
    parts.append(p.box((x + 0.02, -w / 2 + 0.05, z - 0.015), (x + 0.0245, -0.02, z + 0.015),
                       p.flat("111315", rng, 0.5, "blank")))
    if p.chance(rng, 0.6):
        parts += _bar(rng, x + 0.02, (-w / 2, w / 2), split - 0.05, p.metal(rng, 0.1))
    else:
        parts.append(p.box((x + 0.018, -0.09, split - 0.045), (x + 0.0225, 0.09, split - 0.015), p.flat("19191b", rng)))
    return Thing("dishwasher", tuple(parts), against_wall=True, front_room=0.8,
                 supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h, 0.45),))


def washing_machine(rng: np.random.Generator) -> Thing:
    """A washing machine or dryer with a round door, a drawer, a knob and keys."""
    w, d, h, look = 0.6 + rng.uniform(-0.01, 0.01), rng.uniform(0.45, 0.64), rng.uniform(0.83, 0.88), p.enamel(rng)
    if p.chance(rng, 0.15):
        look = p.flat(p.pick(rng, ("8e9194", "3a3c40")), rng, 0.3)
    x, dark = d / 2 - 0.035, p.flat("3b3d40", rng, 0.3)
    parts = [p.box((-d / 2, -w / 2, 0.02), (x, w / 2, h - 0.025), look),
             p.box((-d / 2, -w / 2 - 0.003, h - 0.025), (x + 0.01, w / 2 + 0.003, h), look)]
    parts += [p.upright(t, s * (w / 2 - 0.06), (0, 0.02), 0.025, dark) for t in (-d / 2 + 0.06, x - 0.06) for s in (-1, 1)]
    split, z, r = h - rng.uniform(0.13, 0.16), h * rng.uniform(0.43, 0.48), rng.uniform(0.155, 0.19)
    ring = p.steel(rng) if p.chance(rng, 0.4) else (look if p.chance(rng, 0.5) else dark)
    parts.append(p.box((x, -w / 2 + 0.002, split), (x + 0.008, w / 2 - 0.002, h - 0.027), look))
    parts.append(p.cylinder((x + 0.014, 0, z), r + 0.045, 0.028, ring, axis="x", taper=0.92))
    parts.append(p.ball((x + 0.012, 0, z), (0.035, r, r), p.flat("20262a", rng, 0.8, "blank")))
    parts.append(p.box((x + 0.02, r + 0.002, z - 0.03), (x + 0.04, r + 0.03, z + 0.03), dark))
    zz = (split + h) / 2 - 0.012
    parts.append(p.box((x + 0.004, -w / 2 + 0.02, split + 0.02), (x + 0.014, -w / 2 + 0.19, h - 0.045), look))
    parts.append(p.box((x + 0.012, -w / 2 + 0.07, zz - 0.02), (x + 0.0165, -w / 2 + 0.14, zz + 0.004), dark))
    parts.append(p.cylinder((x + 0.02, rng.uniform(-0.04, 0.04), zz), 0.03, 0.026, p.metal(rng, 0.2), axis="x", taper=0.9))
    parts.append(p.box((x + 0.004, 0.09, zz - 0.022), (x + 0.011, 0.17, zz + 0.022), p.flat("101416", rng, 0.5, "blank")))
    parts += [p.box((x + 0.004, y - 0.008, zz - 0.006), (x + 0.012, y + 0.008, zz + 0.006), dark) for y in (0.2, 0.23, 0.26)]
    parts.append(p.box((x - 0.002, w / 2 - 0.15, 0.04), (x + 0.003, w / 2 - 0.04, 0.11), look))
    return Thing("washing machine", tuple(parts), against_wall=True, front_room=0.7,
                 supports=(on_top((-d / 2, x), (-w / 2, w / 2), h),))


BUILDERS = {"refrigerator": refrigerator, "oven": oven, "stove": stove, "microwave": microwave, "dishwasher": dishwasher,
            "washing machine": washing_machine}
