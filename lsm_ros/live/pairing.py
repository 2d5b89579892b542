# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The pairing of images with depth, labels and images of other cameras: by their stamps, without a clock.

Who uses this decides when the oldest group is closed (`lsm_ros.live.grouping`: live; `lsm_ros.live.recorded`: a bag).
"""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from lsm_ros.live.history import Gone, History
from lsm_ros.live.items import (
    DEPTH,
    IMAGE,
    LABELS,
    LATE,
    LEAP,
    OVERFLOW,
    PARTNERS,
    REPEATED,
    UNPAIRED,
    Dropped,
    Event,
    Group,
    Input,
    Item,
    LateLabels,
    TimeJump,
)
from lsm_ros.live.stamps import LATE_NS, LEAP_NS, ImageStamps, OldTime, Stamps
from lsm_ros.live.waiting import Strays, Waiting, stamp_of


class Pairing:
    """Items that wait for their group; `out` has the closed groups in the order of stamps, and jumps of time between them.

    Within one input stamps should go forward: what goes back finds its place only while that is not closed.
    """

    def __init__(self, cameras: Sequence[str], slop_ns: int) -> None:
        if not cameras or len(set(cameras)) != len(cameras):
            raise ValueError(f"cameras must be named, each once; got {list(cameras)}")
        self.cameras = tuple(cameras)
        self.inputs: tuple[Input, ...] = tuple((c, k) for c in cameras for k in (IMAGE, *PARTNERS))
        self._partners = tuple(key for key in self.inputs if key[1] != IMAGE)
        self._slop_ns = slop_ns
        self.jumps = 0
        self.clear()

    def clear(self) -> None:
        """Forgets all items and stamps."""
        self.out: deque[Group | TimeJump] = deque()
        self._old: OldTime | None = None
        self._begin()

    def _begin(self) -> None:
        self._images = {c: ImageStamps() for c in self.cameras}
        self._stamps: dict[Input, Stamps] = {key: Stamps() for key in self._partners}
        self._stamps |= {(camera, IMAGE): stamps for camera, stamps in self._images.items()}
        self._waiting = Waiting(self.cameras, self.inputs, self._slop_ns)
        self._strays = Strays(self._partners)
        self._arrived: dict[tuple[str, int], float] = {}
        self._history = History(self.inputs)
        self.newest_ns: int | None = None

    # what waits

    @property
    def nbytes(self) -> int:
        """Bytes of all that waits, closed groups included."""
        return self.waiting_nbytes + sum(i.nbytes for group in self.closed() for i in group.items())

    @property
    def waiting_nbytes(self) -> int:
        """Bytes of what waits for its group."""
        held = [stamps.held for stamps in self._images.values() if stamps.held is not None]
        return sum(item.nbytes for item in (*held, *self._strays.all(), *self._waiting.all()))

    def closed(self) -> list[Group]:
        """The groups in `out`."""
        return [group for group in self.out if isinstance(group, Group)]

    @property
    def oldest(self) -> Item | None:
        """The oldest image that waits, which the next group begins with."""
        return self._waiting.oldest

    def oldest_arrived(self) -> float:
        """Time at which the first image of the oldest group arrived; there must be one."""
        return min(self._arrived[i.camera, i.stamp_ns] for i in self.oldest_images())

    def oldest_images(self) -> list[Item]:
        """Images of the oldest group; there must be one."""
        return list(self._waiting.members(self._seed()).values())

    def count(self, *keys: Input) -> int:
        """Number of items of some inputs that wait."""
        return sum(len(self._waiting.of(key)) for key in keys)

    def missing(self) -> list[Input]:
        """Inputs from which something may come that changes the oldest group: what it lacks, or what is nearer."""
        seed, out = self._seed(), []
        for camera, image in {**dict.fromkeys(self.cameras), **self._waiting.members(seed)}.items():
            if image is not seed:
                out += self._unsettled(seed, (camera, IMAGE))
            if image is not None:
                out += [key for kind in PARTNERS for key in self._unsettled(image, (camera, kind))]
        return out

    def _unsettled(self, image: Item, other: Input) -> list[Input]:
        """Inputs that may still change which item of `other` belongs to an image."""
        found, home = self._waiting.nearest(image, other), (image.camera, IMAGE)
        if found is None:
            return [] if self._stamps[other].has_passed(image.stamp_ns + self._slop_ns) else [other]
        gap = abs(found.stamp_ns - image.stamp_ns)
        ends = {other: image.stamp_ns + gap, home: found.stamp_ns + gap}  # what comes later than this is not nearer
        return [key for key, end in ends.items() if gap and self._stamps[key].comes_before(end)]

    def _seed(self) -> Item:
        if self.oldest is None:
            raise RuntimeError("no image waits, so there is no group")
        return self.oldest

    # coming in

    def goes_back(self, item: Item) -> bool:
        """Compares an item with the newest stamp of its input: True if it is older."""
        return self._stamps[item.camera, item.kind].has_passed(item.stamp_ns)

    def add(self, item: Item, arrived: float = 0.0) -> list[Event]:
        """Takes one item that arrived, or was recorded, at a time in seconds. Returns events worth reporting.

        The time is handed on with the group; else it only distinguishes a pause of a camera from a wrong stamp.
        """
        if self._old is not None and self._old.is_over(self.newest_ns):
            self._old = None
        if self._old is not None and self._old.has(item):
            return [Dropped(item, LATE)]
        if item.kind != IMAGE:
            return self._add_partner(item)
        old_ns, verdict = self._images[item.camera].last_ns, self._images[item.camera].judge(item, arrived)
        events = verdict.events
        more = self._jump(verdict.jump_ns, old_ns or 0, events) if verdict.jump_ns else []
        for image in verdict.taken:
            events += self._add_image(image, arrived)
        for other in more:
            events += self.add(other, arrived)
        return events

    def _jump(self, jump_ns: int, old_ns: int, events: list[Event]) -> list[Item]:
        """Closes what waits as it is, then begins anew. Returns the items that already belong to the new time."""
        while self.oldest is not None:
            events += self.close()
        rest = self._unused() + [s.held for s in self._images.values() if s.held is not None]
        self.out.append(TimeJump(jump_ns * 1e-9))
        self.jumps += 1
        self._begin()
        self._old = OldTime(old_ns, -jump_ns)
        reach = min(LEAP_NS, -jump_ns // 2)
        new = [i for i in rest if abs(i.stamp_ns - old_ns - jump_ns) <= reach]
        events += [Dropped(i, LEAP if i.kind == IMAGE else UNPAIRED) for i in rest if i not in new]
        return new

    def _add_image(self, item: Item, arrived: float) -> list[Event]:
        if self._waiting.has((item.camera, IMAGE), item.stamp_ns):
            return [Dropped(item, REPEATED)]
        self._images[item.camera].note(item.stamp_ns)
        self._images[item.camera].arrived = arrived
        if self._is_late(item) or self.find_gone(item) is not None:
            return [Dropped(item, LATE)]
        self._waiting.put(item)
        self._arrived[item.camera, item.stamp_ns] = arrived
        self.newest_ns = item.stamp_ns if self.newest_ns is None else max(self.newest_ns, item.stamp_ns)
        return [event for near in self._strays.take(self._is_near) for event in self._add_partner(near)]

    def _add_partner(self, item: Item) -> list[Event]:
        key = (item.camera, item.kind)
        if item.stamp_ns == self._stamps[key].last_ns or self._waiting.has(key, item.stamp_ns):
            return [Dropped(item, REPEATED)]
        gone = self.find_gone(item)
        if gone is None and not self._is_near(item):
            return [Dropped(lost, LEAP) for lost in self._strays.put(item)]
        self._stamps[key].note(item.stamp_ns)
        if gone is not None:
            gone.lacking.remove(key)
            return [LateLabels(item, gone.stamps[item.camera]) if item.kind == LABELS else Dropped(item, LATE)]
        if self._is_over(item):
            return [Dropped(item, UNPAIRED)]
        self._waiting.put(item)
        return []

    def _is_near(self, item: Item) -> bool:
        """Compares with the time of the images: False if the stamp is wrong, or time is about to jump there."""
        if self.newest_ns is None:
            return True
        last_ns = self._history.last_ns
        oldest_ns = self._seed().stamp_ns if last_ns is None else last_ns
        return oldest_ns - LATE_NS <= item.stamp_ns <= self.newest_ns + LEAP_NS

    def _is_late(self, image: Item) -> bool:
        last_ns = self._history.last_ns
        return last_ns is not None and image.stamp_ns <= last_ns

    def _is_over(self, item: Item) -> bool:
        """Compares with the groups that have gone: True if no image can come any more that this one could belong to."""
        last_ns = self._history.last_ns
        return last_ns is not None and item.stamp_ns + self._slop_ns <= last_ns

    def find_gone(self, item: Item) -> Gone | None:
        """The closed group that an item would have belonged to, had it come in time."""
        found = self._history.nearest(item, self._slop_ns)
        if found is None or self._waiting.has_nearer(found[1], item, found[2]):
            return None
        return found[0]

    # going out

    def close(self) -> list[Event]:
        """Closes the oldest group with what is there; it moves to `out`. There must be one."""
        seed, arrived = self._seed(), self.oldest_arrived()
        images = self._waiting.members(seed)
        parts: dict[str, dict[str, Item]] = {DEPTH: {}, LABELS: {}}
        for camera, image in images.items():
            for kind in PARTNERS:
                found = self._waiting.nearest(image, (camera, kind))
                if found is not None:
                    parts[kind][camera] = found
        group = Group(next(iter(images.values())).stamp_ns, images, parts[DEPTH], parts[LABELS], arrived)
        for item in group.items():
            self._waiting.remove(item)
        self._history.add(seed, group)
        self.out.append(group)
        lost = [Dropped(i, LATE) for c in self.cameras for i in self._waiting.of((c, IMAGE)) if self._is_late(i)]
        lost += [Dropped(i, UNPAIRED) for key in self._partners for i in self._waiting.of(key) if self._is_over(i)]
        for event in lost:
            self._waiting.remove(event.item)
        waits = {(c, i.stamp_ns) for c in self.cameras for i in self._waiting.of((c, IMAGE))}
        self._arrived = {key: arrived for key, arrived in self._arrived.items() if key in waits}
        return list(lost)

    def release(self, camera: str) -> list[Event]:
        """Drops the image of a camera that waits for another one to confirm its stamp."""
        return self._images[camera].release()

    def drop_partner(self, key: Input | None = None) -> list[Event]:
        """Drops the oldest depth or label image that waits for an image, of one input or of all; none if there is none."""
        keys = self._partners if key is None else (key,)
        lost = min((i for k in keys for i in self._waiting.of(k)), key=stamp_of, default=None)
        if lost is None:
            return []
        self._waiting.remove(lost)
        return [Dropped(lost, OVERFLOW)]

    def end(self) -> list[Event]:
        """Closes all groups and drops what has found none, since everything has come; then begins anew."""
        events: list[Event] = []
        while self.oldest is not None:
            events += self.close()
        events += [e for camera in self.cameras for e in self.release(camera)]
        events += [Dropped(i, UNPAIRED) for i in self._unused()]
        self._begin()
        return events

    def _unused(self) -> list[Item]:
        return [i for key in self._partners for i in self._waiting.of(key)] + self._strays.all()
