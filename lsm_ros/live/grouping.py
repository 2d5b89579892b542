# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Puts images, depth and labels of one instant together, live: nobody waits long, nothing grows, losses are counted.

Knows no ROS: items carry any payload, and the time of arrival is an argument. All stamps are integer nanoseconds.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

IMAGE, DEPTH, LABELS = "image", "depth", "labels"
PARTNERS = (DEPTH, LABELS)
LATE_NS = 1_000_000_000      # a stamp that goes back by no more is a late frame, not a jump of time
GAP_NS = 1_000_000_000       # a stamp that goes forward by more is reported
LEAP_NS = 10_000_000_000     # a stamp that goes forward by more must be confirmed by the next one
LEFTOVER_S = 2.0             # after a jump, items of the old time are expected for this long
HISTORY, MAX_PARTNERS = 512, 64


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


@dataclass(frozen=True)
class TimeJump:
    """Stamps went back by more than a second, and stayed there: what follows belongs to another time."""

    seconds: float


@dataclass(frozen=True)
class Dropped:
    """An item was lost. reason: repeated, late, leap (a lone stamp far from the others), overflow."""

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


@dataclass
class _Stream:
    """What is known of one input."""

    last_ns: int | None = None
    arrival: float = 0.0
    known: bool = False
    stale: bool = False
    waited_out: bool = False  # it was waited for in vain, and did not come in time since
    held: Item | None = None

    @property
    def expected(self) -> bool:
        return self.known and not self.stale and not self.waited_out


@dataclass
class _Open:
    """A group that still waits."""

    stamp_ns: int
    arrived: float
    images: dict[str, Item] = field(default_factory=dict)


