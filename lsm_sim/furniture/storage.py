# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Storage: cabinets (sideboard, chest of drawers, wardrobe, night table, wall unit), shelves and bookcases with books."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.furniture.tables import on_top
from lsm_sim.world import Material, Part, Thing

T = 0.018
"""Metres that boards are thick."""


def cabinet(rng: np.random.Generator) -> Thing:
    """A closed piece of furniture with doors or drawers that stands on the floor."""
    return p.pick(rng, [KINDS["cabinet"][k] for k in ("sideboard", "drawers", "wardrobe", "night", "cupboard", "file")],
                  (4, 4, 4, 3, 3, 1))(rng)


def _case(rng: np.random.Generator, d: float, w: float, z: tuple[float, float], look: Material, feet: str) -> list[Part]:
    """Body between two heights on a plinth ('plinth'), feet ('feet') or the floor ('none'); its front at d / 2 - 0.02."""
    x = (-d / 2, d / 2 - 0.02)
    parts = [p.box((x[0], -w / 2, z[0]), (x[1], w / 2, z[1]), look, front=p.shadow(look))]
    if feet == "plinth":
        parts.append(p.box((x[0] + 0.01, -w / 2 + 0.01, 0), (x[1] - 0.03, w / 2 - 0.01, z[0]), look))
    elif feet == "feet":
        stuff = p.metal(rng) if p.chance(rng, 0.4) else look
        four = p.legs((d / 2 - 0.02, w / 2 - 0.01), z[0], rng.uniform(0.025, 0.045), stuff,
                      p.pick(rng, ("square", "round", "tapered")))
        parts += [p.moved(q, (-0.01, 0, 0)) for q in four]
    return parts


def _top(d: float, w: float, z: float, look: Material, out: float) -> Part:
    """Plate that closes a body at height z and stands out at the sides and the front."""
    return p.box((-d / 2, -w / 2 - out, z), (d / 2 + out, w / 2 + out, z + 0.022), look)


def _fronts(rng: np.random.Generator, d: float, y: tuple[float, float], z: tuple[float, float], look: Material, style: str,
            grip, n: int) -> list[Part]:
    """Doors ('doors'), drawers ('drawers'), an open box ('open') or a fitted picture of fronts ('picture')."""
    x = d / 2 - 0.02
    if style == "doors":
        panel = look if p.chance(rng, 0.4) else (p.flat("aebfc4", rng, 0.8) if p.chance(rng, 0.12) else None)
        return p.door_fronts(x, y, z, n, look, grip, panel=panel)
    if style == "drawers":
        return p.drawer_fronts(x, y, z, n, look, grip)
    family = p.pick(rng, ("doors", "drawers"))
    return [p.box((x - 0.012, y[0], z[0]), (x + 0.018, y[1], z[1]), look, front=p.fitted(family, rng, look.gloss))]


def _closed(rng: np.random.Generator, d: float, w: float, h: float, columns: list[tuple[str, int]], *, top: bool = True,
            clear: float = 1.0) -> Thing:
    """A body with columns of fronts, (style, number) from right to left, with or without a top plate."""
    look = p.finish(rng)
    front = look if p.chance(rng, 0.65) else p.finish(rng)
    feet = p.pick(rng, ("plinth", "feet", "none"))
    z0 = {"plinth": rng.uniform(0.05, 0.09), "feet": rng.uniform(0.08, 0.18), "none": 0.0}[feet]
    z1 = h - (0.022 if top else 0.0)
    parts = _case(rng, d, w, (z0, z1), look, feet)
    out = rng.uniform(0.003, 0.02) if top else 0.0
    if top:
        parts.append(_top(d, w, z1, look if p.chance(rng, 0.6) else p.worktop(rng), out))
    pulls = {axis: p.grips(np.random.default_rng(int(rng.integers(1 << 30))), axis) for axis in "yz"}
    state = int(rng.integers(1 << 30))
    for (style, n), y in zip(columns, p.spans(-w / 2 + 0.004, w / 2 - 0.004, len(columns), 0.002), strict=True):
        grip = pulls["z" if style == "doors" else "y"]
        parts += _fronts(np.random.default_rng(state), d, y, (z0 + 0.004, z1 - 0.006), front, style, grip, n)
    return Thing("cabinet", tuple(parts), against_wall=True, front_room=0.6,
                 supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h, clear),))


