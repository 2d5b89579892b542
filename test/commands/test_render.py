# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm map --gaussians` and `lsm render`, from a rendered room to a picture of it."""
import cv2
import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.datasets.record import record
from lsm_ros.datasets.tum import read_tum
from lsm_ros.fusion.files.gaussian_ply import read_gaussians
from lsm_sim.source import RoomSource


@pytest.fixture(scope="module")
def room():
    return RoomSource(seed=0, frames=6, width=160, height=120, rate_hz=5.0)


@pytest.fixture(scope="module")
def mapped(room, tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    record(room, folder / "bag")
    assert cli.main(["map", str(folder / "bag"), "--out", str(folder / "out"), "--quiet", "--no-map", "--gaussians",
                     "1", "--keyframe-gaussians"]) == 0
    return folder / "out"


def test_a_view_of_the_map_is_what_the_camera_saw(room, mapped, tmp_path, capsys):
    k, frame = room.intrinsics, next(iter(room)).frames[0]
    first = read_tum(mapped / "trajectory.tum")[0]
    cloud = read_gaussians(mapped / "gaussians.ply")
    each = [len(read_gaussians(f)) for f in (mapped / "gaussians").iterdir()]
    keyframes = read_tum(mapped / "keyframes.tum")
    assert sum(each) == len(cloud) and len(each) == len(keyframes)
    report = (mapped / "report.html").read_text()
    assert (len(keyframes) > 1) == ("Views that no keyframe had" in report) and (mapped / "gaussians.ply").is_file()
    assert len(cloud) > 15000 and not (mapped / "gaussian_features.npz").exists()
    camera = ["--size", str(k.width), str(k.height), "--intrinsics", *(str(v) for v in (k.fx, k.fy, k.cx, k.cy))]
    stamp = str(first.stamp_ns * 1e-9)
    assert cli.main(["render", str(mapped), "--stamp", stamp, "--out", str(tmp_path / "a.png"), *camera]) == 0
    assert f"160x120, {len(cloud)} Gaussians" in capsys.readouterr().out
    got = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    assert got.shape == frame.image.shape
    error = (got.astype(float) - frame.image) / 255
    assert -10 * np.log10((error ** 2).mean()) > 20


def test_a_pose_and_a_file(mapped, tmp_path):
    pose = ["0.5", "0", "0", "0", "0", "0", "1"]
    for name in ("a.jpg", "b.png"):
        assert cli.main(["render", str(mapped / "gaussians.ply"), "--pose", *pose, "--out", str(tmp_path / name), "--size",
                         "64", "48", "--fov", "90"]) == 0
        assert cv2.imread(str(tmp_path / name)).shape == (48, 64, 3)


@pytest.mark.parametrize("change, message", [
    (["--out", "a.txt"], "a.txt: expected a picture"), (["--fov", "180"], "less than 180"),
    (["--pose", "0", "0", "0", "0", "0", "0", "0"], "quat"), (["--pose", "nan", "0", "0", "0", "0", "0", "1"], "seven finite")])
def test_bad_arguments(mapped, tmp_path, capsys, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    given = ["render", str(mapped), "--pose", "0", "0", "0", "0", "0", "0", "1", "--out", "a.png"]
    if change[0] == "--pose":
        given[2:10] = change
    else:
        given += change
    assert cli.main(given) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "a.png").exists()


def test_a_map_without_gaussians(tmp_path, capsys):
    assert cli.main(["render", str(tmp_path), "--stamp", "0", "--out", str(tmp_path / "a.png")]) == 2
    assert "lsm map --gaussians" in capsys.readouterr().err
