# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Distances of depth and labels from the images, where they find none: a slop that is too small is no missing input."""
from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable

from lsm_ros.live.items import IMAGE, Group, Input, Item

FEWEST = 3  # that found no image, before that is worth a word
_LENGTH = 256


class PartnerGaps:
    """Counts, by input, what was paired and what was not, and how far that was from the nearest image."""

    def __init__(self, slop_ns: int) -> None:
        self._slop_ns = slop_ns
        self._stamps: dict[str, deque[int]] = {}
        self._images: dict[str, int] = {}
        self._gaps: dict[Input, deque[int]] = {}
        self._paired: dict[Input, int] = {}

    def add(self, items: Iterable[Item]) -> None:
        """Takes items as they come; only images matter."""
        for item in items:
            if item.kind == IMAGE:
                self._stamps.setdefault(item.camera, deque(maxlen=_LENGTH)).append(item.stamp_ns)
                self._images[item.camera] = self._images.get(item.camera, 0) + 1

    def paired(self, group: Group) -> None:
        """Takes a group that goes on."""
        for item in group.items():
            if item.kind != IMAGE:
                key = item.camera, item.kind
                self._paired[key] = self._paired.get(key, 0) + 1

    def unpaired(self, item: Item) -> None:
        """Takes depth or labels that no image took."""
        stamps = self._stamps.get(item.camera)
        if stamps:
            gap = min(abs(s - item.stamp_ns) for s in stamps)
            if gap > self._slop_ns:
                self._gaps.setdefault((item.camera, item.kind), deque(maxlen=_LENGTH)).append(gap)

    def problems(self) -> dict[Input, str]:
        """A line for each input that most images lack although it comes, since its stamps are further from them than the slop.
        One that is slower or faster than the images is none."""
        out = {}
        for (camera, kind), gaps in self._gaps.items():
            paired = self._paired.get((camera, kind), 0)
            if len(gaps) >= max(FEWEST, paired) and self._images[camera] > 2 * paired:
                out[camera, kind] = (
                    f"{kind} of camera {camera!r} finds no image: its stamps are {statistics.median(gaps) * 1e-6:.3g} ms from "
                    f"those of the nearest, and sync_slop_ms is {self._slop_ns * 1e-6:g}; raise it, or mend the stamps")
        return out
