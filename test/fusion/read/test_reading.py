# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
from helpers.fusion_scenes import ROOM, SMALL, observe, plane, pose

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.backends.blocks import HALF, pack_keys, unpack_keys
from lsm_ros.fusion.backends.layout import BLOCK
from lsm_ros.fusion.read.reading import AROUND, FACES, ChangeTracker, live_keys, read_visible, read_windows, with_neighbours
from lsm_ros.fusion.read.surface_reader import SurfaceReader

CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.0)
NAMES = ("voxel", "points_map", "normals", "colors", "labels", "label_probability", "weight", "consistency")


def room_map():
    m = VoxelMap(CONFIG)
    for i, T in enumerate((pose(0, 0, 0.6), pose(0.2, 0.1, 0.6, 0.3))):
        m.add(observe(ROOM, T, i), T)
    return m


def test_neighbours():
    key = pack_keys(np.array([[1, 2, 3]]))
    assert sorted(map(tuple, unpack_keys(with_neighbours(key, FACES)).tolist())) == sorted(
        [(1, 2, 3), (0, 2, 3), (2, 2, 3), (1, 1, 3), (1, 3, 3), (1, 2, 2), (1, 2, 4)])
    assert len(with_neighbours(key, AROUND)) == 27
    edge = pack_keys(np.array([[HALF - 1, -HALF, 0]]))  # what is outside of the world is no neighbour
    assert len(with_neighbours(edge, FACES)) == 5 and len(with_neighbours(edge, AROUND)) == 12


def test_reading_some_blocks_is_reading_all_of_it_there():
    m = room_map()
    keys = live_keys(m.pools.voxels)
    assert len(keys) == m.block_count and (np.diff(keys) > 0).all()
    whole = SurfaceReader(m.layout).read(m.pools, m.seq, 0.0)
    some = read_visible(m.pools, keys[::3], m.layout, 1)
    there = whole.take(np.isin(pack_keys(whole.voxel // BLOCK), keys[::3]))
    assert 0 < len(some.voxel) < len(whole.voxel)
    for name in NAMES:
        assert np.array_equal(getattr(some, name), getattr(there, name)), name
    assert not len(read_visible(m.pools, pack_keys(np.array([[99, 0, 0]])), m.layout, 1).voxel)


def test_windows_have_the_voxels_around_a_block():
    m = room_map()
    pool, keys = m.pools.voxels, live_keys(m.pools.voxels)
    absent = pack_keys(np.array([[500, 0, 0]]))
    window = read_windows(m.pools, np.sort(np.append(keys[::7], absent)), m.layout)
    assert np.array_equal(window.keys, keys[::7])
    sums = pool.rows("voxels")
    rng = np.random.default_rng(0)
    for b in range(len(window.keys)):
        for place in rng.integers(0, 10, (40, 3)):
            voxel = unpack_keys(window.keys[b:b + 1])[0] * BLOCK + place - 1
            slot = pool.find(pack_keys(voxel // BLOCK)[None])[0]
            i, j, k = voxel % BLOCK
            row = slot * 512 + (i * 8 + j) * 8 + k if slot >= 0 else -1
            assert window.rows[(b, *place)] == row
            d = window.distance[(b, *place)]
            if row < 0 or sums[row, 1] == 0:
                assert np.isnan(d)
            else:
                assert np.isclose(d, sums[row, 0] / sums[row, 1] * 3 / 511, rtol=1e-6)


def test_changes():
    m, tracker = room_map(), ChangeTracker(CONFIG_LAYOUT, FACES)
    assert tracker.changed(m.pools, m.seq, 1) is None  # nothing is known yet
    assert not len(tracker.changed(m.pools, m.seq, 1))
    assert tracker.changed(m.pools, m.seq, 2) is None  # another weight
    touched = m.touched_blocks(1)
    m.remove(1)
    changed = tracker.changed(m.pools, m.seq, 2)
    assert np.isin(with_neighbours(pack_keys(touched), FACES), changed).all() and (np.diff(changed) > 0).all()
    other = room_map()
    assert tracker.changed(other.pools, other.seq, 2) is None
    T = pose(0, 0, 50.0)
    other.add(observe([plane((1, 0, 0), 1.5)], T, 9), T)
    far = tracker.changed(other.pools, other.seq, 2)
    assert len(far) and (unpack_keys(far)[:, 2] > 50).all()  # the rest of the map has not changed


CONFIG_LAYOUT = VoxelMap(CONFIG).layout


def test_free_space_that_goes_brings_back_what_it_hid():
    """A wall at the near side of a block of the free-space layer, 1.6 m wide, in which nobody but who looks through the wall
    sees anything free: when they are taken away, the block is gone, and no voxel near the wall has changed."""
    m, T = VoxelMap(replace(CONFIG, voxel_size=0.05)), pose(0, 0, 0.5)
    near, far = plane((1, 0, 0), 1.7), plane((1, 0, 0), 3.0)
    m.add(observe([near], T, 0, camera=SMALL), T)
    tracker = ChangeTracker(m.layout, FACES)
    before = m.published_cloud()
    tracker.changed(m.pools, m.seq, 1)
    free = len(m.pools.free)
    for i in (1, 2, 3):
        m.add(observe([far], T, i, camera=SMALL), T)
    tracker.changed(m.pools, m.seq, 1)
    hidden = m.published_cloud().points_map[:, 0] < 2
    assert hidden.sum() < 0.5 * len(before.points_map) and len(m.pools.free) > free
    for i in (1, 2, 3):
        m.remove(i)
    assert len(m.pools.free) == free
    walls = pack_keys(m.touched_blocks(0))
    assert np.isin(walls[unpack_keys(walls)[:, 0] == 4], tracker.changed(m.pools, m.seq, 1)).all()
    after = m.published_cloud()
    assert np.array_equal(after.points_map, before.points_map)
