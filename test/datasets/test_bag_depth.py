# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which depth goes to which image: each rule by itself."""
import pytest

from lsm_ros.datasets.bag_depth import IMAGE, Candidate, pair_depth
from lsm_ros.datasets.bag_storage import Topic
from lsm_ros.datasets.base import WarningLog

PACKED = "sensor_msgs/msg/CompressedImage"


def color(name, frame=""):
    return Candidate(Topic(name, IMAGE, 9), "color", frame)


def depth(name, frame="", msgtype=IMAGE):
    return Candidate(Topic(name, msgtype, 9), "depth", frame)


def paired(images, depths, others=()):
    """Topics of depth by topic of the image, and what is said."""
    log = WarningLog()
    return pair_depth(images, [*images, *others, *depths], log), log.lines()


@pytest.mark.parametrize(("name", "is_taken"), [("/cam/depth", True), ("/cam/aligned_depth/image", True),
                                                ("/cam/depth_registered/image", True), ("/cam/depth/image", False)])
def test_without_a_frame_the_namespace_or_the_word_registered_speaks_for_it(name, is_taken):
    found, said = paired([color("/cam/image")], [depth(name)])
    assert found == ({"/cam/image": name} if is_taken else {})
    assert any(f"depth {name} is left out" in line for line in said) != is_taken


@pytest.mark.parametrize(("name", "goes_to"), [("/front/depth_registered/image", "/front/color/image"),
                                               ("/lidar/aligned/image", "")])
def test_of_several_cameras_the_name_must_be_of_the_same_device(name, goes_to):
    found, _ = paired([color("/front/color/image"), color("/rear/color/image")], [depth(name)])
    assert found == ({goes_to: name} if goes_to else {})
    assert paired([color("/front/color/image")], [depth(name)])[0], "of one camera alone it can be no other's"


def test_the_frame_counts_before_all_names():
    found, said = paired([color("/a/image", "lens_a"), color("/b/image", "lens_b")],
                         [depth("/a/depth", "lens_b"), depth("/b/depth", "lens_a")])
    assert found == {"/a/image": "/b/depth", "/b/image": "/a/depth"} and not said


def test_depth_in_the_frame_of_a_picture_that_is_not_taken_is_no_other_images():
    found, said = paired([color("/cam/image", "lens")], [depth("/cam/depth", "infra")], [color("/cam/infra", "infra")])
    assert not found and "it is in frame 'infra', not registered to /cam/image in frame 'lens'" in said[0]


def test_what_only_its_name_speaks_for_is_said():
    found, said = paired([color("/cam/image", "lens")], [depth("/cam/depth", "other")])
    assert found == {"/cam/image": "/cam/depth"}
    assert said == ["depth /cam/depth is taken for /cam/image by its name: it is in frame 'other', the image in 'lens'"]
    assert paired([color("/cam/image", "lens")], [depth("/cam/depth")])[1] == [], "where one names no frame nothing differs"


def test_of_two_in_the_frame_the_nearer_name_then_the_raw_one_is_taken():
    image = color("/robot/front/color/image", "lens")
    found, said = paired([image], [depth("/x/depth", "lens"), depth("/robot/front/depth", "lens")])
    assert found == {image.name: "/robot/front/depth"} and "depth /x/depth is left out" in said[0]
    found, _ = paired([color("/left/image", "lens"), color("/right/image", "lens")], [depth("/right/depth", "lens")])
    assert found == {"/right/image": "/right/depth"}, "of two images in one frame"
    both = [depth("/robot/front/depth/compressedDepth", "lens", PACKED), depth("/robot/front/depth", "lens")]
    for order in (both, both[::-1]):
        assert paired([image], order) == ({image.name: "/robot/front/depth"}, []), "the packed one is the same depth"
    found, _ = paired([image], [depth("/robot/front/a/compressedDepth", "lens", PACKED), depth("/robot/front/b", "lens")])
    assert found == {image.name: "/robot/front/b"}
