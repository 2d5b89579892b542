# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cameras by CameraInfo as drivers fill it: parts of a sensor, other names, more coefficients, skew, no size."""
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.datasets.base import read_camera_file
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.distortion import standard_model
from lsm_ros.images import camera_info as module
from lsm_ros.images.camera_info import CameraInfoReader, camera_from_info, camera_of_image

D8 = (0.1, -0.2, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06)


def info(width=320, height=240, K=(208.5, 0, 159.5, 0, 208.5, 119.5, 0, 0, 1), D=(), model="plumb_bob", P=None, binning=(0, 0),
         roi=(0, 0, 0, 0)):
    x, y, w, h = roi
    return SimpleNamespace(width=width, height=height, k=np.array(K, float), d=list(D), distortion_model=model,
                           p=np.array(P or [0.0] * 12), binning_x=binning[0], binning_y=binning[1],
                           roi=SimpleNamespace(x_offset=x, y_offset=y, width=w, height=h, do_rectify=False))


def numbers(camera):
    return camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy


class TestCameraFromInfo:
    K = (500.0, 0, 320, 0, 510, 240, 0, 0, 1)
    P = (400.0, 0, 321, 0, 0, 410, 241, 0, 0, 0, 1, 0)

    def test_plain(self):
        camera, _ = camera_from_info(640, 480, self.K, (0.1, 0, 0, 0, 0), "plumb_bob")
        assert (camera.fx, camera.cy, camera.D[0], camera.distortion_model) == (500, 240, 0.1, "plumb_bob")

    def test_zero_distortion_is_none_whatever_its_name(self):
        assert not camera_from_info(640, 480, self.K, np.zeros(5), "none")[0].has_distortion

    def test_zero_K_is_uncalibrated(self):
        assert camera_from_info(640, 480, np.zeros(9), (), "") == (None, [])

    def test_rectified_images_follow_P(self):
        camera, _ = camera_from_info(640, 480, self.K, (0.1, 0, 0, 0, 0), "plumb_bob", self.P, rectified=True)
        assert (camera.fx, camera.cx, camera.has_distortion) == (400, 321, False)
        assert camera_from_info(640, 480, self.K, (), "", np.zeros(12), rectified=True)[0].fx == 500

    @pytest.mark.parametrize("changes", [{"K": np.full(9, np.nan)}, {"K": (1, 2)}, {"width": 0}, {"D": (1, 2)},
                                         {"distortion_model": "magic"}, {"D": (np.nan,) * 5}])
    def test_refuses(self, changes):
        values = {"width": 640, "height": 480, "K": self.K, "D": (0.1, 0, 0, 0, 0), "distortion_model": "plumb_bob"}
        with pytest.raises(ValueError):
            camera_from_info(**{**values, **changes})


class TestPartOfTheSensor:
    @pytest.mark.parametrize("binning, roi, expected", [
        ((2, 2), (0, 0, 0, 0), (160, 120, 104.25, 104.25, 79.5, 59.5)),
        ((1, 1), (40, 30, 160, 120), (160, 120, 208.5, 208.5, 119.5, 89.5)),
        ((2, 2), (40, 30, 160, 120), (80, 60, 104.25, 104.25, 59.5, 44.5)),
        ((4, 2), (0, 0, 0, 0), (80, 120, 52.125, 104.25, 39.5, 59.5)),
        ((0, 0), (0, 0, 320, 240), (320, 240, 208.5, 208.5, 159.5, 119.5)),
        ((2, 2), (0, 0, 321 - 2, 239), (159, 119, 104.25, 104.25, 79.5, 59.5)),
    ], ids=["binned", "window", "both", "unequal", "whole", "odd"])
    def test_k_is_shifted_then_scaled(self, binning, roi, expected):
        camera, notes = camera_of_image(info(binning=binning, roi=roi), (expected[1], expected[0]))
        np.testing.assert_allclose(numbers(camera), expected)
        assert notes == []

    def test_so_is_p(self):
        P = [100.0, 0, 150, 0, 0, 100, 110, 0, 0, 0, 1, 0]
        camera, _ = camera_of_image(info(P=P, D=D8[:5], binning=(2, 2)), (120, 160), rectified=True)
        np.testing.assert_allclose(numbers(camera), (160, 120, 50, 50, 74.75, 54.75))
        assert not camera.has_distortion

    def test_a_driver_that_says_so_but_scales_k_itself(self):
        camera, notes = camera_of_image(info(binning=(2, 2)), (240, 320))
        assert numbers(camera) == (320, 240, 208.5, 208.5, 159.5, 119.5) and "ignored" in notes[0]

    def test_images_of_neither_size(self):
        with pytest.raises(ValueError, match="it is 100x100, but camera_info is for 160x120"):
            camera_of_image(info(binning=(2, 2)), (100, 100))

    def test_a_window_beyond_the_sensor(self):
        with pytest.raises(ValueError, match="region of interest.*300"):
            camera_of_image(info(roi=(300, 0, 160, 120)), (120, 160))

    def test_no_size_at_all(self):
        camera, notes = camera_of_image(info(width=0, height=0), (240, 320))
        assert camera.shape == (240, 320) and camera.cx == 159.5 and "names no size" in notes[0]

    def test_skew_is_ignored_and_said(self):
        camera, notes = camera_of_image(info(K=(208.5, 0.4, 159.5, 0, 208.5, 119.5, 0, 0, 1)), (240, 320))
        assert camera.fx == 208.5 and notes == ["its skew of 0.4 px is ignored"]


