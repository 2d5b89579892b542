# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Elements of a simulated world: materials, parts, things, rooms, lamps and what moves.

World frame: z up, the floor at z = 0; metres, seconds. Colours are linear reflectance in [0, 1].
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from lsm_ros.types import LabelSpace

NO_PART = -1
"""Index in place of a part for a ray that meets none."""


class Shape(IntEnum):
    """A part's solid, in its own frame, where `half` are its half extents along its axes.

    BOX: |x_i| <= half_i. CYLINDER: along z, elliptic, its radius at height z is that of the bottom times
    1 + (taper - 1) * (z / half_z + 1) / 2; closed by discs. ELLIPSOID: sum (x_i / half_i)^2 <= 1.
    """

    BOX = 0
    CYLINDER = 1
    ELLIPSOID = 2


FACES = {
    Shape.BOX: ("back", "front", "right", "left", "bottom", "top"),
    Shape.CYLINDER: ("side", "bottom", "top"),
    Shape.ELLIPSOID: ("side",),
}
"""Names of the faces of each shape in the order of their numbers: of a box -x, +x, -y, +y, -z, +z."""

MAX_FACES = 6


@dataclass(frozen=True)
class Material:
    """Look of a face.

    texture: a family of `textures`, variant: which of its pictures (taken modulo their number). color: multiplies the
    picture. scale: metres that one picture spans, for families that repeat; the others are fitted to the face. gloss:
    0 (matt) to 1 (mirror). glow: light of its own, as a share of full white.
    """

    texture: str = "plain"
    color: tuple[float, float, float] = (0.7, 0.7, 0.7)
    variant: int = 0
    scale: float = 1.0
    gloss: float = 0.0
    glow: float = 0.0

    def __post_init__(self) -> None:
        if len(self.color) != 3 or not all(0 <= c <= 1 for c in self.color):
            raise ValueError(f"a color is three numbers in [0, 1], got {self.color}")
        if not self.scale > 0 or not 0 <= self.gloss <= 1 or not self.glow >= 0:
            raise ValueError(f"scale must be positive, gloss in [0, 1], glow >= 0: got {self}")


@dataclass(frozen=True)
class Part:
    """One solid of a thing, in the thing's frame. center, half: (3,) metres; R: (3, 3) part to thing.

    faces: materials of faces that differ from `material`, by name (see FACES). label: class where it is not that of the
    thing (a pillow that belongs to a bed). taper: see Shape.CYLINDER.
    """

    shape: Shape
    center: np.ndarray
    half: np.ndarray
    material: Material
    R: np.ndarray = field(default_factory=lambda: np.eye(3))
    taper: float = 1.0
    faces: dict[str, Material] = field(default_factory=dict)
    label: str | None = None

    def __post_init__(self) -> None:
        for name, shape in (("center", (3,)), ("half", (3,)), ("R", (3, 3))):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} of a part must be finite and of shape {shape}, got {value}")
            object.__setattr__(self, name, value)
        if not (self.half > 0).all():
            raise ValueError(f"half extents must be positive, got {self.half}")
        if not _is_rotation(self.R):
            raise ValueError(f"R of a part must be a rotation, got {self.R.tolist()}")
        if not 0 <= self.taper <= 4:
            raise ValueError(f"taper must be 0 to 4, got {self.taper}")
        unknown = set(self.faces) - set(FACES[self.shape])
        if unknown:
            raise ValueError(f"a {self.shape.name} has no faces {sorted(unknown)}, only {FACES[self.shape]}")

    def corners(self) -> np.ndarray:
        """(8, 3) corners of the part's bounding box in the thing's frame."""
        widest = np.array([max(1.0, self.taper)] * 2 + [1.0]) if self.shape == Shape.CYLINDER else np.ones(3)
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        return self.center + (signs * self.half * widest) @ self.R.T


