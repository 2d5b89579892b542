# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Third process of the demo: receives what the node publishes while a bag of the rendered room plays, and checks it."""
from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.node import Node
from scipy.spatial import cKDTree
from sensor_msgs_py.point_cloud2 import read_points

from lsm_ros.datasets.tum import write_tum
from lsm_ros.demo.witness import Heard, Spinning, Witness
from lsm_ros.evaluation import semantics, trajectory
from lsm_ros.files import write_text
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.msg import MappingStatus
from lsm_ros.ros.conversions import from_pose, stamp_ns
from lsm_ros.srv import SaveMap
from lsm_ros.types import UNLABELLED, TrajectoryPose
from lsm_sim.solids import signed_distance
from lsm_sim.source import RoomSource

QUIET_S = 3.0  # the node has finished when no pose has arrived for so long after the bag's end
PATIENCE_S = 150.0


@dataclass(frozen=True)
class Check:
    """One check: its name, the result, the requirement, and true if it is met."""

    name: str
    found: str
    wanted: str
    good: bool


def check_trajectory(heard: Heard, frames: int) -> tuple[list[Check], np.ndarray]:
    """Coverage and error of the poses as they were published; also T_truth_map from the rigid alignment."""
    errors = trajectory.evaluate(heard.poses, heard.truth, alignments=("se3", "sim3"))
    coverage, ate = len(heard.poses) / frames, errors.ate_m["se3"].rmse
    return [Check("frames with a pose", f"{len(heard.poses)} of {frames}", "98 %", coverage >= 0.98),
            Check("trajectory error (ATE, rigid)", f"{ate * 100:.1f} cm over {errors.path_m:.1f} m", "below 5 cm", ate < 0.05),
            Check("scale of the trajectory", f"{errors.scale:.3f}", "1 +- 0.02", abs(errors.scale - 1) < 0.02),
            ], errors.T_truth_estimate


def check_map(points_truth: np.ndarray, labels: np.ndarray, room: RoomSource) -> list[Check]:
    """Size and place of the map, and its labels, against the room itself."""
    low, high = np.percentile(points_truth, [0.5, 99.5], axis=0)
    volume = float(np.prod(high - low))
    true_points, true_labels = room.surface_points(60000)
    room_volume = float(np.prod(true_points.max(0) - true_points.min(0)))
    share = volume / room_volume
    away = np.abs(signed_distance(room.world, points_truth, limit=1.0))
    distance, index = cKDTree(true_points).query(points_truth)
    labelled = (labels != UNLABELLED) & (distance < 0.1)
    right = float(np.mean(labels[labelled] == true_labels[index[labelled]])) if labelled.any() else 0.0
    near = cKDTree(points_truth).query(true_points)[0] < 0.1  # surfaces that no camera saw are not evaluated
    found = semantics.evaluate(points_truth, labels, true_points[near], true_labels[near], max_distance=0.1)
    return [Check("volume mapped", f"{volume:.1f} m3 of a room of {room_volume:.1f} m3", "70 to 115 %", 0.7 < share < 1.15),
            Check("surface to the true surface", f"{np.median(away) * 100:.1f} cm (median)", "below 3 cm",
                  float(np.median(away)) < 0.03),
            Check("labels of the voxels", f"{right:.0%} right, mean IoU {found.miou:.2f}", "85 % right", right > 0.85)]


def check_tf(node: Witness, camera_frame: str) -> list[Check]:
    """The chain map -> odom -> base -> camera at the images' stamps, against the poses that were published."""
    deviations, missing = [], 0
    for pose in node.heard.poses[3::3]:
        T_map_base = node.transform(node.map_frame, "base_link", pose.stamp_ns)
        T_map_camera = node.transform(node.map_frame, camera_frame, pose.stamp_ns)
        if T_map_base is None or T_map_camera is None:
            missing += 1
            continue
        deviations.append(np.linalg.norm(T_map_base[:3, 3] - pose.T_map_rig[:3, 3]))
    asked = len(deviations) + missing
    worst = max(deviations, default=float("nan"))
    gap = max(node.heard.tf_gaps_s, default=float("nan"))
    return [Check(f"TF map -> {camera_frame}", f"{len(deviations)} of {asked} stamps", "95 %",
                  len(deviations) >= 0.95 * asked > 0),
            Check("TF against ~/pose", f"{worst * 100:.1f} cm (worst)", "below 10 cm", worst < 0.10),
            Check("longest gap in TF", f"{gap * 1e3:.0f} ms", "below 300 ms on a busy machine", gap < 0.3)]


