# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Names that lead elsewhere, stamps that repeat or are no times, and JSON nested without end: refused or said, by name."""
import json
import struct

import cv2
import numpy as np
import pytest

from lsm_ros.datasets.base import stamp_from_text
from lsm_ros.datasets.tum import TumSource, read_list, read_tum
from lsm_ros.evaluation import metrics
from lsm_ros.models.checkpoint import read_config
from lsm_ros.models.tensor_files import read_safetensors

CAMERA = "image_width: 8\nimage_height: 6\nfx: 5\nfy: 5\ncx: 4\ncy: 3\n"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "tum"
    place.mkdir()
    for n in range(3):
        cv2.imwrite(str(place / f"{n}.png"), np.full((6, 8, 3), 60 * n, np.uint8))
    (place / "rgb.txt").write_text("1.0 0.png\n2.0 1.png\n2.0 2.png\n")
    return place


def test_an_image_whose_stamp_comes_twice_is_said_and_left_out(folder):
    source = TumSource(folder)
    assert [int(f.frames[0].image.max()) for f in source] == [0, 60] and len(source) == 3
    assert any("stamps of rgb.txt repeat" in w and "2.png" in w for w in source.warnings)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", ".."])
@pytest.mark.parametrize("which", ["rgb.txt", "depth.txt", "labels.txt"])
def test_files_outside_of_the_folder_are_refused(folder, name, which):
    with (folder / which).open("a") as file:
        file.write(f"3.0 {name}\n")
    with pytest.raises(ValueError, match=rf"{which}, line \d: .* leads out of the folder"):
        TumSource(folder)


@pytest.mark.parametrize("name", ["..", ".", "", "/tmp", "a/b", "../tum"])
def test_further_cameras_are_folders_beside_the_file(folder, name):
    (folder / "camera.yaml").write_text(CAMERA + f"other_cameras: ['{name}']\n")
    with pytest.raises(ValueError, match="other_cameras names folders"):
        TumSource(folder)


@pytest.mark.parametrize("text", ["1" + 23 * "0", "1e23", "9" * 5000, "-1e30", "1305031102175304"])
def test_stamps_beyond_all_times(text, tmp_path):
    with pytest.raises(ValueError, match="larger than any time") as error:
        stamp_from_text(text)
    assert len(str(error.value)) < 200
    (tmp_path / "rgb.txt").write_text(f"{text} a.png\n")
    with pytest.raises(ValueError, match=r"rgb\.txt, line 1"):
        read_list(tmp_path / "rgb.txt")


def test_two_poses_of_one_stamp(tmp_path):
    path = tmp_path / "truth.txt"
    path.write_text("1.0 0 0 0 0 0 0 1\n1.0 0 0 0 0 0 0 1\n")
    assert len(read_tum(path)) == 2
    path.write_text("1.0 0 0 0 0 0 0 1\n1.0 0 0 5 0 0 0 1\n")
    with pytest.raises(ValueError, match=r"truth\.txt: two different poses have the stamp 1\.000000000"):
        read_tum(path)


def test_json_without_end(tmp_path):
    deep = ("[" * 100_000).encode()
    (tmp_path / "deep.safetensors").write_bytes(struct.pack("<Q", len(deep)) + deep)
    (tmp_path / "deep.json").write_bytes(deep)
    for read, name in ((read_safetensors, "deep.safetensors"), (read_config, "deep.json"), (metrics.read, "deep.json")):
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)
    with pytest.raises((RecursionError, json.JSONDecodeError)):  # which of them depends on Python
        json.loads(deep)


def test_a_name_that_no_system_takes_is_named_by_its_line(tmp_path):
    (tmp_path / "rgb.txt").write_text("1.0 a.png\n2.0 " + "a" * 5000 + ".png\n")
    with pytest.raises(ValueError, match=r"rgb.txt, line 2: the file name has 5004 characters"):
        read_list(tmp_path / "rgb.txt")
