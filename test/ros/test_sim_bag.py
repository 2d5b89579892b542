# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A bag of a simulated world of three rooms, as `lsm sim` writes it and `lsm replay` plays it, mapped by the node."""
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from helpers.harness import LATCHED, points
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import LabelInfo

from lsm_ros.evaluation import trajectory
from lsm_ros.ros import conversions
from lsm_ros.types import TrajectoryPose
from lsm_sim.generator import build_world

SEED = 1


def lsm(*arguments, seconds):
    done = subprocess.run([sys.executable, "-m", "lsm_ros.cli", *map(str, arguments)], capture_output=True, text=True,
                          timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]


def trail(client, topic, pose_of):
    return [TrajectoryPose(conversions.stamp_ns(m.header.stamp), conversions.from_pose(pose_of(m)))
            for m in client.messages(topic)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_rooms_from_a_bag(client, start, tmp_path):
    assert len([z for z in build_world(SEED, "rooms").zones]) == 3
    bag = tmp_path / "rooms"
    lsm("sim", bag, "--world", "rooms", "--seed", SEED, "--format", "bag", "--size", "320x240", "--quiet", seconds=400)
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        frames = reader.topics["/front/image"].msgcount
    node = start(cameras=["front"], use_sim_time=True, replay=True, base_frame="base_link", odom_frame="odom")
    client.wait_active(node)
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.listen(PoseStamped, "/ground_truth")
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)
    client.listen(LabelInfo, "/mapping/label_info", LATCHED)
    lsm("replay", bag, "--reliable", "--rate", 0.4, "--wait-for", 30, seconds=400)
    status = client.wait_status(lambda s: s.frames_processed >= frames, 120)
    assert (status.state, status.session, status.frames_without_pose) == (status.STATE_TRACKING, 0, 0), status
    assert status.scale_is_metric and status.cameras[0].images_invalid == 0
    client.wait(lambda: len(client.messages("/mapping/pose")) == frames, 20, "a pose of each frame")
    poses = trail(client, "/mapping/pose", lambda m: m.pose.pose)
    truth = trail(client, "/ground_truth", lambda m: m.pose)
    errors = trajectory.evaluate(poses, truth, alignments=("se3",))
    print(f"ATE {errors.ate_m['se3'].rmse:.3f} m over {errors.path_m:.1f} m")
    assert errors.path_m > 5 and errors.ate_m["se3"].rmse < 0.01 * errors.path_m
    client.wait(lambda: client.messages("/mapping/map_cloud") and client.messages("/mapping/label_info"), 20, "the map")
    _, cloud = points(client.messages("/mapping/map_cloud")[-1])
    names = {c.class_id for c in client.messages("/mapping/label_info")[-1].class_map}
    assert len(cloud["label"]) > 5000 and set(np.unique(cloud["label"]).tolist()) - {65535} <= names
    assert len(np.unique(cloud["label"])) >= 8
