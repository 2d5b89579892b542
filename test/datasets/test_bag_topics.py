# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which topics of a bag are cameras, which depth belongs to which, and that nothing is left out in silence."""
import numpy as np
import pytest
from helpers.bags import CAMERA, COMPRESSED, IMAGE, INFO, OPTICAL, TF, BagMaker, S, make, shade

from lsm_ros.datasets import open_source
from lsm_ros.images.codecs import encode_png

MM = np.full((12, 16), 1000, np.uint16)


class Topics:
    """Writes two messages of each topic."""

    def __init__(self, folder):
        self.folder, self.messages = folder, []

    def color(self, topic, frame, encoding="rgb8", info=True):
        pixels = shade(1) if encoding == "rgb8" else shade(1)[..., 0]
        self.messages.append((topic, IMAGE, lambda ns: make.image(ns, frame, pixels, encoding)))
        if info:
            beside = f"{topic.rsplit('/', 1)[0]}/camera_info"
            self.messages.append((beside, INFO, lambda ns: make.camera_info(ns, frame, CAMERA)))
        return self

    def depth(self, topic, frame):
        self.messages.append((topic, IMAGE, lambda ns: make.image(ns, frame, MM, "16UC1")))
        return self

    def packed_depth(self, topic, frame):
        blob = bytes(12) + encode_png(MM)
        self.messages.append((topic, COMPRESSED, lambda ns: make.compressed(ns, frame, blob, "16UC1; compressedDepth png")))
        return self

    def open(self, **options):
        with BagMaker(self.folder) as bag:
            frames = sorted({message(S).header.frame_id for _, _, message in self.messages} - {""})
            bag.put("/tf_static", TF, 0, make.transforms([make.transform(0, "base_link", f, OPTICAL) for f in frames]))
            for i in (1, 2):
                for topic, msgtype, message in self.messages:
                    bag.put(topic, msgtype, S * i, message(S * i))
        return open_source(self.folder, **options)


@pytest.fixture
def topics(tmp_path):
    return Topics(tmp_path / "bag")


def depths(source):
    return {camera: roles.get("depth", "") for camera, roles in source.topics.items()}


def said(source, *words):
    return any(all(w in line for w in words) for line in source.warnings)


class TestDepth:
    def test_two_cameras_of_one_robot(self, topics):
        for side in ("front", "rear"):
            topics.color(f"/robot/{side}/color/image_raw", f"{side}_color")
            topics.depth(f"/robot/{side}/aligned_depth_to_color/image_raw", f"{side}_color")
        assert depths(topics.open()) == {"robot_front_color": "/robot/front/aligned_depth_to_color/image_raw",
                                         "robot_rear_color": "/robot/rear/aligned_depth_to_color/image_raw"}

    def test_names_decide_where_frames_say_nothing(self, topics):
        for side in ("front", "rear"):
            topics.color(f"/robot/{side}/color/image_raw", f"{side}_color")
            topics.depth(f"/robot/{side}/aligned_depth/image_raw", "")
        assert depths(topics.open()) == {"robot_front_color": "/robot/front/aligned_depth/image_raw",
                                         "robot_rear_color": "/robot/rear/aligned_depth/image_raw"}

    def test_frames_decide_against_names(self, topics):
        topics.color("/a/color/image_raw", "a_color").color("/b/color/image_raw", "b_color")
        topics.depth("/a/depth_registered/image_raw", "b_color").depth("/b/depth_registered/image_raw", "a_color")
        assert depths(topics.open()) == {"a_color": "/b/depth_registered/image_raw", "b_color": "/a/depth_registered/image_raw"}

    def test_registered_to_another_image(self, topics):
        source = topics.color("/cam/color/image_raw", "color").color("/cam/infra1/image_rect_raw", "infra", "mono8") \
            .depth("/cam/aligned_depth_to_infra1/image_raw", "infra").open()
        assert depths(source) == {"cam_color": ""}
        assert said(source, "/cam/aligned_depth_to_infra1/image_raw is left out", "'infra'", "'color'")

    def test_one_depth_is_not_that_of_two_images(self, topics):
        source = topics.color("/robot/left/image_raw", "l").color("/robot/right/image_raw", "r") \
            .depth("/robot/depth_registered/image_raw", "").open()
        assert sorted(depths(source).values()) == ["", "/robot/depth_registered/image_raw"]

    def test_the_packed_copy_of_a_depth_is_not_for_the_other_camera(self, topics):
        topics.color("/robot/a/color/image_raw", "a").color("/robot/b/color/image_raw", "b")
        topics.depth("/robot/a/aligned_depth/image", "").packed_depth("/robot/a/aligned_depth/image/compressedDepth", "")
        source = topics.open()
        assert depths(source) == {"robot_a_color": "/robot/a/aligned_depth/image", "robot_b_color": ""}
        assert not said(source, "compressedDepth", "left out")

    def test_what_only_a_name_speaks_for_is_said(self, topics):
        source = topics.color("/cam/color/image_raw", "color").depth("/cam/depth_registered/image_raw", "depth").open()
        assert depths(source) == {"cam_color": "/cam/depth_registered/image_raw"}
        assert said(source, "by its name", "'depth'", "'color'")

    def test_where_frames_agree_nothing_is_said(self, topics):
        source = topics.color("/cam/color/image_raw", "color").depth("/cam/aligned_depth_to_color/image_raw", "color").open()
        assert source.warnings == []


