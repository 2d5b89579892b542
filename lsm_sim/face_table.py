# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Places of points on faces: for each face of each part, the place (s, t) in [0, 1]^2, normal, picture and light map.

(s, t) is affine in the point for flat faces: s to the right and t downwards as one looks at the face from outside with the
part's z axis upwards (the top as seen from its front). Where wood has its grain along the longer side instead, s and t
change places. For the sides of cylinders and ellipsoids s is the angle about z and t runs from the top to the bottom.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_sim.world import MAX_FACES, Shape, World

GRAINED = ("wood", "metal")
"""Families of pictures whose columns run along the longer side of a face, but for walls, floors and ceilings."""

FLAT, TUBE, BALL = 0, 1, 2
"""Kinds of faces: flat, side of a cylinder, ellipsoid."""

COLUMNS = ("nx", "ny", "nz", "sx", "sy", "sz", "s0", "tx", "ty", "tz", "t0",
           "ru", "ou", "rv", "ov", "red", "green", "blue", "gloss", "glow", "texels_per_m", "fitted", "nu", "nv")
"""Columns of `FaceTable.values`: normal; s and t as affine functions of the point in the part's outer frame; u = ru s + ou
and v = rv t + ov in pictures; color, gloss, glow; texels a metre at the finest; whether the picture is fitted; samples
of the light map along s and t.
"""

# Of a box (back, front, right, left, bottom, top): the axis and sign of the normal, of s and of t.
_BOX_AXES = np.array([[0, -1, 1, -1, 2, -1], [0, 1, 1, 1, 2, -1], [1, -1, 0, 1, 2, -1], [1, 1, 0, -1, 2, -1],
                      [2, -1, 1, -1, 0, 1], [2, 1, 1, 1, 0, 1]])


@dataclass(frozen=True)
class FaceTable:
    """One column for each of the F = 6 P faces of P parts (part * 6 + face).

    values (len(COLUMNS), F) float32; picture (F,) int32; light (F,) int32, first sample of the face's light map among all;
    kind (F,) uint8; inner (F, 3, 4) float32, from the part's outer frame to its unit frame; swapped (F,) bool, s and t of
    a curved face change places; size (F, 2) metres along s and t; samples: how many all light maps have. The outer frame
    is the world, or a mover's frame.
    """

    values: np.ndarray
    picture: np.ndarray
    light: np.ndarray
    kind: np.ndarray
    inner: np.ndarray
    taper: np.ndarray
    swapped: np.ndarray
    size: np.ndarray
    samples: int

    def __getitem__(self, name: str) -> np.ndarray:
        """(F,) column of `values` by its name."""
        return self.values[COLUMNS.index(name)]


