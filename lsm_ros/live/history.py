# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The groups that have gone, and which of them an item that comes late would have belonged to."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lsm_ros.live.items import IMAGE, Group, Input, Item

LENGTH = 512


@dataclass
class Gone:
    """A closed group: the camera of its oldest image, stamps of its images by camera, inputs that it lacks, and when it
    began to arrive."""

    seed: str
    stamps: dict[str, int]
    lacking: set[Input]
    arrived: float

    @property
    def last_ns(self) -> int:
        """The newest stamp of its images."""
        return max(self.stamps.values())


class History:
    """The last groups that were closed, in the order of stamps."""

    def __init__(self, inputs: tuple[Input, ...]) -> None:
        self._inputs = frozenset(inputs)
        self._gone: deque[Gone] = deque(maxlen=LENGTH)

    def add(self, seed: Item, group: Group) -> None:
        """Takes a group that was closed; seed is its oldest image. No item is kept, since they are large."""
        lacking = set(self._inputs) - {(i.camera, i.kind) for i in group.items()}
        self._gone.append(Gone(seed.camera, {c: i.stamp_ns for c, i in group.images.items()}, lacking, group.arrived))

    @property
    def last_ns(self) -> int | None:
        """The newest stamp of all; nothing older has a place any more."""
        return self._gone[-1].last_ns if self._gone else None

    def nearest(self, item: Item, slop_ns: int) -> tuple[Gone, str, int] | None:
        """The group within the slop that lacks such an item, the camera that says so, and how far its image is (ns)."""
        best: tuple[Gone, str, int] | None = None
        for gone in reversed(self._gone):
            if gone.last_ns < item.stamp_ns - slop_ns:
                break
            camera = gone.seed if item.kind == IMAGE else item.camera
            if (item.camera, item.kind) in gone.lacking and camera in gone.stamps:
                gap = abs(gone.stamps[camera] - item.stamp_ns)
                if gap <= slop_ns and (best is None or gap < best[2]):
                    best = gone, camera, gap
        return best