def _is_rotation(R: np.ndarray) -> bool:
    """True if R (3, 3) is a rotation to 1e-6: its third row is the cross product of the others, which are unit vectors.
    Plain numbers, since a world has thousands of parts."""
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    off = (a * a + b * b + c * c - 1, d * d + e * e + f * f - 1, a * d + b * e + c * f,
           b * f - c * e - g, c * d - a * f - h, a * e - b * d - i)
    return max(map(abs, off)) < 1e-6


@dataclass(frozen=True)
class Support:
    """A level rectangle of a thing on which small things can stand: in the thing's frame, center (x, y), height z,
    half extents (x, y), and `clear`, the free height above it in metres.
    """

    center: tuple[float, float]
    z: float
    half: tuple[float, float]
    clear: float = 1.0


@dataclass(frozen=True)
class Thing:
    """One object (an instance). Its frame: x is its front, z up, the origin in the middle of its footprint, on what it
    stands on (place 'floor' or 'top'), on the wall at its back (place 'wall': the wall is the plane x = 0, z = 0 is the
    floor), or at the ceiling (place 'ceiling': z = 0 is the ceiling, parts hang below).
    """

    label: str
    parts: tuple[Part, ...]
    place: str = "floor"
    against_wall: bool = False
    supports: tuple[Support, ...] = ()
    lamp: Lamp | None = None
    front_room: float = 0.0

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Low and high corner (3,) of all parts in the thing's frame."""
        corners = np.concatenate([p.corners() for p in self.parts])
        return corners.min(0), corners.max(0)


@dataclass(frozen=True)
class Lamp:
    """A point-like light. position: (3,) in the frame of the thing, or of the world once placed; color: linear RGB;
    power: brightness of a white face one metre away that faces it; radius: metres, softens shadows.
    """

    position: np.ndarray
    color: tuple[float, float, float] = (1.0, 0.95, 0.85)
    power: float = 1.0
    radius: float = 0.1


@dataclass(frozen=True)
class Zone:
    """An axis-aligned room or corridor: low, high (3,) of its inside; kind such as 'living', 'corridor'."""

    low: np.ndarray
    high: np.ndarray
    kind: str
    ambient: float = 0.35


@dataclass(frozen=True)
class Doorway:
    """An open passage between two zones (indices): center (3,) on the floor in the middle of the wall, width, height,
    and the axis (0 or 1) that one walks along through it.
    """

    zones: tuple[int, int]
    center: np.ndarray
    width: float
    height: float
    axis: int


