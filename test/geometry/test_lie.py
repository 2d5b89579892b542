# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.properties import given, settings, st
from scipy.linalg import expm

from lsm_ros.geometry import (
    hat,
    interpolate_se3,
    is_se3,
    make_se3,
    make_sim3,
    rotation_angle,
    se3_adjoint,
    se3_exp,
    se3_inverse,
    se3_log,
    sim3_adjoint,
    sim3_exp,
    sim3_inverse,
    sim3_log,
    so3_exp,
    so3_log,
    split_sim3,
    transform_points,
)

COORDINATE = st.floats(-10, 10)
ANGLE = st.one_of(st.sampled_from([0.0, 1e-14, 1e-9, 1e-5, 1e-2, 1.0, np.pi - 1e-6]), st.floats(0, 3.1))
SIGMA = st.one_of(st.sampled_from([0.0, 1e-15, -1e-9, 1e-5, -1e-2]), st.floats(-3, 3))
AXIS = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda a: np.linalg.norm(a) > 1e-3)


@st.composite
def twists(draw):
    axis = draw(AXIS)
    rho = draw(st.tuples(*[COORDINATE] * 3))
    return np.concatenate([rho, draw(ANGLE) * axis / np.linalg.norm(axis)])


@st.composite
def sim3_tangents(draw):
    return np.append(draw(twists()), draw(SIGMA))


def generator(xi):
    out = np.zeros((4, 4))
    out[:3, :3] = hat(xi[3:6]) + (xi[6] if len(xi) == 7 else 0.0) * np.eye(3)
    out[:3, 3] = xi[:3]
    return out


class TestSE3:
    @given(twists())
    @settings(max_examples=200, deadline=None)
    def test_exp_is_matrix_exponential(self, xi):
        np.testing.assert_allclose(se3_exp(xi), expm(generator(xi)), atol=1e-11)

    @given(twists())
    @settings(max_examples=200, deadline=None)
    def test_log_inverts_exp(self, xi):
        np.testing.assert_allclose(se3_log(se3_exp(xi)), xi, atol=1e-9)

    @given(twists(), twists())
    @settings(max_examples=100, deadline=None)
    def test_adjoint(self, a, x):
        T = se3_exp(a)
        x = 0.1 * x
        np.testing.assert_allclose(T @ se3_exp(x) @ se3_inverse(T), se3_exp(se3_adjoint(T) @ x), atol=1e-10)

    @given(twists())
    @settings(max_examples=50, deadline=None)
    def test_inverse(self, xi):
        T = se3_exp(xi)
        np.testing.assert_allclose(se3_inverse(T) @ T, np.eye(4), atol=1e-12)
        np.testing.assert_allclose(se3_inverse(T), np.linalg.inv(T), atol=1e-12)

    def test_translation_comes_first(self):
        np.testing.assert_array_equal(se3_exp([1, 2, 3, 0, 0, 0]), make_se3(np.eye(3), [1, 2, 3]))

    def test_batch(self):
        xi = np.random.default_rng(0).normal(size=(4, 2, 6))
        np.testing.assert_allclose(se3_log(se3_exp(xi)), xi, atol=1e-12)
        assert se3_adjoint(se3_exp(xi)).shape == (4, 2, 6, 6)

    def test_wrong_shape(self):
        with pytest.raises(ValueError, match=r'xi must have shape \(\.\.\., 6\), got \(7,\)'):
            se3_exp(np.zeros(7))


