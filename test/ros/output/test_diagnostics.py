# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""/diagnostics: what is known of TF, and a queue that once was full."""
from types import SimpleNamespace

import pytest

from lsm_ros.msg import MappingStatus
from lsm_ros.ros.input.transforms import OdometryState
from lsm_ros.ros.output import diagnostics
from lsm_ros.ros.output.diagnostics import OK, RECENT_S, WARN, Diagnostics
from lsm_ros.ros.problems import Problems


@pytest.fixture
def told(monkeypatch):
    node = SimpleNamespace(create_publisher=lambda *_: None, get_fully_qualified_name=lambda: "/mapping")
    out = Diagnostics(node, Problems(lambda _: None, lambda _: None))
    out.now = 100.0
    monkeypatch.setattr(diagnostics, "time", SimpleNamespace(monotonic=lambda: out.now))
    return out


@pytest.mark.parametrize("placed, odometry, words", [
    ([], OdometryState.UNKNOWN, "known: nothing yet"), (["front", "rear"], OdometryState.ABSENT,
                                                       "known: camera front on base_link, camera rear on base_link"),
    (["front"], OdometryState.PRESENT, "known: camera front on base_link, odometry")])
def test_tf_says_what_it_knows(told, placed, odometry, words):
    tf_in = SimpleNamespace(placed=placed, odometry=odometry, base_name="base_link")
    tf_out = SimpleNamespace(sent=0, worst_gap_s=0.0)
    found = told._tf(tf_in, tf_out)
    assert (found.message, found.level) == (words, OK)
    told._problems.say("tf front", "camera 'front' cannot be placed")
    found = told._tf(tf_in, tf_out)
    assert (found.message, found.level) == ("camera 'front' cannot be placed", WARN)


def test_the_queue_is_well_again_some_seconds_after_the_last_drop(told):
    def level(dropped, later):
        told.now += later
        return told._queue(MappingStatus(frames_received=50, frames_dropped=dropped)).level

    assert level(0, 0) == OK
    assert level(3, 1) == WARN and level(3, RECENT_S - 1) == WARN
    assert level(3, 2) == OK
    assert level(4, 1) == WARN
    assert level(0, RECENT_S + 1) == OK, "a new worker counts from zero"
    assert level(1, 1) == WARN