def sideboard(rng: np.random.Generator) -> Thing:
    """A long low cabinet, also under a television."""
    w, n = rng.uniform(1.0, 1.9), int(rng.integers(2, 5))
    columns = [(p.pick(rng, ("doors", "drawers", "doors", "picture")), int(rng.integers(2, 4))) for _ in range(n)]
    columns = [(s, 1 if s == "doors" else k) for s, k in columns]
    return _closed(rng, rng.uniform(0.36, 0.50), w, rng.uniform(0.42, 0.85), columns)


def chest(rng: np.random.Generator) -> Thing:
    """A chest of drawers."""
    n, w = int(rng.integers(3, 6)), rng.uniform(0.6, 1.4)
    return _closed(rng, rng.uniform(0.38, 0.52), w, 0.12 + n * rng.uniform(0.16, 0.2), [("drawers", n)] * (1 if w < 0.9 else 2))


def wardrobe(rng: np.random.Generator) -> Thing:
    """A wardrobe with one to four doors."""
    n = int(rng.integers(1, 5))
    return _closed(rng, rng.uniform(0.52, 0.64), n * rng.uniform(0.45, 0.55), rng.uniform(1.85, 2.25), [("doors", n)],
                   top=p.chance(rng, 0.4), clear=0.3)


def cupboard(rng: np.random.Generator) -> Thing:
    """A cabinet of middle or full height with doors above drawers."""
    w, h, d = rng.uniform(0.5, 1.1), rng.uniform(1.1, 1.95), rng.uniform(0.35, 0.48)
    look, grip_seed = p.finish(rng), int(rng.integers(1 << 30))
    split, n = h * rng.uniform(0.3, 0.5), 1 if w < 0.62 else 2
    parts = _case(rng, d, w, (0.07, h - 0.022), look, "plinth") + [_top(d, w, h - 0.022, look, 0.01)]
    y = (-w / 2 + 0.004, w / 2 - 0.004)
    along, up = (p.grips(np.random.default_rng(grip_seed), axis) for axis in "yz")
    parts += _fronts(rng, d, y, (0.074, split), look, "drawers", along, int(rng.integers(1, 4)))
    parts += _fronts(rng, d, y, (split + 0.004, h - 0.028), look, "doors", up, n)
    return Thing("cabinet", tuple(parts), against_wall=True, front_room=0.6,
                 supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h, 0.4),))


def night_table(rng: np.random.Generator) -> Thing:
    """A small chest beside a bed, its lower part sometimes open."""
    w, d, h = rng.uniform(0.36, 0.55), rng.uniform(0.34, 0.45), rng.uniform(0.42, 0.62)
    if p.chance(rng, 0.5):
        return _closed(rng, d, w, h, [("drawers", int(rng.integers(1, 4)))])
    look = p.finish(rng)
    low, x = rng.uniform(0.06, 0.14), (-d / 2, d / 2 - 0.02)
    split = h - rng.uniform(0.16, 0.22)
    parts = [p.box((x[0], y - T / 2, 0), (x[1], y + T / 2, h - 0.022), look) for y in (T / 2 - w / 2, w / 2 - T / 2)]
    parts += [p.box((x[0], -w / 2 + T, z), (x[1] - 0.004, w / 2 - T, z + T), look) for z in (low, split)]
    parts.append(p.box((x[0], -w / 2 + T, low + T), (x[0] + 0.006, w / 2 - T, split), look))
    parts.append(p.box((x[0], -w / 2 + T, split + T), (x[1] - 0.005, w / 2 - T, h - 0.022), look))
    parts.append(_top(d, w, h - 0.022, look, 0.004))
    parts += p.drawer_fronts(x[1], (-w / 2 + T, w / 2 - T), (split + 0.002, h - 0.026), 1, look, p.grips(rng))
    supports = (on_top((-d / 2, d / 2), (-w / 2, w / 2), h),
                on_top((x[0], x[1]), (-w / 2 + T, w / 2 - T), low + T, split - low - T))
    return Thing("cabinet", tuple(parts), against_wall=True, front_room=0.4, supports=supports)


