# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Small things that lie and stand about: books, cups, bottles, boxes, with what is soft, worn or carried."""

from __future__ import annotations

import numpy as np

from lsm_sim.furniture import parts as kit
from lsm_sim.furniture.parts import (
    BRIGHTS,
    EPS,
    FABRICS,
    Builder,
    ball,
    box,
    chance,
    fabric,
    fitted,
    flat,
    metal,
    moved,
    pick,
    placed,
    plastic,
    rod,
    rot_x,
    rot_y,
    turned,
    upright,
    wood,
)
from lsm_sim.furniture.soft import BUILDERS as _SOFT
from lsm_sim.furniture.worn import BUILDERS as _WORN
from lsm_sim.world import Material, Part, Support, Thing

_PAPER = "ece6d6"


def _book(rng: np.random.Generator, z: float, most: float = 1.0) -> tuple[list[Part], float]:
    """A closed book that lies at height z, and the height of its top; `most` limits its size."""
    w, d, t = most * rng.uniform(0.11, 0.2), most * rng.uniform(0.16, 0.29), rng.uniform(0.01, 0.05)
    cover = flat(pick(rng, (*BRIGHTS, *FABRICS)), rng, float(rng.uniform(0, 0.2)))
    face = fitted("book_cover", rng, 0.1) if chance(rng, 0.7) else cover
    block = box(
        (-d / 2, -w / 2, z),
        (d / 2, w / 2, z + t),
        cover,
        top=face,
        bottom=face,
        back=flat(_PAPER),
        front=flat(_PAPER),
        left=flat(_PAPER),
    )
    return placed([block], float(rng.normal(0, 12))), z + t


def book(rng: np.random.Generator) -> Thing:
    """One book that lies, a stack, a row that stands, an open one, or a newspaper (place 'top')."""
    kind = pick(rng, ("one", "stack", "row", "open", "paper"), (4, 4, 3, 2, 1))
    out: list[Part] = []
    if kind in ("one", "stack"):
        z = 0.0
        for i in range(1 if kind == "one" else int(rng.integers(2, 6))):
            more, z = _book(rng, z, 1.0 - 0.05 * i)
            out += more
    elif kind == "row":
        n, y = int(rng.integers(3, 10)), 0.0
        for _ in range(n):
            t, h, d = rng.uniform(0.015, 0.045), rng.uniform(0.18, 0.29), rng.uniform(0.13, 0.2)
            cover = flat(pick(rng, (*BRIGHTS, *FABRICS)), rng, 0.1)
            spine = fitted("label", rng, 0.1) if chance(rng, 0.3) else cover
            out.append(box((0.09 - d, y, 0), (0.09, y + t, h), cover, front=spine, top=flat(_PAPER), back=flat(_PAPER)))
            y += t + 0.001
        if chance(rng, 0.4):
            last = out.pop()
            lean = float(rng.uniform(8, 18))
            out.append(
                moved(
                    turned(last, rot_x(lean), (0, last.center[1] - last.half[1], 0)),
                    (0, 2 * last.half[2] * np.sin(np.radians(lean)) + 0.002, 0),
                )
            )
        low, high = (f([p.corners()[:, 1] for p in out]) for f in (np.min, np.max))
        out = placed(out, offset=(0, -(low + high) / 2, 0))
    elif kind == "open":
        w, d = rng.uniform(0.12, 0.2), rng.uniform(0.18, 0.27)
        page, cover = fitted("newspaper", rng, 0.0), flat(pick(rng, BRIGHTS), rng)
        tilt = float(rng.uniform(2, 6))
        lift = w / 2 * np.sin(np.radians(tilt))
        for s in (-1, 1):
            leaf = box(
                (-d / 2, s * w / 2 - w / 2 + 0.002, 0.002),
                (d / 2, s * w / 2 + w / 2 - 0.002, 0.016),
                flat(_PAPER),
                top=page,
                bottom=cover,
            )
            out.append(moved(turned(leaf, rot_x(-s * tilt)), (0, 0, lift)))
    else:
        w, d = rng.uniform(0.2, 0.3), rng.uniform(0.26, 0.36)
        out = [
            box(
                (-d / 2, -w / 2, 0),
                (d / 2, w / 2, rng.uniform(0.006, 0.014)),
                flat(_PAPER),
                top=fitted("newspaper", rng, 0.0),
            )
        ]
    return Thing("book", tuple(out), "top")


