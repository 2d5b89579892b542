# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Whole worlds: the same from the same seed, various over seeds, copies that agree, people that walk freely."""
from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from helpers.solids_of import GRID, holds, made, part_bounds, twins

from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.labels import indoor_labels
from lsm_sim.layouts import make_plan
from lsm_sim.movers import segment_distance, walk
from lsm_sim.world import World

ARRAYS = ("shape", "center", "R", "half", "taper", "label", "instance", "mover", "material")


def same(a: World, b: World) -> bool:
    return len(a) == len(b) and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ARRAYS) and \
        a.materials == b.materials and a.things == b.things


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_the_same_seed_makes_the_same_world(kind):
    a = build_world(3, kind, movers=1)
    assert same(a, build_world(3, kind, movers=1))
    assert not same(a, build_world(4, kind, movers=1))
    assert all(np.array_equal(m.poses, n.poses) for m, n in
               zip(a.movers, build_world(3, kind, movers=1).movers, strict=True))


@pytest.mark.parametrize("seed", [True, 1.0, -1, "1", None, np.float64(2)])
def test_a_seed_of_another_type_is_refused(seed):
    with pytest.raises(ValueError, match="seed is a whole number"):
        build_world(seed)


def test_numpy_integers_are_seeds():
    assert same(build_world(np.int64(2)), build_world(2))


@pytest.mark.parametrize("arguments, what", [
    ({"kind": "castle"}, "castle"), ({"movers": -1}, "movers"), ({"movers": 1.5}, "movers"), ({"movers": True}, "movers"),
    ({"clutter": 1.5}, "clutter"), ({"clutter": "much"}, "clutter"), ({"clutter": float("nan")}, "clutter"),
    ({"size": (1.5, 4)}, "too small"), ({"size": (4, "x")}, "size"), ({"size": 4}, "size"), ({"size": (4, 4, 1.9)}, "1.9"),
    ({"size": (400, 4)}, "too large"), ({"kind": "loop", "size": (3, 3)}, "too small"),
    ({"kind": "room", "movers": 60}, "fewer")])
def test_arguments_out_of_range_are_named(arguments, what):
    with pytest.raises(ValueError, match=what):
        build_world(0, **arguments)


@pytest.mark.parametrize("kind, size", [("room", (3.0, 5.0)), ("room", (6.0, 4.0, 3.1)), ("corridor", (9.0, 1.5)),
                                        ("rooms", (9.0, 6.0)), ("loop", (7.0, 6.0)), ("lookalike", (8.0, 8.0, 2.6))])
def test_size_is_that_of_the_inside(kind, size):
    world = build_world(1, kind, size=size)
    zones = [z for z in world.zones if kind not in ("loop", "lookalike") or z.kind == "corridor"]
    extent = np.max([z.high for z in zones], axis=0) - np.min([z.low for z in zones], axis=0)
    np.testing.assert_allclose(extent[:2], size[:2], atol=1e-5)
    if len(size) == 3:
        assert all(np.isclose(z.high[2], size[2]) for z in zones)


@pytest.mark.parametrize("kind, size", [("room", (2.2, 2.2)), ("corridor", (4.0, 1.3)), ("rooms", (5.0, 2.4)),
                                        ("loop", (3.8, 3.8)), ("lookalike", (3.8, 3.8))])
