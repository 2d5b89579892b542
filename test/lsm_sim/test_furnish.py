# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Placement: what fits and what does not, ways that stay free, and things that stand on what is under them."""
from __future__ import annotations

import math
from collections import Counter

import cv2
import numpy as np
import pytest
from helpers.solids_of import holds, interpenetrations, made, part_bounds

from lsm_sim.furniture import FURNITURE, KINDS
from lsm_sim.furniture.parts import box
from lsm_sim.generator import WORLD_KINDS, build_world
from lsm_sim.layouts import make_plan
from lsm_sim.placement import Space, block, body_of, outline, overlap, pose
from lsm_sim.placer import MORE_KINDS, Placer
from lsm_sim.plan import Opening, Plan, Room
from lsm_sim.room_types import CLUTTER, FILL, KINDS_HERE, ON_TOP, ROOM_TYPES
from lsm_sim.sets import SETS, chair_at, desk_set
from lsm_sim.world import Material, Support, Thing, World

GREY = Material()


def crate(x: float, y: float, z: float, label: str = "box", **more) -> Thing:
    return Thing(label, (box((-x / 2, -y / 2, 0), (x / 2, y / 2, z), GREY),), **more)


def space(length: float = 4.0, width: float = 3.0, *openings: Opening) -> Space:
    plan = Plan(0.06, [Room(np.zeros(2), np.array([length, width]), 2.5, "office", 1)], list(openings))
    return Space(plan, 0)


def shut_door(side: int, center: tuple) -> Opening:
    return Opening("closed", (0, -1), side, np.array(center, float), 0.9, 2.0)


@pytest.mark.parametrize("x, yaw, shared", [(0.9, 0.0, True), (1.01, 0.0, False), (1.01, math.pi / 4, True),
                                            (1.3, math.pi / 4, False)])
def test_overlap_of_turned_boxes(x, yaw, shared):
    thing = crate(1, 1, 1)
    assert overlap(body_of(thing, pose(0, 0, 0)), body_of(thing, pose(x, 0, yaw))) is shared


def test_overlap_looks_at_heights_and_at_parts():
    table = Thing("table", (box((-0.5, -0.5, 0.7), (0.5, 0.5, 0.75), GREY), box((-0.5, -0.5, 0), (-0.4, -0.4, 0.7), GREY)))
    below, leg = body_of(crate(0.3, 0.3, 0.69), pose(0, 0, 0)), body_of(crate(0.3, 0.3, 0.69), pose(-0.45, -0.45, 0))
    placed = body_of(table, pose(0, 0, 0))
    assert not overlap(placed, below) and overlap(placed, leg)
    assert not overlap(placed, body_of(crate(0.3, 0.3, 0.2), pose(0, 0, 0, 0.75)))


def test_a_body_must_be_inside_the_room():
    s = space()
    assert s.fits(body_of(crate(1, 1, 1), pose(2, 1.5, 0)))
    assert not s.fits(body_of(crate(1, 1, 1), pose(0.4, 1.5, 0)))
    assert not s.fits(body_of(crate(1, 1, 2.6), pose(2, 1.5, 0)))


def test_floor_before_a_door_stays_free():
    s = space(4, 3, shut_door(0, (2, 0)))
    assert not s.fits(body_of(crate(0.3, 0.3, 0.5), pose(2, 0.3, 0)))
    assert s.fits(body_of(crate(0.3, 0.3, 0.5), pose(0.5, 0.3, 0)))


def test_ways_between_doors_stay_free():
    s = space(4, 2, shut_door(1, (4, 1)), shut_door(3, (0, 1)))
    assert s.can_walk()
    low = body_of(crate(0.6, 1.3, 0.5), pose(2, 0.7, 0))
    assert not s.can_walk(low) and not s.fits(low)
    assert s.can_walk(body_of(crate(0.6, 1.0, 0.5), pose(2, 0.52, 0)))
    above = Thing("lamp", (box((-0.3, -0.9, 1.95), (0.3, 0.9, 2.4), GREY),))
    assert s.can_walk(body_of(above, pose(2, 1, 0)))


def test_room_in_front_of_a_thing_is_kept_free():
    s = space()
    s.put(body_of(crate(0.5, 1.0, 1.0, front_room=0.6), pose(0.3, 1.5, 0)))
    assert not s.fits(body_of(crate(0.3, 0.3, 0.5), pose(0.8, 1.5, 0)))
    assert s.fits(body_of(crate(0.3, 0.3, 0.5), pose(0.8, 1.5, 0)), reserved=False)


