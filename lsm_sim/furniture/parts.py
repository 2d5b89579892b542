# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Building blocks of furniture: solids by their corners or ends, legs, cushions, fronts with handles.

All in the frame of the thing: x its front, z up, metres. The looks of `looks` are offered here too.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from lsm_sim.furniture.looks import (  # builders take all of it from here
    BRIGHTS as BRIGHTS,
)
from lsm_sim.furniture.looks import (
    FABRICS as FABRICS,
)
from lsm_sim.furniture.looks import (
    LEATHERS as LEATHERS,
)
from lsm_sim.furniture.looks import (
    METALS as METALS,
)
from lsm_sim.furniture.looks import (
    PAINTS as PAINTS,
)
from lsm_sim.furniture.looks import (
    PICTURE_MEAN as PICTURE_MEAN,
)
from lsm_sim.furniture.looks import (
    WOODS as WOODS,
)
from lsm_sim.furniture.looks import (
    chance as chance,
)
from lsm_sim.furniture.looks import (
    cover as cover,
)
from lsm_sim.furniture.looks import (
    enamel as enamel,
)
from lsm_sim.furniture.looks import (
    fabric as fabric,
)
from lsm_sim.furniture.looks import (
    finish as finish,
)
from lsm_sim.furniture.looks import (
    fitted as fitted,
)
from lsm_sim.furniture.looks import (
    flat as flat,
)
from lsm_sim.furniture.looks import (
    leather as leather,
)
from lsm_sim.furniture.looks import (
    metal as metal,
)
from lsm_sim.furniture.looks import (
    paint as paint,
)
from lsm_sim.furniture.looks import (
    pick as pick,
)
from lsm_sim.furniture.looks import (
    plastic as plastic,
)
from lsm_sim.furniture.looks import (
    rgb as rgb,
)
from lsm_sim.furniture.looks import (
    shadow as shadow,
)
from lsm_sim.furniture.looks import (
    steel as steel,
)
from lsm_sim.furniture.looks import (
    stone as stone,
)
from lsm_sim.furniture.looks import (
    tint as tint,
)
from lsm_sim.furniture.looks import (
    wood as wood,
)
from lsm_sim.furniture.looks import (
    worktop as worktop,
)
from lsm_sim.world import Material, Part, Shape, Thing

Builder = Callable[[np.random.Generator], Thing]
"""Makes one thing of a class, its type, sizes and looks drawn from the generator."""

EPS = 0.002
"""Metres that a face stands out so that it does not lie in the plane of another."""

def box(low: Sequence[float], high: Sequence[float], material: Material, *, label: str | None = None,
        **faces: Material) -> Part:
    """Box between two corners (3,); faces: back, front, right, left, bottom, top."""
    a, b = np.asarray(low, float), np.asarray(high, float)
    return Part(Shape.BOX, (a + b) / 2, (b - a) / 2, material, faces=faces, label=label)


def cylinder(center: Sequence[float], radius: float | tuple[float, float], height: float, material: Material, *,
             axis: str = "z", taper: float = 1.0, label: str | None = None, **faces: Material) -> Part:
    """Cylinder about its middle; radius: one or two (elliptic); axis: 'x', 'y' or 'z', along which its top lies.

    With axis 'x' the two radii are along (z, y), with 'y' along (x, z). taper: radius at the top over that at the bottom.
    """
    rx, ry = (radius, radius) if np.isscalar(radius) else radius
    R = {"z": np.eye(3), "x": rot_y(90), "y": rot_x(-90)}[axis]
    return Part(Shape.CYLINDER, np.asarray(center, float), np.array([rx, ry, height / 2]), material, R, taper, faces,
                label)


def upright(x: float, y: float, z: tuple[float, float], radius: float | tuple[float, float], material: Material,
            **more) -> Part:
    """Cylinder that stands from z[0] to z[1]."""
    return cylinder((x, y, (z[0] + z[1]) / 2), radius, z[1] - z[0], material, **more)


def ball(center: Sequence[float], radius: float | Sequence[float], material: Material, *,
         label: str | None = None) -> Part:
    """Ball, or ellipsoid with three radii."""
    return Part(Shape.ELLIPSOID, np.asarray(center, float), np.broadcast_to(np.asarray(radius, float), (3,)).copy(),
                material, label=label)