def cup(rng: np.random.Generator) -> Thing:
    """A mug, a tea cup on a saucer, a glass, a goblet, a paper cup, or a bowl (place 'top')."""
    kind = pick(rng, ("mug", "tea", "glass", "goblet", "paper", "bowl"), (5, 3, 2, 2, 2, 1))
    stuff = Material("blank", kit.tint(pick(rng, (*BRIGHTS, "f4f4f2", "f4f4f2", "f1ece0")), rng), 0, 1.0, 0.4)
    filled = flat(pick(rng, ("2a1710", "6b3f1e", "b5762d", "e8e6e0")), None, 0.2)
    r, h = rng.uniform(0.036, 0.048), rng.uniform(0.08, 0.11)
    if kind == "mug":
        look = fitted("label", rng, 0.3) if chance(rng, 0.2) else stuff
        out = [
            upright(0, 0, (0, h), r, stuff, taper=float(rng.uniform(0.95, 1.1)), side=look),
            upright(0, 0, (h, h + EPS), 0.85 * r, filled),
        ]
        a, b = (0, r, 0.25 * h), (0, r, 0.8 * h)
        bow = ((0, r + 0.025, 0.33 * h), (0, r + 0.028, 0.7 * h))
        out += [rod(p, q, 0.005, stuff) for p, q in zip((a, *bow), (*bow, b), strict=True)]
    elif kind == "tea":
        out = [
            upright(0, 0, (0, 0.012), 0.055, stuff, taper=1.4),
            upright(0, 0, (0.012, 0.065), 0.025, stuff, taper=1.75),
            upright(0, 0, (0.065, 0.065 + EPS), 0.036, filled),
            rod((0, 0.04, 0.05), (0, 0.058, 0.045), 0.004, stuff),
            rod((0, 0.058, 0.045), (0, 0.034, 0.03), 0.004, stuff),
        ]
    elif kind == "glass":
        glass = flat(pick(rng, ("c9d6da", "d6dee0", "b4ccc8")), rng, 0.7, "blank")
        out = [upright(0, 0, (0, h * 1.2), 0.8 * r, glass, taper=1.15, top=filled)]
    elif kind == "goblet":
        glass = flat(pick(rng, ("c9d6da", "d6dee0")), rng, 0.7, "blank")
        wine = flat(pick(rng, ("4a0f1a", "d9c77a", "c9d6da")), None, 0.6)
        out = [
            upright(0, 0, (0, 0.006), 0.035, glass),
            upright(0, 0, (0.006, 0.09), 0.004, glass),
            ball((0, 0, 0.13), (0.036, 0.036, 0.045), wine),
            upright(0, 0, (0.13, 0.185), 0.036, glass, taper=0.85),
        ]
    elif kind == "paper":
        look = fitted("label", rng) if chance(rng, 0.4) else flat(pick(rng, (*BRIGHTS, "c9a87c")), rng)
        out = [
            upright(0, 0, (0, 0.11), 0.03, look, taper=1.35),
            upright(0, 0, (0.11, 0.12), 0.043, flat(pick(rng, ("f0f0ee", "1d1d1f")))),
            upright(0, 0, (0.12, 0.127), 0.037, flat(pick(rng, ("f0f0ee", "1d1d1f")))),
        ]
    else:
        out = [
            upright(0, 0, (0, 0.015), 0.04, stuff),
            upright(0, 0, (0.015, 0.07), 0.045, stuff, taper=1.8, top=filled),
        ]
    return Thing("cup", tuple(out), "top")


