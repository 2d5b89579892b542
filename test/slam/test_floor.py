# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Floors below cameras that are upright, and in maps of cameras that are mounted in any way."""
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp, transform_points
from lsm_ros.slam.floor import (
    AT_ONCE,
    FEWEST,
    KEPT,
    MOST_SEEN,
    POINTS,
    TURNED,
    FloorByTurning,
    Turning,
    _same,
    find_floor,
    floor_height,
    upright,
)


def room(height: float, tilt: tuple[float, float], floor: bool = True, table: bool = False, seed: int = 0):
    """Points of a floor (and a table) below a camera that is tilted by roll and pitch; returns them and the true pose."""
    rng = np.random.default_rng(seed)
    parts = [np.c_[np.full(600, 4.0), rng.uniform(-2, 2, 600), rng.uniform(0, 2.5, 600)]]  # a wall
    if floor:
        parts.append(np.c_[rng.uniform(0.8, 4, 900), rng.uniform(-2, 2, 900), np.zeros(900)])
    if table:
        parts.append(np.c_[rng.uniform(1, 2, 1200), rng.uniform(-0.6, 0.6, 1200), np.full(1200, 0.75)])
    points = np.concatenate(parts) + 0.004 * rng.standard_normal((sum(map(len, parts)), 3))
    T_floor_rig = se3_exp([0, 0, height, tilt[0], tilt[1], 0])
    T_floor_rig[2, 3] = height
    return transform_points(se3_inverse(T_floor_rig), points), T_floor_rig


@pytest.mark.parametrize("height", [0.4, 1.4])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.2, -0.3), (-0.1, 0.5)])
def test_finds_height_and_tilt(height, tilt):
    points, T_true = room(height, tilt)
    T = find_floor(points)
    assert T[2, 3] == pytest.approx(height, abs=0.02)
    up = T[:3, :3].T @ [0, 0, 1]  # in the rig
    assert up @ (T_true[:3, :3].T @ [0, 0, 1]) > np.cos(0.02)


def test_a_table_above_the_floor_is_not_the_floor():
    points, _ = room(1.4, (0.1, 0.1), table=True)
    assert find_floor(points)[2, 3] == pytest.approx(1.4, abs=0.03)


def test_no_floor_in_view():
    points, _ = room(1.4, (0.0, 0.0), floor=False)
    assert find_floor(points) is None
    assert find_floor(np.zeros((3, 3))) is None
    assert find_floor(np.full((500, 3), np.nan)) is None


