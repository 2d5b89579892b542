# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.properties import given, settings, st

from lsm_ros.geometry import (
    DegenerateGeometryError,
    is_se3,
    make_sim3,
    sim3_exp,
    so3_exp,
    split_sim3,
    transform_points,
    umeyama,
    umeyama_ransac,
)

T_TRUE = make_sim3(1.7, so3_exp([0.4, -0.9, 2.0]), [3.0, -2, 5])


def cloud(n=40, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3)) * [2, 1, 0.5] + [1, 2, 3]


class TestUmeyama:
    @given(st.lists(st.floats(-2, 2), min_size=7, max_size=7), st.integers(3, 30), st.integers(0, 99))
    @settings(max_examples=100, deadline=None)
    def test_recovers_any_similarity(self, xi, n, seed):
        T = sim3_exp(np.array(xi))
        src = cloud(n, seed)
        np.testing.assert_allclose(umeyama(src, transform_points(T, src)), T, atol=1e-8)

    def test_without_scale_is_rigid(self):
        src = cloud()
        T = umeyama(src, transform_points(T_TRUE, src), with_scale=False)
        assert is_se3(T)
        np.testing.assert_allclose(T[:3, :3], split_sim3(T_TRUE)[1], atol=1e-12)

    def test_is_the_least_squares_optimum(self):
        rng = np.random.default_rng(1)
        src = cloud()
        dst = transform_points(T_TRUE, src) + 0.1 * rng.normal(size=src.shape)
        weights = rng.uniform(0.1, 3, len(src))
        T = umeyama(src, dst, weights)

        def cost(T):
            return np.sum(weights * np.sum((transform_points(T, src) - dst) ** 2, -1))

        for xi in 1e-3 * np.concatenate([np.eye(7), -np.eye(7)]):
            assert cost(sim3_exp(xi) @ T) > cost(T)

    def test_planar_points_and_mirrored_points_give_a_rotation(self):
        src = cloud() * [1, 1, 0]
        np.testing.assert_allclose(umeyama(src, transform_points(T_TRUE, src)), T_TRUE, atol=1e-9)
        T = umeyama(cloud(), cloud() * [1, 1, -1])
        assert np.linalg.det(split_sim3(T)[1]) == pytest.approx(1)

    def test_zero_weight_removes_an_outlier(self):
        src = cloud()
        dst = transform_points(T_TRUE, src)
        dst[3] += 100
        weights = np.ones(len(src))
        weights[3] = 0
        np.testing.assert_allclose(umeyama(src, dst, weights), T_TRUE, atol=1e-9)
        assert np.abs(umeyama(src, dst) - T_TRUE).max() > 0.1

    @pytest.mark.parametrize(('points', 'text'), [
        (np.zeros((0, 3)), '3 points with weight, got 0'), (cloud(2), 'got 2'), (np.ones((9, 3)), 'coincide'),
        (np.outer(np.arange(9.0), [1, 2, 3]), 'one line'),
    ])
    def test_degenerate(self, points, text):
        with pytest.raises(DegenerateGeometryError, match=text):
            umeyama(points, points)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r'\(4, 3\) and \(5, 3\)'):
            umeyama(np.zeros((4, 3)), np.zeros((5, 3)))
        with pytest.raises(ValueError, match='finite'):
            umeyama(np.full((4, 3), np.nan), np.zeros((4, 3)))
        for weights in (np.full(40, -1.0), np.full(40, np.nan), np.ones(3)):
            with pytest.raises(ValueError, match='weights must be 40'):
                umeyama(cloud(), cloud(), weights)


class TestUmeyamaRansac:
    def test_bears_sixty_percent_outliers(self):
        rng = np.random.default_rng(2)
        src = cloud(300)
        dst = transform_points(T_TRUE, src) + 0.005 * rng.normal(size=src.shape)
        wrong = rng.permutation(300)[:180]
        dst[wrong] += rng.uniform(-5, 5, (180, 3))
        result = umeyama_ransac(src, dst, threshold=0.03)
        good = np.ones(300, bool)
        good[wrong] = False
        assert np.count_nonzero(result.inliers & good) >= 118 and np.count_nonzero(result.inliers & ~good) <= 3
        np.testing.assert_allclose(result.T_dst_src, T_TRUE, atol=0.02)
        assert 0.005 < result.rms < 0.015

    def test_is_deterministic(self):
        rng = np.random.default_rng(3)
        src = cloud(60)
        dst = np.where(rng.random((60, 1)) < 0.5, transform_points(T_TRUE, src), rng.normal(size=(60, 3)))
        first, second = (umeyama_ransac(src, dst, 0.1, seed=5) for _ in range(2))
        np.testing.assert_array_equal(first.T_dst_src, second.T_dst_src)

    def test_rigid(self):
        src = cloud()
        T = make_sim3(1, so3_exp([1, 2, 0.5]), [1, 2, 3])
        result = umeyama_ransac(src, transform_points(T, src), 0.01, with_scale=False)
        np.testing.assert_allclose(result.T_dst_src, T, atol=1e-9)
        assert result.inliers.all()

    def test_nothing_to_find(self):
        rng = np.random.default_rng(4)
        assert umeyama_ransac(cloud(50), rng.uniform(-9, 9, (50, 3)), 1e-4, min_inliers=8) is None
        assert umeyama_ransac(cloud(3), cloud(3), 0.1) is None
        line = np.outer(np.arange(20.0), [1, 1, 1])
        assert umeyama_ransac(line, line, 0.1) is None

    def test_threshold_must_be_positive(self):
        with pytest.raises(ValueError, match='threshold'):
            umeyama_ransac(cloud(), cloud(), 0.0)