class Assembler:
    """Groups of one instant, in the order of stamps.

    An image waits until its depth, its labels and the images of the other cameras have come, or cannot come any more
    because newer ones have come, or `wait_s` is over since it arrived; inputs that were never seen, that are stale
    (`stale_s` without a message), or that were waited for in vain the last time are not waited for. patient: `wait_s`
    counts from the last arrival of anything, for replay at any pace. Beyond `capacity_bytes` the oldest group goes.
    """

    def __init__(self, cameras: Sequence[str], *, slop_ns: int, wait_s: float, stale_s: float, capacity_bytes: int,
                 patient: bool = False) -> None:
        if not cameras or len(set(cameras)) != len(cameras):
            raise ValueError(f"cameras must be named, each once; got {list(cameras)}")
        self.cameras = tuple(cameras)
        self._slop_ns, self._wait_s, self._stale_s = slop_ns, wait_s, stale_s
        self._capacity, self._patient = capacity_bytes, patient
        self.nbytes = 0
        self._old_time: tuple[int, float] | None = None
        self._reset()

    def _reset(self) -> None:
        self._streams = {(c, k): _Stream() for c in self.cameras for k in (IMAGE, *PARTNERS)}
        self._waiting: dict[tuple[str, str], list[Item]] = {(c, k): [] for c in self.cameras for k in PARTNERS}
        self._open: list[_Open] = []
        self._out: deque[Group | TimeJump] = deque()
        self._gone: dict[str, deque[tuple[int, float]]] = {c: deque(maxlen=HISTORY) for c in self.cameras}
        self._horizon_ns: int | None = None
        self._last_cameras: frozenset[str] = frozenset()
        self._last_arrival = 0.0

    def clear(self) -> None:
        """Forgets all items and stamps."""
        self._reset()
        self.nbytes = 0

    def expect(self, camera: str, kind: str, now: float) -> None:
        """Says that this input exists although nothing has come from it yet, so that the first images wait for it."""
        stream = self._streams[camera, kind]
        if not stream.known:
            stream.known, stream.arrival = True, now

    def is_full(self, nbytes: int = 0) -> bool:
        """Whether `nbytes` more would drop something; one item always has room."""
        return self.nbytes > 0 and self.nbytes + nbytes > self._capacity

    # coming in

    def add(self, item: Item, now: float) -> list[Event]:
        """Takes one item that arrived at `now` (seconds, monotonic). Returns what is worth to be told."""
        events: list[Event] = []
        stream = self._streams[item.camera, item.kind]
        if stream.stale:
            events.append(Recovered(item.camera, item.kind))
        stream.known, stream.stale, stream.arrival = True, False, now
        self._last_arrival = now
        if self._is_leftover(item, now):
            events.append(Dropped(item, "late"))
        elif item.kind == IMAGE:
            self._add_image(stream, item, now, events)
        else:
            self._add_partner(stream, item, now, events)
        while self._open and self.nbytes > self._capacity and len(self._open) > 1:
            for lost in self._take(self._open[0])[0]:
                events.append(Dropped(lost, "overflow"))
        return events

    def _is_leftover(self, item: Item, now: float) -> bool:
        """Whether it is of the time before a jump: it was under way while another input had already jumped."""
        if self._old_time is None:
            return False
        old_ns, jumped = self._old_time
        if now - jumped > LEFTOVER_S:
            self._old_time = None
            return False
        return abs(item.stamp_ns - old_ns) <= LATE_NS

    def _add_image(self, stream: _Stream, item: Item, now: float, events: list[Event]) -> None:
        last, held = stream.last_ns, stream.held
        if last is None:
            self._group(stream, item, now, events)
            return
        step = item.stamp_ns - last
        if step == 0 or (held is not None and item.stamp_ns == held.stamp_ns):
            events.append(Dropped(item, "repeated"))
        elif -LATE_NS <= step < 0:
            events.append(Dropped(item, "late"))
        elif -LATE_NS <= step <= LEAP_NS:
            self._release(stream, events)
            if step > GAP_NS:
                events.append(TimeGap(item.camera, step * 1e-9))
            self._group(stream, item, now, events)
        elif held is None or item.stamp_ns < held.stamp_ns or (held.stamp_ns < last) != (step < 0):
            self._release(stream, events)
            stream.held = item
            self.nbytes += item.nbytes
        else:
            self._confirm(stream, held, item, now, events)

    def _release(self, stream: _Stream, events: list[Event]) -> None:
        """Drops the held item: no second one confirmed its stamp."""
        if stream.held is not None:
            self.nbytes -= stream.held.nbytes
            events.append(Dropped(stream.held, "leap"))
            stream.held = None

    def _confirm(self, stream: _Stream, held: Item, item: Item, now: float, events: list[Event]) -> None:
        """Two items in a row agree on the new time."""
        stream.held = None
        self.nbytes -= held.nbytes
        step = held.stamp_ns - (stream.last_ns or 0)
        if step > 0:
            events.append(TimeGap(item.camera, step * 1e-9))
        else:
            old_ns = stream.last_ns
            self._jump(TimeJump(step * 1e-9))
            self._old_time = (old_ns or 0, now)
            stream = self._streams[item.camera, item.kind]
            stream.known, stream.arrival = True, now
        self._group(stream, held, now, events)
        self._group(stream, item, now, events)

    def _jump(self, jump: TimeJump) -> None:
        """What waits goes on as it is, then the jump; streams and partners start anew."""
        while self._open:
            self._emit(self._open[0])
        out, streams, dropped = self._out, self._streams, self._waiting
        out.append(jump)
        self.nbytes -= sum(i.nbytes for items in dropped.values() for i in items)
        self.nbytes -= sum(s.held.nbytes for s in streams.values() if s.held is not None)
        self._reset()
        self._out = out

    def _group(self, stream: _Stream, item: Item, now: float, events: list[Event]) -> None:
        """Puts an image into the nearest group within the slop, or opens one."""
        stream.last_ns = item.stamp_ns
        if self._too_late(item):
            self._arrived_late(stream, item, now)
            events.append(Dropped(item, "late"))
            return
        stream.waited_out = False
        free = [g for g in self._open if item.camera not in g.images]
        near = [g for g in free if abs(g.stamp_ns - item.stamp_ns) <= self._slop_ns]
        if near:
            group = min(near, key=lambda g: abs(g.stamp_ns - item.stamp_ns))
        else:
            group = _Open(item.stamp_ns, now)
            self._open.append(group)
            self._open.sort(key=lambda g: g.stamp_ns)
        group.images[item.camera] = item
        self.nbytes += item.nbytes

    def _too_late(self, item: Item) -> bool:
        if self._horizon_ns is None:
            return False
        reach = 0 if item.camera in self._last_cameras else self._slop_ns
        return item.stamp_ns <= self._horizon_ns + reach

    def _arrived_late(self, stream: _Stream, item: Item, now: float) -> tuple[int, float] | None:
        """The image, already gone, that this item belongs to. Its delay says whether the input is worth waiting for."""
        candidates = [entry for c in ([item.camera] if item.kind != IMAGE else self.cameras) for entry in self._gone[c]
                      if abs(entry[0] - item.stamp_ns) <= self._slop_ns]
        if not candidates:
            return None
        match = min(candidates, key=lambda entry: abs(entry[0] - item.stamp_ns))
        stream.waited_out = now - match[1] > self._wait_s
        return match

    def _add_partner(self, stream: _Stream, item: Item, now: float, events: list[Event]) -> None:
        if stream.last_ns == item.stamp_ns:
            events.append(Dropped(item, "repeated"))
            return
        back = stream.last_ns is not None and item.stamp_ns < stream.last_ns - LATE_NS
        stream.last_ns = item.stamp_ns if back or stream.last_ns is None else max(stream.last_ns, item.stamp_ns)
        gone = self._arrived_late(stream, item, now)
        if gone is not None:
            events.append(LateLabels(item, gone[0]) if item.kind == LABELS else Dropped(item, "late"))
            return
        stream.waited_out = False
        waiting = self._waiting[item.camera, item.kind]
        waiting.append(item)
        self.nbytes += item.nbytes
        while len(waiting) > MAX_PARTNERS or (len(waiting) > 1 and not self._open and self.nbytes > self._capacity):
            lost = waiting.pop(0)
            self.nbytes -= lost.nbytes
            events.append(Dropped(lost, "overflow"))

    # going out

    def pop(self, now: float) -> Group | TimeJump | None:
        """The next group that need not wait any longer, or a jump of time between groups; None if there is none."""
        if not self._out and self._open and self._is_ready(self._open[0], now):
            self._emit(self._open[0])
        if not self._out:
            return None
        out = self._out.popleft()
        if isinstance(out, Group):
            self.nbytes -= sum(i.nbytes for part in (out.images, out.depth, out.labels) for i in part.values())
        return out

    def poll(self, now: float) -> list[Event]:
        """To be called about once a second: names inputs that went stale."""
        events: list[Event] = []
        for (camera, kind), stream in self._streams.items():
            silent = now - stream.arrival
            if stream.known and not stream.stale and silent > self._stale_s:
                stream.stale = True
                self._release(stream, events)
                events.append(Stale(camera, kind, silent))
        return events

    def _is_ready(self, group: _Open, now: float) -> bool:
        missing = [s for s in self._needed(group) if s.expected]
        if not missing:
            return True
        since = max(group.arrived, self._last_arrival) if self._patient else group.arrived
        if now - since < self._wait_s:
            return False
        for stream in missing:
            stream.waited_out = True
        return True

    def _needed(self, group: _Open) -> list[_Stream]:
        """Inputs that this group lacks and that may still come."""
        out = []
        for camera in self.cameras:
            image = group.images.get(camera)
            stream = self._streams[camera, IMAGE]
            if image is None:
                if stream.last_ns is None or stream.last_ns <= group.stamp_ns + self._slop_ns:
                    out.append(stream)
                continue
            for kind in PARTNERS:
                partner = self._streams[camera, kind]
                passed = partner.last_ns is not None and partner.last_ns > image.stamp_ns + self._slop_ns
                if not passed and self._partner(image, kind) is None:
                    out.append(partner)
        return out

    def _partner(self, image: Item, kind: str) -> Item | None:
        near = [i for i in self._waiting[image.camera, kind] if abs(i.stamp_ns - image.stamp_ns) <= self._slop_ns]
        return min(near, key=lambda i: abs(i.stamp_ns - image.stamp_ns)) if near else None

    def _emit(self, group: _Open) -> None:
        items, out = self._take(group)
        self._out.append(out)
        self.nbytes += sum(i.nbytes for i in items)  # it stays here until it is popped

    def _take(self, group: _Open) -> tuple[list[Item], Group]:
        """Takes a group out, with its partners; older partners go, since their images have gone."""
        self._open.remove(group)
        stamp_ns = next(group.images[c].stamp_ns for c in self.cameras if c in group.images)
        out = Group(stamp_ns, group.images, {}, {}, group.arrived)
        for camera, image in group.images.items():
            for kind, target in ((DEPTH, out.depth), (LABELS, out.labels)):
                found = self._partner(image, kind)
                if found is not None:
                    target[camera] = found
                waiting = self._waiting[camera, kind]
                kept = [i for i in waiting if i is not found and i.stamp_ns > image.stamp_ns]
                self.nbytes -= sum(i.nbytes for i in waiting) - sum(i.nbytes for i in kept)
                waiting[:] = kept
            self.nbytes -= image.nbytes
            self._gone[camera].append((image.stamp_ns, group.arrived))
        self._horizon_ns = max(i.stamp_ns for i in group.images.values())
        self._last_cameras = frozenset(group.images)
        return [i for part in (out.images, out.depth, out.labels) for i in part.values()], out
