# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Random points on the faces of solids, with what makes them even by area."""
from __future__ import annotations

import numpy as np

from lsm_sim.world import Shape, World


def faces_of(world: World, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (part, face) and an upper bound of each face's area: density of `sample_faces` is that bound times its share."""
    rows, areas = [], []
    for p in parts:
        (a, b, c), taper = world.half[p], float(world.taper[p])
        if world.shape[p] == Shape.BOX:
            area = [4 * b * c] * 2 + [4 * a * c] * 2 + [4 * a * b] * 2
        elif world.shape[p] == Shape.CYLINDER:
            slope = (taper - 1) / 2
            side = max(1, taper) * np.hypot(c * max(a, b), a * b * slope)
            area = [4 * np.pi * side, np.pi * a * b, np.pi * a * b * taper**2]
        else:
            area = [4 * np.pi * a * b * c / min(a, b, c)]
        rows += [(p, face) for face in range(len(area))]
        areas += area
    return np.array(rows), np.array(areas)


def sample_faces(world: World, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A point on each face: points (M, 3), outward normals (M, 3), and the share of points to keep so that they are even."""
    part, face = rows.T
    half, taper, shape = world.half[part], world.taper[part].astype(float), world.shape[part]
    random = rng.random((len(part), 3))
    unit, normal, share = np.zeros((len(part), 3)), np.zeros((len(part), 3)), np.ones(len(part))
    m = shape == Shape.BOX
    unit[m], normal[m] = _on_box(face[m], random[m])
    m = (shape == Shape.CYLINDER) & (face > 0)
    unit[m], normal[m] = _on_disc(face[m], taper[m], random[m])
    m = (shape == Shape.CYLINDER) & (face == 0)
    unit[m], normal[m], share[m] = _on_side(half[m], taper[m], random[m])
    m = shape == Shape.ELLIPSOID
    unit[m], normal[m], share[m] = _on_ellipsoid(half[m], random[m])
    R = world.R[part]
    points = world.center[part] + np.einsum("mij,mj->mi", R, unit * half)
    return points, np.einsum("mij,mj->mi", R, normal), share


def _on_box(face: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unit, normal = 2 * random - 1, np.zeros_like(random)
    rows, sign = np.arange(len(face)), 2.0 * (face % 2) - 1
    unit[rows, face // 2] = sign
    normal[rows, face // 2] = sign
    return unit, normal


def _on_disc(face: np.ndarray, taper: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sign = np.where(face == 1, -1.0, 1.0)
    radius = np.sqrt(random[:, 0]) * np.where(face == 1, 1.0, taper)
    angle = 2 * np.pi * random[:, 1]
    zero = np.zeros_like(sign)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), sign], -1), np.stack([zero, zero, sign], -1)


def _on_side(half: np.ndarray, taper: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a cone: even in angle and height; the share makes up for the area that these span."""
    angle, z = 2 * np.pi * random[:, 0], 2 * random[:, 1] - 1
    a, b, c = half.T
    cos, sin, slope = np.cos(angle), np.sin(angle), (taper - 1) / 2
    radius = 1 + slope * (z + 1)
    normal = np.stack([c * b * cos, c * a * sin, -a * b * slope], -1)
    length = np.linalg.norm(normal, axis=1)
    most = np.maximum(1, taper) * np.hypot(c * np.maximum(a, b), a * b * slope)
    unit = np.stack([radius * cos, radius * sin, z], -1)
    return unit, normal / length[:, None], radius * length / most


def _on_ellipsoid(half: np.ndarray, random: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Even on the sphere; the share makes up for how the stretching changes areas."""
    z, angle = 2 * random[:, 0] - 1, 2 * np.pi * random[:, 1]
    radius = np.sqrt(1 - z * z)
    unit = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], -1)
    normal = unit / half
    length = np.linalg.norm(normal, axis=1)
    return unit, normal / length[:, None], length * half.min(1)
