# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.fusion.read.distance_field import DistanceReader, scaled
from lsm_ros.types import OccupancyMap


def brute_force(seen):
    """Distance of every known cell to every occupied one, by the book."""
    rows, columns = np.indices(seen.grid.shape)
    out = np.full(seen.grid.shape, np.inf)
    for r, c in np.argwhere(seen.grid == 100):
        out = np.minimum(out, np.hypot(rows - r, columns - c) * seen.resolution)
    out[seen.grid == -1] = np.nan
    return out.astype(np.float32)


def anew(seen, reach):
    return scaled(brute_force(seen), seen, reach).grid


@pytest.mark.parametrize("seed", range(4))
def test_exact(seed):
    rng = np.random.default_rng(seed)
    seen = OccupancyMap(rng.choice([-1, 0, 100], (23, 31), p=[0.3, 0.68, 0.02]).astype(np.int8), -1.5, 2.0, 0.05)
    field = DistanceReader().read(seen, 0.8)
    assert (field.origin_x, field.origin_y, field.resolution) == (-1.5, 2.0, 0.05) and field.grid.dtype == np.int8
    assert np.array_equal(field.grid, anew(seen, 0.8)) and len(np.unique(field.grid)) > 20


def test_unknown_cells_neither_block_nor_have_a_distance():
    seen = OccupancyMap(np.array([[100, -1, 0, 0]], np.int8), 0, 0, 0.5)
    assert DistanceReader().read(seen, 2.0).grid.tolist() == [[0, -1, 50, 75]]


def test_nothing_occupied():
    seen = OccupancyMap(np.array([[0, -1]], np.int8), 0, 0, 0.1)
    assert DistanceReader().read(seen, 2.0).grid.tolist() == [[100, -1]]
    assert DistanceReader().read(OccupancyMap(np.zeros((0, 0), np.int8), 0, 0, 0.1), 1.0).grid.shape == (0, 0)


def test_scaled():
    grid = np.zeros((1, 60), np.int8)
    grid[0, 0], grid[0, 7] = 100, -1
    seen = OccupancyMap(grid, 1.0, 2.0, 0.05)
    field = scaled(brute_force(seen), seen, 2.0)
    assert field.grid.dtype == np.int8 and (field.origin_x, field.origin_y, field.resolution) == (1.0, 2.0, 0.05)
    # 5 cm a cell, 2 cm a step, rounded down; a whole number of steps stays what it is
    assert field.grid[0, :8].tolist() == [0, 2, 5, 7, 10, 12, 15, -1]
    assert (field.grid[0, 40:] == 100).all() and field.grid[0, 39] == 97
    tenths = OccupancyMap(np.array([[100, *[0] * 10]], np.int8), 0, 0, 0.1)
    assert DistanceReader().read(tenths, 1.0).grid[0].tolist() == list(range(0, 101, 10))
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="max_distance"):
            scaled(brute_force(seen), seen, bad)


@pytest.mark.parametrize("seed", range(6))
def test_kept_is_the_same_as_anew(seed):
    """A window on a large grid that moves, grows, shrinks and changes here and there."""
    rng = np.random.default_rng(seed)
    world = rng.choice([-1, 0, 100], (200, 240), p=[0.2, 0.795, 0.005]).astype(np.int8)
    reader, low, high = DistanceReader(), np.array([80, 90]), np.array([120, 130])
    for step in range(15):
        if step % 3 == 1:
            r, c = rng.integers(low, high)
            world[r:r + 3, c:c + 4] = rng.choice([-1, 0, 100], (3, 4))[: 200 - r, : 240 - c]
        elif step % 3 == 2:
            low = np.clip(low + rng.integers(-15, 5, 2), 0, (190, 230))
            high = np.clip(high + rng.integers(-5, 15, 2), low + 5, (200, 240))
        reach = 0.6 if step < 12 else 1.1
        seen = OccupancyMap(world[low[0]:high[0], low[1]:high[1]].copy(), low[1] * 0.05 - 3, low[0] * 0.05 - 4, 0.05)
        kept = reader.read(seen, reach)
        assert np.array_equal(kept.grid, anew(seen, reach)), step
        assert (kept.origin_x, kept.origin_y) == (seen.origin_x, seen.origin_y)
        assert reader.read(seen, reach) is kept


def test_grids_far_from_each_other_and_empty_ones():
    reader = DistanceReader()
    a = OccupancyMap(np.array([[0, 100], [0, 0]], np.int8), 0.0, 0.0, 0.1)
    b = OccupancyMap(np.array([[0, 0, 0]], np.int8), 50.0, -20.0, 0.1)
    for seen in (a, b, OccupancyMap(np.zeros((0, 0), np.int8), 0.0, 0.0, 0.1), a):
        assert np.array_equal(reader.read(seen, 1.0).grid, anew(seen, 1.0))
