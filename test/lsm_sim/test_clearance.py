# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Clearance of the floor against distances to solids, and outlines of parts."""
import numpy as np
import pytest
from helpers.hand_made import furnished, make_world, ring_world, solid, walker

from lsm_ros.geometry.rotation import so3_exp
from lsm_sim.clearance import FAR, ClearanceMap, mover_radius, passages
from lsm_sim.footprints import distance_to_polygon, outline
from lsm_sim.solids import signed_distance
from lsm_sim.world import Doorway, Shape


class TestOutline:
    def test_box_turned_about_z(self):
        corners = outline(Shape.BOX, np.array([1.0, 2, 0.5]), so3_exp([0, 0, np.pi / 4]), np.array([0.3, 0.3, 0.5]), 1, 0, 1)
        around = (corners - (1, 2))[np.argsort(np.arctan2(*(corners - (1, 2)).T[::-1]) % 6.28)]
        np.testing.assert_allclose(around, np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * 0.3 * np.sqrt(2), atol=1e-9)

    def test_only_the_slice_counts(self):
        tilted = so3_exp([0, np.pi / 4, 0])  # its long axis points up and along x
        args = (Shape.BOX, np.array([0.0, 0, 1.0]), tilted, np.array([0.01, 0.01, 1.0]), 1)
        low = outline(*args, 0.9, 1.1)
        assert np.abs(low[:, 0]).max() < 0.15
        assert outline(*args, 2.0, 3.0) is None

    @pytest.mark.parametrize(("shape", "taper"), [(Shape.CYLINDER, 1.0), (Shape.CYLINDER, 0.3), (Shape.ELLIPSOID, 1.0)])
    def test_holds_all_of_the_solid(self, shape, taper):
        R, half = so3_exp([0.3, 0.5, -0.2]), np.array([0.3, 0.2, 0.4])
        rng = np.random.default_rng(0)
        world = make_world(("box", solid(shape.name, (0, 0, 0), half, R, taper)), shells=False)
        points = rng.uniform(-0.7, 0.7, (20_000, 3))
        inside = points[signed_distance(world, points) < 0]
        corners = outline(shape, np.zeros(3), R, half, taper, -1, 1)
        assert len(inside) > 500 and (distance_to_polygon(inside[:, :2], corners) < 0).all()

    def test_distance_to_a_square(self):
        square = np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]])
        points = np.array([[1, 1], [1, 0.25], [3, 1], [3, 3], [-1, -1]])
        np.testing.assert_allclose(distance_to_polygon(points, square), [-1, -0.25, 1, np.sqrt(2), np.sqrt(2)], atol=1e-12)


class TestClearanceMap:
    @pytest.mark.parametrize("world", [furnished(), ring_world()])
    def test_agrees_with_the_solids(self, world):
        m = ClearanceMap.of(world)
        cells = np.argwhere(m.reachable(0.25))
        xy = m.point(cells[np.random.default_rng(0).permutation(len(cells))[:200]])
        heights = np.arange(0.03, 1.3, 0.03)
        points = np.concatenate([np.c_[xy, np.full(len(xy), z)] for z in heights])
        extent = (np.abs(world.R[:, 2]) * world.half).sum(1)
        parts = (world.center[:, 2] + extent > 0.02) & (world.center[:, 2] - extent < 1.3)
        distance = signed_distance(world, points, parts=parts).reshape(len(heights), -1).min(0)
        np.testing.assert_allclose(m.at(xy), np.minimum(distance, FAR), atol=2e-3)

    def test_what_hangs_above_is_not_in_the_way(self):
        lamp, carpet = solid("BOX", (2.5, 2, 1.8), (1, 1, 0.2)), solid("BOX", (1, 1, 0.005), (0.5, 0.5, 0.005))
        world = make_world(("lamp", lamp), ("carpet", carpet))
        free = ClearanceMap.of(world, top=1.3).at(np.array([[2.5, 2], [1, 1]]))
        assert (free > 0.5).all()
        assert ClearanceMap.of(world, top=1.9).at(np.array([[2.5, 2]]))[0] < 0

    def test_cells_and_points(self):
        m = ClearanceMap.of(furnished())
        np.testing.assert_allclose(m.point(np.array(m.cell(m.point(np.array([20, 30]))))), m.point(np.array([20, 30])))
        assert m.zone[m.cell((1, 1))] == 0 and m.zone[m.cell((-0.2, 1))] == -1

    def test_slope_leads_away_from_the_wall(self):
        slope = ClearanceMap.of(make_world()).slope(np.array([[0.4, 2.0], [2.5, 3.6]]))
        np.testing.assert_allclose(slope, [[1, 0], [0, -1]], atol=1e-3)

    def test_doorway_joins_zones_and_a_wall_does_not(self):
        zones = (((0, 0, 0), (3, 3, 2.5)), ((3.2, 0, 0), (6, 3, 2.5)))
        wall = tuple(solid("BOX", (3.1, y, 1.25), (0.1, 0.5, 1.25)) for y in (0.5, 2.5))
        world = make_world(("wall", wall), zones=zones, shells=False)
        apart = ClearanceMap.of(world).reachable(0.3)
        object.__setattr__(world, "doorways", (Doorway((0, 1), np.array([3.1, 1.5, 0]), 1.0, 2.0, 0),))
        low, high = passages(world)[0]
        np.testing.assert_allclose([low, high], [[3.0, 1.0], [3.2, 2.0]])
        joined = ClearanceMap.of(world)
        assert joined.reachable(0.3).sum() > 1.8 * apart.sum()
        assert joined.at(np.array([[3.1, 1.5]]))[0] == pytest.approx(0.5, abs=0.01)

    def test_ways_of_movers_are_kept_free(self):
        person = solid("CYLINDER", (0, 0, 0.9), (0.25, 0.25, 0.9))
        world = make_world(("person", person, 0), movers=(walker([(1, 1), (4, 1)]),))
        assert mover_radius(world, 0) == pytest.approx(0.25, rel=0.03)
        at = np.array([[2.5, 1.0], [2.5, 1.6]])
        assert ClearanceMap.of(world).at(at)[0] < 0
        assert ClearanceMap.of(world).at(at)[1] == pytest.approx(0.35, abs=0.05)
        assert (ClearanceMap.of(world, movers=False).at(at) > 0.7).all()

    def test_bad_heights(self):
        with pytest.raises(ValueError, match="heights"):
            ClearanceMap.of(furnished(), top=0.01)
