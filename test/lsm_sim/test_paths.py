# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Paths: free of collisions, within the limits of what moves, smooth, with revisits and whole rounds."""
import numpy as np
import pytest
from helpers.hand_made import furnished, make_world, ring_world, solid, walker

from lsm_sim.bodies import PERSON, ROBOT, free_space
from lsm_sim.clearance import ClearanceMap
from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.hand_path import HIGHEST, LOWEST
from lsm_sim.paths import PATH_KINDS, ROBOT_LIMITS, check_free, plan_path
from lsm_sim.solids import signed_distance


def planar(path):
    T = path.T_world_base
    return T[:, :2, 3], np.unwrap(np.arctan2(T[:, 1, 0], T[:, 0, 0]))


def planar_turn(path, middle):
    """Angle in radians that a path goes round a point (2,)."""
    return np.diff(np.unwrap(np.arctan2(*(planar(path)[0] - middle).T[::-1]))).sum()


class TestRobot:
    @pytest.fixture(scope="class")
    def path(self):
        return plan_path(furnished(), "robot", length_m=20.0, seed=3)

    def test_keeps_to_its_limits(self, path):
        xy, yaw = planar(path)
        dt = path.times[1]
        speed, rate = np.linalg.norm(np.diff(xy, axis=0), axis=1) / dt, np.diff(yaw) / dt
        assert speed.max() <= ROBOT_LIMITS.speed + 1e-3 and speed.max() > 0.5
        assert np.abs(rate).max() <= 1.03 * ROBOT_LIMITS.rate
        assert np.abs(np.diff(speed)).max() / dt <= 1.1 * ROBOT_LIMITS.acceleration
        assert np.abs(np.diff(rate)).max() / dt <= 1.3 * ROBOT_LIMITS.angular_acceleration

    def test_moves_only_where_it_faces(self, path):
        xy, yaw = planar(path)
        step, middle = np.diff(xy, axis=0), 0.5 * (yaw[1:] + yaw[:-1])
        sideways = -np.sin(middle) * step[:, 0] + np.cos(middle) * step[:, 1]
        ahead = np.cos(middle) * step[:, 0] + np.sin(middle) * step[:, 1]
        assert np.abs(sideways).max() / path.times[1] < 1e-3
        assert ahead.min() > -1e-9

    def test_stands_on_the_floor_upright(self, path):
        assert (path.T_world_base[:, 2, 3] == 0).all()
        np.testing.assert_allclose(path.T_world_base[:, 2, :3], np.tile([0, 0, 1.0], (len(path.times), 1)), atol=1e-12)

    def test_has_the_length_asked_for(self, path):
        assert path.length_m == pytest.approx(20.0, abs=0.05)

    def test_comes_back_to_where_it_was(self, path):
        xy, _ = planar(path)
        late = path.times[:, None] - path.times[None] > 20
        near = np.linalg.norm(xy[::25, None] - xy[None, ::25], axis=2) < 0.3
        assert (near & late[::25, ::25]).any(1).mean() > 0.15

    def test_starts_and_ends_at_rest(self, path):
        xy, _ = planar(path)
        assert np.linalg.norm(xy[1] - xy[0]) < 1e-4 and np.linalg.norm(xy[-1] - xy[-2]) < 1e-4

    def test_sees_much_of_the_world(self):
        world = build_world(0, "rooms")
        path = plan_path(world, "robot", length_m=60.0)
        zones = {world.zone_at(p) for p in planar(path)[0]}
        assert len(zones - {-1}) >= min(3, len(world.zones))

    def test_speed_is_a_limit(self):
        xy, _ = planar(plan_path(furnished(), "robot", length_m=4, speed=0.2))
        assert np.linalg.norm(np.diff(xy, axis=0), axis=1).max() * 100 <= 0.2 + 1e-3


