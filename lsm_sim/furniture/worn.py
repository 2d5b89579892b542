# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Things that people wear, carry or throw away: clothes, shoes, bags and bins."""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture.parts import (
    BRIGHTS,
    EPS,
    FABRICS,
    Builder,
    ball,
    box,
    chance,
    cylinder,
    fabric,
    fitted,
    flat,
    leather,
    metal,
    paint,
    pick,
    placed,
    plastic,
    rod,
    rot_y,
    rot_z,
    steel,
    turned,
    upright,
    wood,
)
from lsm_sim.world import Material, Part, Thing


def bag(rng: np.random.Generator) -> Thing:
    """A backpack, a shopping or hand bag, a suitcase, a sack (place 'floor'; they may stand on furniture too)."""
    return pick(rng, (_backpack, _shopper, _handbag, _suitcase, _sack), (4, 3, 2, 3, 1))(rng)


def _backpack(rng: np.random.Generator) -> Thing:
    """Rounded at its top, a pocket in front, two straps behind."""
    cloth, dark = fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.1), flat(pick(rng, ("222224", "3a2a20")), rng)
    w, d, h = rng.uniform(0.26, 0.34), rng.uniform(0.14, 0.2), rng.uniform(0.38, 0.5)
    r = d / 2
    out = [
        box((-r, -w / 2, 0), (r, w / 2, h - r), cloth),
        cylinder((0, 0, h - r), (r, r), w, cloth, axis="y"),
        box((r, -0.38 * w, 0.04), (r + 0.05, 0.38 * w, 0.45 * h), cloth),
        cylinder((r, 0, 0.45 * h), 0.05, 0.76 * w, cloth, axis="y"),
        box((r + 0.05, -0.3 * w, 0.36 * h), (r + 0.053, 0.3 * w, 0.38 * h), dark),
        box((-0.02, -0.07, h - 0.002), (0.0, -0.05, h + 0.03), dark),
        box((-0.02, 0.05, h - 0.002), (0.0, 0.07, h + 0.03), dark),
        box((-0.02, -0.07, h + 0.03), (0.0, 0.07, h + 0.04), dark),
    ]
    for s in (-1, 1):
        out += [
            rod((-r - 0.015, s * 0.25 * w, 0.06), (-r - 0.05, s * 0.28 * w, 0.5 * h), 0.014, dark),
            rod((-r - 0.05, s * 0.28 * w, 0.5 * h), (-r, s * 0.2 * w, 0.92 * h), 0.018, dark),
            box((-0.6 * r, s * (w / 2 + 0.02) - 0.02, 0.03), (0.6 * r, s * (w / 2 + 0.02) + 0.02, 0.35 * h), cloth),
        ]
    return Thing("bag", tuple(placed(out, offset=(0.02, 0, 0))))


def _loop(y: float, x: float, z: float, rise: float, stuff: Material) -> list[Part]:
    """A carrying loop in the plane across x between -y and y, from height z."""
    bow = [(x, -y, z), (x, -0.75 * y, z + 0.7 * rise), (x, 0, z + rise), (x, 0.75 * y, z + 0.7 * rise), (x, y, z)]
    return [rod(a, b, 0.006, stuff) for a, b in zip(bow, bow[1:], strict=False)]


def _shopper(rng: np.random.Generator) -> Thing:
    """Paper or cloth, with two loops, sometimes with goods that look out."""
    w, d, h = rng.uniform(0.26, 0.42), rng.uniform(0.11, 0.18), rng.uniform(0.28, 0.4)
    body = flat(pick(rng, ("c9a873", "f2f2ee", *BRIGHTS)), rng) if chance(rng, 0.6) else fabric(rng, None, 0.4)
    face = fitted("poster", rng) if chance(rng, 0.4) else body
    inside = flat("4a4038") if chance(rng, 0.5) else fitted("shelf_goods", rng)
    out = [box((-d / 2, -w / 2, 0), (d / 2, w / 2, h), body, front=face, back=face, top=inside)]
    for x in (-d / 2 + 0.01, d / 2 - 0.01):
        out += _loop(0.22 * w, x, h, 0.12, body)
    if chance(rng, 0.4):
        out += [
            upright(0, s * 0.25 * w, (h, h + rng.uniform(0.04, 0.1)), 0.035, plastic(rng), taper=0.5) for s in (-1, 1)
        ]
    return Thing("bag", tuple(out))


