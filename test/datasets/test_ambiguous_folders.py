# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Folders that could mean several things: what is taken is right, or what was assumed and left out is said."""
import json

import cv2
import numpy as np
import pytest

from lsm_ros.datasets import ColourDepthSource, ImageFolderSource, TumSource, open_source
from lsm_ros.datasets.images import stamps_from_names

NS, US, MS = 1305031102175304000, 1305031102175304, 1305031102175
CAMERA = "image_width: 8\nimage_height: 6\nfx: 5\nfy: 5\ncx: 4\ncy: 3\n"


def paint(path, value=90, dtype=np.uint8, channels=3):
    cv2.imwrite(str(path), np.full((6, 8, channels) if channels > 1 else (6, 8), value, dtype))


def tum(folder, depth=(), depth_value=2000, camera=""):
    """A folder with four images at 10 Hz, and depth of the stamps given."""
    folder.mkdir()
    for i in range(4):
        paint(folder / f"{i}.png", 40 * i)
    (folder / "rgb.txt").write_text("".join(f"{5 + 0.1 * i:.3f} {i}.png\n" for i in range(4)))
    for i, _ in enumerate(depth):
        paint(folder / f"d{i}.png", depth_value, np.uint16, 1)
    if depth:
        (folder / "depth.txt").write_text("".join(f"{s:.3f} d{i}.png\n" for i, s in enumerate(depth)))
    if camera:
        (folder / "camera.yaml").write_text(camera)
    return folder


class TestNames:
    @pytest.mark.parametrize("stems, stamps", [
        ([f"{MS + 33 * i}" for i in range(3)], [(MS + 33 * i) * 10**6 for i in range(3)]),
        ([f"{US + i}" for i in range(3)], [(US + i) * 1000 for i in range(3)]),
        ([f"cam_{NS + i}" for i in range(3)], [NS + i for i in range(3)]),
        ([f"{MS + i}_rgb" for i in range(3)], [(MS + i) * 10**6 for i in range(3)]),
        (["img-1305031102.5", "img-1305031103.25"], [1305031102500000000, 1305031103250000000])])
    def test_times_in_other_units_and_with_words_around(self, stems, stamps):
        assert stamps_from_names(stems) == stamps

    @pytest.mark.parametrize("stems", [
        ["frame1.5", "frame2.5"], ["left_1305031102175", "right_1305031102175"], ["20240131120000", "20240131120001"],
        ["1_1305031102175", "2_1305031102208"], ["000001", "000002"], [f"{MS}", f"{NS}"], ["1305031102.5", "5"], [f"{MS}"]])
    def test_what_is_no_time_for_sure_is_counted(self, stems):
        assert stamps_from_names(stems) is None

    def test_times_that_repeat_are_said(self, tmp_path):
        for name in ("1305031102.5", "1305031102.50", "1305031103.5"):
            paint(tmp_path / f"{name}.png")
        source = open_source(tmp_path)
        assert [fs.stamp_ns for fs in source] == [0, 33333333, 66666667]
        assert any("look like stamps, but 1 of them repeat" in w for w in source.warnings)

    def test_a_second_camera_is_left_out_and_said(self, tmp_path):
        for i in range(3):
            paint(tmp_path / f"left_{i}.png", 50)
            paint(tmp_path / f"right_{i}.png", 200)
        source = open_source(tmp_path)
        assert [int(fs.frames[0].image.max()) for fs in source] == [50] * 3 and len(source) == 3
        (said,) = source.warnings
        assert "3 images right_# are left out, which have the numbers of left_#" in said and "folder of its own" in said

    @pytest.mark.parametrize("names", [["a_1", "a_2", "b_3", "b_4"], ["a_1", "a_2", "cover"], ["1.5", "1.7", "2.5", "2.7"],
                                       ["2024-01-01", "2024-01-02", "2024-02-01"], ["a", "b"]])
    def test_names_of_one_camera_stay(self, tmp_path, names):
        for name in names:
            paint(tmp_path / f"{name}.png")
        source = open_source(tmp_path)
        assert len(list(source)) == len(names) and source.warnings == []

    @pytest.mark.parametrize("dtype, said", [(np.uint16, True), (np.uint8, False)])
    def test_a_folder_of_depth_is_no_folder_of_pictures(self, tmp_path, dtype, said):
        for i in range(3):
            paint(tmp_path / f"{i}.png", 100, dtype, 1)
        source = ImageFolderSource(tmp_path)
        assert any("as depth is" in w for w in source.warnings) == said


