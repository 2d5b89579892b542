# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Floor plans: what they promise to furniture and paths, over many seeds."""
from __future__ import annotations

import numpy as np
import pytest
from helpers.solids_of import twins

from lsm_sim.layouts import LAYOUTS, RING_LENGTH, RING_WIDTH, make_plan
from lsm_sim.plan import Opening, Plan, Room, check_plan, free_stretches, on_side, subtract
from lsm_sim.shell import build_shell
from lsm_sim.world import Shape

KINDS = sorted(LAYOUTS)
SEEDS = range(40)


def room(low: tuple, high: tuple, **more) -> Room:
    return Room(np.array(low, float), np.array(high, float), 2.5, more.pop("kind", "office"), 1, **more)


def plans(kind: str):
    return [make_plan(seed, kind) for seed in SEEDS]


def test_subtract_cuts_intervals():
    assert subtract([(0.0, 4.0)], 1.0, 2.0) == [(0.0, 1.0), (2.0, 4.0)]
    assert subtract([(0.0, 4.0)], -1.0, 2.0) == [(2.0, 4.0)]
    assert subtract([(0.0, 1.0), (2.0, 3.0)], -1.0, 5.0) == []
    assert subtract([(0.0, 1.0)], 1.0, 2.0) == [(0.0, 1.0)]


def test_free_stretches_leave_openings_and_corners():
    plan = Plan(0.06, [room((0, 0), (5, 4))])
    plan.openings = [Opening("window", (0, -1), 0, np.array([2.0, 0.0]), 1.0, 1.0, 1.0)]
    assert free_stretches(plan, 0, 0, 0.1) == [(0.1, 1.4), (2.6, 4.9)]
    assert free_stretches(plan, 0, 0, 0.1, windows=False) == [(0.1, 4.9)]
    assert free_stretches(plan, 0, 2, 0.1) == [(0.1, 4.9)]


def test_free_stretches_outside_leave_neighbours():
    plan = Plan(0.06, [room((0, 0), (5, 4)), room((1, 4.12), (3, 6))])
    free = free_stretches(plan, 0, 2, 0.1, outside=True)
    np.testing.assert_allclose(free, [(0.1, 0.6), (3.4, 4.9)])


@pytest.mark.parametrize("second, what", [(room((4.9, 0), (8, 4)), "apart"), (room((5.05, 0), (8, 4)), "apart")])
def test_check_plan_refuses_rooms_without_space_for_walls(second, what):
    with pytest.raises(ValueError, match=what):
        check_plan(Plan(0.06, [room((0, 0), (5, 4)), second]))


def test_check_plan_refuses_an_opening_beyond_its_side():
    plan = Plan(0.06, [room((0, 0), (5, 4))])
    plan.openings = [Opening("window", (0, -1), 0, np.array([4.8, 0.0]), 1.0, 1.0, 1.0)]
    with pytest.raises(ValueError, match="leaves the side"):
        check_plan(plan)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_plan(kind):
    a, b, other = make_plan(5, kind), make_plan(5, kind), make_plan(6, kind)
    assert repr(a) == repr(b) != repr(other)


@pytest.mark.parametrize("kind", KINDS)
def test_all_rooms_can_be_reached(kind):
    for plan in plans(kind):
        reached, before = {0}, set()
        while reached != before:
            before = set(reached)
            for o in plan.openings:
                if o.kind in ("door", "passage") and reached & set(o.zones):
                    reached |= {z for z in o.zones if z >= 0}
        assert reached == set(range(len(plan.rooms)))


@pytest.mark.parametrize("kind", KINDS)
def test_doors_are_as_wide_and_high_as_doors_are(kind):
    for plan in plans(kind):
        doors = [o for o in plan.openings if o.kind == "door"]
        assert all(0.85 <= o.width <= 1.2 and 2.0 <= o.height <= 2.1 for o in doors)
        for o in doors:
            a, b = (plan.rooms[z] for z in o.zones)
            inside_a, inside_b = on_side(a, o.side, o.center[1 - o.axis], -0.1), on_side(a, o.side, o.center[1 - o.axis],
                                                                                        2 * plan.wall + 0.1)
            assert a.holds(inside_a) and b.holds(inside_b)
            middle = on_side(a, o.side, o.center[1 - o.axis], plan.wall)
            np.testing.assert_allclose(o.center, middle, atol=1e-5)


def test_windows_look_outdoors():
    for kind in KINDS:
        for plan in plans(kind)[:15]:
            for o in plan.openings:
                if o.kind == "window":
                    for out in np.linspace(0.01, 1.5, 12):
                        for along in np.linspace(-o.width / 2, o.width / 2, 5):
                            spot = on_side(plan.rooms[o.zones[0]], o.side, o.center[1 - o.axis] + along, out)
                            assert plan.zone_at(spot) < 0


def ring(plan: Plan) -> list[Room]:
    return [r for r in plan.rooms if r.kind == "corridor"]


