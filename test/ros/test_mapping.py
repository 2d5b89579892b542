# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From images over topics to poses, clouds, a map and TF."""
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.harness import LATCHED, START_NS, points, pose_error
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from lsm_ros.geometry import se3_inverse, se3_log, transform_points
from lsm_ros.msg import CameraStatus
from lsm_ros.ros import conversions
from lsm_ros.ros.input.transforms import T_BODY_OPTICAL
from lsm_ros.types import UNLABELLED


def listen_to_all(client):
    for kind, topic in ((PoseWithCovarianceStamped, "pose"), (Odometry, "odometry"), (PointCloud2, "cloud"),
                        (PointCloud2, "keyframe_cloud")):
        client.listen(kind, f"/mapping/{topic}")
    for kind, topic in ((Path, "path"), (PointCloud2, "map_cloud"), (LabelInfo, "label_info"),
                        (OccupancyGrid, "occupancy")):
        client.listen(kind, f"/mapping/{topic}", LATCHED)
    client.listen(TFMessage, "/tf")
    client.listen(DiagnosticArray, "/diagnostics")


def play(client, room, first_ns, *, odometry=True, pause=0.1, count=None, **options):
    """Sends frame sets at their pace; returns their stamps."""
    stamps = []
    for frame_set in room.frame_sets[:count]:
        stamp_ns = first_ns + frame_set.stamp_ns
        if odometry:
            client.send_odometry(frame_set.T_odom_base, stamp_ns)
        client.send_frame(frame_set.frames[0], stamp_ns, **options)
        stamps.append(stamp_ns)
        time.sleep(pause)
    return stamps


def poses_by_stamp(client):
    return {conversions.stamp_ns(m.header.stamp): conversions.from_pose(m.pose.pose)
            for m in client.messages("/mapping/pose")}


def tf_messages(client, parent, child):
    return [t for m in client.messages("/tf") for t in m.transforms
            if t.header.frame_id == parent and t.child_frame_id == child]