class TestColourAndDepth:
    def test_depth_without_its_image_is_counted(self, tmp_path):
        for i in range(4):
            paint(tmp_path / f"color_{i}.png")
            paint(tmp_path / f"depth_{i + 2}.png", 1000, np.uint16, 1)
        source = ColourDepthSource(tmp_path, depth_scale=0.001)
        assert [fs.frames[0].depth is None for fs in source] == [True, True, False, False]
        assert source.warnings == ["2 depth images are left out, which have no colour image of their number"]

    @pytest.mark.parametrize("text, words", [("[" * 100_000, "cam_params.json is no camera"), ("[1]", "is no camera"),
                                             ("\xff", "cam_params.json")])
    def test_a_camera_that_is_none_is_named(self, tmp_path, text, words):
        paint(tmp_path / "color_0.png")
        paint(tmp_path / "depth_0.png", 1000, np.uint16, 1)
        (tmp_path / "cam_params.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ValueError, match=words):
            open_source(tmp_path)

    def test_a_mark_of_the_byte_order_is_no_error(self, tmp_path):
        paint(tmp_path / "color_0.png")
        paint(tmp_path / "depth_0.png", 1000, np.uint16, 1)
        values = {"camera": {"w": 8, "h": 6, "fx": 5, "fy": 5, "cx": 4, "cy": 3, "scale": 1000}}
        (tmp_path / "cam_params.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(values).encode())
        assert next(iter(open_source(tmp_path))).frames[0].depth.max() == 1


class TestTum:
    @pytest.mark.parametrize("offset, gap", [(0.03, "30 ms"), (1e6, "1e+09 ms"), (-0.04, "40 ms")])
    def test_depth_that_is_too_far_is_named_with_the_gap(self, tmp_path, offset, gap):
        source = TumSource(tum(tmp_path / "a", [5 + 0.1 * i + offset for i in range(4)]))
        (said,) = [w for w in source.warnings if "find no image" in w]
        assert "4 of 4 files of a/depth.txt" in said and f"are {gap} from" in said and "max_dt is 20 ms" in said

    @pytest.mark.parametrize("stamps", [[5.0], [5.0, 5.2], [5 + 0.033 * i for i in range(10)],
                                        [5 + 0.1 * i + 0.01 for i in range(4)]])
    def test_depth_of_another_rate_is_nothing_to_say(self, tmp_path, stamps):
        assert not [w for w in TumSource(tum(tmp_path / "a", stamps)).warnings if "find no image" in w]

    def test_a_second_camera_of_another_clock_is_named(self, tmp_path):
        folder = tum(tmp_path / "a", camera=CAMERA + "other_cameras: [right]\n")
        tum(folder / "right")
        (folder / "right" / "rgb.txt").write_text("".join(f"{900 + 0.1 * i:.3f} {i}.png\n" for i in range(4)))
        assert any("right/rgb.txt find no image" in w for w in TumSource(folder).warnings)

    def test_depth_of_8_bits_is_left_out(self, tmp_path):
        folder = tum(tmp_path / "a", [5.0, 5.1, 5.2, 5.3])
        for i in range(4):
            paint(folder / f"d{i}.png", 100, np.uint8, 1)
        source = TumSource(folder)
        assert [fs.frames[0].depth for fs in source] == [None] * 4
        assert any("depth skipped (4 times)" in w and "values of uint8; depth needs 16 bits" in w for w in source.warnings)

    @pytest.mark.parametrize("scale", [1000, 5000.0])
    def test_units_in_a_metre_are_no_metres_of_a_unit(self, tmp_path, scale):
        folder = tum(tmp_path / "a", [5.0], camera=f"{CAMERA}depth_scale: {scale}\n")
        with pytest.raises(ValueError, match=rf"camera.yaml: depth_scale is metres of one unit.* it is {1 / scale:g}"):
            TumSource(folder)

    def test_a_list_from_windows(self, tmp_path):
        folder = tum(tmp_path / "a")
        (folder / "rgb").mkdir()
        for i in range(4):
            (folder / f"{i}.png").rename(folder / "rgb" / f"{i}.png")
        (folder / "rgb.txt").write_text("".join(f"{i}.0 rgb\\{i}.png\r\n" for i in range(4)))
        assert len(list(TumSource(folder))) == 4
