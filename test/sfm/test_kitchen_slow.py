# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import json
import shutil

import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.datasets.tum import read_tum
from lsm_ros.evaluation import trajectory
from lsm_ros.types import TrajectoryPose

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_every_tenth_frame_of_the_kitchen_shuffled(redkitchen, tmp_path):
    """50 of 50 without a calibration, and within 5 cm; the truth itself is good to 2 or 3."""
    files = sorted((redkitchen / "rgb").iterdir(), key=lambda p: float(p.stem))[::10]
    order = np.random.default_rng(0).permutation(len(files))
    (tmp_path / "photographs").mkdir()
    for place, n in enumerate(order):
        shutil.copy(files[n], tmp_path / "photographs" / f"{place:03d}.jpg")
    assert cli.main(["sfm", str(tmp_path / "photographs"), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    about = json.loads((tmp_path / "out" / "sfm.json").read_text())
    assert [m["images"] for m in about["models"]] == [50]
    assert about["models"][0]["cameras"][0]["fx"] == pytest.approx(525, rel=0.05)
    found = read_tum(tmp_path / "out" / "trajectory.tum")
    poses = [TrajectoryPose(round(float(files[n].stem) * 1e9), p.T_map_rig) for n, p in zip(order, found, strict=True)]
    poses.sort(key=lambda p: p.stamp_ns)
    errors = trajectory.evaluate(poses, read_tum(redkitchen / "groundtruth.txt"), max_dt_ns=20_000_000)
    assert errors.ate_m["sim3"].rmse < 0.05
