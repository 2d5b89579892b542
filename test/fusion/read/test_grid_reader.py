# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose
from helpers.occupancy_reference import occupancy

from lsm_ros.config import FusionConfig, GridConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.read.grid_reader import GridReader
from lsm_ros.fusion.read.surface_reader import SurfaceReader

CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.2)
BAND = GridConfig(min_height=0.1, max_height=1.0)
VIEWS = [pose(0, 0, 0.7, 0, 0.15), pose(0.3, 0.5, 0.6, -0.3, 0.1), pose(0.2, -0.5, 0.9, 0.3, 0.3)]


def anew(m, band):
    surface = SurfaceReader(m.layout).read(m.pools, m.seq, m.config.min_weight)
    return occupancy(m.pools, surface, m.layout, band)


def check(reader, m, band=BAND):
    found, wanted = reader.read(m.pools, m.seq, m.config.min_weight, band), anew(m, band)
    assert (found.origin_x, found.origin_y, found.resolution) == (wanted.origin_x, wanted.origin_y, wanted.resolution)
    assert found.grid.dtype == np.int8 and np.array_equal(found.grid, wanted.grid)
    assert reader.read(m.pools, m.seq, m.config.min_weight, band) is found
    return found


@pytest.mark.parametrize(("voxel_size", "seed"), [(0.1, 0), (0.1, 1), (0.05, 2), (0.01, 3), (0.02, 4)])
def test_kept_is_the_same_as_anew(voxel_size, seed):
    rng = np.random.default_rng(seed)
    m = VoxelMap(FusionConfig(voxel_size=voxel_size, min_weight=0.2, stride=2, max_depth=2.0 if voxel_size < 0.03 else 5.0))
    reader, band = GridReader(m.layout), BAND
    for step in range(14 if voxel_size > 0.03 else 6):
        T = pose(*rng.uniform(-2, 2, 2), 0.6, rng.uniform(-3, 3), rng.uniform(0, 0.4))
        known = sorted(m.observations)
        what = rng.choice(["add", "add", "add", "move", "remove", "band", "weight"])
        if what == "move" and known:
            m.move(int(rng.choice(known)), T)
        elif what == "remove" and known:
            m.remove(int(rng.choice(known)))
        elif what == "band":
            band = GridConfig(min_height=float(rng.uniform(-0.2, 0.3)), max_height=float(rng.uniform(0.5, 1.5)))
        elif what == "weight":
            m.config = replace(m.config, min_weight=float(rng.uniform(0.1, 1)))
        else:
            m.add(observe(ROOM, T, step), T)
        check(reader, m, band)
    for i in sorted(m.observations):
        m.remove(i)
    assert check(reader, m, band).grid.shape == (0, 0)


def test_grows_to_all_sides():
    m = VoxelMap(FusionConfig(voxel_size=0.1))
    reader = GridReader(m.layout)
    for i, (x, y) in enumerate(((0, 0), (9, 3), (-20, 0), (0, -15), (1, 25))):
        T = pose(x, y, 0.6, i)
        near = [plane((0, 0, 1), 0.0)]
        m.add(observe(near, T, i), T)
        check(reader, m)
    assert check(reader, m).grid.shape[0] > 350
    for i in (1, 3):
        m.remove(i)
        check(reader, m)


def test_too_large_an_area_is_refused_and_forgotten():
    m, T = VoxelMap(FusionConfig(voxel_size=0.05)), pose(0, 0, 0.6)
    reader = GridReader(m.layout)
    m.add(observe(ROOM, T, 0), T)
    check(reader, m)
    for i in (1, 2):
        far = pose(*((1000, 0) if i == 1 else (0, 1000)), 0.6)
        m.add(observe([plane((0, 0, 1), 0.0)], far, i), far)
    with pytest.raises(ValueError, match="too many for a grid"):
        reader.read(m.pools, m.seq, 0.2, BAND)
    m.remove(1)
    check(reader, m)


def test_an_empty_band_is_refused():
    m = VoxelMap(FusionConfig())
    with pytest.raises(ValueError, match="max_height"):
        GridReader(m.layout).read(m.pools, 0, 0.2, GridConfig(min_height=1.0, max_height=1.0))


# what is occupied, free and unknown


def fused(surfaces, views=VIEWS):
    m = VoxelMap(CONFIG)
    for i, T in enumerate(views):
        m.add(observe(surfaces, T, i, camera=MIDDLE), T)
    return m


def cell(g, x, y):
    return g.grid[int(np.floor((y - g.origin_y) / g.resolution)), int(np.floor((x - g.origin_x) / g.resolution))]


def test_room():
    g = fused(ROOM).occupancy(BAND)
    assert g.grid.dtype == np.int8 and set(np.unique(g.grid)) == {-1, 0, 100} and g.resolution == 0.05
    rows, columns = np.nonzero(g.grid == 100)
    x, y = g.origin_x + (columns + 0.5) * 0.05, g.origin_y + (rows + 0.5) * 0.05
    gap = np.min([np.abs(x - 2.6), np.abs(np.abs(y) - 1.7), np.abs(np.hypot(x - 1.7, y - 0.2) - 0.35)], 0)
    # the sphere's upper and lower parts lie within its outline
    inside = np.hypot(x - 1.7, y - 0.2) < 0.35
    assert gap[~inside].max() < 0.08
    assert np.mean(g.grid[:, int((2.6 - g.origin_x) / 0.05)] == 100) > 0.8  # the wall has no holes
    assert cell(g, 1.0, 0.0) == 0 and cell(g, 1.9, -0.8) == 0 and cell(g, 1.9, 0.8) == 0
    assert cell(g, 1.4, 0.2) == 100 or cell(g, 1.35, 0.2) == 100
    behind = g.grid[:, int((2.75 - g.origin_x) / 0.05):]
    assert (behind == -1).all()


def test_floor_alone_is_free_and_the_band_matters():
    m = fused([plane((0, 0, 1), 0.0)], [pose(0, 0, 0.8, 0, 0.5)])
    g = m.occupancy(BAND)
    assert not (g.grid == 100).any() and cell(g, 1.0, 0.0) == 0
    rows = np.nonzero(g.grid == 0)[0]
    assert abs(g.origin_y + (rows + 0.5).mean() * 0.05) < 0.02  # the camera looks along y = 0
    under = m.occupancy(GridConfig(min_height=-0.1, max_height=0.1))
    assert cell(under, 1.0, 0.0) == 100
    assert m.occupancy(BAND).grid.shape == g.grid.shape


def test_origin_belongs_to_cell_zero():
    m = fused([plane((1, 0, 0), 1.5)], [pose(0, 0, 0.5)])
    g = m.occupancy(BAND)
    assert (g.origin_x / 0.05) == pytest.approx(round(g.origin_x / 0.05))
    columns = np.nonzero((g.grid == 100).any(0))[0]
    assert np.abs(g.origin_x + (columns + 0.5) * 0.05 - 1.5).max() < 0.08


def test_band_upside_down():
    with pytest.raises(ValueError, match="min_height"):
        fused(ROOM, VIEWS[:1]).occupancy(GridConfig(min_height=1.0, max_height=0.5))


def test_far_apart_pieces_are_too_large_for_a_grid():
    far = pose(5e4, 5e4, 0.5)
    m = fused(ROOM, VIEWS[:1])
    shifted = [plane((1, 0, 0), 5e4 + 1.5)]
    m.add(observe(shifted, far, 9), far)
    with pytest.raises(ValueError, match="too many for a grid"):
        m.occupancy(BAND)
