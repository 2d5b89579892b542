# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A small furnished room made of textured boxes, for the demo and the tests.

World frame: z up, the floor at z = 0, the room's middle at the origin; metres.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from lsm_ros.datasets.base import read_label_space
from lsm_ros.sim import textures as tx
from lsm_ros.types import LabelSpace

ROOM_LOW = np.array([-2.5, -2.0, 0.0])
ROOM_HIGH = np.array([2.5, 2.0, 2.6])


@dataclass(frozen=True)
class Box:
    """An axis-aligned box. low, high: (3,) corners; label: class name; side, top: makers of its faces; front: a maker
    for the face in direction `facing`, '+x', '-x', '+y' or '-y'.
    """

    label: str
    low: np.ndarray
    high: np.ndarray
    side: tx.Maker
    top: tx.Maker | None = None
    front: tx.Maker | None = None
    facing: str = ""


@dataclass(frozen=True)
class Room:
    """The shell (low, high), the boxes in it, and the ids of all classes."""

    boxes: tuple[Box, ...]
    shell: dict[str, tx.Maker]
    seed: int
    label_space: LabelSpace
    low: np.ndarray = field(default_factory=lambda: ROOM_LOW.copy())
    high: np.ndarray = field(default_factory=lambda: ROOM_HIGH.copy())

    def label_id(self, name: str) -> int:
        """Id of a class name; ValueError if the label space does not have it."""
        for i, known in self.label_space.names.items():
            if known == name:
                return i
        raise ValueError(f"class {name!r} is not in the label space")

    def surface_points(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """n points spread evenly over all surfaces that are open to the air: (n, 3) float64 world, (n,) uint16 labels.

        What touches another box, a wall or the floor is left out, and so is the underside of what stands on the floor.
        """
        rng = np.random.default_rng([self.seed, seed, 77])
        corners = [(self.low, self.high, None), *((b.low, b.high, b.label) for b in self.boxes)]
        faces = [(low, high, label, axis, end) for low, high, label in corners for axis in range(3) for end in (0, 1)]
        areas = np.array([np.prod(np.delete(high - low, axis)) for low, high, _, axis, _ in faces])
        points, labels = np.zeros((0, 3)), np.zeros(0, np.uint16)
        while len(points) < n:
            chosen = rng.choice(len(faces), size=2 * n + 16, p=areas / areas.sum())
            low = np.array([faces[i][0] for i in chosen])
            high = np.array([faces[i][1] for i in chosen])
            new = rng.uniform(low, high)
            axis, end = np.array([faces[i][3:] for i in chosen]).T
            rows = np.arange(len(chosen))
            new[rows, axis] = np.where(end == 1, high[rows, axis], low[rows, axis])
            ids = np.array([self.face_label(*faces[i][2:]) for i in range(len(faces))], np.uint16)[chosen]
            owner = chosen // 6 - 1
            kept = self._is_open(new, owner)
            points, labels = np.vstack([points, new[kept]]), np.concatenate([labels, ids[kept]])
        return points[:n], labels[:n]

    def face_label(self, label: str | None, axis: int, end: int) -> int:
        """Id of a face: of its box's class, or (label None) of the shell's wall, floor or ceiling."""
        return self.label_id(label or ("wall" if axis < 2 else "ceiling" if end else "floor"))

    def _is_open(self, points: np.ndarray, owner: np.ndarray, margin: float = 0.01) -> np.ndarray:
        """Whether no other box holds a point, and whether a box's point is off the shell."""
        inside = np.all((points > self.low + margin) & (points < self.high - margin), axis=1)
        good = (owner < 0) | inside
        for i, box in enumerate(self.boxes):
            held = np.all((points > box.low - margin) & (points < box.high + margin), axis=1)
            good &= ~(held & (owner != i))
        return good


def indoor_labels() -> LabelSpace:
    """The classes of config/label_spaces/indoor.yaml, from the source tree or from where the package is installed."""
    return read_label_space(_config_file("label_spaces/indoor.yaml"))


@lru_cache(maxsize=8)
def _config_file(name: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    places = [package.parent / "config", *(p / "share" / "lsm_ros" / "config" for p in package.parents)]
    found = next((p / name for p in places if (p / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"config/{name} of lsm_ros is neither in {places[0]} nor in a share/lsm_ros beside it")
    return found


def build_room(seed: int = 0) -> Room:
    """A furnished room of 5 x 4 x 2.6 m; the seed changes colours, textures and shifts the furniture a little."""
    rng = np.random.default_rng([seed, 1])
    boxes: list[Box] = []
    for make in (_carpet, _table, _chair, _sofa, _bookcase, _television, _bed, _desk, _cabinet, _plant, _cartons):
        boxes += make(rng)
    wall = ((0.78, 0.74, 0.66), (0.66, 0.74, 0.72), (0.74, 0.68, 0.7))[int(rng.integers(3))]
    accent = ((0.45, 0.3, 0.25), (0.25, 0.35, 0.5), (0.3, 0.42, 0.28))[int(rng.integers(3))]
    other = tuple(c * 0.9 for c in wall[::-1])
    shell = {"floor": tx.wood((0.58, 0.41, 0.26), plank=0.14), "ceiling": tx.tiles((0.86, 0.86, 0.84), 0.6),
             "-x": tx.wallpaper(wall, accent), "+x": tx.wallpaper(other, accent),
             "-y": tx.wallpaper(other, accent), "+y": tx.wallpaper(wall, accent)}
    return Room(tuple(boxes), shell, seed, indoor_labels())


def _box(label: str, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], side: tx.Maker,
         top: tx.Maker | None = None, front: tx.Maker | None = None, facing: str = "") -> Box:
    low, high = np.array([x[0], y[0], z[0]]), np.array([x[1], y[1], z[1]])
    return Box(label, low, high, side, top, front, facing)


def _legs(label: str, x: tuple[float, float], y: tuple[float, float], top: float, thick: float,
          maker: tx.Maker) -> list[Box]:
    return [_box(label, (cx, cx + thick), (cy, cy + thick), (0, top), maker)
            for cx in (x[0], x[1] - thick) for cy in (y[0], y[1] - thick)]


def _hue(rng: np.random.Generator, *colors: tuple[float, float, float]) -> tuple[float, float, float]:
    return colors[int(rng.integers(len(colors)))]


def _carpet(rng: np.random.Generator) -> list[Box]:
    color = _hue(rng, (0.5, 0.2, 0.18), (0.2, 0.3, 0.45), (0.35, 0.4, 0.25))
    return [_box("carpet", (-0.95, 0.95), (-0.75, 0.75), (0, 0.012), tx.plain(color),
                 tx.carpet(color, (0.8, 0.72, 0.55)))]


def _table(rng: np.random.Generator) -> list[Box]:
    color = _hue(rng, (0.62, 0.42, 0.22), (0.45, 0.28, 0.16), (0.7, 0.55, 0.36))
    x, y, wood = (-0.45, 0.4), (-0.26, 0.34), tx.wood(color)
    vase = _box("bottle", (-0.12, -0.02), (0.05, 0.15), (0.72, 0.92), tx.fabric((0.2, 0.45, 0.5), (0.9, 0.8, 0.3)))
    book = _box("book", (0.1, 0.28), (-0.1, 0.14), (0.72, 0.755), tx.plain((0.6, 0.15, 0.15)),
                tx.fabric((0.65, 0.16, 0.14), (0.95, 0.9, 0.7)))
    return [_box("table", x, y, (0.68, 0.72), wood, wood), *_legs("table", x, y, 0.68, 0.05, wood), vase, book]


def _chair(rng: np.random.Generator) -> list[Box]:
    color = _hue(rng, (0.55, 0.2, 0.15), (0.2, 0.4, 0.35), (0.65, 0.5, 0.15))
    dark, x, y = tx.wood((0.35, 0.22, 0.13)), (-0.2, 0.2), (-0.6, -0.2)
    return [_box("chair", x, y, (0.43, 0.48), dark, tx.fabric(color, (0.9, 0.85, 0.7))),
            *_legs("chair", x, y, 0.43, 0.04, dark),
            _box("chair", x, (-0.64, -0.6), (0.43, 0.92), tx.fabric(color, (0.9, 0.85, 0.7)))]


def _sofa(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.1, 0.1)
    color = _hue(rng, (0.3, 0.36, 0.5), (0.5, 0.28, 0.24), (0.36, 0.42, 0.33))
    cloth, green = tx.fabric(color, tuple(min(1, c * 1.6) for c in color)), tx.fabric((0.3, 0.55, 0.5), (0.9, 0.9, 0.8))
    soft = tx.fabric((0.85, 0.6, 0.2), (0.6, 0.2, 0.15))
    return [_box("sofa", (-1.15 + s, 0.55 + s), (-1.8, -1.25), (0.06, 0.42), cloth, cloth),
            _box("sofa", (-1.15 + s, 0.55 + s), (-2.0, -1.8), (0.06, 0.85), cloth, cloth),
            _box("sofa", (-1.33 + s, -1.15 + s), (-2.0, -1.25), (0, 0.6), cloth, cloth),
            _box("sofa", (0.55 + s, 0.73 + s), (-2.0, -1.25), (0, 0.6), cloth, cloth),
            _box("pillow", (-1.1 + s, -0.72 + s), (-1.8, -1.66), (0.42, 0.74), soft, soft),
            _box("pillow", (0.1 + s, 0.5 + s), (-1.8, -1.67), (0.42, 0.72), green)]


def _bookcase(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.1, 0.1)
    color = _hue(rng, (0.5, 0.33, 0.2), (0.72, 0.66, 0.58))
    wood = tx.wood(color)
    return [_box("bookcase", (-1.45 + s, -0.35 + s), (1.7, 2.0), (0, 1.85), wood, wood, tx.books(color, 5), "-y")]


def _television(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.1, 0.1)
    color, black = _hue(rng, (0.66, 0.5, 0.34), (0.4, 0.27, 0.18)), tx.plain((0.07, 0.07, 0.08), 0.1)
    return [_box("cabinet", (0.2 + s, 1.6 + s), (1.58, 2.0), (0, 0.52), tx.wood(color), tx.wood(color),
                 tx.drawers(color, 3, 2), "-y"),
            _box("television", (0.78 + s, 1.02 + s), (1.76, 1.88), (0.52, 0.58), black),
            _box("television", (0.4 + s, 1.4 + s), (1.8, 1.85), (0.58, 1.18), black, black,
                 tx.screen((0.06, 0.06, 0.07)), "-y")]


def _bed(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.1, 0.1)
    color = _hue(rng, (0.35, 0.5, 0.6), (0.6, 0.4, 0.45), (0.55, 0.55, 0.35))
    wood, x = tx.wood((0.48, 0.32, 0.2)), (-2.48, -1.58)
    blanket, sheet = tx.fabric(color, (0.92, 0.88, 0.8)), tx.plain((0.88, 0.87, 0.84), 0.06)
    return [_box("bed", x, (-0.75 + s, 1.15 + s), (0, 0.28), wood, wood),
            _box("bed", x, (0.62 + s, 1.15 + s), (0.28, 0.46), sheet, sheet),
            _box("blanket", (-2.49, -1.56), (-0.77 + s, 0.62 + s), (0.28, 0.49), blanket, blanket),
            _box("bed", (-2.5, -1.55), (1.15 + s, 1.21 + s), (0, 0.98), wood, wood),
            _box("pillow", (-2.35, -1.75), (0.76 + s, 1.1 + s), (0.46, 0.58), tx.fabric((0.85, 0.85, 0.9), color))]


def _desk(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.08, 0.08)
    color = _hue(rng, (0.7, 0.58, 0.42), (0.5, 0.36, 0.24))
    x, y, wood = (1.88, 2.5), (-0.45 + s, 0.8 + s), tx.wood(color)
    dark = tx.plain((0.12, 0.12, 0.13), 0.15)
    return [_box("desk", x, y, (0.7, 0.74), wood, wood), *_legs("desk", x, y, 0.7, 0.05, wood),
            _box("desk", (1.95, 2.48), (0.35 + s, 0.74 + s), (0.2, 0.7), wood, None, tx.drawers(color, 1, 3), "-x"),
            _box("monitor", (2.3, 2.34), (-0.2 + s, 0.34 + s), (0.84, 1.2), dark, dark, tx.screen((0.1, 0.1, 0.1)),
                 "-x"),
            _box("monitor", (2.28, 2.38), (0.0 + s, 0.14 + s), (0.74, 0.84), dark, dark),
            _box("keyboard", (1.98, 2.12), (-0.12 + s, 0.28 + s), (0.74, 0.76), dark,
                 tx.tiles((0.3, 0.3, 0.32), 0.03)),
            _box("lamp", (2.2, 2.36), (0.55 + s, 0.71 + s), (0.74, 1.06), tx.fabric((0.9, 0.8, 0.5), (0.6, 0.3, 0.2)))]


def _cabinet(rng: np.random.Generator) -> list[Box]:
    color = _hue(rng, (0.62, 0.56, 0.48), (0.42, 0.5, 0.52), (0.5, 0.32, 0.22))
    return [_box("cabinet", (1.6, 2.48), (-2.0, -1.45), (0, 1.75), tx.wood(color), tx.wood(color),
                 tx.drawers(color, 2, 3), "+y")]


def _plant(rng: np.random.Generator) -> list[Box]:
    green = _hue(rng, (0.2, 0.45, 0.16), (0.3, 0.5, 0.2))
    leaf, pot = tx.leaves(green), tx.fabric((0.6, 0.33, 0.22), (0.85, 0.7, 0.55))
    return [_box("plant", (-2.25, -1.95), (-1.85, -1.55), (0, 0.34), pot, tx.plain((0.2, 0.14, 0.1))),
            _box("plant", (-2.34, -1.86), (-1.94, -1.46), (0.34, 0.8), leaf, leaf),
            _box("plant", (-2.22, -1.98), (-1.82, -1.58), (0.8, 1.12), leaf, leaf)]


def _cartons(rng: np.random.Generator) -> list[Box]:
    s = rng.uniform(-0.05, 0.05)
    card = tx.fabric((0.66, 0.5, 0.33), (0.5, 0.36, 0.22))
    return [_box("box", (0.95 + s, 1.4 + s), (-1.98, -1.58), (0, 0.38), card, card),
            _box("box", (1.0 + s, 1.3 + s), (-1.94, -1.66), (0.38, 0.64),
                 tx.fabric((0.72, 0.6, 0.42), (0.3, 0.4, 0.6)))]