def rod(a: Sequence[float], b: Sequence[float], radius: float, material: Material, *, end: float | None = None,
        label: str | None = None) -> Part:
    """Round rod from point a to point b, with radius `radius` at a and `end` (if given) at b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    length = float(np.linalg.norm(b - a))
    if not length > 0:
        raise ValueError(f"a rod needs two different ends, got {a.tolist()} twice")
    z = (b - a) / length
    x = np.cross(z, (0.0, 0.0, 1.0)) if abs(z[2]) < 0.999 else np.array([1.0, 0.0, 0.0])
    x -= z * (x @ z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z], axis=1)
    return Part(Shape.CYLINDER, (a + b) / 2, np.array([radius, radius, length / 2]), material, R,
                1.0 if end is None else end / radius, label=label)


def rot_x(degrees: float) -> np.ndarray:
    """(3, 3) rotation about x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def rot_y(degrees: float) -> np.ndarray:
    """(3, 3) rotation about y: a positive angle leans what is upright towards +x."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rot_z(degrees: float) -> np.ndarray:
    """(3, 3) rotation about z: a positive angle turns x towards y."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def turned(part: Part, R: np.ndarray, about: Sequence[float] | None = None) -> Part:
    """The part turned by R (3, 3) about a point (3,), by default about its own middle."""
    p = part.center if about is None else np.asarray(about, float)
    return replace(part, center=p + R @ (part.center - p), R=R @ part.R)


def moved(part: Part, offset: Sequence[float]) -> Part:
    """The part shifted by an offset (3,)."""
    return replace(part, center=part.center + np.asarray(offset, float))


def placed(parts: Iterable[Part], degrees: float = 0.0, offset: Sequence[float] = (0, 0, 0)) -> list[Part]:
    """Parts turned together about z through the origin, then shifted."""
    R = rot_z(degrees)
    return [moved(turned(p, R, (0, 0, 0)), offset) for p in parts]


def mirrored(parts: Iterable[Part]) -> list[Part]:
    """Parts mirrored left to right (y to -y)."""
    M, swap = np.diag((1.0, -1.0, 1.0)), {"left": "right", "right": "left"}
    return [replace(q, center=M @ q.center, R=M @ q.R @ M, faces={swap.get(k, k): m for k, m in q.faces.items()})
            for q in parts]


def labelled(parts: Iterable[Part], label: str) -> list[Part]:
    """Parts with a class of their own."""
    return [replace(p, label=label) for p in parts]


def legs(half: tuple[float, float], height: float, thickness: float, material: Material, kind: str = "square",
         splay: float = 0.0) -> list[Part]:
    """Four legs from the floor to z = height; half: outer half extents (x, y) at the top.

    kind: 'square', 'round' or 'tapered' (thinner at the floor); splay: metres that feet stand out, not for 'square'.
    """
    r = thickness / 2
    out = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (half[0] - r), sy * (half[1] - r)
            if kind == "square":
                out.append(box((x - r, y - r, 0), (x + r, y + r, height), material))
                continue
            foot = np.array([x + sx * splay, y + sy * splay, 0.0])
            low = r if kind == "round" else 0.6 * r
            lean = np.sqrt(2) * splay / np.hypot(np.sqrt(2) * splay, height)
            foot[2] = low * lean
            out.append(rod(foot, (x, y, height - r * lean), low, material, end=r))
    return out


def cushion(low: Sequence[float], high: Sequence[float], material: Material, *, axis: str = "y", front_only: bool = False,
            label: str | None = None) -> list[Part]:
    """Upholstered slab between two corners, its two edges along the axis ('x' or 'y') rounded; thin side is z.

    front_only: the edge at the lower corner stays sharp, because it is hidden.
    """
    a, b = np.asarray(low, float), np.asarray(high, float)
    r, across = (b[2] - a[2]) / 2, 0 if axis == "y" else 1
    if b[across] - a[across] <= 2.5 * r:
        return [box(a, b, material, label=label)]
    inset = np.zeros(3)
    inset[across] = r
    length = b[1 - across] - a[1 - across]
    out = [box(a if front_only else a + inset, b - inset, material, label=label)]
    for edge in (b[across] - r,) if front_only else (a[across] + r, b[across] - r):
        middle = (a + b) / 2
        middle[across] = edge
        out.append(cylinder(middle, r, length, material, axis=axis, label=label))
    return out


def pillow(center: Sequence[float], size: Sequence[float], material: Material, *, R: np.ndarray | None = None,
           label: str | None = "pillow") -> list[Part]:
    """Soft pillow of full size (3,), thin along z before it is turned by R about its middle: its corners are round too."""
    c, s = np.asarray(center, float), np.asarray(size, float) / 2
    out, diagonal = [ball(c, s, material, label=label)], float(np.hypot(s[0], s[1]))
    for side in (-1, 1):
        corners = ball(c, (0.84 * diagonal, 0.7 * min(s[0], s[1]), 0.85 * s[2]), material, label=label)
        out.append(turned(corners, rot_z(side * float(np.degrees(np.arctan2(s[1], s[0]))))))
    return out if R is None else [turned(p, R, c) for p in out]


