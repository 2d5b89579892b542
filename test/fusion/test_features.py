# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Language features in the map's cells of two voxels."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import SMALL, T_RIG_CAM, observe, plane, pose

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.backends.blocks import unpack_keys

pytestmark = pytest.mark.usefixtures("backend")
CONFIG = FusionConfig(voxel_size=0.05)
WALL, T = plane((1, 0, 0), 1.5), pose(0, 0, 0.5)
EAST, NORTH = np.array([127, 0, 0, 5], np.int8), np.array([0, 127, -3, 0], np.int8)


def seen(vectors, number=0):
    """The wall with features (3, 5, D)."""
    return replace(observe([WALL], T, number), features=np.broadcast_to(vectors, (3, 5, np.shape(vectors)[-1])).astype(np.int8))


def cells(m):
    """Centres (N, 3), sums (N, D) and weights (N,) of the cells that have features."""
    pool, slots = m.pools.voxels, m.pools.voxels.all_slots()
    content = pool.take("features", slots)
    block, cell = np.nonzero(content[:, :, -1])
    ijk = np.stack(np.unravel_index(cell, (4, 4, 4)), -1)
    index = unpack_keys(pool.keys[slots])[block] * 4 + ijk
    return (index + 0.5) * 2 * m.layout.voxel_size, content[block, cell, :-1], content[block, cell, -1]


def test_sums_are_weight_times_vector_near_the_surface():
    m = VoxelMap(CONFIG)
    m.add(seen(EAST), T)
    centres, sums, weights = cells(m)
    assert len(centres) > 200 and m.pools.feature_dim == 4
    assert (sums == weights[:, None] * EAST.astype(int)).all() and weights.min() >= 1 and weights.max() <= 63
    assert np.abs(centres[:, 0] - 1.5).max() <= CONFIG.voxel_size * 1.01
    other = replace(seen(NORTH, 1), confidence=np.full((60, 80), 100, np.uint8))
    m.add(other, T)
    _, both, total = cells(m)
    added = total - weights
    assert (both - sums == added[:, None] * NORTH.astype(int)).all() and (added < weights).all() and added.all()


@pytest.mark.parametrize("stride", [16, 8])
def test_each_cell_has_the_vector_that_it_projects_to(stride):
    o = observe([WALL], T)
    grid = np.stack(np.broadcast_arrays(np.arange(60 // stride)[:, None], np.arange(80 // stride)[None, :]), -1).astype(np.int8)
    m = VoxelMap(CONFIG)
    m.add(replace(o, features=grid), T)
    centres, sums, weights = cells(m)
    cam = (centres - (T @ T_RIG_CAM)[:3, 3]) @ (T @ T_RIG_CAM)[:3, :3]
    u = SMALL.fx * cam[:, 0] / cam[:, 2] + SMALL.cx
    v = SMALL.fy * cam[:, 1] / cam[:, 2] + SMALL.cy
    clear = (v < 60 // stride * stride - 1)
    for x in (u, v):
        clear &= np.abs((x + 0.5) % stride - stride / 2) < stride / 2 - 0.5
    want = np.stack([np.rint(v) // stride, np.rint(u) // stride], -1)
    assert clear.sum() > 100 and (sums[clear] // weights[clear, None] == want[clear]).all()


def test_another_dimension_only_when_none_is_left():
    m = VoxelMap(CONFIG)
    m.add(seen(EAST), T)
    with pytest.raises(ValueError, match="have 3 numbers, those in the map 4"):
        m.add(seen(EAST[:3], 1), T)
    m.add(observe([WALL], T, 2), T)  # without features is always well
    m.remove(0)
    m.add(seen(EAST[:3], 1), T)
    assert m.pools.feature_dim == 3
    _, sums, weights = cells(m)
    assert (sums == weights[:, None] * EAST[:3].astype(int)).all()


def test_features_follow_and_are_saved(tmp_path):
    m, moved = VoxelMap(CONFIG), pose(0.2, 0.1, 0.5, 0.2)
    m.add(seen(EAST), T)
    m.move(0, moved)
    fresh = VoxelMap(CONFIG)
    fresh.add(seen(EAST), moved)
    m.save(tmp_path)
    again = VoxelMap(CONFIG)
    again.load(tmp_path)
    for a in (m, again):
        assert all((x == y).all() for x, y in zip(cells(a), cells(fresh), strict=True))
    again.remove(0)
    assert not len(again.pools.voxels) and not again.pools.voxels.rows("features").any()
    again.add(seen(EAST[:3], 1), T)