def _handbag(rng: np.random.Generator) -> Thing:
    """Leather with a flap and a loop."""
    w, d, h, hide = rng.uniform(0.24, 0.36), rng.uniform(0.09, 0.14), rng.uniform(0.18, 0.27), leather(rng)
    k = 0.8
    out = [
        box((-d / 2, -w / 2, 0), (d / 2, w / 2, k * h), hide),
        cylinder((0, 0, k * h), (d / 2, (1 - k) * h), w, hide, axis="y"),
        box((d / 2, -0.42 * w, 0.42 * h), (d / 2 + 0.006, 0.42 * w, k * h + 0.02), hide),
        box((d / 2 + 0.006, -0.02, 0.44 * h), (d / 2 + 0.012, 0.02, 0.52 * h), metal(rng, 0)),
        *_loop(0.32 * w, 0, 0.9 * h, 0.16, hide),
    ]
    return Thing("bag", tuple(out))


def _suitcase(rng: np.random.Generator) -> Thing:
    """A hard case with ribs and wheels that stands, its handle out or in."""
    w, d, h = rng.uniform(0.36, 0.48), rng.uniform(0.2, 0.29), rng.uniform(0.5, 0.72)
    shell, dark = plastic(rng), flat("202022", rng, 0.2)
    out = [
        box((-d / 2, -w / 2, 0.05), (d / 2, w / 2, h), shell),
        box((-0.012, -w / 2 - 0.003, 0.047), (0.012, w / 2 + 0.003, h + 0.003), dark),
    ]
    out += [
        box((d / 2, y - 0.02, 0.09), (d / 2 + 0.008, y + 0.02, h - 0.05), shell)
        for y in np.linspace(-0.36, 0.36, 5) * w
    ]
    out += [
        cylinder((sx * (d / 2 - 0.04), sy * (w / 2 - 0.05), 0.025), 0.025, 0.03, dark, axis="y")
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    up = h + (0.25 if chance(rng, 0.4) else 0.03)
    out += [
        rod((-d / 2 + 0.03, s * 0.12, h - 0.01), (-d / 2 + 0.03, s * 0.12, up), 0.008, metal(rng, 0.3)) for s in (-1, 1)
    ]
    out.append(box((-d / 2 + 0.015, -0.14, up), (-d / 2 + 0.045, 0.14, up + 0.025), dark))
    return Thing("bag", tuple(out))


def _sack(rng: np.random.Generator) -> Thing:
    """A tied sack or a sports bag."""
    if chance(rng, 0.5):
        r, stuff = (
            rng.uniform(0.14, 0.22),
            flat(pick(rng, ("1c1c1f", "e8e6e0", "3f6aa8", "8a7a5a")), rng, 0.2, "noise", 0.3),
        )
        return Thing(
            "bag",
            (
                ball((0, 0, 0.9 * r), (r, r, 0.9 * r), stuff),
                upright(0, 0, (1.55 * r, 2.0 * r), 0.5 * r, stuff, taper=0.25),
                upright(0, 0, (2.0 * r, 2.4 * r), 0.12 * r, stuff, taper=3.0),
            ),
        )
    w, r, cloth = rng.uniform(0.45, 0.65), rng.uniform(0.12, 0.16), fabric(rng, pick(rng, BRIGHTS), 0.1)
    dark = flat("202022")
    return Thing(
        "bag",
        (
            cylinder((0, 0, r), r, w, cloth, axis="y"),
            *(cylinder((0, s * 0.2 * w, r), r + 0.003, 0.03, dark, axis="y") for s in (-1, 1)),
            *_loop(0.2 * w, 0.02, 2 * r, 0.1, dark),
        ),
    )


def clothes(rng: np.random.Generator) -> Thing:
    """A heap, a folded pile or a garment laid flat (place 'top'), or coats and shirts on hooks or a rail (place 'wall')."""
    kind = pick(rng, ("heap", "pile", "flat", "hooks"), (3, 3, 2, 4))
    if kind == "heap":
        out = []
        for i in range(int(rng.integers(4, 8))):
            cloth, z = fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.4), 0.018 * i
            body = box((-0.13, -0.17, z), (0.13, 0.17, z + rng.uniform(0.016, 0.03)), cloth)
            tube = cylinder((0.06, 0.12, z + 0.03), (0.045, 0.028), rng.uniform(0.25, 0.42), cloth, axis="y", taper=0.7)
            crease = ball((rng.uniform(-0.06, 0.06), 0, z + 0.012), (0.06, 0.16, rng.uniform(0.03, 0.055)), cloth)
            shift = (*rng.uniform(-0.07, 0.07, 2), 0.0)
            out += placed([body, tube, crease], float(rng.uniform(0, 360)), shift)
        low = min(p.corners()[:, 2].min() for p in out)
        out = placed(out, offset=(0, 0, max(0.0, -low)))
        return Thing("clothes", tuple(out), "top")
    if kind == "pile":
        out, z = [], 0.0
        for _ in range(int(rng.integers(2, 7))):
            t, a, b = rng.uniform(0.018, 0.035), rng.uniform(0.11, 0.14), rng.uniform(0.13, 0.17)
            cloth = fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.4)
            out += placed(
                [
                    box((-a, -b, z), (a - t / 2, b, z + t - 0.001), cloth),
                    cylinder((a - t / 2, 0, z + t / 2), t / 2 - 0.001, 2 * b, cloth, axis="y"),
                ],
                float(rng.normal(0, 4)),
            )
            z += t
        return Thing("clothes", tuple(out), "top")
    if kind == "flat":
        return Thing("clothes", tuple(_shirt(fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.5))), "top")
    n, z, stuff = int(rng.integers(1, 6)), rng.uniform(1.55, 1.8), pick(rng, (wood, metal))(rng)
    step = rng.uniform(0.13, 0.2)
    long = n * step + 0.1
    rail = [box((0, -long / 2, z - 0.04), (0.02, long / 2, z + 0.04), stuff)]
    for i in range(n):
        y = (i - (n - 1) / 2) * step
        rail.append(rod((0.02, y, z), (0.08, y, z + 0.02), 0.008, metal(rng)))
        if not i or chance(rng, 0.85):
            rail += _hung(rng, y, z)
    return Thing("clothes", tuple(rail), "wall")