@pytest.mark.parametrize("up", [[0, 0, 1.0], [0, 0, -1.0], [1.0, 0, 0], [0.6, -0.48, 0.64]])
def test_upright(up):
    R = upright(np.array(up))
    np.testing.assert_allclose(R @ up, [0, 0, 1], atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


def test_upright_turns_no_more_than_it_must():
    np.testing.assert_allclose(upright(np.array([0.6, 0.0, 0.8])) @ [0, 1, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_the_height_of_a_camera_in_any_unit(scale):
    points, _ = room(1.2, (0.1, -0.2))
    assert floor_height(scale * points) == pytest.approx(1.2 * scale, rel=0.02)


def test_no_height_without_a_floor():
    assert floor_height(room(1.2, (0.0, 0.0), floor=False)[0]) is None
    assert floor_height(np.zeros((0, 3))) is None and floor_height(np.zeros((300, 3))) is None


# by turning

MOUNTED = {"upright": 0.0, "on its left": np.pi / 2, "on its right": -np.pi / 2, "upside down": np.pi, "rolled": 0.5}
SIZE = np.array([4.0, 3.0, 2.4])


def box(floor=True, ceiling=False, seed=0):
    """Points of the walls of a room of 4 x 3 x 2.4 m, its floor at z = 0, and what is to be seen of the other two."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, 1, (12000, 3)) * SIZE
    side = np.arange(12000) % 6
    for axis in range(3):
        p[side == 2 * axis, axis], p[side == 2 * axis + 1, axis] = 0.0, SIZE[axis]
    return p[(side < 4) | ((side == 4) & floor) | ((side == 5) & ceiling)] + 0.004 * rng.standard_normal((12000, 3))[
        (side < 4) | ((side == 4) & floor) | ((side == 5) & ceiling)]


def views(yaws, mounted=0.0, nod=0.0, points=None, height=1.2):
    """Poses T_map_rig (4, 4) and what rigs see, 90 degrees around ahead; nod: amplitude of their pitch. The map begins at the
    first rig, and T_map_world (4, 4) comes with them."""
    points, out, T_map_world = box() if points is None else points, [], None
    for k, yaw in enumerate(yaws):
        T_world_body = make_se3(so3_exp([0, 0, yaw]) @ so3_exp([0, 0.25 + nod * np.sin(1.7 * k), 0]),
                                [2 - np.cos(yaw), 1.5 - np.sin(yaw), height])
        T_world_rig = T_world_body @ make_se3(so3_exp([mounted, 0, 0]), np.zeros(3))
        T_map_world = se3_inverse(T_world_rig) if T_map_world is None else T_map_world
        ahead = transform_points(se3_inverse(T_world_body), points)
        seen = np.abs(ahead[:, 1:]).max(1) < ahead[:, 0]
        out.append((T_map_world @ T_world_rig, transform_points(se3_inverse(T_world_rig), points[seen])))
    return out, T_map_world


def found_in(seen):
    """The floor, and the number of keyframes after which it was found."""
    floors, poses = FloorByTurning(0), {}
    for k, (T, points) in enumerate(seen):
        poses[k] = T
        floors.add(k, points)
        T_floor_map = floors.find(poses)
        if T_floor_map is not None:
            return T_floor_map, k + 1, floors
    return None, len(seen), floors


@pytest.mark.parametrize("nod", [0.0, 0.1])
@pytest.mark.parametrize("mounted", MOUNTED)
def test_a_camera_that_turns_finds_the_floor_however_it_is_mounted(mounted, nod):
    seen, T_map_world = views(np.arange(0, 2.6, 0.2), MOUNTED[mounted], nod)
    T_floor_map, count, _ = found_in(seen)
    np.testing.assert_allclose((T_floor_map @ T_map_world)[2], [0, 0, 1, 0], atol=0.02)
    first = 12 if mounted.startswith("on its") else 7  # keyframes until it has turned so far; few are looked at in each
    assert first <= count <= first + 2


@pytest.mark.parametrize("mounted", MOUNTED)
def test_a_wall_is_never_the_floor(mounted):
    """Neither floor nor ceiling is in view, but walls on all sides."""
    seen, _ = views(np.arange(0, 2 * np.pi, 0.2), MOUNTED[mounted], points=box(floor=False))
    T_floor_map, _, floors = found_in(seen)
    assert T_floor_map is None and "few keyframes show a floor" in floors.reason


@pytest.mark.parametrize("mounted", ["on its left", "upside down"])
def test_before_it_has_turned_a_wall_could_be_the_floor(mounted):
    """As on a robot that drives along it."""
    straight, _ = views([0.0] * 12, MOUNTED[mounted])
    assert find_floor(straight[0][1]) is not None or mounted == "upside down"
    T_floor_map, _, floors = found_in(straight)
    assert T_floor_map is None and "once the camera has turned around" in floors.reason


@pytest.mark.parametrize(("mounted", "pitch"), [("upright", 1.0), ("on its left", 0.55), ("upside down", 1.0)])
def test_a_camera_that_nods_has_not_turned(mounted, pitch):
    """A wall beside it could be the floor: the axis is level."""
    points, out = box(), []
    points = points[(points[:, 1] < 2.9) | (points[:, 2] < 0.1)]
    for angle in np.linspace(-pitch, pitch, 12):
        T_world_rig = make_se3(so3_exp([0, angle, 0]) @ so3_exp([MOUNTED[mounted], 0, 0]), [2.0, 0.8, 1.2])
        out.append((T_world_rig, transform_points(se3_inverse(T_world_rig), points)))
    T_floor_map, _, floors = found_in(out)
    assert T_floor_map is None and "once the camera has turned around" in floors.reason


def test_floor_and_ceiling_that_show_alike_are_not_told_apart():
    seen, _ = views(np.arange(0, 2.6, 0.2), points=box(ceiling=True))
    T_floor_map, _, floors = found_in([(T, points) for T, points in seen])
    assert T_floor_map is None and "may be the ceiling" in floors.reason


def test_several_keyframes_have_to_agree():
    seen, _ = views(np.arange(0, 1.9, 0.2))
    bare = box(floor=False)
    without, _ = views(np.arange(0, 1.9, 0.2), points=bare)
    mixed = [seen[k] if k >= len(seen) - FEWEST + 1 else without[k] for k in range(len(seen))]
    assert found_in(mixed)[0] is None
    mixed = [seen[k] if k >= len(seen) - FEWEST else without[k] for k in range(len(seen))]
    assert found_in(mixed)[0] is not None
    lower, _ = views(np.arange(0, 1.9, 0.2), points=box() - [0, 0, 0.5])
    assert found_in([seen[k] if k % 3 == 0 else lower[k] if k % 3 == 1 else without[k] for k in range(6)])[0] is None


def test_turning_is_the_axis_of_the_keyframes_and_how_far():
    poses = np.stack([T for T, _ in views(np.arange(0, 1.01, 0.1), MOUNTED["on its left"])[0]])
    turning = Turning.of(poses[:, :3, :3])
    assert turning.turned == pytest.approx(1.0, abs=1e-6) and turning.spread < 1e-6
    up_map = views([0.0], MOUNTED["on its left"])[1][:3, 2]
    assert abs(turning.axis @ up_map) == pytest.approx(1.0, abs=1e-9)
    assert np.allclose(turning.axis_rig, poses[3, :3, :3].T @ turning.axis) and turning.axis_rig.max() > 0.5
    assert Turning.of(np.tile(np.eye(3), (4, 1, 1))).turned == pytest.approx(0.0, abs=1e-6)
    around = Turning.of(np.stack([so3_exp([0, 0, a]) for a in np.arange(0, 2 * np.pi, 0.1)]))
    assert around.turned > 6.0 and around.is_vertical and TURNED[1] > TURNED[0]


def test_a_camera_that_turns_about_everything_has_no_vertical():
    rng = np.random.default_rng(0)
    assert not Turning.of(np.stack([so3_exp(v) for v in rng.uniform(-2, 2, (40, 3))])).is_vertical


def test_it_follows_when_the_graph_moves_and_forgets_keyframes_that_left():
    seen, T_map_world = views(np.arange(0, 1.9, 0.2))
    floors = FloorByTurning(0)
    for k, (_, points) in enumerate(seen):
        floors.add(k, points)
    T_new_map = make_se3(so3_exp([0.3, 0.2, 0.1]), [1.0, 2.0, 3.0])
    poses = {k: T_new_map @ T for k, (T, _) in enumerate(seen)}
    T_floor_new = [floors.find(poses) for _ in seen][-1]
    np.testing.assert_allclose((T_floor_new @ T_new_map @ T_map_world)[2], [0, 0, 1, 0], atol=0.02)
    assert floors.find({k: T for k, (T, _) in enumerate(seen) if k in (0, 8)}) is None


def test_a_ramp_is_no_floor():
    """20 degrees off the vertical that turning says."""
    rng = np.random.default_rng(0)
    ramp = np.c_[rng.uniform(0, 4, 4000), rng.uniform(0, 3, 4000), np.zeros(4000)]
    ramp[:, 2] = np.tan(0.35) * (ramp[:, 1] - 1.5)
    seen, _ = views(np.arange(0, 2.6, 0.2), points=np.concatenate([box(floor=False), ramp]))
    T_floor_map, _, floors = found_in(seen)
    assert T_floor_map is None and "few keyframes show a floor" in floors.reason


def test_floors_are_the_same_in_direction_and_height():
    up, foot = np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 0.0])
    tilted = so3_exp([0.1, 0.0, 0.0]) @ up
    along = [(up, foot), (up, foot + [3.0, -2.0, 0.05])]
    assert len(_same([*along, (tilted, foot), (up, foot + [0.0, 0.0, 0.2])])) == 2
    assert len(_same([(so3_exp([0.05, 0.0, 0.0]) @ up, foot), *along])) == 3 and _same([]) == []


def test_planes_are_looked_for_again_where_the_vertical_was_found_to_be_another():
    floors, (_, points) = FloorByTurning(0), views([0.0])[0][0]
    floors.add(0, points)
    axis = np.array([0.0, 0.0, 1.0])
    floors._look(axis)
    first = floors._seen[0]
    floors._look(so3_exp([0.05, 0.0, 0.0]) @ axis)
    assert floors._seen[0] is first
    floors._look(so3_exp([0.15, 0.0, 0.0]) @ axis)
    assert floors._seen[0] is not first and floors._seen[0].axis_rig[2] < np.cos(0.14)


def test_what_is_kept_for_later_is_bounded():
    floors = FloorByTurning(0)
    for k in range(3 * KEPT):
        floors.add(k, np.ones((2 * POINTS, 3)))
    assert [k for k, _ in floors._points] == list(range(2 * KEPT, 3 * KEPT))
    assert all(p.shape == (POINTS, 3) and p.dtype == np.float32 for _, p in floors._points)


def test_a_frame_waits_for_few_keyframes_only_the_newest_first(monkeypatch):
    floors, axis, looked = FloorByTurning(0), np.array([0.0, 0.0, 1.0]), []
    monkeypatch.setattr(floors, "_plane", lambda points, up: looked.append(points[0, 0]))
    for k in range(6):
        floors.add(k, np.full((300, 3), float(k)))
    for wanted in ([5, 4], [3, 2], [1, 0], []):
        looked.clear()
        floors._look(axis)
        assert looked == [k for k in wanted for _ in range(2)] and len(wanted) <= AT_ONCE
    for k in range(6, MOST_SEEN + 20):
        floors.add(k, np.full((300, 3), float(k)))
        floors._look(axis)
    assert len(floors._seen) == MOST_SEEN and max(floors._seen) == MOST_SEEN + 19