def bottle(rng: np.random.Generator) -> Thing:
    """Bottles of wine, water, beer or sauce, of cleaner or shampoo, cans and jugs (place 'top')."""
    kind = pick(rng, ("tall", "water", "spray", "shampoo", "jug", "jar"), (5, 3, 2, 3, 1, 2))
    label = fitted("label", rng, 0.1)
    cap = plastic(rng)
    if kind == "tall":
        glass = flat(pick(rng, ("22361f", "3a2413", "5c2a1a", "c8d8d4", "a8c0a0", "1c1c1e")), rng, 0.6, "blank")
        r, h = rng.uniform(0.03, 0.042), rng.uniform(0.13, 0.21)
        neck, top = 0.35 * r, h + rng.uniform(0.03, 0.05)
        end = top + rng.uniform(0.04, 0.09)
        out = [
            upright(0, 0, (0, h), r, glass),
            upright(0, 0, (0.25 * h, 0.75 * h), r + 0.001, label, bottom=glass, top=glass),
            upright(0, 0, (h, top), r, glass, taper=neck / r),
            upright(0, 0, (top, end), neck, glass),
            upright(0, 0, (end - 0.03, end + 0.004), neck + 0.002, cap),
        ]
    elif kind == "water":
        body = flat(pick(rng, ("a8cbdc", "c5dfe6", "b8dcc8", "e6e6e4", "7a3a1a")), rng, 0.5, "blank")
        r, h = rng.uniform(0.032, 0.047), rng.uniform(0.14, 0.24)
        out = [
            upright(0, 0, (0, h), r, body),
            upright(0, 0, (0.4 * h, 0.75 * h), r + 0.0015, label, bottom=body, top=body),
            upright(0, 0, (h, h + 0.045), r, body, taper=0.33),
            upright(0, 0, (h + 0.045, h + 0.065), 0.017, cap),
        ]
    elif kind == "spray":
        body, h = plastic(rng), rng.uniform(0.15, 0.19)
        out = [
            upright(0, 0, (0, h), (0.032, 0.045), body, taper=0.85),
            box((0.029, -0.03, 0.03), (0.033, 0.03, 0.75 * h), body, front=label),
            upright(0, 0, (h, h + 0.05), (0.027, 0.038), body, taper=0.35),
            box((-0.035, -0.012, h + 0.05), (0.05, 0.012, h + 0.085), cap),
            rod((0.03, 0, h + 0.05), (0.045, 0, h + 0.015), 0.005, cap),
        ]
    elif kind == "shampoo":
        w, d, h = rng.uniform(0.028, 0.04), rng.uniform(0.018, 0.026), rng.uniform(0.12, 0.2)
        body = plastic(rng)
        out = [
            box((-d, -w, 0), (d, w, h), body, front=label, back=label),
            upright(0, 0, (h, h + 0.01), (d, w), body, taper=0.6),
        ]
        if chance(rng, 0.5):
            out += [
                upright(0, 0, (h + 0.01, h + 0.04), 0.006, cap),
                upright(0, 0, (h + 0.04, h + 0.05), 0.012, cap),
                rod((0, 0, h + 0.045), (0.04, 0, h + 0.04), 0.005, cap),
            ]
        else:
            out.append(upright(0, 0, (h + 0.01, h + 0.035), 0.7 * d, cap))
    elif kind == "jug":
        body, h = plastic(rng), rng.uniform(0.2, 0.27)
        out = [
            box((-0.05, -0.085, 0), (0.05, 0.085, 0.75 * h), body, front=label, back=label),
            box((-0.04, -0.06, 0.75 * h), (0.04, -0.04, h), body),
            box((-0.04, -0.04, h - 0.025), (0.04, 0.03, h), body),
            upright(0, 0.045, (0.75 * h, h), 0.03, body, taper=0.7),
            upright(0, 0.045, (h, h + 0.025), 0.02, cap),
        ]
    else:
        r, h = rng.uniform(0.03, 0.05), rng.uniform(0.08, 0.15)
        body = (
            metal(rng, 0.0)
            if chance(rng, 0.4)
            else flat(pick(rng, ("8a2f1c", "c9a24a", "e4d8b8", "5a6b2e")), rng, 0.4, "blank")
        )
        out = [
            upright(0, 0, (0, h), r, body),
            upright(0, 0, (0.12 * h, 0.82 * h), r + 0.001, label, bottom=body, top=body),
            upright(0, 0, (h, h + 0.015), 0.92 * r, cap),
        ]
    return Thing("bottle", tuple(out), "top")