def test_low_things_do_not_sink_into_carpets_and_furniture_may():
    s = space()
    s.put_below(body_of(crate(1, 1, 0.012, "carpet"), pose(2, 1.5, 0)))
    assert not s.fits(body_of(crate(0.2, 0.2, 0.1), pose(2, 1.5, 0)))
    assert s.fits(body_of(crate(0.2, 0.2, 0.8), pose(2, 1.5, 0)))
    assert not s.fits_below(body_of(crate(1, 1, 0.012, "carpet"), pose(2.5, 1.5, 0)))


def test_things_stand_with_their_back_to_the_wall():
    s = space()
    placer = Placer(s, np.random.default_rng(0))
    for side, inward in enumerate(((0, 1), (-1, 0), (0, -1), (1, 0))):
        T = placer.against(side, 1.5, crate(0.4, 0.8, 1.0), gap=0.02)
        np.testing.assert_allclose(T[:2, 0], inward, atol=1e-12)
        body = body_of(crate(0.4, 0.8, 1.0), T)
        gaps = np.r_[body.low[:2], s.room.high - body.high[:2]]
        assert np.isclose(gaps.min(), 0.02)


def test_on_top_stays_on_the_support():
    s = space()
    placer = Placer(s, np.random.default_rng(0))
    support = Support((0.1, 0.0), 0.7, (0.2, 0.3), 0.25)
    table = placer.put(crate(0.8, 0.8, 0.7, "table", supports=(support,)), pose(2, 1.5, 0.3))
    for _ in range(5):
        cup = placer.on_top(table, crate(0.08, 0.08, 0.1, "cup"))
        if cup is not None:
            local = np.linalg.inv(table.T) @ np.r_[cup.T[:3, 3], 1]
            assert np.isclose(local[2], 0.7) and (np.abs(local[:2] - support.center) <= np.array(support.half) - 0.03).all()
    assert sum(b.thing.label == "cup" for b in placer.placed) >= 2
    assert placer.on_top(table, crate(0.08, 0.08, 0.3)) is None
    assert placer.on_top(table, crate(0.5, 0.5, 0.1)) is None


def test_chairs_face_their_table():
    placer = Placer(space(6, 6), np.random.default_rng(0))
    table = placer.put(crate(0.8, 1.2, 0.7, "table"), pose(3, 3, 0.2))
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
        chair = chair_at(placer, table, crate(0.4, 0.4, 0.9, "chair"), axis, sign, 0.0)
        toward = table.T[:2, 3] - chair.T[:2, 3]
        assert chair.T[:2, 0] @ toward / np.linalg.norm(toward) > 0.8


def test_a_desk_gets_what_one_works_with():
    labels = Counter()
    for seed in range(12):
        s = space(5, 4)
        placer = Placer(s, np.random.default_rng(seed))
        desk = desk_set(placer)
        assert desk is not None
        labels.update({b.thing.label for b in placer.placed})
        for b in placer.placed:
            if b.thing.label == "monitor":
                assert b.T[:2, 0] @ desk.T[:2, 0] > 0.9
    assert labels["chair"] >= 9 and labels["keyboard"] >= 6 and labels["monitor"] >= 6


