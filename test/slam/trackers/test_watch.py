# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import pytest

from lsm_ros.pairs.agreement import Agreement
from lsm_ros.slam.trackers.base import part_of
from lsm_ros.slam.trackers.watch import EVERY_NS, LEAST_CHECKS, WINDOW_NS, Watch

RIGHT = Agreement(seen=1000, measured=800, agree=760, patches=200, alike=150)
WRONG = Agreement(seen=1000, measured=800, agree=200, through=500, patches=200, alike=20)
NOTHING = Agreement()
OLDEST, BOUNDS = -1, [10, 20]


def found(*finds, step=EVERY_NS, bounds=BOUNDS):
    """What the watch says to frames that were compared to parts {part: agreement}, or to the oldest part alone."""
    watch = Watch()
    return [watch.add(10**9 + n * step, f if isinstance(f, dict) else {OLDEST: f}, bounds) for n, f in enumerate(finds)]


def test_one_wrong_frame_is_somebody_who_walks_by():
    assert found(RIGHT, WRONG, RIGHT, WRONG, RIGHT) == [None] * 5


def test_a_second_of_contradiction_is_a_wrong_place_of_the_newest_part():
    says = found(*[WRONG] * LEAST_CHECKS)
    assert says[:-1] == [None] * (LEAST_CHECKS - 1)
    assert (says[-1].first, says[-1].end) == (20, None) and "as far away as the map says" in says[-1].reason


def test_it_says_so_within_a_second():
    says = found(*[RIGHT] * 10, *[WRONG] * 6)
    first = next(n for n, wrong in enumerate(says) if wrong)
    assert (first - 10) * EVERY_NS <= WINDOW_NS


def test_an_older_part_that_others_contradict_is_the_wrong_one():
    says = found(*[{OLDEST: RIGHT, 10: WRONG}] * LEAST_CHECKS)
    assert (says[-1].first, says[-1].end) == (10, 20)


def test_without_confirmation_the_newest_is_the_wrong_one():
    assert found(*[{OLDEST: NOTHING, 10: WRONG}] * LEAST_CHECKS)[-1].first == 20
    assert found({OLDEST: RIGHT, 10: WRONG}, *[{10: WRONG}] * LEAST_CHECKS)[-1].first == 20


def test_the_oldest_part_is_never_taken_out():
    assert found(*[{OLDEST: WRONG, 10: RIGHT}] * LEAST_CHECKS)[-1].first == 20


def test_old_contradictions_are_forgotten():
    assert found(WRONG, WRONG, WRONG, step=WINDOW_NS) == [None] * 3


def test_unknown_ground_contradicts_nothing():
    assert found(WRONG, WRONG, NOTHING, NOTHING, NOTHING, NOTHING) == [None] * 6


def test_the_newest_frame_must_contradict_too():
    assert found(WRONG, WRONG, RIGHT, WRONG, RIGHT)[-1] is None


def test_it_looks_five_times_a_second_and_anew_when_time_goes_back():
    watch = Watch()
    assert watch.is_due(10**9) and not watch.is_due(10**9 + EVERY_NS - 1) and watch.is_due(10**9 + EVERY_NS)
    assert watch.is_due(5 * 10**8)
    assert watch.add(10**9, {OLDEST: WRONG}, BOUNDS) is watch.add(5 * 10**8, {OLDEST: WRONG}, BOUNDS) is None


def test_what_was_seen_before_parts_changed_counts_no_more():
    watch = Watch()
    for n in range(LEAST_CHECKS - 1):
        watch.add(10**9 + n * EVERY_NS, {OLDEST: WRONG}, BOUNDS)
    watch.forget()
    assert watch.add(10**9 + LEAST_CHECKS * EVERY_NS, {OLDEST: WRONG}, BOUNDS) is None


@pytest.mark.parametrize(("keyframe", "part"), [(0, -1), (9, -1), (10, 10), (19, 10), (20, 20), (99, 20)])
def test_parts_begin_at_their_bounds(keyframe, part):
    assert part_of(keyframe, BOUNDS) == part
    assert part_of(keyframe, []) == -1
