# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Distances to solids against dense samples of their surfaces, and even points on what is open of them."""
import numpy as np
import pytest
from helpers.hand_made import furnished, make_world, solid
from scipy.spatial import cKDTree

from lsm_ros.geometry.rotation import so3_exp
from lsm_sim.solid_sampling import faces_of, sample_faces
from lsm_sim.solids import signed_distance, surface_points

ZONE = (((-2, -2, -2), (2, 2, 2)),)
TURNED = so3_exp([0.4, -0.7, 1.1])


def one(*args, **kwargs):
    return make_world(("box", solid(*args, **kwargs)), zones=ZONE, shells=False)


def dense(world, n, rng):
    faces, bound = faces_of(world, np.arange(len(world)))
    rows = faces[rng.choice(len(faces), n, p=bound / bound.sum())]
    points, normals, share = sample_faces(world, rows, rng)
    keep = rng.random(n) < share
    return points[keep], normals[keep], rows[keep]


SHAPES = [("BOX", (0.3, 0.5, 0.2), 1.0), ("ELLIPSOID", (0.3, 0.5, 0.2), 1.0), ("ELLIPSOID", (0.4, 0.4, 0.4), 1.0),
          ("CYLINDER", (0.3, 0.5, 0.4), 1.0), ("CYLINDER", (0.3, 0.3, 0.4), 1.0), ("CYLINDER", (0.3, 0.3, 0.4), 0.4),
          ("CYLINDER", (0.2, 0.2, 0.4), 1.8), ("CYLINDER", (0.3, 0.3, 0.5), 0.0)]


class TestSignedDistance:
    @pytest.mark.parametrize(("shape", "half", "taper"), SHAPES)
    def test_agrees_with_the_nearest_of_many_points_of_the_surface(self, shape, half, taper):
        rng = np.random.default_rng(0)
        world = one(shape, (0.1, -0.2, 0.3), half, TURNED, taper)
        surface, _, _ = dense(world, 150_000, rng)
        points = rng.uniform(-1, 1, (3000, 3))
        distance = signed_distance(world, points)
        nearest, _ = cKDTree(surface).query(points)
        # The nearest sample is never nearer than the surface, and at most about a sample's spacing farther.
        assert (np.abs(distance) <= nearest + 1e-7).all()
        assert np.abs(np.abs(distance) - nearest)[np.abs(distance) > 0.1].max() < 4e-3

    @pytest.mark.parametrize(("shape", "half", "taper"), [*SHAPES, ("CYLINDER", (0.04, 0.4, 0.4), 0.2)])
    def test_sign_on_both_sides_of_the_surface(self, shape, half, taper):
        rng = np.random.default_rng(1)
        world = one(shape, (0.1, -0.2, 0.3), half, TURNED, taper)
        surface, normals, _ = dense(world, 20_000, rng)
        assert np.abs(signed_distance(world, surface)).max() < 1e-8
        assert (signed_distance(world, surface + 1e-4 * normals) > 0).all()
        assert np.mean(signed_distance(world, surface - 1e-4 * normals) < 0) > 0.99  # but at edges sharper than that

    def test_flat_cone_is_never_farther_than_true(self):
        rng = np.random.default_rng(2)
        world = one("CYLINDER", (0, 0, 0), (0.04, 0.4, 0.4), TURNED, 0.2)
        surface, _, _ = dense(world, 100_000, rng)
        points = rng.uniform(-1, 1, (3000, 3))
        nearest, _ = cKDTree(surface).query(points)
        assert (np.abs(signed_distance(world, points)) <= nearest + 1e-6).all()

    def test_center_of_an_ellipsoid_is_its_smallest_semi_axis_inside(self):
        world = one("ELLIPSOID", (0, 0, 0), (0.3, 0.5, 0.2))
        assert signed_distance(world, np.zeros((1, 3)))[0] == pytest.approx(-0.2, abs=1e-6)

    def test_nearest_of_many_is_that_of_all_one_by_one(self):
        world = furnished()
        points = np.random.default_rng(3).uniform((-0.5, -0.5, -0.3), (5.5, 4.5, 2.8), (5000, 3))
        each = [signed_distance(world, points, parts=np.array([p])) for p in range(len(world))]
        np.testing.assert_allclose(signed_distance(world, points), np.min(each, axis=0), atol=1e-12)
        mask = world.label == world.label[-1]
        np.testing.assert_allclose(signed_distance(world, points, parts=mask),
                                   np.min([each[p] for p in np.flatnonzero(mask)], axis=0), atol=1e-12)

    def test_limit_changes_nothing_below_it(self):
        world = furnished()
        points = np.random.default_rng(4).uniform((0, 0, 0), (5, 4, 2.5), (5000, 3))
        full, limited = signed_distance(world, points), signed_distance(world, points, limit=0.2)
        near = full <= 0.2
        assert 0.1 < near.mean() < 0.9
        np.testing.assert_array_equal(full[near], limited[near])
        assert (limited[~near] > 0.2).all()

    def test_no_parts_is_infinitely_far(self):
        assert np.isinf(signed_distance(furnished(), np.zeros((2, 3)), parts=np.array([], int))).all()

    @pytest.mark.parametrize("points", [np.zeros(3), np.zeros((2, 2)), np.full((1, 3), np.nan)])
    def test_bad_points(self, points):
        with pytest.raises(ValueError, match="points"):
            signed_distance(furnished(), points)


