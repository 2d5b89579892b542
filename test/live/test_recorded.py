# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Groups of a recording: the same as live, complete, in order, and in bounded memory."""
import random
from collections import Counter

import pytest
from helpers.streams import CAMERAS, MS, SLOP_NS, S, live_groups, recorded_groups, stream, summary

from lsm_ros.live.grouping import Assembler
from lsm_ros.live.items import DEPTH, IMAGE, LABELS, Dropped, Group, Item, LateLabels, TimeGap, TimeJump
from lsm_ros.live.recorded import RecordedAssembler


def patient():
    return Assembler(CAMERAS, slop_ns=SLOP_NS, wait_s=100.0, stale_s=1e9, capacity_bytes=10**9)


def make(cameras=CAMERAS, **options):
    return RecordedAssembler(cameras, **{"slop_ns": SLOP_NS, "wait_ns": 500 * MS, **options})


def item(stamp_ms, kind=IMAGE, camera="left", nbytes=100):
    return Item(camera, kind, int(stamp_ms * MS), nbytes)


def run(assembler, items):
    return recorded_groups(assembler, [(i, 0.0) for i in items])


def reasons(events):
    """How often an item of each kind was dropped for each reason."""
    return Counter((e.item.kind, e.reason) for e in events if isinstance(e, Dropped) and e.reason != "unpaired")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("jump", [False, True])
def test_the_same_messages_give_the_same_groups_live_and_from_a_bag(seed, jump):
    items = stream(seed, jump=jump)
    live, live_events = live_groups(patient(), items, slow=1 if jump else 1 + seed % 4)
    recorded, events = recorded_groups(make(), items)
    assert summary(live) == summary(recorded)
    assert reasons(live_events) == reasons(events)
    assert [isinstance(x, TimeJump) for x in recorded].count(True) == jump
    groups = [x for x in recorded if isinstance(x, Group)]
    assert len(groups) in range(58, 66)  # 60 instants; around a jump a camera may be alone
    assert sum(len(g.depth) for g in groups) >= 52 and sum(len(g.labels) for g in groups) >= 25


def test_streams_have_what_they_are_meant_to_have():
    """The test above would be easy to pass if the streams were."""
    items = [i for seed in range(12) for i in stream(seed, jump=True)]
    _, events = zip(*(recorded_groups(make(), stream(seed, jump=True)) for seed in range(12)), strict=True)
    seen = Counter((e.item.kind, e.reason) for some in events for e in some if isinstance(e, Dropped))
    assert {(IMAGE, "repeated"), (DEPTH, "repeated"), (IMAGE, "leap"), (DEPTH, "unpaired"), (LABELS, "late")} <= set(seen)
    order = [(i.camera, i.kind) for i, _ in items]
    assert any(a[1] == DEPTH and b == (a[0], IMAGE) for a, b in zip(order, order[1:], strict=False))


