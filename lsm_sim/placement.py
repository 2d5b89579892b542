# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Test if a thing fits at its place: no two things share space, and one can still walk through the room.

Things stand upright, so that every part counts as an upright box: a rectangle on the floor and a range of heights.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from lsm_sim.plan import SIDES, Opening, Plan, side_line
from lsm_sim.shell import SKIRTING
from lsm_sim.world import Shape, Thing

CELL = 0.05
WALK_RADIUS = 0.41
"""Half the width in metres of the ways that are kept free: 0.75 m in all, and what cells may err."""

WALK_BAND = (0.03, 1.9)
"""Heights in metres between which a thing is in the way of a walker."""

TOUCH = 0.001
"""Metres that two things may share before they count as in each other."""

LOW_THING = 0.2
"""Height in metres of things that must not sink into a carpet, not even by its thickness."""

MARGIN = 0.8
"""Metres around a room that its grid covers."""

KEPT_BEYOND = 0.5
"""Metres beyond a doorway, in the next room, that are sure to be free: no more may be counted on."""


@dataclass(frozen=True)
class Body:
    """A placed thing as upright boxes: middle (P, 2), half (P, 2) along its own axes, z (P, 2) low and high; yaw."""

    thing: Thing
    T: np.ndarray
    middle: np.ndarray
    half: np.ndarray
    z: np.ndarray
    yaw: float
    low: np.ndarray
    high: np.ndarray

    @property
    def axes(self) -> np.ndarray:
        """(2, 2) rows: unit vectors of its own x and y."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, s], [-s, c]])


def pose(x: float, y: float, yaw: float, z: float = 0.0) -> np.ndarray:
    """(4, 4) pose of something upright."""
    T = np.eye(4)
    c, s = math.cos(yaw), math.sin(yaw)
    T[:2, :2] = [[c, -s], [s, c]]
    T[:3, 3] = x, y, z
    return T


class _Same:
    """A thing as a key that is equal to itself alone."""

    def __init__(self, thing: Thing) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing


@lru_cache(maxsize=256)
def _part_bounds(key: _Same) -> tuple[np.ndarray, np.ndarray]:
    parts = key.thing.parts
    widest = np.array([max(1.0, p.taper) if p.shape == Shape.CYLINDER else 1.0 for p in parts])
    half = np.array([p.half for p in parts])
    half[:, :2] *= widest[:, None]
    reach = np.einsum("pij,pj->pi", np.abs(np.array([p.R for p in parts])), half)
    center = np.array([p.center for p in parts])
    return center - reach, center + reach


def outline(thing: Thing) -> tuple[np.ndarray, np.ndarray]:
    """`thing.bounds()`, remembered: low and high corner (3,) in the thing's frame."""
    low, high = _part_bounds(_Same(thing))
    return low.min(0), high.max(0)


def skirting_gap(thing: Thing) -> float:
    """Metres that a thing on a wall must stand off it because of the board at the wall's foot."""
    low, _ = _part_bounds(_Same(thing))
    return SKIRTING if ((low[:, 2] < 0.13) & (low[:, 0] < SKIRTING)).any() else 0.0


def body_of(thing: Thing, T: np.ndarray) -> Body:
    """A thing at an upright pose (4, 4), as upright boxes."""
    low, high = _part_bounds(_Same(thing))
    yaw = math.atan2(T[1, 0], T[0, 0])
    middle = (low + high)[:, :2] / 2 @ T[:2, :2].T + T[:2, 3]
    half = (high - low)[:, :2] / 2
    reach = half @ np.abs(T[:2, :2]).T
    z = np.stack([low[:, 2], high[:, 2]], 1) + T[2, 3]
    return Body(thing, T, middle, half, z, yaw, np.r_[(middle - reach).min(0), z[:, 0].min()],
                np.r_[(middle + reach).max(0), z[:, 1].max()])


