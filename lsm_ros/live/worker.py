# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""One plain thread with a bounded queue: frames in order, commands between them as futures."""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerCounts:
    """Counts of the items so far. submitted = processed + failed + dropped + waiting + the one in work."""

    submitted: int = 0
    processed: int = 0
    failed: int = 0
    dropped: int = 0
    waiting: int = 0


class Worker(Generic[Item]):
    """Runs `handle(item)` for each submitted item, first in, first out, in a thread of its own.

    capacity: most items that wait. block: `submit` waits for room (replay); else the oldest waiting item makes room and
    is counted and handed to `on_drop` (live). An error of one item goes to `on_error` and the thread lives on. Commands
    keep their place between the items and are never dropped. `on_error` and `on_drop` must not raise.
    """

    def __init__(self, handle: Callable[[Item], None], *, capacity: int, block: bool = False,
                 on_error: Callable[[Item, Exception], None], on_drop: Callable[[Item], None] | None = None,
                 name: str = "worker") -> None:
        if capacity < 1:
            raise ValueError(f"the queue needs room for at least one item, got capacity {capacity}")
        self._handle, self._capacity, self._block = handle, capacity, block
        self._on_error, self._on_drop = on_error, on_drop
        self._queue: deque[tuple[bool, Any]] = deque()  # (is an item, item or (function, future))
        self._waiting = 0
        self._submitted = self._processed = self._failed = self._dropped = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> bool:
        """Queues an item. False if something was lost: an older item made room, or the worker is stopped."""
        victim: list[Item] = []
        with self._changed:
            while self._block and self._waiting >= self._capacity and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return False
            if self._waiting >= self._capacity:
                victim.append(self._take_oldest_item())
            self._queue.append((True, item))
            self._waiting += 1
            self._submitted += 1
            self._changed.notify_all()
        for lost in victim:
            if self._on_drop is not None:
                self._on_drop(lost)
        return not victim

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Runs `function` in the thread after all that was submitted before it. The future holds its result or error;
        it is cancelled if the worker stops first."""
        future: Future[Result] = Future()
        with self._changed:
            if self._stopping:
                future.cancel()
                return future
            self._queue.append((False, (function, future)))
            self._changed.notify_all()
        return future

    @property
    def counts(self) -> WorkerCounts:
        """Counters at this moment."""
        with self._changed:
            return WorkerCounts(self._submitted, self._processed, self._failed, self._dropped, self._waiting)

    def discard_waiting(self) -> int:
        """Takes out all items that wait, counts them as dropped, and returns their number. Commands stay."""
        with self._changed:
            count = self._waiting
            self._queue = deque(entry for entry in self._queue if not entry[0])
            self._waiting = 0
            self._dropped += count
            self._changed.notify_all()
        return count

    def stop(self) -> None:
        """Finishes the item in work, drops what waits, cancels waiting commands, and joins the thread."""
        with self._changed:
            self._stopping = True
            left, self._queue = self._queue, deque()
            self._dropped += self._waiting
            self._waiting = 0
            self._changed.notify_all()
        for is_item, entry in left:
            if not is_item:
                entry[1].cancel()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _take_oldest_item(self) -> Item:
        for i, (is_item, entry) in enumerate(self._queue):
            if is_item:
                del self._queue[i]
                self._waiting -= 1
                self._dropped += 1
                return entry
        raise RuntimeError("the queue counts items that it does not hold")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                is_item, entry = self._queue.popleft()
                self._waiting -= is_item
                self._changed.notify_all()
            if is_item:
                self._work(entry)
            else:
                self._command(*entry)

    def _work(self, item: Item) -> None:
        # The edge of the thread: whatever one frame brings up must not end the mapping, and must be heard of.
        try:
            self._handle(item)
        except Exception as error:
            with self._changed:
                self._failed += 1
            self._on_error(item, error)
        else:
            with self._changed:
                self._processed += 1

    @staticmethod
    def _command(function: Callable[[], Any], future: Future) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = function()
        except Exception as error:  # belongs to whoever waits for the future
            future.set_exception(error)
        else:
            future.set_result(result)
