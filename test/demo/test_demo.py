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


def test_the_checks_see_what_is_wrong():
    """The same checks on the truth, and on the truth made worse in one way each."""
    room = RoomSource(frames=150)
    truth = room.ground_truth
    good, _ = check_trajectory(Heard(poses=list(truth), truth=list(truth)), 150)
    assert all(by_name(good).values())
    shrunk = []
    for p in truth:
        T = p.T_map_rig.copy()
        T[:3, 3] *= 0.9
        shrunk.append(TrajectoryPose(p.stamp_ns, T))
    bad, _ = check_trajectory(Heard(poses=shrunk[:100], truth=list(truth)), 150)
    assert by_name(bad) == {"frames with a pose": False, "trajectory error (ATE, rigid)": by_name(bad)[
        "trajectory error (ATE, rigid)"], "scale of the trajectory": False}
    points, labels = room.surface_points(20000)
    assert all(by_name(check_map(points, labels, room)).values())
    assert not by_name(check_map(points + [0.1, 0.1, 0.3], labels, room))["surface to the true surface"]
    assert not by_name(check_map(points[points[:, 0] < 0], labels[points[:, 0] < 0], room))["volume mapped"]
    wrong = np.where(labels == UNLABELLED, labels, labels + 1).astype(np.uint16)
    assert not by_name(check_map(points, wrong, room))["labels of the voxels"]
