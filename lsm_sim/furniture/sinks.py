# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sinks: a kitchen's in a worktop, a wash basin; and taps, basins and plates with a hole, which baths need too."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as p
from lsm_sim.furniture.tables import base_cabinet, base_size, on_top
from lsm_sim.world import Material, Part, Thing


def tap(x: float, y: float, z: float, rng: np.random.Generator, reach: float, rise: float) -> list[Part]:
    """A mixer tap whose foot is at (x, y, z) and whose spout goes to +x, with a lever."""
    look, r = p.metal(rng, 0.1), 0.012
    parts = [p.upright(x, y, (z, z + rise), 0.018, look, taper=0.75), p.upright(x, y, (z, z + 0.012), 0.03, look)]
    parts.append(p.rod((x, y, z + rise - 0.01), (x + reach, y, z + rise + 0.004), r, look))
    parts.append(p.rod((x + reach, y, z + rise + 0.01), (x + reach, y, z + rise - min(0.05, rise / 3)), r, look))
    parts.append(p.rod((x, y, z + rise - 0.01), (x - 0.01, y + 0.07, z + rise + 0.04), 0.007, look))
    return parts


def basin(x: tuple[float, float], y: tuple[float, float], z: float, deep: float, look: Material,
          wall: float = 0.012) -> list[Part]:
    """An open basin: bottom, four walls and a drain, between corners of its inside, its rim at height z."""
    parts = [p.box((x[0] - wall, y[0] - wall, z - deep - wall), (x[1] + wall, y[1] + wall, z - deep), look)]
    parts += [p.box((a, y[0] - wall, z - deep), (a + wall, y[1] + wall, z), look) for a in (x[0] - wall, x[1])]
    parts += [p.box((x[0], a, z - deep), (x[1], a + wall, z), look) for a in (y[0] - wall, y[1])]
    c = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2)
    return [*parts, p.upright(*c, (z - deep, z - deep + 0.003), 0.028, p.flat("55585b", gloss=0.6))]


def around(x: tuple[float, float], y: tuple[float, float], hole_x: tuple[float, float], hole_y: tuple[float, float],
           z: tuple[float, float], look: Material) -> list[Part]:
    """A plate with a rectangular hole: four boxes."""
    return [p.box((x[0], y[0], z[0]), (x[1], hole_y[0], z[1]), look), p.box((x[0], hole_y[1], z[0]), (x[1], y[1], z[1]), look),
            p.box((x[0], hole_y[0], z[0]), (hole_x[0], hole_y[1], z[1]), look),
            p.box((hole_x[1], hole_y[0], z[0]), (x[1], hole_y[1], z[1]), look)]


def sink(rng: np.random.Generator) -> Thing:
    """A sink: a kitchen's, let into a worktop over a cabinet, or a wash basin on a pedestal or a cabinet."""
    return p.pick(rng, list(KINDS["sink"].values()), (3, 3))(rng)


