# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Quaternions and matrices: known values, agreement with SciPy, round trips, and what is refused."""

import importlib
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("transforms3d")
if importlib.util.find_spec("tf_transformations") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "underlay" / "tf_transformations"))
tft = importlib.import_module("tf_transformations")
if "Stand-in" not in (tft.__doc__ or ""):
    pytest.skip("the original tf_transformations is installed, underlay/ is not in use", allow_module_level=True)

AXES = sorted(tft._AXES2TUPLE)


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.default_rng(request.param)


def scipy_sequence(axes):
    return axes[1:] if axes[0] == "s" else axes[1:].upper()


class TestQuaternions:
    def test_order_is_x_y_z_w(self):
        half = math.sqrt(0.5)
        np.testing.assert_allclose(tft.quaternion_from_euler(0, 0, math.pi / 2), [0, 0, half, half], atol=1e-15)
        np.testing.assert_allclose(tft.quaternion_about_axis(math.pi, (0, 5, 0)), [0, 1, 0, 0], atol=1e-15)
        np.testing.assert_allclose(tft.euler_from_quaternion([half, 0, 0, half]), [math.pi / 2, 0, 0], atol=1e-12)

    @pytest.mark.parametrize("axes", AXES)
    def test_euler_agrees_with_scipy(self, rng, axes):
        angles = rng.uniform(-3, 3, 3)
        expected = Rotation.from_euler(scipy_sequence(axes), angles)
        np.testing.assert_allclose(tft.euler_matrix(*angles, axes)[:3, :3], expected.as_matrix(), atol=1e-12)
        np.testing.assert_allclose(tft.euler_matrix(*angles, tft._AXES2TUPLE[axes]), tft.euler_matrix(*angles, axes))
        quaternion = np.array(tft.quaternion_from_euler(*angles, axes))
        assert abs(quaternion @ expected.as_quat()) == pytest.approx(1.0)
        for back in (tft.euler_from_quaternion(quaternion, axes),
                     tft.euler_from_matrix(expected.as_matrix(), axes)):
            np.testing.assert_allclose(tft.euler_matrix(*back, axes)[:3, :3], expected.as_matrix(), atol=1e-9)

    def test_product_inverse_and_matrix(self, rng):
        first, second = Rotation.random(2, random_state=rng.integers(1000))
        product = tft.quaternion_multiply(first.as_quat(), second.as_quat())
        np.testing.assert_allclose(tft.quaternion_matrix(product)[:3, :3], (first * second).as_matrix(), atol=1e-12)
        long = 3.0 * first.as_quat()
        identity = tft.quaternion_multiply(long, tft.quaternion_inverse(long))
        np.testing.assert_allclose(identity, [0, 0, 0, 1], atol=1e-12)
        np.testing.assert_array_equal(tft.quaternion_conjugate([1, 2, 3, 4]), [-1, -2, -3, 4])
        np.testing.assert_allclose(tft.quaternion_matrix(long)[:3, :3], first.as_matrix(), atol=1e-12)

    def test_from_matrix_ignores_translation_and_scale(self, rng):
        rotation = Rotation.random(random_state=rng.integers(1000))
        matrix = tft.compose_matrix([2, 3, 0.5], None, rotation.as_euler("xyz"), [1, 2, 3])
        for given in (matrix, rotation.as_matrix()):
            quaternion = np.array(tft.quaternion_from_matrix(given))
            assert abs(quaternion @ rotation.as_quat()) == pytest.approx(1.0)
            assert quaternion[3] >= 0

    def test_slerp_halves_the_angle(self):
        start, end = tft.quaternion_about_axis(0.2, (0, 0, 1)), tft.quaternion_about_axis(1.4, (0, 0, 1))
        for fraction, angle in ((0.0, 0.2), (0.25, 0.5), (0.5, 0.8), (1.0, 1.4), (1.5, 2.0)):
            expected = tft.quaternion_about_axis(angle, (0, 0, 1))
            np.testing.assert_allclose(tft.quaternion_slerp(start, end, fraction), expected, atol=1e-12)

    def test_slerp_takes_the_short_way_unless_told(self):
        start, end = np.array([0, 0, 0, 1.0]), -np.array(tft.quaternion_about_axis(1.0, (1, 0, 0)))
        middle = tft.quaternion_about_axis(0.5, (1, 0, 0))
        np.testing.assert_allclose(tft.quaternion_slerp(start, end, 0.5), middle, atol=1e-12)
        away = tft.quaternion_slerp(start, end, 0.5, shortestpath=False)
        assert abs(away @ middle) == pytest.approx(0.0, abs=1e-12)
        np.testing.assert_array_equal(tft.quaternion_slerp(start, start, 0.3), start)
        np.testing.assert_array_equal(start, [0, 0, 0, 1])
        np.testing.assert_allclose(tft.quaternion_slerp(start, end, 1.0, spin=1), end)
        assert not np.allclose(tft.quaternion_slerp(start, end, 0.5, spin=2), middle)

    def test_random_rotations_are_uniform(self):
        np.random.seed(0)
        matrices = np.array([tft.random_rotation_matrix()[:3, :3] for _ in range(2000)])
        np.testing.assert_allclose(matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (2000, 1, 1)), atol=1e-9)
        assert np.abs(matrices.mean(axis=0)).max() < 0.05
        assert np.abs((matrices**2).mean(axis=0) - 1 / 3).max() < 0.03
        np.testing.assert_allclose(tft.random_quaternion([0.0, 0.25, 0.0]), [1, 0, 0, 0], atol=1e-15)

    def test_zero_axis_is_refused(self):
        for call in (tft.quaternion_about_axis, tft.rotation_matrix):
            with pytest.raises(ValueError, match=r"\(0, 0, 0\)"):
                call(1.0, (0, 0, 0))


