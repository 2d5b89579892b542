# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The rig of a bag, by what its TF says: base, odometry, cameras, and that nothing is left out in silence."""
from types import SimpleNamespace as Some

import numpy as np
import pytest

from lsm_ros.datasets import bag_transforms
from lsm_ros.datasets.bag_topics import CameraTopics
from lsm_ros.datasets.bag_transforms import BagTransforms
from lsm_ros.datasets.base import T_BODY_OPTICAL, WarningLog
from lsm_ros.datasets.tf_tree import TransformError
from lsm_ros.geometry.lie import make_se3

FRONT, REAR = CameraTopics("front", "/front/image", "front_optical"), CameraTopics("rear", "/rear/image", "rear_optical")


def edge(parent, child, x=0.0, stamp_ns=0, w=1.0):
    header = Some(frame_id=parent, stamp=Some(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9))
    return Some(header=header, child_frame_id=child, transform=Some(translation=Some(x=x, y=0.0, z=0.0),
                                                                    rotation=Some(x=0.0, y=0.0, z=0.0, w=w)))


class Bag:
    """TF of a bag: static and moving edges, one message each."""

    path = "robot.mcap"

    def __init__(self, static=(), moving=()):
        self.edges, self.log, self.read = {"/tf_static": list(static), "/tf": list(moving)}, WarningLog(), 0

    def named(self, _, topic):
        return [topic] if self.edges[topic] else []

    def messages(self, topics):
        for topic in topics:
            for e in self.edges[topic]:
                self.read += 1
                yield topic, 0, Some(transforms=[e])

    def rig(self, cameras=(FRONT,), base=None, odom=None):
        return BagTransforms(self, cameras, base, odom)


def at(x):
    return make_se3(np.eye(3), [x, 0.0, 0.0])


ROBOT = [edge("base_link", "front_optical", 1.0), edge("base_link", "rear_optical", -1.0)]
ODOM = [edge("odom", "base_link", float(k), k * 10**9) for k in range(3)]


class TestBase:
    @pytest.mark.parametrize("static, base", [
        (ROBOT, "base_link"), ([edge("base_footprint", "base_link"), *ROBOT], "base_link"),
        ([edge("base_footprint", "front_optical")], "base_footprint"),
        ([edge("/base_link", "/front_optical")], "base_link"), ([], "")])
    def test_is_the_robots_where_it_is_joined(self, static, base):
        assert Bag(static).rig().base_frame == base

    def test_that_was_named_is_taken_or_refused(self):
        assert Bag([edge("base_footprint", "base_link"), *ROBOT]).rig(base="base_footprint").base_frame == "base_footprint"
        with pytest.raises(ValueError, match=r"robot\.mcap: no transform from the camera to base_frame: .*'chassis'"):
            Bag(ROBOT).rig(base="chassis")

    def test_none_is_wanted(self):
        bag = Bag(ROBOT)
        rig = bag.rig(base="")
        np.testing.assert_allclose(rig.T_rig_cam["front"], T_BODY_OPTICAL)
        assert rig.base_frame == "" and bag.log.lines() == []

    @pytest.mark.parametrize("moving, apart", [(ODOM, "base_link and odom"), ([edge("odom", "chassis")], "odom"),
                                               ([edge("a", "b")], "TF")])
    def test_a_camera_that_is_not_joined_is_said(self, moving, apart):
        bag = Bag(moving=moving)
        assert bag.rig().base_frame == ""
        assert any(f"camera front is not joined to {apart}: no transform leads to its frame 'front_optical'" in line
                   for line in bag.log.lines())

    def test_a_robot_apart_is_said_also_where_the_camera_has_frames_of_its_own(self):
        bag = Bag([edge("camera_link", "front_optical")], ODOM)
        assert bag.rig().base_frame == ""
        assert any("is not joined to base_link and odom" in line for line in bag.log.lines())

    def test_who_wants_no_base_does_not_miss_it(self):
        bag = Bag(moving=ODOM)
        assert bag.rig(base="").base_frame == "" and bag.log.lines() == []

    def test_nothing_is_said_where_there_is_no_tf(self):
        bag = Bag()
        bag.rig()
        assert bag.log.lines() == []

    def test_a_camera_among_frames_that_are_no_robot_is_nothing_to_say(self):
        bag = Bag([edge("camera_link", "front_optical")])
        bag.rig()
        assert bag.log.lines() == []