def kitchen_sink(rng: np.random.Generator) -> Thing:
    """A basin of steel or ceramic in a worktop over base cabinets, with a tap and perhaps a draining board."""
    (d, h, plinth), w, t = base_size(rng), rng.uniform(0.6, 1.2), rng.uniform(0.025, 0.04)
    look = p.steel(rng) if p.chance(rng, 0.75) else p.enamel(rng)
    deep, bx, by = rng.uniform(0.15, 0.2), rng.uniform(0.34, 0.40), min(rng.uniform(0.36, 0.52), w - 0.2)
    middle = 0.0 if w < 0.9 else p.pick(rng, (-1, 1)) * (w / 2 - by / 2 - 0.08)
    x, y = (-bx / 2 + 0.03, bx / 2 + 0.03), (middle - by / 2, middle + by / 2)
    low, front, top = h - t - deep - 0.02, d / 2 - 0.04, p.worktop(rng)
    carcass = base_cabinet(rng, d - 0.02, w, (plinth, low))
    body = carcass[1].material
    hole = ((x[0] - 0.012, x[1] + 0.012), (y[0] - 0.012, y[1] + 0.012))
    parts = carcass + around((-d / 2, d / 2), (-w / 2, w / 2), *hole, (h - t, h), top) + basin(x, y, h + 0.003, deep, look)
    parts.append(p.box((front - 0.012, -w / 2 + 0.004, low + 0.002), (front + 0.018, w / 2 - 0.004, h - t - 0.004),
                       _front_of(carcass)))
    parts += [p.box((-d / 2 + 0.006, y - 0.009, low), (front - 0.012, y + 0.009, h - t), body)
              for y in (0.012 - w / 2, w / 2 - 0.012)]
    room = (-w / 2, y[0] - 0.04) if middle > 0 else (y[1] + 0.04, w / 2)
    supports = ()
    if room[1] - room[0] > 0.3 and look.texture == "metal":
        parts += [p.box((x[0], a, h), (x[1], a + 0.012, h + 0.005), look)
                  for a in np.arange(room[0] + 0.06, room[1] - 0.05, 0.045)]
    elif room[1] - room[0] > 0.3:
        supports = (on_top((-d / 2 + 0.02, d / 2), room, h, 0.45),)
    parts += tap((-d / 2 + x[0]) / 2 - 0.005, middle, h, rng, rng.uniform(0.15, 0.2), rng.uniform(0.16, 0.32))
    return Thing("sink", tuple(parts), against_wall=True, front_room=0.7, supports=supports)


def _front_of(carcass: list[Part]) -> Material:
    """Looks of the largest front of a cabinet."""
    fronts = [q for q in carcass if q.half[0] < 0.02]
    return max(fronts, key=lambda q: q.half[1] * q.half[2]).material


def wash_basin(rng: np.random.Generator) -> Thing:
    """A wash basin of ceramic on a pedestal, or on a cabinet."""
    w, d, h, look = rng.uniform(0.45, 0.75), rng.uniform(0.38, 0.50), rng.uniform(0.80, 0.88), p.enamel(rng)
    wall, deep = rng.uniform(0.025, 0.045), rng.uniform(0.09, 0.13)
    x, y = (-d / 2 + 0.11, d / 2 - wall), (-w / 2 + wall, w / 2 - wall)
    parts = around((-d / 2, d / 2), (-w / 2, w / 2), x, y, (h - deep, h), look)
    parts.append(p.box((x[0], y[0], h - deep - 0.02), (x[1], y[1], h - deep + 0.004), look))
    parts.append(p.upright((x[0] + x[1]) / 2, 0, (h - deep + 0.004, h - deep + 0.007), 0.025, p.flat("55585b", gloss=0.6)))
    parts += tap(-d / 2 + 0.05, 0, h, rng, 0.11, rng.uniform(0.09, 0.16))
    if p.chance(rng, 0.5):
        parts.append(p.upright(-d / 2 + 0.14, 0, (0, h - deep - 0.02), (0.09, 0.085), look, taper=1.2))
        parts.append(p.upright(0, 0, (h - deep - 0.1, h - deep), (d * 0.27, w * 0.25), look, taper=1.5))
        return Thing("sink", tuple(parts), against_wall=True, front_room=0.6)
    low, case = p.pick(rng, (0.0, rng.uniform(0.08, 0.3))), p.finish(rng)
    front = d / 2 - 0.055
    parts.append(p.box((-d / 2, -w / 2 + 0.012, low), (front, w / 2 - 0.012, h - deep - 0.001), case, front=p.shadow(case)))
    z, y = (low, h - deep - 0.02), (-w / 2 + 0.012, w / 2 - 0.012)
    if p.chance(rng, 0.5):
        parts += p.door_fronts(front, y, z, 1 if w < 0.5 else 2, case, p.grips(rng, "z"))
    else:
        parts += p.drawer_fronts(front, y, z, int(rng.integers(1, 3)), case, p.grips(rng))
    if low > 0.05:
        parts += [p.moved(q, (-0.02, 0, 0)) for q in p.legs((d / 2 - 0.03, w / 2 - 0.03), low, 0.03, p.metal(rng, 0.2))]
    return Thing("sink", tuple(parts), against_wall=True, front_room=0.6)


KINDS = {"sink": {"kitchen": kitchen_sink, "basin": wash_basin}}
BUILDERS = {"sink": sink}
