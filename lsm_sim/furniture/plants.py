# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Plants in pots and flowers in vases."""

from __future__ import annotations

from functools import partial

import numpy as np

from lsm_sim.furniture.parts import (
    BRIGHTS,
    Builder,
    ball,
    box,
    chance,
    flat,
    pick,
    placed,
    plastic,
    rod,
    rot_y,
    rot_z,
    turned,
    upright,
    wood,
)
from lsm_sim.world import Material, Part, Shape, Thing

_GREENS = ("3f6b34", "56803f", "2f5530", "6f9a4a", "7f9f6a", "48704f", "8aa65a")


def _green(rng: np.random.Generator) -> Material:
    """Leaves, smooth or mottled."""
    return flat(pick(rng, _GREENS), rng, float(rng.uniform(0, 0.25)), pick(rng, ("plain", "noise", "fabric")), 0.2)


def _pot(rng: np.random.Generator, r: float, h: float) -> list[Part]:
    """A pot with earth, round or square, maybe on feet."""
    clay = pick(
        rng,
        (
            flat(pick(rng, ("b5603a", "9a5a3c", "d8d2c6", "f2f1ed", "3a3b3d", "6f7a72")), rng, 0.1),
            plastic(rng),
            Material("wicker", (0.75, 0.55, 0.35), int(rng.integers(64)), 0.2),
        ),
    )
    earth = flat("3b2a1e", rng, texture="noise", scale=0.2)
    kind = pick(rng, ("cone", "drum", "cube", "bowl", "feet"), (5, 2, 2, 2, 2))
    if kind == "cube":
        return [
            box((-r, -r, 0), (r, r, h), clay),
            box((-0.86 * r, -0.86 * r, h), (0.86 * r, 0.86 * r, h + 0.004), earth),
        ]
    if kind == "bowl":
        return [upright(0, 0, (0, h), 0.55 * r, clay, taper=1.8), upright(0, 0, (h, h + 0.004), 0.9 * r, earth)]
    foot = 0.35 * h if kind == "feet" else 0.0
    taper = 1.0 if kind == "drum" else float(rng.uniform(1.2, 1.5))
    out = [upright(0, 0, (foot, h), r / taper, clay, taper=taper), upright(0, 0, (h, h + 0.004), 0.9 * r, earth)]
    if kind == "cone":
        out.append(upright(0, 0, (0.82 * h, h + 0.002), 1.05 * r, clay, top=earth))
    if foot:
        stuff = wood(rng)
        out += [
            rod(
                (0.9 * r * np.cos(a), 0.9 * r * np.sin(a), 0.007),
                (0.65 * r * np.cos(a), 0.65 * r * np.sin(a), foot + 0.02),
                0.012,
                stuff,
            )
            for a in np.radians((30, 120, 210, 300))
        ]
    return out


def _leaf(base: np.ndarray, heading: float, rise: float, size: tuple[float, float], stuff: Material) -> Part:
    """A flat oval leaf that starts at `base` and points to a heading and a rise (degrees); size: length and width."""
    R = rot_z(heading) @ rot_y(-rise)
    return Part(Shape.ELLIPSOID, base + R @ (size[0] / 2, 0, 0), np.array([size[0] / 2, size[1] / 2, 0.006]), stuff, R)


def _bushy(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """Stems that carry broad leaves on all sides (rubber plant, monstera, pothos)."""
    stuff, out, stem = _green(rng), [], flat("5a6b3a", rng)
    for _ in range(int(rng.integers(3, 6))):
        a, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.35)
        low = np.array([0.4 * r * np.cos(a), 0.4 * r * np.sin(a), z])
        high = low + tall * rng.uniform(0.65, 1.0) * np.array([lean * np.cos(a), lean * np.sin(a), 1.0])
        out.append(rod(low, high, 0.006 + 0.006 * tall, stem, end=0.004))
        for share in np.linspace(0.35, 1.0, int(rng.integers(4, 7))):
            long = tall * rng.uniform(0.2, 0.32)
            out.append(
                _leaf(
                    low + share * (high - low),
                    float(rng.uniform(0, 360)),
                    float(rng.uniform(-30, 45)),
                    (long, 0.55 * long),
                    stuff,
                )
            )
    return out


