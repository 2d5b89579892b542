# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The items that wait, by input and in the order of stamps, and which of them belong to the oldest image."""
from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence

from lsm_ros.live.items import IMAGE, Input, Item

STRAYS = 16  # so many of an input may wait far from all images


def stamp_of(item: Item) -> int:
    """Stamp of an item, to sort by."""
    return item.stamp_ns


class Waiting:
    """Items by input. The nearest within the slop belong together, each to one image at most."""

    def __init__(self, cameras: Sequence[str], inputs: Sequence[Input], slop_ns: int) -> None:
        self._cameras, self._slop_ns = tuple(cameras), slop_ns
        self._items: dict[Input, list[Item]] = {key: [] for key in inputs}

    def put(self, item: Item) -> None:
        """Adds an item at its place."""
        insort(self._items[item.camera, item.kind], item, key=stamp_of)

    def remove(self, item: Item) -> None:
        """Takes an item out."""
        self._items[item.camera, item.kind].remove(item)

    def of(self, key: Input) -> tuple[Item, ...]:
        """Items of an input, the oldest first."""
        return tuple(self._items[key])

    def all(self) -> list[Item]:
        """All items, by input."""
        return [item for items in self._items.values() for item in items]

    def has(self, key: Input, stamp_ns: int) -> bool:
        """Looks for an item of this very stamp: True if the input has one."""
        return any(item.stamp_ns == stamp_ns for item in self._items[key])

    @property
    def oldest(self) -> Item | None:
        """The oldest image, which the next group begins with."""
        return min((self._items[c, IMAGE][0] for c in self._cameras if self._items[c, IMAGE]), key=stamp_of, default=None)

    def members(self, seed: Item) -> dict[str, Item]:
        """Images of the group that begins with `seed` (the oldest one), by camera."""
        found = {c: seed if c == seed.camera else self.nearest(seed, (c, IMAGE)) for c in self._cameras}
        return {c: image for c, image in found.items() if image is not None}

    def nearest(self, image: Item, other: Input) -> Item | None:
        """The item of `other` that belongs to the oldest image of a camera; one that is nearer to a later image does not."""
        near = [(gap, i) for i in self._items[other] if (gap := abs(i.stamp_ns - image.stamp_ns)) <= self._slop_ns]
        free = [(gap, i) for gap, i in near if not self.has_nearer(image.camera, i, gap)]
        return min(free, key=lambda pair: pair[0], default=(0, None))[1]

    def has_nearer(self, camera: str, item: Item, gap_ns: int) -> bool:
        """Looks for an image of a camera that is nearer to an item than gap_ns: True if there is one."""
        return any(abs(image.stamp_ns - item.stamp_ns) < gap_ns for image in self._items[camera, IMAGE])


class Strays:
    """Depth and labels far from all images: their stamps are wrong, or time is about to jump to where they are."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._items: dict[Input, list[Item]] = {key: [] for key in inputs}

    def put(self, item: Item) -> list[Item]:
        """Adds an item. Returns the newest of its input if they become too many."""
        items = self._items[item.camera, item.kind]
        insort(items, item, key=stamp_of)
        return [items.pop()] if len(items) > STRAYS else []

    def take(self, is_near: Callable[[Item], bool]) -> list[Item]:
        """Takes out those that are far no longer."""
        near = [item for item in self.all() if is_near(item)]
        for item in near:
            self._items[item.camera, item.kind].remove(item)
        return near

    def all(self) -> list[Item]:
        """All items, by input."""
        return [item for items in self._items.values() for item in items]
