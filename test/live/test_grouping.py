# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import random

import pytest

from lsm_ros.live.grouping import (
    DEPTH,
    IMAGE,
    LABELS,
    Assembler,
    Dropped,
    Group,
    Item,
    LateLabels,
    Recovered,
    Stale,
    TimeGap,
    TimeJump,
)

MS = 1_000_000
S = 1_000_000_000


def make(cameras=("front",), **options):
    values = {"slop_ns": 10 * MS, "wait_s": 0.15, "stale_s": 3.0, "capacity_bytes": 10_000, **options}
    return Assembler(cameras, **values)


def item(stamp_ms, kind=IMAGE, camera="front", nbytes=100):
    return Item(camera, kind, int(stamp_ms * MS), nbytes)


def drain(a, now):
    out = []
    while (x := a.pop(now)) is not None:
        out.append(x)
    return out


def test_a_lone_camera_does_not_wait():
    a = make()
    for k in range(5):
        assert a.add(item(33 * k), now=0.033 * k) == []
        (group,) = drain(a, now=0.033 * k)
        assert group.stamp_ns == 33 * k * MS and not group.depth and not group.labels
    assert a.nbytes == 0


def test_depth_for_every_second_image():
    a = make()
    a.expect("front", DEPTH, 0.0)
    got = []
    for k in range(10):
        t = 0.033 * k
        a.add(item(33 * k), t)
        got += drain(a, t + 0.001)
        if k % 2 == 0:
            a.add(item(33 * k + 2, DEPTH), t + 0.01)
            got += drain(a, t + 0.011)
    got += drain(a, 99.0)
    assert [g.stamp_ns // MS for g in got] == [33 * k for k in range(10)]
    assert [bool(g.depth) for g in got] == [k % 2 == 0 for k in range(10)]
    assert a.nbytes == 0


def test_image_waits_for_its_depth_and_for_no_longer_than_that():
    a = make()
    a.expect("front", DEPTH, 0.0)
    a.add(item(0), 0.0)
    assert drain(a, 0.10) == []
    a.add(item(0, DEPTH), 0.12)
    (group,) = drain(a, 0.12)
    assert group.depth["front"].stamp_ns == 0
    a.add(item(33), 0.2)
    assert drain(a, 0.34) == []
    assert len(drain(a, 0.36)) == 1  # the wait is over
    a.add(item(66), 0.4)
    assert len(drain(a, 0.4)) == 1  # and is not repeated for an input that is silent
    a.add(item(66, DEPTH), 0.45)  # late, but soon enough to be worth waiting for
    a.add(item(100), 0.5)
    assert drain(a, 0.5) == []


def test_depth_that_is_always_too_late_is_not_waited_for():
    a = make()
    a.expect("front", DEPTH, 0.0)
    a.add(item(0), 0.0)
    assert len(drain(a, 0.2)) == 1
    assert a.add(item(0, DEPTH), 0.3) == [Dropped(item(0, DEPTH), "late")]
    a.add(item(33), 0.31)
    assert len(drain(a, 0.31)) == 1


def test_two_cameras_are_grouped_by_the_nearest_stamp():
    a = make(("left", "right"))
    order = [item(33 * k + d, camera=c) for k in range(20) for c, d in (("left", 0), ("right", 4))]
    random.Random(1).shuffle(order[2:])
    for n, i in enumerate(sorted(order, key=lambda i: (i.stamp_ns // (66 * MS), i.camera, i.stamp_ns))):
        a.add(i, 0.001 * n)
    got = drain(a, 0.05)
    assert len(got) == 20
    for k, group in enumerate(got):
        assert group.stamp_ns == 33 * k * MS
        assert {c: i.stamp_ns // MS for c, i in group.images.items()} == {"left": 33 * k, "right": 33 * k + 4}


def test_a_camera_that_dies_is_waited_for_once_then_named():
    a = make(("left", "right"))
    now = 0.0
    for k in range(3):
        a.add(item(33 * k, camera="left"), now)
        a.add(item(33 * k, camera="right"), now)
        assert len(drain(a, now)) == 1
        now += 0.033
    died = now - 0.033
    delays = []
    for k in range(3, 100):
        a.add(item(33 * k, camera="left"), now)
        start = now
        while not (got := drain(a, now)):
            now += 0.01
        assert set(got[0].images) == {"left"}
        delays.append(now - start)
        now += 0.033
    assert delays[0] == pytest.approx(0.15, abs=0.02)
    assert max(delays[1:]) == 0.0
    (stale,) = [e for e in a.poll(now) if isinstance(e, Stale)]
    assert (stale.camera, stale.kind) == ("right", IMAGE)
    assert stale.seconds == pytest.approx(now - died)
    assert a.poll(now) == []  # said once
    assert a.add(item(33 * 100, camera="right"), now)[0] == Recovered("right", IMAGE)
    assert drain(a, now) == []  # alive again, so left is waited for
    a.add(item(33 * 100, camera="left"), now)
    assert set(drain(a, now)[0].images) == {"left", "right"}


def test_repeated_and_late_stamps_are_dropped():
    a = make()
    a.add(item(1000), 0.0)
    assert a.add(item(1000), 0.01) == [Dropped(item(1000), "repeated")]
    assert a.add(item(900), 0.02) == [Dropped(item(900), "late")]
    assert a.add(item(1033), 0.03) == []
    assert [g.stamp_ns // MS for g in drain(a, 0.03)] == [1000, 1033]
    assert a.nbytes == 0


def test_one_frame_of_another_time_is_dropped_and_two_are_a_jump():
    a = make()
    a.add(item(100_000), 0.0)
    assert a.add(item(50_000), 0.03) == []  # it must be confirmed
    assert a.add(item(100_033), 0.06) == [Dropped(item(50_000), "leap")]
    assert [g.stamp_ns // MS for g in drain(a, 0.06)] == [100_000, 100_033]
    a.add(item(50_000), 0.1)
    a.add(item(50_033), 0.13)
    jump, first, second = drain(a, 0.13)
    assert isinstance(jump, TimeJump) and jump.seconds == pytest.approx(-50.033)
    assert [first.stamp_ns // MS, second.stamp_ns // MS] == [50_000, 50_033]
    # what was under way of the old time does not jump again
    assert a.add(item(100_066), 0.2) == [Dropped(item(100_066), "late")]
    a.add(item(50_066), 0.21)
    assert [g.stamp_ns // MS for g in drain(a, 0.21)] == [50_066]
    assert a.nbytes == 0


def test_a_jump_lets_what_waits_go_first_and_starts_partners_anew():
    a = make()
    a.expect("front", DEPTH, 0.0)
    a.add(item(100_000), 0.0)
    a.add(item(50_000), 0.01)
    a.add(item(50_000, DEPTH), 0.02)
    a.add(item(50_033), 0.03)
    out = drain(a, 0.03)
    assert [type(x) for x in out] == [Group, TimeJump, Group, Group]
    assert out[0].stamp_ns == 100_000 * MS
    assert a.nbytes == 0


def test_a_gap_is_reported_and_a_lone_leap_is_dropped():
    a = make()
    a.add(item(0), 0.0)
    assert a.add(item(5000), 5.0) == [TimeGap("front", pytest.approx(5.0))]
    assert a.add(item(10**9), 5.03) == []
    assert a.add(item(5033), 5.06) == [Dropped(item(10**9), "leap")]
    assert a.add(item(10**9), 5.1) == []
    assert [type(e) for e in a.add(item(10**9 + 33), 5.13)] == [TimeGap]
    assert [g.stamp_ns // MS for g in drain(a, 5.2)] == [0, 5000, 5033, 10**9, 10**9 + 33]


def test_late_labels_go_to_the_frame_that_has_gone():
    a = make()
    a.add(item(0), 0.0)
    a.add(item(33), 0.033)
    assert len(drain(a, 0.04)) == 2
    assert a.add(item(1, LABELS), 0.5) == [LateLabels(item(1, LABELS), 0)]
    assert a.add(item(33, LABELS), 0.6) == [LateLabels(item(33, LABELS), 33 * MS)]
    a.add(item(66), 0.61)
    assert len(drain(a, 0.61)) == 1  # slow labels are not waited for


def test_labels_before_their_image():
    a = make()
    a.add(item(10, LABELS), 0.0)
    a.add(item(10), 0.01)
    (group,) = drain(a, 0.01)
    assert group.labels["front"].stamp_ns == 10 * MS
    assert a.nbytes == 0


def test_memory_is_bounded_and_drops_are_told():
    a = make(("left", "right"), capacity_bytes=1000)
    a.expect("right", IMAGE, 0.0)
    dropped = []
    for k in range(100):
        dropped += a.add(item(10 * k, camera="left"), 0.0001 * k)
        assert a.nbytes <= 1000
    assert {e.reason for e in dropped} == {"overflow"}
    assert [e.item.stamp_ns // MS for e in dropped] == [10 * k for k in range(90)]  # the oldest
    assert len(drain(a, 1.0)) == 10
    for k in range(200):
        a.add(item(2000 + 10 * k, DEPTH, "left"), 1.0)
    assert a.nbytes <= 1000


def test_depth_that_no_image_takes_is_bounded_and_told():
    a = make(capacity_bytes=10**6)
    events = [e for k in range(70) for e in a.add(item(33 * k, DEPTH), 0.033 * k)]
    assert events == [Dropped(item(33 * k, DEPTH), "overflow") for k in range(6)]
    a.add(item(33 * 100), 3.3)
    assert drain(a, 3.5)[0].stamp_ns == 3300 * MS
    assert {e.reason for e in a.poll(3.5)} == {"unpaired"} and a.nbytes == 0


def test_is_full_always_has_room_for_one():
    a = make(capacity_bytes=150)
    assert not a.is_full(10**9)
    a.add(item(0), 0.0)
    assert a.is_full(100) and not a.is_full(50)


def test_patient_waits_for_silence_instead_of_time():
    a = make(patient=True)
    a.expect("front", DEPTH, 0.0)
    a.add(item(0), 0.0)
    a.add(item(33), 1.0)
    assert drain(a, 1.1) == []
    a.add(item(0, DEPTH), 1.1)
    assert [bool(g.depth) for g in drain(a, 1.1)] == [True]
    assert len(drain(a, 1.26)) == 1


def test_a_fast_camera_inside_the_slop_keeps_all_images():
    a = make()
    for k in range(10):
        a.add(item(5 * k), 0.005 * k)
        assert len(drain(a, 0.005 * k)) == 1


def test_cameras_must_be_named_once():
    with pytest.raises(ValueError, match="each once"):
        make(("a", "a"))
    with pytest.raises(ValueError, match="each once"):
        make(())


def test_an_input_that_went_stale_is_not_waited_for_even_once():
    a = make()
    a.expect("front", DEPTH, 0.0)
    a.poll(4.0)
    a.add(item(4000), 4.0)
    assert len(drain(a, 4.001)) == 1


def test_what_is_expected_again_and_again_still_goes_stale():
    a = make()
    for k in range(5):
        a.expect("front", DEPTH, float(k))
    assert [type(e) for e in a.poll(4.0)] == [Stale]


def test_clear_forgets_what_waits_and_its_stamps():
    a = make()
    a.expect("front", DEPTH, 0.0)
    a.add(item(1000), 0.0)
    a.clear()
    assert a.nbytes == 0 and drain(a, 9.0) == []
    assert a.add(item(500), 9.0) == [] and len(drain(a, 9.2)) == 1


def test_the_bound_on_depth_that_waits_is_none_for_images():
    a = make(wait_s=60.0, capacity_bytes=100_000)
    a.expect("front", DEPTH, 0.0)
    assert all(a.add(item(10 * k), 0.01 * k) == [] for k in range(100))
    assert len(drain(a, 100.0)) == 100


def test_one_depth_image_beyond_the_bound_waits_for_its_image():
    a = make(capacity_bytes=1000)
    assert a.add(item(100, DEPTH, nbytes=5000), 0.0) == []
    a.add(item(100), 0.01)
    (group,) = drain(a, 0.02)
    assert group.depth


def test_beyond_the_bound_an_image_that_waits_keeps_the_depth_of_those_to_come():
    a = make(("left", "right"), capacity_bytes=1000, wait_s=60.0)
    a.expect("right", IMAGE, 0.0)
    a.add(item(100, camera="left"), 0.0)
    assert [e for k in range(4) for e in a.add(item(100 + 30 * k, DEPTH, "left", 400), 0.01 * k)] == []


def test_a_slow_camera_has_no_gaps_until_it_misses_some_images():
    a = make()
    assert [e for k in range(5) for e in a.add(item(1100 * k), 1.1 * k)] == []
    assert a.add(item(4400 + 3000), 7.4) == []
    assert [type(e) for e in a.add(item(7400 + 3400), 10.8)] == [TimeGap]
    fast = make()
    assert [e for k in range(5) for e in fast.add(item(100 * k), 0.1 * k)] == []
    assert [type(e) for e in fast.add(item(400 + 1100), 1.5)] == [TimeGap]