def file_cabinet(rng: np.random.Generator) -> Thing:
    """A filing cabinet of painted steel."""
    w, d, n = rng.uniform(0.38, 0.50), rng.uniform(0.5, 0.62), int(rng.integers(2, 5))
    h, look = 0.03 + 0.33 * n, p.paint(rng, p.pick(rng, ("b8bab8", "8d9194", "2e3033", "d8d6cc", "5d6b73")))
    parts = [p.box((-d / 2, -w / 2, 0), (d / 2 - 0.02, w / 2, h), look, front=p.shadow(look))]
    parts += p.drawer_fronts(d / 2 - 0.02, (-w / 2 + 0.006, w / 2 - 0.006), (0.03, h - 0.01), n, look,
                             lambda x, y, z: p.handle(x, y, z, p.metal(np.random.default_rng(3), 0.0), length=0.12))
    return Thing("cabinet", tuple(parts), against_wall=True, front_room=0.6,
                 supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h),))


def wall_cabinet(rng: np.random.Generator) -> Thing:
    """A kitchen's or bath's cabinet that hangs on the wall."""
    w, h, d, z0 = rng.uniform(0.4, 1.6), rng.uniform(0.55, 0.8), rng.uniform(0.28, 0.37), rng.uniform(1.38, 1.5)
    look = p.finish(rng)
    parts = [p.box((0.002, -w / 2, z0), (d - 0.02, w / 2, z0 + h), look, front=p.shadow(look))]
    n, grip = max(1, round(w / 0.45)), p.grips(rng, "z")
    panel = look if p.chance(rng, 0.3) else None
    parts += p.door_fronts(d - 0.02, (-w / 2, w / 2), (z0, z0 + h), n, look, grip, panel=panel, grip_z=z0 + 0.1)
    return Thing("cabinet", tuple(parts), place="wall", against_wall=True,
                 supports=(on_top((0.002, d), (-w / 2, w / 2), z0 + h, 0.25),))


def books(rng: np.random.Generator, x: tuple[float, float], y: tuple[float, float], z: float, clear: float, *,
          full: float = 0.8) -> list[Part]:
    """A row of books on a board at height z, spines at x[1]: blocks with pictures of spines, single books, a leaning one."""
    parts, at, end = [], y[0] + rng.uniform(0, 0.02), y[0] + (y[1] - y[0]) * min(1.0, full)
    while at < end - 0.03:
        long = min(float(rng.uniform(0.12, 0.45)), end - at)
        tall = min(rng.uniform(0.18, 0.3), clear - 0.02)
        deep = min(rng.uniform(0.13, 0.22), x[1] - x[0] - 0.012)
        front = x[1] - rng.uniform(0.01, max(0.012, x[1] - x[0] - deep - 0.01))
        if long > 0.1 and p.chance(rng, 0.75):
            paper = p.flat("e9e2d0", rng)
            cloth = p.plastic(rng)
            parts.append(p.box((front - deep, at, z), (front, at + long, z + tall), cloth, front=p.fitted("books", rng),
                               top=paper, label="book"))
            at += long + p.pick(rng, (0.001, 0.001, 0.03))
            continue
        for _ in range(int(rng.integers(1, 4))):
            thick = rng.uniform(0.015, 0.05)
            if at + thick > end:
                break
            high = min(rng.uniform(0.17, 0.31), clear - 0.015)
            look = p.plastic(rng)
            parts.append(p.box((front - deep, at, z), (front - rng.uniform(0, 0.01), at + thick, z + high), look,
                               top=p.flat("e9e2d0"), label="book"))
            at += thick + 0.001
        if p.chance(rng, 0.3) and at + 0.12 < end:
            at += 0.09
            lean, look = rng.uniform(10, 22), p.plastic(rng)
            high = min(0.24, clear - 0.03)
            q = p.box((front - deep, at, z + 0.012), (front, at + 0.025, z + high), look, label="book")
            parts.append(p.turned(q, p.rot_x(lean), (0, at + 0.025, z + 0.012)))
            at += 0.05
    return parts


