# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The node with pair model two_view: colour alone over topics, with and without a calibration."""
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.harness import LATCHED, START_NS
from helpers.textured import CAMERA, room, see
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from lsm_ros.geometry import make_se3, so3_exp, transform_points, umeyama
from lsm_ros.msg import MappingStatus
from lsm_ros.ros import conversions
from lsm_ros.types import Frame

PERIOD_NS = 50_000_000


@pytest.fixture(scope="module")
def walk():
    """Poses and grey images of a camera that sways and looks about in a room."""
    boards, out = room(), []
    for t in np.arange(110) / 30.0:
        T = make_se3(so3_exp([0.05 * np.sin(1.3 * t), 0.25 * np.sin(0.9 * t), 0.03 * np.sin(2 * t)]),
                     [0.6 * np.sin(0.9 * t), 0.1 * np.sin(1.7 * t), 0.35 * t - 0.3 * np.sin(t)])
        out.append((T, np.repeat(see(boards, T)[0][..., None], 3, 2)))
    return out


@pytest.mark.parametrize("calibrated", [True, False])
def test_colour_alone_gives_poses_and_a_map_that_is_not_called_metric(client, start, walk, calibrated):
    node = start(**{"pairs.model": "two_view", "limits.queue_frames": 200, "odom_frame": ""})
    client.wait_active(node)
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.listen(TFMessage, "/tf")
    for kind, topic in ((OccupancyGrid, "occupancy"), (PointCloud2, "map_cloud"), (PointCloud2, "keyframe_cloud")):
        client.listen(kind, f"/mapping/{topic}", LATCHED)
    client.publisher(Image, "camera/image")
    client.publisher(CameraInfo, "camera/camera_info")
    client.wait_matched("camera/image", "camera/camera_info")
    for n, (_, image) in enumerate(walk):
        stamp_ns = START_NS + n * PERIOD_NS
        client.send_frame(Frame(stamp_ns, "camera", image, CAMERA), stamp_ns, info=calibrated, depth=False)
        time.sleep(0.04)
    status = client.wait_status(lambda s: s.frames_processed >= len(walk), 60)
    assert status.state == MappingStatus.STATE_TRACKING, (status.state_reason, node.log())
    assert not status.scale_is_metric and status.scale_source == "none" and status.pair_model == "two_view"
    (camera,) = status.cameras
    assert camera.calibrated == calibrated and camera.focal_is_estimated == (not calibrated)
    assert camera.focal_px == pytest.approx(CAMERA.fx, rel=0.1)
    assert any("focal length is estimated" in w for w in status.warnings) == (not calibrated)
    assert not [t for m in client.messages("/tf") for t in m.transforms if t.child_frame_id == "odom"]
    assert not client.messages("/mapping/occupancy")  # nothing that a robot would drive by while the scale is unknown
    poses = {conversions.stamp_ns(m.header.stamp): conversions.from_pose(m.pose.pose)[:3, 3]
             for m in client.messages("/mapping/pose")}
    truth = {START_NS + n * PERIOD_NS: T[:3, 3] for n, (T, _) in enumerate(walk)}
    assert len(poses) > 0.6 * len(walk)
    ours, true = np.array(list(poses.values())), np.array([truth[s] for s in poses])
    error = np.linalg.norm(transform_points(umeyama(ours, true, with_scale=True), ours) - true, axis=1)
    assert np.sqrt(np.mean(error**2)) < 0.1
