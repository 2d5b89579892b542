# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The node under load: callbacks, clouds, TF and frames per second, over real topics.

    . tools/env.sh; python bench/node.py [--source TUM_FOLDER_OR_BAG] [--rate R] [--pairs two_view] [--quick] [--json FILE]

A source is recorded as a bag and replayed into the node in its own process: live at the camera's rate with best-effort
images (drops are counted), and at a fifth of it with reliable ones. Without a source it is the rendered room at 640x480.
--rate: live only, at R times the camera's rate, without peers. --pairs two_view: from colour alone.
Peers in the same run: sensor_msgs_py.create_cloud for clouds, the pipeline without ROS for frames per second.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.datasets.record import record
from lsm_ros.demo.__main__ import Processes, prefix_file
from lsm_ros.demo.witness import Spinning, Witness
from lsm_ros.evaluation import trajectory
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.ros.conversions import frame_cloud_message
from lsm_ros.types import FrameCloud
from lsm_sim.source import RoomSource


def median_ms(function, repeat: int = 15) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times))


def bench_cloud() -> dict[str, float]:
    """Milliseconds to make and publish a cloud of 640x480 points, and of the peer for the same points."""
    from sensor_msgs.msg import PointCloud2, PointField
    from sensor_msgs_py.point_cloud2 import create_cloud
    from std_msgs.msg import Header

    rng = np.random.default_rng(0)
    k = CameraIntrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)
    cloud = FrameCloud("camera", "optical", 1, rng.uniform(1, 3, (480, 640)).astype(np.float32),
                       rng.integers(0, 255, (480, 640, 3), dtype=np.uint8), np.ones((480, 640), np.float32), k,
                       rng.integers(0, 40, (480, 640)).astype(np.uint16))
    node = rclpy.create_node("bench_cloud")
    publisher = node.create_publisher(PointCloud2, "bench_cloud", 1)
    node.create_subscription(PointCloud2, "bench_cloud", lambda m: None, 1)
    message = frame_cloud_message(cloud)
    names = ("x", "y", "z", "rgb", "label", "confidence")
    kinds = (7, 7, 7, 7, 4, 7)
    fields = [PointField(name=n, offset=o, datatype=t, count=1)
              for n, o, t in zip(names, (0, 4, 8, 12, 16, 18), kinds, strict=True)]
    points = np.ones(480 * 640, np.dtype(list(zip(names, ["<f4"] * 4 + ["<u2", "<f4"], strict=True))))
    out = {"make": median_ms(lambda: frame_cloud_message(cloud)), "publish": median_ms(lambda: publisher.publish(message)),
           "peer": median_ms(lambda: create_cloud(Header(), fields, points))}
    node.destroy_node()
    return out


def bench_offline(bag: Path, frames: int, model: str) -> dict[str, float]:
    """Frames per second of the pipeline without ROS on the same bag."""
    pipeline, source, stages = MappingPipeline(from_dict({"pairs": {"model": model}})), open_source(bag), {}
    start = time.perf_counter()
    for n, frame_set in enumerate(source):
        if n == frames:
            break
        for stage, ms in pipeline.process(frame_set).milliseconds.items():
            stages.setdefault(stage, []).append(ms)
    fps = (n + 1) / (time.perf_counter() - start)
    source.close()
    return {"frames_per_s": fps, **{f"{k}_ms": float(np.mean(v)) for k, v in stages.items()}}


