# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, relative_pose, se3_exp, so3_exp, transform_points, triangulate_inverse_depth

TOLERANCE = 1.0 / 500.0  # a pixel of a camera with a focal length of 500


def seen(T_a_b, points_b, noise_px=0.0, seed=0):
    """Rays (N, 3) in both cameras of points in b."""
    rng = np.random.default_rng(seed)
    points_a = transform_points(T_a_b, points_b)
    rays = []
    for p in (points_b, points_a):
        ray = p / p[:, 2:]
        ray[:, :2] += rng.standard_normal((len(p), 2)) * noise_px / 500.0
        rays.append(ray)
    return rays


def cloud(count=200, seed=0):
    rng = np.random.default_rng(seed)
    return np.c_[rng.uniform(-1.5, 1.5, (count, 2)), rng.uniform(2.0, 6.0, count)]


def direction_error(T, T_true):
    """Angles in degrees between two rotations and between two translations."""
    R = T[:3, :3].T @ T_true[:3, :3]
    t, t_true = T[:3, 3] / np.linalg.norm(T[:3, 3]), T_true[:3, 3] / np.linalg.norm(T_true[:3, 3])
    turn = np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1)))
    return turn, np.degrees(np.arccos(np.clip(t @ t_true, -1, 1)))


class TestTriangulate:
    def test_a_sideways_step_moves_a_point_by_the_inverse_depth(self):
        w, slope, epipolar = triangulate_inverse_depth(np.array([[0.1, 0.2, 1.0]]), np.array([[0.1 + 1 / 4, 0.2]]),
                                                       make_se3(np.eye(3), [1.0, 0.0, 0.0]))
        assert w == pytest.approx([0.25]) and slope == pytest.approx([1.0]) and epipolar == pytest.approx([0.0])

    def test_a_step_forward_moves_points_away_from_the_epipole(self):
        # at depth 2 and 0.5 beside the axis; after 1 forward it is at depth 1
        w, _, epipolar = triangulate_inverse_depth(np.array([[0.25, 0.0, 1.0]]), np.array([[0.5, 0.0]]),
                                                   make_se3(np.eye(3), [0.0, 0.0, -1.0]))
        assert w == pytest.approx([0.5]) and epipolar == pytest.approx([0.0])

    def test_exact_for_any_motion_and_shape(self):
        T = se3_exp([0.3, -0.2, 0.15, 0.1, -0.2, 0.05])
        points = cloud(60)
        rays_b, rays_a = seen(T, points)
        w, _, epipolar = triangulate_inverse_depth(rays_b.reshape(6, 10, 3), rays_a[:, :2].reshape(6, 10, 2), T)
        assert w.shape == (6, 10)
        assert np.abs(w.ravel() * points[:, 2] - 1).max() < 1e-9 and np.abs(epipolar).max() < 1e-9

    def test_slope_is_how_far_the_image_point_moves(self):
        T = se3_exp([0.3, -0.2, 0.15, 0.1, -0.2, 0.05])
        ray, w, eps = np.array([0.2, -0.1, 1.0]), 0.4, 1e-6

        def image(w):
            p = T[:3, :3] @ ray + w * T[:3, 3]
            return p[:2] / p[2]

        slope = triangulate_inverse_depth(ray[None], image(w)[None], T)[1]
        assert slope[0] == pytest.approx(np.linalg.norm(image(w + eps) - image(w - eps)) / (2 * eps), rel=1e-5)

    def test_behind_the_camera_is_negative_and_beside_the_line_is_reported(self):
        T = make_se3(np.eye(3), [1.0, 0.0, 0.0])
        w, _, epipolar = triangulate_inverse_depth(np.array([[0.0, 0.0, 1.0]] * 2), np.array([[-0.2, 0.0], [0.2, 0.03]]), T)
        assert w[0] < 0 < w[1] and epipolar == pytest.approx([0.0, 0.03])

    def test_without_translation_nothing_is_known(self):
        w, slope, _ = triangulate_inverse_depth(np.array([[0.1, 0.0, 1.0]]), np.array([[0.1, 0.0]]), np.eye(4))
        assert np.isfinite(w).all() and slope[0] < 1e-6


