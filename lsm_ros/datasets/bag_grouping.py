# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages of a bag in groups of one instant; what is dropped becomes a warning.

The rules of pairing are those of the running node (`lsm_ros.live.pairing`), the patience is not: stamps may differ by
`sync_slop_ms`, an image waits `wait_ms` of stamps (500 ms; live at most 150 ms of time), and
labels that come later than that are dropped, while the node still adds them to the map (`MappingPipeline.add_labels`).
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lsm_ros.datasets.base import WarningLog
from lsm_ros.live import items
from lsm_ros.live.gaps import PartnerGaps
from lsm_ros.live.items import Dropped, Event, Group, Item, LateLabels, TimeJump
from lsm_ros.live.recorded import RecordedAssembler

_ANY = {items.REPEATED: "its stamp goes back or repeats", items.LATE: "its stamp goes back or repeats",
        items.LEAP: "its stamp leaps"}
_REASONS = {items.IMAGE: _ANY}
_REASONS[items.DEPTH] = _REASONS[items.LABELS] = _ANY | {
    items.LATE: "it came too late for its image; raise wait_ms", items.UNPAIRED: "no image within sync_slop_ms lacks it",
    items.OVERFLOW: "too many wait for an image"}


@dataclass(frozen=True)
class Recorded:
    """A message of a bag: the time of its recording, and the camera's camera_info at that time (None: there is none)."""

    message: Any
    log_ns: int
    info: Any | None = None


class BagGroups:
    """Groups whose items have `Recorded` payloads, in the order of stamps and in bounded memory."""

    def __init__(self, cameras: Sequence[str], slop_ns: int, wait_ns: int, log: WarningLog) -> None:
        self._assembler = RecordedAssembler(cameras, slop_ns=slop_ns, wait_ns=wait_ns)
        self._log = log
        self._gaps = PartnerGaps(slop_ns)
        self._last_ns: int | None = None
        self._ended = False

    def add(self, camera: str, kind: str, stamp_ns: int, recorded: Recorded) -> None:
        """Adds an image ('image'), or a depth or label image ('depth', 'labels')."""
        item = Item(camera, kind, stamp_ns, len(recorded.message.data), recorded)
        self._gaps.add([item])
        self._warn(self._assembler.add(item, recorded.log_ns * 1e-9))

    def close_before(self, stamp_ns: int) -> None:
        """Lets groups go that begin before a stamp, although no image says that their time is over."""
        self._warn(self._assembler.close_before(stamp_ns))

    def end(self) -> None:
        """Lets all groups go, since everything has been read."""
        self._warn(self._assembler.end())
        self._ended = True

    def ready(self) -> Iterator[Group]:
        """Groups that need not wait any longer. Where stamps jump back, those are left out that are not new."""
        while (group := self._assembler.pop()) is not None:
            if isinstance(group, TimeJump):
                self._log.add("stamps jump back; what follows is left out until they are beyond those before",
                              f"by {-group.seconds:.1f} s")
            elif self._last_ns is None or group.stamp_ns > self._last_ns:
                self._last_ns = group.stamp_ns
                self._gaps.paired(group)
                yield group
            else:
                self._warn([Dropped(item, items.LATE) for item in group.images.values()])
        if self._ended:  # now all that could be paired is
            for text in self._gaps.problems().values():
                self._log.once(text)

    def _warn(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Dropped | LateLabels):
                item, reason = event.item, event.reason if isinstance(event, Dropped) else items.LATE
                if reason == items.UNPAIRED:
                    self._gaps.unpaired(item)
                where = f", recorded at {item.payload.log_ns} ns" if reason == items.LEAP else ""
                self._log.add(f"{item.kind} of {item.camera} dropped: {_REASONS[item.kind][reason]}",
                              f"{item.stamp_ns} ns{where}")