def _shirt(cloth: Material) -> list[Part]:
    """A shirt spread flat around the origin, its collar towards -x."""
    out = [box((-0.3, -0.22, 0), (0.3, 0.22, 0.014), cloth), box((-0.32, -0.07, 0.014), (-0.24, 0.07, 0.024), cloth)]
    for s in (-1, 1):
        sleeve = box((-0.29, s * 0.29 - 0.09, 0.001), (-0.12, s * 0.29 + 0.09, 0.012), cloth)
        out.append(turned(sleeve, rot_z(-s * 28), (-0.29, s * 0.2, 0)))
    return out


def _hung(rng: np.random.Generator, y: float, z: float) -> list[Part]:
    """A coat, a shirt or a towel that hangs from a hook at (0.08, y, z)."""
    cloth, long = fabric(rng, pick(rng, (*FABRICS, *BRIGHTS)), 0.3), rng.uniform(0.6, 1.1)
    top = z - 0.02
    if chance(rng, 0.25):
        return [upright(0.08, y, (top - long, top), (0.035, 0.1), cloth, taper=0.45)]
    out = [
        upright(0.1, y, (top - long, top - 0.1), (0.06, 0.17), cloth, taper=0.8),
        upright(0.1, y, (top - 0.1, top + 0.02), (0.048, 0.136), cloth, taper=0.3),
    ]
    for s in (-1, 1):
        out.append(
            rod(
                (0.11, y + s * 0.12, top - 0.1),
                (0.13, y + s * 0.17, top - 0.1 - rng.uniform(0.4, 0.55)),
                0.05,
                cloth,
                end=0.035,
            )
        )
    return out


def shoes(rng: np.random.Generator) -> Thing:
    """A pair of trainers, pumps, boots or slippers (place 'floor'), toes to the front, not quite in line."""
    kind = pick(rng, ("trainer", "leather", "boot", "slipper", "pump"), (4, 3, 2, 2, 1))
    s = rng.uniform(0.85, 1.1)
    upper = leather(rng) if kind in ("leather", "boot", "pump") else fabric(rng, pick(rng, (*BRIGHTS, *FABRICS)), 0.1)
    sole = flat(pick(rng, ("f0efea", "1b1b1c", "b98a58", "5b3a26")), rng)
    lace, dark = flat("f4f4f2"), flat("171717")
    heel = 0.06 if kind == "pump" else 0.02
    one = [box((-0.12, -0.032, 0), (0.03, 0.032, 0.02), sole), cylinder((0.06, 0, 0.01), (0.085, 0.045), 0.02, sole)]
    if kind == "pump":
        one = [
            box((-0.12, -0.012, 0), (-0.1, 0.012, heel), sole),
            cylinder((0.07, 0, 0.005), (0.075, 0.038), 0.01, sole),
            turned(box((-0.12, -0.028, 0.03), (0.05, 0.028, 0.042), upper), rot_y(14)),
        ]
    one.append(ball((0.065, 0, 0.04), (0.085, 0.043, 0.038), upper))
    if kind == "slipper":
        one.append(cylinder((-0.05, 0, 0.022), (0.075, 0.04), 0.006, upper))
    else:
        one.append(ball((-0.075, 0, heel + 0.022), (0.06, 0.036, 0.045), upper))
        if kind != "pump":
            one += [
                upright(-0.07, 0, (0.03, 0.085), (0.05, 0.034), upper, taper=0.9),
                upright(-0.07, 0, (0.085, 0.086), (0.036, 0.022), dark),
            ]
            one.append(
                turned(
                    box((-0.03, -0.022, 0.06), (0.05, 0.022, 0.07), lace if kind == "trainer" else upper),
                    rot_y(28),
                    (0, 0, 0.06),
                )
            )
        if kind == "boot":
            one.append(
                upright(-0.065, 0, (0.085, 0.085 + rng.uniform(0.1, 0.28)), (0.05, 0.04), upper, taper=1.15, top=dark)
            )
    one = [Part(p.shape, s * p.center, s * p.half, p.material, p.R, p.taper, p.faces) for p in one]
    out = placed(one, float(rng.normal(0, 8)), (float(rng.normal(0, 0.015)), -0.065, 0))
    out += placed(one, float(rng.normal(0, 8)), (float(rng.normal(0, 0.015)), 0.065, 0))
    return Thing("shoes", tuple(out))


