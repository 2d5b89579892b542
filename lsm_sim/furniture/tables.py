# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tables (dining, round, coffee, side, console), desks (plain, with drawers, around a corner) and counters."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.world import Material, Part, Support, Thing

EDGE = 0.03
"""Metres at the edge of a top where nothing stands."""


def on_top(x: tuple[float, float], y: tuple[float, float], z: float, clear: float = 1.0, edge: float = EDGE) -> Support:
    """Support on a rectangle at height z, its edge left free."""
    return Support(((x[0] + x[1]) / 2, (y[0] + y[1]) / 2), z, ((x[1] - x[0]) / 2 - edge, (y[1] - y[0]) / 2 - edge), clear)


def table(rng: np.random.Generator) -> Thing:
    """A table of any kind; its long side lies along y."""
    return p.pick(rng, list(KINDS["table"].values()), (4, 2, 4, 2, 1))(rng)


def _rectangle(rng: np.random.Generator, d: float, w: float, h: float, *, leg: float, low_shelf: bool) -> Thing:
    """A rectangular table of depth d, width w, height h: top, four legs or two frames, apron, perhaps a shelf below."""
    top, t = p.finish(rng), rng.uniform(0.018, 0.04)
    under = top if p.chance(rng, 0.6) else (p.metal(rng) if p.chance(rng, 0.6) else p.finish(rng))
    parts = [p.box((-d / 2, -w / 2, h - t), (d / 2, w / 2, h), top)]
    supports = [on_top((-d / 2, d / 2), (-w / 2, w / 2), h)]
    kind, inset = p.pick(rng, ("square", "round", "tapered", "frames")), rng.uniform(0.01, 0.06)
    hx, hy = d / 2 - inset, w / 2 - inset
    if kind == "frames":
        for s in (-1, 1):
            y = s * (hy - leg / 2)
            for a in (-1, 1):
                x = a * (hx - leg / 2)
                parts.append(p.box((x - leg / 2, y - leg / 2, 0), (x + leg / 2, y + leg / 2, h - t), under))
            for z in (0.0, h - t - leg):
                parts.append(p.box((-hx + leg, y - leg / 2, z), (hx - leg, y + leg / 2, z + leg), under))
    else:
        parts += p.legs((hx, hy), h - t, leg, under, kind)
        a = min(0.09, h * 0.14)
        for s in (-1, 1):
            x, y, z = s * (hx - leg / 2), s * (hy - leg / 2), (h - t - a, h - t)
            parts.append(p.box((x - 0.009, -hy + leg, z[0]), (x + 0.009, hy - leg, z[1]), under))
            parts.append(p.box((-hx + leg, y - 0.009, z[0]), (hx - leg, y + 0.009, z[1]), under))
    if low_shelf:
        z = h * rng.uniform(0.25, 0.4)
        parts.append(p.box((-hx + leg / 2, -hy + leg + 0.001, z), (hx - leg / 2, hy - leg - 0.001, z + 0.016), top))
        supports.append(on_top((-hx + leg / 2, hx - leg / 2), (-hy + leg, hy - leg), z + 0.016, h - t - z - 0.13, 0.05))
    return Thing("table", tuple(parts), supports=tuple(supports), front_room=0.5)


def dining_table(rng: np.random.Generator) -> Thing:
    """A table for two to eight to eat at."""
    return _rectangle(rng, rng.uniform(0.70, 1.0), rng.uniform(0.9, 2.0), rng.uniform(0.72, 0.78), leg=rng.uniform(0.05, 0.09),
                      low_shelf=False)


def coffee_table(rng: np.random.Generator) -> Thing:
    """A low table before a sofa, sometimes with a shelf, or a chest."""
    d, w, h = rng.uniform(0.48, 0.75), rng.uniform(0.8, 1.3), rng.uniform(0.32, 0.48)
    if p.chance(rng, 0.2):
        look, side = p.finish(rng), p.finish(rng)
        parts = [p.box((-d / 2 + 0.02, -w / 2 + 0.02, 0), (d / 2 - 0.02, w / 2 - 0.02, h - 0.04), side),
                 p.box((-d / 2, -w / 2, h - 0.04), (d / 2, w / 2, h), look)]
        return Thing("table", tuple(parts), supports=(on_top((-d / 2, d / 2), (-w / 2, w / 2), h),), front_room=0.4)
    return _rectangle(rng, d, w, h, leg=rng.uniform(0.03, 0.06), low_shelf=p.chance(rng, 0.55))