def _blades(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """Stiff upright blades (snake plant)."""
    stuff, out = _green(rng), []
    for _ in range(int(rng.integers(9, 18))):
        a, h = rng.uniform(0, 360), tall * rng.uniform(0.5, 1.0)
        blade = upright(0, 0, (z, z + h), (0.02 + 0.03 * tall, 0.006), stuff, taper=0.15)
        R = rot_z(a) @ rot_y(float(rng.uniform(2, 16)))
        x, y = rng.uniform(0.1, 0.55) * r * np.array([np.cos(np.radians(a)), np.sin(np.radians(a))])
        out.append(
            turned(
                Part(
                    blade.shape,
                    blade.center + (x, y, 0),
                    blade.half,
                    stuff,
                    rot_z(float(rng.uniform(0, 180))),
                    blade.taper,
                ),
                R,
                (x, y, z),
            )
        )
    return out


def _palm(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """A trunk with long leaves that arch outwards."""
    tall = min(tall, 1.1)
    stuff, bark = _green(rng), flat("7a5c3c", rng, texture="wood", scale=0.3)
    top = z + tall * rng.uniform(0.35, 0.6)
    out = [upright(0, 0, (z, top), 0.02 + 0.012 * tall, bark, taper=0.7)]
    n, turn = int(rng.integers(9, 15)), rng.uniform(0, 360)
    for i in range(n):
        heading, long = turn + i * 137.5, tall * rng.uniform(0.3, 0.45)
        first = _leaf(np.array([0, 0, top]), heading, float(rng.uniform(25, 75)), (long, 0.16 * long), stuff)
        tip = first.center + first.R @ (0.42 * long, 0, 0)
        out += [first, _leaf(tip, heading, float(rng.uniform(-55, -5)), (0.8 * long, 0.13 * long), stuff)]
    return out


def _tree(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """A thin trunk with a crown of leaves (ficus, olive)."""
    bark, out = flat("6b5238", rng, texture="wood", scale=0.3), []
    crown = Material("leaves", (1.0, 1.0, 1.0), int(rng.integers(64)), float(rng.uniform(0.25, 0.5)))
    middle, size = z + 0.68 * tall, 0.3 * tall
    out.append(upright(0, 0, (z, middle), 0.012 + 0.012 * tall, bark, taper=0.7))
    for i in range(int(rng.integers(5, 10))):
        a, k = i * 2.4, 0.0 if i == 0 else rng.uniform(0.35, 0.75)
        out.append(
            ball(
                (k * size * np.cos(a), k * size * np.sin(a), middle + rng.uniform(-0.5, 0.5) * size),
                size * rng.uniform(0.4, 0.62, 3),
                crown,
            )
        )
    leaf, balls = _green(rng), out[1:]
    for i in range(12):
        a, up, core = rng.uniform(0, 2 * np.pi), rng.uniform(-0.7, 0.7), balls[i % len(balls)]
        toward = np.array([np.sqrt(1 - up**2) * np.cos(a), np.sqrt(1 - up**2) * np.sin(a), up])
        base = core.center + 0.95 * toward * core.half
        out.append(_leaf(base, float(np.degrees(a)), float(rng.uniform(-40, 60)), (0.45 * size, 0.2 * size), leaf))
    return out


def _fern(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """Many narrow leaves that rise and hang over the pot (fern, spider plant)."""
    stuff, out = _green(rng), []
    for i in range(int(rng.integers(10, 18))):
        heading, long, up = i * 137.5, tall * rng.uniform(0.45, 0.7), float(rng.uniform(35, 80))
        first = _leaf(np.array([0, 0, z]), heading, up, (long, 0.12 * long), stuff)
        tip = first.center + first.R @ (0.42 * long, 0, 0)
        out += [first, _leaf(tip, heading, float(rng.uniform(-60, 0)), (0.75 * long, 0.1 * long), stuff)]
    return out


def _cactus(rng: np.random.Generator, r: float, z: float, tall: float) -> list[Part]:
    """A column with arms, or balls that carry balls."""
    stuff = flat(pick(rng, ("4d7048", "5f8a5a", "3f6b4f")), rng, 0.05, "stripes", 0.08)
    if chance(rng, 0.5):
        k = 0.45 * r
        out = [upright(0, 0, (z, z + 0.85 * tall), k, stuff), ball((0, 0, z + 0.85 * tall), (k, k, 0.15 * tall), stuff)]
        for s in (-1, 1)[: int(rng.integers(1, 3))]:
            h, y = z + tall * rng.uniform(0.3, 0.5), s * 2.2 * k
            out += [
                rod((0, 0, h), (0, y, h), 0.55 * k, stuff),
                ball((0, y, h), 0.56 * k, stuff),
                upright(0, y, (h, h + 0.3 * tall), 0.55 * k, stuff),
                ball((0, y, h + 0.3 * tall), 0.55 * k, stuff),
            ]
        return out
    out, low, k = [], z, 0.8 * r
    for _ in range(int(rng.integers(1, 4))):
        out.append(ball((0, 0, low + 0.8 * k), (k, k, 0.9 * k), stuff))
        low, k = low + 1.5 * k, 0.65 * k
    out.append(ball((0, 0, low + 0.3 * k), 0.35 * k, flat(pick(rng, ("d46a8b", "e2b33c", "f2f2f0")), rng)))
    return out


def _vase(rng: np.random.Generator) -> Thing:
    """Cut flowers in a vase."""
    r, h, glass = rng.uniform(0.04, 0.065), rng.uniform(0.14, 0.24), plastic(rng)
    out = (
        [upright(0, 0, (0, h), r, glass, taper=float(rng.uniform(0.6, 1.3)))]
        if chance(rng, 0.5)
        else [
            ball((0, 0, 0.45 * h), (r * 1.2, r * 1.2, 0.45 * h), glass),
            upright(0, 0, (0.8 * h, h), 0.5 * r, glass, taper=1.4),
            upright(0, 0, (0, 0.02), 0.7 * r, glass),
        ]
    )
    petal, stem, green = flat(pick(rng, BRIGHTS), rng), flat("56803f", rng), _green(rng)
    for i in range(int(rng.integers(4, 9))):
        a, k, up = i * 2.4, rng.uniform(0.03, 0.12), h + rng.uniform(0.1, 0.24)
        tip = np.array([k * np.cos(a), k * np.sin(a), up])
        out += [
            rod((0.1 * k * np.cos(a), 0.1 * k * np.sin(a), 0.9 * h), tip, 0.003, stem),
            ball(tip, (0.03, 0.03, 0.02), petal),
            ball(tip + (0, 0, 0.015), 0.012, flat("e2b33c")),
        ]
        if chance(rng, 0.6):
            out.append(_leaf(0.5 * (tip + (0, 0, h)), float(np.degrees(a)), 30.0, (0.09, 0.035), green))
    return Thing("plant", tuple(out), "top")


def plant(rng: np.random.Generator, small: bool | None = None) -> Thing:
    """A plant in a pot, 0.5 to 2 m high (place 'floor') or small, 0.12 to 0.5 m (place 'top'), or flowers in a vase."""
    small = chance(rng, 0.45) if small is None else small
    if small and chance(rng, 0.25):
        return _vase(rng)
    tall = float(rng.uniform(0.12, 0.35) if small else rng.uniform(0.45, 1.5))
    r = float(rng.uniform(0.05, 0.08) if small else rng.uniform(0.12, 0.2))
    kinds = (_bushy, _blades, _fern, _cactus) if small else (_bushy, _blades, _palm, _tree, _fern, _cactus)
    kind = pick(rng, kinds, (3, 3, 3, 3) if small else (4, 2, 3, 3, 1, 1))
    if kind is _fern:
        tall = min(tall, 0.6)
    h = r * float(rng.uniform(1.2, 2.2)) + (0.2 if kind is _fern and not small else 0)
    parts = [*_pot(rng, r, h), *kind(rng, r, h, tall)]
    corners = np.concatenate([p.corners() for p in parts])
    middle = (corners.min(0) + corners.max(0)) / 2
    return Thing("plant", tuple(placed(parts, offset=(-middle[0], -middle[1], 0))), "top" if small else "floor")


KINDS: dict[str, dict[str, Builder]] = {
    "plant": {"large": partial(plant, small=False), "small": partial(plant, small=True)}
}
BUILDERS: dict[str, Builder] = {"plant": plant}
