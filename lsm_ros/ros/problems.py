# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Problems at the moment, by name: said once in the log, kept for status and diagnostics until it is over."""
from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable

REPEAT_S = 30.0


class Problems:
    """A register of problems. Thread-safe.

    warn and info: functions that write a line of the log. A problem is logged when it appears, and again when its words
    change (at most once a second), or, also for other numbers in it, when it is said after `REPEAT_S` seconds. That it is over
    is logged where that it had come back was.
    """

    def __init__(self, warn: Callable[[str], object], info: Callable[[str], object],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._warn, self._info, self._clock = warn, info, clock
        self._active: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, tuple[str, float]] = {}
        self._announced: set[str] = set()
        self._lock = threading.Lock()

    def say(self, key: str, text: str, seconds: float = math.inf) -> None:
        """Registers the problem `key`, for example 'front image', with a text that names it; for `seconds`, or until
        `over` is called."""
        now, words = self._clock(), without_numbers(text)
        with self._lock:
            self._active[key] = (text, now + seconds)
            before, when = self._logged.get(key, ("", -REPEAT_S))
            quiet = now - when < REPEAT_S and (words == before or now - when < 1.0)
            if not quiet:
                self._logged[key] = (words, now)
                self._announced.add(key)
        if not quiet:
            self._warn(text)

    def warn(self, text: str) -> None:
        """Logs what others keep."""
        self._warn(text)

    def over(self, key: str, text: str = "") -> None:
        """The problem is over; `text`, if any, is logged when it had been there and was logged."""
        with self._lock:
            was, announced = self._active.pop(key, None), key in self._announced
            self._announced.discard(key)
        if was is not None and announced and text:
            self._info(text)

    def of(self, prefix: str) -> str:
        """Texts of all problems whose key starts with `prefix`, in one line."""
        return "; ".join(text for key, text in self._current() if key.startswith(prefix))

    def all(self) -> tuple[str, ...]:
        """Texts of all problems, ordered by key."""
        return tuple(text for _, text in self._current())

    def _current(self) -> list[tuple[str, str]]:
        now = self._clock()
        with self._lock:
            return sorted((key, text) for key, (text, until) in self._active.items() if until > now)

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._active.clear()
            self._logged.clear()
            self._announced.clear()


def without_numbers(text: str) -> str:
    """A text by which two that differ in numbers alone, such as times, are the same."""
    return re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
