# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose, sphere

from lsm_ros.config import FusionConfig, GridConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.read.certainty import probability
from lsm_ros.types import UNLABELLED

pytestmark = pytest.mark.usefixtures("backend")
CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.2)
VIEWS = [pose(0, 0, 0.7, 0, 0.1), pose(0.3, 0.6, 0.6, -0.3, 0.1), pose(0.2, -0.5, 0.9, 0.3, 0.2), pose(0.4, 0, 0.5)]


def fused(surfaces, views=VIEWS, config=CONFIG, **options):
    m = VoxelMap(config)
    for i, T in enumerate(views):
        m.add(observe(surfaces, T, i, **options), T)
    return m


def room_distance(points):
    """Distance to the nearest of the room's five surfaces, and which one that is."""
    d = np.abs(np.stack([points[:, 2], 2.6 - points[:, 0], 1.7 - points[:, 1], 1.7 + points[:, 1],
                         np.linalg.norm(points - [1.7, 0.2, 0.5], axis=1) - 0.35]))
    return d.min(0), d.argmin(0), np.sort(d, 0)[1]


@pytest.mark.parametrize(("normal", "offset"), [((1, 0, 0), 1.6), ((1, 0, 0), 1.625), ((1, 0.3, 0.2), 1.5)])
def test_plane(normal, offset):
    s = fused([plane(normal, offset)]).snapshot()
    n = np.array(normal) / np.linalg.norm(normal)
    distance = s.points_map @ n - offset
    assert len(s.points_map) > 1000
    assert np.percentile(np.abs(distance), 99) < 0.3 * CONFIG.voxel_size
    assert abs(np.median(distance)) < 0.05 * CONFIG.voxel_size
    assert np.percentile(s.normals @ -n, 5) > 0.97  # towards the camera
    assert np.abs(np.linalg.norm(s.normals, axis=1) - 1).max() < 1e-5
    assert (s.colors == (40, 100, 200)).all() and (s.labels == 1).all()
    assert s.confidence.min() > 0 and s.confidence.max() <= 1 and s.weight.min() >= CONFIG.min_weight
    # one layer: about one point for each cell of the plane's area
    assert len(s.points_map) < 1.9 * len(np.unique(np.floor(s.points_map[:, 1:] / CONFIG.voxel_size), axis=0))


def test_sphere():
    centre = np.array([1.5, 0.1, 0.4])
    s = fused([sphere(tuple(centre), 0.5)], camera=MIDDLE).snapshot()
    out = s.points_map - centre
    radius = np.linalg.norm(out, axis=1)
    assert len(radius) > 250
    error = np.abs(radius - 0.5)
    assert np.percentile(error, 90) < 0.3 * CONFIG.voxel_size  # the rest is at the outline
    assert np.median(error) < 0.05 * CONFIG.voxel_size and error.max() < CONFIG.voxel_size
    assert np.median(((out / radius[:, None]) * s.normals).sum(1)) > 0.97


def test_room_has_the_right_colours_and_labels():
    s = fused(ROOM, camera=MIDDLE).snapshot()
    distance, which, second = room_distance(s.points_map)
    assert np.percentile(distance, 99) < 0.3 * CONFIG.voxel_size and distance.max() < CONFIG.voxel_size
    clear = second > 3 * CONFIG.voxel_size
    assert set(which[clear]) >= {0, 1, 2, 4}
    assert np.mean(s.labels[clear] == which[clear] + 1) > 0.97
    assert np.mean(s.colors[clear, 0] == 50 * which[clear] + 40) > 0.9
    assert (s.colors[:, 1:] == (100, 200)).all()
    assert s.voxel_size == CONFIG.voxel_size


@pytest.mark.parametrize("least", [0.0, 0.4])
def test_majority_of_labels_wins_and_threshold(least):
    T = VIEWS[0]
    m = VoxelMap(replace(CONFIG, min_label_probability=least))
    for i, label in enumerate((9, 4, 9)):
        o = observe([plane((1, 0, 0), 1.5)], T, i)
        m.add(replace(o, labels=np.full_like(o.labels, label)), T)
    surface = m.surface()
    expected = probability(np.float32([2 / 3]), np.float32([1 / 3]), np.array([3]))
    assert (surface.labels == 9).all() and np.allclose(surface.label_probability, expected) and 0.8 < expected < 0.9
    assert (m.snapshot(label_threshold=0.8).labels == 9).all()
    assert (m.snapshot(label_threshold=0.95).labels == UNLABELLED).all()
    m.remove(0)
    assert (m.surface().labels == (UNLABELLED if least else 4)).all()  # a tie goes to the smaller id, if it is shown


