# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What the mapper says in the log and in ~/status about its pipeline."""
from types import SimpleNamespace

import pytest

from lsm_ros.config import Config
from lsm_ros.ros.mapper import Mapper
from lsm_ros.ros.problems import Problems
from lsm_ros.types import TrackingState


@pytest.fixture
def mapper():
    lines = []
    problems = Problems(lines.append, lines.append)
    return SimpleNamespace(_warned=set(), _problems=problems, _tf_in=SimpleNamespace(seconds_since_start=1.0), config=Config(),
                           lines=lines)


def say(mapper, state=TrackingState.TRACKING, reason="", warnings=()):
    Mapper._say(mapper, SimpleNamespace(state=state, state_reason=reason, warnings=tuple(warnings)))
    return mapper.lines


def test_warnings_of_the_pipeline_are_logged_once_and_kept_by_it(mapper):
    for k in range(5):
        say(mapper, warnings=[f"images changed at {k} s", "no depth"])
    assert sorted(mapper.lines) == ["images changed at 0 s", "no depth"] and not mapper._problems.all()
    say(mapper)
    assert say(mapper, warnings=["no depth"])[2:] == ["no depth"], "it is new again"


def test_a_lost_camera_is_a_problem_until_it_is_tracked(mapper):
    say(mapper, TrackingState.LOST, "too few matches (3)")
    assert mapper._problems.all() == ("the camera is lost: too few matches (3)",)
    say(mapper, TrackingState.RELOCALIZED)
    assert mapper._problems.all() == () and mapper.lines[-1] == "the camera is tracked"


def test_a_start_that_takes_long_is_a_problem(mapper):
    assert say(mapper, TrackingState.INITIALIZING, "no depth") == []
    mapper._tf_in.seconds_since_start = mapper.config.node.missing_input_seconds + 0.1
    assert say(mapper, TrackingState.INITIALIZING, "no depth") == ["mapping has not started: no depth"]
    say(mapper)
    assert mapper._problems.all() == ()
