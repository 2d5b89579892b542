# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What goes out under load, to those who come late, and with labels that come late."""
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.harness import LATCHED, START_NS
from helpers.robot import Robot, transforms
from nav_msgs.msg import OccupancyGrid, Path
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from lsm_ros.types import UNLABELLED


@pytest.fixture(scope="module")
def robot(client, room, start_shared):
    """A robot with odometry, whose node drops frames that it cannot process in time."""
    node = start_shared(base_frame="base_link", missing_input_seconds=5.0)
    client.wait_active(node)
    return Robot(client, room, START_NS)


def test_transforms_go_on_under_load(client, robot):
    client.listen(TFMessage, "/tf")
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.listen(PointCloud2, "/mapping/cloud")
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)
    client.listen(OccupancyGrid, "/mapping/occupancy", LATCHED)
    robot.drive(5)
    client.wait(lambda: transforms(client, "map", "odom"), 10, "map -> odom")
    client.listen(TFMessage, "/tf")
    start = time.monotonic()
    while time.monotonic() < start + 3:  # as many as can be sent, which no machine maps: it is at work all the time
        robot.drive(2, pause=0, step_ns=5_000_000, each=10)
    end = time.monotonic()
    status = client.wait_status(lambda s: s.frames_dropped > 0 and s.queue_length == 0 and s.frames_processed > 5)
    assert status.frames_without_pose == 0
    sent = [at for at, _ in transforms(client, "map", "odom")]
    assert len(sent) > 10 * (end - start)
    gaps = np.diff([start, *(at for at in sent if at < end), end])
    print(f"worst gap of map -> odom as received: {gaps.max() * 1e3:.0f} ms")
    assert gaps.max() < 1.0  # transforms wait for no frame; the machine may be busy


def test_latched_topics_reach_who_comes_when_all_is_quiet(client, robot):
    robot.drive(12)
    client.wait_status(lambda s: s.keyframes >= 2 and s.queue_length == 0)
    late = ((PointCloud2, "map_cloud", lambda m: m.width > 1000), (Path, "path", lambda m: len(m.poses) >= 2),
            (OccupancyGrid, "occupancy", lambda m: (np.array(m.data) == 100).any()))
    client.ignore(*(f"/mapping/{n}" for n in ("map_cloud", "occupancy")))
    time.sleep(1.5)  # nobody listens, and nothing moves
    for kind, name, _ in late:
        client.listen(kind, f"/mapping/{name}", LATCHED)
    for _, name, good in late:
        message = client.wait_message(f"/mapping/{name}", good, 5)
        assert message.header.frame_id == "map"


def test_labels_that_come_a_second_late_reach_the_map(client, robot):
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)

    def labelled():
        message = client.messages("/mapping/map_cloud")[-1]
        data = np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step)
        labels = np.unique(data[:, 16:18].copy().view(np.uint16))
        return set(labels[labels != UNLABELLED].tolist())

    client.wait_message("/mapping/map_cloud")
    assert not labelled()
    assert client.call(Trigger, "/mapping/reset").success  # labels are for keyframes, so there must be new ones
    client.wait_message("/mapping/map_cloud", lambda m: m.width == 0)
    robot.label_info()
    frames, stamps = [], []
    for _ in range(12):
        frames.append(robot.frame_set)
        stamps += robot.drive(1)
    client.wait_status(lambda s: s.queue_length == 0)
    time.sleep(1.0)
    robot.labels_of(stamps, frames)
    client.wait(lambda: len(labelled()) > 1, 10, "labels in the map")
    assert labelled() <= set(robot.room.source.world.label_space.names)