def round_table(rng: np.random.Generator) -> Thing:
    """A round or oval dining table on a column or four legs."""
    r, h = rng.uniform(0.40, 0.65), rng.uniform(0.72, 0.77)
    return _round(rng, r, r * (rng.uniform(1.2, 1.6) if p.chance(rng, 0.25) else 1.0), h)


def _round(rng: np.random.Generator, r: float, ry: float, h: float) -> Thing:
    """A table with a round (elliptic) top of radii r, ry and height h."""
    top, t = (p.stone(rng) if p.chance(rng, 0.25) else p.finish(rng)), rng.uniform(0.018, 0.035)
    under = top if top.texture == "wood" and p.chance(rng, 0.6) else (p.metal(rng) if p.chance(rng, 0.6) else p.wood(rng))
    parts = [p.upright(0, 0, (h - t, h), (r, ry), top)]
    if p.chance(rng, 0.5):
        foot = 0.55 * r
        parts.append(p.upright(0, 0, (0, 0.025), (foot, foot * ry / r), under))
        parts.append(p.upright(0, 0, (0.025, h - t), 0.035 + 0.03 * r, under, taper=rng.uniform(0.5, 1.0)))
    else:
        parts += p.legs((0.62 * r, 0.62 * ry), h - t, rng.uniform(0.025, 0.05), under, "tapered", rng.uniform(0.0, 0.12) * r)
    return Thing("table", tuple(parts), supports=(on_top((-0.7 * r, 0.7 * r), (-0.7 * ry, 0.7 * ry), h),), front_room=0.4)


def side_table(rng: np.random.Generator) -> Thing:
    """A small table beside a seat."""
    h = rng.uniform(0.42, 0.62)
    if p.chance(rng, 0.5):
        r = rng.uniform(0.18, 0.28)
        return _round(rng, r, r, h)
    return _rectangle(rng, rng.uniform(0.34, 0.5), rng.uniform(0.34, 0.55), h, leg=rng.uniform(0.02, 0.04),
                      low_shelf=p.chance(rng, 0.5))


def console(rng: np.random.Generator) -> Thing:
    """A narrow table along a wall."""
    thing = _rectangle(rng, rng.uniform(0.28, 0.40), rng.uniform(0.8, 1.3), rng.uniform(0.74, 0.86),
                       leg=rng.uniform(0.025, 0.05), low_shelf=p.chance(rng, 0.5))
    return Thing("table", thing.parts, against_wall=True, supports=thing.supports, front_room=0.4)


def desk(rng: np.random.Generator) -> Thing:
    """A desk; one sits at its front (+x), its back is to the wall."""
    return p.pick(rng, list(KINDS["desk"].values()), (4, 4, 2))(rng)


def _frame_legs(rng: np.random.Generator, x: tuple[float, float], y: float, h: float, look: Material) -> list[Part]:
    """Support of one end of a desk at y: a board, two legs, or a T of metal."""
    kind = p.pick(rng, ("board", "legs", "T"))
    if kind == "board":
        return [p.box((x[0] + 0.02, y - 0.014, 0), (x[1] - 0.02, y + 0.014, h), look)]
    if kind == "legs":
        return [p.box((t - 0.022, y - 0.022, 0), (t + 0.022, y + 0.022, h), look) for t in (x[0] + 0.05, x[1] - 0.05)]
    m = (x[0] + x[1]) / 2
    return [p.box((x[0] + 0.06, y - 0.03, 0), (x[1] - 0.03, y + 0.03, 0.03), look),
            p.box((m - 0.04, y - 0.025, 0.03), (m + 0.04, y + 0.025, h - 0.03), look),
            p.box((x[0] + 0.1, y - 0.024, h - 0.03), (x[1] - 0.1, y + 0.024, h), look)]


def _pedestal(rng: np.random.Generator, x: tuple[float, float], y: tuple[float, float], h: float, look: Material) -> list[Part]:
    """A chest of drawers under a desk."""
    front = look if p.chance(rng, 0.6) else p.finish(rng)
    body = p.box((x[0] + 0.03, y[0], 0.03), (x[1] - 0.04, y[1], h), look, front=p.shadow(look))
    plinth = p.box((x[0] + 0.05, y[0] + 0.02, 0), (x[1] - 0.08, y[1] - 0.02, 0.03), p.flat("2a2a2c"))
    return [plinth, body, *p.drawer_fronts(x[1] - 0.04, y, (0.035, h - 0.01), int(rng.integers(2, 5)), front, p.grips(rng))]