def test_room_types_name_what_there_is():
    for kind, lines in ROOM_TYPES.items():
        assert {name for name, _, _ in lines} <= set(FURNITURE) | set(SETS), kind
        assert set(FILL[kind]) <= set(FURNITURE) | set(SETS) and set(CLUTTER[kind]) <= set(FURNITURE)
    assert all(set(names) | {host} <= set(FURNITURE) for host, names in ON_TOP.items())
    for classes in KINDS_HERE.values():
        for name, kinds in classes.items():
            assert set(kinds) <= set(KINDS.get(name, ())) | {k for n, k in MORE_KINDS if n == name}


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_things_do_not_share_space(kind):
    for seed in range(3):
        assert not interpenetrations(made(seed, kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_things_do_not_share_space_in_many_worlds(kind):
    for seed in range(100, 112):
        assert not interpenetrations(build_world(seed, kind, clutter=1.0))


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_all_is_inside_its_rooms(kind):
    for seed in range(3):
        world = made(seed, kind)
        low, high = part_bounds(world)
        fixed = np.isin(np.array(world.things)[world.instance], ("wall", "floor", "ceiling", "door", "window"))
        held = np.zeros(len(world), bool)
        for zone in world.zones:
            held |= (low >= zone.low - 1e-3).all(1) & (high <= zone.high + 1e-3).all(1)
        assert (held | fixed).all()


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_what_stands_has_something_under_it(kind):
    """The lowest point of each thing is the floor, hangs on a wall or the ceiling, or is on top of another thing."""
    for seed in range(3):
        assert not list(floating(made(seed, kind)))


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_pictures_hang_on_walls(kind):
    """Behind the middle of every picture, across the nearest side of its room, there is wall."""
    seen = 0
    for seed in range(3):
        world = made(seed, kind)
        names = np.array(world.things)[world.instance]
        walls = np.flatnonzero(names == "wall")
        low, high = part_bounds(world)
        for instance in {int(i) for i in world.instance[names == "picture"]}:
            rows = world.instance == instance
            bottom, top = low[rows].min(0), high[rows].max(0)
            middle = (bottom + top) / 2
            zone = world.zones[world.zone_at(middle)]
            gaps = np.r_[(bottom - zone.low)[:2], (zone.high - top)[:2]]
            behind, axis = middle.copy(), int(np.argmin(gaps)) % 2
            behind[axis] = zone.low[axis] - 0.01 if np.argmin(gaps) < 2 else zone.high[axis] + 0.01
            assert any(holds(world, i, behind[None])[0] for i in walls)
            seen += 1
    assert seen


def floating(world: World):
    low, high = part_bounds(world)
    for instance, name in enumerate(world.things):
        rows = world.instance == instance
        if name in ("wall", "floor", "ceiling", "window", "door") or low[rows, 2].min() < 0.01:
            continue
        bottom, others = low[rows].min(0), ~rows
        top = high[rows].max(0)
        zone = world.zones[world.zone_at((bottom + top) / 2)]
        near_wall = min((bottom - zone.low)[:2].min(), (zone.high - top)[:2].min()) < 0.03
        if near_wall or top[2] > zone.high[2] - 0.01:
            continue
        middle = (bottom + top)[:2] / 2
        under = others & (np.abs(high[:, 2] - bottom[2]) < 0.012) & (low[:, :2] <= middle + 0.02).all(1) & \
            (high[:, :2] >= middle - 0.02).all(1)
        if not under.any():
            yield name, bottom


def walkable(world: World, radius: float = 0.375, cell: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Free cells of a grid for a disc of a radius; and the grid's origin."""
    low, high = part_bounds(world)
    origin = np.min([z.low[:2] for z in world.zones], axis=0) - 0.5
    size = np.ceil((np.max([z.high[:2] for z in world.zones], axis=0) + 0.5 - origin) / cell).astype(int)
    solid = np.zeros((size[1], size[0]), np.uint8)
    names = np.array(world.things)[world.instance]
    blocks = (low[:, 2] < 1.9) & (high[:, 2] > 0.03) & ~np.isin(names, ("floor", "ceiling"))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for i in np.flatnonzero(blocks):
        corners = (world.center[i] + (signs * world.half[i]) @ world.R[i].T)[:, :2]
        hull = cv2.convexHull(((corners - origin) / cell - 0.5).astype(np.float32))
        cv2.fillConvexPoly(solid, np.round(hull * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    distance = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * cell
    return distance >= radius - 1e-3, origin


def check_ways(world: World) -> None:
    free, origin = walkable(world)
    _, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    shared = None
    for doorway in world.doorways:
        column, row = np.round((doorway.center[:2] - origin) / 0.05 - 0.5).astype(int)
        here = set(np.unique(labels[row - 2:row + 3, column - 2:column + 3])) - {0}
        shared = here if shared is None else shared & here
        assert shared, (world.seed, world.kind, doorway)
    for zone in world.zones:
        a, b = np.ceil((zone.low[:2] - origin) / 0.05).astype(int), ((zone.high[:2] - origin) / 0.05).astype(int)
        part = labels[a[1]:b[1], a[0]:b[0]]
        assert np.bincount(part[part > 0]).max() * 0.0025 > 0.25


@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_one_can_walk_between_all_doorways(kind):
    for seed in range(4):
        check_ways(made(seed, kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORLD_KINDS)
def test_one_can_walk_between_all_doorways_of_many_worlds(kind):
    for seed in range(100, 130):
        world = build_world(seed, kind, clutter=1.0)
        check_ways(world)
        assert not list(floating(world))


def test_chairs_at_desks_look_at_them():
    facing = []
    for seed in range(8):
        plan = make_plan(seed, "room")
        if plan.rooms[0].kind == "office":
            world = build_world(seed, "room")
            assert {"desk", "chair"} <= set(world.things)
            facing.append(seed)
    assert facing


def test_block_and_outline():
    taken = block((0, 0), (1, 2), pose(1, 1, math.pi / 2), (0.0, 1.0))
    np.testing.assert_allclose(taken.low, [-1, 1, 0], atol=1e-9)
    np.testing.assert_allclose(taken.high, [1, 2, 1], atol=1e-9)
    low, high = outline(crate(1, 2, 3))
    np.testing.assert_allclose(np.r_[low, high], [-0.5, -1, 0, 0.5, 1, 3])
