# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fixtures of the building: doors with their frames, windows with their daylight."""
from __future__ import annotations

import numpy as np

from lsm_sim.furniture.parts import box, chance, fitted, flat, handle, metal, moved, paint, pick, rot_z, turned, wood
from lsm_sim.plan import JAMB, SIDES, Opening
from lsm_sim.shell import CASING
from lsm_sim.world import Lamp, Material, Part, Thing

PROUD = 0.016
"""Metres that the frame of a door stands out of the wall."""

DAYLIGHT = (0.82, 0.92, 1.0)
LEAF = 0.04


def opening_pose(o: Opening) -> np.ndarray:
    """T_world_opening (4, 4): origin on the floor under the opening's middle, x into room `zones[0]`, z up."""
    axis, sign = SIDES[o.side]
    T = np.eye(4)
    x = np.zeros(2)
    x[axis] = -sign
    T[:2, 0], T[:2, 1] = x, (-x[1], x[0])
    T[:2, 3] = o.center
    return T


def doorway(o: Opening, wall: float) -> Thing:
    """Frame of a doorway, and its open leaf if it has one, in the frame of `opening_pose`; wall: half its thickness."""
    rng = np.random.default_rng([o.style, 21])
    trim = _trim(rng)
    half, top = o.width / 2, o.height
    parts = [box((-wall, s * half, 0), (wall, s * (half + JAMB), top), trim) if s > 0 else
             box((-wall, -half - JAMB, 0), (wall, -half, top), trim) for s in (-1, 1)]
    parts.append(box((-wall, -half - JAMB, top), (wall, half + JAMB, top + JAMB), trim))
    for x in ((wall, wall + PROUD), (-wall - PROUD, -wall)):
        parts += _casing(half, top, x, trim)
    if o.leaf is not None:
        side, angle = o.leaf
        leaf = _leaf(o.width, top - 0.01, trim, rng)
        # The leaf hangs at y = 0 .. width of its own frame; turned about the hinge it ends beyond the jamb.
        turn = np.degrees(-angle if side < 0 else angle) + (0 if side < 0 else 180)
        hinge = np.array([wall + PROUD + LEAF / 2 + 0.004, side * (half + LEAF / 2 + 0.004), 0.006])
        parts += [moved(turned(p, rot_z(turn), (0, 0, 0)), hinge) for p in leaf]
    return Thing("door", tuple(parts))


def closed_door(o: Opening) -> Thing:
    """A shut door with its frame, flat before a wall, in the frame of `opening_pose`."""
    rng = np.random.default_rng([o.style, 22])
    trim = _trim(rng)
    parts = _casing(o.width / 2, o.height, (0.0, PROUD + 0.006), trim)
    front = _door_face(trim, rng)
    parts.append(box((0, -o.width / 2, 0.004), (PROUD - 0.006, o.width / 2, o.height), trim, front=front))
    side = float(rng.choice((-1, 1))) * (o.width / 2 - 0.08)
    parts += handle(PROUD - 0.006, side - np.sign(side) * 0.04, 1.02, metal(rng), length=0.13)
    return Thing("door", tuple(parts))


def window(o: Opening, wall: float, day: float) -> Thing:
    """A window in its reveal with what is seen through it, in the frame of `opening_pose`.

    wall: metres that the reveal is deep; day: 1 in daylight, 0 at night. Its lamp is the light that comes in.
    """
    rng = np.random.default_rng([o.style, 23])
    frame = flat(pick(rng, ("f5f5f2", "f5f5f2", "e8e2d5", "4a4a4a", "7a5a3c")), rng, 0.2)
    half, low, high = o.width / 2, o.sill, o.sill + o.height
    deep, t, bar = -wall - 0.06, 0.025, 0.045
    parts = [box((deep, -half, low), (0.004, -half + t, high), frame),
             box((deep, half - t, low), (0.004, half, high), frame),
             box((deep, -half + t, high - t), (0.004, half - t, high), frame),
             box((deep, -half + t, low), (0.004, half - t, low + t), frame)]
    view = Material("window_view", (1.0, 1.0, 1.0), int(rng.integers(64)), 1.0, 0.15 if day > 0.2 else 0.5,
                    float(0.05 + 1.2 * day))
    parts.append(box((deep - 0.02, -half, low), (deep, half, high), frame, front=view))
    x = (-wall - 0.03, -wall + 0.01)
    panes = 1 if o.width < 0.8 else 2 if o.width < 1.5 else int(rng.integers(2, 4))
    edges = np.linspace(-half + t, half - t, panes + 1)
    for k, y in enumerate(edges):
        a = y if k == 0 else y - bar if k == panes else y - bar / 2
        parts.append(box((x[0], a, low + t), (x[1], a + bar, high - t), frame))
    for a, b in zip(edges[:-1] + np.r_[bar, [bar / 2] * (panes - 1)], edges[1:] - np.r_[[bar / 2] * (panes - 1), bar],
                    strict=True):
        rails = [low + t, high - t - bar, *([low + 0.66 * o.height] if chance(rng, 0.3) else [])]
        parts += [box((x[0] + 0.001, a, z), (x[1] - 0.001, b, z + bar), frame) for z in rails]
    if chance(rng, 0.6):
        reach = float(rng.uniform(0.03, 0.09))
        parts.append(box((0.004, -half - 0.04, low - 0.03), (reach, half + 0.04, low + 0.004), frame))
    lamp = None
    if day > 0.05:
        power = float(np.clip(4.0 * day * o.width * o.height, 0.5, 9.0))
        lamp = Lamp(np.array([0.3, 0.0, (low + high) / 2]), DAYLIGHT, power, float(min(half, o.height / 2) * 0.7))
    return Thing("window", tuple(parts), "wall", True, lamp=lamp)


def _trim(rng: np.random.Generator) -> Material:
    return paint(rng, pick(rng, ("f4f2ec", "f4f2ec", "e8e8e8", "5c7480", "7e8c6a", "46525a"))) if chance(rng, 0.6) \
        else wood(rng)


def _door_face(trim: Material, rng: np.random.Generator) -> Material:
    return fitted("door", rng, 0.12) if chance(rng, 0.7) else trim


def _casing(half: float, top: float, x: tuple[float, float], trim: Material) -> list[Part]:
    outer = half + JAMB + CASING
    return [box((x[0], -outer, 0), (x[1], -half, top), trim), box((x[0], half, 0), (x[1], outer, top), trim),
            box((x[0], -outer, top), (x[1], outer, top + JAMB + CASING), trim)]


def _leaf(width: float, height: float, trim: Material, rng: np.random.Generator) -> list[Part]:
    """A leaf that hangs at the origin, along +y, its handles on both sides."""
    face, knob = _door_face(trim, rng), metal(rng)
    parts = [box((-LEAF / 2, 0, 0), (LEAF / 2, width, height), trim, front=face, back=face)]
    for s in (-1, 1):
        x = sorted((s * (LEAF / 2 + 0.035), s * (LEAF / 2 + 0.02)))
        parts.append(box((x[0], width - 0.17, 1.01), (x[1], width - 0.05, 1.03), knob))
        x = sorted((s * LEAF / 2, s * (LEAF / 2 + 0.02)))
        parts.append(box((x[0], width - 0.07, 1.005), (x[1], width - 0.05, 1.035), knob))
    return parts
