# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Another day in the same rooms: what stays, what changes and by how much, and that nothing comes into the way."""
from __future__ import annotations

import math
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.solids_of import interpenetrations, twins

from lsm_sim import generator
from lsm_sim.caster import RayCaster
from lsm_sim.changes import BUILT_IN, SHIFT, change_room, host_of
from lsm_sim.fixtures import window
from lsm_sim.furnish import fixture, furnish
from lsm_sim.furniture.parts import box
from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.keep_clear import KeepClear
from lsm_sim.layouts import make_plan
from lsm_sim.other_light import OUT, other_day, relit, tint_of
from lsm_sim.paths import check_free, plan_path
from lsm_sim.placement import body_of, pose
from lsm_sim.plan import Opening, Plan, Room
from lsm_sim.source import SimSource
from lsm_sim.world import Lamp, Material, Support, Thing, World

ARRAYS = ("shape", "center", "R", "half", "taper", "label", "instance", "mover", "material")
GREY = Material()
STAYS = BUILT_IN - {"carpet"} | {"wall", "floor", "ceiling"}


@lru_cache(maxsize=20)
def day(seed: int, kind: str, change: int) -> World:
    return build_world(seed, kind, change=change)


def same(a: World, b: World) -> bool:
    lamps = [[(tuple(x.position), x.color, x.power) for x in w.lamps] for w in (a, b)]
    return len(a) == len(b) and lamps[0] == lamps[1] and a.things == b.things and a.materials == b.materials and all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in ARRAYS)


def rows(world: World, classes: frozenset[str]) -> np.ndarray:
    """Shapes and places of the parts of all things of some classes, sorted."""
    chosen = np.isin(np.array(world.things)[world.instance], sorted(classes))
    table = np.c_[world.shape, world.center, world.half, world.R.reshape(len(world), 9), world.taper, world.label][chosen]
    return table[np.lexsort(np.round(table, 5).T)]


def crate(x: float, y: float, z: float, label: str = "box", **more) -> Thing:
    return Thing(label, (box((-x / 2, -y / 2, 0), (x / 2, y / 2, z), GREY),), **more)


