# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Puts images, depth and labels of one instant together, live: nobody waits long, nothing grows, losses are counted.

Knows no ROS: items carry any payload, and the time of arrival is an argument. What belongs together is said by `pairing`;
this adds patience: for which inputs, and for how long, a group waits. `recorded` does the same for a bag.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsm_ros.live.items import (
    DEPTH,
    IMAGE,
    LABELS,
    OVERFLOW,
    UNPAIRED,
    Dropped,
    Event,
    Group,
    Item,
    LateLabels,
    Recovered,
    Stale,
    TimeGap,
    TimeJump,
)
from lsm_ros.live.pairing import Pairing

__all__ = ["DEPTH", "IMAGE", "LABELS", "UNPAIRED", "Assembler", "Dropped", "Event", "Group", "Item", "LateLabels", "Recovered",
           "Stale", "TimeGap", "TimeJump"]

MAX_PARTNERS = 64


@dataclass
class _Input:
    """Knowledge of one input."""

    arrival: float = 0.0
    known: bool = False
    stale: bool = False
    waited_out: bool = False  # it was waited for in vain, and did not come in time since

    @property
    def expected(self) -> bool:
        return self.known and not self.stale and not self.waited_out


class Assembler:
    """Groups of one instant, in the order of stamps.

    An image waits until its depth, its labels and the images of the other cameras have come, or cannot come any more
    because newer ones have come, or `wait_s` is over since it arrived; inputs that were never seen, that are stale
    (`stale_s` without a message), or that were waited for in vain the last time are not waited for. patient: `wait_s`
    counts from the last arrival of anything, for replay at any pace. Beyond `capacity_bytes` the oldest group goes.
    """

    def __init__(self, cameras: Sequence[str], *, slop_ns: int, wait_s: float, stale_s: float, capacity_bytes: int,
                 patient: bool = False) -> None:
        self._pairing = Pairing(cameras, slop_ns)
        self.cameras = self._pairing.cameras
        self._wait_s, self._stale_s = wait_s, stale_s
        self._capacity, self._patient = capacity_bytes, patient
        self.clear()

    def clear(self) -> None:
        """Forgets all items and stamps."""
        self._pairing.clear()
        self._events: list[Event] = []
        self._last_arrival = 0.0
        self._forget_inputs()

    def _forget_inputs(self) -> None:
        self._inputs = {key: _Input() for key in self._pairing.inputs}

    @property
    def nbytes(self) -> int:
        """Bytes of all that waits."""
        return self._pairing.nbytes

    def expect(self, camera: str, kind: str, now: float) -> None:
        """Says that this input exists although nothing has come from it yet, so that the first images wait for it."""
        known = self._inputs[camera, kind]
        if not known.known:
            known.known, known.arrival = True, now

    def is_full(self, nbytes: int = 0) -> bool:
        """Says whether `nbytes` more would drop something; one item always has room."""
        waiting = self.nbytes
        return waiting > 0 and waiting + nbytes > self._capacity

    # coming in

    def add(self, item: Item, now: float) -> list[Event]:
        """Takes one item that arrived at `now` (seconds, monotonic). Returns what is worth reporting, of earlier calls of
        `pop` too."""
        events: list[Event] = []
        if self._inputs[item.camera, item.kind].stale:
            events.append(Recovered(item.camera, item.kind))
        self._last_arrival = now
        if self._pairing.goes_back(item):
            self._close_complete()  # now rather than at the next `pop`: whether it is late must not depend on that
        gone, jumps = self._pairing.find_gone(item), self._pairing.jumps
        events += self._pairing.add(item, now)
        if self._pairing.jumps != jumps:
            self._forget_inputs()
        late = gone is not None and now - gone.arrived > self._wait_s
        self._inputs[item.camera, item.kind] = _Input(now, known=True, waited_out=late)
        self._bound(item, events)
        return events + self._told()

    def _close_complete(self) -> None:
        """Closes the groups that no input can change any more for which it is worth waiting."""
        while self._pairing.oldest is not None and not self._awaited():
            self._events += self._pairing.close()

    def _awaited(self) -> list[_Input]:
        """Inputs that the oldest group waits for."""
        return [self._inputs[key] for key in self._pairing.missing() if self._inputs[key].expected]

    def _bound(self, item: Item, events: list[Event]) -> None:
        """Drops the oldest beyond the capacity; the newest group stays."""
        pairing, key = self._pairing, (item.camera, item.kind)
        while self.nbytes > self._capacity and (lost := self._take_surplus()) is not None:
            events += [Dropped(part, OVERFLOW) for part in lost.items()]
        while item.kind != IMAGE and (pairing.count(key) > MAX_PARTNERS or (
                pairing.count(key) > 1 and pairing.oldest is None and self.nbytes > self._capacity)):
            events += pairing.drop_partner(key)

    def _take_surplus(self) -> Group | None:
        """The oldest group, if there is a second one."""
        pairing = self._pairing
        closed = pairing.closed()
        if closed and (len(closed) > 1 or pairing.oldest is not None):
            pairing.out.remove(closed[0])
            return closed[0]
        images = pairing.count(*((camera, IMAGE) for camera in self.cameras))
        if closed or images == 0 or images == len(pairing.oldest_images()):
            return None
        self._events += pairing.close()
        pairing.out.remove(group := pairing.closed()[0])
        return group

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # going out

    def pop(self, now: float) -> Group | TimeJump | None:
        """The next group that need not wait any longer, or a jump of time between groups; None if there is none."""
        pairing = self._pairing
        if not pairing.out and pairing.oldest is not None:
            awaited = self._awaited()
            if awaited and not self._is_over(now):
                return None
            for known in awaited:
                known.waited_out = True
            self._events += pairing.close()
        return pairing.out.popleft() if pairing.out else None

    def _is_over(self, now: float) -> bool:
        """Compares the time that the oldest group has waited with what it may."""
        arrived = self._pairing.oldest_arrived()
        return now - (max(arrived, self._last_arrival) if self._patient else arrived) >= self._wait_s

    def poll(self, now: float) -> list[Event]:
        """To be called about once a second: names inputs that went stale."""
        events: list[Event] = []
        for (camera, kind), known in self._inputs.items():
            silent = now - known.arrival
            if known.known and not known.stale and silent > self._stale_s:
                known.stale = True
                if kind == IMAGE:
                    events += self._pairing.release(camera)
                events.append(Stale(camera, kind, silent))
        return events + self._told()