class TestDistortion:
    @pytest.mark.parametrize("model, D, expected", [
        ("rational_polynomial", (*D8, 0, 0, 0, 0, 0, 0), ("rational_polynomial", D8)),
        ("rational_polynomial", (*D8, 0, 0, 0, 0), ("rational_polynomial", D8)),
        ("rational_polynomial", (0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), ("rational_polynomial", (0.1, *[0] * 7))),
        ("plumb_bob", (0.1, 0.2, 0, 0, 0, 0, 0, 0), ("plumb_bob", (0.1, 0.2, 0, 0))),
        ("plumb_bob", (*D8[:5], 0, 0, 0), ("plumb_bob", D8[:5])),
        ("plumb_bob", D8, ("rational_polynomial", D8)),
        ("fisheye", D8[:4], ("equidistant", D8[:4])), ("Kannala-Brandt4", D8[:4], ("equidistant", D8[:4])),
        ("equidistant", (*D8[:4], 0), ("equidistant", D8[:4])), ("equidistant", (0.0,) * 4, ("equidistant", (0.0,) * 4)),
        ("radtan", D8[:4], ("plumb_bob", D8[:4])), ("none", (0.0,) * 5, ("", ())),
    ])
    def test_names_and_zeros(self, model, D, expected):
        assert standard_model(model, D) == expected

    @pytest.mark.parametrize("model, D, named", [
        ("rational_polynomial", (*D8, 0.01, 0, 0, 0), "9 coefficients.*thin prism"),
        ("rational_polynomial", (*D8, 0, 0, 0, 0, 0, 0.02), "14 coefficients.*thin prism"),
        ("equidistant", D8[:5], "'equidistant' with 5"), ("fisheye", (), "got 0"), ("plumb_bob", (0.1, 0.2), "got 2"),
        ("division", (0.1,), "division"),
    ])
    def test_what_is_not_known_is_refused_by_name(self, model, D, named):
        with pytest.raises(ValueError, match=named):
            standard_model(model, D)


class TestReader:
    def test_an_unusable_one_leaves_the_last(self):
        reader = CameraInfoReader()
        good = reader.read(info(), (240, 320))
        assert good is not None and reader.problem == ""
        assert reader.read(info(K=[np.nan] * 9), (240, 320)) == good
        assert "not finite" in reader.problem and "the last usable one stays" in reader.problem
        assert reader.read(info(K=[0.0] * 9), (240, 320)) == good and "K of zero" in reader.problem
        assert reader.read(info(), (240, 320)) == good and reader.problem == ""

    def test_of_another_size_it_does_not_stay(self):
        reader = CameraInfoReader()
        assert reader.read(info(), (240, 320)) is not None
        assert reader.read(info(), (120, 160)) is None and "uncalibrated" in reader.problem
        assert reader.read(info(), (240, 320)) is not None and reader.problem == ""

    def test_each_is_worked_out_once_and_its_window_belongs_to_it(self, monkeypatch):
        looked = []
        monkeypatch.setattr(module, "camera_of_image", lambda *a: looked.append(a) or camera_of_image(*a))
        reader = CameraInfoReader()
        first = reader.read(info(roi=(0, 0, 160, 120)), (120, 160))
        assert reader.read(info(roi=(0, 0, 160, 120)), (120, 160)) == first and len(looked) == 1
        moved = reader.read(info(roi=(40, 0, 160, 120)), (120, 160))
        assert moved.cx == first.cx - 40 and len(looked) == 2
        assert reader.read(None, (120, 160)) == moved and len(looked) == 2, "one that lacks changes nothing"

    def test_without_any(self):
        assert CameraInfoReader().read(None, (240, 320)) is None


class TestCameraFile:
    def write(self, path, text):
        path.write_text(text)
        return read_camera_file(path)

    def test_a_ros_calibration_with_skew_and_fourteen(self, tmp_path):
        file = self.write(tmp_path / "camera.yaml", "image_width: 320\nimage_height: 240\ncamera_matrix: "
                          "{data: [200, 0.4, 160, 0, 200, 120, 0, 0, 1]}\ndistortion_model: rational_polynomial\n"
                          f"distortion_coefficients: {{data: {[*D8, 0, 0, 0, 0, 0, 0]}}}\n")
        assert file.intrinsics == CameraIntrinsics(320, 240, 200, 200, 160, 120, "rational_polynomial", D8)
        assert file.notes == ("camera.yaml: its skew of 0.4 px is ignored",)

    def test_plain_numbers_with_another_name(self, tmp_path):
        file = self.write(tmp_path / "camera.yaml", "image_width: 320\nimage_height: 240\nfx: 200\nfy: 200\ncx: 160\ncy: 120\n"
                          "distortion_model: fisheye\nD: [0.1, 0.0, 0.0, 0.0]\n")
        assert file.intrinsics.distortion_model == "equidistant"
