# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Options of sources as people type them: values of another kind are refused by name, and so are folders for files."""
import cv2
import numpy as np
import pytest

from lsm_ros import cli
from lsm_ros.config import load_config
from lsm_ros.datasets import open_source
from lsm_ros.datasets.base import WarningLog, read_camera_file
from lsm_ros.datasets.trajectories import read_tum
from lsm_ros.datasets.tum import read_list


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for i in range(3):
        cv2.imwrite(str(place / f"{i}.png"), np.full((6, 8, 3), 40 * i, np.uint8))
    return place


@pytest.mark.parametrize("value", ["abc", True, [1], float("nan"), float("inf"), {"a": 1}])
def test_what_is_no_number_is_refused_by_name(folder, value):
    with pytest.raises(ValueError, match="^option rate_hz: expected a number, got "):
        open_source(folder, rate_hz=value)


@pytest.mark.parametrize("value", [3, 0.5, True, ["a"], {"a": 1}])
def test_what_is_no_text_is_refused_by_name(folder, value):
    with pytest.raises(ValueError, match="^option camera: expected text, got .*; put it in quotes"):
        open_source(folder, camera=value)


def test_numbers_of_any_kind_are_taken(folder):
    for value in (10, 10.0, np.float32(10), np.int64(10)):
        assert [fs.stamp_ns for fs in open_source(folder, rate_hz=value)] == [0, 100_000_000, 200_000_000]
    assert open_source(folder, camera=None).cameras == ["camera"]


@pytest.mark.parametrize("option", ["sync_slop_ms=-5", "wait_ms=-1", "sync_slop_ms=1.0e+9", "sync_slop_ms=abc",
                                    "image_topic=[1, 2]"])
def test_options_of_bags_on_the_command_line(tmp_path, capsys, option):
    from helpers.bags import CAMERA, IMAGE, INFO, BagMaker, S, make, shade

    with BagMaker(tmp_path / "bag") as bag:
        bag.put("/a/image", IMAGE, S, make.image(S, "a", shade(1), "rgb8"))
        bag.put("/a/camera_info", INFO, S, make.camera_info(S, "a", CAMERA))
    assert cli.main(["map", str(tmp_path / "bag"), "--out", str(tmp_path / "out"), "--source-option", option]) == 2
    assert f"lsm: error: option {option.split('=')[0]}: expected" in capsys.readouterr().err


def test_several_topics_may_be_a_list(tmp_path):
    from helpers.bags import IMAGE, BagMaker, S, make, shade

    with BagMaker(tmp_path / "bag") as bag:
        for topic in ("/a/image", "/b/image"):
            bag.put(topic, IMAGE, S, make.image(S, topic[1], shade(1), "rgb8"))
    source = open_source(tmp_path / "bag", image_topic=["/b/image", "/a/image"])
    assert source.topics["b"]["image"] == "/b/image"  # no transform joins the other to it
    source.close()


def test_a_folder_in_place_of_a_file_is_said(tmp_path):
    for read, what in ((read_tum, "trajectory"), (load_config, "config"), (read_camera_file, "")):
        with pytest.raises(FileNotFoundError, match=f"{what} ?{tmp_path} is a folder; name a file in it"):
            read(tmp_path)
        with pytest.raises(FileNotFoundError, match="absent does not exist"):
            read(tmp_path / "absent")


def test_a_file_in_place_of_a_folder_is_said(tmp_path, capsys):
    (tmp_path / "notes").write_text("x")
    assert cli.main(["sfm", str(tmp_path / "notes"), "--out", str(tmp_path / "out")]) == 2
    assert f"{tmp_path / 'notes'} is a file; name its folder" in capsys.readouterr().err


def test_a_line_that_repeats_is_said_and_counts_once(tmp_path):
    log = WarningLog()
    (tmp_path / "rgb.txt").write_text("1 a.png\n1 a.png\n2 b.png\n")
    assert read_list(tmp_path / "rgb.txt", log) == [(10**9, "a.png"), (2 * 10**9, "b.png")]
    assert log.lines() == ["lines of rgb.txt repeat: each counts once: a.png"]