def build_face_table(world: World, index: Sequence[int], fitted: Sequence[bool], side: int, spacing: float) -> FaceTable:
    """Table of a world.

    index, fitted: the picture of each of the world's materials and whether its family is fitted to a face; side: texels
    of a picture; spacing: metres between the samples of light maps.
    """
    P = len(world)
    R, center, half = world.R, world.center, world.half
    shape, taper = world.shape.astype(int), world.taper.astype(np.float64)
    families = np.array([m.texture in GRAINED for m in world.materials])
    axes = np.tile(_BOX_AXES, (P, 1, 1))
    material = world.material.astype(int)
    # Cylinders have the faces side, bottom, top; ellipsoids one.
    tube, ball = shape == Shape.CYLINDER, shape == Shape.ELLIPSOID
    axes[tube, 1], axes[tube, 2] = _BOX_AXES[4], _BOX_AXES[5]
    kind = np.zeros((P, MAX_FACES), np.uint8)
    kind[tube, 0], kind[ball, 0] = TUBE, BALL
    reach = np.repeat(half[:, None], MAX_FACES, 1)
    reach[tube, 2, :2] *= np.maximum(taper[tube, None], 1e-3)
    rows = np.arange(P)[:, None], np.arange(MAX_FACES)[None]
    s_half, t_half = reach[(*rows, axes[..., 2])], reach[(*rows, axes[..., 4])]
    size = np.stack([2 * s_half, 2 * t_half], -1)
    mean = 0.5 * (half[:, 0] + half[:, 1])
    size[tube, 0] = np.stack([2 * np.pi * mean * np.maximum(1, taper), 2 * half[:, 2]], -1)[tube]
    size[ball, 0] = np.stack([2 * np.pi * mean, np.pi * 0.5 * (mean + half[:, 2])], -1)[ball]
    shell = [i for i, name in world.label_space.names.items() if name in ("wall", "floor", "ceiling")]
    swapped = families[material] & (size[..., 1] > size[..., 0]) & ~np.isin(world.label, shell)[:, None]
    flat = kind == FLAT
    axes[swapped & flat] = axes[swapped & flat][:, [0, 1, 4, 5, 2, 3]]
    size[swapped] = size[swapped][:, ::-1]
    values = np.zeros((len(COLUMNS), P, MAX_FACES), np.float32)
    values[0:3] = _direction(R, axes[..., 0], axes[..., 1]).transpose(2, 0, 1)
    offsets = {}
    for k, (c, a) in enumerate(((3, 2), (7, 4))):
        direction = _direction(R, axes[..., a], axes[..., a + 1])
        offsets[k] = np.einsum("pi,pfi->pf", center, direction)
        slope = direction / size[..., k, None]
        values[c:c + 3] = slope.transpose(2, 0, 1)
        values[c + 3] = 0.5 - np.einsum("pi,pfi->pf", center, slope)
    _pictures(values, world, material, size, offsets, np.asarray(fitted)[material], kind != FLAT, side)
    wraps = kind != FLAT
    counts = [np.clip(np.ceil(size[..., k] / spacing).astype(int) + 1, np.where(wraps, 9 - 4 * k, 2), 2048) for k in (0, 1)]
    values[22], values[23] = counts
    total = np.where(_used(shape), counts[0] * counts[1], 0).ravel()
    inner = np.zeros((P, MAX_FACES, 3, 4), np.float32)
    unit = R.transpose(0, 2, 1) / half[:, :, None]
    inner[..., :3] = unit[:, None]
    inner[..., 3] = -np.einsum("pij,pj->pi", unit, center)[:, None]
    F = P * MAX_FACES
    picture = np.asarray(index, np.int32)[material]
    return FaceTable(values.reshape(len(COLUMNS), F), picture.reshape(F), (np.cumsum(total) - total).astype(np.int32),
                     kind.reshape(F), inner.reshape(F, 3, 4), np.repeat(taper, MAX_FACES).astype(np.float32),
                     swapped.reshape(F), size.reshape(F, 2).astype(np.float32), int(total.sum()))


def _used(shape: np.ndarray) -> np.ndarray:
    """(P, 6) bool: which faces each shape has."""
    return np.arange(MAX_FACES) < np.array([6, 3, 1])[shape][:, None]


def _direction(R: np.ndarray, axis: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """(P, F, 3) signed axes of each part in the outer frame."""
    return np.take_along_axis(R.transpose(0, 2, 1), axis[..., None], 1) * sign[..., None]


def _pictures(values: np.ndarray, world: World, material: np.ndarray, size: np.ndarray, offsets: dict[int, np.ndarray],
              fitted: np.ndarray, curved: np.ndarray, side: int) -> None:
    """Fills the columns ru to fitted; repeating pictures are anchored in the outer frame, so that the pieces of a wall
    show one pattern."""
    looks = np.array([[*m.color, m.gloss, m.glow, m.scale] for m in world.materials], np.float64)[material]
    scale = looks[..., 5]
    ratio = []
    for k in (0, 1):
        times = size[..., k] / scale
        times = np.where(curved & (k == 0), np.maximum(np.rint(times), 1), times)
        ratio.append(np.where(fitted, 1.0, times))
        start = np.where(fitted | curved, 0.0, offsets[k] / scale - 0.5 * times)
        values[11 + 2 * k] = ratio[k]
        values[12 + 2 * k] = start - np.floor(start)
    values[15:20] = looks[..., :5].transpose(2, 0, 1)
    per_m = [side * ratio[k] / np.maximum(size[..., k], 1e-4) for k in (0, 1)]
    values[20] = np.sqrt(per_m[0] * per_m[1])
    values[21] = fitted