class TestSim3:
    @given(sim3_tangents())
    @settings(max_examples=300, deadline=None)
    def test_exp_is_matrix_exponential(self, xi):
        expected = expm(generator(xi))
        np.testing.assert_allclose(sim3_exp(xi), expected, atol=1e-12 * max(1, np.abs(expected).max()))

    @pytest.mark.parametrize('sigma', [0.0, 1e-12, 1e-4, 0.7, -8.0])
    @pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-4, 0.9999999, 1.0000001, 3.1])
    def test_small_and_large_in_every_combination(self, sigma, angle):
        xi = np.array([1.0, -2, 3, *(angle * np.array([0.6, 0, -0.8])), sigma])
        np.testing.assert_allclose(sim3_exp(xi), expm(generator(xi)), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(sim3_log(sim3_exp(xi)), xi, rtol=1e-9, atol=1e-12)

    @given(sim3_tangents())
    @settings(max_examples=300, deadline=None)
    def test_log_inverts_exp(self, xi):
        np.testing.assert_allclose(sim3_log(sim3_exp(xi)), xi, atol=1e-9)

    @given(sim3_tangents(), sim3_tangents())
    @settings(max_examples=100, deadline=None)
    def test_adjoint(self, a, x):
        T, x = sim3_exp(a), 0.1 * x
        left, right = T @ sim3_exp(x) @ sim3_inverse(T), sim3_exp(sim3_adjoint(T) @ x)
        np.testing.assert_allclose(left, right, atol=1e-11 * max(1, np.abs(left).max()) * max(1, np.abs(T).max()))

    @given(sim3_tangents())
    @settings(max_examples=50, deadline=None)
    def test_adjoint_is_the_derivative(self, a):
        T, step = sim3_exp(0.3 * a), 1e-6
        numerical = np.stack([
            (sim3_log(T @ sim3_exp(e) @ sim3_inverse(T)) - sim3_log(T @ sim3_exp(-e) @ sim3_inverse(T))) / (2 * step)
            for e in step * np.eye(7)], -1)
        np.testing.assert_allclose(sim3_adjoint(T), numerical, atol=1e-6)

    @given(sim3_tangents())
    @settings(max_examples=50, deadline=None)
    def test_inverse(self, xi):
        T = sim3_exp(xi)
        np.testing.assert_allclose(sim3_inverse(T) @ T, np.eye(4), atol=1e-11)

    def test_scale_one_is_se3(self):
        xi = np.random.default_rng(0).normal(size=(6, 6))
        np.testing.assert_allclose(sim3_exp(np.c_[xi, np.zeros(6)]), se3_exp(xi), atol=1e-13)

    def test_split_and_make(self):
        R, t = so3_exp([0.3, 0.2, 0.1]), np.array([1.0, 2, 3])
        T = make_sim3(2.5, R, t)
        s, R2, t2 = split_sim3(T)
        assert s == pytest.approx(2.5)
        np.testing.assert_allclose(R2, R, atol=1e-15)
        np.testing.assert_array_equal(t2, t)
        t2[:] = 0
        np.testing.assert_array_equal(T[:3, 3], t)

    @pytest.mark.parametrize('scale', [0.0, -1.0, np.nan, np.inf])
    def test_bad_scale(self, scale):
        with pytest.raises(ValueError, match='scale must be positive and finite'):
            make_sim3(scale, np.eye(3), np.zeros(3))

    def test_mirror_is_not_a_similarity(self):
        with pytest.raises(ValueError, match='determinant'):
            split_sim3(np.diag([1.0, 1, -1, 1]))


class TestTransformPoints:
    def test_known(self):
        T = make_sim3(2, so3_exp([0, 0, np.pi / 2]), [1, 0, 0])
        np.testing.assert_allclose(transform_points(T, [[1, 0, 5], [0, 1, 0]]), [[1, 2, 10], [-1, 0, 0]], atol=1e-15)
        np.testing.assert_allclose(transform_points(T, [1, 0, 5]), [1, 2, 10], atol=1e-15)

    def test_batch_of_transforms(self):
        rng = np.random.default_rng(3)
        T, points = se3_exp(rng.normal(size=(4, 6))), rng.normal(size=(4, 7, 3))
        expected = np.stack([transform_points(a, p) for a, p in zip(T, points, strict=True)])
        np.testing.assert_allclose(transform_points(T, points), expected, atol=1e-14)

    def test_keeps_shape_dtype_and_nan(self):
        points = np.zeros((3, 4, 3), dtype=np.float32)
        points[1, 1] = np.nan
        out = transform_points(make_se3(np.eye(3), [1, 2, 3]), points)
        assert out.dtype == np.float32 and out.shape == (3, 4, 3)
        assert np.isnan(out[1, 1]).all() and np.isnan(out).sum() == 3

    def test_bad_shapes(self):
        with pytest.raises(ValueError, match=r'points must have shape \(\.\.\., 3\)'):
            transform_points(np.eye(4), np.zeros((5, 2)))
        with pytest.raises(ValueError, match=r'points must have shape \(\.\.\., N, 3\)'):
            transform_points(np.zeros((2, 4, 4)), np.zeros(3))


class TestInterpolate:
    def test_ends_and_middle(self):
        T0, T1 = make_se3(so3_exp([0, 0, 0.2]), [0, 0, 0]), make_se3(so3_exp([0, 0, 1.0]), [2, 4, 6])
        np.testing.assert_allclose(interpolate_se3(T0, T1, 0.0), T0, atol=1e-15)
        np.testing.assert_allclose(interpolate_se3(T0, T1, 1.0), T1, atol=1e-15)
        middle = interpolate_se3(T0, T1, 0.25)
        np.testing.assert_allclose(middle[:3, 3], [0.5, 1, 1.5])
        np.testing.assert_allclose(so3_log(middle[:3, :3]), [0, 0, 0.4], atol=1e-14)

    def test_many_alphas(self):
        out = interpolate_se3(np.eye(4), se3_exp([1, 0, 0, 0, 1, 0]), np.linspace(0, 1, 9))
        assert out.shape == (9, 4, 4) and is_se3(out).all()


class TestIsSe3:
    def test_accepts_and_refuses(self):
        T = se3_exp([1, 2, 3, 0.1, 0.2, 0.3])
        assert is_se3(T) is True
        scaled, mirrored, last, nan = T.copy(), T.copy(), T.copy(), T.copy()
        scaled[:3, :3] *= 1.01
        mirrored[:3, 0] *= -1
        last[3, 0] = 0.1
        nan[0, 3] = np.nan
        for bad in (scaled, mirrored, last, nan, T[:3], np.eye(3)):
            assert is_se3(bad) is False
        np.testing.assert_array_equal(is_se3(np.stack([T, scaled, nan])), [True, False, False])

    def test_tolerance(self):
        T = np.eye(4)
        T[0, 0] = 1 + 1e-4
        assert not is_se3(T) and is_se3(T, tol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 0.1, 0.499, 0.501, 2.0, 3.1415926, 7.0])
def test_one_twist_and_one_angle_are_as_those_of_many(angle):
    rng = np.random.default_rng(4)
    for axis in rng.normal(size=(20, 3)):
        xi = np.concatenate([rng.normal(size=3), angle * axis / np.linalg.norm(axis)])
        T = se3_exp(xi)
        np.testing.assert_allclose(T, se3_exp(xi[None])[0], atol=1e-14)
        assert rotation_angle(T[:3, :3]) == pytest.approx(np.linalg.norm(so3_log(T[:3, :3])), abs=1e-12)
    assert np.isnan(se3_exp(np.full(6, np.inf))).any()
