# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Beds: on a frame, box spring, bunk; with pillows and blankets, which are classes of their own."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.furniture.tables import on_top
from lsm_sim.world import Material, Part, Thing

LINEN = ("f4f2ee", "e9e4da", "cfd8de", "dcd2c4", "b9c4cc", "e6dfe4")


def bed(rng: np.random.Generator) -> Thing:
    """A bed for one or two; its head is at the wall (-x)."""
    return p.pick(rng, list(KINDS["bed"].values()), (6, 3, 1))(rng)


def _size(rng: np.random.Generator) -> tuple[float, float]:
    """Length and width of a mattress."""
    wide = p.pick(rng, (0.9, 1.0, 1.2, 1.4, 1.6, 1.8), (4, 2, 1, 3, 3, 2))
    return rng.uniform(1.92, 2.08), wide + rng.uniform(-0.03, 0.03)


def _linen(rng: np.random.Generator) -> Material:
    return p.fabric(rng, p.pick(rng, LINEN), 0.1)


def _bedding(rng: np.random.Generator, x: tuple[float, float], w: float, z: float, drop: float, made: float = 0.85
             ) -> tuple[list[Part], tuple[float, float], float]:
    """Pillows and blanket on a mattress from x[0] (head) to x[1], of width w, its top at z; the blanket hangs by `drop`.

    Returns parts, between which two x the top is even and free, and its height.
    """
    parts, linen = [], _linen(rng)
    n = 1 if w < 1.15 else 2
    pw, pd, flat = min(rng.uniform(0.5, 0.78), (w - 0.04) / n), rng.uniform(0.38, 0.48), rng.uniform(0.13, 0.18)
    for k in range(n):
        y = (k - (n - 1) / 2) * w / n + rng.normal(0, 0.01)
        if p.chance(rng, 0.65):
            R, middle = p.rot_z(rng.normal(0, 4)) @ p.rot_y(4), (x[0] + pd / 2 + 0.05, y, z + flat * 0.36)
        else:
            R, middle = p.rot_y(55), (x[0] + 0.19, y, z + pd * 0.44)
        parts += p.pillow(middle, (pd, pw, flat), linen, R=R)
        if p.chance(rng, 0.25):
            size = rng.uniform(0.32, 0.42)
            parts += p.pillow((x[0] + pd + 0.08, y, z + size * 0.42), (size, size, 0.13), p.fabric(rng, pattern=0.5),
                              R=p.rot_y(58))
    if not p.chance(rng, made):
        return parts, (x[1] - 1.2, x[1] - 0.12), z
    look = p.fabric(rng, pattern=0.35) if p.chance(rng, 0.65) else _linen(rng)
    start, thick = x[0] + rng.uniform(0.5, 0.8) * 0.9 + 0.12, rng.uniform(0.025, 0.06)
    end, half = x[1] + 0.012, w / 2 + 0.014
    parts += p.cushion((start, -half, z - 0.004), (end, half, z + thick), look, label="blanket")
    if p.chance(rng, 0.5):
        fold = z + thick
        parts += p.cushion((start - 0.01, -half - 0.004, fold - 0.02), (start + 0.28, half + 0.004, fold + 0.014), linen,
                           label="blanket")
    hang = drop * rng.uniform(0.6, 1.0)
    for s in (-1, 1):
        lo, hi = sorted((s * (half - 0.012), s * half))
        parts.append(p.box((start + 0.03, lo, z - hang), (end - 0.006, hi, z), look, label="blanket"))
    parts.append(p.box((end - 0.012, -half + 0.013, z - hang), (end - 0.001, half - 0.013, z), look, label="blanket"))
    if p.chance(rng, 0.25):
        throw = p.fabric(rng, pattern=0.5)
        a = x[1] - rng.uniform(0.55, 0.75)
        parts.append(p.box((a, -half - 0.008, z - 0.2), (a + 0.45, half + 0.008, z + thick + 0.01), throw, label="blanket"))
        end = a
    return parts, (start + 0.3, end - 0.06), z + thick


