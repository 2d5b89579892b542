# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A floor plan: rectangles with walls between, openings in their sides, and which rooms are copies of others.

Metres in the world's frame, the floor at z = 0. `layouts.py` draws plans; `shell.py` and `furnish.py` build them.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

SIDES = ((1, -1), (0, 1), (1, 1), (0, -1))
"""Axis and sign of the outward normal of sides 0 to 3: bottom, right, top, left. With the room on the left one walks
along them as +x, +y, -x, -y."""

JAMB = 0.04
"""Thickness in metres of the boards that line a doorway."""

SLAB = 0.1
"""Thickness in metres of floors and ceilings; walls are as much deeper and higher, so that no ray slips through."""


@dataclass(frozen=True)
class Room:
    """The inside of a zone: low, high (2,) corners, height, kind; style seeds how it looks and is furnished.

    A copy names the room it is like (source) and by how many quarter turns it is turned against that.
    """

    low: np.ndarray
    high: np.ndarray
    height: float
    kind: str
    style: int
    source: int | None = None
    turns: int = 0

    @property
    def center(self) -> np.ndarray:
        """(2,) middle of the floor."""
        return (self.low + self.high) / 2

    @property
    def area(self) -> float:
        """Square metres of floor."""
        return float(np.prod(self.high - self.low))

    def holds(self, point: np.ndarray) -> bool:
        """True if a point (2,) is inside."""
        return bool((point > self.low).all() and (point < self.high).all())


@dataclass(frozen=True)
class Opening:
    """Interruption of a side of room `zones[0]` (and, if not -1, of `zones[1]`).

    kind: 'door' (doorway with a frame), 'passage' (no wall at all), 'closed' (a shut door before a whole wall),
    'window'. side: of zones[0]. center: (2,) in the middle of the wall, for 'closed' and 'window' on its inner plane.
    width, height of what is free; sill: its lower edge. leaf: None or (hinge -1 / +1 along the wall, radians that
    the door stands open); an open leaf hangs in zones[0]. style seeds how it looks.
    """

    kind: str
    zones: tuple[int, int]
    side: int
    center: np.ndarray
    width: float
    height: float
    sill: float = 0.0
    leaf: tuple[int, float] | None = None
    style: int = 0

    @property
    def axis(self) -> int:
        """The axis (0 or 1) that one walks along through it."""
        return SIDES[self.side][0]


@dataclass
class Plan:
    """Rooms and openings; wall: metres from the inside of a room to the middle of the wall (half a wall)."""

    wall: float
    rooms: list[Room] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)

    def of_room(self, i: int) -> list[tuple[Opening, int]]:
        """Openings in the sides of room i, each with the side of room i that it is in."""
        out = []
        for o in self.openings:
            if o.zones[0] == i:
                out.append((o, o.side))
            elif o.zones[1] == i:
                out.append((o, (o.side + 2) % 4))
        return out

    def zone_at(self, point: np.ndarray) -> int:
        """Index of the room that holds a point (2,), -1 if none."""
        return next((i for i, r in enumerate(self.rooms) if r.holds(point)), -1)

    def T_copy_source(self, i: int) -> np.ndarray:
        """(4, 4) that takes what is in the source of room i to room i; the identity for a room that is no copy."""
        room, T = self.rooms[i], np.eye(4)
        if room.source is None:
            return T
        c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[room.turns % 4]
        T[:2, :2] = [[c, -s], [s, c]]
        T[:2, 3] = room.center - T[:2, :2] @ self.rooms[room.source].center
        return T


def side_line(room: Room, side: int) -> tuple[float, float, float]:
    """Place of a side across its normal, and where it starts and ends along it (low, high)."""
    axis, sign = SIDES[side]
    return float((room.high if sign > 0 else room.low)[axis]), float(room.low[1 - axis]), float(room.high[1 - axis])


def on_side(room: Room, side: int, along: float, out: float = 0.0) -> np.ndarray:
    """(2,) point of a side at a coordinate along it, `out` metres outwards of its inner plane."""
    axis, sign = SIDES[side]
    point = np.zeros(2)
    point[axis] = side_line(room, side)[0] + sign * out
    point[1 - axis] = along
    return point


def subtract(intervals: list[tuple[float, float]], low: float, high: float) -> list[tuple[float, float]]:
    """Intervals without [low, high]."""
    out = []
    for a, b in intervals:
        if high <= a or low >= b:
            out.append((a, b))
            continue
        if low > a:
            out.append((a, low))
        if high < b:
            out.append((high, b))
    return out


def free_stretches(plan: Plan, i: int, side: int, margin: float, outside: bool = False,
                   windows: bool = True) -> list[tuple[float, float]]:
    """Stretches along a side of room i, `margin` off openings and corners.

    outside: only where no room is behind; windows: whether they count as openings, too.
    """
    room = plan.rooms[i]
    line, low, high = side_line(room, side)
    axis, sign = SIDES[side]
    free = [(low + margin, high - margin)] if high - low > 2 * margin else []
    for o, at in plan.of_room(i):
        if at == side and (windows or o.kind != "window"):
            c = o.center[1 - axis]
            free = subtract(free, c - o.width / 2 - margin, c + o.width / 2 + margin)
    if outside:
        for j, other in enumerate(plan.rooms):
            gap = sign * ((other.low if sign > 0 else other.high)[axis] - line)
            if j != i and -1e-6 < gap < 2.0:
                free = subtract(free, other.low[1 - axis] - 0.4, other.high[1 - axis] + 0.4)
    return free


def check_plan(plan: Plan) -> None:
    """ValueError if rooms overlap, lie too close for their walls, or an opening leaves its side."""
    for i, a in enumerate(plan.rooms):
        for j, b in enumerate(plan.rooms[:i]):
            gap = np.maximum(a.low - b.high, b.low - a.high).max()
            joined = any(o.kind == "passage" and {i, j} == set(o.zones) for o in plan.openings)
            ring = a.kind == b.kind == "corridor"
            if gap < -1e-6 or (gap < 2 * plan.wall - 1e-5 and not joined and not (ring and abs(gap) < 1e-6)):
                raise ValueError(f"rooms {j} and {i} are {gap:.3f} m apart, their walls need {2 * plan.wall:.3f} m")
    for o in plan.openings:
        for zone in o.zones:
            if zone >= 0:
                a, b = plan.rooms[zone].low[1 - o.axis], plan.rooms[zone].high[1 - o.axis]
                c = o.center[1 - o.axis]
                if c - o.width / 2 < a - 1e-6 or c + o.width / 2 > b + 1e-6:
                    raise ValueError(f"opening {o} leaves the side of room {zone} ({a:.2f} to {b:.2f} m)")
