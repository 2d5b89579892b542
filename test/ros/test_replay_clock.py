# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which clock a bag is played by."""
import pytest
from helpers.bags import IMAGE, BagMaker, S, make, shade

from lsm_ros.datasets.bagfile import BagFile
from lsm_ros.ros.replay_clock import ReplayClock, clock_of

WALL = 1_700_000_000 * S
CLOCK = "rosgraph_msgs/msg/Clock"


def bag_of(folder, stamps, log_ns, clocks=()):
    with BagMaker(folder) as bag:
        for i, stamp in enumerate(stamps):
            if clocks:
                now = make("builtin_interfaces/msg/Time", sec=clocks[i] // S, nanosec=clocks[i] % S)
                bag.put("/clock", CLOCK, log_ns + i * S, make(CLOCK, clock=now))
            bag.put("/cam/image", IMAGE, log_ns + i * S + 1, make.image(stamp, "o", shade(i), "rgb8"))
    return BagFile(folder)


@pytest.mark.parametrize("stamps, log_ns, clocks, expected", [
    ((WALL, WALL + S), WALL, (), ReplayClock()), ((0, 0), WALL, (), ReplayClock()),
    ((0, S), WALL, (), ReplayClock(offset_ns=S - WALL - S - 1)), ((5 * S, 6 * S), WALL, (5 * S, 6 * S), ReplayClock(True)),
    ((5 * S, 6 * S), 5 * S, (5 * S, 6 * S), ReplayClock()), ((WALL, WALL + S), WALL + 3 * S, (), ReplayClock()),
], ids=["live", "no stamps", "simulated", "simulated with clock", "recorded in simulated time", "late"])
def test_clock_of_a_bag(tmp_path, stamps, log_ns, clocks, expected):
    bag = bag_of(tmp_path / "bag", stamps, log_ns, clocks)
    assert clock_of(bag) == expected
    assert any("another clock" in w for w in bag.log.lines()) == (expected != ReplayClock())
