# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rooms, doors, their names, and poses to go to, in grids made by hand and of simulated worlds."""
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm_ros.semantics.objects import Box, MapObject
from lsm_ros.semantics.regions import Pin, find_regions, goal_near, with_names
from lsm_ros.types import OccupancyMap
from lsm_sim.generator import build_world

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))
from meaning_rooms import regions_right, wall_grid  # noqa: E402

CELL = 0.1


def flat(door=0.9, width=8.0, height=4.0):
    """Two rooms side by side with a door of a width in metres between them; the right one is larger. Corner at (-1, 2)."""
    grid = np.zeros((int(height / CELL) + 2, int(width / CELL) + 2), np.int8)
    grid[[0, -1]] = grid[:, [0, -1]] = 100
    wall, half = int(3 / CELL), round(door / CELL / 2)
    middle = grid.shape[0] // 2
    grid[:, wall] = 100
    grid[middle - half:middle + half, wall] = 0
    return OccupancyMap(grid, -1.0, 2.0, CELL)


def thing(number, label, x, y, name=""):
    centre = np.array([x, y, 0.4])
    return MapObject(number, label, Box(centre, np.array([0.6, 0.6, 0.8]), 0.0), centre, 9, name=name)


def test_a_door_parts_two_rooms():
    found = find_regions(flat())
    large, small = found.regions
    assert (large.number, small.number) == (1, 2) and large.area > small.area > 10
    (door,) = found.doors
    assert door.regions == (1, 2) and door.width == pytest.approx(0.8, abs=0.25)
    assert np.allclose(door.centre, [2.05, 4.1], atol=0.3)
    assert found.at(np.array([0.0, 3.0, 1.0])) is small and found.at(np.array([4.0, 3.0])) is large
    with np.errstate(all="raise"):
        assert [found.at(np.array(p)) for p in ([1e30, 3.0], [np.nan, 3.0], [np.inf, 3.0])] == [None] * 3
    assert found.at(np.array([-9.0, 3.0])) is None and found.at(np.array([2.05, 2.5])) is None


def test_a_wide_passage_parts_nothing_and_furniture_neither():
    assert len(find_regions(flat(2.0)).regions) == 1
    grid = flat(0.9)
    grid.grid[10:15, 50:56] = 100
    assert [r.area for r in find_regions(grid).regions] == [r.area for r in find_regions(flat(0.9)).regions]


def test_a_niche_belongs_to_its_room():
    grid = np.full((40, 60), 100, np.int8)
    grid[5:35, 5:40] = 0
    grid[18:21, 40:44] = 0  # a slit to a closet of 0.64 square metres
    grid[16:24, 44:52] = 0
    (room,) = find_regions(OccupancyMap(grid, 0.0, 0.0, CELL)).regions
    assert room.area > 11.0


def test_outlines_surround_their_region_counter_clockwise():
    for region in find_regions(flat()).regions:
        x, y = region.outline.T
        assert np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2 == pytest.approx(region.area, rel=0.1)


def test_nothing_free_is_no_region():
    for value in (-1, 100):
        assert find_regions(OccupancyMap(np.full((20, 30), value, np.int8), 0.0, 0.0, CELL)).regions == ()
    assert find_regions(OccupancyMap(np.zeros((0, 0), np.int8), 0.0, 0.0, CELL)).regions == ()


@pytest.mark.parametrize(("kind", "seed"), [("rooms", 20002), ("corridor", 20003), ("lookalike", 20000), ("room", 20001)])
def test_rooms_of_worlds(kind, seed):
    world = build_world(seed, kind)
    right, rooms, regions = regions_right(world, wall_grid(world, 0.1))
    assert right > 0.95 and rooms == regions