def _desk(rng: np.random.Generator, drawers: int, corner: bool) -> Thing:
    """A desk with 0 to 2 chests of drawers, perhaps with a wing that comes forwards at one end."""
    d, w, h = rng.uniform(0.58, 0.82), rng.uniform(1.0, 1.8), rng.uniform(0.71, 0.77)
    top, t = p.finish(rng), rng.uniform(0.018, 0.035)
    under = top if p.chance(rng, 0.5) else (p.metal(rng) if p.chance(rng, 0.6) else p.finish(rng))
    x, state = (-d / 2, d / 2), int(rng.integers(1 << 30))
    parts = [p.box((x[0], -w / 2, h - t), (x[1], w / 2, h), top)]
    supports = [on_top(x, (-w / 2, w / 2), h)]
    for k, s in enumerate((-1, 1)):
        if k < drawers:
            wide = min(0.42, w / 3)
            lo, hi = sorted((s * (w / 2 - 0.02), s * (w / 2 - 0.02 - wide)))
            parts += _pedestal(np.random.default_rng(state), x, (lo, hi), h - t, under if under.texture != "metal" else top)
        else:
            parts += _frame_legs(np.random.default_rng(state), x, s * (w / 2 - 0.05), h - t, under)
    if p.chance(rng, 0.5):
        parts.append(p.box((x[0] + 0.03, -w / 2 + (0.45 if drawers else 0.09), h - t - 0.32),
                           (x[0] + 0.045, w / 2 - (0.45 if drawers == 2 else 0.09), h - t), under))
    if corner:
        long, deep = rng.uniform(0.45, 0.8), rng.uniform(0.45, 0.6)
        y = (w / 2 - deep, w / 2)
        parts.append(p.box((x[1], y[0], h - t), (x[1] + long, y[1], h), top))
        parts.append(p.box((x[1] + long - 0.05, y[0] + 0.03, 0), (x[1] + long - 0.02, y[1] - 0.03, h - t), under))
        supports.append(on_top((x[1], x[1] + long), y, h))
        if p.chance(rng, 0.5):
            parts, supports = p.mirrored(parts), [Support((q.center[0], -q.center[1]), q.z, q.half, q.clear) for q in supports]
        parts = [p.moved(q, (-long / 2, 0, 0)) for q in parts]
        supports = [Support((q.center[0] - long / 2, q.center[1]), q.z, q.half, q.clear) for q in supports]
    return Thing("desk", tuple(parts), against_wall=True, supports=tuple(supports), front_room=0.8)


def plain_desk(rng: np.random.Generator) -> Thing:
    """A top on legs."""
    return _desk(rng, 0, False)


def drawer_desk(rng: np.random.Generator) -> Thing:
    """A desk with one or two chests of drawers under its top."""
    return _desk(rng, 1 + p.chance(rng, 0.35), False)


def corner_desk(rng: np.random.Generator) -> Thing:
    """A desk with a wing."""
    return _desk(rng, 1 if p.chance(rng, 0.4) else 0, True)


def counter(rng: np.random.Generator) -> Thing:
    """A counter: a kitchen's base cabinets with a worktop, an island, or a bar."""
    return p.pick(rng, list(KINDS["counter"].values()), (5, 2, 2))(rng)


def base_size(rng: np.random.Generator) -> tuple[float, float, float]:
    """Depth of the top, height with the top, and height of the plinth of a kitchen: mostly the usual ones."""
    if p.chance(rng, 0.7):
        return 0.60, 0.90, 0.10
    return rng.uniform(0.58, 0.65), rng.uniform(0.86, 0.93), rng.uniform(0.08, 0.13)


def base_cabinet(rng: np.random.Generator, d: float, w: float, z: tuple[float, float]) -> list[Part]:
    """Plinth, body and fronts (doors, drawers) of base cabinets of a width, from the floor to the underside of the top."""
    look, plinth = p.finish(rng), z[0]
    body = p.paint(rng, "e8e8e6") if p.chance(rng, 0.5) else look
    x = d / 2 - 0.03
    parts = [p.box((-d / 2 + 0.02, -w / 2 + 0.012, 0), (x - 0.05, w / 2 - 0.012, plinth), p.flat("3a3a3c", rng)),
             p.box((-d / 2 + 0.004, -w / 2 + 0.003, plinth), (x, w / 2 - 0.003, z[1]), body, front=p.shadow(body))]
    state, panel = int(rng.integers(1 << 30)), look if p.chance(rng, 0.3) else None
    grip, rise = (p.grips(np.random.default_rng(state), axis) for axis in "yz")
    for y in p.spans(-w / 2, w / 2, max(1, round(w / rng.uniform(0.45, 0.7)))):
        style = p.pick(rng, ("door", "drawers", "both"))
        split = z[1] - 0.17 if style == "both" else (plinth if style == "drawers" else z[1] - 0.006)
        if style != "door":
            n = 1 if style == "both" else int(rng.integers(2, 5))
            parts += p.drawer_fronts(x, y, (split, z[1] - 0.006), n, look, grip)
        if style != "drawers":
            n = 2 if y[1] - y[0] > 0.62 else 1
            parts += p.door_fronts(x, y, (plinth + 0.002, split), n, look, rise, panel=panel, grip_z=split - 0.12)
    return parts