class TestWorlds:
    def test_a_day_is_determined_by_seed_and_number(self):
        assert same(day(3, "rooms", 1), build_world(3, "rooms", change=1))
        assert not same(day(3, "rooms", 1), day(3, "rooms", 2)) and not same(day(3, "rooms", 1), day(4, "rooms", 1))
        assert same(day(3, "rooms", 0), build_world(3, "rooms"))

    @pytest.mark.parametrize("kind", WORLD_KINDS)
    def test_what_is_built_in_stays_and_the_rest_does_not(self, kind):
        before, after = day(1, kind, 0), day(1, kind, 1)
        np.testing.assert_array_equal(rows(before, STAYS), rows(after, STAYS))
        loose = frozenset(before.things) - STAYS
        assert not np.array_equal(rows(before, loose), rows(after, loose))
        for a, b in zip(before.zones, after.zones, strict=True):
            assert (a.low == b.low).all() and (a.high == b.high).all() and a.kind == b.kind
        for a, b in zip(before.doorways, after.doorways, strict=True):
            assert a.zones == b.zones and (a.center == b.center).all()

    @pytest.mark.parametrize("kind", WORLD_KINDS)
    def test_things_do_not_share_space(self, kind):
        for change in (1, 2):
            assert not interpenetrations(day(2, kind, change))

    @pytest.mark.parametrize("kind", ["lookalike", "rooms"])
    def test_another_light_falls_everywhere(self, kind):
        before, after = day(1, kind, 0), day(1, kind, 1)
        assert sum(x.power for x in before.lamps) != pytest.approx(sum(x.power for x in after.lamps), rel=0.02)
        assert {x.color for x in before.lamps}.isdisjoint({x.color for x in after.lamps} - {(0.82, 0.92, 1.0)})
        for zone in after.zones:
            assert any((zone.low <= x.position).all() and (x.position <= zone.high).all() for x in after.lamps)

    def test_copies_stay_copies(self):
        plan, world = make_plan(2, "lookalike"), day(2, "lookalike", 1)
        for first, *others in twins(plan):
            for j in others:
                T = plan.T_copy_source(j)
                here, there = (world.center[[world.zone_at(c) == i for c in world.center]] for i in (j, first))
                there = there @ T[:3, :3].T + T[:3, 3]
                assert len(here) == len(there) > 15
                near = np.linalg.norm(here[:, None] - there[None], axis=2).min(1)
                assert near.max() < 1e-3

    def test_ground_of_a_copy_stays_clear_in_its_source_too(self):
        plan, before = make_plan(2, "lookalike"), day(2, "lookalike", 0)
        first, *others = twins(plan)[0]
        room = plan.rooms[others[-1]]
        clear = KeepClear(room.center[None], np.array([float(np.linalg.norm(room.high - room.low))]))
        after = build_world(2, "lookalike", change=1, clear=clear)
        low = (0.05, 1.8)  # ground is kept clear up to 2 m
        a, b = (w.center[[w.zone_at(c) == first and low[0] < c[2] < low[1] for c in w.center]] for w in (before, after))
        gap = np.linalg.norm(b[:, None] - a[None], axis=2).min(1)
        assert len(b) > 15 and gap.max() < 1e-9  # nothing has moved or come, though it may have gone
        free = day(2, "lookalike", 1)
        c = free.center[[free.zone_at(x) == first and low[0] < x[2] < low[1] for x in free.center]]
        assert np.linalg.norm(c[:, None] - a[None], axis=2).min(1).max() > 0.1

    @pytest.mark.parametrize("change", [-1, True, 1.5, "1", None])
    def test_a_number_of_another_type_is_refused(self, change):
        with pytest.raises(ValueError, match="change"):
            build_world(1, change=change)

    def test_people_walk_the_same_ways_and_meet_nothing(self):
        before, after = (build_world(1, "rooms", movers=2, change=c) for c in (0, 3))
        for a, b in zip(before.movers, after.movers, strict=True):
            np.testing.assert_array_equal(a.poses, b.poses)
        clear = KeepClear.of_movers(before.movers)
        for n, name in enumerate(after.things):
            parts = (after.instance == n) & (after.mover < 0)
            low = after.center[parts, 2] - after.half[parts].max(1) < 1.9
            if name not in STAYS | {"carpet"} and low.any():
                gap = np.linalg.norm(after.center[parts][low][:, None, :2] - clear.points, axis=2) - clear.radius
                assert gap.min() > 0