def test_names_come_from_things_or_from_a_person():
    found = with_names(find_regions(flat()), [thing(1, "bed", 4, 4), thing(2, "sofa", 0, 4), thing(3, "sofa", 0, 3)])
    assert [r.name for r in found.regions] == ["bedroom", "living room"]
    found = with_names(found, [thing(1, "bed", 4, 4), thing(2, "bed", 0, 4)])
    assert [r.name for r in found.regions] == ["bedroom", "bedroom 2"]
    pins = [Pin("lab", np.array([4.0, 3, 0]), 0), Pin("off", np.array([90.0, 3, 0]), 0)]
    found = with_names(found, [thing(1, "bed", 4, 4)], pins)
    assert [r.name for r in found.regions] == ["lab", "room"]
    corridor = np.full((14, 202), 100, np.int8)
    corridor[1:-1, 1:-1] = 0
    assert with_names(find_regions(OccupancyMap(corridor, 0.0, 0.0, CELL)), []).regions[0].name == "corridor"


def test_geojson_has_regions_and_doors():
    found = find_regions(flat()).to_geojson()
    kinds = [(f["geometry"]["type"], f["properties"]["kind"]) for f in found["features"]]
    assert found["type"] == "FeatureCollection" and kinds == [("Polygon", "region")] * 2 + [("Point", "door")]
    ring = found["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] and found["features"][2]["properties"]["regions"] == [1, 2]


# goals

OUTLINE = Box(np.array([5.0, 4.0, 0.4]), np.array([0.6, 0.6, 0.8]), 0.0).corners
ROBOT = np.array([0.0, 4.0])


def furnished(**options):
    """The flat with a table at OUTLINE."""
    grid = flat(**options)
    grid.grid[17:24, 57:64] = 100
    return grid


def test_a_goal_is_free_and_near_and_faces_the_thing():
    goal = goal_near(furnished(), OUTLINE, ROBOT, 0.3, 0.7)
    off = np.array([5.0, 4.0]) - (goal.x, goal.y)
    assert 0.8 < np.linalg.norm(off) < 1.4 and goal.clearance > 0.3
    assert goal.yaw == pytest.approx(math.atan2(off[1], off[0])) and goal.x < 5  # on the robot's side


def test_a_goal_in_a_region_is_inside_of_it():
    found = find_regions(furnished())
    goal = goal_near(furnished(), found.regions[1].outline, np.array([5.0, 3.0]), 0.3, 0.0, inside=True)
    assert found.at(np.array([goal.x, goal.y])).number == 2 and goal.clearance > 0.5


@pytest.mark.parametrize(("grid", "outline", "robot", "radius", "says"), [
    (furnished(), OUTLINE, np.array([50.0, 4.0]), 0.3, "stands where the map shows no free way"),
    (furnished(door=0.4), OUTLINE, ROBOT, 0.3, "no way leads there"),
    (furnished(), OUTLINE, ROBOT, 2.5, "shows no free way of 2.5 m"),
    (furnished(), OUTLINE + 50, ROBOT, 0.3, "it lies outside of the map")])
def test_goals_that_cannot_be_reached_are_refused_with_the_reason(grid, outline, robot, radius, says):
    with pytest.raises(ValueError, match=says):
        goal_near(grid, outline, robot, radius, 0.7)


def test_a_goal_in_unknown_space_is_refused():
    grid = furnished()
    grid.grid[:, 35:] = -1
    with pytest.raises(ValueError, match="the map shows no free place there"):
        goal_near(grid, OUTLINE, ROBOT, 0.3, 0.7)
    grid.grid[20, 50:56] = 0  # a slit
    with pytest.raises(ValueError, match="no place there has 0.3 m of free space"):
        goal_near(grid, OUTLINE, ROBOT, 0.3, 0.7)


def test_a_robot_close_to_a_wall_may_leave():
    for robot in ([-0.85, 2.15], [4.0, 2.6]):
        assert goal_near(furnished(), OUTLINE, np.array(robot), 0.3, 0.7).clearance > 0.3


def test_a_robot_may_stand_where_nothing_was_seen_but_not_behind_a_wall():
    grid = furnished()
    grid.grid[:, :8] = -1
    assert goal_near(grid, OUTLINE, np.array([-0.6, 4.0]), 0.3, 0.7).clearance > 0.3
    grid.grid[:, 7] = 100
    with pytest.raises(ValueError, match="stands where the map shows no free way"):
        goal_near(grid, OUTLINE, np.array([-0.6, 4.0]), 0.3, 0.7)
