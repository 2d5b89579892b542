# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`make demo`, whole: three processes over real topics."""
import json
import subprocess
import sys

import numpy as np
import pytest

from lsm_ros.demo.check import Check, check_map, check_trajectory
from lsm_ros.demo.witness import Heard
from lsm_ros.types import UNLABELLED, TrajectoryPose
from lsm_sim.source import RoomSource


@pytest.mark.slow
def test_the_demo_maps_the_room_and_checks_it(tmp_path):
    done = subprocess.run([sys.executable, "-m", "lsm_ros.demo", "--out", str(tmp_path / "demo")], capture_output=True,
                          text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed" in done.stdout
    checks = json.loads((tmp_path / "demo" / "checks.json").read_text())["checks"]
    assert len(checks) > 10 and all(c["good"] for c in checks)
    assert all((tmp_path / "demo" / name).stat().st_size > 1000 for name in ("report.html", "map.ply", "metrics.json"))


def by_name(checks: list[Check]) -> dict[str, bool]:
    return {c.name: c.good for c in checks}


def moved(poses, change):
    """The same poses with `change(index, position)` as their positions."""
    out = []
    for index, pose in enumerate(poses):
        T = pose.T_map_rig.copy()
        T[:3, 3] = change(index, T[:3, 3])
        out.append(TrajectoryPose(pose.stamp_ns, T))
    return out


@pytest.fixture(scope="module")
def room():
    return RoomSource(frames=150)


def test_the_true_trajectory_passes(room):
    truth = room.ground_truth
    good, _ = check_trajectory(Heard(poses=list(truth), truth=list(truth)), 150)
    assert by_name(good) == {"frames with a pose": True, "trajectory error (ATE, rigid)": True, "scale of the trajectory": True}


@pytest.mark.parametrize(("name", "worse"), [
    ("frames with a pose", lambda poses: poses[:100]),
    ("trajectory error (ATE, rigid)", lambda poses: moved(poses, lambda i, p: p + [0, 0, 0.1 if i % 2 else -0.1])),
    ("scale of the trajectory", lambda poses: moved(poses, lambda i, p: 0.97 * p)),
], ids=["frames", "error", "scale"])
def test_one_check_fails_for_what_it_is_there_for(room, name, worse):
    truth = list(room.ground_truth)
    bad, _ = check_trajectory(Heard(poses=worse(truth), truth=truth), 150)
    assert [n for n, good in by_name(bad).items() if not good] == [name]


def test_the_checks_of_the_map_fail_for_what_they_are_there_for(room):
    points, labels = room.surface_points(20000)
    assert all(by_name(check_map(points, labels, room)).values())
    assert not by_name(check_map(points + [0.1, 0.1, 0.3], labels, room))["surface to the true surface"]
    assert not by_name(check_map(points[points[:, 0] < 0], labels[points[:, 0] < 0], room))["volume mapped"]
    wrong = np.where(labels == UNLABELLED, labels, labels + 1).astype(np.uint16)
    assert not by_name(check_map(points, wrong, room))["labels of the voxels"]
