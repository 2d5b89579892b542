# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""People who stand, walk or sit, with clothes, hair and faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_sim.furniture.parts import (
    Builder,
    ball,
    box,
    chance,
    fabric,
    finish,
    flat,
    labelled,
    pick,
    placed,
    rod,
    rot_y,
    turned,
    upright,
)
from lsm_sim.world import Material, Part, Thing

_SKINS = ("f1cdb0", "e3b48f", "c98f66", "a06a43", "7a4a2c", "55331f", "f6d9c4")
_HAIRS = ("1c1512", "3a2618", "6a4526", "a87b44", "d9b877", "8c8c8a", "d8d6d2", "7a2f1c")
_CLOTHES = (
    "20242c",
    "2f3e55",
    "4f6478",
    "8c3b3b",
    "c2a04f",
    "e8e4da",
    "6a6c70",
    "3d5a45",
    "b5563f",
    "9b7f96",
    "f4f2ee",
    "7b5f4b",
    "2f66a8",
)


@dataclass(frozen=True)
class _Looks:
    """Materials of one person."""

    skin: Material
    hair: Material
    shirt: Material
    trousers: Material
    shoes: Material
    short_sleeves: bool
    skirt: bool
    long_hair: bool
    bald: bool
    glasses: bool


def _looks(rng: np.random.Generator) -> _Looks:
    """Looks drawn at random."""
    woman = chance(rng, 0.5)
    return _Looks(
        flat(pick(rng, _SKINS), rng),
        flat(pick(rng, _HAIRS), rng, 0.1, "noise", 0.2),
        fabric(rng, pick(rng, _CLOTHES), 0.35),
        fabric(rng, pick(rng, ("1f2a44", "25262a", "4a5a78", "6b5d4d", "8b8d90", "c9bda6")), 0.05),
        flat(pick(rng, ("1a1a1c", "5b3a26", "e9e9e6", "2f4a7a", "8c2f2a")), rng, 0.15),
        chance(rng, 0.45),
        woman and chance(rng, 0.3),
        woman and chance(rng, 0.8),
        not woman and chance(rng, 0.15),
        chance(rng, 0.25),
    )


def _head(looks: _Looks, z: float, s: float, lean: float = 0.0) -> list[Part]:
    """Head with neck and hair, its chin at height z above (lean, 0), for a person s times the usual size."""
    c = np.array([lean + 0.015 * s, 0, z + 0.115 * s])
    white, dark = flat("f2f2f0"), flat("20180f")

    def at(x: float, y: float, dz: float) -> np.ndarray:
        return c + s * np.array([x, y, dz])

    out = [
        rod((lean - 0.01 * s, 0, z - 0.09 * s), (lean, 0, z + 0.05 * s), 0.055 * s, looks.skin),
        ball(c, s * np.array([0.095, 0.078, 0.12]), looks.skin),
        ball(at(0.094, 0, -0.015), s * np.array([0.02, 0.014, 0.024]), looks.skin),
        ball(at(0.078, 0, -0.062), s * np.array([0.013, 0.026, 0.007]), flat("a8574d")),
    ]
    for y in (-0.032, 0.032):
        out += [
            ball(at(0.079, y, 0.018), s * np.array([0.012, 0.015, 0.009]), white),
            ball(at(0.087, y, 0.018), s * 0.0075, dark),
            ball(at(0.082, y, 0.042), s * np.array([0.01, 0.02, 0.005]), looks.hair),
            ball(at(0.0, 2.4 * y, -0.005), s * np.array([0.02, 0.012, 0.032]), looks.skin),
        ]
        if looks.glasses:
            out.append(
                turned(
                    upright(
                        *at(0.1, y, 0)[:2], (at(0, 0, 0.018)[2] - 0.001, at(0, 0, 0.018)[2] + 0.001), 0.024 * s, dark
                    ),
                    rot_y(90),
                )
            )
    if looks.bald:
        return out
    out.append(ball(at(-0.022, 0, 0.035), s * np.array([0.097, 0.089, 0.102]), looks.hair))
    if looks.long_hair:
        out += [ball(at(-0.05, 0, -0.09), s * np.array([0.055, 0.095, 0.15]), looks.hair)]
    return out