@dataclass(frozen=True)
class Mover:
    """Something that moves: poses of its frame in the world over time, repeated with the period of its last stamp.

    times (N,) seconds from 0; poses (N, 4, 4), the last equal to the first. `parts` of the world name it by its index;
    their pose in the world is that of the mover times their own.
    """

    times: np.ndarray
    poses: np.ndarray

    def pose(self, time_s: float) -> np.ndarray:
        """T_world_mover (4, 4) at a time in seconds: linear in position, shortest way in heading about z."""
        t = float(time_s) % float(self.times[-1])
        i = int(np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2))
        a, b = self.poses[i], self.poses[i + 1]
        share = (t - self.times[i]) / (self.times[i + 1] - self.times[i])
        yaw_a, yaw_b = (np.arctan2(T[1, 0], T[0, 0]) for T in (a, b))
        yaw = yaw_a + share * ((yaw_b - yaw_a + np.pi) % (2 * np.pi) - np.pi)
        out = np.eye(4)
        out[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        out[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
        return out


@dataclass(frozen=True)
class World:
    """A world as arrays, one row for each of its P parts.

    shape (P,) uint8, see Shape. center (P, 3), R (P, 3, 3) part to world, half (P, 3) float64; taper (P,) float32.
    label (P,) uint16 ids of `label_space`. instance (P,) int32, index of `things`. mover (P,) int32, index of `movers`
    or -1: then center and R are in the mover's frame. materials: distinct materials; material (P, 6) int32 for each face.
    things: class name of each instance (walls, floors and ceilings of each zone are instances too). bounds: low, high
    (3,) of the inside of all zones.
    """

    seed: int
    kind: str
    label_space: LabelSpace
    shape: np.ndarray
    center: np.ndarray
    R: np.ndarray
    half: np.ndarray
    taper: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    mover: np.ndarray
    material: np.ndarray
    materials: tuple[Material, ...]
    things: tuple[str, ...]
    zones: tuple[Zone, ...]
    doorways: tuple[Doorway, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    movers: tuple[Mover, ...] = ()

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Low and high corner (3,) of the inside of all zones."""
        return np.min([z.low for z in self.zones], axis=0), np.max([z.high for z in self.zones], axis=0)

    def __len__(self) -> int:
        return len(self.shape)

    def poses(self, time_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """R (P, 3, 3) and center (P, 3) of all parts in the world at a time in seconds."""
        R, center = self.R, self.center
        if (self.mover >= 0).any():
            R, center = R.copy(), center.copy()
            for i, mover in enumerate(self.movers):
                T, rows = mover.pose(time_s), self.mover == i
                R[rows], center[rows] = T[:3, :3] @ R[rows], center[rows] @ T[:3, :3].T + T[:3, 3]
        return R, center

    def zone_at(self, point: np.ndarray) -> int:
        """Index of the zone whose floor is under a point (2,) or (3,); -1 if none is."""
        for i, zone in enumerate(self.zones):
            if (point[:2] >= zone.low[:2]).all() and (point[:2] <= zone.high[:2]).all():
                return i
        return -1


def label_id(label_space: LabelSpace, name: str) -> int:
    """Id of a class name; ValueError with what is known if the label space does not have it."""
    for i, known in label_space.names.items():
        if known == name:
            return i
    raise ValueError(f"class {name!r} is not in the label space, which has {', '.join(label_space.names.values())}")


class WorldBuilder:
    """Collects things and lamps at their places and makes the arrays of a World."""

    def __init__(self, seed: int, kind: str, label_space: LabelSpace) -> None:
        self.seed, self.kind, self.label_space = seed, kind, label_space
        self._ids = {name: i for i, name in label_space.names.items()}
        self._rows: list[tuple] = []
        self._things: list[str] = []
        self._materials: dict[Material, int] = {}
        self.zones: list[Zone] = []
        self.doorways: list[Doorway] = []
        self.lamps: list[Lamp] = []
        self.movers: list[Mover] = []

    def add(self, thing: Thing, T_world_thing: np.ndarray, mover: int = -1) -> int:
        """Puts a thing at a pose (4, 4), rigid; with a mover, the pose is in its frame. Returns its instance."""
        instance = len(self._things)
        R, t = T_world_thing[:3, :3], T_world_thing[:3, 3]
        rows = []
        for part in thing.parts:
            name = part.label or thing.label
            if name not in self._ids:
                label_id(self.label_space, name)
            faces = FACES[part.shape]
            used = [part.faces.get(face, part.material) for face in faces]
            index = [self._materials.setdefault(m, len(self._materials)) for m in used]
            index += [index[0]] * (MAX_FACES - len(index))
            rows.append((int(part.shape), R @ part.center + t, R @ part.R, part.half, part.taper, self._ids[name],
                         instance, mover, index))
        self._rows += rows
        self._things.append(thing.label)
        if thing.lamp is not None:
            self.lamps.append(replace(thing.lamp, position=R @ np.asarray(thing.lamp.position, float) + t))
        return instance

    def build(self) -> World:
        """The world; ValueError if it has no zone or no part."""
        if not self._rows or not self.zones:
            raise ValueError("a world needs at least one zone and one part")
        columns: Sequence[tuple] = list(zip(*self._rows, strict=True))
        kinds = (np.uint8, np.float64, np.float64, np.float64, np.float32, np.uint16, np.int32, np.int32, np.int32)
        arrays = [np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)]
        for a in arrays:
            a.setflags(write=False)
        return World(self.seed, self.kind, self.label_space, *arrays, tuple(self._materials), tuple(self._things),
                     tuple(self.zones), tuple(self.doorways), tuple(self.lamps), tuple(self.movers))
