# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import se3_exp, se3_inverse, transform_points
from lsm_ros.slam.gravity import find_floor


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
