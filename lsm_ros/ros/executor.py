# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The executor of the node: one thread that spins, and a few for callbacks that wait."""
from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import ShutdownException, SingleThreadedExecutor, TimeoutException


class MappingExecutor(SingleThreadedExecutor):
    """Runs callbacks in the thread that spins, and those of the groups `waiting` in a pool of `threads` threads.

    rclpy's MultiThreadedExecutor hands every callback to its pool and looks for work again before the callback has
    begun: as long as the interpreter is held by another thread it offers the same callback over and over, and it builds
    its wait set twice for each message. Beside a busy worker that is a third of all time. Here only what waits for the
    worker pays for a thread. `threads` must be more than can wait at the same time, for the
    one that spins waits until a callback has begun. A callback's error is raised by `spin_once`.
    """

    def __init__(self, waiting: Collection[CallbackGroup], threads: int, **options: Any) -> None:
        super().__init__(**options)
        self._waiting = waiting
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="waiting")
        self._running: list[Future[None]] = []

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Waits for one callback, and runs it or hands it on."""
        for future in [f for f in self._running if f.done()]:
            self._running.remove(future)
            future.result()
        try:
            ready: tuple[Any, Any, Any] = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (TimeoutException, ShutdownException):
            return
        handler, entity, _ = ready
        if entity is not None and entity.callback_group in self._waiting:
            begun = Event()
            self._running.append(self._pool.submit(self._run, handler, begun))
            begun.wait()  # a callback that has not begun would be found ready once more
        else:
            self._run(handler)

    @staticmethod
    def _run(handler: Any, begun: Event | None = None) -> None:
        if begun is not None:
            begun.set()
        handler()
        error = handler.exception()
        if error is not None:
            raise error

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Ends: no callback begins any more. Those that wait go on until the node lets go of them."""
        done = super().shutdown(timeout_sec)
        self._pool.shutdown(wait=False)
        return done
