# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The stamps of one input in the order of arrival: what comes next, and which of them can be believed."""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lsm_ros.live.items import LEAP, REPEATED, Dropped, Event, Item, TimeGap

LATE_NS = 1_000_000_000      # a stamp that goes back by no more is a late message, not a jump of time
GAP_NS = 1_000_000_000       # a stamp that goes forward by more is reported, unless the camera is slow
PAUSE = 3                    # of its shortest steps, which is none of a slow camera
LEAP_NS = 10_000_000_000     # a stamp that goes forward by more than time did must be confirmed by the next one
STEPS = 20                   # of so many steps the shortest says how soon the next message may come


class Stamps:
    """The newest stamp of an input, and the pace of it."""

    def __init__(self) -> None:
        self.last_ns: int | None = None
        self._steps: deque[int] = deque(maxlen=STEPS)

    def note(self, stamp_ns: int) -> None:
        """Takes the stamp of a message that arrived."""
        if self.last_ns is None:
            self.last_ns = stamp_ns
        elif stamp_ns > self.last_ns:
            self._steps.append(stamp_ns - self.last_ns)
            self.last_ns = stamp_ns

    def comes_before(self, stamp_ns: int) -> bool:
        """Expects (True) the next message before `stamp_ns`, by the shortest of the last steps."""
        return self.last_ns is None or self.last_ns + min(self._steps, default=0) < stamp_ns

    def has_passed(self, stamp_ns: int) -> bool:
        """Compares the newest stamp: True if it lies beyond `stamp_ns`."""
        return self.last_ns is not None and self.last_ns > stamp_ns


@dataclass
class Verdict:
    """Images that are believed now, in their order, and events; jump_ns: how far time has jumped back, 0 if it has not."""

    taken: list[Item] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    jump_ns: int = 0


class ImageStamps(Stamps):
    """The stamps of a camera's images. One that is far from the last is held until a second one confirms it."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Item | None = None
        self.arrived = 0.0  # the last one that was believed

    def judge(self, item: Item, arrived: float) -> Verdict:
        """Says what becomes of an image that arrived at a time in seconds, and of the one that is held."""
        last, held = self.last_ns, self.held
        pause_ns = max(0, round((arrived - self.arrived) * 1e9))
        if last is None:
            return Verdict([item])
        step = item.stamp_ns - last
        if step == 0 or (held is not None and item.stamp_ns == held.stamp_ns):
            return Verdict(events=[Dropped(item, REPEATED)])
        if -LATE_NS <= step < 0:
            return Verdict([item])  # if its place is still free
        if 0 < step <= LEAP_NS + pause_ns:
            is_gap = step > max(GAP_NS, PAUSE * min(self._steps, default=GAP_NS))
            gap: list[Event] = [TimeGap(item.camera, step * 1e-9)] if is_gap else []
            return Verdict([item], self.release() + gap)
        if held is None or not self._confirms(item.stamp_ns, held.stamp_ns, last):
            events = self.release()
            self.held = item
            return Verdict(events=events)
        self.held = None
        moved = held.stamp_ns - last
        if moved < 0:
            return Verdict([held, item], jump_ns=moved)
        return Verdict([held, item], [TimeGap(item.camera, moved * 1e-9)])

    def _confirms(self, stamp_ns: int, held_ns: int, last_ns: int) -> bool:
        """Compares two images that are far from the last: True if the second says that time is where the first is."""
        if stamp_ns < held_ns or (held_ns < last_ns) != (stamp_ns < last_ns):
            return False
        return held_ns > last_ns or stamp_ns - held_ns <= max(LEAP_NS, 2 * max(self._steps, default=0))

    def release(self) -> list[Event]:
        """Drops the image that is held: no second one confirmed its stamp."""
        held, self.held = self.held, None
        return [] if held is None else [Dropped(held, LEAP)]


class OldTime:
    """The time before a jump back: what was under way when it jumped still comes, and must not count as a new jump."""

    def __init__(self, last_ns: int, jump_ns: int) -> None:
        """last_ns: stamp before the jump; jump_ns: how far it went back."""
        self._last_ns, self._reach_ns = last_ns, min(LATE_NS, jump_ns // 4)

    def has(self, item: Item) -> bool:
        """Compares stamps: True if the item is of the old time."""
        return abs(item.stamp_ns - self._last_ns) <= self._reach_ns

    def is_over(self, newest_ns: int | None) -> bool:
        """Compares with the newest image: True when time has come round to the old one."""
        return newest_ns is not None and newest_ns >= self._last_ns - 2 * self._reach_ns