class TestRooms:
    @pytest.fixture(scope="class")
    def changes(self):
        """Furniture of rooms before and after, by the things themselves."""
        out = []
        for seed in range(8):
            plan = make_plan(seed, "rooms")
            for i in range(len(plan.rooms)):
                near = fixture(plan, i, 0.8)
                before = furnish(plan, i, near, 0.6)
                after = change_room(plan, i, before, near, KeepClear.nothing(), np.random.default_rng([seed, i]))
                out.append((before, after))
        return out

    def test_about_a_third_moves_and_a_tenth_goes_and_comes(self, changes):
        total = moved = gone = come = 0
        for before, after in changes:
            bodies = [body_of(t, T) for t, T in before]
            loose = [b for b in bodies if b.thing.label not in BUILT_IN and b.thing.place in ("floor", "top")]
            now = {}
            for thing, T in after:
                now.setdefault(id(thing), []).append(T)
            ids = {id(b.thing) for b in bodies}
            total += len(loose)
            gone += sum(id(b.thing) not in now for b in loose)
            moved += sum(id(b.thing) in now and not any(np.allclose(T, b.T) for T in now[id(b.thing)]) for b in loose)
            come += sum(id(t) not in ids for t, _ in after)
        assert total > 300
        assert 0.25 < moved / total < 0.5 and 0.05 < gone / total < 0.15 and 0.05 < come / total < 0.15

    def test_things_move_by_what_was_asked_for_or_turn(self, changes):
        shifted = turned = 0
        for before, after in changes:
            bodies = [body_of(t, T) for t, T in before]
            single = {id(t) for t, _ in before if sum(t is u for u, _ in before) == 1}
            new = {id(t): T for t, T in after if id(t) in single}
            for b in bodies:
                if id(b.thing) not in new or np.allclose(new[id(b.thing)], b.T) or host_of(b, bodies) is not None:
                    continue
                T = new[id(b.thing)]
                far = float(np.linalg.norm(T[:3, 3] - b.T[:3, 3]))
                angle = abs((math.atan2(T[1, 0], T[0, 0]) - b.yaw + math.pi) % (2 * math.pi) - math.pi)
                assert T[2, 3] == pytest.approx(b.T[2, 3]) and T[2, 2] == pytest.approx(1.0)
                assert SHIFT[0] - 1e-6 <= far <= SHIFT[1] + 1e-6 or (far < 1e-6 and angle > 0.45), (b.thing.label, far, angle)
                shifted, turned = shifted + (far > 1e-6), turned + (far <= 1e-6)
        assert shifted > 20 * turned and shifted > 50

    def test_things_that_lie_on_something_move_on_it_by_as_much(self, changes):
        moved = 0
        for before, after in changes:
            bodies = [body_of(t, T) for t, T in before]
            single = {id(t) for t, _ in before if sum(t is u for u, _ in before) == 1}
            new = {id(t): T for t, T in after if id(t) in single}
            for b in bodies:
                k = host_of(b, bodies)
                if k is None or id(b.thing) not in new or id(bodies[k].thing) not in new:
                    continue
                was, now = (np.linalg.inv(h) @ T for h, T in ((bodies[k].T, b.T), (new[id(bodies[k].thing)], new[id(b.thing)])))
                far = float(np.linalg.norm(was[:2, 3] - now[:2, 3]))
                assert far < 1e-6 or SHIFT[0] - 1e-6 <= far <= SHIFT[1] + 1e-6
                moved += far > 1e-6
        assert moved > 10

    def test_what_lies_on_something_lies_on_something_still(self, changes):
        lying = 0
        for before, after in changes:
            was, now = ([body_of(t, T) for t, T in things] for things in (before, after))
            lie = {id(b.thing) for b in was if host_of(b, was) is not None}
            on = [b for b in now if id(b.thing) in lie]
            lying += len(on)
            assert all(host_of(b, now) is not None for b in on if b.T[2, 3] > 0.02)
        assert lying > 50

    def test_what_stands_against_a_wall_stays_there(self, changes):
        plans = {s: make_plan(s, "rooms") for s in range(8)}
        checked = 0
        rooms = [(s, i) for s in plans for i in range(len(plans[s].rooms))]
        for (before, after), (seed, i) in zip(changes, rooms, strict=True):
            room = plans[seed].rooms[i]
            new = {id(t): T for t, T in after if sum(t is u for u, _ in before) == 1}
            for thing, T in before:
                if id(thing) in new and thing.against_wall and thing.place == "floor":
                    a, b = body_of(thing, T), body_of(thing, new[id(thing)])
                    gaps = [np.r_[x.low[:2] - room.low, room.high - x.high[:2]] for x in (a, b)]
                    side = int(np.argmin(gaps[0]))
                    if gaps[0][side] < 0.1 and not np.allclose(T, new[id(thing)]):
                        assert gaps[1][side] == pytest.approx(gaps[0][side], abs=1e-6)
                        checked += 1
        assert checked > 10

    def test_what_cannot_be_shifted_is_turned_in_its_place(self):
        plan = Plan(0.06, [Room(np.zeros(2), np.array([4.0, 4.0]), 2.5, "office", 1)])
        ring = np.array([[2 + 0.75 * math.cos(a), 2 + 0.75 * math.sin(a)] for a in np.linspace(0, 6.2, 60)])
        around = KeepClear(ring, np.full(len(ring), 0.35))  # no way out for what stands in the middle
        things = [(crate(0.4, 0.4, 0.8, "chair"), pose(2, 2, 0.2)), (crate(0.4, 0.4, 0.8, "table"), pose(0.6, 0.6, 0.0)),
                  (crate(0.4, 0.4, 0.8, "table"), pose(0.6, 3.0, 0.0))]
        turned = 0
        for seed in range(12):
            after = change_room(plan, 0, things, [], around, np.random.default_rng(seed))
            (T,) = [T for t, T in after if t is things[0][0]]
            np.testing.assert_allclose(T[:3, 3], (2, 2, 0), atol=1e-9)
            turned += not np.allclose(T, things[0][1])
        assert 2 <= turned <= 8  # a third of three things is one of them

    def test_host_of(self):
        table = body_of(crate(1, 1, 0.7, "table", supports=(Support((0.0, 0.0), 0.7, (0.5, 0.5)),)), pose(2, 1, 0.5))
        cup, beside = (body_of(crate(0.1, 0.1, 0.1, "cup", place="top"), pose(x, 1, 0, 0.7)) for x in (2.3, 3.0))
        lower = body_of(crate(0.1, 0.1, 0.1, "cup"), pose(2.3, 1, 0, 0.6))
        assert host_of(cup, [cup, table]) == 1 and host_of(beside, [table]) is None and host_of(lower, [table]) is None
        assert host_of(table, [table]) is None