def expected_pairs(images, partners):
    """Image stamps to partner stamps when everything is known: in order, the nearest that is no nearer to a later image."""
    out, free = {}, sorted(partners)
    for n, x in enumerate(sorted(images)):
        later = sorted(images)[n + 1:]
        mine = [y for y in free if abs(y - x) <= SLOP_NS and all(abs(z - y) >= abs(x - y) for z in later)]
        if mine:
            out[x] = min(mine, key=lambda y: (abs(y - x), y))
            free.remove(out[x])
    return out


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("image_ms, depth_ms", [(33, 11), (33, 33), (16, 11), (10, 33), (50, 8)])
def test_each_image_gets_the_nearest_depth_of_any_rate(seed, image_ms, depth_ms):
    rng = random.Random(seed)
    phase = rng.randint(0, 12)
    images = [S + k * image_ms * MS + rng.randint(-10**5, 10**5) for k in range(80)]
    depth = [S + (k * depth_ms + phase) * MS + rng.randint(-10**5, 10**5) for k in range(80 * image_ms // depth_ms)]
    arrivals = [(s * 1e-9 + rng.uniform(0, 0.004), Item("left", kind, s, 100))
                for kind, stamps in ((IMAGE, images), (DEPTH, depth)) for s in stamps]
    items = [(i, t) for t, i in sorted(arrivals, key=lambda a: a[0])]
    expected = expected_pairs(images, depth)
    assert len(expected) > 10
    recorded, _ = recorded_groups(make(("left",)), items)
    assert {g.stamp_ns: g.depth["left"].stamp_ns for g in recorded if g.depth} == expected
    assert [g.stamp_ns for g in recorded] == images
    assembler = Assembler(("left",), slop_ns=SLOP_NS, wait_s=100.0, stale_s=1e9, capacity_bytes=10**9)
    assembler.expect("left", DEPTH, 0.0)
    live = []
    for i, t in items:
        assembler.add(i, t)
        while (x := assembler.pop(t)) is not None:
            live.append(x)
    while (x := assembler.pop(1e6)) is not None:
        live.append(x)
    assert summary(live) == summary(recorded)


def test_messages_of_one_input_may_be_late_by_the_wait():
    items = [item(100 * t, kind) for t in range(20) for kind in (IMAGE, DEPTH, LABELS)]
    rng = random.Random(2)
    items.sort(key=lambda i: i.stamp_ns + rng.randint(0, 450) * MS)
    got, events = run(make(("left",)), items)
    assert [g.stamp_ns // MS for g in got] == [100 * t for t in range(20)]
    assert all(g.depth and g.labels for g in got) and events == []


def test_without_a_wait_the_slop_is_waited_for():
    items = [item(100 * t + d, kind, c) for t in range(5)
             for kind, c, d in ((IMAGE, "left", 0), (IMAGE, "right", 10), (DEPTH, "left", 0))]
    got, events = run(make(wait_ns=0), items)
    assert [(len(g.images), len(g.depth)) for g in got] == [(2, 1)] * 5 and events == []


def test_the_time_of_recording_tells_a_pause_from_a_leap():
    images = [item(60_000 * t) for t in range(4)]
    got, events = recorded_groups(make(("left",)), [(i, i.stamp_ns * 1e-9) for i in images])
    assert [g.stamp_ns for g in got] == [i.stamp_ns for i in images] and {type(e) for e in events} == {TimeGap}
    _, events = recorded_groups(make(("left",)), [(i, 0.0) for i in images])
    assert Dropped(images[-1], "leap") in events  # the last one is confirmed by nothing


def test_what_is_later_than_the_wait_is_counted():
    images = [item(100 * t) for t in range(20)]
    late = [item(1000), item(1000, DEPTH), item(200, LABELS), item(1250), item(1050, DEPTH)]
    got, events = run(make(("left",)), [*images, *late])
    assert [g.stamp_ns for g in got] == [i.stamp_ns for i in images] and not any(g.depth or g.labels for g in got)
    assert events == [Dropped(late[0], "late"), Dropped(late[1], "late"), LateLabels(late[2], 200 * MS),
                      Dropped(late[3], "late"), Dropped(late[4], "unpaired")]


def test_a_camera_that_ends_costs_the_wait_and_nothing_else():
    items = [item(33 * t, camera=c) for t in range(60) for c in CAMERAS if c == "left" or t < 10]
    a, most = make(), 0
    got = []
    for i in items:
        assert a.add(i) == []
        most = max(most, a.nbytes)
        while (x := a.pop()) is not None:
            got.append(x)
    a.end()
    while (x := a.pop()) is not None:
        got.append(x)
    assert [len(g.images) for g in got] == [2] * 10 + [1] * 50
    assert most <= 100 * 2 * 17 and a.nbytes == 0  # half a second


def test_beyond_its_memory_it_does_not_wait_and_loses_no_image():
    items = [item(33 * t) for t in range(60)] + [item(33 * t, DEPTH) for t in range(60)]
    a = make(("left",), wait_ns=10 * S, capacity_bytes=1000)
    got, events = run(a, items)
    assert [g.stamp_ns // MS for g in got] == [33 * t for t in range(60)]
    assert [bool(g.depth) for g in got] == [False] * 60 or sum(bool(g.depth) for g in got) == 10  # the last still waited
    assert {e.reason for e in events} == {"late"}
    got, events = run(make(("left",), capacity_bytes=1000), [item(33 * t, DEPTH) for t in range(60)])
    assert got == [] and Counter(e.reason for e in events) == {"overflow": 50, "unpaired": 10}


def test_stamps_that_wander_off_do_not_end_the_wait():
    """Depth with a stamp of another time does not push the images out before their own depth has come."""
    items = [item(10**9, DEPTH), *(item(33 * t) for t in range(5)), item(2 * 10**9, DEPTH),
             *(item(33 * t, DEPTH) for t in range(5))]
    got, events = run(make(("left",)), items)
    assert [bool(g.depth) for g in got] == [True] * 5
    assert {e.reason for e in events} == {"unpaired"} and len(events) == 2


def test_reading_it_again_gives_the_same():
    items = stream(5)
    first, second = (summary(recorded_groups(make(), items)[0]) for _ in range(2))
    assert first == second


def test_stamps_of_groups_go_forward_whatever_comes():
    for seed in range(20):
        rng = random.Random(seed)
        items = [Item(rng.choice(CAMERAS), rng.choice((IMAGE, IMAGE, DEPTH)), rng.randint(0, 400) * MS + S, 100)
                 for _ in range(300)]
        got, events = run(make(wait_ns=50 * MS), items)
        stamps = [g.stamp_ns for g in got]
        assert stamps == sorted(set(stamps))
        given = sum(len(g.items()) for g in got)
        assert given + sum(isinstance(e, Dropped) for e in events) == len(items)  # nothing is lost without a word