def _limb(points: list[tuple[float, float, float]], radii: list[float], stuff: list[Material]) -> list[Part]:
    """Rods from joint to joint, a ball in each inner joint; the last point ends the limb."""
    out = []
    for i, (a, b) in enumerate(zip(points, points[1:], strict=False)):
        out.append(rod(a, b, radii[i], stuff[i], end=radii[i + 1]))
        if i:
            out.append(ball(a, radii[i], stuff[i - 1]))
    return out


def _arm(
    looks: _Looks, shoulder: tuple[float, float, float], side: float, swing: float, bend: float, s: float
) -> list[Part]:
    """An arm that hangs from the shoulder, swung to the front by `swing` degrees and bent at the elbow by `bend`."""
    a, b = np.radians(swing), np.radians(swing + bend)
    elbow = np.array(shoulder) + s * 0.29 * np.array([np.sin(a), side * 0.12, -np.cos(a)])
    hand = elbow + s * 0.25 * np.array([np.sin(b), -side * 0.05, -np.cos(b)])
    lower = looks.skin if looks.short_sleeves else looks.shirt
    out = _limb([shoulder, tuple(elbow), tuple(hand)], [0.05 * s, 0.039 * s, 0.027 * s], [looks.shirt, lower])
    return [
        ball(shoulder, s * np.array([0.058, 0.056, 0.056]), looks.shirt),
        *out,
        ball(hand + s * 0.05 * np.array([np.sin(b), 0, -np.cos(b)]), s * np.array([0.045, 0.028, 0.055]), looks.skin),
    ]


def _shoe(looks: _Looks, x: float, y: float, z: float, s: float) -> list[Part]:
    """A shoe below an ankle at (x, y), its sole at height z."""
    return [
        box((x - 0.07 * s, y - 0.045 * s, z), (x + 0.09 * s, y + 0.045 * s, z + 0.05 * s), looks.shoes),
        ball((x + 0.1 * s, y, z + 0.03 * s), s * np.array([0.085, 0.046, 0.03]), looks.shoes),
        ball((x - 0.01 * s, y, z + 0.055 * s), s * np.array([0.065, 0.043, 0.045]), looks.shoes),
    ]


def _torso(looks: _Looks, hip: float, s: float, lean: float = 0.0) -> tuple[list[Part], float, float]:
    """Trunk above the hips (height `hip`); its parts, the height of the shoulders and how far they lean to the front."""
    shoulder = hip + 0.5 * s
    out = [
        ball((0, 0, hip), s * np.array([0.12, 0.17, 0.12]), looks.trousers),
        upright(0, 0, (hip + 0.04 * s, shoulder - 0.03 * s), s * np.array([0.115, 0.155]), looks.shirt, taper=1.15),
        ball((0, 0, shoulder - 0.04 * s), s * np.array([0.125, 0.19, 0.085]), looks.shirt),
    ]
    return [turned(p, rot_y(lean), (0, 0, hip)) for p in out], shoulder, float(np.tan(np.radians(lean)) * 0.5 * s)