class TestPath:
    def test_the_path_is_the_same_and_free(self):
        free_without = []
        for seed, change in ((12, 1), (12, 2), (21, 1)):
            options = {"duration_s": 40.0, "width": 32, "height": 24}
            before, after = (SimSource(seed, "rooms", change=c, **options) for c in (0, change))
            np.testing.assert_array_equal(before.path.T_world_base, after.path.T_world_base)
            assert [p.stamp_ns for p in before.ground_truth] == [p.stamp_ns for p in after.ground_truth]
            assert check_free(after.world, after.path).min() > 0
            free_without.append(check_free(build_world(seed, "rooms", change=change), before.path).min() > 0)
        assert not all(free_without)  # or the rule had nothing to do

    def test_a_path_that_is_blocked_is_refused(self, monkeypatch):
        monkeypatch.setattr(KeepClear, "is_hit_by", lambda self, body: False)
        with pytest.raises(ValueError, match="into the way"):
            for change in range(1, 9):
                SimSource(12, "rooms", duration_s=40.0, width=32, height=24, change=change)

    def test_ground_is_hit_by_what_stands_on_it_alone(self):
        clear = KeepClear(np.array([[1.0, 1.0], [1.5, 1.0]]), np.array([0.3, 0.3]))
        assert clear.is_hit_by(body_of(crate(0.2, 0.2, 1), pose(1.2, 1.35, 0.4)))
        assert not clear.is_hit_by(body_of(crate(0.2, 0.2, 1), pose(1.2, 1.5, 0)))
        assert not clear.is_hit_by(body_of(crate(0.2, 0.2, 0.2), pose(1.2, 1.0, 0, 2.05)))
        assert not clear.is_hit_by(body_of(crate(0.2, 0.2, 0.015), pose(1.2, 1.0, 0)))
        turned = clear.taken_by(pose(0, 0, math.pi / 2))
        np.testing.assert_allclose(turned.points, [[-1, 1], [-1, 1.5]], atol=1e-12)
        assert len(clear.within(np.array([1.79, 0.0]), np.array([3.0, 3.0])).points) == 1

    def test_the_ground_of_a_path_holds_kidnappings(self):
        from lsm_sim.events import Event

        path = plan_path(day(21, "rooms", 0), duration_s=20.0, seed=21, events=[Event("kidnap", 5.0, 1.0)])
        clear = KeepClear.of_path(path)
        away = path.T_world_base[path.jumps[0], :2, 3]
        assert np.linalg.norm(clear.points - away, axis=1).min() < 0.02 and (clear.radius > path.body.radius).all()

    def test_a_finished_world_has_no_other_day(self):
        with pytest.raises(ValueError, match="finished World"):
            SimSource(1, day(1, "room", 0), change=1)