class TestRelativePose:
    @pytest.mark.parametrize("step", [(0.5, 0.1, 0.0), (0.0, 0.4, 0.1), (0.05, 0.0, -0.6), (-0.3, 0.0, 0.3)])
    def test_finds_the_motion_among_wrong_matches(self, step):
        T = make_se3(so3_exp([0.05, -0.1, 0.03]), step)
        rays_b, rays_a = seen(T, cloud(), noise_px=0.3)
        wrong = np.arange(0, 200, 4)
        rays_a[wrong, :2] += np.random.default_rng(1).uniform(0.05, 0.4, (50, 2))
        found = relative_pose(rays_b, rays_a, TOLERANCE)
        turn, bend = direction_error(found.T_a_b, T)
        assert turn < 1.0 and bend < 8.0
        assert not found.planar and not found.ambiguous
        assert np.count_nonzero(found.inliers[wrong]) < 8 and np.count_nonzero(found.inliers) > 110
        assert np.linalg.norm(found.T_a_b[:3, 3]) == pytest.approx(1.0)

    def test_parallax_is_the_angle_that_translation_moves_points_by(self):
        points = np.c_[np.random.default_rng(0).uniform(-1, 1, (100, 2)), np.full(100, 4.0) + np.arange(100) % 3 * 0.2]
        found = relative_pose(*seen(make_se3(np.eye(3), [0.4, 0.0, 0.0]), points), TOLERANCE)
        assert found.parallax == pytest.approx(0.4 / 4.2, rel=0.05)

    def test_a_plane_is_reported_and_its_motion_is_found_or_called_ambiguous(self):
        T = make_se3(so3_exp([0.02, -0.05, 0.0]), [0.6, 0.05, 0.05])
        points = cloud()
        points[:, 2] = 3.0 + 0.4 * points[:, 0] + 0.2 * points[:, 1]
        found = relative_pose(*seen(T, points, noise_px=0.2), TOLERANCE)
        assert found.planar
        turn, bend = direction_error(found.T_a_b, T)
        assert found.ambiguous or (turn < 1.0 and bend < 8.0)

    def test_pure_rotation_has_no_parallax(self):
        found = relative_pose(*seen(make_se3(so3_exp([0.05, 0.2, 0.0]), np.zeros(3)), cloud(), noise_px=0.3), TOLERANCE)
        assert found is None or (np.degrees(found.parallax) < 0.5 and found.turned > 0.9)

    def test_a_rotation_is_distinguished_from_a_motion(self):
        T = make_se3(so3_exp([0.05, 0.2, 0.0]), [0.2, 0.0, 0.05])
        found = relative_pose(*seen(T, cloud(), noise_px=0.3), TOLERANCE)
        assert found.turned < 0.3
        rays_b, rays_a = seen(make_se3(T[:3, :3], np.zeros(3)), cloud(), noise_px=0.3)
        rays_a[::5, :2] += np.random.default_rng(0).uniform(0.02, 0.1, (40, 2))  # what is wrong does not hide it
        found = relative_pose(rays_b, rays_a, TOLERANCE)
        assert found is None or found.turned == pytest.approx(0.8, abs=0.05)

    @pytest.mark.parametrize("count", [0, 5, 7])
    def test_too_few_matches_give_nothing(self, count):
        assert relative_pose(*seen(make_se3(np.eye(3), [0.5, 0, 0]), cloud(count)), TOLERANCE) is None

    def test_noise_without_structure_is_not_explained(self):
        rng = np.random.default_rng(0)
        rays = [np.c_[rng.uniform(-0.5, 0.5, (200, 2)), np.ones(200)] for _ in range(2)]
        found = relative_pose(*rays, TOLERANCE)
        assert found is None or np.count_nonzero(found.inliers) < 60