class TestLoops:
    @pytest.mark.parametrize("kind", ["robot", "hand"])
    def test_whole_rounds_end_with_the_pose_of_the_start(self, kind):
        path = plan_path(ring_world(), kind, rounds=2)
        xy, yaw = planar(path)
        turned = np.unwrap(np.arctan2(*(xy - (4.5, 3.5)).T[::-1]))
        assert abs(turned[-1] - turned[0]) == pytest.approx(4 * np.pi, abs=0.15)
        np.testing.assert_allclose(xy[-1], xy[0], atol=0.02 if kind == "robot" else 0.15)
        if kind == "robot":
            assert abs(yaw[-1] - yaw[0]) == pytest.approx(4 * np.pi, abs=1e-3)

    def test_number_of_rounds_from_length_and_duration(self):
        one = plan_path(ring_world(), rounds=1)
        assert 20 < one.length_m < 30
        assert plan_path(ring_world(), length_m=2.9 * one.length_m).length_m == pytest.approx(3 * one.length_m, rel=0.01)
        timed = plan_path(ring_world(), duration_s=2.5 * one.duration_s)
        assert timed.duration_s == pytest.approx(2.5 * one.duration_s, abs=0.02)
        assert timed.length_m == pytest.approx(2 * one.length_m, rel=0.01)
        assert plan_path(ring_world(), duration_s=0.5 * one.duration_s).length_m < 0.6 * one.length_m

    def test_rooms_off_the_corridor_and_furniture_do_not_mislead(self):
        world = build_world(2, "loop")
        path = plan_path(world, "robot", rounds=1)
        assert {world.zones[z].kind for z in {world.zone_at(p) for p in planar(path)[0]} if z >= 0} == {"corridor"}

    def test_no_ring(self):
        with pytest.raises(ValueError, match="ring"):
            plan_path(make_world(), rounds=1)


class TestHand:
    @pytest.fixture(scope="class")
    def path(self):
        return plan_path(furnished(), "hand", length_m=15.0, seed=1)

    def test_six_degrees_of_freedom(self, path):
        T = path.T_world_base
        assert T[:, 2, 3].min() >= LOWEST and T[:, 2, 3].max() <= HIGHEST
        assert np.ptp(T[:, 2, 3]) > 0.1
        pitch, roll = -np.arcsin(T[:, 2, 0]), np.arctan2(T[:, 2, 1], T[:, 2, 2])
        assert np.ptp(pitch) > 0.1 and np.ptp(roll) > 0.03 and 0 < np.median(pitch) < 0.4

    def test_smooth(self, path):
        dt = path.times[1]
        acceleration = np.diff(path.T_world_base[:, :3, 3], 2, axis=0) / dt**2
        assert np.linalg.norm(acceleration, axis=1).max() < 6
        assert np.linalg.norm(np.diff(acceleration, axis=0), axis=1).max() / dt < 120

    def test_camera_and_feet_are_free(self, path):
        world = furnished()
        device = path.T_world_base[:, :3, 3]
        assert signed_distance(world, device).min() > 0.2
        feet = device * (1, 1, 0) + (0, 0, 0.1)
        floor = np.array([world.things[i] == "floor" for i in world.instance])
        assert signed_distance(world, feet, parts=~floor).min() > 0.2