class TestCameras:
    def test_on_a_base(self):
        rig = Bag(ROBOT).rig((FRONT, REAR)).T_rig_cam
        assert rig["front"][0, 3] == 1.0 and rig["rear"][0, 3] == -1.0

    def test_without_a_base_they_are_on_the_body_of_the_first(self):
        rig = Bag([edge("stereo", "front_optical", 1.0), edge("stereo", "rear_optical", 3.0)]).rig((FRONT, REAR)).T_rig_cam
        np.testing.assert_allclose(rig["front"], T_BODY_OPTICAL)
        np.testing.assert_allclose(rig["rear"], T_BODY_OPTICAL @ at(2.0))

    def test_one_that_is_not_on_the_rig_is_left_out_and_said(self):
        bag = Bag(ROBOT[:1])
        assert list(bag.rig((FRONT, REAR)).T_rig_cam) == ["front"]
        assert any("camera rear is left out: it is not joined to the rig" in line for line in bag.log.lines())

    def test_one_that_moves_is_taken_as_fixed_and_that_is_said(self):
        bag = Bag(moving=[edge("base_link", "front_optical", 1.0)])
        assert bag.rig().T_rig_cam["front"][0, 3] == 1.0
        assert any("base_link -> front_optical is not in /tf_static; taken as fixed" in line for line in bag.log.lines())
        still = Bag(ROBOT)
        still.rig()
        assert still.log.lines() == []

    def test_other_sensors(self):
        rig = Bag([*ROBOT, edge("base_link", "imu", 0.5)]).rig()
        assert rig.on_rig("imu")[0, 3] == 0.5
        alone = Bag([edge("stereo", "front_optical", 1.0), edge("stereo", "imu", 3.0)]).rig()
        np.testing.assert_allclose(alone.on_rig("imu"), T_BODY_OPTICAL @ at(2.0))
        with pytest.raises(TransformError):
            alone.on_rig("lidar")


class TestOdometry:
    def filled(self, bag, rig):
        tree = rig.tree()
        for _, _, message in bag.messages(["/tf"]):
            rig.add(tree, message)
        return tree

    def test_of_a_base(self):
        bag = Bag(ROBOT, ODOM)
        rig = bag.rig()
        tree = self.filled(bag, rig)
        assert rig.odom_frame == "odom" and rig.topics == ["/tf"]
        assert rig.odometry(tree, 15 * 10**8)[0, 3] == 1.5
        assert rig.odometry(tree, 9 * 10**9) is None
        assert any("frame set without odometry" in line for line in bag.log.lines())

    def test_of_a_camera_without_a_base(self):
        bag = Bag(moving=[edge("odom", "front_optical", float(k), k * 10**9) for k in range(3)])
        rig = bag.rig()
        found = rig.odometry(self.filled(bag, rig), 10**9)
        np.testing.assert_allclose(found, at(1.0) @ np.linalg.inv(T_BODY_OPTICAL), atol=1e-12)

    @pytest.mark.parametrize("odom, found", [(None, "odom"), ("", ""), ("wheels", "wheels")])
    def test_is_what_was_named(self, odom, found):
        bag = Bag([*ROBOT, edge("wheels", "odom")], ODOM)
        rig = bag.rig(odom=odom)
        assert rig.odom_frame == found and rig.topics == (["/tf"] if found else [])
        assert found or rig.odometry(self.filled(bag, rig), 10**9) is None
        assert bag.log.lines() == []

    def test_one_that_is_not_there_is_refused(self):
        with pytest.raises(ValueError, match=r"robot\.mcap: no transform from odom_frame to the rig: .*'wheels'"):
            Bag(ROBOT, ODOM).rig(odom="wheels")
        assert Bag(ROBOT).rig().odom_frame == ""


def test_what_is_no_transform_is_skipped_and_counted():
    bag = Bag([*ROBOT, edge("base_link", "x", w=0.0)], [edge("odom", "base_link", float("nan")), *ODOM])
    rig = bag.rig()
    assert rig.odom_frame == "odom"
    assert any("/tf: transform skipped" in line for line in bag.log.lines())
    assert any("/tf_static: transform skipped" in line for line in bag.log.lines())


def test_only_the_beginning_of_a_long_bag_is_looked_at(monkeypatch):
    bag = Bag(ROBOT, [edge("odom", "base_link", float(k), k * 10**9) for k in range(1000)])
    bag.rig()
    assert bag.read == bag_transforms._PREVIEW + len(ROBOT)
