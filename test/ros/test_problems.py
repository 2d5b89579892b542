# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What is said in the log, and how often."""
import pytest

from lsm_ros.ros.problems import REPEAT_S, Problems


class Log:
    def __init__(self):
        self.now, self.lines = 0.0, []
        self.problems = Problems(lambda t: self.lines.append(f"W {t}"), lambda t: self.lines.append(f"I {t}"), lambda: self.now)


@pytest.fixture
def log():
    return Log()


def test_times_that_change_are_no_news_but_status_has_the_newest(log):
    for k in range(20):
        log.now = float(k)
        log.problems.say("tf", f"known from 1.5 to {17.25 + k} s, not at -3e-5")
    assert log.lines == ["W known from 1.5 to 17.25 s, not at -3e-5"]
    assert log.problems.of("tf") == "known from 1.5 to 36.25 s, not at -3e-5"


def test_other_words_are_news_at_most_once_a_second(log):
    for k, text in enumerate(("no image", "no transform", "no image", "no image")):
        log.now = 0.4 * k
        log.problems.say("tf", text)
    assert log.lines == ["W no image"]
    log.now = 1.7
    log.problems.say("tf", "no transform")
    assert log.lines[1:] == ["W no transform"]


def test_what_stays_is_said_again_now_and_then(log):
    for k in range(int(REPEAT_S) + 2):
        log.now = float(k)
        log.problems.say("tf", f"no image for {k} s")
    assert log.lines == ["W no image for 0 s", f"W no image for {REPEAT_S:.0f} s"]


def test_what_comes_and_goes_is_over_once_for_each_time_it_was_said(log):
    for k in range(30):
        log.now = 0.1 * k
        log.problems.say("lost", "the camera is lost")
        log.problems.over("lost", "tracking again")
    assert log.lines == ["W the camera is lost", "I tracking again"]
    log.now = REPEAT_S + 1
    log.problems.say("lost", "the camera is lost")
    log.problems.over("lost", "tracking again")
    assert log.lines[2:] == ["W the camera is lost", "I tracking again"]


def test_what_was_not_there_is_not_over(log):
    log.problems.over("lost", "tracking again")
    assert log.lines == []


def test_what_is_cleared_is_news_when_it_comes_again(log):
    log.problems.say("lost", "the camera is lost")
    log.problems.clear()
    assert log.problems.all() == ()
    log.problems.over("lost", "tracking again")
    log.problems.say("lost", "the camera is lost")
    assert log.lines == ["W the camera is lost"] * 2


def test_a_problem_for_some_seconds_ends_by_itself(log):
    log.problems.say("gap", "a gap", 10.0)
    log.now = 9.9
    assert log.problems.all() == ("a gap",)
    log.now = 10.1
    assert log.problems.all() == ()


def test_those_of_one_input_are_apart_and_all_are_in_the_order_of_their_keys(log):
    for key in ("rear info", "front silent", "front info"):
        log.problems.say(key, f"text of {key}")
    assert log.problems.of("front") == "text of front info; text of front silent"
    assert log.problems.all() == ("text of front info", "text of front silent", "text of rear info")
