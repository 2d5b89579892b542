# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The last messages of a filter, by time."""

from typing import Any

from rclpy.time import Time

from message_filters.simple_filter import SimpleFilter
from message_filters.stamps import stamp_or_now


class Cache(SimpleFilter):
    """The last `cache_size` messages of a filter in the order of arrival; passes each one on.

    `allow_headerless` takes messages without header.stamp at the time of their arrival. That time has the delay of
    the transport in it, so prefer headers. Times of the queries are rclpy Time objects.
    """

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False) -> None:
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Take input from a filter."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Store a message; the oldest gives way when the cache is full."""
        stamp = stamp_or_now(msg, self.allow_headerless, "message_filters_cache")
        if stamp is None:
            return
        self.cache_times.append(stamp)
        self.cache_msgs.append(msg)
        if len(self.cache_msgs) > self.cache_size:
            del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def _entries(self) -> list[tuple[Time, Any]]:
        return list(zip(self.cache_times, self.cache_msgs, strict=True))

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Messages between two times, both included."""
        assert from_stamp <= to_stamp, f"the interval ends ({to_stamp}) before it begins ({from_stamp})"
        return [msg for stamp, msg in self._entries() if from_stamp <= stamp <= to_stamp]

    def getElemAfterTime(self, stamp: Time) -> Any | None:
        """First message at or after a time; None if there is none."""
        return next((msg for time, msg in self._entries() if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Time) -> Any | None:
        """Last message at or before a time; None if there is none."""
        return next((msg for time, msg in reversed(self._entries()) if time <= stamp), None)

    def getLastestTime(self) -> Time | None:
        """Time of the message that came last (the name is spelt as in ROS); None if the cache is empty."""
        return self.cache_times[-1] if self.cache_times else None

    def getLatestTime(self) -> Time | None:
        """The same as getLastestTime."""
        return self.getLastestTime()

    def getOldestTime(self) -> Time | None:
        """Time of the message that came first; None if the cache is empty."""
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any | None:
        """First message at or after the latest time; None if the cache is empty."""
        latest = self.getLastestTime()
        return None if latest is None else self.getElemAfterTime(latest)
