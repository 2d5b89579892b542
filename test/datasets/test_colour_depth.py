# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rules of folders with colour and depth side by side: order, numbers, sizes, units, cameras."""
import json

import cv2
import numpy as np
import pytest

from lsm_ros.datasets import ColourDepthSource


def colour(path, value=0, shape=(6, 8)):
    cv2.imwrite(str(path), np.full((*shape, 3), value, np.uint8))


def depth(path, units=2000, shape=(6, 8)):
    cv2.imwrite(str(path), np.full(shape, units, np.uint16))


@pytest.fixture
def folder(tmp_path):
    """Two images with depth."""
    place = tmp_path / "room" / "frames"
    place.mkdir(parents=True)
    for i in (1, 2):
        colour(place / f"rgb_{i}.png", 40 * i)
        depth(place / f"depth_{i}.png", 1000 * i)
    return place


def seen(source):
    """Mean grey and median depth of each frame."""
    return [(round(f.image.mean()), None if f.depth is None else round(float(np.median(f.depth)), 3))
            for f in (fs.frames[0] for fs in source)]


def test_the_order_is_that_of_numbers_and_not_of_names(folder):
    (folder / "rgb_1.png").rename(folder / "z_1.png")
    assert seen(ColourDepthSource(folder, depth_scale=0.001)) == [(40, 1.0), (80, 2.0)]


def test_the_last_number_of_a_name_counts(tmp_path):
    for i in (1, 2):
        colour(tmp_path / f"cam0_rgb_{i}.png", 40 * i)
        depth(tmp_path / f"cam0_depth_{i}.png", 1000 * i)
    assert seen(ColourDepthSource(tmp_path, depth_scale=0.001)) == [(40, 1.0), (80, 2.0)]


def test_capitals_are_depth_too(tmp_path):
    colour(tmp_path / "RGB_1.png", 40)
    depth(tmp_path / "DEPTH_1.png")
    assert seen(ColourDepthSource(tmp_path, depth_scale=0.001)) == [(40, 2.0)]


def test_of_two_of_a_number_the_first_counts_and_the_other_is_said(folder):
    colour(folder / "s_1.png", 200)
    source = ColourDepthSource(folder, depth_scale=0.001)
    assert seen(source) == [(40, 1.0), (80, 2.0)]
    assert any(w.startswith("1 images are left out, which are neither") for w in source.warnings)


@pytest.mark.parametrize("name", ["label_1.png", "rgb_semantic_1.png", "normals_1.png", "instance_1.png", "segmentation_1.png"])
def test_other_pictures_are_no_colours(folder, name):
    for i in (1, 2):
        (folder / f"rgb_{i}.png").rename(folder / f"view_{i}.png")
    colour(folder / name, 250)
    source = ColourDepthSource(folder, depth_scale=0.001)
    assert seen(source) == [(40, 1.0), (80, 2.0)] and any("1 images are left out" in w for w in source.warnings)


def test_depth_without_its_image_is_said_and_not_counted(folder):
    depth(folder / "depth_7.png")
    source = ColourDepthSource(folder, depth_scale=0.001)
    assert any(w.startswith("1 depth images are left out, which have no colour image") for w in source.warnings)
    assert "2 images, 2 with depth in units of 0.001 m" in source.taken[0]


def test_depth_of_another_size_is_brought_to_the_image(folder):
    depth(folder / "depth_2.png", 3000, (3, 4))
    frames = [fs.frames[0] for fs in ColourDepthSource(folder, depth_scale=0.001)]
    assert [f.depth.shape for f in frames] == [(6, 8)] * 2 and np.median(frames[1].depth) == pytest.approx(3.0)


def test_stamps_are_counted_at_the_rate(folder):
    assert [fs.stamp_ns for fs in ColourDepthSource(folder, rate_hz=8.0)] == [0, 125_000_000]


@pytest.mark.parametrize("scale", [-0.001, 1.0])
def test_a_unit_that_is_none_is_refused(folder, scale):
    with pytest.raises(ValueError, match="depth_scale must be metres of one unit"):
        ColourDepthSource(folder, depth_scale=scale)


def test_a_folder_without_both_is_refused(folder):
    for i in (1, 2):
        (folder / f"depth_{i}.png").unlink()
    with pytest.raises(ValueError, match="holds no colour images with depth beside them"):
        ColourDepthSource(folder)


def test_millimetres_only_where_all_are_named_as_in_seven_scenes(tmp_path):
    for i in (1, 2):
        colour(tmp_path / f"frame-{i:06d}.color.png")
    depth(tmp_path / "frame-000001.depth.png")
    depth(tmp_path / "depth_2.png")
    source = ColourDepthSource(tmp_path)
    assert source.depth_scale is None and any("nothing says their unit" in w for w in source.warnings)


class TestCameras:
    YAML = "{{image_width: 8, image_height: 6, fx: {}, fy: 9, cx: 3.5, cy: 2.5}}"

    def test_the_folder_comes_before_the_one_above(self, folder):
        (folder.parent / "camera.yaml").write_text(self.YAML.format(50))
        assert next(iter(ColourDepthSource(folder))).frames[0].intrinsics.fx == 50
        (folder / "camera.yaml").write_text(self.YAML.format(9))
        assert next(iter(ColourDepthSource(folder))).frames[0].intrinsics.fx == 9

    def test_one_of_another_size_is_refused(self, folder):
        (folder / "camera.yaml").write_text(self.YAML.format(9).replace("8", "16"))
        with pytest.raises(ValueError, match="the camera is 16x6, but the images are 8x6"):
            ColourDepthSource(folder)

    @pytest.mark.parametrize("change", [{"scale": 0}, {"fx": None}, {"scale": "x"}, {"w": None}, {"fx": [1]}, {"h": 6.5}])
    def test_values_that_are_none_name_the_file(self, folder, change):
        values = {"w": 8, "h": 6, "fx": 9.0, "fy": 9.0, "cx": 3.5, "cy": 2.5, "scale": 1000.0} | change
        (folder / "cam_params.json").write_text(json.dumps({"camera": values}))
        with pytest.raises(ValueError, match=r"cam_params\.json is no camera"):
            ColourDepthSource(folder)

    @pytest.mark.parametrize("text", ["{}", "[]", "{\"camera\": {\"w\": 8}}", "{\"camera\": 3}", "{", "[" * 100_000])
    def test_what_is_no_camera_names_the_file(self, folder, text):
        (folder / "cam_params.json").write_text(text)
        with pytest.raises(ValueError, match=r"cam_params\.json"):
            ColourDepthSource(folder)