def bench_topics(bag: Path, camera: str, base: str, rate: float, live: bool, frames: int, model: str,
                 folder: Path) -> dict[str, float]:
    """One replay into the node. live: best-effort images and dropping; else reliable and waiting."""
    parameters = {"cameras": f"[{camera}]", "use_sim_time": "true", "pairs.model": model,
                  "replay": str(not live).lower(), "base_frame": base or "''",
                  "image_reliability": "best_effort" if live else "reliable", "queue_depth": "5" if live else "50"}
    command = [sys.executable, "-m", "lsm_ros.ros.node", "--ros-args"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    witness = Witness()
    spinning = Spinning(witness)
    heard = witness.heard
    with Processes(folder) as processes:
        processes.start("node", command)
        time.sleep(3.0)
        processes.check_alive("node")
        replay = [sys.executable, "-m", "lsm_ros.cli", "replay", str(bag), "--rate", str(rate), "--wait-for", "30"]
        player = processes.start("replay", replay + ([] if live else ["--reliable"]))
        while player.poll() is None:
            time.sleep(0.2)
        while time.monotonic() - heard.last_pose_at < 3.0:
            time.sleep(0.2)
        values = {f"{s.name.split(': ')[1]}/{v.key}": v.value for s in heard.newest["diagnostics"].status for v in s.values}
    spinning.close()
    witness.destroy_node()
    status, busy = heard.newest["status"], [s for s in heard.statuses_while_mapping() if s.frame_rate_hz > 0]
    out = {"images_received": status.cameras[0].images_received / frames, "frames_with_pose": len(heard.poses) / frames,
           "frame_sets_dropped": status.frames_dropped, "worst_callback_ms": float(values[f"input {camera}/worst_callback_ms"]),
           "worst_tf_gap_sent_ms": float(values["tf/worst_gap_ms"]),
           "frame_rate_hz": max(s.frame_rate_hz for s in busy),
           "latency_ms": float(np.median([s.latency_ms for s in busy]))}
    for name in busy[-1].stage_names:
        out[f"{name}_ms"] = float(np.mean([s.stage_ms[list(s.stage_names).index(name)] for s in busy if name in s.stage_names]))
    if len(heard.truth) > 3:
        errors = trajectory.evaluate(heard.poses, heard.truth, alignments=("se3", "sim3"))
        out.update({f"ate_{k}_m": v.rmse for k, v in errors.ate_m.items()})
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="TUM folder or bag; default: a rendered room")
    parser.add_argument("--rate", type=float, help="live only, at so many times the camera's rate")
    parser.add_argument("--pairs", default="depth", choices=("depth", "two_view"))
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(prefix_file("fastdds.xml")))
    rclpy.init()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        room = RoomSource(frames=150, width=640, height=480, labels=False)
        source = room if args.source is None else open_source(args.source)
        frames = min(len(source), 120 if args.quick else 10**9)
        camera = source.cameras[0]
        record(source, folder / "bag", limit=frames)
        base = "base_link" if next(iter(source)).rig_is_base else ""
        def topics(rate: float, live: bool) -> dict[str, float]:
            return bench_topics(folder / "bag", camera, base, rate, live, frames, args.pairs, folder)

        if args.rate is not None:
            result = {"live": topics(args.rate, True)}
        else:
            result = {"cloud_640x480_ms": bench_cloud(), "offline": bench_offline(folder / "bag", frames, args.pairs),
                      "live": topics(1.0, True), "slow": topics(0.2, False)}
    rclpy.try_shutdown()
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))
    return 0


def table(result: dict[str, dict[str, float]]) -> str:
    """The figures beside those of the peers, as far as these were run."""
    offline, rows = result.get("offline", {}), []
    if "cloud_640x480_ms" in result:
        cloud = result["cloud_640x480_ms"]
        rows = [("make a cloud of 640x480, ms", cloud["make"], "sensor_msgs_py.create_cloud", cloud["peer"]),
                ("publish it, ms", cloud["publish"], "", None)]
    for name in ("live", "slow"):
        r = result.get(name, {})
        for key, value in r.items():
            stage = key.endswith("_ms") and "worst" not in key and key != "latency_ms"
            peer = offline.get("frames_per_s") if key == "frame_rate_hz" else offline.get(key) if stage else None
            rows.append((f"{name}: {'stage ' if stage else ''}{key}", value, "pipeline without ROS" if peer else "", peer))
    lines = [f"{'':44} {'here':>10} {'peer':>10} {'ratio':>7}"]
    for label, here, peer, value in rows:
        lines.append(f"{label:44} {here:10.3f}" + (f" {value:10.3f} {here / value:7.2f}  {peer}" if value else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (subprocess.SubprocessError, RuntimeError) as error:
        sys.exit(f"bench/node.py: {error}")