class TestMatrices:
    def test_known_values(self):
        np.testing.assert_array_equal(tft.identity_matrix(), np.eye(4))
        np.testing.assert_array_equal(tft.translation_matrix((1, 2, 3)) @ [0, 0, 0, 1], [1, 2, 3, 1])
        np.testing.assert_array_equal(tft.translation_from_matrix(tft.translation_matrix((1, 2, 3))), [1, 2, 3])
        turn = tft.rotation_matrix(math.pi / 2, (0, 0, 2), (1, 0, 0))
        np.testing.assert_allclose(turn @ [2, 0, 5, 1], [1, 1, 5, 1], atol=1e-12)
        mirror = tft.reflection_matrix((0, 0, 1), (0, 0, 3))
        np.testing.assert_allclose(mirror @ [4, 5, 3, 1], [4, 5, -1, 1], atol=1e-12)
        np.testing.assert_allclose(tft.scale_matrix(2, (1, 1, 1)) @ [2, 3, 4, 1], [3, 5, 7, 1])
        np.testing.assert_allclose(tft.scale_matrix(2, (1, 1, 1), (1, 0, 0)) @ [2, 3, 4, 1], [3, 3, 4, 1])
        shear = tft.shear_matrix(math.pi / 4, (1, 0, 0), (0, 0, 0), (0, 0, 1))
        np.testing.assert_allclose(shear @ [0, 0, 2, 1], [2, 0, 2, 1], atol=1e-12)

    def test_round_trips(self, rng):
        point, normal, direction = rng.normal(size=(3, 3))
        angle, factor = rng.uniform(0.1, 1.5), rng.uniform(1.5, 3.0)
        pairs = [
            (tft.rotation_matrix(angle, direction, point), tft.rotation_from_matrix, tft.rotation_matrix),
            (tft.reflection_matrix(point, normal), tft.reflection_from_matrix, tft.reflection_matrix),
            (tft.scale_matrix(factor, point), tft.scale_from_matrix, tft.scale_matrix),
            (tft.scale_matrix(factor, point, direction), tft.scale_from_matrix, tft.scale_matrix),
            (tft.shear_matrix(angle, np.cross(normal, direction), point, normal), tft.shear_from_matrix,
             tft.shear_matrix)]
        for matrix, take_apart, make in pairs:
            np.testing.assert_allclose(make(*take_apart(matrix)), matrix, atol=1e-7)

    def test_products_and_inverse(self, rng):
        first, second = rng.normal(size=(2, 4, 4))
        there_and_back = tft.concatenate_matrices(first, second, tft.inverse_matrix(second))
        np.testing.assert_allclose(there_and_back, first, atol=1e-9)
        np.testing.assert_array_equal(tft.concatenate_matrices(), np.eye(4))
        assert tft.is_same_transform(first, -3 * first) is True
        assert tft.is_same_transform(first, second) is False

    def test_crystal_cell(self):
        lengths, angles = np.array([9.8, 12.0, 15.5]), np.array([87.2, 80.7, 69.7])
        edges = tft.orthogonalization_matrix(lengths, angles)[:3, :3]
        np.testing.assert_allclose(np.linalg.norm(edges, axis=0), lengths)
        for k, (i, j) in enumerate([(1, 2), (0, 2), (0, 1)]):
            cosine = edges[:, i] @ edges[:, j] / (lengths[i] * lengths[j])
            assert math.degrees(math.acos(cosine)) == pytest.approx(angles[k])