def test_rings_are_ten_to_sixty_metres_long():
    lengths = []
    for seed in range(80):
        rooms = ring(make_plan(seed, "loop"))
        assert len(rooms) == 4
        widths = [float((r.high - r.low).min()) for r in rooms]
        low, high = np.min([r.low for r in rooms], axis=0), np.max([r.high for r in rooms], axis=0)
        assert all(RING_WIDTH[0] - 1e-6 <= w <= RING_WIDTH[1] + 1e-6 and abs(w - widths[0]) < 1e-6 for w in widths)
        lengths.append(2 * float((high - low - widths[0]).sum()))
    assert min(lengths) >= RING_LENGTH[0] and max(lengths) <= RING_LENGTH[1]
    assert min(lengths) < 16 and max(lengths) > 45


def test_a_ring_is_closed():
    for plan in plans("loop"):
        joined = [set(o.zones) for o in plan.openings if o.kind == "passage"]
        assert all({k, (k + 1) % 4} in joined for k in range(4))


def test_lookalike_plans_have_copies_that_agree_with_their_source():
    for plan in plans("lookalike"):
        assert twins(plan) and all(len(group) >= 2 for group in twins(plan))
        for group in twins(plan):
            for j in group[1:]:
                T = plan.T_copy_source(j)
                corners = np.array([plan.rooms[group[0]].low, plan.rooms[group[0]].high]) @ T[:2, :2].T + T[:2, 3]
                np.testing.assert_allclose(corners.min(0), plan.rooms[j].low, atol=1e-6)
                np.testing.assert_allclose(corners.max(0), plan.rooms[j].high, atol=1e-6)
                theirs = sorted((o.kind, *np.round(T[:2, :2] @ o.center + T[:2, 3], 4), o.width)
                                for o, _ in plan.of_room(group[0]))
                own = sorted((o.kind, *np.round(o.center, 4), o.width) for o, _ in plan.of_room(j))
                assert [t[0] for t in theirs] == [t[0] for t in own]
                np.testing.assert_allclose([t[1:] for t in theirs], [t[1:] for t in own], atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_walls_neither_overlap_nor_stand_in_rooms(kind):
    for seed in range(12):
        plan = make_plan(seed, kind)
        boxes = [(p.center - p.half, p.center + p.half) for i, r in enumerate(plan.rooms)
                 if r.source is None for t in build_shell(plan, i, r.style) for p in t.parts]
        low, high = (np.array(v) for v in zip(*boxes, strict=True))
        shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
        shared[np.arange(len(low)), np.arange(len(low))] = 0
        # Boards at the foot of walls stand on floors; nothing else shares more than its faces.
        assert (shared.min(2) < 2e-5).all()
        for r in plan.rooms:
            inside = np.minimum(high, np.r_[r.high, r.height]) - np.maximum(low, np.r_[r.low, 0])
            assert (np.sort(inside, axis=1)[:, 0] < 0.02).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_ray_leaves_but_through_windows_and_doors(kind):
    """Rays from inside end at a wall, a floor or a ceiling, or in an opening of the plan."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        plan = make_plan(seed, kind)
        parts = []
        for i, r in enumerate(plan.rooms):
            source, T = (i if r.source is None else r.source), plan.T_copy_source(i)
            for thing in build_shell(plan, source, plan.rooms[source].style):
                for p in thing.parts:
                    assert p.shape == Shape.BOX
                    half = np.abs(T[:3, :3]) @ p.half
                    parts.append((T[:3, :3] @ p.center + T[:3, 3] - half, T[:3, :3] @ p.center + T[:3, 3] + half))
        low, high = (np.array(v) for v in zip(*parts, strict=True))
        for r in plan.rooms:
            origin = rng.uniform(np.r_[r.low, 0.1] + 0.05, np.r_[r.high, r.height - 0.1] - 0.05)
            directions = rng.normal(size=(300, 3))
            t = exits(low, high, origin, directions)
            for miss in directions[~np.isfinite(t)]:
                assert crosses_opening(plan, origin, miss)


def exits(low: np.ndarray, high: np.ndarray, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    a, b = (low - origin)[None] / directions[:, None], (high - origin)[None] / directions[:, None]
    near, far = np.minimum(a, b).max(2), np.maximum(a, b).min(2)
    return np.where((near <= far) & (far > 0), np.maximum(near, 0), np.inf).min(1)


def crosses_opening(plan: Plan, origin: np.ndarray, direction: np.ndarray) -> bool:
    for o in plan.openings:
        if o.kind != "window":
            continue
        t = (o.center[o.axis] - origin[o.axis]) / direction[o.axis]
        hit = origin + t * direction
        if t > 0 and abs(hit[1 - o.axis] - o.center[1 - o.axis]) <= o.width / 2 and o.sill <= hit[2] <= o.sill + o.height:
            return True
    return False
