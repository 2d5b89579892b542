# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.properties import given, settings, st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from lsm_ros.geometry import (
    hat,
    matrix_to_quat,
    normalize_rotation,
    quat_to_matrix,
    slerp,
    so3_exp,
    so3_left_jacobian,
    so3_left_jacobian_inverse,
    so3_log,
    vee,
)

AXES = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda a: np.linalg.norm(a) > 1e-3)
TINY = st.sampled_from([0.0, 1e-300, 1e-16, 1e-12, 1e-8, 1e-5, 1e-3, 0.1, 0.499999, 0.5, 0.500001])
NEAR_PI = st.sampled_from([1e-3, 1e-6, 1e-9, 1e-12]).map(lambda d: np.pi - d)
ANGLES = st.one_of(TINY, NEAR_PI, st.floats(0, np.pi - 1e-3))


@st.composite
def rotation_vectors(draw):
    axis = draw(AXES)
    return draw(ANGLES) * axis / np.linalg.norm(axis)


class TestHat:
    def test_is_cross_product(self):
        a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
        np.testing.assert_allclose((hat(a) @ b[..., None])[..., 0], np.cross(a, b), atol=1e-14)
        np.testing.assert_array_equal(vee(hat(a)), a)

    def test_wrong_shape_is_named(self):
        with pytest.raises(ValueError, match=r'vector must have shape \(\.\.\., 3\), got \(4,\)'):
            hat(np.zeros(4))
        with pytest.raises(ValueError, match=r'matrix .* got \(3,\)'):
            vee(np.zeros(3))


class TestExpLog:
    def test_known_quarter_turn(self):
        np.testing.assert_allclose(so3_exp([0, 0, np.pi / 2]), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)

    @given(rotation_vectors())
    @settings(max_examples=200, deadline=None)
    def test_exp_is_matrix_exponential(self, phi):
        np.testing.assert_allclose(so3_exp(phi), expm(hat(phi)), atol=1e-13)

    @given(rotation_vectors())
    @settings(max_examples=300, deadline=None)
    def test_log_inverts_exp(self, phi):
        np.testing.assert_allclose(so3_log(so3_exp(phi)), phi, rtol=1e-9, atol=1e-15)

    def test_small_angles_keep_relative_precision(self):
        for size in 10.0 ** -np.arange(1, 16):
            phi = size * np.array([0.3, -0.5, 0.8])
            np.testing.assert_allclose(so3_log(so3_exp(phi)), phi, rtol=1e-12)

    @pytest.mark.parametrize('axis', [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, -0.8, 0], [1, 1, 1]])
    def test_at_pi(self, axis):
        axis = np.array(axis) / np.linalg.norm(axis)
        R = 2 * np.outer(axis, axis) - np.eye(3)
        phi = so3_log(R)
        assert np.linalg.norm(phi) == pytest.approx(np.pi, abs=1e-12)
        np.testing.assert_allclose(so3_exp(phi), R, atol=1e-12)

    def test_batched_equals_single(self):
        phi = np.random.default_rng(1).normal(size=(2, 3, 3))
        single = np.array([[so3_exp(p) for p in row] for row in phi])
        np.testing.assert_allclose(so3_exp(phi), single, atol=1e-15)
        assert so3_log(single).shape == (2, 3, 3)


class TestLeftJacobian:
    @given(rotation_vectors())
    @settings(max_examples=100, deadline=None)
    def test_inverse(self, phi):
        np.testing.assert_allclose(so3_left_jacobian(phi) @ so3_left_jacobian_inverse(phi), np.eye(3), atol=1e-11)

    @given(rotation_vectors())
    @settings(max_examples=100, deadline=None)
    def test_numerical(self, phi):
        step = 1e-6
        numerical = np.stack([
            so3_log(so3_exp(phi + e) @ so3_exp(phi - e).T) / (2 * step) for e in step * np.eye(3)], -1)
        np.testing.assert_allclose(so3_left_jacobian(phi), numerical, atol=1e-8)

    def test_series_meets_closed_form(self):
        axis = np.array([2.0, -1, 2]) / 3
        for f in (so3_left_jacobian, so3_left_jacobian_inverse):
            below, above = f((0.5 - 1e-13) * axis), f(0.5 * axis)
            np.testing.assert_allclose(below, above, atol=1e-12)


class TestQuaternion:
    @given(rotation_vectors())
    @settings(max_examples=200, deadline=None)
    def test_agrees_with_scipy(self, phi):
        R = Rotation.from_rotvec(phi)
        q = R.as_quat()
        np.testing.assert_allclose(quat_to_matrix(q), R.as_matrix(), atol=1e-14)
        mine = matrix_to_quat(R.as_matrix())
        assert mine[3] >= 0
        assert abs(mine @ q) == pytest.approx(1, abs=1e-14)
        np.testing.assert_allclose(quat_to_matrix(mine), R.as_matrix(), atol=1e-12)

    def test_order_is_xyzw(self):
        np.testing.assert_allclose(matrix_to_quat(so3_exp([0, 0, 0.2])), [0, 0, np.sin(0.1), np.cos(0.1)], atol=1e-15)

    def test_scale_does_not_matter_but_zero_does(self):
        np.testing.assert_allclose(quat_to_matrix([0, 0, 0, 7.0]), np.eye(3))
        for bad in ([0, 0, 0, 0], [np.nan, 0, 0, 1]):
            with pytest.raises(ValueError, match='quaternion must be finite and not zero'):
                quat_to_matrix(bad)


class TestNormalizeRotation:
    def test_projects_back(self):
        rng = np.random.default_rng(2)
        R = so3_exp(rng.normal(size=(10, 3)))
        out = normalize_rotation(R + 1e-4 * rng.normal(size=R.shape))
        np.testing.assert_allclose(out @ np.swapaxes(out, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=1e-14)
        np.testing.assert_allclose(out, R, atol=1e-3)

    def test_reflection_becomes_rotation(self):
        assert np.linalg.det(normalize_rotation(np.diag([1.0, 1.0, -1.0]))) == pytest.approx(1)


class TestSlerp:
    def test_constant_speed_and_shorter_arc(self):
        q0, q1 = matrix_to_quat(so3_exp([0.1, 0, 0])), matrix_to_quat(so3_exp([1.3, 0, 0]))
        for end in (q1, -q1):
            alpha = np.linspace(0, 1, 5)
            phi = so3_log(quat_to_matrix(slerp(q0, end, alpha)))
            np.testing.assert_allclose(phi[:, 0], 0.1 + 1.2 * alpha, atol=1e-13)

    def test_equal_ends(self):
        q = matrix_to_quat(so3_exp([0.1, 0.2, 0.3]))
        np.testing.assert_allclose(slerp(q, q, 0.3), q, atol=1e-15)
