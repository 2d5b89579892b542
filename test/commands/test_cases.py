# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Small inputs that users of mapping nodes had trouble with, each with its right value: a folder of cases beside the project.

Each folder holds one input and a README that says what it is. Tests with inputs of their own, of the same kinds, stand beside
the code that they try."""
import json
import re

import numpy as np
import pytest
from helpers import outside

from lsm_ros import cli
from lsm_ros.datasets import open_source

pytest.importorskip("rosbags", reason="rosbags is not installed (pip install rosbags)")


@pytest.fixture(scope="module")
def cases():
    return outside.find("cases", "README.md", "shared/cases") or pytest.skip("the cases are not here (LSM_TEST_DATA)")


def mapped(capsys, source, out, *options):
    """Exit status, text of the terminal, and metrics.json (None where there is none) of `lsm map`."""
    status = cli.main(["map", str(source), "--out", str(out), "--quiet", "--no-report", "--no-map", *options])
    text = "".join(capsys.readouterr())
    file = out / "metrics.json"
    return status, text, json.loads(file.read_text()) if file.is_file() else None


def compared(capsys, folder, truth):
    status = cli.main(["eval", str(folder / "map"), "--gt", str(folder / truth), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if status == 0 else None, err


def is_one_line(text):
    return text.startswith("lsm: error: ") and text.count("\n") == 1


def test_camera_changes_resolution(cases, tmp_path, capsys):
    status, _, metrics = mapped(capsys, cases / "camera_changes_resolution/bag", tmp_path / "out")
    assert status == 0 and metrics["frames_with_pose"] == metrics["frames"]


@pytest.mark.parametrize("case", ["camera_info_binning", "camera_info_roi"])
def test_camera_info_of_a_part_of_the_sensor(cases, case):
    frame = next(iter(open_source(cases / case / "bag"))).frames[0]
    assert frame.intrinsics.shape == (120, 160) == frame.image.shape[:2]
    k = frame.intrinsics
    np.testing.assert_allclose([k.fx, k.cx, k.cy], [104.258, 79.5, 59.5], atol=1e-3)


def test_camera_info_14_coefficients(cases):
    intrinsics = next(iter(open_source(cases / "camera_info_14_coefficients/bag"))).frames[0].intrinsics
    assert intrinsics.distortion_model == "rational_polynomial" and len(intrinsics.D) == 8 and any(intrinsics.D)


def test_colour_and_depth_in_one_folder(cases):
    source = open_source(cases / "colour_and_depth_in_one_folder/results")
    sets = list(source)
    assert len(source) == len(sets) == 14


def test_cut_jpeg(cases):
    source = open_source(cases / "cut_jpeg/images")
    assert len(list(source)) == 12
    assert any("(2 times)" in w and "5.jpg" in w and "cut off" in w for w in source.warnings)


def test_depth_25_ms_later(cases, tmp_path, capsys):
    status, text, _ = mapped(capsys, cases / "depth_25_ms_later/bag", tmp_path / "out")
    assert status == 2 and re.search(r"25(\.0)? ms", text) and "sync_slop_ms" in text
    options = ["--source-option", "sync_slop_ms=30"]
    assert mapped(capsys, cases / "depth_25_ms_later/bag", tmp_path / "out", *options)[0] == 0


def test_depth_of_other_camera_namespace(cases):
    topics = open_source(cases / "depth_of_other_camera_namespace/bag").topics
    assert topics["robot1_rear_camera_color"]["depth"] == "/robot1/rear_camera/aligned_depth_to_color/image_raw"
    assert topics["robot1_front_camera_color"]["depth"] == "/robot1/front_camera/aligned_depth_to_color/image_raw"


def test_detector_picture_takes_over(cases):
    source = open_source(cases / "detector_picture_takes_over/bag")
    assert list(source.topics) == ["camera_color"] and source.topics["camera_color"]["depth"]
    assert any("/yolo/dbg_image" in w for w in source.warnings)


def test_eval_nanoseconds(cases, capsys):
    status, found, err = compared(capsys, cases / "eval_nanoseconds", "gt.txt")
    assert status == 0 and found["ate_m"]["se3"]["rmse"] < 1e-3 and err == ""


def test_eval_quaternion_w_first(cases, capsys):
    status, found, _ = compared(capsys, cases / "eval_quaternion_w_first", "gt.csv")
    assert status == 0 and found["matched"] == found["poses"]
    assert found["rpe_rotation_rad"]["second"]["rmse"] < 1e-3


def test_first_stamp_zero(cases):
    stamps = [fs.stamp_ns for fs in open_source(cases / "first_stamp_zero/bag")]
    assert stamps == [100_000_000 * i for i in range(8)]


def test_folder_of_mixed_sizes(cases, tmp_path, capsys):
    status, text, metrics = mapped(capsys, cases / "folder_of_mixed_sizes/images", tmp_path / "out", "--pairs", "two_view")
    assert "other size" in text
    assert status == 2 and is_one_line(text.splitlines(keepends=True)[-1]) or metrics["frames"] == 13


@pytest.mark.parametrize("case", ["metadata_counts_zero", "qos_edited_image"])
def test_metadata_that_differs_from_the_file(cases, case):
    source = open_source(cases / case / "bag")
    assert len(list(source)) == len(source) == 4


def test_metadata_that_says_nothing_is_there_is_named(cases):
    assert any("metadata.yaml" in w for w in open_source(cases / "metadata_counts_zero/bag").warnings)


def test_sideways_camera(cases, tmp_path, capsys):
    status, _, metrics = mapped(capsys, cases / "sideways_camera/bag", tmp_path / "out")
    assert status == 0 and not metrics["gravity"]["known"]


def test_split_without_metadata(cases):
    source = open_source(cases / "split_without_metadata/bag")
    stamps = [fs.stamp_ns for fs in source]
    assert len(stamps) == len(source) == 12 and stamps == sorted(stamps)


def test_sqlite_wal_of_killed_recorder(cases):
    before = {f.name: f.stat().st_mtime_ns for f in (cases / "sqlite_wal_of_killed_recorder/killed").iterdir()}
    source = open_source(cases / "sqlite_wal_of_killed_recorder/killed")
    assert len(list(source)) == len(source) == 4
    source.close()
    assert {f.name: f.stat().st_mtime_ns for f in (cases / "sqlite_wal_of_killed_recorder/killed").iterdir()} == before


def test_tf_static_in_another_file(cases):
    warnings = open_source(cases / "tf_static_in_another_file/bag").warnings
    assert any("not joined" in w and "base_link" in w and "/tf_static" in w for w in warnings)


def test_tum_name_with_space(cases):
    assert len(list(open_source(cases / "tum_name_with_space"))) == 4


def test_tum_stamps_are_intervals(cases):
    warnings = open_source(cases / "tum_stamps_are_intervals").warnings
    assert any("go back (5 times)" in w for w in warnings) and any("repeat" in w for w in warnings)


def test_zstd_file_without_metadata(cases):
    source = open_source(cases / "zstd_file_without_metadata/bag")
    assert len(list(source)) == len(source) == 4
