# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The messages that are grouped, the groups, and the events on the way. All stamps are integer nanoseconds."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IMAGE, DEPTH, LABELS = "image", "depth", "labels"
PARTNERS = (DEPTH, LABELS)
Input = tuple[str, str]  # camera and kind

REPEATED, LATE, LEAP, UNPAIRED, OVERFLOW = "repeated", "late", "leap", "unpaired", "overflow"


@dataclass(frozen=True)
class Item:
    """One message: kind is IMAGE, DEPTH or LABELS; nbytes is what it occupies."""

    camera: str
    kind: str
    stamp_ns: int
    nbytes: int
    payload: Any = None


@dataclass(frozen=True)
class Group:
    """Items of one instant by camera, and when its first image arrived (seconds of the caller's clock).

    stamp_ns is that of the first camera, in the order of `cameras`, that has an image.
    """

    stamp_ns: int
    images: dict[str, Item]
    depth: dict[str, Item]
    labels: dict[str, Item]
    arrived: float

    def items(self) -> list[Item]:
        """Lists all items of the group."""
        return [item for part in (self.images, self.depth, self.labels) for item in part.values()]


@dataclass(frozen=True)
class TimeJump:
    """Stamps went back by more than a second, and stayed there: what follows belongs to another time."""

    seconds: float


@dataclass(frozen=True)
class Dropped:
    """An item was lost.

    reason: 'repeated' (the stamp of another one), 'late' (its place in the order has gone), 'leap' (a lone stamp far from
    the others), 'unpaired' (depth or labels that no image took: usual where they are faster than the images), 'overflow'.
    """

    item: Item
    reason: str


@dataclass(frozen=True)
class TimeGap:
    """Stamps of a camera's images went forward by an unusual number of seconds."""

    camera: str
    seconds: float


@dataclass(frozen=True)
class LateLabels:
    """Labels of an image that has already gone on; stamp_ns is the stamp of that image."""

    item: Item
    stamp_ns: int


@dataclass(frozen=True)
class Stale:
    """Nothing of this kind came from this camera for `seconds`; it is not waited for."""

    camera: str
    kind: str
    seconds: float


@dataclass(frozen=True)
class Recovered:
    """A stale input is back."""

    camera: str
    kind: str


Event = Dropped | TimeGap | LateLabels | Stale | Recovered