def test_min_weight_may_change():
    m = fused([plane((1, 0, 0), 1.5)])
    few = len(m.snapshot().points_map)
    m.config = replace(CONFIG, min_weight=1000.0)
    assert not len(m.snapshot().points_map)
    m.config = CONFIG
    assert len(m.snapshot().points_map) == few > 0


def test_what_moved_away_leaves_no_ghost():
    box = sphere((1.2, 0, 0.5), 0.3)
    wall, T = plane((1, 0, 0), 2.6), pose(0, 0, 0.5)
    m = VoxelMap(replace(CONFIG, min_weight=0.0))
    m.add(observe([wall, box], T, 0), T)
    before = m.snapshot()
    assert (before.points_map[:, 0] < 1.5).sum() > 50
    for i in (1, 2):
        m.add(observe([wall], T, i), T)
    ghost = m.snapshot().points_map[:, 0] < 1.5
    assert ghost.sum() < 0.2 * (before.points_map[:, 0] < 1.5).sum()
    m.remove(1)
    m.remove(2)
    after = m.snapshot()
    assert (after.points_map == before.points_map).all() and (after.weight == before.weight).all()


def test_incremental_reading_is_the_same_as_reading_anew():
    m = VoxelMap(replace(CONFIG, voxel_size=0.1))
    rng = np.random.default_rng(1)
    seen = {i: observe(ROOM, T, i) for i, T in enumerate(VIEWS)}
    for i, o in seen.items():
        m.add(o, VIEWS[i])
        m.snapshot()
    for step in range(6):
        i = int(rng.integers(4))
        if step % 3 == 2:
            m.remove(i)
            m.snapshot()
            m.add(seen[i], VIEWS[i])
        else:
            m.move(i, pose(*rng.uniform(-0.2, 0.2, 2), 0.6, rng.uniform(-0.5, 0.5)))
        s = m.snapshot()
        fresh = VoxelMap(m.config)
        for k, T in m.fused_poses().items():
            fresh.add(seen[k], T)
        f = fresh.snapshot()
        for name in ("points_map", "colors", "labels", "confidence", "weight", "normals"):
            assert (getattr(s, name) == getattr(f, name)).all(), name
        assert s.volume_m3 == pytest.approx(f.volume_m3)


def test_snapshot_is_cached_and_read_only():
    m = fused([plane((1, 0, 0), 1.5)], VIEWS[:1])
    a, b = m.snapshot(1, 2), m.snapshot(3, 4)
    assert a.points_map is b.points_map and (b.graph_version, b.map_epoch, b.seq) == (3, 4, m.seq)
    with pytest.raises(ValueError):
        a.points_map[0] = 0
    kept = a.points_map.copy()
    m.remove(0)
    assert not len(m.snapshot().points_map) and (a.points_map == kept).all()


def test_empty_map():
    m = VoxelMap(CONFIG)
    s = m.snapshot()
    assert s.points_map.shape == (0, 3) and s.normals.shape == (0, 3) and s.labels.dtype == np.uint16
    assert s.volume_m3 == 0 and m.occupancy(GridConfig()).grid.shape == (0, 0)
    blind = observe([plane((1, 0, 0), -1)], VIEWS[0], 3)
    assert m.add(blind, VIEWS[0]) == 0 and m.block_count == 0
    assert m.move(3, VIEWS[1]) == 0 and m.remove(3) == 0


def test_volume_of_a_pyramid_of_sight():
    wall = fused([plane((1, 0, 0), 2.6)], [pose()])
    # depth 2.5 in front of the camera; 80 / 70 wide and 60 / 70 high at depth 1
    volume = 80 / 70 * 60 / 70 * 2.5**3 / 3
    assert 0.6 * volume < wall.snapshot().volume_m3 < 1.15 * volume


def test_thin_wall_keeps_both_sides():
    """Seen from both sides, a board as thick as two voxels has two faces at the right places."""
    config = replace(CONFIG, voxel_size=0.04)
    m = VoxelMap(config)
    front, back = pose(0, 0, 0), pose(2.55, 0, 0, np.pi)
    for i in range(2):
        m.add(observe([plane((1, 0, 0), 1.5)], front, 2 * i), front)
        m.add(observe([plane((1, 0, 0), 1.6)], back, 2 * i + 1), back)
    s = m.snapshot()
    middle = (np.abs(s.points_map[:, 1:]) < 0.4).all(1)
    x, nx = s.points_map[middle, 0], s.normals[middle, 0]
    for face, sign in ((1.5, -1), (1.6, 1)):
        mine = np.sign(nx) == sign
        assert mine.sum() > 100 and np.median(np.abs(x[mine] - face)) < 0.6 * config.voxel_size
