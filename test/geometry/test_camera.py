# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, Rectifier

# Coefficients in the range of real calibrations: a webcam, a depth camera's colour lens, two fisheyes.
CAMERAS = {
    'none': CameraIntrinsics(640, 480, 525.0, 525.5, 319.5, 239.5),
    'plumb_bob': CameraIntrinsics(640, 480, 517.3, 516.5, 318.6, 255.3, 'plumb_bob',
                                  (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    'barrel': CameraIntrinsics(752, 480, 458.654, 457.296, 367.215, 248.375, 'plumb_bob',
                               (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)),
    'rational': CameraIntrinsics(1280, 720, 607.2, 607.0, 637.9, 365.1, 'rational_polynomial',
                                 (0.42, -2.65, 0.0007, -0.0004, 1.53, 0.30, -2.47, 1.46)),
    'equidistant': CameraIntrinsics(640, 480, 285.7, 286.1, 319.9, 241.2, 'equidistant',
                                    (-0.0079, 0.0451, -0.0432, 0.0083)),
    'plain_fisheye': CameraIntrinsics(320, 240, 200.0, 200.0, 159.5, 119.5, 'equidistant', (0, 0, 0, 0)),
}
ALL = pytest.mark.parametrize('camera', CAMERAS.values(), ids=CAMERAS.keys())


def opencv_project(camera, points):
    zero = np.zeros(3)
    if camera.distortion_model == 'equidistant':
        return cv2.fisheye.projectPoints(points[:, None], zero, zero, camera.K, np.array(camera.D))[0][:, 0]
    return cv2.projectPoints(points, zero, zero, camera.K, np.array(camera.D) if camera.D else None)[0][:, 0]


def pixel_grid(camera):
    v, u = np.mgrid[0:camera.height, 0:camera.width].astype(float)
    return np.stack([u, v], -1)


class TestValidation:
    @pytest.mark.parametrize(('change', 'text'), [
        ({'width': 0}, 'width'), ({'height': -3}, 'height'), ({'width': 640.5}, '640.5'), ({'width': np.nan}, 'width'),
        ({'fx': 0.0}, 'fx must be positive'), ({'fy': -1.0}, 'fy'), ({'fx': np.nan}, 'nan'), ({'cx': np.inf}, 'cx'),
        ({'distortion_model': 'kannala'}, 'kannala'),
        ({'distortion_model': 'plumb_bob', 'D': (0.1, 0.2)}, '4 or 5 coefficients, got 2'),
        ({'distortion_model': 'rational_polynomial', 'D': (0.1,) * 5}, 'got 5'),
        ({'distortion_model': 'equidistant', 'D': (0.1,) * 5}, 'got 5'),
        ({'D': (0.1,) * 5}, 'got 5'),
        ({'distortion_model': 'plumb_bob', 'D': (0.1, np.nan, 0, 0, 0)}, 'finite'),
    ])
    def test_names_the_value(self, change, text):
        with pytest.raises(ValueError, match=text):
            replace(CAMERAS['none'], **change)

    def test_from_K(self):
        camera = CAMERAS['plumb_bob']
        again = CameraIntrinsics.from_K(camera.K.ravel(), 640, 480, 'plumb_bob', np.array(camera.D))
        assert again == camera and hash(again) == hash(camera)
        assert not CameraIntrinsics.from_K(camera.K, 640, 480, 'plumb_bob', []).has_distortion

    @pytest.mark.parametrize('K', [
        np.zeros((3, 3)), np.eye(4), np.full((3, 3), np.nan), [[500, 1, 3], [0, 500, 2], [0, 0, 1]],
        [[500, 0, 3], [0, 500, 2], [0, 0, 2]],
    ])
    def test_bad_K(self, K):
        with pytest.raises(ValueError, match='K must|fx must'):
            CameraIntrinsics.from_K(K, 640, 480)

    def test_has_distortion(self):
        assert not replace(CAMERAS['none'], distortion_model='plumb_bob', D=(0,) * 5).has_distortion
        assert CAMERAS['plain_fisheye'].has_distortion and CAMERAS['barrel'].has_distortion

    def test_from_fov(self):
        camera = CameraIntrinsics.from_fov(640, 480, np.pi / 2)
        assert (camera.fx, camera.cx, camera.cy) == (pytest.approx(320), 319.5, 239.5)
        pixels, _ = camera.project([[1.0, 0, 1], [-1, 0, 1]])
        np.testing.assert_allclose(pixels[:, 0], [639.5, -0.5])
        with pytest.raises(ValueError, match='fov_x'):
            CameraIntrinsics.from_fov(640, 480, 3.2)


class TestProject:
    @ALL
    def test_agrees_with_opencv(self, camera):
        rng = np.random.default_rng(0)
        rays = camera.rays(unit=False).reshape(-1, 3)
        rays = rays[np.isfinite(rays).all(1)]
        points = rays[rng.integers(0, len(rays), 5000)] * rng.uniform(0.1, 20, (5000, 1))
        pixels, valid = camera.project(points)
        assert valid.all()
        np.testing.assert_allclose(pixels, opencv_project(camera, points), atol=1e-6)

    @ALL
    def test_optical_axis(self, camera):
        pixels, valid = camera.project([0.0, 0, 2])
        assert valid
        np.testing.assert_allclose(pixels, [camera.cx, camera.cy])

    @ALL
    def test_behind_is_invalid_without_warnings(self, camera):
        points = np.array([[0, 0, -1], [0.1, 0, 0], [np.nan, 0, 1], [0, np.inf, 1], [0, 0, np.nan], [0, 0, np.inf],
                           [0.01, 0.01, 1]])
        for dtype in (np.float32, np.float64):
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                pixels, valid = camera.project(points.astype(dtype))
            np.testing.assert_array_equal(valid, [False] * 6 + [True])
            assert np.isnan(pixels[:6]).all() and pixels.dtype == dtype
            assert not camera.contains(pixels[:6]).any()

    def test_folded_polynomial_is_invalid(self):
        # r (1 - 0.3 r^2) has its maximum at r = 1.054; beyond, points would wander back into the image.
        camera = CameraIntrinsics(640, 480, 300, 300, 319.5, 239.5, 'plumb_bob', (-0.3, 0, 0, 0))
        _, valid = camera.project([[1.05, 0, 1], [1.06, 0, 1], [1.8, 0, 1]])
        np.testing.assert_array_equal(valid, [True, False, False])
        beyond = 319.5 + 300 * np.linspace(0.704, 3, 500)  # here only the far side of the fold has solutions
        assert np.isnan(camera.unproject(np.stack([beyond, np.full(500, 239.5)], -1))).all()
        assert np.isfinite(camera.unproject([319.5 + 300 * 0.70, 239.5])).all()

    def test_float32_is_close(self):
        camera = CAMERAS['rational']
        points = camera.rays(unit=False)[::20, ::20] * 3
        np.testing.assert_allclose(camera.project(points.astype(np.float32))[0], camera.project(points)[0], atol=2e-3)

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match=r'points_cam must have shape \(\.\.\., 3\), got \(5, 2\)'):
            CAMERAS['none'].project(np.zeros((5, 2)))


class TestUnproject:
    @ALL
    def test_round_trip_over_the_whole_image(self, camera):
        pixels = pixel_grid(camera)
        rays = camera.unproject(pixels)
        assert rays.shape == (camera.height, camera.width, 3)
        seen = np.isfinite(rays).all(-1)
        assert seen.mean() > 0.99  # the fisheye's corners see beyond 90 degrees
        back, valid = camera.project(rays[seen])
        assert valid.all()
        np.testing.assert_allclose(back, pixels[seen], atol=1e-6)

    @ALL
    def test_z_is_one(self, camera):
        np.testing.assert_allclose(camera.unproject([camera.cx, camera.cy]), [0, 0, 1], atol=1e-12)
        assert camera.unproject([10.0, 20.0])[2] == 1

    def test_nan_pixel_gives_nan(self):
        for camera in CAMERAS.values():
            assert np.isnan(camera.unproject([np.nan, 3.0])).any()

    def test_fisheye_angle(self):
        camera = CAMERAS['plain_fisheye']
        ray = camera.unproject([camera.cx + 200 * 0.7, camera.cy])
        np.testing.assert_allclose(ray, [np.tan(0.7), 0, 1], atol=1e-12)
        assert np.isnan(camera.unproject([camera.cx + 200 * 1.6, camera.cy])).all()

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match='pixels must have shape'):
            CAMERAS['none'].unproject(np.zeros(3))