def _headboard(rng: np.random.Generator, x: float, w: float, top: float, look: Material) -> list[Part]:
    """Headboard: a board, slats between posts, a padded panel, or bars of metal."""
    kind = p.pick(rng, ("board", "slats", "padded", "bars", "rounded"))
    half = w / 2
    if kind == "board":
        return [p.box((x - 0.04, -half, 0.06), (x, half, top), look)]
    if kind == "padded":
        stuff = p.cover(rng)
        fields = p.spans(-half, half, int(rng.integers(1, 5)), 0.012)
        return [p.box((x - 0.08, -half, 0.05), (x - 0.03, half, top), stuff),
                *[p.box((x - 0.035, a, 0.25), (x, b, top - 0.02), stuff) for a, b in fields]]
    if kind == "rounded":
        return [p.box((x - 0.04, -half, 0.06), (x, half, top - 0.2), look),
                p.cylinder((x - 0.02, 0, top - 0.2), (0.2, half), 0.0396, look, axis="x")]
    if kind == "bars":
        look = p.metal(rng)
        parts = [p.rod((x - 0.02, s * (half - 0.02), 0), (x - 0.02, s * (half - 0.02), top), 0.018, look) for s in (-1, 1)]
        parts += [p.rod((x - 0.02, -half + 0.03, z), (x - 0.02, half - 0.03, z), 0.012, look) for z in (top - 0.02, top - 0.42)]
        return parts + [p.rod((x - 0.02, y, top - 0.42), (x - 0.02, y, top - 0.02), 0.007, look)
                        for y in np.linspace(-half, half, int(4 + w * 4))[1:-1]]
    parts = [p.box((x - 0.05, s * (half - 0.025) - 0.025, 0), (x, s * (half - 0.025) + 0.025, top), look) for s in (-1, 1)]
    n = int(rng.integers(2, 5))
    return parts + [p.box((x - 0.035, -half + 0.05, a), (x - 0.015, half - 0.05, b), look)
                    for a, b in p.spans(top - 0.14 * n - 0.03, top - 0.03, n, 0.03)]


def frame_bed(rng: np.random.Generator) -> Thing:
    """A bed frame of wood or metal with a mattress."""
    length, w = _size(rng)
    look, rail = p.finish(rng), rng.uniform(0.28, 0.38)
    thick, x0 = rng.uniform(0.16, 0.24), -length / 2
    z = rail - 0.06 + thick
    parts = _headboard(rng, x0 - 0.005, w + 0.08, rng.uniform(0.8, 1.2), look)
    for s in (-1, 1):
        lo, hi = sorted((s * (w / 2 + 0.005), s * (w / 2 + 0.03)))
        parts.append(p.box((x0, lo, rail - 0.2), (length / 2 + 0.005, hi, rail), look))
    high = rail + (rng.uniform(0.05, 0.35) if p.chance(rng, 0.3) else 0.002)
    parts.append(p.box((length / 2 + 0.02, -w / 2 - 0.035, rail - 0.2), (length / 2 + 0.05, w / 2 + 0.035, high), look))
    parts += [p.box((x - 0.03, s * (w / 2 - 0.03) - 0.03, 0), (x + 0.03, s * (w / 2 - 0.03) + 0.03, rail - 0.07), look)
              for x in (x0 + 0.05, length / 2 - 0.03) for s in (-1, 1)]
    parts += p.cushion((x0, -w / 2, rail - 0.06), (length / 2, w / 2, z), _linen(rng))
    bedding, free, top = _bedding(rng, (x0, length / 2), w, z, min(z - rail, 0.2))
    return _finished(parts + bedding, free, w, top)