def test_the_smallest_size_can_be_built(kind, size):
    for seed in range(6):
        assert build_world(seed, kind, size=size).lamps


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_worlds_are_lit_labelled_and_of_a_fair_size(kind):
    names = indoor_labels().names
    for seed in range(3):
        world = made(seed, kind)
        for zone in world.zones:
            inside = [lamp for lamp in world.lamps if (lamp.position >= zone.low).all() and (lamp.position <= zone.high).all()]
            assert inside, (seed, zone)
        assert len({z.ambient for z in world.zones}) > 1 or len(world.zones) <= 4
        assert 60 <= len(world) / len(world.zones) <= 900
        assert [names[int(i)] for i in np.unique(world.label)]
        for i in (0, len(world) // 2, len(world) - 1):
            assert 0 <= world.instance[i] < len(world.things)


@pytest.mark.slow
def test_many_classes_many_times_over_48_seeds():
    things: Counter = Counter()
    for seed in range(48):
        things.update(build_world(seed, ("room", "rooms", "corridor")[seed % 3]).things)
    often = [name for name, count in things.items() if count >= 12]
    assert len(often) >= 25, sorted(things.items(), key=lambda t: -t[1])


@pytest.mark.slow
def test_every_class_but_void_appears():
    seen: set = set()
    for seed in range(40):
        for kind in WORLD_KINDS:
            world = build_world(seed, kind)
            seen |= {world.label_space.names[int(i)] for i in np.unique(world.label)}
    assert set(indoor_labels().names.values()) - seen == {"void"}


def test_clutter_adds_small_things():
    bare = sum(len(build_world(s, clutter=0.0).things) for s in range(6))
    full = sum(len(build_world(s, clutter=1.0).things) for s in range(6))
    assert full > 1.4 * bare


def contents(world: World, i: int, T: np.ndarray) -> list[tuple]:
    """Parts whose middle is in zone i, taken by T (4, 4), as rows to compare: classes, sizes, looks, places."""
    zone, names = world.zones[i], np.array(world.things)[world.instance]
    inside = ((world.center > zone.low - 1e-3) & (world.center < zone.high + 1e-3)).all(1) & (names != "door")
    centers = world.center[inside] @ T[:3, :3].T + T[:3, 3]
    turned = T[:3, :3] @ world.R[inside]
    rows = zip(names[inside], map(tuple, world.material[inside]), map(tuple, np.round(world.half[inside], 6)),
               map(tuple, np.round(centers, 4) + 0.0), turned, strict=True)
    return sorted(rows, key=lambda r: (r[0], r[1], r[2], tuple(np.round(r[3], 2))))


def test_lookalike_zones_are_equal_up_to_turns():
    for seed in range(8):
        plan, world = make_plan(seed, "lookalike"), build_world(seed, "lookalike")
        for group in twins(plan):
            for j in group[1:]:
                theirs = contents(world, group[0], plan.T_copy_source(j))
                own = contents(world, j, np.eye(4))
                assert len(own) == len(theirs) > 15
                for a, b in zip(theirs, own, strict=True):
                    assert a[:3] == b[:3]
                    np.testing.assert_allclose(a[3], b[3], atol=2e-4)
                    np.testing.assert_allclose(a[4], b[4], atol=1e-6)


def test_zones_that_are_no_copies_differ():
    world = made(0, "loop")
    assert len({tuple(contents(world, i, np.eye(4))[0][2]) + (len(contents(world, i, np.eye(4))),)
                for i in range(len(world.zones))}) == len(world.zones)


def test_a_room_is_built_in_time():
    build_world(0)
    times = []
    for seed in range(1, 8):
        start = time.process_time()
        build_world(seed)
        times.append(time.process_time() - start)
    assert np.median(times) < 0.5


def test_walk_goes_to_and_fro_at_its_speed():
    mover = walk(np.array([0.0, 0.0]), np.array([3.0, 4.0]), 0.5, 0.3)
    np.testing.assert_array_equal(mover.poses[0], mover.poses[-1])
    assert mover.times[0] == 0 and (np.diff(mover.times) > 0).all()
    stamps = np.linspace(0, mover.times[-1], 2000)
    poses = np.array([mover.pose(t) for t in stamps])
    spots = poses[:, :2, 3]
    speed = np.linalg.norm(np.diff(spots, axis=0), axis=1) / np.diff(stamps)
    assert speed.max() < 0.51 and np.median(speed) > 0.49
    np.testing.assert_allclose([spots.min(), spots.max()], [0, 4], atol=0.02)
    ahead = (np.diff(spots, axis=0) * poses[:-1, :2, 0]).sum(1) / np.diff(stamps)
    assert (ahead[speed > 0.45] > 0.44).all()


def test_segment_distance():
    a, b = np.array([0.0, 0.0]), np.array([1.0, 0.0])
    assert segment_distance(a, b, np.array([0.0, 1.0]), np.array([1.0, 1.0])) == pytest.approx(1.0)
    assert segment_distance(a, b, np.array([0.5, -1.0]), np.array([0.5, 1.0])) < 0.03


@pytest.mark.parametrize("kind, count", [("room", 1), ("corridor", 1), ("rooms", 2), ("loop", 3), ("lookalike", 1)])
def test_people_walk_without_meeting_anything(kind, count):
    for seed in range(2):
        world = build_world(seed, kind, movers=count)
        assert len(world.movers) == count and (world.mover >= 0).any()
        assert set(np.array(world.things)[world.instance[world.mover >= 0]]) == {"person"}
        low, high = part_bounds(world)
        for k, mover in enumerate(world.movers):
            rows = np.flatnonzero(world.mover == k)
            for t in np.linspace(0, mover.times[-1], 25):
                T = mover.pose(t)
                points = np.concatenate([world.center[i] + (0.7 * GRID * world.half[i]) @ world.R[i].T for i in rows])
                points = points @ T[:3, :3].T + T[:3, 3]
                assert all(world.zone_at(p) >= 0 for p in points[::25])
                near = (low < points.max(0)).all(1) & (high > points.min(0)).all(1) & (world.mover < 0)
                names = np.array(world.things)[world.instance]
                for i in np.flatnonzero(near & ~np.isin(names, ("carpet", "floor"))):
                    assert not holds(world, i, points).any()
        for a in range(count):
            for b in range(a):
                apart = [np.linalg.norm(world.movers[a].pose(t)[:2, 3] - world.movers[b].pose(t)[:2, 3])
                         for t in np.linspace(0, 60, 100)]
                assert min(apart) > 0.9
