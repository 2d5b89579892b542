# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Matching the messages of several filters by time."""

import threading
from collections.abc import Sequence
from itertools import product
from typing import Any

from rclpy.duration import Duration

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import header_stamp, stamp_or_now

Queue = dict[int, Any]  # stamp in nanoseconds -> message


class TimeSynchronizer(SimpleFilter):
    """Passes on one message of each input as soon as all have one with the same stamp, in the order of `fs`.

    Each input keeps its `queue_size` newest messages (by stamp) while they wait for partners.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        # Reentrant: a callback may feed one of the inputs.
        self.lock = threading.RLock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Take input from these filters, with empty queues."""
        self.queues: list[Queue] = [{} for _ in fs]
        self.input_connections = [f.registerCallback(self.add, self.queues[index], index) for index, f in enumerate(fs)]

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Store a message of one input and pass on what is complete now, oldest first."""
        with self.lock:
            self._store(header_stamp(msg).nanoseconds, msg, my_queue)
            complete = set.intersection(*(set(queue) for queue in self.queues))
            for stamp_ns in sorted(complete):
                self._release([stamp_ns] * len(self.queues))

    def _store(self, stamp_ns: int, msg: Any, queue: Queue) -> None:
        queue[stamp_ns] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _release(self, stamps_ns: Sequence[int]) -> bool:
        """Pass on the messages with these stamps, one of each queue; False if one has gone already."""
        pairs = list(zip(self.queues, stamps_ns, strict=True))
        if not all(stamp_ns in queue for queue, stamp_ns in pairs):
            return False
        self.signalMessage(*[queue.pop(stamp_ns) for queue, stamp_ns in pairs])
        return True


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Passes on one message of each input when their stamps span less than `slop` seconds.

    Tried for each new message against those waiting in the other queues, the closest ones first.
    `allow_headerless` takes messages without header.stamp at the time of their arrival.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless
        super().__init__(fs, queue_size)

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Store a message of one input and pass on the first set within the slop that it completes."""
        stamp = stamp_or_now(msg, self.allow_headerless, "message_filters_approx")
        if stamp is None:
            return
        new_ns = stamp.nanoseconds
        with self.lock:
            self._store(new_ns, msg, my_queue)
            for stamps_ns in product(*self._candidates(new_ns, my_queue_index)):
                fits = max(stamps_ns) - min(stamps_ns) < self.slop.nanoseconds
                if fits and self._release(stamps_ns):
                    return

    def _candidates(self, new_ns: int, my_queue_index: int | None) -> list[list[int]]:
        """For each queue the stamps within the slop of the new message, closest first; its own queue holds it alone."""
        slop_ns = self.slop.nanoseconds
        return [
            [new_ns]
            if index == my_queue_index
            else sorted((ns for ns in queue if abs(ns - new_ns) <= slop_ns), key=lambda ns: abs(ns - new_ns))
            for index, queue in enumerate(self.queues)
        ]
