# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TF switched off; a clock that jumps back, a camera that is lost for good, a saved map that is used again."""
import time
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.harness import START_NS, pose_error
from helpers.robot import STEP_NS, Robot, transforms
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from lsm_ros.geometry import se3_inverse
from lsm_ros.msg import MappingStatus
from lsm_ros.ros import conversions
from lsm_ros.srv import LoadMap, SaveMap

# They wait on a loaded machine for what takes seconds of its own.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def elsewhere(room):
    """A wall of which nothing is in `room`: the rooms of the simulator are alike."""
    rng = np.random.default_rng(5)
    wall = cv2.resize(rng.integers(0, 255, (30, 40, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    frame = room.frame_sets[0].frames[0]
    frames = [replace(frame, image=wall, depth=np.full((240, 320), 2.0, np.float32))]
    return SimpleNamespace(frame_sets=[replace(room.frame_sets[0], frames=tuple(frames))])


def frames_of(client, topic="/mapping/pose"):
    return [m.header.frame_id for m in client.messages(topic)]


def test_a_clock_that_jumps_back_starts_anew(client, room, start):
    node = start(base_frame="base_link", use_sim_time=True, **{"limits.queue_frames": 50})
    client.wait_active(node)
    client.listen(TFMessage, "/tf")
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.publisher(Clock, "/clock")
    client.wait_matched("/clock")
    robot = Robot(client, room, START_NS)

    def drive(count):
        for _ in range(count):
            client.send(Clock, "/clock", Clock(clock=conversions.to_stamp(robot.stamp_ns)))
            robot.drive(1)

    drive(8)
    client.wait(lambda: len(client.messages("/mapping/pose")) == 8, 10, "poses")
    client.wait(lambda: transforms(client, "map", "odom"), 5, "map -> odom")
    robot.stamp_ns -= 60 * 10**9
    client.send(Clock, "/clock", Clock(clock=conversions.to_stamp(robot.stamp_ns)))  # the clock alone, no image yet
    status = client.wait_status(lambda s: s.session == 1)
    assert status.keyframes == 0 and "time jumped back by" in node.log()
    (saved,) = node.maps.iterdir()
    assert saved.name.startswith("session_0_") and (saved / "map.json").is_file()
    client.listen(TFMessage, "/tf")
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    first_ns = robot.stamp_ns
    drive(8)
    client.wait(lambda: len(client.messages("/mapping/pose")) == 8, 10, "poses of the new time")
    assert set(frames_of(client)) == {"map"}
    client.wait(lambda: transforms(client, "map", "odom"), 5, "map -> odom in the new time")
    stamps = [conversions.stamp_ns(t.header.stamp) for _, t in transforms(client, "map", "odom")]
    assert first_ns < max(stamps) <= robot.stamp_ns + 10**8  # now and the tolerance
    assert client.wait_status(lambda s: s.frames_received == 16).session == 1


@pytest.mark.parametrize("odometry", [False, True])
def test_lost_for_good(client, room, elsewhere, start, odometry):
    node = start(base_frame="base_link", odom_frame="odom" if odometry else "",
                 **{"limits.queue_frames": 50, "tracking.lost_session_seconds": 1.0})
    client.wait_active(node)
    client.listen(TFMessage, "/tf")
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    robot = Robot(client, room, START_NS, odometry=odometry)
    child = "odom" if odometry else "base_link"
    good = robot.drive(6)
    client.wait(lambda: len(client.messages("/mapping/pose")) == len(good), 10, "poses")
    robot.drive(4, room=elsewhere)
    client.wait_status(lambda s: s.state == MappingStatus.STATE_LOST and s.session == 0 and s.frames_processed == 10)
    assert len(client.messages("/mapping/pose")) == len(good)  # no pose that is not believed
    def sent():
        return [conversions.stamp_ns(t.header.stamp) for _, t in transforms(client, "map", child)]

    if not odometry:
        client.wait(lambda: sorted(sent()) == good, 5, "a transform of each good frame")
    before = len(sent())
    lost = robot.drive(16, room=elsewhere)
    client.wait_status(lambda s: s.session == 1 and s.header.frame_id == "map_s1")  # the images contradict odometry too
    client.wait_message("/mapping/pose", lambda m: conversions.stamp_ns(m.header.stamp) >= lost[0])
    assert set(frames_of(client)) == {"map", "map_s1"}
    count = len(transforms(client, "map", child))
    robot.drive(6, room=elsewhere)
    assert len(transforms(client, "map", child)) == count and (odometry or count == before), "TF stays silent"
    assert not [t for m in client.messages("/tf") for t in m.transforms if t.header.frame_id == "map_s1"]
    assert "in frame 'map_s1'" in node.log()
    if odometry:
        return
    robot.index = 0
    back = robot.drive(24)  # the room that it knows: the maps become one again
    client.wait_status(lambda s: s.session == 0 and s.header.frame_id == "map", 20)
    pose = client.wait_message("/mapping/pose", lambda m: m.header.frame_id == "map"
                               and conversions.stamp_ns(m.header.stamp) >= back[0])
    index = (conversions.stamp_ns(pose.header.stamp) - back[0]) // STEP_NS
    first = conversions.from_pose(client.messages("/mapping/pose")[0].pose.pose)
    expected = first @ se3_inverse(robot.true_pose(0)) @ robot.true_pose(index)
    assert pose_error(conversions.from_pose(pose.pose.pose), expected)[0] < 0.1


def initial_pose(client, T, frame="map"):
    message = PoseWithCovarianceStamped()
    message.header.frame_id = frame
    message.pose.pose = conversions.to_pose(T)
    client.send(PoseWithCovarianceStamped, "/initialpose", message)


def test_a_saved_map_is_used_again(client, room, start):
    node = start(base_frame="base_link", odom_frame="", **{"limits.queue_frames": 50})
    client.wait_active(node)
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.publisher(PoseWithCovarianceStamped, "/initialpose")
    client.wait_matched("/initialpose")
    initial_pose(client, np.eye(4))
    client.wait_status(lambda s: any("needs a map" in w for w in s.warnings))
    robot = Robot(client, room, START_NS, odometry=False)
    robot.drive(20)
    client.wait(lambda: len(client.messages("/mapping/pose")) == 20, 10, "poses")
    T_map_world = conversions.from_pose(client.messages("/mapping/pose")[0].pose.pose) @ se3_inverse(robot.true_pose(0))
    save = SaveMap.Request(name="hall")
    assert client.call(SaveMap, "/mapping/save_map", save).success
    before = {p: p.read_bytes() for p in (node.maps / "hall").rglob("*") if p.is_file()}
    again = client.call(SaveMap, "/mapping/save_map", save)
    assert not again.success and "exists" in again.message and "overwrite" in again.message
    assert {p: p.read_bytes() for p in (node.maps / "hall").rglob("*") if p.is_file()} == before

    loaded = client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="hall", localization_only=True))
    assert loaded.success, loaded.message
    client.wait_status(lambda s: s.localization_only and s.state == MappingStatus.STATE_LOST)
    initial_pose(client, np.eye(4), "odom")
    client.wait_status(lambda s: any("/initialpose is refused" in w and "'odom'" in w for w in s.warnings))
    for T, what in ((T_map_world @ robot.true_pose(robot.index), "where it is"), (np.diag([-1.0, -1, 1, 1]), "wrong")):
        initial_pose(client, T)
        time.sleep(0.2)
        client.listen(PoseWithCovarianceStamped, "/mapping/pose")
        index = robot.index
        last_ns = robot.drive(5)[-1]
        pose = client.wait_message("/mapping/pose", lambda m, ns=last_ns: conversions.stamp_ns(m.header.stamp) == ns)
        distance, angle = pose_error(conversions.from_pose(pose.pose.pose), T_map_world @ robot.true_pose(index + 4))
        assert distance < 0.05 and angle < 0.03, what
    assert client.wait_status(lambda s: s.queue_length == 0).keyframes == loaded.keyframes


@pytest.mark.parametrize("own_odometry", [False, True])
def test_map_to_odom_can_be_switched_off(client, room, start, own_odometry):
    node = start(base_frame="base_link", publish_map_to_odom_tf=False, publish_odom_to_base_tf=own_odometry,
                 **{"limits.queue_frames": 50})
    client.wait_active(node)
    client.listen(TFMessage, "/tf")
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    robot = Robot(client, room, START_NS, odometry=not own_odometry)
    stamps = robot.drive(8)
    client.wait(lambda: len(client.messages("/mapping/pose")) == len(stamps), 10, "a pose for each frame")
    time.sleep(0.3)
    own = [t for m in client.messages("/tf") for t in m.transforms if t.header.frame_id == "map"]
    assert not own
    # one for each frame: by the node, or by the robot alone
    client.wait(lambda: len(transforms(client, "odom", "base_link")) == len(stamps), 5, "odom -> base_link of each frame")
    client.wait_status(lambda s: s.header.frame_id == "map")