def waste_bin(rng: np.random.Generator) -> Thing:
    """A paper basket, a bin with a lid or pedal, a swing bin, a tall outdoor-like one with wheels (place 'floor')."""
    kind = pick(rng, ("basket", "pedal", "swing", "wheels", "wire"), (4, 4, 3, 1, 2))
    r, h = rng.uniform(0.1, 0.15), rng.uniform(0.24, 0.34)
    body = pick(rng, (plastic, steel, paint))(rng)
    dark = flat("1e1e20")
    if kind == "basket":
        trash = [
            ball(
                (*rng.uniform(-0.45, 0.45, 2) * r, h - 0.01),
                rng.uniform(0.3, 0.45) * r,
                flat(pick(rng, ("f2f2ee", "d9d4c6", *BRIGHTS)), rng),
            )
            for _ in range(int(rng.integers(0, 4)))
        ]
        out = [
            upright(0, 0, (0, h), 0.82 * r, body, taper=1.25),
            upright(0, 0, (h, h + EPS), 0.95 * r, dark),
            *trash,
            upright(0, 0, (h - 0.02, h - 0.002), 1.04 * r, body),
        ]
    elif kind == "wire":
        stuff, out = metal(rng, 0.8), [upright(0, 0, (0, 0.01), 0.8 * r, metal(rng, 0.8))]
        for a in np.arange(12) * np.pi / 6:
            c, s = np.cos(a), np.sin(a)
            out.append(rod((0.8 * r * c, 0.8 * r * s, 0.005), (r * c, r * s, h), 0.004, stuff))
        out += [
            rod((r * np.cos(a), r * np.sin(a), h), (r * np.cos(b), r * np.sin(b), h), 0.005, stuff)
            for a, b in ((k * np.pi / 6, (k + 1) * np.pi / 6) for k in range(12))
        ]
    elif kind == "pedal":
        h *= rng.uniform(1.0, 1.9)
        out = [
            upright(0, 0, (0, 0.02), r + 0.004, dark),
            upright(0, 0, (0.02, h), r, body),
            upright(0, 0, (h, h + 0.02), r + 0.003, dark),
            ball((0, 0, h + 0.02), (r, r, 0.035), body),
            box((r - 0.02, -0.03, 0.005), (r + 0.05, 0.03, 0.018), dark),
        ]
    elif kind == "swing":
        w, d, h = rng.uniform(0.12, 0.17), rng.uniform(0.1, 0.14), rng.uniform(0.45, 0.65)
        lid = plastic(rng)
        out = [
            box((-d, -w, 0), (d, w, h), body),
            box((-d - 0.006, -w - 0.006, h), (d + 0.006, w + 0.006, h + 0.03), lid),
            turned(
                box((-0.8 * d, -0.9 * w, h + 0.05), (0.8 * d, 0.9 * w, h + 0.062), lid),
                rot_y(float(rng.uniform(-20, 20))),
            ),
            *(box((-0.8 * d, s * w - 0.006, h + 0.03), (0.8 * d, s * w + 0.006, h + 0.09), lid) for s in (-1, 1)),
        ]
    else:
        w, d, h = 0.24, 0.27, rng.uniform(0.85, 1.0)
        body = plastic(rng, pick(rng, ("2f5d3a", "2f4f86", "333335", "8a7a2f")))
        out = [
            box((-0.85 * d, -0.9 * w, 0.06), (0.9 * d, 0.9 * w, h - 0.02), body),
            turned(box((-d, -w, h - 0.02), (d, w, h + 0.03), body), rot_y(4)),
            cylinder((-d, 0, h - 0.03), 0.015, 1.6 * w, body, axis="y"),
            *(cylinder((-0.8 * d, s * 0.92 * w, 0.09), 0.09, 0.05, dark, axis="y") for s in (-1, 1)),
            box((0.5 * d, -0.8 * w, 0), (0.8 * d, 0.8 * w, 0.06), body),
        ]
    return Thing("bin", tuple(out))


BUILDERS: dict[str, Builder] = {"bag": bag, "clothes": clothes, "shoes": shoes, "bin": waste_bin}