class TestSurfacePoints:
    def test_lie_on_surfaces_and_in_the_room(self):
        world = furnished()
        points, labels, instances = surface_points(world, 20_000)
        assert points.shape == (20_000, 3) and labels.dtype == np.uint16 and instances.dtype == np.int32
        assert np.abs(signed_distance(world, points)).max() < 1e-8
        low, high = world.bounds
        assert (points >= low - 1e-9).all() and (points <= high + 1e-9).all()
        names = np.array([world.label_space.names[i] for i in labels])
        assert (names == np.array(world.things)[instances]).all()

    def test_even_by_area(self):
        world = furnished()
        _, _, instances = surface_points(world, 100_000)
        count = {world.things[i]: int((instances == i).sum()) for i in np.unique(instances)}
        ceiling = count["ceiling"] / 20.0  # 5 x 4 m, nothing before it
        assert count["floor"] / ceiling == pytest.approx(20 - 0.5 * 1.2 - 4 * 0.0036 - np.pi * 0.05**2, rel=0.03)
        assert count["cabinet"] / ceiling == pytest.approx(0.5 * 1.2 + 1.8 * (1.2 + 2 * 0.5), rel=0.05)
        assert count["lamp"] / ceiling == pytest.approx(2 * np.pi * 0.05 * 1.6 + np.pi * 0.05**2, rel=0.12)

    @pytest.mark.parametrize(("shape", "half", "taper"), [("ELLIPSOID", (0.3, 0.3, 0.1), 1.0),
                                                          ("CYLINDER", (0.3, 0.3, 0.4), 0.5)])
    def test_even_on_curved_parts(self, shape, half, taper):
        world = one(shape, (0, 0, 0), half, None, taper)
        points, _, _ = surface_points(world, 60_000)
        z = points[:, 2] / half[2]
        if shape == "CYLINDER":  # the rings of a cone grow with their radius
            side = np.abs(z) < 1 - 1e-9
            lower = (z[side] < 0).mean()
            assert lower == pytest.approx((1 + 0.75) / (1 + 2 * 0.75 + 0.5), abs=0.01)
            assert (z > 1 - 1e-9).sum() / (z < -1 + 1e-9).sum() == pytest.approx(0.25, rel=0.06)
        else:  # caps of an oblate spheroid, by integrating rings
            t = np.linspace(-1, 1, 4001)
            r = np.sqrt(1 - t**2)
            ring = 2 * np.pi * 0.3 * np.sqrt((0.3 * t) ** 2 + (0.1 * r) ** 2)
            assert (np.abs(z) > 0.5).mean() == pytest.approx(ring[np.abs(t) > 0.5].sum() / ring.sum(), abs=0.01)

    def test_hidden_sides_have_none(self):
        inner = solid("BOX", (2, 2, 0.5), (0.3, 0.3, 0.3))
        outer = solid("BOX", (2, 2, 0.5), (0.5, 0.5, 0.5))
        world = make_world(("box", inner), ("cabinet", outer))
        points, _, instances = surface_points(world, 20_000)
        assert "box" not in {world.things[i] for i in instances}
        cabinet = points[instances == len(world.things) - 1]
        assert (cabinet[:, 2] > 1e-6).all()  # what it stands on is not open

    def test_doorway_between_zones_is_open(self):
        lintel = solid("BOX", (4.1, 1.5, 2.25), (0.1, 1.5, 0.25))
        left, right = solid("BOX", (4.1, 0.5, 1.0), (0.1, 0.5, 1.0)), solid("BOX", (4.1, 2.5, 1.0), (0.1, 0.5, 1.0))
        floor = solid("BOX", (4, 1.5, -0.05), (4.2, 1.5, 0.05))
        lid = solid("BOX", (4, 1.5, 2.55), (4.2, 1.5, 0.05))
        world = make_world(("wall", (lintel, left, right)), ("floor", floor), ("ceiling", lid), shells=False,
                           zones=(((0, 0, 0), (4, 3, 2.5)), ((4.2, 0, 0), (8.2, 3, 2.5))))
        points, _, _ = surface_points(world, 40_000)
        within = (np.abs(points[:, 0] - 4.1) < 0.08) & (np.abs(points[:, 1] - 1.5) < 1.49)
        reveal = within & (np.abs(points[:, 1] - 1) < 1e-9) & (points[:, 2] < 2)
        assert reveal.sum() > 50 and (within & (points[:, 2] > 2.3)).sum() == 0

    def test_same_seed_same_points(self):
        a, b, c = (surface_points(furnished(), 500, seed)[0] for seed in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    @pytest.mark.parametrize("n", [-1, 1.5, True])
    def test_bad_number(self, n):
        with pytest.raises(ValueError, match="number of points"):
            surface_points(furnished(), n)
