# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which topics of a bag are cameras, which depth belongs to which, and that nothing is left out in silence."""
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.bags import CAMERA, COMPRESSED, IMAGE, INFO, OPTICAL, TF, BagMaker, S, make, shade

from lsm_ros.datasets import open_source
from lsm_ros.datasets.bag_storage import Topic
from lsm_ros.datasets.bag_topics import CameraTopics, _candidates, choose_topics
from lsm_ros.datasets.base import WarningLog
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


class TestRules:
    """Rules of choose_topics, around a bag that holds nothing but topics."""

    class Bag:
        path = "robot.mcap"

        def __init__(self, *topics):
            """topics: (name, type, frame, encoding) or (name, type, frame, encoding, count)."""
            self.topics = [Topic(t[0], t[1], (*t, 2)[4]) for t in topics]
            self.first = {name: SimpleNamespace(header=SimpleNamespace(frame_id=frame), encoding=encoding, format=encoding)
                          for name, _, frame, encoding, *_ in topics}
            self.log, self.closed = WarningLog(), 0

        def messages(self, names):
            try:
                yield from ((n, 0, self.first[n]) for n in names)
            finally:
                self.closed += 1

        def chosen(self, **options):
            return {c.camera: c for c in choose_topics(self, **options)}

    A = ("/a/image_raw", IMAGE, "a", "rgb8")
    B = ("/b/image_raw", IMAGE, "b", "rgb8")
    DEPTH_A, DEPTH_B = ("/a/depth", IMAGE, "a", "16UC1"), ("/b/depth", IMAGE, "b", "16UC1")
    INFO_A, INFO_B = ("/a/camera_info", INFO, "a", ""), ("/b/camera_info", INFO, "b", "")

    @pytest.mark.parametrize("topic, rectified", [("/a/image_rect", True), ("/a/image_rect_color/compressed", True),
                                                  ("/rectangle/image", False), ("/my_rect/image_raw", False)])
    def test_rectified_by_the_last_part_of_the_name(self, topic, rectified):
        assert CameraTopics("a", topic, "a").rectified is rectified

    @pytest.mark.parametrize("option", ["depth_topic", "labels_topic", "camera_info_topic"])
    def test_more_topics_than_cameras(self, option):
        with pytest.raises(ValueError, match=f"{option} names 2 topics for 1 cameras"):
            self.Bag(self.A, self.DEPTH_A, self.DEPTH_B).chosen(**{option: "/a/depth,/b/depth"})

    def test_a_topic_that_is_not_there_is_named_with_those_that_are(self):
        with pytest.raises(ValueError, match=r"has no topic '/c'; it has /a/image_raw \(Image, 2\)"):
            self.Bag(self.A).chosen(depth_topic="/c")
        with pytest.raises(ValueError, match="is empty: no messages in 1 topics"):
            self.Bag((*self.A, 0)).chosen()
        with pytest.raises(ValueError, match=r"holds no camera images; it has /a/depth \(Image, 2\)"):
            self.Bag(self.DEPTH_A).chosen()

    def test_topics_that_were_named_are_in_the_order_of_the_cameras(self):
        bag = self.Bag(self.A, self.B, self.DEPTH_A, self.DEPTH_B, self.INFO_A, self.INFO_B)
        found = bag.chosen(image_topic="/b/image_raw, /a/image_raw", depth_topic=["", "/b/depth"])
        assert list(found) == ["b", "a"] and (found["b"].depth, found["a"].depth) == ("", "/b/depth")
        assert bag.log.lines() == [] and found["b"].camera_info == "/b/camera_info"
        found = bag.chosen(image_topic="/b/image_raw, /a/image_raw", depth_topic="/b/depth")
        assert (found["b"].depth, found["a"].depth) == ("/b/depth", "")  # not named, and so without

    def test_topics_without_messages_are_none(self):
        found = self.Bag(self.A, (*self.DEPTH_A, 0), (*self.INFO_A, 0), (*self.B, 0)).chosen()
        assert list(found) == ["a"] and found["a"].as_dict() == {"image": "/a/image_raw"}

    def test_a_slash_before_a_frame_is_none(self):
        found = self.Bag(("/x/image", IMAGE, "/a", "rgb8"), ("/y/depth", IMAGE, "a", "16UC1")).chosen()
        assert found["x"].frame_id == "a" and found["x"].depth == "/y/depth"

    @pytest.mark.parametrize("name, msgtype, encoding, kind", [
        ("/a/labels", IMAGE, "mono8", "labels"), ("/a/labels", IMAGE, "16UC1", "labels"), ("/a/labels", IMAGE, "rgb8", "color"),
        ("/a/segmentation", COMPRESSED, "png", "labels"), ("/a/label_view", COMPRESSED, "jpeg", "color"),
        ("/a/semantic_depth", IMAGE, "32FC1", "depth"), ("/a/z", IMAGE, "16UC1", "depth"), ("/a/z", IMAGE, "32FC1", "depth"),
        ("/a/z/compressedDepth", COMPRESSED, "", "depth"), ("/a/z", COMPRESSED, "16UC1; compressedDepth png", "depth"),
        ("/a/z/compressed", COMPRESSED, "16UC1; png compressed", "depth"), ("/a/depth", IMAGE, "mono16", "depth"),
        ("/a/depth/compressed", COMPRESSED, "png", "depth"), ("/a/z", IMAGE, "mono16", "color"),
        ("/a/z", COMPRESSED, "png", "color"),
        ("/a/z", IMAGE, "bayer_rggb8", "color")])
    def test_kinds(self, name, msgtype, encoding, kind):
        bag = self.Bag((name, msgtype, "a", encoding))
        (found,) = _candidates(bag)
        assert found.kind == kind and bag.closed == 1

    def test_the_best_of_one_camera(self):
        """With a calibration, then by the name, then without a codec."""
        rect, raw = ("/a/image_rect", IMAGE, "a", "rgb8"), ("/a/image_raw", IMAGE, "a", "rgb8")
        packed = ("/a/image_rect/compressed", COMPRESSED, "a", "jpeg")
        assert self.Bag(raw, packed, rect).chosen()["a"].image == "/a/image_rect"
        assert self.Bag(packed, raw).chosen()["a"].image == "/a/image_rect/compressed"
        other = ("/0/image_rect_color", IMAGE, "a", "rgb8")
        assert list(self.Bag(other, raw, self.INFO_A).chosen()) == ["a"]

    def test_cameras_are_in_the_order_of_the_bag(self):
        assert list(self.Bag(self.B, self.A).chosen()) == ["b", "a"]

    def test_without_frames_each_name_is_a_camera(self):
        assert list(self.Bag(("/a/image", IMAGE, "", "rgb8"), ("/b/image", IMAGE, "", "rgb8")).chosen()) == ["a", "b"]

    def test_infrared_is_taken_where_there_is_nothing_else(self):
        bag = self.Bag(("/cam/infra1/image", IMAGE, "i1", "mono8"), ("/cam/infra2/image", IMAGE, "i2", "mono8"))
        assert list(bag.chosen()) == ["cam_infra1", "cam_infra2"] and bag.log.lines() == []

    def test_names_of_cameras(self):
        assert list(self.Bag(("/image", IMAGE, "a", "rgb8")).chosen()) == ["camera"]
        assert list(self.Bag(("/r/front/image", IMAGE, "a", "rgb8")).chosen()) == ["r_front"]
        bag = self.Bag(("/r/x/image_raw", IMAGE, "a", "rgb8"), ("/r/x/image_rect", IMAGE, "b", "rgb8"))
        assert list(bag.chosen(image_topic="/r/x/image_raw,/r/x/image_rect")) == ["r_x_0", "r_x_1"]

    def test_labels_are_those_beside_the_image(self):
        labels_a, labels_n = ("/a/labels", IMAGE, "a", "mono8"), ("/net/labels", IMAGE, "a", "mono8")
        packed = ("/a/labels/compressed", COMPRESSED, "a", "png")
        assert self.Bag(self.A, labels_n).chosen()["a"].labels == "/net/labels"
        assert self.Bag(self.A, labels_n, packed, labels_a).chosen()["a"].labels == "/a/labels"
        found = self.Bag(self.A, self.B, labels_n, labels_a).chosen()
        assert (found["a"].labels, found["b"].labels) == ("/a/labels", "")

    def test_a_calibration_elsewhere_counts_where_there_is_one_camera_and_one_calibration(self):
        far, other = ("/far/camera_info", INFO, "a", ""), ("/other/camera_info", INFO, "a", "")
        assert self.Bag(self.A, far).chosen()["a"].camera_info == "/far/camera_info"
        assert self.Bag(self.A, far, other).chosen()["a"].camera_info == ""
        assert self.Bag(self.A, far, self.INFO_A).chosen()["a"].camera_info == "/a/camera_info"
        assert {c.camera_info for c in self.Bag(self.A, self.B, far).chosen().values()} == {""}

    def test_a_picture_without_a_frame_counts_where_no_other_has_one(self):
        bag = self.Bag(("/a/image", IMAGE, "", "rgb8"), self.B)
        assert list(bag.chosen()) == ["b"] and "names no frame and has no camera_info" in bag.log.lines()[0]

    def test_two_uncalibrated_views_of_one_camera_are_no_reason_against_each_other(self):
        views = self.A, ("/a2/image_raw", IMAGE, "a", "rgb8")
        bag = self.Bag(*views)
        assert list(bag.chosen()) == ["a"] and "as /a/image_raw, where there can be one camera" in bag.log.lines()[0]
        bag = self.Bag(*views, ("/a2/camera_info", INFO, "a", ""))
        assert list(bag.chosen()) == ["a2"] and "another image is in its frame 'a'" in bag.log.lines()[0]
