# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The time of /clock while a bag is played: that of the stamps, also where a simulation was recorded by the wall clock."""
from __future__ import annotations

from dataclasses import dataclass

from lsm_ros.datasets.bagfile import BagFile, raw_stamp
from lsm_ros.ros.replay_qos import IMAGE_TYPES

CLOCK = "/clock"
_APART_NS = 10_000_000_000  # between stamps and times of recording, before they are two clocks
_LOOKED_AT = 100  # messages, for one with a stamp


@dataclass(frozen=True)
class ReplayClock:
    """is_recorded: the bag's own /clock is played; else /clock is the time of recording plus offset_ns."""

    is_recorded: bool = False
    offset_ns: int = 0


def clock_of(bag: BagFile) -> ReplayClock:
    """Compares the stamps of a bag with the times of recording. What is not those is logged."""
    for _, log_ns, raw in bag.raw([CLOCK]):
        recorded_ns = raw_stamp(raw)
        if recorded_ns is not None and abs(recorded_ns - log_ns) > _APART_NS:
            bag.log.add("the bag was recorded by another clock than that of its stamps: its own /clock is played")
            return ReplayClock(is_recorded=True)
        break
    images = [t.name for t in bag.topics if t.msgtype in IMAGE_TYPES and t.count]
    for (_, log_ns, raw), _ in zip(bag.raw(images), range(_LOOKED_AT), strict=False):
        stamp_ns = raw_stamp(raw)
        if stamp_ns:
            if abs(stamp_ns - log_ns) <= _APART_NS:
                return ReplayClock()
            bag.log.add("the bag was recorded by another clock than that of its stamps: /clock follows the stamps",
                        f"{(stamp_ns - log_ns) * 1e-9:+.3f} s")
            return ReplayClock(offset_ns=stamp_ns - log_ns)
    return ReplayClock()