def extent(parts: Iterable[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Low and high corner (3,) of parts, exact for round ones, of which Part.corners takes the boxes around them."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for q in parts:
        if q.shape == Shape.CYLINDER:
            r = np.linalg.norm(q.R[:, :2] * q.half[:2], axis=1)
            ends = [(q.center - q.R[:, 2] * q.half[2], r), (q.center + q.R[:, 2] * q.half[2], r * q.taper)]
        elif q.shape == Shape.ELLIPSOID:
            ends = [(q.center, np.linalg.norm(q.R * q.half, axis=1))]
        else:
            ends = [(q.center, np.abs(q.R) @ q.half)]
        for c, r in ends:
            low, high = np.minimum(low, c - r), np.maximum(high, c + r)
    return low, high


def frame(width: float, height: float, bar: float, x: tuple[float, float], z: float, material: Material) -> list[Part]:
    """Upright rectangular frame of four bars in the plane across x, centred at y = 0, from height z up."""
    w = width / 2
    return [box((x[0], -w, z), (x[1], -w + bar, z + height), material),
            box((x[0], w - bar, z), (x[1], w, z + height), material),
            box((x[0], -w + bar, z), (x[1], w - bar, z + bar), material),
            box((x[0], -w + bar, z + height - bar), (x[1], w - bar, z + height), material)]


def handle(x: float, y: float, z: float, material: Material, *, length: float = 0.12, axis: str = "y",
           kind: str = "bar") -> list[Part]:
    """Handle on a front at x: a 'bar' of a length along an axis, a 'knob', or none ('none')."""
    if kind == "none":
        return []
    if kind == "knob":
        return [cylinder((x + 0.012, y, z), 0.014, 0.024, material, axis="x")]
    half = np.array([0.012, 0.006, 0.006])
    half["xyz".index(axis)] = length / 2
    c = np.array([x + 0.013, y, z])
    return [box(c - half, c + half, material)]


def spans(low: float, high: float, n: int, gap: float = 0.004) -> list[tuple[float, float]]:
    """n equal stretches from low to high with a gap between them and half a gap at the ends."""
    edges = np.linspace(low, high, n + 1)
    return [(float(a) + gap / 2, float(b) - gap / 2) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def drawer_fronts(x: float, y: tuple[float, float], z: tuple[float, float], n: int, material: Material,
                  grip: Callable[[float, float, float], list[Part]]) -> list[Part]:
    """n drawer fronts above each other on the plane x, each with the handle that grip(x, y, z) makes in its middle."""
    out = []
    for a, b in spans(*z, n):
        out.append(box((x - 0.012, y[0] + 0.002, a), (x + 0.018, y[1] - 0.002, b), material))
        out += grip(x + 0.018, (y[0] + y[1]) / 2, (a + b) / 2 if b - a < 0.22 else b - 0.06)
    return out


def door_fronts(x: float, y: tuple[float, float], z: tuple[float, float], n: int, material: Material,
                grip: Callable[[float, float, float], list[Part]], *, panel: Material | None = None,
                grip_z: float | None = None) -> list[Part]:
    """n doors beside each other on the plane x, handles where pairs meet; panel: looks of a field set on each door."""
    out = []
    for k, (a, b) in enumerate(spans(*y, n)):
        out.append(box((x - 0.012, a, z[0] + 0.002), (x + 0.018, b, z[1] - 0.002), material))
        if panel is not None:
            m = min(0.09, (b - a) / 5)
            out.append(box((x + 0.016, a + m, z[0] + m), (x + 0.022, b - m, z[1] - m), panel))
        edge = b - 0.03 if k % 2 == 0 and n > 1 else a + 0.03
        out += grip(x + 0.018, edge, grip_z if grip_z is not None else (z[0] + z[1]) / 2)
    return out


def grips(rng: np.random.Generator, axis: str = "y") -> Callable[[float, float, float], list[Part]]:
    """A maker of handles of one look: bars along an axis, knobs, or none; see `handle`."""
    kind, look = pick(rng, ("bar", "knob", "none"), (5, 4, 1)), metal(rng)
    length = float(rng.uniform(0.08, 0.2))
    return lambda x, y, z: handle(x, y, z, look, length=length, axis=axis, kind=kind)