class TestTruth:
    @pytest.mark.slow
    def test_images_depth_and_labels_are_of_the_day(self):
        options = {"duration_s": 20.0, "rate_hz": 2.0, "width": 64, "height": 48, "noise": False}
        before, after = (SimSource(21, "rooms", change=c, **options) for c in (0, 1))
        T = np.array([p.T_map_rig for p in after.ground_truth]) @ after.T_rig_cam["front"]
        old, new = (RayCaster([s.world]).cast([0] * len(T), T, s.intrinsics) for s in (before, after))
        most = int(((old.depth - new.depth).abs() > 0.03).float().mean((1, 2)).argmax())
        (frame,) = after.frame_set(most).frames
        np.testing.assert_array_equal(frame.depth, new.depth[most])
        np.testing.assert_array_equal(frame.labels, after.world.label[new.part[most]])
        assert (frame.depth != old.depth[most].numpy()).mean() > 0.1
        assert (frame.labels != before.world.label[old.part[most]]).mean() > 0.03
        assert after.facts["change"] == 1 and "change" not in before.facts and after.name == "rooms_21_1"
        assert "rooms 21, change 1:" in after.describe() and "rooms 21:" in before.describe()

    def test_noise_is_drawn_anew(self, monkeypatch):
        seeds, frames = [], []

        class Flat:
            def render(self, poses, camera, **options):
                seeds.append(options["seeds"])
                shape = (len(poses), camera.height, camera.width)
                seen = SimpleNamespace(image=np.full((*shape, 3), 90, np.uint8), depth=np.full(shape, 2.0, np.float32),
                                       labels=np.ones(shape, np.uint16))
                return SimpleNamespace(numpy=lambda: seen)

        monkeypatch.setattr(SimSource, "_ready", lambda self: Flat())
        for change in (0, 2, 2):
            frames.append(SimSource(5, "room", change=change, duration_s=1.0, width=64, height=48).frame_set(3).frames[0])
        assert seeds[0] != seeds[1] == seeds[2]
        assert not np.array_equal(frames[0].depth, frames[1].depth)
        np.testing.assert_array_equal(frames[1].depth, frames[2].depth)

    def test_drift_is_drawn_anew(self):
        before, after = (SimSource(5, "room", change=c, duration_s=4.0, width=64, height=48)._odometry for c in (0, 2))
        assert before.shape == after.shape and not np.array_equal(before, after)


class TestLight:
    def test_another_hour_is_another(self):
        for seed in range(200):
            rng = np.random.default_rng(seed)
            was = 0.0 if seed % 5 == 0 else float(rng.uniform(0.6, 1.0))
            assert 0 <= other_day(was, rng) <= 1 and abs(other_day(was, rng) - was) > 0.19

    def test_lamps_shine_otherwise_and_so_do_their_shades(self):
        glowing = Thing("lamp", (box((0, 0, 0), (1, 1, 1), Material(glow=1.0)), box((0, 0, 1), (1, 1, 2), GREY)),
                        lamp=Lamp(np.zeros(3), (0.9, 0.9, 0.9), 2.0))
        rng = np.random.default_rng(0)
        off, on = (relit(glowing, np.array([1.1, 1.0, 0.8]), share, rng) for share in (1.0, 0.0))
        assert off.lamp.power == pytest.approx(2.0 * OUT) and off.parts[0].material.glow == pytest.approx(OUT)
        assert on.lamp.power != 2.0 and on.lamp.color == pytest.approx((0.99, 0.9, 0.72)) and off.parts[1] is glowing.parts[1]
        plain = crate(1, 1, 1)
        assert relit(plain, np.ones(3), 1.0, rng) is plain
        assert all(abs(tint_of(np.random.default_rng(s))[0] - 1) > 0.05 for s in range(20))

    def test_no_lamp_is_out_at_night(self, monkeypatch):
        before = day(2, "rooms", 0)
        for hour, out in ((0.0, False), (0.9, True)):
            monkeypatch.setattr(generator, "other_day", lambda was, rng, hour=hour: hour)
            ratios = []
            for change in (1, 2, 3):
                after = {tuple(x.position): x for x in build_world(2, "rooms", change=change).lamps}
                ratios += [after[tuple(x.position)].power / x.power for x in before.lamps if tuple(x.position) in after]
            assert (min(ratios) < 0.1) == out and max(ratios) > 1.0

    def test_windows_have_the_same_shape_at_every_hour(self):
        o = Opening("window", (0, -1), 0, np.array([2.0, 0.0]), 1.2, 1.2, 0.9, None, 5)
        day_, night = window(o, 0.1, 0.9), window(o, 0.1, 0.0)
        assert [p.corners().tolist() for p in day_.parts] == [p.corners().tolist() for p in night.parts]
        assert day_.lamp is not None and night.lamp is None