def carton(rng: np.random.Generator) -> Thing:
    """Boxes: cartons closed, open or stacked, crates (place 'floor'), packages and presents (place 'top')."""
    return pick(rng, (_closed, _open, _stack, _package, _crate, _gift), (4, 3, 2, 4, 2, 1))(rng)


def _carton_sizes(rng: np.random.Generator) -> tuple[float, float, float]:
    """Width, depth and height of a carton."""
    return float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.2, 0.45)), float(rng.uniform(0.15, 0.42))


def _brown(rng: np.random.Generator) -> Material:
    """Cardboard, brown or white."""
    color = pick(rng, ("b98a58", "c79a66", "a87a4a", "e9e4da"))
    return Material("cardboard", kit.tint(color, rng), int(rng.integers(64)), 0.6)


def _closed(rng: np.random.Generator) -> Thing:
    """A closed carton, on which things may stand."""
    w, d, h = _carton_sizes(rng)
    free = Support((0, 0), h + 0.001, (d / 2 - 0.02, w / 2 - 0.02))
    return Thing("box", tuple(_carton(rng, w, d, h, _brown(rng))), supports=(free,))


def _stack(rng: np.random.Generator) -> Thing:
    """Two to four cartons on top of each other, none larger than the one below it."""
    (w, d, h), brown = _carton_sizes(rng), _brown(rng)
    out, z = _carton(rng, w, d, h, brown), h
    for _ in range(int(rng.integers(1, 4))):
        k = float(rng.uniform(0.6, 0.95))
        tall = float(k * rng.uniform(0.15, 0.35))
        if z + tall > 0.8:
            break
        w, d = k * w, k * d
        out += placed(_carton(rng, w, d, tall, brown), float(rng.normal(0, 6)), (0, 0, z + 0.001))
        z += tall + 0.001
    return Thing("box", tuple(out))


def _package(rng: np.random.Generator) -> Thing:
    """A printed package, as of cereals or tea."""
    w, d, h = rng.uniform(0.06, 0.22), rng.uniform(0.04, 0.12), rng.uniform(0.06, 0.3)
    side = fitted("label", rng, 0.1)
    return Thing("box", (box((-d / 2, -w / 2, 0), (d / 2, w / 2, h), plastic(rng), front=side, back=side),), "top")


def _open(rng: np.random.Generator) -> Thing:
    """A carton with its flaps up or down, empty or filled."""
    (w, d, h), brown, t = _carton_sizes(rng), _brown(rng), 0.006
    out = [box((-d / 2, -w / 2, 0), (d / 2, w / 2, t), brown)]
    for s in (-1, 1):
        x, y = s * (d / 2 - t / 2), s * (w / 2 - t / 2)
        out.append(box((x - t / 2, -w / 2, t), (x + t / 2, w / 2, h), brown))
        out.append(box((-d / 2 + t, y - t / 2, t), (d / 2 - t, y + t / 2, h), brown))
        lid = box((x - t / 2, -w / 2, h), (x + t / 2, w / 2, h + 0.45 * min(w, d)), brown)
        out.append(turned(lid, rot_y(s * float(rng.uniform(30, 130))), (x, 0, h)))
    if chance(rng, 0.6):
        low, high = (-d / 2 + 0.02, -w / 2 + 0.02, t), (d / 2 - 0.02, w / 2 - 0.02, rng.uniform(0.4, 0.8) * h)
        out.append(box(low, high, fabric(rng), top=fitted("text_clutter", rng)))
    return _centred("box", out)


