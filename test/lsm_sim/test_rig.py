# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rigs: where cameras look, and what their lenses span."""
import math

import numpy as np
import pytest

from lsm_ros.geometry.lie import is_se3, se3_inverse
from lsm_sim.bodies import ROBOT
from lsm_sim.rig import BASELINE, DISTORTIONS, RIGS, build_rig, lens, mount


class TestRigs:
    @pytest.mark.parametrize("name", RIGS)
    @pytest.mark.parametrize("handheld", [False, True])
    def test_cameras_are_upright_and_within_the_body(self, name, handheld):
        rig = build_rig(name, handheld=handheld)
        assert rig.cameras == list(rig.intrinsics)
        for T in rig.T_rig_cam.values():
            assert is_se3(T) and T[2, 1] < -0.8  # down in the image is down
            assert np.hypot(*T[:2, 3]) < ROBOT.radius and T[2, 3] <= ROBOT.top
            assert (T[2, 3] == 0) if handheld else (T[2, 3] > 1)

    def test_directions(self):
        ahead = {n: T[:2, 2] / np.hypot(*T[:2, 2]) for n, T in build_rig("ring4").T_rig_cam.items()}
        np.testing.assert_allclose([ahead[n] for n in ("front", "left", "rear", "right")],
                                   [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-12)
        rear = build_rig("front_rear").T_rig_cam["rear"]
        assert rear[0, 2] < -0.9 and rear[0, 3] < 0
        around = [math.atan2(*T[[1, 0], 2]) for T in build_rig("ring3").T_rig_cam.values()]
        np.testing.assert_allclose(np.unwrap(around), [0, 2 * math.pi / 3, 4 * math.pi / 3], atol=1e-9)

    def test_stereo_is_rectified(self):
        rig = build_rig("stereo")
        T_left_right = se3_inverse(rig.T_rig_cam["left"]) @ rig.T_rig_cam["right"]
        np.testing.assert_allclose(T_left_right[:3, 3], [BASELINE, 0, 0], atol=1e-12)
        np.testing.assert_allclose(T_left_right[:3, :3], np.eye(3), atol=1e-12)

    def test_mount_tilts_down(self):
        assert mount(tilt=0.3)[2, 2] == pytest.approx(-math.sin(0.3))

    def test_unknown(self):
        with pytest.raises(ValueError, match="octopus"):
            build_rig("octopus")


class TestLens:
    @pytest.mark.parametrize("distortion", DISTORTIONS)
    @pytest.mark.parametrize("degrees", [60, 75, 95])
    def test_spans_the_angle_and_has_all_rays(self, distortion, degrees):
        camera = lens(160, 120, math.radians(degrees), distortion)
        left, right = camera.unproject(np.array([[-0.5, camera.cy], [159.5, camera.cy]]))
        angle = math.atan2(right[0], 1) - math.atan2(left[0], 1)
        assert angle == pytest.approx(math.radians(degrees), abs=2e-3)
        rays = camera.rays(unit=False)
        assert np.isfinite(rays).all()
        v, u = np.mgrid[:120, :160]
        pixels, valid = camera.project(rays)
        assert valid.all()
        np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=1e-6)

    def test_barrel_bends_inwards(self):
        straight, bent = lens(160, 120), lens(160, 120, distortion="plumb_bob")
        assert bent.fx > 1.05 * straight.fx and bent.has_distortion and not straight.has_distortion

    @pytest.mark.parametrize(("degrees", "distortion", "message"), [
        (75, "jelly", "jelly"), (130, "plumb_bob", "130 degrees"), (170, "plumb_bob", "170 degrees"), (190, "none", "fov_x"),
        (0, "rational", "fov_x")])
    def test_bad_input(self, degrees, distortion, message):
        with pytest.raises(ValueError, match=message):
            lens(160, 120, math.radians(degrees), distortion)

    def test_wide_fisheye(self):
        camera = lens(160, 120, math.radians(150), "fisheye")
        assert np.isfinite(camera.rays(unit=False)[60]).all()
