# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Folders of datasets: colour and depth in one folder, and layouts that are named with the next step."""
import json

import cv2
import numpy as np
import pytest

from lsm_ros.datasets import ColourDepthSource, open_source
from lsm_ros.datasets.layouts import next_step


def write(folder, colour, depth, count=3, units=2000, shape=(6, 8)):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        cv2.imwrite(str(folder / colour.format(i)), np.full((*shape, 3), 40 * i % 256, np.uint8))
        if depth:
            cv2.imwrite(str(folder / depth.format(i)), np.full(shape, units, np.uint16))
    return folder


class TestColourAndDepth:
    def test_replica_with_its_camera(self, tmp_path):
        folder = write(tmp_path / "room0" / "results", "frame{:06d}.jpg", "depth{:06d}.png", units=13107)
        values = {"w": 8, "h": 6, "fx": 9.0, "fy": 9.0, "cx": 3.5, "cy": 2.5, "scale": 6553.5}
        (tmp_path / "room0" / "cam_params.json").write_text(json.dumps({"camera": values}))
        source = open_source(folder)
        frames = [fs.frames[0] for fs in source]
        assert isinstance(source, ColourDepthSource) and len(source) == len(frames) == 3 and source.warnings == []
        np.testing.assert_allclose(frames[1].depth, 2.0)
        assert frames[1].intrinsics.fx == 9 and frames[2].image.mean() > 70

    def test_seven_scenes_is_in_millimetres(self, tmp_path):
        folder = write(tmp_path / "seq", "frame-{:06d}.color.png", "frame-{:06d}.depth.png")
        cv2.imwrite(str(folder / "frame-000001.depth.png"), np.full((6, 8), 65535, np.uint16))
        source = open_source(folder)
        frames = [fs.frames[0] for fs in source]
        assert len(frames) == 3 and frames[0].depth.max() == 2 and frames[1].depth.max() == 0
        assert any("millimetres, as that of 7-Scenes" in w for w in source.warnings)

    def test_without_a_unit_depth_is_left_out_and_said(self, tmp_path):
        folder = write(tmp_path / "f", "rgb_{}.png", "depth_{}.png", count=12)
        source = open_source(folder)
        assert [fs.frames[0].depth for fs in source] == [None] * 12
        assert [round(fs.frames[0].image.mean()) for fs in source][:3] == [0, 40, 80], "in the order of numbers"
        assert any("12 depth images lie among 12" in w and "depth_scale" in w for w in source.warnings)
        np.testing.assert_allclose(next(iter(open_source(folder, depth_scale=0.0002))).frames[0].depth, 0.4)

    def test_labels_and_pictures_of_depth(self, tmp_path):
        folder = write(tmp_path / "f", "color_{}.png", "depth_{}.png")
        cv2.imwrite(str(folder / "label_1.png"), np.zeros((6, 8), np.uint8))
        cv2.imwrite(str(folder / "depth_2.png"), np.zeros((6, 8), np.uint8))
        source = open_source(folder, depth_scale=0.001)
        assert [fs.frames[0].depth is not None for fs in source] == [True, True, False]
        assert any("1 images are left out" in w for w in source.warnings) and any("16 bits" in w for w in source.warnings)

    def test_depth_of_nothing_is_no_pair(self, tmp_path):
        """Pictures of an excursion: a name that speaks of depth, but no depth."""
        write(tmp_path, "in_depth_{}.jpg", "")
        assert not ColourDepthSource.recognizes(tmp_path) and len(list(open_source(tmp_path))) == 3

    @pytest.mark.parametrize("options, named", [({"depth_scale": 5.0}, "depth_scale"), ({"rate_hz": 0}, "rate_hz")])
    def test_bad_options(self, tmp_path, options, named):
        with pytest.raises(ValueError, match=named):
            open_source(write(tmp_path / "f", "color_{}.png", "depth_{}.png"), **options)


@pytest.mark.parametrize("entries, words", [
    (["mav0/cam0/data/1.png", "mav0/imu0/data.csv"], ["EuRoC", "mav0/cam0/data"]),
    (["image_2/000000.png", "times.txt", "calib.txt"], ["KITTI", "image_2", "rate_hz=10"]),
    (["image_02/data/0000000000.png", "oxts/x.txt"], ["KITTI", "image_02/data"]),
    (["color/0.jpg", "depth/0.png", "pose/0.txt", "intrinsic/x.txt"], ["ScanNet", "rgb.txt"]),
    (["scene0000_00.sens"], ["ScanNet", "SensReader"]), (["images/a.jpg", "sparse/0/cameras.bin"], ["COLMAP", "images"]),
    (["rgb/0.png", "depth/0.png", "associations.txt"], ["ICL-NUIM", "rgb.txt"]),
    (["results/frame000000.jpg", "traj.txt"], ["Replica", "results"]), (["seq-01/a", "seq-02/b"], ["7-Scenes", "seq-01"]),
    (["run.bag", "notes.txt"], ["ROS 1", "rosbags-convert", "run.bag"]), (["a.heic", "b.HEIC"], ["2 files .heic", "JPEG"]),
    (["day1/a.jpg", "day1/b.jpg"], ["day1", "images (2)"]), (["x/rec_0.mcap"], ["folder x is a source"]),
    (["data.zip"], ["data.zip", "unzip"]), (["rec.mcap.gz"], ["rec.mcap.gz", "gunzip"]),
])
def test_what_a_folder_looks_like_is_named(tmp_path, entries, words):
    for name in entries:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError) as error:
        open_source(tmp_path)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


@pytest.mark.parametrize("name, words", [("a.zip", "unzip"), ("a.svo", "export"), ("a.sens", "ScanNet"),
                                         ("a.bag.gz", "gunzip")])
def test_what_a_file_looks_like_is_named(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"some bytes")
    assert words in next_step(tmp_path / name)
    with pytest.raises(ValueError, match=words):
        open_source(tmp_path / name)


def test_nothing_known(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"neither rgb.txt, a bag nor images.*notes.txt"):
        open_source(tmp_path)