def kitchen_counter(rng: np.random.Generator) -> Thing:
    """Base cabinets with a worktop along a wall."""
    (d, h, plinth), w, t = base_size(rng), rng.uniform(0.6, 2.4), rng.uniform(0.02, 0.04)
    top = p.worktop(rng)
    parts = base_cabinet(rng, d - 0.02, w, (plinth, h - t))
    parts.append(p.box((-d / 2, -w / 2, h - t), (d / 2, w / 2, h), top))
    if p.chance(rng, 0.4):
        parts.append(p.box((-d / 2, -w / 2 + 0.001, h), (-d / 2 + 0.015, w / 2 - 0.001, h + rng.uniform(0.04, 0.1)), top))
    return Thing("counter", tuple(parts), against_wall=True, front_room=0.8,
                 supports=(on_top((-d / 2 + 0.02, d / 2), (-w / 2, w / 2), h, 0.45),))


def island(rng: np.random.Generator) -> Thing:
    """A block of base cabinets that stands free, its top standing out at the back for stools."""
    h, w, t, d = rng.uniform(0.88, 0.94), rng.uniform(1.2, 2.2), rng.uniform(0.025, 0.05), rng.uniform(0.58, 0.75)
    over, top = rng.uniform(0.02, 0.3), p.worktop(rng)
    parts = base_cabinet(rng, d, w, (0.1, h - t))
    parts.append(p.box((-d / 2 - over, -w / 2 - 0.02, h - t), (d / 2 + 0.015, w / 2 + 0.02, h), top))
    shift = (over - 0.015) / 2
    parts = [p.moved(q, (shift, 0, 0)) for q in parts]
    return Thing("counter", tuple(parts), front_room=0.8,
                 supports=(on_top((-d / 2 - over + shift, d / 2 + shift), (-w / 2, w / 2), h),))


def bar(rng: np.random.Generator) -> Thing:
    """A high counter as of a reception or a bar: a panelled front, a ledge on top, a worktop behind."""
    w, h, d = rng.uniform(1.2, 2.6), rng.uniform(1.02, 1.15), rng.uniform(0.5, 0.7)
    look, top, low = p.finish(rng), p.worktop(rng), rng.uniform(0.72, 0.78)
    parts = [p.box((0.1, -w / 2, 0.06), (d / 2 - 0.06, w / 2, h - 0.035), look),
             p.box((0.12, -w / 2 + 0.02, 0), (d / 2 - 0.1, w / 2 - 0.02, 0.06), p.flat("2a2a2c")),
             p.box((0.02, -w / 2 - 0.02, h - 0.035), (d / 2, w / 2 + 0.02, h), top)]
    for a, b in p.spans(-w / 2, w / 2, max(2, round(w / 0.5)), 0.05):
        parts.append(p.box((d / 2 - 0.07, a, 0.14), (d / 2 - 0.045, b, h - 0.12), look))
    parts.append(p.box((-d / 2, -w / 2 + 0.002, low - 0.025), (0.1, w / 2 - 0.002, low), top))
    for s in (-1, 1):
        y = s * (w / 2 - 0.02)
        parts.append(p.box((-d / 2 + 0.02, y - 0.012, 0), (0.1, y + 0.012, low - 0.025), look))
    supports = (on_top((0.02, d / 2), (-w / 2, w / 2), h), on_top((-d / 2, 0.0), (-w / 2, w / 2), low, 0.9))
    return Thing("counter", tuple(parts), supports=supports, front_room=0.8)


KINDS = {
    "table": {"dining": dining_table, "round": round_table, "coffee": coffee_table, "side": side_table, "console": console},
    "desk": {"plain": plain_desk, "drawers": drawer_desk, "corner": corner_desk},
    "counter": {"kitchen": kitchen_counter, "island": island, "bar": bar},
}
BUILDERS = {"table": table, "desk": desk, "counter": counter}