class TestPictures:
    @pytest.mark.parametrize("topic, frame, named", [
        ("/net/out", "", "names no frame"), ("/person_finder/out", "color", "another image is in its frame"),
        ("/segmentation/coloured_mask", "mask", "made for people"), ("/dbg/tracks", "tracks", "made for people"),
        ("/cam/depth/colormap", "depth", "made for people"),
    ])
    def test_are_no_cameras(self, topics, topic, frame, named):
        source = topics.color(topic, frame, info=False).color("/cam/color/image_raw", "color").open()
        assert list(source.topics) == ["cam_color"] and source.topics["cam_color"]["image"] == "/cam/color/image_raw"
        assert said(source, f"image {topic} is left out", named)

    def test_a_name_for_people_on_a_calibrated_camera(self, topics):
        assert list(topics.color("/detector/camera/image_raw", "d").color("/cam/color/image_raw", "c").open().topics) == [
            "detector_camera", "cam_color"]

    def test_alone_they_are_what_there_is(self, topics):
        source = topics.color("/yolo/dbg_image", "", info=False).open()
        assert list(source.topics) == ["yolo"]

    def test_two_uncalibrated_cameras_are_two(self, topics):
        topics.color("/left/image", "l", info=False).color("/right/image", "r", info=False)
        assert list(topics.open().topics) == ["left", "right"]

    def test_two_in_one_frame_are_one(self, topics):
        source = topics.color("/a/image_raw", "camera").color("/b/image_raw", "camera").open()
        assert list(source.topics) == ["a"] and said(source, "/b/image_raw is left out", "as /a/image_raw")

    def test_one_that_was_named_is_taken(self, topics):
        topics.color("/yolo/out", "", info=False).color("/cam/color/image_raw", "color")
        assert list(topics.open(image_topic="/yolo/out").topics) == ["yolo"]

    def test_infrared_beside_a_debug_picture_and_nothing_else(self, topics):
        source = topics.color("/cam/infra1/image_rect_raw", "i", "mono8").color("/cam2/debug/image", "x", info=False).open()
        assert list(source.topics) == ["cam2_debug"] and said(source, "infra1", "left out")


def test_labels_that_no_camera_takes_are_named(topics):
    topics.color("/a/image", "a").color("/b/image", "b").color("/net/labels", "a", "mono8", info=False)
    source = topics.open()
    assert said(source, "labels /net/labels are left out") and len(source.topics) == 2