def _rack(rng: np.random.Generator, d: float, w: float, levels: list[float], look: Material, style: str,
          h: float) -> list[Part]:
    """Boards at heights (their tops) held by two sides ('sides'), four posts ('posts') or side frames of metal ('metal')."""
    x = (-d / 2, d / 2)
    inner = w / 2 - (T if style == "sides" else 0.0)
    parts = []
    if style == "sides":
        parts += [p.box((x[0], y - T / 2, 0), (x[1], y + T / 2, h), look) for y in (T / 2 - w / 2, w / 2 - T / 2)]
    else:
        stuff = p.metal(rng) if style == "metal" else look
        r = 0.012 if style == "metal" else 0.02
        parts += [p.box((sx * (d / 2 - r) - r, sy * (w / 2 + r) - r, 0), (sx * (d / 2 - r) + r, sy * (w / 2 + r) + r, h), stuff)
                  for sx in (-1, 1) for sy in (-1, 1)]
    return parts + [p.box((x[0] + 0.003, -inner, z - T), (x[1] - 0.003, inner, z), look) for z in levels]


def bookcase(rng: np.random.Generator) -> Thing:
    """A bookcase of boards between sides, with rows of books."""
    w, d, h = rng.uniform(0.5, 1.1), rng.uniform(0.24, 0.34), rng.uniform(1.0, 2.15)
    n, look, low = max(3, round(h / rng.uniform(0.3, 0.38))), p.finish(rng), rng.uniform(0.05, 0.09)
    levels = [float(z) for z in np.linspace(low + T, h - 0.001, n + 1)]
    parts = _rack(rng, d, w, levels, look, "sides", h)
    back = look if p.chance(rng, 0.7) else p.paint(rng)
    parts.append(p.box((-d / 2, -w / 2 + T, low), (-d / 2 + 0.0028, w / 2 - T, h - 0.002), back))
    parts.append(p.box((-d / 2 + 0.02, -w / 2 + T, 0), (d / 2 - 0.02, w / 2 - T, low), look))
    supports, y = [on_top((-d / 2, d / 2), (-w / 2, w / 2), h - 0.001, 0.3)], (-w / 2 + T + 0.002, w / 2 - T - 0.002)
    for z, above in zip(levels[:-1], levels[1:], strict=True):
        clear = above - T - z
        if p.chance(rng, 0.08):
            supports.append(on_top((-d / 2 + 0.01, d / 2), y, z, clear))
            continue
        full = p.pick(rng, (1.0, 0.92, 0.75, 0.5), (5, 3, 2, 1))
        parts += books(rng, (-d / 2 + 0.004, d / 2 - 0.004), y, z, clear, full=full)
        if full <= 0.75 and (1 - full) * w > 0.16:
            supports.append(on_top((-d / 2 + 0.01, d / 2), (y[0] + (y[1] - y[0]) * full + 0.04, y[1]), z, clear, 0.02))
    return Thing("bookcase", tuple(parts), against_wall=True, front_room=0.5, supports=tuple(supports))


def shelf(rng: np.random.Generator) -> Thing:
    """A shelf on the wall, or an open rack on the floor."""
    return p.pick(rng, list(KINDS["shelf"].values()), (4, 4))(rng)


