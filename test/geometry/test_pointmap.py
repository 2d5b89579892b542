# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import warnings

import numpy as np
import pytest

from lsm_ros.geometry import (
    CameraIntrinsics,
    depth_discontinuities,
    depth_to_pointmap,
    downsample_depth,
    downsample_pointmap,
    make_se3,
    normals_from_pointmap,
    pointmap_to_depth,
    ray_from_pointmap,
    resize_pointmap,
    splat_depth,
)

CAMERA = CameraIntrinsics(64, 48, 60.0, 61.0, 31.0, 24.0)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def plane_depth(camera, normal, offset):
    return offset / (camera.rays(unit=False) @ np.asarray(normal, float))


class TestDepthToPointmap:
    def test_known_pixel(self):
        points, valid = depth_to_pointmap(np.full((48, 64), 2, np.float32), CAMERA)
        assert points.dtype == np.float32 and valid.all()
        np.testing.assert_allclose(points[24, 31], [0, 0, 2])
        np.testing.assert_allclose(points[0, 61], [2 * 30 / 60, -2 * 24 / 61, 2], rtol=1e-6)

    @pytest.mark.parametrize('bad', [0, -1, np.nan, np.inf])
    def test_invalid_is_nan_and_back_to_zero(self, bad):
        depth = np.full((48, 64), 1.5, np.float32)
        depth[3, 4] = bad
        points, valid = depth_to_pointmap(depth, CAMERA)
        assert np.isnan(points[3, 4]).all() and not valid[3, 4] and valid.sum() == 48 * 64 - 1
        back = pointmap_to_depth(points)
        assert back[3, 4] == 0 and back.dtype == np.float32
        depth[3, 4] = 0
        np.testing.assert_array_equal(back, depth)

    def test_distorted_camera_projects_back_to_its_pixels(self):
        camera = CameraIntrinsics(64, 48, 60, 60, 31, 24, 'plumb_bob', (-0.2, 0.05, 0.001, 0, 0))
        points, valid = depth_to_pointmap(np.full((48, 64), 3.0), camera)
        pixels, _ = camera.project(points)
        v, u = np.mgrid[0:48, 0:64]
        assert valid.all() and points.dtype == np.float64
        np.testing.assert_allclose(pixels, np.stack([u, v], -1), atol=1e-8)

    def test_lens_without_ray_is_invalid(self):
        camera = CameraIntrinsics(64, 48, 15, 15, 31.5, 23.5, 'equidistant', (0, 0, 0, 0))
        points, valid = depth_to_pointmap(np.ones((48, 64), np.float32), camera)
        assert not valid[0, 0] and np.isnan(points[0, 0]).all() and valid[24, 32]
        np.testing.assert_array_equal(valid, np.isfinite(points).all(-1))

    def test_integer_depth(self):
        points, _ = depth_to_pointmap(np.full((48, 64), 2, np.uint16), CAMERA)
        assert points.dtype == np.float32 and points[24, 31, 2] == 2

    def test_size_mismatch(self):
        with pytest.raises(ValueError, match=r'\(24, 32\) does not fit'):
            depth_to_pointmap(np.ones((24, 32)), CAMERA)


class TestRays:
    def test_unit_and_nan(self):
        rays = ray_from_pointmap([[0, 3, 4], [np.nan, 0, 1], [0, 0, 0]])
        np.testing.assert_allclose(rays[0], [0, 0.6, 0.8])
        assert np.isnan(rays[1:]).all()

    def test_same_as_camera(self):
        points, _ = depth_to_pointmap(np.full((48, 64), 2.0), CAMERA)
        np.testing.assert_allclose(ray_from_pointmap(points), CAMERA.rays(), atol=1e-14)


class TestNormals:
    @pytest.mark.parametrize('normal', [(0, 0, 1), (0.3, 0.2, 0.9), (-0.5, 0.1, 0.8)])
    def test_plane(self, normal):
        points, _ = depth_to_pointmap(plane_depth(CAMERA, normal, 2.0), CAMERA)
        expected = -np.array(normal) / np.linalg.norm(normal)
        out = normals_from_pointmap(points, relative_jump=0.5)
        np.testing.assert_allclose(out, np.broadcast_to(expected, out.shape), atol=1e-9)

    def test_mirrored_pointmap_faces_the_camera_too(self):
        points, _ = depth_to_pointmap(np.full((48, 64), 2.0), CAMERA)
        out = normals_from_pointmap(points[:, ::-1])
        np.testing.assert_allclose(out, np.broadcast_to([0, 0, -1.0], out.shape), atol=1e-9)

    def test_step_does_not_tilt_the_normal(self):
        depth = np.full((48, 64), 1.0)
        depth[:, 32:] = 3.0
        out = normals_from_pointmap(depth_to_pointmap(depth, CAMERA)[0])
        np.testing.assert_allclose(out, np.broadcast_to([0, 0, -1.0], out.shape), atol=1e-9)

    def test_hole_and_lonely_pixel(self):
        depth = np.ones((48, 64))
        depth[10, 10] = 0
        depth[20:27, 20:27] = 0
        depth[23, 23] = 1
        out = normals_from_pointmap(depth_to_pointmap(depth, CAMERA)[0])
        assert np.isnan(out[10, 10]).all() and np.isnan(out[23, 23]).all()
        np.testing.assert_allclose(out[10, 11], [0, 0, -1], atol=1e-9)

    def test_needs_an_image(self):
        with pytest.raises(ValueError, match='pointmap'):
            normals_from_pointmap(np.zeros((5, 3)))