def _upright(rng: np.random.Generator, stride: float) -> Thing:
    """Someone on both feet; stride: degrees that the legs are apart, 0 for standing."""
    looks, s = _looks(rng), float(rng.uniform(0.86, 1.08))
    hip = 0.9 * s
    parts, shoulder, x = _torso(looks, hip, s, 3.0 if stride else 0.0)
    for side in (-1, 1):
        forth = side * stride
        a, b = np.radians(forth), np.radians(forth - (35 if stride and side < 0 else 0.3 * stride))
        knee = np.array([0, side * 0.095 * s, hip]) + 0.42 * s * np.array([np.sin(a), 0, -np.cos(a)])
        ankle = knee + 0.4 * s * np.array([np.sin(b), 0, -np.cos(b)])
        lower = looks.skin if looks.skirt else looks.trousers
        parts += _limb(
            [(0, side * 0.095 * s, hip), tuple(knee), tuple(ankle)], [0.088 * s, 0.062 * s, 0.045 * s], [lower, lower]
        )
        parts += _shoe(looks, ankle[0], ankle[1], max(ankle[2] - 0.08 * s, 0.0), s)
        swing, bend = (
            (-stride * side, 25.0) if stride else (float(rng.uniform(-8, 8)), float(pick(rng, (6, 12, 90), (5, 4, 1))))
        )
        parts += _arm(looks, (x, side * 0.19 * s, shoulder - 0.05 * s), side, swing, bend, s)
    if looks.skirt:
        parts.append(
            upright(0, 0, (hip - 0.42 * s, hip + 0.06 * s), s * np.array([0.26, 0.27]), looks.trousers, taper=0.55)
        )
    parts += _head(looks, shoulder + 0.07 * s, s, x)
    low = min(p.corners()[:, 2].min() for p in parts)
    return Thing("person", tuple(placed(parts, offset=(0, 0, -low))))


def standing(rng: np.random.Generator) -> Thing:
    """Someone who stands, 1.5 to 1.9 m tall (place 'floor')."""
    return _upright(rng, 0.0)


def walking(rng: np.random.Generator) -> Thing:
    """Someone in the middle of a step towards +x (place 'floor'); also for what moves."""
    return _upright(rng, float(rng.uniform(15, 25)))


def sitting(rng: np.random.Generator, seat: bool = True) -> Thing:
    """Someone who sits (place 'floor'), on a stool of class chair unless seat is False: then on air 0.45 m up."""
    looks, s = _looks(rng), float(rng.uniform(0.88, 1.05))
    hip, back = 0.45 + 0.09 * s, -0.18
    parts, shoulder, x = _torso(looks, hip, s, float(rng.uniform(0, 12)))
    for side in (-1, 1):
        spread = float(rng.uniform(0.1, 0.16)) * s
        knee = (0.43 * s, side * spread, hip)
        ankle = (0.43 * s + float(rng.uniform(-0.1, 0.08)), side * spread, 0.08 * s)
        lower = looks.skin if looks.skirt else looks.trousers
        parts += _limb(
            [(0, side * 0.095 * s, hip), knee, ankle], [0.088 * s, 0.064 * s, 0.045 * s], [looks.trousers, lower]
        )
        parts += _shoe(looks, ankle[0], ankle[1], 0.0, s)
        parts += _arm(
            looks,
            (x, side * 0.19 * s, shoulder - 0.05 * s),
            side,
            float(rng.uniform(20, 40)),
            float(rng.uniform(35, 60)),
            s,
        )
    parts += _head(looks, shoulder + 0.07 * s, s, x)
    if seat:
        stuff, top = finish(rng), 0.44
        parts += labelled(
            [
                box((-0.18, -0.19, top - 0.05), (0.2, 0.19, top), fabric(rng)),
                *(
                    rod((sx * 0.17, sy * 0.16, 0.012), (sx * 0.15, sy * 0.14, top - 0.05), 0.017, stuff)
                    for sx in (-1, 1)
                    for sy in (-1, 1)
                ),
            ],
            "chair",
        )
    return Thing("person", tuple(placed(parts, offset=(back, 0, 0))))


def person(rng: np.random.Generator) -> Thing:
    """Someone who stands, walks or sits."""
    return pick(rng, (standing, walking, sitting), (4, 3, 3))(rng)


KINDS: dict[str, dict[str, Builder]] = {"person": {"standing": standing, "walking": walking, "sitting": sitting}}
BUILDERS: dict[str, Builder] = {"person": person}