def test_with_odometry_everything_goes_out(client, room, start):
    node = start(base_frame="base_link", cloud_stride=2, missing_input_seconds=5.0, **{"limits.queue_frames": 100})
    client.wait_active(node)
    listen_to_all(client)
    client.send_static([(room.source.T_rig_cam["front"], "base_link", "camera_optical_frame")])
    for topic in ("camera/image", "camera/depth", "camera/camera_info", "camera/labels", "camera/label_info", "/tf"):
        client.publisher(*_kinds()[topic])
    client.wait_matched("camera/image", "camera/depth", "camera/camera_info", "/tf")
    stamps = play(client, room, START_NS, labels=True)
    status = client.wait_status(lambda s: s.frames_processed >= len(stamps), 20)
    assert (status.frames_dropped, status.frames_without_pose) == (0, 0), node.log()
    assert status.scale_is_metric and status.gravity_known and status.gravity_source == "base_link"
    assert status.keyframes >= 2 and status.voxel_blocks > 10 and status.header.frame_id == "map"
    (camera,) = status.cameras
    assert camera.state == CameraStatus.STATE_OK and camera.calibrated and camera.frame_id == "camera_optical_frame"
    assert (camera.images_received, camera.images_invalid, camera.images_dropped) == (len(stamps), 0, 0)

    poses = client.wait_stamps("/mapping/pose", stamps)
    assert [conversions.stamp_ns(p.header.stamp) for p in poses] == stamps
    true = [g.T_map_rig for g in room.ground_truth]
    T_map_world = conversions.from_pose(poses[0].pose.pose) @ se3_inverse(true[0])
    for p, g in zip(poses, true, strict=True):
        distance, angle = pose_error(conversions.from_pose(p.pose.pose), T_map_world @ g)
        assert distance < 0.03 and angle < 0.02
        covariance = p.pose.covariance.reshape(6, 6)
        assert np.linalg.eigvalsh(covariance).min() > 0 and covariance[0, 0] < 0.01

    odometry = client.wait_stamps("/mapping/odometry", stamps)
    assert {(o.header.frame_id, o.child_frame_id) for o in odometry} == {("odom", "base_link")}
    T_odom_world = room.frame_sets[0].T_odom_base @ se3_inverse(true[0])
    for o, g in zip(odometry, true, strict=True):  # the way that the cameras saw, not the wheels' once more
        assert pose_error(conversions.from_pose(o.pose.pose), T_odom_world @ g)[0] < 0.03
    seen, wheels = conversions.from_pose(odometry[-1].pose.pose), room.frame_sets[-1].T_odom_base
    assert pose_error(seen, wheels)[0] > 1e-4
    errors = [np.linalg.norm(_twist(o) - se3_log(se3_inverse(a) @ b) / 0.1)
              for o, a, b in zip(odometry[1:], true[:-1], true[1:], strict=True)]
    assert np.median(errors) < 0.08 and max(errors) < 0.25  # it is smoothed over some frames, and the robot speeds up

    # map -> odom -> base is the pose in the map, and the stamp is ahead of now
    def newest():
        """map -> odom, once it is of the last pose."""
        corrections = tf_messages(client, "map", "odom")
        T_map_base = conversions.from_transform(corrections[-1].transform) @ room.frame_sets[-1].T_odom_base
        return corrections if pose_error(T_map_base, conversions.from_pose(poses[-1].pose.pose))[0] < 1e-6 else None

    corrections = client.wait(newest, 5, "map -> odom of the last pose")
    assert not tf_messages(client, "map", "base_link")
    ahead = conversions.stamp_ns(corrections[-1].header.stamp) * 1e-9 - time.time()
    assert -2 < ahead < 0.2

    frame_cloud = client.wait_message("/mapping/cloud")
    assert frame_cloud.header.frame_id == "camera_optical_frame" and frame_cloud.point_step == 24
    assert conversions.stamp_ns(frame_cloud.header.stamp) in stamps
    in_cam, data = points(frame_cloud)
    assert 5000 < len(in_cam) <= 320 * 240 // 4 and in_cam[:, 2].min() > 0.1
    assert set(np.unique(data["label"])) <= {*room.source.world.label_space.names, UNLABELLED}
    surface, _ = room.source.surface_points(60000)
    T_world_cam = true[stamps.index(conversions.stamp_ns(frame_cloud.header.stamp))] @ room.source.T_rig_cam["front"]
    assert _median_distance(transform_points(T_world_cam, in_cam[::20]), surface) < 0.05

    client.wait(lambda: len(client.messages("/mapping/keyframe_cloud")) >= 2, 5, "clouds of keyframes")
    label_info = client.wait_message("/mapping/label_info")
    assert {c.class_id: c.class_name for c in label_info.class_map} == room.source.world.label_space.names
    assert client.wait_message("/mapping/path", lambda m: len(m.poses) >= 2).header.frame_id == "map"
    map_cloud = client.wait_message("/mapping/map_cloud", lambda m: (points(m)[1]["label"] != UNLABELLED).sum() > 1000)
    assert map_cloud.header.frame_id == "map"
    in_map, data = points(map_cloud)
    assert _median_distance(transform_points(se3_inverse(T_map_world), in_map[::20]), surface) < 0.05
    assert (data["label"] != UNLABELLED).mean() > 0.5
    grid = client.wait_message("/mapping/occupancy")
    cells = np.array(grid.data, dtype=np.int8)
    assert grid.info.resolution == pytest.approx(0.05) and (cells == 100).any() and (cells == 0).any()
    wanted = {f"mapping: {n}" for n in ("node", "input camera", "tf", "tracking", "scale", "memory", "queue", "stages")}
    client.wait(lambda: wanted <= {s.name for m in client.messages("/diagnostics") for s in m.status}, 5, "diagnostics of all")

    # a latched topic is published again for who comes later
    client.ignore("/mapping/map_cloud")
    time.sleep(1.2)
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)
    client.wait_message("/mapping/map_cloud", lambda m: m.width >= map_cloud.width)