def overlap(a: Body, b: Body, touch: float = TOUCH) -> bool:
    """True if two bodies share space by more than `touch` metres (separating axes of their rectangles, and heights)."""
    if (np.minimum(a.high, b.high) - np.maximum(a.low, b.low) <= touch).any():
        return False
    near_a = ((a.middle - np.abs(a.half).max(1, keepdims=True) * 1.5 < b.high[:2]).all(1)
              & (a.middle + a.half.max(1, keepdims=True) * 1.5 > b.low[:2]).all(1))
    ma, ha, za = a.middle[near_a], a.half[near_a], a.z[near_a]
    shared = (np.minimum(za[:, None, 1], b.z[None, :, 1]) - np.maximum(za[:, None, 0], b.z[None, :, 0])) > touch
    offset = b.middle[None] - ma[:, None]
    between = np.abs(a.axes @ b.axes.T)
    along_a = np.abs(offset @ a.axes.T) - ha[:, None] - (b.half @ between.T)[None]
    along_b = np.abs(offset @ b.axes.T) - (ha @ between)[:, None] - b.half[None]
    return bool((shared & (along_a < -touch).all(2) & (along_b < -touch).all(2)).any())


def block(low: np.ndarray, high: np.ndarray, T: np.ndarray, z: tuple[float, float] = (0.02, 2.0)) -> Body:
    """A rectangle (2,) to (2,) of a frame at pose T that is to be kept free, or is taken, between two heights."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    yaw = math.atan2(T[1, 0], T[0, 0])
    middle = ((low + high) / 2 @ T[:2, :2].T + T[:2, 3])[None]
    half = ((high - low) / 2)[None]
    reach = half @ np.abs(T[:2, :2]).T
    return Body(_NOTHING, T, middle, half, np.array([z]), yaw, np.r_[(middle - reach)[0], z[0]],
                np.r_[(middle + reach)[0], z[1]])


_NOTHING = Thing("void", ())


class Space:
    """The inside of a room with what stands in it, and a grid of where one can walk.

    `bodies` are things, `reserved` floor that is to be kept free. `anchors` (2,) points that must stay connected.
    """

    def __init__(self, plan: Plan, index: int) -> None:
        self.plan, self.index, self.room = plan, index, plan.rooms[index]
        self.low = np.r_[self.room.low, -0.001]
        self.high = np.r_[self.room.high, self.room.height + 0.001]
        self.bodies: list[Body] = []
        self.carpets: list[Body] = []
        self.reserved: list[Body] = []
        self.anchors: list[np.ndarray] = []
        self._boxes = np.zeros((0, 6))
        self._origin = self.room.low - MARGIN
        size = np.ceil((self.room.high - self.room.low + 2 * MARGIN) / CELL).astype(int)
        self._solid = np.ones((size[1], size[0]), np.uint8)
        self._clear(self.room.low, self.room.high)
        for o, side in plan.of_room(index):
            self._open(o, side)
        self.least_area = 0.35 * float(self._walkable(self._solid).sum())

    def _open(self, o: Opening, side: int) -> None:
        axis, sign = SIDES[side]
        line = side_line(self.room, side)[0]
        center, half = o.center[1 - axis], o.width / 2
        T = np.eye(4)
        low, high = np.zeros(2), np.zeros(2)
        low[1 - axis], high[1 - axis] = center - half, center + half
        if o.kind == "window":
            low[axis], high[axis] = sorted((line, line - sign * 0.35))
            self.reserved.append(block(low, high, T, (o.sill + 0.02, o.sill + o.height)))
            return
        deep = {"door": 0.8, "passage": 0.5, "closed": 0.75}[o.kind]
        through = 0.0 if o.kind == "passage" else 2 * self.plan.wall
        low[axis], high[axis] = sorted((line - sign * deep, line + sign * (through + KEPT_BEYOND)))
        if o.kind in ("door", "passage"):
            self._clear(low, high)
            point = np.zeros(2)
            point[axis], point[1 - axis] = (o.center[axis] if o.kind == "door" else line - sign * 0.05), center
            self.anchors.append(point)
        else:
            point = np.zeros(2)
            point[axis], point[1 - axis] = line - sign * 0.45, center
            self.anchors.append(point)
        self.reserved.append(block(low, high, T, (0.02, self.room.height if o.kind == "passage" else 2.2)))

    def _cells(self, points: np.ndarray) -> np.ndarray:
        return (points - self._origin) / CELL - 0.5

    def _clear(self, low: np.ndarray, high: np.ndarray) -> None:
        (x0, y0), (x1, y1) = np.ceil(self._cells(low) - 1e-6), np.floor(self._cells(high) + 1e-6)
        self._solid[max(int(y0), 0):max(int(y1) + 1, 0), max(int(x0), 0):max(int(x1) + 1, 0)] = 0

    def _draw(self, solid: np.ndarray, body: Body) -> None:
        blocks = (body.z[:, 0] < WALK_BAND[1]) & (body.z[:, 1] > WALK_BAND[0])
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        for middle, half in zip(body.middle[blocks], body.half[blocks], strict=True):
            corners = self._cells(middle + (signs * half) @ body.axes)
            cv2.fillConvexPoly(solid, np.round(corners * 16).astype(np.int32), 1, cv2.LINE_8, 4)

    def _walkable(self, solid: np.ndarray) -> np.ndarray:
        distance = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return distance >= WALK_RADIUS / CELL

    def can_walk(self, body: Body | None = None) -> bool:
        """True if with one more body all anchors stay connected by ways that are wide enough, and enough floor free."""
        solid = self._solid
        if body is not None:
            solid = solid.copy()
            self._draw(solid, body)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(self._walkable(solid).astype(np.uint8), connectivity=4)
        if count < 2:
            return False
        best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
        for anchor in self.anchors:
            column, row = np.round(self._cells(anchor)).astype(int)
            if not (labels[max(row - 2, 0):row + 3, max(column - 2, 0):column + 3] == best).any():
                return False
        return stats[best, cv2.CC_STAT_AREA] >= self.least_area

    def fits(self, body: Body, reserved: bool = True, walk: bool = True, inside: float = SKIRTING) -> bool:
        """True if a body is in the room, in no other, off reserved floor (optional), and leaves ways free (optional)."""
        edge = np.array([inside, inside, 0.0])
        if (body.low < self.low + edge - 1e-6).any() or (body.high > self.high - edge + 1e-6).any():
            return False
        if body.high[2] < LOW_THING and any(overlap(body, c, 1e-6) for c in self.carpets):
            return False
        if self.hit(body) or (reserved and any(overlap(body, r, 1e-6) for r in self.reserved)):
            return False
        return not walk or self.can_walk(body)

    def hit(self, body: Body) -> bool:
        """True if a body shares space with one that was placed before."""
        if not len(self._boxes):
            return False
        apart = (self._boxes[:, :3] >= body.high - TOUCH) | (self._boxes[:, 3:] <= body.low + TOUCH)
        return any(overlap(self.bodies[i], body) for i in np.flatnonzero(~apart.any(1)))

    def put(self, body: Body) -> Body:
        """Adds a body without asking `fits`, and keeps the floor free that it needs in front of it."""
        self.bodies.append(body)
        self._boxes = np.vstack([self._boxes, np.r_[body.low, body.high]])
        self._draw(self._solid, body)
        if body.thing.front_room > 0 and body.thing.place == "floor":
            self.reserved.append(self.front(body))
        return body

    def fits_below(self, body: Body) -> bool:
        """True if a carpet lies in the room, off other carpets, doors and low things; furniture presses into it."""
        if (body.low < self.low + [SKIRTING, SKIRTING, 0] - 1e-6).any() or (body.high > self.high - SKIRTING).any():
            return False
        solid = (b for b in self.bodies if b.low[2] < 0.02 and (b.high[2] < LOW_THING or b.thing.label == "door"))
        return not any(overlap(body, other, 1e-6) for other in (*solid, *self.carpets))

    def put_below(self, body: Body) -> Body:
        """Adds a carpet, on which furniture may stand afterwards."""
        self.carpets.append(body)
        return body

    def front(self, body: Body) -> Body:
        """The floor in front of a body that is to be kept free."""
        low, high = outline(body.thing)
        return block((high[0], low[1] + 0.05), (high[0] + body.thing.front_room, max(high[1] - 0.05, low[1] + 0.06)), body.T,
                     (0.02, 1.2))
