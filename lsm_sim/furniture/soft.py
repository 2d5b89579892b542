# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pillows and blankets."""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as kit
from lsm_sim.furniture.parts import (
    BRIGHTS,
    FABRICS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    fabric,
    flat,
    leather,
    pick,
    rot_z,
    turned,
    upright,
)
from lsm_sim.world import Thing


def pillow(rng: np.random.Generator) -> Thing:
    """A pillow or cushion, lying flat or on its edge (place 'top'); or a big one for the floor."""
    w, d, t = rng.uniform(0.36, 0.7), rng.uniform(0.34, 0.48), rng.uniform(0.1, 0.17)
    stuff = fabric(rng, pick(rng, (*FABRICS, "f4f2ee", "f4f2ee", *BRIGHTS)), 0.4)
    if chance(rng, 0.15):
        r, h = rng.uniform(0.25, 0.35), rng.uniform(0.14, 0.3)
        return Thing(
            "pillow", (upright(0, 0, (0, h - 0.03), r, stuff), ball((0, 0, h - 0.03), (r, r, 0.05), stuff)), "floor"
        )
    if chance(rng, 0.6):
        return Thing("pillow", tuple(kit.pillow((0, 0, t / 2), (d, w, t), stuff, label=None)), "top")
    w, x = min(w, d), t / 2
    k = 0.95 * w / 2
    edge = box((-0.3 * x, -k, w / 2 - k), (0.3 * x, k, w / 2 + k), stuff)
    return Thing("pillow", (ball((0, 0, w / 2), (x, w / 2, w / 2), stuff), edge), "top")


def blanket(rng: np.random.Generator) -> Thing:
    """A folded blanket or pile of towels, a roll, or a throw spread with creases (place 'top')."""
    stuff = fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.5)
    kind = pick(rng, ("folded", "pile", "roll", "spread"), (4, 2, 1, 3))
    w, d = rng.uniform(0.3, 0.55), rng.uniform(0.25, 0.42)
    if kind == "roll":
        r = rng.uniform(0.06, 0.11)
        out = [
            cylinder((0, 0, r), r, w, stuff, axis="y"),
            *(cylinder((0, s * 0.3 * w, r), r + 0.003, 0.02, leather(rng), axis="y") for s in (-1, 1)),
        ]
    elif kind == "spread":
        w, d = rng.uniform(0.5, 1.2), rng.uniform(0.4, 0.8)
        out = [box((-d / 2, -w / 2, 0), (d / 2, w / 2, 0.015), stuff)]
        for _ in range(int(rng.integers(4, 8))):
            x, y, long = rng.uniform(-0.3, 0.3) * d, rng.uniform(-0.3, 0.3) * w, rng.uniform(0.15, 0.3) * min(w, d)
            rise = rng.uniform(0.01, 0.02)
            crease = ball((x, y, rise + 0.002), (long, rng.uniform(0.03, 0.06), rise), stuff)
            out.append(turned(crease, rot_z(float(rng.uniform(0, 180)))))
        out += [
            box((-d / 2, y, 0.015), (d / 2, y + 0.04, 0.017), flat(pick(rng, FABRICS)))
            for y in (-w / 2 + 0.02, w / 2 - 0.06)
            if chance(rng, 0.6)
        ]
    else:
        n, z, out = int(rng.integers(2, 4) if kind == "folded" else rng.integers(3, 6)), 0.0, []
        for i in range(n):
            t = rng.uniform(0.025, 0.045)
            if kind == "pile" and i:
                stuff = fabric(rng, pick(rng, FABRICS), 0.3)
            a, b = d / 2 - rng.uniform(0, 0.015), w / 2 - rng.uniform(0, 0.02)
            out += [
                box((-a, -b, z), (a - t / 2, b, z + t - 0.002), stuff),
                cylinder((a - t / 2, 0, z + t / 2 - 0.001), t / 2 - 0.001, 2 * b, stuff, axis="y"),
            ]
            z += t
    return Thing("blanket", tuple(out), "top")


BUILDERS: dict[str, Builder] = {"pillow": pillow, "blanket": blanket}