class TestComposition:
    def test_round_trip(self, rng):
        parts = [rng.uniform(0.5, 2, 3), rng.normal(size=3), rng.uniform(-1.4, 1.4, 3), rng.normal(size=3)]
        matrix = tft.compose_matrix(*parts)
        *back, perspective = tft.decompose_matrix(5.0 * matrix)
        assert perspective is None
        for part, expected in zip(back, parts, strict=True):
            np.testing.assert_allclose(part, expected, atol=1e-9)

    def test_perspective_comes_back(self, rng):
        parts = [rng.uniform(0.5, 2, 3), None, rng.uniform(-1.4, 1.4, 3), rng.normal(size=3), [0.1, -0.2, 0.3, 1.5]]
        matrix = tft.compose_matrix(*parts)
        np.testing.assert_allclose(tft.decompose_matrix(matrix)[4], parts[4])
        np.testing.assert_allclose(tft.compose_matrix(*tft.decompose_matrix(matrix)), matrix)

    def test_order_of_the_parts(self):
        matrix = tft.compose_matrix([2, 1, 1], None, [0, 0, math.pi / 2], [0, 0, 7])
        np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [0, 2, 7, 1], atol=1e-12)
        np.testing.assert_array_equal(tft.compose_matrix(), np.eye(4))

    @pytest.mark.parametrize("matrix", [np.eye(3), np.zeros((4, 4)), np.diag([1.0, 1.0, 0.0, 1.0])])
    def test_degenerate(self, matrix):
        with pytest.raises(ValueError, match="shape|zero|singular"):
            tft.decompose_matrix(matrix)


class TestProjection:
    def test_known_values(self):
        np.testing.assert_allclose(tft.projection_matrix((0, 0, 2), (0, 0, 4)) @ [5, 6, 9, 1], [5, 6, 2, 1])
        slanted = tft.projection_matrix((0, 0, 0), (0, 0, 1), direction=(1, 0, 1))
        np.testing.assert_allclose(slanted @ [5, 6, 2, 1], [3, 6, 0, 1])
        image = tft.projection_matrix((0, 0, 1), (0, 0, 1), perspective=(0, 0, 0)) @ [4, 6, 2, 1]
        np.testing.assert_allclose(image / image[3], [2, 3, 1, 1])

    def test_round_trips(self, rng):
        point, normal, other = rng.normal(size=(3, 3))
        for keywords in ({}, {"direction": other}, {"perspective": other}, {"perspective": other, "pseudo": True}):
            matrix = tft.projection_matrix(point, normal, **keywords)
            back = tft.projection_from_matrix(2.0 * matrix, pseudo=keywords.get("pseudo", False))
            np.testing.assert_allclose(tft.projection_matrix(*back), matrix, atol=1e-9)
            assert (np.asarray(back[0])[:3] - point) @ tft.unit_vector(normal) == pytest.approx(0.0, abs=1e-9)
            assert [part is None for part in back[2:4]] == ["direction" not in keywords, "perspective" not in keywords]

    def test_pseudo_projection_keeps_depth(self, rng):
        point, normal, centre = rng.normal(size=(3, 3))
        pseudo = tft.projection_matrix(point, normal, perspective=centre, pseudo=True)
        plain = tft.projection_matrix(point, normal, perspective=centre)
        assert tft.is_same_transform(tft.projection_matrix(point, normal) @ pseudo, plain)
        assert np.linalg.matrix_rank(pseudo) == 4

    @pytest.mark.parametrize("matrix", [2 * tft.rotation_matrix(1.0, (1, 2, 3)), np.arange(16.0).reshape(4, 4)])
    def test_no_projection(self, matrix):
        with pytest.raises(ValueError, match="not a projection"):
            tft.projection_from_matrix(matrix)

    @pytest.mark.parametrize("perspective", [False, True])
    def test_clip_corners(self, perspective):
        left, right, bottom, top, near, far = -1.0, 3.0, 0.5, 2.0, 0.25, 4.0
        matrix = tft.clip_matrix(left, right, bottom, top, near, far, perspective)
        for x, y, z, expected in ((left, top, near, (-1, 1, -1)), (right, bottom, far, (1, -1, 1))):
            grow = z / near if perspective else 1.0
            corner = matrix @ [x * grow, y * grow, z, 1]
            np.testing.assert_allclose(corner[:3] / corner[3], expected, atol=1e-12)

    @pytest.mark.parametrize("arguments", [(1, 0, 0, 1, 1, 2), (0, 1, 1, 1, 1, 2), (0, 1, 0, 1, 0, 2, True)])
    def test_bad_frustum(self, arguments):
        with pytest.raises(ValueError, match="frustum"):
            tft.clip_matrix(*arguments)