def check_outputs(heard: Heard) -> list[Check]:
    """Checks of the other outputs."""
    grid = heard.newest.get("occupancy")
    cells = np.zeros(0, np.int8) if grid is None else np.asarray(grid.data, np.int8)
    names = heard.newest["label_info"].class_map if "label_info" in heard.newest else []
    status: MappingStatus = heard.newest["status"]
    counts = ", ".join(f"{heard.counts.get(n, 0)} {n}" for n in ("odometry", "cloud", "keyframe_cloud", "diagnostics"))
    return [Check("other outputs", counts, "all come", all(heard.counts.get(n, 0) for n in (
                "odometry", "cloud", "keyframe_cloud", "diagnostics", "path"))),
            Check("label names", f"{len(names)}", "at least 10", len(names) >= 10),
            Check("occupancy grid", f"{np.sum(cells == 0)} free, {np.sum(cells == 100)} occupied cells", "both",
                  bool((cells == 0).sum() > 200 and (cells == 100).sum() > 50)),
            Check("scale and gravity known", f"{status.scale_source}, {status.gravity_source}", "metric, level",
                  bool(status.scale_is_metric and status.gravity_known)),
            Check("frames dropped", f"{status.frames_dropped}", "0", status.frames_dropped == 0)]


def wait_for_the_end(heard: Heard, done: Path) -> None:
    """Until the bag has ended (`done` exists) and the node has processed its input."""
    deadline = time.monotonic() + PATIENCE_S
    ended = None
    while time.monotonic() < deadline:
        time.sleep(0.2)
        if done.exists():
            ended = ended or time.monotonic()
            if time.monotonic() - max(heard.last_pose_at, ended) > QUIET_S:
                return


def save_map(node: Node, name: str) -> SaveMap.Response:
    """Asks the node to save its map. RuntimeError if it does not answer."""
    client = node.create_client(SaveMap, "mapping/save_map")
    if not client.wait_for_service(10.0):
        raise RuntimeError("the service mapping/save_map is not available")
    future = client.call_async(SaveMap.Request(name=name, overwrite=True))
    deadline = time.monotonic() + 60.0
    while not future.done():
        if time.monotonic() > deadline:
            raise RuntimeError("mapping/save_map did not answer within 60 s")
        time.sleep(0.05)
    return future.result()


def run(args: argparse.Namespace) -> int:
    room = RoomSource(seed=args.seed, frames=args.frames)
    node = Witness()
    spinning = Spinning(node)
    args.ready.touch()
    wait_for_the_end(node.heard, args.done)
    saved = save_map(node, args.map_name)
    spinning.close()
    heard = node.heard
    checks = [Check("a map came", str(sorted(heard.newest)), "pose, status, map_cloud",
                    {"pose", "status", "map_cloud"} <= set(heard.newest) and len(heard.truth) > 2)]
    if checks[0].good:
        found, T_truth_map = check_trajectory(heard, args.frames)
        cloud = read_points(heard.newest["map_cloud"], field_names=["x", "y", "z", "label"])
        points = transform_points(T_truth_map, np.column_stack([cloud[a] for a in "xyz"]).astype(np.float64))
        checks += found + check_map(points, cloud["label"], room) + check_tf(node, args.camera_frame) + check_outputs(heard)
    checks.append(Check("map saved by the service", f"{saved.size_bytes / 1e6:.1f} MB", saved.message, saved.success))
    T_world_map = T_truth_map if checks[0].good else np.eye(4)
    write_tum(args.out / "online.tum", heard.poses, "poses of base_link in the map as published; stamp tx ty tz qx qy qz qw")
    keyframes = [TrajectoryPose(stamp_ns(p.header.stamp), from_pose(p.pose)) for p in heard.newest["path"].poses] \
        if "path" in heard.newest else []
    write_tum(args.out / "keyframes.tum", keyframes, "keyframes of base_link in the map; stamp tx ty tz qx qy qz qw")
    write_tum(args.out / "truth.tum", [TrajectoryPose(p.stamp_ns, se3_inverse(T_world_map) @ p.T_map_rig) for p in heard.truth],
              "true poses of base_link, moved into the map; stamp tx ty tz qx qy qz qw")
    while_mapping = heard.statuses_while_mapping()  # after the bag's end the node rightly misses its images
    stages = [dict(zip(s.stage_names, map(float, s.stage_ms), strict=True)) for s in while_mapping]
    result = {"checks": [asdict(c) for c in checks], "map": saved.path, "stages_ms": stages,
              "warnings": list(while_mapping[-1].warnings) if while_mapping else [],
              "seconds": heard.last_pose_at - heard.first_pose_at}
    write_text(args.out / "checks.json", json.dumps(result, indent=2, default=bool))
    node.destroy_node()
    return 0 if all(c.good for c in checks) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--camera-frame", required=True)
    parser.add_argument("--map-name", required=True)
    parser.add_argument("--ready", type=Path, required=True, help="file made when the check listens")
    parser.add_argument("--done", type=Path, required=True, help="file that says that the bag has ended")
    args = parser.parse_args()
    rclpy.init()
    try:
        return run(args)
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
