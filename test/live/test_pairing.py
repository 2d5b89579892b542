# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which items belong together, what may still come, and what becomes of stamps of another time."""
import weakref

import pytest

from lsm_ros.live.items import DEPTH, IMAGE, LABELS, Dropped, Group, Item, LateLabels, TimeJump
from lsm_ros.live.pairing import Pairing
from lsm_ros.live.waiting import STRAYS

MS = 1_000_000
S = 1_000_000_000


def item(stamp_ms, kind=IMAGE, camera="a", nbytes=100):
    return Item(camera, kind, round(stamp_ms * MS), nbytes)


def make(*items, cameras=("a",), slop_ms=10):
    pairing = Pairing(cameras, slop_ms * MS)
    for i in items:
        pairing.add(i)
    return pairing


def closed(pairing):
    """Closes everything; stamps in ms of images, depth and labels of each group."""
    pairing.end()
    return [tuple({c: i.stamp_ns / MS for c, i in part.items()} for part in (g.images, g.depth, g.labels))
            for g in pairing.out if isinstance(g, Group)]


def test_the_nearest_within_the_slop_and_one_image_for_each():
    found = closed(make(item(0), item(-9, DEPTH), item(4, DEPTH), item(-5, DEPTH), item(16), item(10, DEPTH), item(12, DEPTH)))
    assert [depth for _, depth, _ in found] == [{"a": 4.0}, {"a": 12.0}]
    assert [depth for _, depth, _ in closed(make(item(0), item(10, DEPTH)))] == [{"a": 10.0}]  # the slop itself counts
    assert [depth for _, depth, _ in closed(make(item(0), item(10.001, DEPTH)))] == [{}]


def test_depth_belongs_to_the_image_that_it_is_nearest_to():
    assert [depth for _, depth, _ in closed(make(item(0), item(9, DEPTH), item(15)))] == [{}, {"a": 9.0}]


def test_cameras_are_grouped_with_the_nearest_image():
    found = closed(make(item(0), item(9, camera="b"), item(15), item(30), item(31, camera="b"), cameras=("a", "b")))
    assert [images for images, _, _ in found] == [{"a": 0.0}, {"a": 15.0, "b": 9.0}, {"a": 30.0, "b": 31.0}]


def test_missing_says_what_may_change_the_group():
    lonely = [("a", DEPTH), ("a", LABELS)]
    pairing = make(item(0))
    assert pairing.missing() == lonely
    pairing.add(item(0, DEPTH))
    assert pairing.missing() == [("a", LABELS)]  # the very stamp: nothing is nearer
    pairing.add(item(11, LABELS))
    assert pairing.missing() == []  # labels have passed


def test_a_partner_is_certain_when_nothing_nearer_can_come():
    pairing = make(item(0), item(20, LABELS), item(3, DEPTH))
    assert pairing.missing() == [("a", IMAGE)]  # an image at 4 would be nearer to the depth
    pairing.add(item(33))
    assert pairing.missing() == []
    pairing.close()
    pairing.add(item(53, LABELS))
    pairing.add(item(36, DEPTH))
    assert pairing.missing() == []  # by the pace of the images so far
    pairing.close()
    pairing.add(item(66))
    pairing.add(item(60, DEPTH))
    pairing.add(item(86, LABELS))
    assert pairing.missing() == []  # by the pace of the depth: 24 ms
    before = make(item(0), item(20, LABELS), item(-3, DEPTH))
    assert before.missing() == [("a", DEPTH)]  # nothing is known of its pace


def test_late_depth_and_images_that_have_gone():
    pairing = make(item(0), item(0, DEPTH), item(33), item(66), cameras=("a", "b"))
    pairing.close()
    assert pairing.add(item(3, DEPTH)) == []  # image 0 has its depth, so this is not late for it
    assert pairing.close() == [Dropped(item(3, DEPTH), "unpaired")]
    assert pairing.add(item(34, DEPTH)) == [Dropped(item(34, DEPTH), "late")]
    assert pairing.add(item(20, DEPTH)) == [Dropped(item(20, DEPTH), "unpaired")]
    assert pairing.add(item(35, camera="b")) == [Dropped(item(35, camera="b"), "late")]  # its group has gone without it
    assert pairing.add(item(60, camera="b")) == []


def test_an_image_gets_late_labels_once():
    pairing = make(item(0))
    pairing.close()
    assert pairing.add(item(1, LABELS)) == [LateLabels(item(1, LABELS), 0)]
    assert pairing.add(item(2, LABELS)) == []
    assert pairing.end() == [Dropped(item(2, LABELS), "unpaired")]


def test_an_image_that_the_group_has_overtaken_is_late():
    pairing = make(item(0), item(1, camera="b"), item(3, camera="b"), item(5, camera="c"), cameras=("c", "a", "b"))
    assert pairing.close() == [Dropped(item(3, camera="b"), "late")]
    assert pairing.out[0].stamp_ns == 5 * MS