def test_without_odometry_the_pose_is_on_tf_and_a_new_session_has_its_own_frame(client, room, start):
    camera = {"odometry": False, "compressed": True, "frame_id": "lens"}
    node = start(odom_frame="", image_transport="compressed", **{"limits.queue_frames": 100})
    client.wait_active(node)
    listen_to_all(client)
    client.listen(TFMessage, "/tf_static", LATCHED)
    for topic in ("camera/image/compressed", "camera/depth", "camera/camera_info"):
        client.publisher(*_kinds()[topic])
    client.wait_matched("camera/image/compressed", "camera/depth", "camera/camera_info")
    stamps = play(client, room, START_NS, **camera)
    status = client.wait_status(lambda s: s.frames_processed >= len(stamps), 20)
    assert status.frames_without_pose == 0 and status.header.frame_id == "map"
    client.wait_stamps("/mapping/pose", stamps)
    poses = poses_by_stamp(client)
    assert sorted(poses) == stamps
    client.wait(lambda: stamps[-1] in {conversions.stamp_ns(t.header.stamp) for t in tf_messages(client, "map", "camera_body")},
                5, "the transform of the last image")
    sent = tf_messages(client, "map", "camera_body")
    assert len(sent) >= 8 and len(sent) == sum(len(m.transforms) for m in client.messages("/tf"))
    for t in sent:  # at the images' stamps, never ahead of them
        T = poses[conversions.stamp_ns(t.header.stamp)]
        assert pose_error(conversions.from_transform(t.transform), T)[0] < 1e-6
    (static,) = [t for t in client.wait_message(
        "/tf_static", lambda m: any(t.child_frame_id == "lens" for t in m.transforms)).transforms if t.child_frame_id == "lens"]
    assert static.header.frame_id == "camera_body"
    assert pose_error(conversions.from_transform(static.transform), T_BODY_OPTICAL)[1] < 1e-6
    odometry = client.wait_stamps("/mapping/odometry", stamps)
    assert {(o.header.frame_id, o.child_frame_id) for o in odometry} == {("map", "camera_body")}, "frames that are on TF"
    for o in odometry:
        assert pose_error(conversions.from_pose(o.pose.pose), poses[conversions.stamp_ns(o.header.stamp)])[0] < 1e-6
    T_body_cam = room.source.T_rig_cam["front"] @ se3_inverse(T_BODY_OPTICAL)
    true = [g.T_map_rig @ T_body_cam for g in room.ground_truth]
    moved = se3_inverse(conversions.from_pose(odometry[0].pose.pose)) @ conversions.from_pose(odometry[-1].pose.pose)
    assert pose_error(moved, se3_inverse(true[0]) @ true[-1])[0] < 0.05

    # time goes back by a minute: the map is saved, a new one begins, and nothing of it is on TF
    count = len(client.messages("/tf"))
    play(client, room, START_NS - 60_000_000_000, **camera, count=8)
    status = client.wait_status(lambda s: s.session == 1 and s.header.frame_id == "map_s1")
    client.wait_message("/mapping/pose", lambda m: m.header.frame_id == "map_s1")
    client.wait_message("/mapping/map_cloud", lambda m: m.header.frame_id == "map_s1")
    assert len(client.messages("/tf")) == count
    (saved,) = node.maps.iterdir()
    assert saved.name.startswith("session_0_") and (saved / "map.json").is_file()
    assert "stamps jumped back by 6" in node.log()

    # a reset owns the map frame again
    assert client.call(Trigger, "/mapping/reset").success
    play(client, room, START_NS, **camera, count=3)
    client.wait_message("/mapping/pose", lambda m: m.header.frame_id == "map")
    client.wait(lambda: len(client.messages("/tf")) > count)


def test_own_odometry_frame_on_tf(client, room, start):
    node = start(base_frame="base_link", publish_odom_to_base_tf=True, **{"limits.queue_frames": 100})
    client.wait_active(node)
    listen_to_all(client)
    client.send_static([(room.source.T_rig_cam["front"], "base_link", "camera_optical_frame")])
    for topic in ("camera/image", "camera/depth", "camera/camera_info"):
        client.publisher(*_kinds()[topic])
    client.wait_matched("camera/image", "camera/depth", "camera/camera_info")
    stamps = play(client, room, START_NS, odometry=False, count=10)
    client.wait_status(lambda s: s.frames_processed >= len(stamps), 20)
    client.wait_stamps("/mapping/pose", stamps)
    poses = poses_by_stamp(client)
    client.wait(lambda: len(tf_messages(client, "map", "odom")) == len(tf_messages(client, "odom", "base_link")) == len(stamps),
                5, "two transforms of each image")
    first, second = tf_messages(client, "map", "odom"), tf_messages(client, "odom", "base_link")
    for a, b in zip(first, second, strict=True):
        T = conversions.from_transform(a.transform) @ conversions.from_transform(b.transform)
        assert a.header.stamp == b.header.stamp
        assert pose_error(T, poses[conversions.stamp_ns(a.header.stamp)])[0] < 1e-6
    assert pose_error(conversions.from_transform(first[0].transform), np.eye(4)) == pytest.approx((0, 0), abs=1e-6)
    odometry = client.wait_stamps("/mapping/odometry", stamps)
    assert {(o.header.frame_id, o.child_frame_id) for o in odometry} == {("odom", "base_link")}
    for o, b in zip(odometry, second, strict=True):
        assert pose_error(conversions.from_pose(o.pose.pose), conversions.from_transform(b.transform))[0] < 1e-6


def _kinds():
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

    return {"camera/image": (Image, "camera/image"),
            "camera/image/compressed": (CompressedImage, "camera/image/compressed"),
            "camera/depth": (Image, "camera/depth"),
            "camera/camera_info": (CameraInfo, "camera/camera_info"),
            "camera/labels": (Image, "camera/labels"),
            "camera/label_info": (LabelInfo, "camera/label_info", LATCHED), "/tf": (TFMessage, "/tf")}


def _twist(odometry):
    t = odometry.twist.twist
    return np.array([t.linear.x, t.linear.y, t.linear.z, t.angular.x, t.angular.y, t.angular.z])


def _median_distance(a, b):
    from scipy.spatial import cKDTree

    return float(np.median(cKDTree(b).query(a)[0]))
