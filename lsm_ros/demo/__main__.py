# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`make demo`: a rendered room is recorded as a bag and replayed over real topics into the node; a third process receives
what the node publishes and checks it. Then another room is mapped from colour alone, and queried."""
from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lsm_ros.config import Config, from_dict
from lsm_ros.datasets.record import record
from lsm_ros.datasets.tum import read_tum
from lsm_ros.demo.color import map_from_color
from lsm_ros.evaluation import metrics, trajectory
from lsm_ros.evaluation.cost import StageTimes
from lsm_ros.evaluation.report import RunRecord, write_report
from lsm_ros.evaluation.samples import SampleKeeper
from lsm_ros.fusion.files.ply import write_ply
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.ros.shared_memory import config_file, make_room
from lsm_ros.types import TrajectoryPose
from lsm_sim.source import RoomSource

CAMERA = "front"
MAP_NAME = "demo"
PARAMETERS = {"cameras": f"[{CAMERA}]", "use_sim_time": "true", "replay": "true", "image_reliability": "reliable",
              "queue_depth": "50", "base_frame": "base_link", "odom_frame": "odom", "fusion.voxel_size": "0.05"}


class Processes:
    """The three processes; all are ended when the block ends, and their output is in the log files."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.running: dict[str, subprocess.Popen] = {}
        self.env = dict(os.environ, ROS_LOG_DIR=str(out / "ros_log"), PYTHONUNBUFFERED="1", OMP_NUM_THREADS="2")

    def start(self, name: str, command: list[str]) -> subprocess.Popen:
        with (self.out / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=self.env)
        return self.running[name]

    def check_alive(self, name: str) -> None:
        code = self.running[name].poll()
        if code is not None:
            tail = "\n".join((self.out / f"{name}.log").read_text().splitlines()[-15:])
            raise RuntimeError(f"the process {name} ended early with status {code}; end of {name}.log:\n{tail}")

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def record_room(source: RoomSource, bag: Path) -> None:
    with tqdm(total=len(source), desc="1/3 recording a rendered room", unit="frame") as bar:
        record(source, bag, overwrite=True, progress=lambda done, _: bar.update(done - bar.n))


def play(args: argparse.Namespace, out: Path, processes: Processes) -> int:
    """Node, check and replay; returns the check's exit status."""
    node = [sys.executable, "-m", "lsm_ros.ros.node", "--ros-args", "-p", f"map_directory:={out / 'maps'}"]
    for name, value in PARAMETERS.items():
        node += ["-p", f"{name}:={value}"]
    ready, done = out / ".ready", out / ".done"
    processes.start("node", node)
    processes.start("check", [sys.executable, "-m", "lsm_ros.demo.check", "--out", str(out), "--seed", str(args.seed),
                              "--frames", str(args.frames), "--camera-frame", f"{CAMERA}_optical", "--map-name", MAP_NAME,
                              "--ready", str(ready), "--done", str(done)])
    while not ready.exists():
        processes.check_alive("node")
        processes.check_alive("check")
        time.sleep(0.1)
    replay = processes.start("replay", [sys.executable, "-m", "lsm_ros.cli", "replay", str(out / "bag"), "--reliable", "--rate",
                                        str(args.rate), "--wait-for", "30"])
    seconds = args.frames / 10 / args.rate
    with tqdm(total=round(seconds), desc="2/3 replaying it into the node", unit="s") as bar:
        while replay.poll() is None:
            time.sleep(1.0)
            bar.update(min(1, bar.total - bar.n))
            processes.check_alive("node")
        if replay.returncode:
            processes.check_alive("replay")
        done.touch()
    print("3/3 checking what was received", flush=True)
    return processes.running["check"].wait(240)


def report(out: Path, source: RoomSource, result: dict, seconds: float) -> None:
    """Writes report.html, map.ply and metrics.json from the received messages and from the map that the node saved."""
    config: Config = from_dict({"fusion.voxel_size": float(PARAMETERS["fusion.voxel_size"])})
    pipeline = MappingPipeline(config)
    pipeline.load(Path(result["map"]), localization_only=True)
    snapshot = pipeline.snapshot()
    T_rig_camera = source.T_rig_cam[CAMERA]
    poses, truth, keyframes = ([TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_rig_camera) for p in read_tum(out / f"{n}.tum")]
                               for n in ("online", "truth", "keyframes"))
    samples, stages = SampleKeeper(), StageTimes()
    for i in range(0, len(source), max(1, len(source) // 8)):
        samples.add(source.frame_set(i))
    for entry in result["stages_ms"]:
        stages.add(entry)
    errors = trajectory.evaluate(poses, truth)
    bad = [f"{c['name']}: {c['found']}, wanted: {c['wanted']}" for c in result["checks"] if not c["good"]]
    about = {"path": str(out / "bag"), "name": "rendered room, over ROS topics", "kind": "RosbagSource", "cameras": [CAMERA],
             "duration_s": len(source) / 10, "first_stamp_ns": poses[0].stamp_ns, "stamp_offset_ns": 0}
    found = metrics.build(about, config, snapshot, pipeline.status(), stages, T_rig_camera=T_rig_camera,
                          trajectory_frame="camera", frames=len(source), frames_with_pose=len(poses), loops=0, wall_s=seconds,
                          warnings=[*result["warnings"], *bad], label_space=pipeline.label_space, errors=errors,
                          truth_name="the room's own poses")
    metrics.write(out / metrics.FILE, found)
    write_ply(out / "map.ply", snapshot)
    write_report(out / "report.html", RunRecord(metrics.plain(found), snapshot, pipeline.label_space, poses, keyframes, stages,
                                                samples.samples(), truth))


def table(checks: list[dict]) -> str:
    width = [max(len(str(c[k])) for c in checks) for k in ("name", "found", "wanted")]
    return "\n".join(f"  {'ok ' if c['good'] else 'BAD'} {c['name']:{width[0]}}  {c['found']:{width[1]}}  ({c['wanted']})"
                     for c in checks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1.0, help="speed of the replay")
    args = parser.parse_args()
    out = args.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    make_room()
    source = RoomSource(seed=args.seed, frames=args.frames)
    start = time.monotonic()
    record_room(source, out / "bag")
    try:
        with Processes(out) as processes:
            code = play(args, out, processes)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    if not (out / "checks.json").is_file():
        print(f"demo: the check failed; see {out / 'check.log'} and {out / 'node.log'}", file=sys.stderr)
        return 1
    result = json.loads((out / "checks.json").read_text())
    print(table(result["checks"]))
    report(out, source, result, result["seconds"])
    print("\nAnother room, from colour alone, with meaning:")
    try:
        checks = [asdict(c) for c in map_from_color(out / "color")]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(table(checks))
    code = code or int(not all(c["good"] for c in checks))
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    print(f"\n{'All checks passed' if code == 0 else 'Some checks failed'} after {time.monotonic() - start:.0f} s.\n"
          f"report  {out / 'report.html'} and {out / 'color' / 'map' / 'report.html'}\nmap     {out / 'map.ply'}\n"
          f"bag     {out / 'bag'}\nlogs    {out}/*.log\n"
          f"To watch it live: run this again and, with ROS_DOMAIN_ID={domain} on a machine with ROS 2 Jazzy and this "
          f"package,\n  rviz2 -d {config_file('mapping.rviz')} --ros-args -p use_sim_time:=true")
    return code


if __name__ == "__main__":
    np.set_printoptions(precision=3, suppress=True)
    sys.exit(main())