def box_spring(rng: np.random.Generator) -> Thing:
    """An upholstered base with a thick mattress and a padded headboard."""
    length, w = _size(rng)
    look, base, x0 = p.cover(rng), rng.uniform(0.28, 0.38), -length / 2
    z, top = base + rng.uniform(0.2, 0.3), rng.uniform(0.95, 1.25)
    parts = [p.box((x0 - 0.1, -w / 2 - 0.04, 0.03), (x0 - 0.04, w / 2 + 0.04, top), look)]
    parts += [p.box((x0 - 0.05, a, 0.3), (x0 - 0.004, b, top - 0.03), look)
              for a, b in p.spans(-w / 2 - 0.03, w / 2 + 0.03, int(rng.integers(1, 7)), 0.01)]
    parts.append(p.box((x0, -w / 2, 0.07), (length / 2, w / 2, base), look))
    parts += [p.upright(x, s * (w / 2 - 0.07), (0, 0.07), 0.025, p.flat("2c2a28")) for x in (x0 + 0.1, length / 2 - 0.08)
              for s in (-1, 1)]
    parts += p.cushion((x0, -w / 2 + 0.003, base), (length / 2 - 0.003, w / 2 - 0.003, z), _linen(rng))
    bedding, free, blanket = _bedding(rng, (x0, length / 2), w, z, rng.uniform(0.15, 0.5))
    return _finished(parts + bedding, free, w, blanket)


def bunk(rng: np.random.Generator) -> Thing:
    """Two narrow beds above each other with a ladder."""
    length, w, look = rng.uniform(1.94, 2.02), rng.uniform(0.88, 0.96), p.finish(rng)
    high, x0 = rng.uniform(1.55, 1.75), -length / 2
    parts = [p.box((x - 0.03, s * (w / 2 + 0.035) - 0.03, 0), (x + 0.03, s * (w / 2 + 0.035) + 0.03, high), look)
             for x in (x0 - 0.035, length / 2 + 0.035) for s in (-1, 1)]
    lowest = None
    for level in (0.3, high - 0.5):
        for s in (-1, 1):
            y = s * (w / 2 + 0.02)
            parts.append(p.box((x0 - 0.005, y - 0.012, level - 0.08), (length / 2 + 0.005, y + 0.012, level + 0.08), look))
            x = s * (length / 2 + 0.03)
            parts.append(p.box((x - 0.012, -w / 2 - 0.005, level - 0.08), (x + 0.012, w / 2 + 0.005, level + 0.28), look))
        parts.append(p.box((x0 + 0.002, -w / 2 + 0.002, level - 0.04), (length / 2 - 0.002, w / 2 - 0.002, level), look))
        z = level + 0.14
        parts += p.cushion((x0 + 0.01, -w / 2 + 0.01, level), (length / 2 - 0.01, w / 2 - 0.01, z), _linen(rng))
        bedding, free, top = _bedding(rng, (x0 + 0.01, length / 2 - 0.02), w - 0.06, z, 0.004)
        parts += bedding
        lowest = lowest or (free, top)
    for s in (-1, 1):
        y = s * (w / 2 + 0.02)
        end = length / 2 - (0.45 if s > 0 else 0.0)
        parts.append(p.box((x0 - 0.005, y - 0.012, high - 0.12), (end, y + 0.012, high - 0.04), look))
    y, x = w / 2 + 0.08, length / 2 - 0.05
    parts += [p.rod((a, y, 0), (a, y, high - 0.03), 0.018, look) for a in (x, x - 0.36)]
    parts += [p.rod((x - 0.36, y, z), (x, y, z), 0.014, look) for z in np.arange(0.28, high - 0.2, 0.27)]
    return _finished(parts, lowest[0], w - 0.1, lowest[1], clear=high - 0.5 - 0.1 - lowest[1])


def _finished(parts: list[Part], free: tuple[float, float], w: float, top: float, clear: float = 1.0) -> Thing:
    """A bed of parts, moved over the middle of its floor; its top, at a height, is free between two x."""
    solid = [q for q in parts if q.label is None]
    low, high = Thing("bed", tuple(solid)).bounds()
    shift = -(low[0] + high[0]) / 2
    x = (free[0] + shift, free[1] + shift)
    supports = (on_top(x, (-w / 2, w / 2), top, clear, 0.08),) if x[1] - x[0] > 0.3 else ()
    return Thing("bed", tuple(p.moved(q, (shift, 0, 0)) for q in parts), against_wall=True, front_room=0.6, supports=supports)


KINDS = {"bed": {"frame": frame_bed, "box spring": box_spring, "bunk": bunk}}
BUILDERS = {"bed": bed}
