# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Problems at the moment, by name: said once in the log, kept for status and diagnostics until it is over."""
from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

REPEAT_S = 30.0


class Problems:
    """A register of problems. Thread-safe.

    warn and info: functions that write a line of the log. A problem is logged when it appears, and again when its text
    changes (at most once a second) or when it comes back after `REPEAT_S` seconds.
    """

    def __init__(self, warn: Callable[[str], object], info: Callable[[str], object],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._warn, self._info, self._clock = warn, info, clock
        self._active: dict[str, tuple[str, float]] = {}
        self._logged: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def say(self, key: str, text: str, seconds: float = math.inf) -> None:
        """Registers the problem `key`, for example 'front image', with a text that names it; for `seconds`, or until
        `over` is called."""
        now = self._clock()
        with self._lock:
            self._active[key] = (text, now + seconds)
            before, when = self._logged.get(key, ("", -REPEAT_S))
            quiet = now - when < REPEAT_S and (text == before or now - when < 1.0)
            if not quiet:
                self._logged[key] = (text, now)
        if not quiet:
            self._warn(text)

    def over(self, key: str, text: str = "") -> None:
        """The problem is over; `text`, if any, is logged when it had been there."""
        with self._lock:
            was = self._active.pop(key, None)
        if was is not None and text:
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