class TestSuperimposition:
    @pytest.mark.parametrize("usesvd", [True, False])
    @pytest.mark.parametrize("rows", [3, 4])
    def test_known_transform_is_found(self, rng, usesvd, rows):
        truth = tft.compose_matrix([1.7] * 3, None, rng.uniform(-3, 3, 3), rng.normal(size=3))
        source = np.vstack([rng.normal(size=(3, 12)), np.ones(12)])
        found = tft.superimposition_matrix(source[:rows], (truth @ source)[:rows], scaling=True, usesvd=usesvd)
        np.testing.assert_allclose(found, truth, atol=1e-9)

    def test_both_ways_agree_and_never_mirror(self, rng):
        source = rng.normal(size=(3, 6))
        target = source * [[1], [1], [-1]] + 0.1 * rng.normal(size=(3, 6))
        by_svd, by_horn = (tft.superimposition_matrix(source, target, usesvd=flag) for flag in (True, False))
        np.testing.assert_allclose(by_svd, by_horn, atol=1e-9)
        assert np.linalg.det(by_svd[:3, :3]) == pytest.approx(1.0)

    @pytest.mark.parametrize("shape", [(3, 2), (2, 5), (3,)])
    def test_refused(self, shape):
        with pytest.raises(ValueError, match="at least 3 points"):
            tft.superimposition_matrix(np.ones(shape), np.ones(shape))


class TestVectors:
    def test_norm_and_unit(self, rng):
        data = rng.normal(size=(3, 4, 5))
        for axis in (0, 1, -1):
            np.testing.assert_allclose(tft.vector_norm(data, axis), np.linalg.norm(data, axis=axis))
            np.testing.assert_allclose(np.linalg.norm(tft.unit_vector(data, axis), axis=axis), 1.0)
        assert tft.vector_norm([3, 4]) == 5.0
        np.testing.assert_allclose(tft.vector_norm(data), [np.linalg.norm(data)])
        lengths, units = np.empty((3, 5)), np.empty_like(data)
        assert tft.vector_norm(data, axis=1, out=lengths) is None
        assert tft.unit_vector(data, axis=1, out=units) is None
        np.testing.assert_allclose(units * lengths[:, None], data)
        np.testing.assert_array_equal(tft.unit_vector([0, 3, 4]), [0, 0.6, 0.8])

    def test_random_vector(self):
        assert tft.random_vector((2, 3)).shape == (2, 3)


class TestArcball:
    @pytest.fixture
    def ball(self):
        ball = tft.Arcball()
        ball.place([100, 100], 50)
        return ball

    def test_a_drag_turns_by_twice_the_arc(self, ball):
        ball.down([100, 100])
        ball.drag([100 + 50 * math.sin(0.3), 100])
        np.testing.assert_allclose(ball.matrix(), tft.rotation_matrix(0.6, (0, 1, 0)), atol=1e-12)
        ball.next()
        np.testing.assert_allclose(ball.matrix(), tft.rotation_matrix(1.2, (0, 1, 0)), atol=1e-12)

    def test_drags_add_up_and_a_click_does_nothing(self, ball):
        for _ in range(2):
            ball.down([100, 100])
            ball.drag([100, 100 - 50 * math.sin(0.1)])
        ball.down([90, 90])
        ball.drag([90, 90])
        np.testing.assert_allclose(ball.matrix(), tft.rotation_matrix(-0.4, (1, 0, 0)), atol=1e-12)

    def test_constraint_keeps_to_the_nearest_axis(self, ball):
        ball.setaxes((1, 0, 0), (0, 2, 0))
        ball.setconstrain(True)
        assert ball.getconstrain()
        ball.down([120, 101])
        ball.drag([135, 115])
        angle, axis, _ = tft.rotation_from_matrix(ball.matrix())
        np.testing.assert_allclose(np.abs(axis), [0, 1, 0], atol=1e-9)
        assert abs(angle) > 0.1
        ball.setaxes()
        ball.down([120, 101])
        ball.drag([135, 115])
        assert np.abs(tft.rotation_from_matrix(ball.matrix())[1][0]) > 0.01

    def test_start(self):
        turn = tft.rotation_matrix(0.4, (0, 0, 1))
        for initial in (turn, 2 * np.array(tft.quaternion_from_matrix(turn))):
            np.testing.assert_allclose(tft.Arcball(initial).matrix(), turn, atol=1e-12)
        with pytest.raises(ValueError, match="initial"):
            tft.Arcball([1, 2, 3])

    def test_sphere(self):
        np.testing.assert_allclose(tft.arcball_map_to_sphere([13, 4], [10, 0], 5), [0.6, -0.8, 0], atol=1e-7)
        np.testing.assert_allclose(tft.arcball_map_to_sphere([40, 0], [10, 0], 5), [1, 0, 0])
        np.testing.assert_array_equal(tft.arcball_constrain_to_axis([0, 0, 1], [0, 0, 1]), [1, 0, 0])
        np.testing.assert_allclose(tft.arcball_constrain_to_axis([0.6, 0, -0.8], [0, 1, 0]), [-0.6, 0, 0.8])
        np.testing.assert_array_equal(tft.arcball_nearest_axis([1, 0, 0], [[1, 0, 0], [0, 0, 1]]), [0, 0, 1])
