# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Puts the images of one instant together, with depth and labels, in the order of stamps and in bounded memory."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lsm_ros.datasets.base import WarningLog

_LEAP_NS = 10_000_000_000


@dataclass
class Group:
    """Messages of one instant: images by camera; depth and labels by (camera, kind)."""

    stamp_ns: int
    images: dict[str, tuple[int, Any]] = field(default_factory=dict)
    partners: dict[tuple[str, str], Any] = field(default_factory=dict)


class Grouper:
    """Collects messages in any order and hands groups out in the order of stamps.

    partners: for each camera the kinds ('depth', 'labels') that it has topics for. A group is handed out when it is
    whole, or when messages that are newer by wait_ns have come, or when more than max_bytes wait.
    """

    def __init__(self, partners: dict[str, tuple[str, ...]], slop_ns: int, wait_ns: int, log: WarningLog,
                 max_bytes: int = 256_000_000) -> None:
        self._kinds = partners
        self._slop_ns, self._wait_ns, self._max_bytes = slop_ns, wait_ns, max_bytes
        self._log = log
        self._groups: list[Group] = []
        self._waiting: dict[tuple[str, str], list[tuple[int, Any]]] = {
            (camera, kind): [] for camera, kinds in partners.items() for kind in kinds}
        self._newest = self._done = -(2**62)
        self._bytes = 0
        self._offset: dict[str, int] = {}

    def add_image(self, camera: str, stamp_ns: int, log_ns: int, message: Any) -> None:
        """Adds an image; one that repeats a stamp, comes too late or leaps in time is dropped and counted."""
        if self._leaps(camera, stamp_ns, log_ns):
            self._log.add(f"image of {camera} dropped: its stamp leaps", f"{stamp_ns} ns, recorded at {log_ns} ns")
            return
        if stamp_ns <= self._done:
            self._log.add(f"image of {camera} dropped: its stamp goes back or repeats", f"{stamp_ns} ns")
            return
        near = [g for g in self._groups if abs(g.stamp_ns - stamp_ns) <= self._slop_ns]
        if any(camera in g.images and g.images[camera][0] == stamp_ns for g in near):
            self._log.add(f"image of {camera} dropped: its stamp goes back or repeats", f"{stamp_ns} ns")
            return
        free = [g for g in near if camera not in g.images]
        if free:
            group = min(free, key=lambda g: abs(g.stamp_ns - stamp_ns))
        else:
            group = Group(stamp_ns)
            self._groups.append(group)
            self._groups.sort(key=lambda g: g.stamp_ns)
        group.images[camera] = (stamp_ns, message)
        self._bytes += len(message.data)
        self._newest = max(self._newest, stamp_ns)

    def add_partner(self, camera: str, kind: str, stamp_ns: int, message: Any) -> None:
        """Adds a depth or label image; it waits for its image, which may come later."""
        waiting = self._waiting[camera, kind]
        waiting.append((stamp_ns, message))
        oldest = self._groups[0].stamp_ns if self._groups else stamp_ns - self._wait_ns
        waiting[:] = [w for w in waiting if w[0] >= oldest - self._slop_ns][-64:]
        self._newest = max(self._newest, stamp_ns)

    def ready(self, also: Any = None) -> list[Group]:
        """Groups that need not wait any longer. also: a further condition for being whole, from a stamp."""
        out = []
        while self._groups:
            group = self._groups[0]
            whole = self._is_whole(group) and (also is None or also(group.stamp_ns))
            if not whole and self._newest - group.stamp_ns <= self._wait_ns and self._bytes <= self._max_bytes:
                break
            out.append(self._take())
        return out

    def rest(self) -> list[Group]:
        """All that is still waiting."""
        return [self._take() for _ in range(len(self._groups))]

    def _take(self) -> Group:
        group = self._groups.pop(0)
        self._done = max(self._done, group.stamp_ns)
        for camera, (stamp_ns, message) in group.images.items():
            self._bytes -= len(message.data)
            for kind in self._kinds[camera]:
                waiting = self._waiting[camera, kind]
                best = self._nearest(waiting, stamp_ns)
                if best is not None:
                    group.partners[camera, kind] = waiting.pop(best)[1]
        return group

    def _is_whole(self, group: Group) -> bool:
        return len(group.images) == len(self._kinds) and all(
            self._nearest(self._waiting[camera, kind], stamp_ns) is not None
            for camera, (stamp_ns, _) in group.images.items() for kind in self._kinds[camera])

    def _nearest(self, waiting: list[tuple[int, Any]], stamp_ns: int) -> int | None:
        gaps = [(abs(s - stamp_ns), i) for i, (s, _) in enumerate(waiting)]
        gap, i = min(gaps, default=(self._slop_ns + 1, 0))
        return i if gap <= self._slop_ns else None

    def _leaps(self, camera: str, stamp_ns: int, log_ns: int) -> bool:
        """Whether the stamp moved against the recorder's clock; the second one in a row is a new time, not an error."""
        offset = stamp_ns - log_ns
        before = self._offset.get(camera, offset)
        self._offset[camera] = offset
        return abs(offset - before) > _LEAP_NS
