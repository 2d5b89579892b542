# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Stamps of the messages of a bag, where some or all of them are 0."""
from __future__ import annotations

from typing import Any

from lsm_ros.datasets.bagfile import BagFile, raw_stamp, stamp_of
from lsm_ros.live.stamps import LEAP_NS

_NONE, _FROM_ZERO, _SOME = "none", "from zero", "some"


class BagStamps:
    """Stamps by topic. Only where all of a topic are 0 do the times of recording stand in; a lone 0 is no stamp, unless time
    begins there, as that of simulations does."""

    def __init__(self, bag: BagFile) -> None:
        self._bag = bag
        self._zeros: dict[str, str] = {}

    def of(self, topic: str, header: Any, log_ns: int) -> int | None:
        """Stamp of a message in nanoseconds; None, which is logged, for one that has none."""
        stamp_ns = stamp_of(header)
        if stamp_ns != 0:
            return stamp_ns
        if topic not in self._zeros:
            self._zeros[topic] = self._judge(topic)
        if self._zeros[topic] == _NONE:
            self._bag.log.add(f"stamps of {topic} are 0; times of recording are taken")
            return log_ns
        if self._zeros[topic] == _FROM_ZERO:
            return 0
        self._bag.log.add(f"message of {topic} dropped: its stamp is 0, while others have one")
        return None

    def _judge(self, topic: str) -> str:
        """Reads on to the first stamp that is not 0, which is the next one unless a driver knows no time."""
        for _, _, raw in self._bag.raw([topic]):
            stamp_ns = raw_stamp(raw)
            if stamp_ns:
                return _FROM_ZERO if 0 < stamp_ns <= LEAP_NS else _SOME
        return _NONE