class TestKinds:
    def test_look_around_turns_at_each_place(self):
        _, yaw = planar(plan_path(furnished(), "look_around", length_m=6.0))
        assert np.abs(np.diff(yaw)).sum() > 3 * 2 * np.pi

    def test_shuttle_goes_to_and_fro(self):
        xy, _ = planar(plan_path(furnished(), "shuttle", length_m=12.0))
        far = np.linalg.norm(xy - xy[0], axis=1)
        returns = (np.diff((far < 0.1 * far.max()).astype(int)) == 1).sum()
        assert returns >= 1 and far.max() > 1

    @pytest.mark.parametrize(("rounds", "net"), [(1, 1), (2, 0), (3, 1), (4, 0)])
    def test_both_ways_goes_the_last_half_of_the_rounds_back(self, rounds, net):
        world = ring_world()
        middle = np.mean(world.bounds, axis=0)[:2]
        path, one = (plan_path(world, "both_ways", rounds=n, seed=2) for n in (rounds, 1))
        xy, _ = planar(path)
        turned = np.diff(np.unwrap(np.arctan2(*(xy - middle).T[::-1])))
        assert abs(turned.sum()) / (2 * np.pi) == pytest.approx(net, abs=0.02)
        assert path.length_m == pytest.approx(rounds * one.length_m, rel=0.01)
        np.testing.assert_allclose(xy[-1], xy[0], atol=0.02)
        with_first = np.sign(turned[np.abs(turned) > 1e-5]) == np.sign(planar_turn(one, middle))
        assert with_first[0] and with_first.mean() == pytest.approx((rounds - rounds // 2) / rounds, abs=0.03)

    def test_a_tour_of_a_loop_goes_as_far_as_asked_and_not_in_rounds(self):
        world = ring_world()
        assert plan_path(world, "tour", length_m=7.0, seed=2).length_m == pytest.approx(7.0, abs=0.05)
        assert plan_path(world, "robot", length_m=7.0, seed=2).length_m > 8.0

    @pytest.mark.parametrize("kind", PATH_KINDS)
    def test_same_seed_same_path(self, kind):
        a, b, c = (plan_path(furnished(), kind, length_m=5.0, seed=s) for s in (4, 4, 5))
        np.testing.assert_array_equal(a.T_world_base, b.T_world_base)
        assert a.T_world_base.shape != c.T_world_base.shape or not np.allclose(a.T_world_base, c.T_world_base)

    @pytest.mark.parametrize("kind", PATH_KINDS)
    @pytest.mark.parametrize("duration_s", [3.0, 41.37])
    def test_duration_is_kept(self, kind, duration_s):
        path = plan_path(furnished(), kind, duration_s=duration_s)
        assert path.duration_s == pytest.approx(duration_s, abs=0.011)
        assert path.length_m > 0.05 or np.ptp(planar(path)[1]) > 0.2


class TestPathAt:
    def test_passes_through_its_samples_and_stands_still_outside(self):
        path = plan_path(furnished(), "hand", length_m=3.0)
        np.testing.assert_allclose(path.at(path.times), path.T_world_base, atol=1e-9)
        np.testing.assert_allclose(path.at(np.array([-1.0, 1e6])), path.T_world_base[[0, -1]], atol=1e-12)
        coarse = plan_path(furnished(), "robot", length_m=3.0, rate_hz=20)
        fine = plan_path(furnished(), "robot", length_m=3.0, rate_hz=400)
        np.testing.assert_allclose(coarse.at(fine.times[:2000])[:, :3, 3], fine.T_world_base[:2000, :3, 3], atol=1e-3)


class TestCollisions:
    def test_free_space_knows_a_pole(self):
        world = make_world(("lamp", solid("CYLINDER", (2, 2, 0.6), (0.03, 0.03, 0.6))))
        T = np.tile(np.eye(4), (3, 1, 1))
        T[:, 0, 3], T[:, 1, 3] = (2.0, 2.24, 2.4), 2.0
        gap = free_space(world, T, np.zeros(3), ROBOT)
        assert gap[0] < -0.2 and gap[1] < 0 and gap[2] == pytest.approx(0.4 - 0.03 - 0.22, abs=0.01)

    def test_free_space_of_the_hand_knows_a_lamp_overhead(self):
        world = make_world(("lamp", solid("BOX", (2, 2, 1.75), (0.1, 0.1, 0.05))))
        T = np.tile(np.eye(4), (2, 1, 1))
        T[:, :3, 3] = (2, 2, 1.6), (2, 2, 1.45)
        gap = free_space(world, T, np.zeros(2), PERSON)
        assert gap[0] < 0 < gap[1]

    def test_movers_are_where_they_are_at_the_time(self):
        person = solid("BOX", (0, 0, 0.9), (0.2, 0.2, 0.9))
        world = make_world(("person", person, 0), movers=(walker([(1, 1), (4, 1)], 4.0),))
        T = np.tile(np.eye(4), (2, 1, 1))
        T[:, :2, 3] = 4, 1
        gap = free_space(world, T, np.array([0.0, 4.0]), ROBOT)
        assert gap[0] > 0.2 and gap[1] < -0.2

    @pytest.mark.parametrize("kind", WORLD_KINDS)
    @pytest.mark.parametrize("seed", range(4))
    def test_free_in_worlds_of_all_kinds(self, kind, seed):
        world = build_world(seed, kind)
        assert check_free(world, plan_path(world, PATH_KINDS[seed], seed=seed)).min() > 0

    @pytest.mark.slow
    @pytest.mark.timeout(1500)
    def test_free_in_200_worlds(self):
        for seed in range(200):
            world = build_world(seed, WORLD_KINDS[seed % 5])
            path = plan_path(world, PATH_KINDS[seed // 5 % 4], seed=seed)
            assert check_free(world, path).min() > 0, f"seed {seed}"

    @pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k == "loop" else pytest.mark.slow) for k in WORLD_KINDS])
    def test_there_is_a_way_where_people_walk(self, kind):
        """In a ring of corridors they must not close the only way round."""
        world = build_world(1, kind, movers=1)
        path = plan_path(world, "robot", seed=1)
        rows = slice(None, None, 5)
        assert free_space(world, path.T_world_base[rows], path.times[rows], ROBOT).min() > 0

    @pytest.mark.parametrize("seed", range(3))
    def test_people_that_walk_are_not_met(self, seed):
        person = solid("CYLINDER", (0, 0, 0.9), (0.25, 0.25, 0.9))
        world = make_world(("person", person, 0), ("person", person, 1),
                           movers=(walker([(0.6, 1), (4.4, 1)]), walker([(0.6, 3), (4.4, 3)], 6.0)))
        path = plan_path(world, "robot", length_m=15, seed=seed)
        rows = slice(None, None, 5)
        assert free_space(world, path.T_world_base[rows], path.times[rows], ROBOT).min() > 0

    def test_waits_where_somebody_blocks_the_only_way(self):
        wall = tuple(solid("BOX", (2.6, y, 1.25), (0.1, 0.5, 1.25)) for y in (0.5, 2.5))
        person = solid("CYLINDER", (0, 0, 0.9), (0.2, 0.2, 0.9))
        world = make_world(("wall", wall), ("person", person, 0), zones=(((0, 0, 0), (5.2, 3, 2.5)),),
                           movers=(walker([(2.2, 0.45), (2.2, 2.5)], 8.0),))
        swept = ClearanceMap.of(world).reachable(0.32).sum()
        assert swept < 0.6 * ClearanceMap.of(world, movers=False).reachable(0.32).sum()
        path = plan_path(world, "robot", length_m=25, seed=1)
        x = path.T_world_base[:, 0, 3]
        assert x.min() < 2.0 and x.max() > 3.0
        assert free_space(world, path.T_world_base[::5], path.times[::5], ROBOT).min() > 0


class TestBadInput:
    def test_world_too_small_names_sizes(self):
        world = make_world(zones=(((0, 0, 0), (0.9, 0.8, 2.5)),))
        with pytest.raises(ValueError, match=r"0\.9 x 0\.8 m.*too small"):
            plan_path(world)

    def test_world_full_of_things(self):
        world = make_world(("cabinet", solid("BOX", (2.5, 2, 0.5), (2.3, 1.8, 0.5))))
        with pytest.raises(ValueError, match="too small"):
            plan_path(world)

    @pytest.mark.parametrize(("kwargs", "message"), [
        ({"kind": "boat"}, "boat"), ({"seed": -1}, "seed"), ({"seed": 1.0}, "seed"), ({"seed": True}, "seed"),
        ({"length_m": 0.0}, "length_m"), ({"length_m": float("nan")}, "length_m"), ({"duration_s": -2}, "duration_s"),
        ({"rounds": 0}, "rounds"), ({"rounds": 1.5}, "rounds"), ({"speed": 0}, "speed"), ({"rate_hz": 0}, "rate_hz"),
        ({"length_m": 3, "duration_s": 4}, "one of")])
    def test_bad_arguments(self, kwargs, message):
        with pytest.raises(ValueError, match=message):
            plan_path(furnished(), **kwargs)
