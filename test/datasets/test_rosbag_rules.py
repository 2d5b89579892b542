# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rules of bags as sources that are seen in what a source says of itself, and when it is read again."""
import numpy as np
import pytest
from helpers.bags import CAMERA, IMAGE, INFO, LABELS, OPTICAL, TF, BagMaker, S, image, make, shade, write_images

from lsm_ros.datasets import bagfile, open_source
from lsm_ros.types import LabelSpace

POSE, ODOMETRY, IMU = "geometry_msgs/msg/PoseStamped", "nav_msgs/msg/Odometry", "sensor_msgs/msg/Imu"


def bag_of(path, *more):
    """Five images at 4 Hz of a camera on a base, and more messages as of `BagMaker.put`."""
    with BagMaker(path) as bag:
        bag.put("/tf_static", TF, 0, make.transforms([make.transform(0, "base_link", "cam_optical", OPTICAL)]))
        bag.topic("/wheels", ODOMETRY)
        events = [("/front/image", IMAGE, S + k * S // 4, make.image(S + k * S // 4, "cam_optical", shade(k), "rgb8"))
                  for k in range(5)]
        for event in sorted([*events, *more], key=lambda e: e[2]):
            bag.put(*event)
    return path


def test_rates_are_of_the_gaps_between_messages(tmp_path):
    assert "image /front/image (5, " in open_source(bag_of(tmp_path / "bag")).taken[0]
    source = open_source(write_images(tmp_path / "four"))  # one a second, for three seconds
    assert "image /front/image (4, 1 Hz)" in source.taken[0] and "camera_info /front/camera_info (4" in source.taken[0]


def test_one_message_has_no_rate(tmp_path):
    with BagMaker(tmp_path / "bag") as bag:
        bag.put("/front/image", IMAGE, S, image(1))
        bag.put("/front/depth", IMAGE, S, make.image(S, "cam_optical", np.full((12, 16), 900, np.uint16), "16UC1"))
        bag.put("/front/depth", IMAGE, S, make.image(S, "cam_optical", np.full((12, 16), 900, np.uint16), "16UC1"))
    assert open_source(tmp_path / "bag").taken[0] == "camera front: image /front/image (1), depth /front/depth (2)"


class TestPartsOfARig:
    def test_a_camera_that_is_not_on_it_is_none(self, tmp_path):
        path = bag_of(tmp_path / "bag", *(("/rear/image", IMAGE, S * k, image(k, frame="rear_optical")) for k in (1, 2)))
        source = open_source(path)
        assert source.cameras == ["front"] and list(source.topics) == ["front"]
        assert {f.camera for fs in source for f in fs.frames} == {"front"}

    def test_a_base_is_said_with_each_frame_set(self, tmp_path):
        assert all(fs.rig_is_base for fs in open_source(bag_of(tmp_path / "bag")))
        assert not any(fs.rig_is_base for fs in open_source(write_images(tmp_path / "alone")))

    def test_frame_sets_do_not_share_what_somebody_may_change(self, tmp_path):
        first, second, *_ = open_source(bag_of(tmp_path / "bag"))
        first.T_rig_cam.clear()
        assert list(second.T_rig_cam) == ["front"]


class TestWhatIsNotRead:
    def test_an_odometry_topic_without_messages_is_nothing_to_say(self, tmp_path):
        assert not any("not read" in line for line in open_source(bag_of(tmp_path / "bag")).taken)

    def test_the_pose_of_a_truth_that_is_none_is_counted(self, tmp_path):
        good, bad = make.pose(S, "world", np.eye(4)), make.pose(2 * S, "world", np.eye(4))
        bad.pose.orientation.w = 0.0
        source = open_source(bag_of(tmp_path / "bag", ("/ground_truth", POSE, S, good), ("/ground_truth", POSE, 2 * S, bad)))
        assert [p.stamp_ns for p in source.ground_truth] == [S]
        assert any("pose of /ground_truth skipped" in w for w in source.warnings)

    def test_a_truth_of_nothing_is_none(self, tmp_path):
        bad = make.pose(S, "world", np.eye(4))
        bad.pose.orientation.w = 0.0
        assert open_source(bag_of(tmp_path / "bag", ("/ground_truth", POSE, S, bad))).ground_truth is None


def test_the_imu_is_the_same_when_a_bag_is_read_again(tmp_path):
    readings = [("/imu", IMU, S + k * S // 100, make.imu(S + k * S // 100, "cam_optical", np.zeros(3), np.array([0, 0, 9.8])))
                for k in range(90)]
    source = open_source(bag_of(tmp_path / "bag", *readings))
    first, again = ([len(fs.imu) for fs in source] for _ in range(2))
    assert first == again and sum(first) > 80


def test_a_bag_that_is_refused_is_closed(tmp_path, monkeypatch):
    closed = []
    real = bagfile.BagFile.close
    monkeypatch.setattr(bagfile.BagFile, "close", lambda self: closed.append(self.path) or real(self))
    path = bag_of(tmp_path / "bag")
    with pytest.raises(ValueError, match="nowhere"):
        open_source(path, image_topic="/nowhere")
    assert closed == [path]


class TestLabels:
    def write(self, path, *spaces):
        labels = make.image(S, "cam_optical", np.full((12, 16), 3, np.uint16), "16UC1")
        with BagMaker(path) as bag:
            for space in spaces:
                bag.put("/front/label_info", LABELS, 0, make.label_info(0, "cam_optical", space))
            for stamp in (S, 2 * S):
                bag.put("/front/image", IMAGE, stamp, make.image(stamp, "cam_optical", shade(1), "rgb8"))
                bag.put("/front/camera_info", INFO, stamp, make.camera_info(stamp, "cam_optical", CAMERA))
            bag.put("/front/labels", IMAGE, S, labels)
        return open_source(path)

    def test_names_and_threshold_come_with_labels_only(self, tmp_path):
        source = self.write(tmp_path / "bag", LabelSpace({3: "chair"}, 0.25))
        first, second = (fs.frames[0] for fs in source)
        assert first.label_space.names == {3: "chair"} and first.label_space.threshold == 0.25
        assert second.labels is None and second.label_space is None

    def test_labels_without_names_are_said(self, tmp_path):
        source = self.write(tmp_path / "bag")
        assert next(iter(source)).frames[0].label_space is None
        assert any("labels come without LabelInfo" in w for w in source.warnings)

    def test_nothing_is_said_without_labels(self, tmp_path):
        assert not any("LabelInfo" in w for w in open_source(bag_of(tmp_path / "bag")).warnings)