def _crate(rng: np.random.Generator) -> Thing:
    """An open crate of slats or plastic."""
    (w, d, h), (stuff, t) = _carton_sizes(rng), (wood(rng), 0.012) if chance(rng, 0.6) else (plastic(rng), 0.008)
    out = [box((-d / 2, -w / 2, 0), (d / 2, w / 2, t), stuff)]
    out += [
        box(
            (sx * (d / 2 - 1.5 * t) - t / 2, sy * (w / 2 - 1.5 * t) - t / 2, t),
            (sx * (d / 2 - 1.5 * t) + t / 2, sy * (w / 2 - 1.5 * t) + t / 2, h),
            stuff,
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    for i in range(3):
        z0, z1 = t + i * (h - t) / 3, t + (i + 0.82) * (h - t) / 3
        for s in (-1, 1):
            x, y = s * (d / 2 - t / 2), s * (w / 2 - t / 2)
            out.append(box((x - t / 2, -w / 2, z0), (x + t / 2, w / 2, z1), stuff))
            out.append(box((-d / 2 + t, y - t / 2, z0), (d / 2 - t, y + t / 2, z1), stuff))
    return Thing("box", tuple(out))


def _gift(rng: np.random.Generator) -> Thing:
    """A wrapped present with bands and a bow."""
    w, d, h = (0.5 * v for v in _carton_sizes(rng))
    family, band = pick(rng, ("stripes", "checker", "wallpaper")), plastic(rng)
    paper = Material(family, kit.tint(pick(rng, BRIGHTS), rng), int(rng.integers(64)), 0.15)
    out = [
        box((-d / 2, -w / 2, 0), (d / 2, w / 2, h), paper),
        box((-d / 2 - EPS, -0.015, 0), (d / 2 + EPS, 0.015, h + EPS), band),
        box((-0.015, -w / 2 - EPS, 0), (0.015, w / 2 + EPS, h + EPS), band),
        *(ball((0, s * 0.025, h + 0.02), (0.015, 0.03, 0.018), band) for s in (-1, 1)),
    ]
    return Thing("box", tuple(out), "top")


def _centred(label: str, parts: list[Part]) -> Thing:
    """A thing for the floor, its origin moved to the middle of its footprint."""
    corners = np.concatenate([p.corners() for p in parts])
    middle = (corners.min(0) + corners.max(0)) / 2
    return Thing(label, tuple(placed(parts, offset=(-middle[0], -middle[1], 0))))


def _carton(rng: np.random.Generator, w: float, d: float, h: float, stuff: Material) -> list[Part]:
    """A closed cardboard box on the floor around the origin with tape along its top and maybe a label."""
    tape = flat(pick(rng, ("c9a873", "9b7440", "e9e3d5")), rng, 0.2)
    out = [
        box((-d / 2, -w / 2, 0), (d / 2, w / 2, h), stuff),
        box((-0.025, -w / 2 - 0.001, 0.75 * h), (0.025, w / 2 + 0.001, h + 0.001), tape),
    ]
    if chance(rng, 0.6):
        y, z = rng.uniform(-0.2, 0.2) * w, rng.uniform(0.4, 0.6) * h
        out.append(
            box(
                (d / 2, y - 0.22 * w, z - 0.2 * h),
                (d / 2 + EPS, y + 0.22 * w, z + 0.2 * h),
                flat("f2f2ee"),
                front=fitted("label", rng),
            )
        )
    return out


KINDS: dict[str, dict[str, Builder]] = {
    "box": {"closed": _closed, "open": _open, "stack": _stack, "package": _package, "crate": _crate, "gift": _gift}
}
BUILDERS: dict[str, Builder] = {"book": book, "cup": cup, "bottle": bottle, "box": carton, **_SOFT, **_WORN}
