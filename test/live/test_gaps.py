# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth and labels that find no image: when that is worth a word, and how far it is said to be."""
import pytest

from lsm_ros.live.gaps import FEWEST, PartnerGaps
from lsm_ros.live.items import DEPTH, IMAGE, LABELS, Group, Item

MS = 1_000_000
SLOP = 20 * MS


def item(stamp_ms, kind=IMAGE, camera="front"):
    return Item(camera, kind, round(stamp_ms * MS), 100)


@pytest.fixture
def gaps():
    return PartnerGaps(SLOP)


def play(gaps, count, offset_ms, kind=DEPTH, camera="front", paired=0):
    """Images at 10 Hz, with something beside each of them; the first ones are paired with it."""
    for k in range(count):
        image, other = item(100 * k, IMAGE, camera), item(100 * k + offset_ms, kind, camera)
        gaps.add([image, other])
        if k < paired:
            gaps.paired(Group(image.stamp_ns, {camera: image}, {camera: other} if kind == DEPTH else {},
                              {camera: other} if kind == LABELS else {}, 0.0))
        else:
            gaps.unpaired(other)


@pytest.mark.parametrize("kind", [DEPTH, LABELS])
def test_the_gap_is_that_to_the_nearest_image_in_the_middle_of_all(gaps, kind):
    play(gaps, 9, 25.0, kind)
    (text,) = gaps.problems().values()
    assert list(gaps.problems()) == [("front", kind)]
    assert f"{kind} of camera 'front'" in text and "are 25 ms from" in text and "sync_slop_ms is 20" in text


def test_it_takes_three(gaps):
    play(gaps, FEWEST - 1, 25.0)
    assert not gaps.problems()
    gaps.unpaired(item(125.0, DEPTH))
    assert gaps.problems()


def test_what_is_mostly_paired_is_no_problem(gaps):
    play(gaps, 9, 25.0, paired=5)
    assert not gaps.problems(), "more of it was paired than not"


def test_images_that_mostly_have_a_partner_lack_none(gaps):
    play(gaps, 10, 25.0, paired=5)
    for k in range(20):
        gaps.unpaired(item(1000 * k + 50.0, DEPTH))
    assert not gaps.problems(), "it comes more often than the images, half of which have it"


def test_what_lies_within_the_slop_was_left_out_for_another_reason(gaps):
    play(gaps, 9, 15.0)
    assert not gaps.problems()


def test_cameras_are_told_apart(gaps):
    play(gaps, 9, 0.0, camera="rear", paired=9)
    play(gaps, 9, 40.0)
    assert list(gaps.problems()) == [("front", DEPTH)]


def test_without_any_image_there_is_no_distance(gaps):
    for k in range(9):
        gaps.unpaired(item(100 * k, DEPTH))
    assert not gaps.problems()


def test_depth_is_no_image_for_other_depth(gaps):
    """Only images are what is looked for, and only what goes with images is counted as paired."""
    image, near = item(0), item(0, DEPTH)
    gaps.add([image])
    for k in range(1, 9):
        gaps.add([item(100 * k, DEPTH)])
        gaps.unpaired(item(100 * k, DEPTH))
    assert "450 ms" in gaps.problems()["front", DEPTH]
    gaps.paired(Group(0, {"front": image}, {"front": near}, {}, 0.0))
    assert not gaps.problems(), "the one image has its depth"