class TestSplat:
    def test_identity_gives_the_depth_back(self):
        depth = np.random.default_rng(0).uniform(0.5, 4, (48, 64)).astype(np.float32)
        depth[5:9, 7:30] = 0
        points, _ = depth_to_pointmap(depth, CAMERA)
        out, index = splat_depth(points, CAMERA)
        np.testing.assert_array_equal(out, depth)
        np.testing.assert_array_equal(index, np.where(depth > 0, np.arange(48 * 64).reshape(48, 64), -1))

    def test_nearest_wins_and_first_of_equals(self):
        points = np.array([[0, 0, 3.0], [0, 0, 2], [0, 0, 2], [0, 0, 5], [0, 0, -1], [np.nan, 0, 1], [100, 0, 1]])
        out, index = splat_depth(points, CAMERA)
        assert out[24, 31] == 2 and index[24, 31] == 1
        assert np.count_nonzero(out) == 1

    def test_moved_camera(self):
        T_cam_points = make_se3(np.eye(3), [0, 0, 1.0])
        out, _ = splat_depth([[0.0, 0, 1]], CAMERA, T_cam_points)
        assert out[24, 31] == 2

    def test_on_the_outermost_edge(self):
        edge = CAMERA.unproject([[63.5, 47.5], [-0.5, -0.5]])
        out, _ = splat_depth(edge, CAMERA)
        assert out[47, 63] == 1 and out[0, 0] == 1

    def test_nothing(self):
        out, index = splat_depth(np.full((4, 3), np.nan), CAMERA)
        assert not out.any() and (index == -1).all()


class TestDownsample:
    def test_never_mixes(self):
        depth = np.random.default_rng(1).choice(np.float32([1, 4, 0]), (48, 64))
        for mode in ('nearest', 'median'):
            out = downsample_depth(depth, 4, mode)
            assert out.shape == (12, 16) and out.dtype == np.float32
            assert set(np.unique(out)) <= {0, 1, 4}

    def test_nearest_takes_the_centre_or_its_nearest_valid(self):
        block = np.arange(1.0, 10).reshape(3, 3)
        assert downsample_depth(block, 3)[0, 0] == 5
        block[1, 1] = np.nan
        assert downsample_depth(block, 3)[0, 0] == 2
        assert downsample_depth(np.zeros((3, 3)), 3)[0, 0] == 0

    def test_median_is_a_sample(self):
        block = np.array([[1.0, 2], [8, 9]])
        assert downsample_depth(block, 2, 'median')[0, 0] == 2
        block[0] = 0
        assert downsample_depth(block, 2, 'median')[0, 0] == 8
        assert downsample_depth(np.array([[5.0, np.nan], [1, 2]]), 2, 'median')[0, 0] == 2

    def test_pointmap_picks_the_same_samples(self):
        depth = np.random.default_rng(2).uniform(1, 4, (48, 64))
        depth[:8, :8] = 0
        points, _ = depth_to_pointmap(depth, CAMERA)
        for mode in ('nearest', 'median'):
            out = downsample_pointmap(points, 4, mode)
            np.testing.assert_array_equal(pointmap_to_depth(out), downsample_depth(depth, 4, mode))
            assert np.isnan(out[0, 0]).all()
            seen = np.isfinite(out[..., 2])
            # A sample lies in its own block of the image that the resized camera has.
            pixels = CAMERA.resize(16, 12).project(out[seen])[0]
            v, u = np.nonzero(seen)
            assert np.abs(pixels - np.stack([u, v], -1)).max() <= 0.5

    def test_resize_pointmap(self):
        points, _ = depth_to_pointmap(np.full((48, 64), 2.0), CAMERA)
        np.testing.assert_array_equal(resize_pointmap(points, 64, 48), points)
        small = resize_pointmap(points, 20, 15)
        pixels = CAMERA.resize(20, 15).project(small)[0]
        v, u = np.mgrid[0:15, 0:20]
        assert np.abs(pixels - np.stack([u, v], -1)).max() <= 0.5
        assert resize_pointmap(points, 128, 96).shape == (96, 128, 3)

    def test_errors(self):
        with pytest.raises(ValueError, match='factor 5 .* divide the size 64x48'):
            downsample_depth(np.ones((48, 64)), 5)
        with pytest.raises(ValueError, match='factor 0'):
            downsample_depth(np.ones((48, 64)), 0)
        with pytest.raises(ValueError, match="got 'mean'"):
            downsample_depth(np.ones((48, 64)), 4, 'mean')


class TestDiscontinuities:
    def test_both_sides_of_a_step(self):
        depth = np.full((6, 8), 1.0)
        depth[:, 4:] = 1.2
        edges = depth_discontinuities(depth)
        np.testing.assert_array_equal(np.flatnonzero(edges.all(0)), [3, 4])
        assert edges.sum() == 12
        np.testing.assert_array_equal(depth_discontinuities(depth.T), edges.T)

    def test_is_relative(self):
        depth = np.array([[1.0, 1.04, 10.0, 10.4]])
        np.testing.assert_array_equal(depth_discontinuities(depth), [[False, True, True, False]])
        assert not depth_discontinuities(depth, relative=9.9).any()

    def test_holes_are_no_steps(self):
        depth = np.array([[1.0, 0.0, 1.0], [1, np.nan, 1]])
        assert not depth_discontinuities(depth).any()

    def test_errors(self):
        with pytest.raises(ValueError, match='relative'):
            depth_discontinuities(np.ones((2, 2)), 0)
