# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Puts images, depth and labels of one instant together that come from a recording: what can be paired is paired.

Its clock are the stamps of the images: the same messages give the same groups, however fast they are read. What belongs
together is said by `pairing`, as it is live (`grouping`).
"""
from __future__ import annotations

from collections.abc import Sequence

from lsm_ros.live.items import Event, Group, Item, TimeJump
from lsm_ros.live.pairing import Pairing


class RecordedAssembler:
    """Groups of one instant, in the order of stamps.

    A group is closed when an image has come that is newer by more than `wait_ns` (and the slop), so that messages may be
    late by that much, also within one input. Beyond `capacity_bytes` the oldest group does not wait any longer; no image
    is lost by that.
    """

    def __init__(self, cameras: Sequence[str], *, slop_ns: int, wait_ns: int, capacity_bytes: int = 256_000_000) -> None:
        self._pairing = Pairing(cameras, slop_ns)
        self._reach_ns, self._capacity = wait_ns + slop_ns, capacity_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of all that waits."""
        return self._pairing.nbytes

    def add(self, item: Item, recorded: float = 0.0) -> list[Event]:
        """Takes the next item, and when it was recorded (seconds). Returns what is worth reporting."""
        events = self._pairing.add(item, recorded)
        if self._pairing.newest_ns is not None:
            events += self.close_before(self._pairing.newest_ns - self._reach_ns)
        while self._pairing.waiting_nbytes > self._capacity:
            if self._pairing.oldest is not None:
                events += self._pairing.close()
            elif lost := self._pairing.drop_partner():
                events += lost
            else:
                break
        return events

    def close_before(self, stamp_ns: int) -> list[Event]:
        """Closes the groups that begin before a stamp: what belongs to them has come, or will not."""
        events: list[Event] = []
        while (oldest := self._pairing.oldest) is not None and oldest.stamp_ns < stamp_ns:
            events += self._pairing.close()
        return events

    def end(self) -> list[Event]:
        """Closes all groups: everything has been read."""
        return self._pairing.end()

    def pop(self) -> Group | TimeJump | None:
        """The next group, or a jump of time between groups; None if there is none yet."""
        return self._pairing.out.popleft() if self._pairing.out else None
