# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose, with_features

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap

CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.2)
T = pose(0, 0, 0.6)


def test_finds_what_is_alike():
    vectors = np.eye(8)[:7]
    m = VoxelMap(CONFIG)
    m.add(with_features(observe(ROOM, T, 0, camera=MIDDLE), vectors), T)
    surface = m.surface()
    for label in (1, 2, 5):
        found = m.query(3 * vectors[label])
        assert found.similarity.shape == found.consistency.shape == (len(surface.voxel),)
        has = ~np.isnan(found.similarity)
        assert has.mean() > 0.8 and found.similarity[has].min() >= -1e-6 and found.similarity[has].max() <= 1 + 1e-6
        mine = has & (surface.labels == label)
        assert mine.sum() > 50 and np.median(found.similarity[mine]) > 0.99
        assert np.median(found.similarity[has & (surface.labels != label)]) < 0.01
        assert np.allclose(m.query(-vectors[label]).similarity[has], -found.similarity[has])


def test_consistency_is_the_length_of_the_mean():
    wall = [plane((1, 0, 0), 1.5)]
    m = VoxelMap(CONFIG)
    for number, direction in enumerate(([1.0, 0, 0], [0.0, 1, 0])):
        m.add(with_features(observe(wall, T, number), np.tile(direction, (3, 1))), T)
    found = m.query(np.array([1.0, 0, 0]))
    has = ~np.isnan(found.similarity)
    assert has.sum() > 300
    assert np.allclose(found.similarity[has], np.sqrt(0.5)) and np.allclose(found.consistency[has], np.sqrt(0.5))
    m.remove(1)
    found = m.query(np.array([1.0, 0, 0]))
    assert np.allclose(found.similarity[has], 1) and np.allclose(found.consistency[has], 1)


def test_voxels_without_features_are_nan():
    m = VoxelMap(CONFIG)
    m.add(with_features(observe([plane((1, 0, 0), 1.5)], T, 0), np.eye(4)), T)
    back = pose(0, 0, 0.6, np.pi)
    m.add(observe([plane((-1, 0, 0), 1.5)], back, 1), back)
    found, points = m.query(np.eye(4)[1]), m.surface().points_map
    assert np.isnan(found.similarity[points[:, 0] < 0]).all() and not np.isnan(found.similarity[points[:, 0] > 0]).all()
    assert np.array_equal(np.isnan(found.similarity), np.isnan(found.consistency))


def test_bad_queries_are_refused_by_name():
    m = VoxelMap(CONFIG)
    with pytest.raises(ValueError, match="no language features"):
        m.query(np.ones(4))
    m.add(with_features(observe([plane((1, 0, 0), 1.5)], T, 0), np.eye(4)), T)
    for bad, words in ((np.ones(5), r"\(5,\)"), (np.ones((1, 4)), r"\(1, 4\)"), (np.zeros(4), "zero"),
                       (np.array([1, np.nan, 0, 0]), "finite")):
        with pytest.raises(ValueError, match=words):
            m.query(bad)
    m.remove(0)
    with pytest.raises(ValueError, match="no language features"):
        m.query(np.ones(4))
