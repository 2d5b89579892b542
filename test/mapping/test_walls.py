# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A camera that looks through the walls of the map is in the wrong place."""
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.mapping.walls import EVERY_NS, LEAST_CHECKS, WINDOW_NS, Walls, compare
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import Frame

CAMERA = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
HERE = np.eye(4)


def wall(z, half=(1.5, 1.0), step=0.05):
    """Points of a wall across the view at a distance."""
    x, y = np.meshgrid(np.arange(-half[0], half[0], step), np.arange(-half[1], half[1], step))
    return np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3)


def depth(metres, measured=True):
    array = np.full(CAMERA.shape, metres, np.float32) if np.isscalar(metres) else metres.astype(np.float32)
    frame = Frame(0, "front", np.zeros((*CAMERA.shape, 3), np.uint8), CAMERA)
    return FrameDepth(frame, CAMERA, array, np.ones(CAMERA.shape, np.float32), measured)


def says(walls, metres, count=LEAST_CHECKS, step=EVERY_NS, T=HERE, measured=True, start=10**9):
    return [walls.looked_through(start + n * step, T, {"front": depth(metres, measured)}, {"front": np.eye(4)})
            for n in range(count)]


def test_points_are_met_looked_through_or_hidden():
    points = wall(2.0)
    through, met = compare(points, HERE, depth(2.1))
    assert through == 0 and met > 1000
    assert compare(points, HERE, depth(4.0)) == (met, 0)
    assert compare(points, HERE, depth(1.0)) == (0, 0)
    assert compare(points, HERE, depth(0.0)) == (0, 0), "nothing is known there"


def test_the_side_from_which_a_wall_is_seen_does_not_matter():
    behind = make_se3(so3_exp([0, np.pi, 0]), [0, 0, 4.0])
    assert compare(wall(2.0), behind, depth(4.0))[0] > 1000 and compare(wall(2.0), behind, depth(2.0))[0] == 0


def test_what_is_behind_or_far_is_not_looked_for():
    assert compare(wall(-2.0), HERE, depth(4.0)) == (0, 0)
    assert compare(wall(6.0), HERE, depth(9.0)) == (0, 0) and compare(wall(0.2), HERE, depth(4.0)) == (0, 0)


def test_beside_an_edge_nothing_is_looked_through():
    """A pixel beside a thing in front shows what is behind it: half a pixel decides."""
    points = np.array([[x, 0.0, 1.0] for x in np.arange(-0.02, 0.02, 0.001)])
    seen = np.full(CAMERA.shape, 3.0)
    assert compare(points, HERE, depth(seen))[0] == len(points)
    seen[:, :29] = 1.0
    assert compare(points, HERE, depth(seen))[0] == 0


def test_three_looks_of_a_second_are_a_wrong_place():
    found = says(Walls(wall(2.0)), 4.0)
    assert found[:-1] == [""] * (LEAST_CHECKS - 1) and "100%" in found[-1]


@pytest.mark.parametrize(("metres", "options"), [
    (2.0, {}), (1.0, {}), (0.0, {}), (4.0, {"step": WINDOW_NS}), (4.0, {"measured": False}), (4.0, {"count": 2})])
def test_otherwise_it_is_silent(metres, options):
    assert not any(says(Walls(wall(2.0)), metres, **options))


def test_it_looks_five_times_a_second():
    assert not any(says(Walls(wall(2.0)), 4.0, count=LEAST_CHECKS, step=EVERY_NS // 3))
    assert any(says(Walls(wall(2.0)), 4.0, count=3 * LEAST_CHECKS, step=EVERY_NS // 3))


def test_a_door_that_was_opened_is_no_wrong_place():
    seen = np.full(CAMERA.shape, 2.0)
    seen[:, 20:40] = 4.0
    assert not any(says(Walls(wall(2.0)), seen, count=6))


def test_a_few_points_say_nothing():
    assert not any(says(Walls(wall(2.0)[:140]), 4.0, count=6))


def test_time_that_goes_back_begins_anew():
    walls = Walls(wall(2.0))
    assert not any(says(walls, 4.0, count=2)) and not any(says(walls, 4.0, count=2, start=10**8))