class TestRays:
    def test_unit_and_cached(self):
        camera = CAMERAS['barrel']
        rays = camera.rays()
        np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-14)
        assert camera.rays() is rays and replace(camera).rays() is rays
        assert camera.rays(dtype=np.float32).dtype == np.float32
        with pytest.raises(ValueError, match='read-only'):
            rays[0, 0] = 0


class TestResizeCrop:
    @ALL
    def test_resize_keeps_the_image_plane(self, camera):
        half = camera.resize(camera.width // 2, camera.height // 4)
        points = camera.rays(unit=False)[::17, ::13].reshape(-1, 3)
        points = points[np.isfinite(points).all(1)]
        full_px, half_px = camera.project(points)[0], half.project(points)[0]
        np.testing.assert_allclose((half_px + 0.5) * [2, 4] - 0.5, full_px, atol=1e-9)

    def test_resize_agrees_with_pixels_of_opencv(self):
        # A linear ramp resized by area keeps, at each new centre, the old coordinate that resize promises.
        camera = CAMERAS['none']
        ramp = np.tile(np.arange(640, dtype=np.float32), (480, 1))
        small = cv2.resize(ramp, (160, 120), interpolation=cv2.INTER_AREA)
        resized = camera.resize(160, 120)
        ray_x = (np.arange(160) - resized.cx) / resized.fx
        np.testing.assert_allclose(ray_x * camera.fx + camera.cx, small[0], atol=1e-4)

    def test_resize_back_is_identity(self):
        camera = CAMERAS['plumb_bob']
        back = camera.resize(321, 77).resize(640, 480)
        np.testing.assert_allclose(back.K, camera.K, atol=1e-10)
        with pytest.raises(ValueError, match='size must be positive, got 0x4'):
            camera.resize(0, 4)

    @ALL
    def test_crop(self, camera):
        part = camera.crop(30, 20, 100, 90)
        assert part.shape == (90, 100)
        np.testing.assert_allclose(part.unproject([[3.0, 4.0]]), camera.unproject([[33.0, 24.0]]), atol=1e-12)

    @pytest.mark.parametrize('window', [(-1, 0, 5, 5), (0, 0, 641, 480), (600, 0, 41, 5), (0, 0, 0, 5), (0, 476, 5, 5)])
    def test_crop_outside(self, window):
        with pytest.raises(ValueError, match='is not inside of 640x480'):
            CAMERAS['none'].crop(*window)

    def test_contains(self):
        inside = CAMERAS['none'].contains([[-0.5, -0.5], [639.5, 479.5], [-0.51, 0], [0, 479.6], [np.nan, 0]])
        np.testing.assert_array_equal(inside, [True, True, False, False, False])
        np.testing.assert_array_equal(CAMERAS['none'].contains([[1.0, 100], [2, 100]], margin=2.5), [False, True])


class TestRectify:
    @ALL
    def test_maps_agree_with_opencv(self, camera):
        target, (map_x, map_y) = camera.rectified()
        if camera.distortion_model == 'equidistant':
            expected = cv2.fisheye.initUndistortRectifyMap(
                camera.K, np.array(camera.D), np.eye(3), target.K, (camera.width, camera.height), cv2.CV_32FC1)
        else:
            expected = cv2.initUndistortRectifyMap(
                camera.K, np.array(camera.D), None, target.K, (camera.width, camera.height), cv2.CV_32FC1)
        np.testing.assert_allclose(map_x, expected[0], atol=2e-3)
        np.testing.assert_allclose(map_y, expected[1], atol=2e-3)

    @ALL
    def test_alpha_zero_has_no_empty_pixels(self, camera):
        rectifier = Rectifier(camera)
        assert rectifier.valid.all()
        assert not rectifier.target.has_distortion
        assert rectifier.target.fx / rectifier.target.fy == pytest.approx(camera.fx / camera.fy)

    @pytest.mark.parametrize('name', ['plumb_bob', 'barrel', 'rational'])
    def test_alpha_one_keeps_the_source(self, name):
        camera = CAMERAS[name]
        target, _ = camera.rectified(alpha=1.0)
        pixels, _ = target.project(camera.rays(unit=False))
        assert target.contains(pixels, margin=-0.01).all()

    def test_no_distortion_is_identity(self):
        camera = CAMERAS['none']
        rectifier = Rectifier(camera)
        image, depth = np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32)
        assert rectifier.is_identity and rectifier.target == camera
        assert rectifier.image(image) is image and rectifier.depth(depth) is depth

    def test_a_straight_line_becomes_straight(self):
        camera = CAMERAS['barrel']
        x = np.linspace(-0.6, 0.6, 4000)
        line = np.stack([x, 0.2 + 0.1 * x, np.ones_like(x)], -1)
        pixels = np.rint(camera.project(line)[0]).astype(int)
        image = np.zeros((480, 752), np.uint8)
        image[pixels[:, 1], pixels[:, 0]] = 255
        rectifier = Rectifier(camera)
        v, u = np.nonzero(rectifier.image(image) > 100)
        rays = rectifier.target.unproject(np.stack([u, v], -1))
        residual_px = (rays[:, 1] - 0.2 - 0.1 * rays[:, 0]) * rectifier.target.fy
        assert len(u) > 500 and np.abs(residual_px).max() < 1.5

    def test_depth_and_labels_are_samples(self):
        camera = CAMERAS['equidistant']
        rectifier = Rectifier(camera, alpha=0.5)
        rng = np.random.default_rng(0)
        depth = rng.choice(np.float32([1, 5]), (480, 640))
        labels = rng.choice(np.uint16([3, 40000]), (480, 640))
        assert set(np.unique(rectifier.depth(depth)[rectifier.valid])) == {1, 5}
        assert set(np.unique(rectifier.labels(labels)[rectifier.valid])) == {3, 40000}
        assert not rectifier.valid.all()
        assert (rectifier.depth(depth)[~rectifier.valid] == 0).all()
        assert (rectifier.labels(labels)[~rectifier.valid] == 65535).all()
        assert (rectifier.labels(labels.astype(np.uint8))[~rectifier.valid] == 255).all()
        assert (rectifier.labels(labels.astype(np.int32), fill=-1)[~rectifier.valid] == -1).all()

    def test_depth_lands_where_the_pinhole_sees_it(self):
        camera = CAMERAS['plumb_bob']
        rectifier = Rectifier(camera)
        plane = 2 / (1 + 0.3 * camera.rays(unit=False)[..., 0])  # z of the plane z + 0.3 x = 2 along each ray
        expected = 2 / (1 + 0.3 * rectifier.target.rays(unit=False)[..., 0])
        np.testing.assert_allclose(rectifier.depth(plane), expected, atol=2e-3)

    def test_wide_fisheye_is_cut(self):
        camera = CameraIntrinsics(800, 800, 220, 220, 399.5, 399.5, 'equidistant', (0, 0, 0, 0))  # sees 208 degrees
        target = Rectifier(camera).target
        half_view = np.arctan(400 / target.fx)
        assert np.radians(60) < half_view < np.radians(66)

    def test_errors(self):
        with pytest.raises(ValueError, match='alpha'):
            CAMERAS['barrel'].rectified(alpha=1.5)
        with pytest.raises(ValueError, match=r'\(240, 320\) does not fit a camera of 640x480'):
            Rectifier(CAMERAS['plumb_bob']).image(np.zeros((240, 320), np.uint8))