def test_what_is_nearer_to_an_image_that_waits_is_not_late():
    pairing = make(item(0), item(12), cameras=("a", "b"))
    pairing.close()
    assert pairing.add(item(7, camera="b")) == [] and pairing.add(item(8, DEPTH)) == []
    assert closed(pairing)[1:] == [({"a": 12.0, "b": 7.0}, {"a": 8.0}, {})]


def test_far_depth_is_kept_until_time_comes_there():
    pairing = make(item(0))
    for t in range(STRAYS):
        assert pairing.add(item(60_000 + 33 * t, DEPTH)) == []
    assert pairing.missing()[0] == ("a", DEPTH)  # they do not count as the pace of depth
    last = item(60_000 + 33 * STRAYS, DEPTH)
    assert pairing.add(last) == [Dropped(last, "leap")]
    pairing.add(item(60_000))
    pairing.add(item(60_033))
    assert [depth for _, depth, _ in closed(pairing)] == [{}, {"a": 60_000.0}, {"a": 60_033.0}]


def test_a_jump_back_keeps_what_is_of_the_new_time():
    pairing = make(item(100_000), item(100_000, camera="b"), cameras=("a", "b"))
    for i in (item(50_000, DEPTH), item(50_000, camera="b"), item(100_020, LABELS), item(50_000)):
        assert pairing.add(i) == []
    events = pairing.add(item(50_033))
    assert events == [Dropped(item(100_020, LABELS), "unpaired")]
    assert [type(x) for x in pairing.out] == [Group, TimeJump] and pairing.jumps == 1
    assert closed(pairing)[1:] == [({"a": 50_000.0, "b": 50_000.0}, {"a": 50_000.0}, {}), ({"a": 50_033.0}, {}, {})]


def test_what_was_under_way_at_a_jump_is_late_until_time_comes_round():
    pairing = make(item(100_000), item(90_000), item(90_033), cameras=("a", "b"))
    old = item(100_033, camera="b")
    assert pairing.add(old) == [Dropped(old, "late")]
    for t in range(91_000, 100_100, 1000):
        assert not any(isinstance(e, Dropped) for e in pairing.add(item(t)))
    assert pairing.add(old) == []


def test_a_short_jump_ends_soon():
    pairing = make(item(100_000), item(98_500), item(98_533), cameras=("a", "b"))
    old = item(100_033, camera="b")
    assert pairing.add(old) == [Dropped(old, "late")]
    for t in range(98_566, 101_000, 33):
        assert pairing.add(item(t)) == [] == pairing.add(item(t, camera="b"))


@pytest.mark.parametrize("second_ms, confirmed", [(50_033, True), (59_900, True), (61_000, False), (49_000, False)])
def test_two_images_must_agree_on_a_new_time(second_ms, confirmed):
    pairing = make(item(100_000), item(50_000), item(second_ms))
    assert (pairing.jumps == 1) is confirmed


def test_a_pause_of_a_camera_is_no_leap():
    pairing = make()
    for n, t in enumerate((0, 60, 120)):
        assert not any(isinstance(e, Dropped) for e in pairing.add(item(1000 * t), arrived=7.0 + t))
        assert pairing.count(("a", IMAGE)) == n + 1
    assert pairing.add(item(200_000), arrived=130.0) == []  # 80 s in 3: held
    assert pairing.count(("a", IMAGE)) == 3
    for t in (90_000, 90_033, 110_000):  # a jump back to 90 s, and a leap
        pairing.add(item(t), arrived=131.0)
    assert pairing.jumps == 1 and pairing.count(("a", IMAGE)) == 2


def test_repeated_stamps_of_all_kinds():
    pairing = make(item(0), item(33), item(0, DEPTH), item(33, DEPTH))
    for again in (item(0), item(33), item(0, DEPTH), item(33, DEPTH)):
        assert pairing.add(again) == [Dropped(again, "repeated")]


def test_bytes_of_everything_that_waits():
    pairing = make(item(0), item(0, DEPTH), item(50, LABELS), item(-50_000), item(60_000, DEPTH))
    assert pairing.nbytes == pairing.waiting_nbytes == 500
    pairing.close()
    assert (pairing.nbytes, pairing.waiting_nbytes) == (500, 300)
    pairing.clear()
    assert pairing.nbytes == 0


def test_without_an_image_there_is_no_group():
    with pytest.raises(RuntimeError, match="no image waits"):
        make(item(0, DEPTH)).close()


def test_what_has_gone_is_not_kept_in_memory():
    class Payload:
        pass

    pairing, payloads = Pairing(("a", "b"), 10 * MS), []
    for n, (camera, kind) in enumerate(pairing.inputs * 5):
        payload = Payload()
        payloads.append(weakref.ref(payload))
        pairing.add(Item(camera, kind, n // 6 * 100 * MS, 100, payload))
    while pairing.oldest is not None:
        pairing.close()
    pairing.out.clear()
    del payload
    assert len(payloads) == 30 and [ref for ref in payloads if ref() is not None] == []