def wall_shelf(rng: np.random.Generator) -> Thing:
    """One to three boards on a wall, on brackets or without, some books on them."""
    w, d, n = rng.uniform(0.45, 1.3), rng.uniform(0.16, 0.28), int(rng.integers(1, 4))
    look, z0, step = p.finish(rng), rng.uniform(1.1, 1.5), rng.uniform(0.26, 0.36)
    stuff, brackets = p.metal(rng), p.chance(rng, 0.5)
    parts, supports = [], []
    thick = rng.uniform(0.018, 0.04)
    for k in range(n):
        z = z0 + k * step
        parts.append(p.box((0.002, -w / 2, z - thick), (d, w / 2, z), look))
        if brackets:
            for s in (-1, 1):
                y = s * (w / 2 - 0.1)
                parts.append(p.box((0.002, y - 0.01, z - thick - 0.1), (0.008, y + 0.01, z - thick), stuff))
                parts.append(p.rod((0.01, y, z - thick - 0.09), (d - 0.05, y, z - thick - 0.006), 0.005, stuff))
        clear = step - thick - (0.11 if brackets else 0.0)
        used = float(rng.uniform(0.25, 0.6)) if p.chance(rng, 0.5) else 0.0
        if used:
            parts += books(rng, (0.01, d - 0.01), (-w / 2 + 0.01, w / 2 - 0.01), z, clear if k < n - 1 else 0.3, full=used)
        supports.append(on_top((0.0, d), (-w / 2 + (used and used * w + 0.06), w / 2), z, clear if k < n - 1 else 0.35, 0.02))
    return Thing("shelf", tuple(parts), place="wall", against_wall=True, supports=tuple(supports))


def rack(rng: np.random.Generator) -> Thing:
    """An open rack of boards on posts, of wood or metal, with boxes and other goods on some boards."""
    w, d, h = rng.uniform(0.6, 1.3), rng.uniform(0.28, 0.48), rng.uniform(0.9, 2.0)
    n, style = int(rng.integers(3, 6)), p.pick(rng, ("posts", "metal", "sides"))
    look = p.metal(rng) if style == "metal" and p.chance(rng, 0.5) else p.finish(rng)
    levels = [float(z) for z in np.linspace(rng.uniform(0.08, 0.2), h - 0.03, n)]
    parts = _rack(rng, d, w, levels, look, style, h)
    supports = []
    for k, z in enumerate(levels):
        clear = levels[k + 1] - T - z if k + 1 < n else 0.4
        y = (-w / 2 + T + 0.01, w / 2 - T - 0.01)
        at, end = y[0], y[0] + (y[1] - y[0]) * p.pick(rng, (0.0, 0.4, 0.7))
        while at + 0.16 < end:
            wide, tall = rng.uniform(0.15, 0.35), min(clear - 0.03, rng.uniform(0.12, 0.3))
            wide = min(wide, end - at)
            parts += _goods(rng, (-d / 2 + 0.02, d / 2 - rng.uniform(0.015, 0.05)), (at, at + wide), (z, z + tall))
            at += wide + rng.uniform(0.01, 0.04)
        if y[1] - at > 0.2:
            supports.append(on_top((-d / 2, d / 2), (at, y[1]), z, clear))
    return Thing("shelf", tuple(parts), against_wall=True, front_room=0.5, supports=tuple(supports))


def _goods(rng: np.random.Generator, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> list[Part]:
    """Goods on a rack: a cardboard or plastic box, a basket; all of class box."""
    kind = p.pick(rng, ("cardboard", "bin", "basket"))
    if kind == "cardboard":
        look = p.flat("b98d5f", rng, texture="cardboard", scale=0.5)
        front = p.fitted("label", rng) if p.chance(rng, 0.4) else look
        return [p.box((x[0], y[0], z[0]), (x[1], y[1], z[1]), look, front=front, label="box")]
    look = p.plastic(rng) if kind == "bin" else p.flat("b08a55", rng, texture="wicker", scale=0.3)
    return [p.box((x[0], y[0] + 0.008, z[0]), (x[1] - 0.008, y[1] - 0.008, z[1] - 0.025), look, label="box"),
            p.box((x[0] - 0.004, y[0], z[1] - 0.025), (x[1], y[1], z[1]), look, label="box")]


KINDS = {
    "cabinet": {"sideboard": sideboard, "drawers": chest, "wardrobe": wardrobe, "night": night_table, "cupboard": cupboard,
                "file": file_cabinet, "wall": wall_cabinet},
    "shelf": {"wall": wall_shelf, "rack": rack},
    "bookcase": {"bookcase": bookcase},
}
BUILDERS = {"cabinet": cabinet, "shelf": shelf, "bookcase": bookcase}
