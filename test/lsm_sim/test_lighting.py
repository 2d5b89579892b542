# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.hand_made import furnished, make_world, solid, table_of

from lsm_sim.caster import RayCaster
from lsm_sim.cube_map import cube_camera, cube_lookup, cube_poses
from lsm_sim.light_samples import cubes, lamp_samples, nearest_zone, probe_positions, shadow_world
from lsm_sim.lighting import light_world, sample_places
from lsm_sim.solids import signed_distance
from lsm_sim.world import Lamp, World

CPU = torch.device("cpu")


class TestCubeMap:
    def test_lookup_finds_the_pixel_of_each_ray(self):
        side, camera = 8, cube_camera(8)
        T = cube_poses(np.zeros((1, 3)))[0]
        assert np.allclose(T[:, :3, :3] @ T[:, :3, :3].transpose(0, 2, 1), np.eye(3))
        assert np.allclose(np.linalg.det(T[:, :3, :3]), 1)
        rays = np.einsum("sij,hwj->shwi", T[:, :3, :3], camera.rays(unit=False))
        d = torch.as_tensor(rays.reshape(-1, 3).T * 2.5)
        found, x, y, depth = cube_lookup(d)
        assert torch.equal(found, torch.arange(6).repeat_interleave(side * side))
        column, row = ((v + 1) * 0.5 * side - 0.5 for v in (x, y))
        assert np.allclose(column.reshape(6, side, side), np.arange(side)[None, None, :], atol=1e-6)
        assert np.allclose(row.reshape(6, side, side), np.arange(side)[None, :, None], atol=1e-6)
        assert np.allclose(depth, 2.5)

    def test_depth_is_that_of_the_room(self):
        hits = cubes(RayCaster([make_world()]), np.array([[1.0, 1.5, 1.0]]), 16)
        expected = [1.0, 4.0, 1.5, 2.5, 1.0, 1.5]  # to the walls, floor and ceiling of a room of 5 x 4 x 2.5 m
        assert np.allclose(hits.depth[0, :, 7, 7], expected, atol=1e-4)


class TestLamps:
    def lamps(self, *lamps):
        world = make_world()
        changed = World(**{**world.__dict__, "lamps": lamps})
        return lamp_samples(changed, RayCaster([shadow_world(changed)]), 8)

    def test_spread_stays_in_the_air(self):
        found = self.lamps(Lamp(np.array([2.0, 2.0, 2.47]), power=2.0, radius=0.4))
        assert len(found.position) == 5 and (found.normal == 0).all()
        assert (found.position[:, 2] < 2.5).all() and found.position[:, 0].std() > 0.1
        assert np.allclose(found.color.sum(0), 2.0 * np.array([1.0, 0.95, 0.85]))

    def test_a_wide_lamp_before_a_wall_is_a_window(self):
        found = self.lamps(Lamp(np.array([0.3, 2.0, 1.4]), radius=0.4))
        assert np.allclose(found.normal, (1, 0, 0)) and np.allclose(found.position[:, 0], 0.3, atol=1e-6)
        assert found.position[:, 1].std() > 0.1 and found.position[:, 2].std() > 0.1

    def test_none(self):
        assert len(self.lamps().position) == 0


class TestZones:
    def test_nearest(self):
        world = make_world(zones=(((0, 0, 0), (2, 2, 2)), ((3, 0, 0), (5, 2, 2))))
        zone, distance = nearest_zone(world.zones, np.array([[1, 1, 1], [2.4, 1, 1], [2.7, 1, 1], [9, 1, 1.0]]))
        assert zone.tolist() == [0, 0, 1, 1] and np.allclose(distance, [0, 0.4, 0.3, 4])

    def test_probes_are_in_the_air(self):
        tall = solid("BOX", (2.5, 2, 1), (0.4, 0.4, 1))
        world = make_world(("cabinet", tall))
        points, zone = probe_positions(world)
        assert (signed_distance(world, points) > 0.1).all() and set(zone) == {0}

    def test_long_zones_have_more(self):
        assert len(probe_positions(make_world(zones=(((0, 0, 0), (20, 2, 2.5)),)))[0]) == 4


class TestLight:
    def test_lamp_of_power_one_gives_one_at_a_metre(self):
        lamp = Lamp(np.array([2.5, 2.0, 1.0]), (1.0, 1.0, 1.0), 1.0, 0.02)
        world = make_world(zones=(((0, 0, 0), (5, 4, 2.5)),))
        world = World(**{**world.__dict__, "lamps": (lamp,), "zones": (replace(world.zones[0], ambient=0.0),)})
        table = table_of(world, spacing=0.1)
        light = light_world(world, table, torch.zeros((len(table.kind), 3)), CPU)
        floor = int(np.flatnonzero(world.label == 2)[0]) * 6 + 5
        nu, nv = int(table["nu"][floor]), int(table["nv"][floor])
        start = table.light[floor]
        own = light.map[0, start:start + nu * nv].reshape(nv, nu)
        places = sample_places(world, table, CPU).position[start:start + nu * nv].reshape(nv, nu, 3).numpy()
        away = np.linalg.norm(places - np.array([2.5, 2.0, 1.0]), axis=-1)
        expected = 1 / away ** 3  # one over the square, times the cosine, which is 1 m / distance
        inside = (np.abs(places[..., :2] - [2.5, 2.0]) < [2.4, 1.9]).all(-1)
        assert inside.mean() > 0.8 and abs(float(own.max()) - 1) < 0.02
        assert np.abs(own.numpy() / expected - 1)[inside].max() < 0.02

    def test_ambient_light_alone(self):
        world = make_world()
        world = World(**{**world.__dict__, "lamps": ()})
        table = table_of(world, spacing=0.2)
        light = light_world(world, table, torch.zeros((len(table.kind), 3)), CPU)
        floor = int(np.flatnonzero(world.label == 2)[0]) * 6 + 5
        own = light.map[0, table.light[floor]:][:int(table["nu"][floor] * table["nv"][floor])]
        assert abs(float(own.median()) - world.zones[0].ambient) < 0.12

    def test_same_again(self):
        world = furnished()
        table = table_of(world, spacing=0.1)
        albedo = torch.full((len(table.kind), 3), 0.5)
        assert torch.equal(light_world(world, table, albedo, CPU).map, light_world(world, table, albedo, CPU).map)

    @pytest.mark.parametrize("albedo", [0.1, 0.8])
    def test_bright_walls_throw_back_more(self, albedo):
        world = furnished()
        table = table_of(world, spacing=0.15)
        maps = [light_world(world, table, torch.full((len(table.kind), 3), a), CPU).map.mean() for a in (0.0, albedo)]
        assert maps[1] > maps[0] * (1 + 0.1 * albedo)
