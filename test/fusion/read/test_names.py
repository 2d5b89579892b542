# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""What features are called, wherever the map is read."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose, with_features

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.read.surface_reader import SurfaceReader
from lsm_ros.types import UNLABELLED, NameVectors

CONFIG = FusionConfig(voxel_size=0.05, min_weight=0.2)
T = pose(0, 0, 0.6)
VECTORS = np.eye(8)[:7]
NAMES = NameVectors(np.array([11, 12, 15], np.uint16), VECTORS[[1, 2, 5]].astype(np.float32), 0.5)


def silent(observation, vectors=VECTORS):
    """With the features of its labels, and no labels."""
    return replace(with_features(observation, vectors), labels=None)


@pytest.fixture
def room():
    m = VoxelMap(CONFIG)
    m.add(silent(observe(ROOM, T, 0, camera=MIDDLE)), T)
    return m


def test_the_nearest_name_is_the_label(room):
    assert (room.surface().labels == UNLABELLED).all()
    version = room.blocks_version if room.refresh_blocks() else 0
    seq = room.seq
    room.set_names(NAMES)
    surface = room.surface()
    for label, axis in ((11, 1), (12, 2), (15, 5)):
        found = room.query(VECTORS[axis]).similarity
        assert np.count_nonzero(surface.labels == label) > 50
        assert found[surface.labels == label].min() >= 0.5
        assert np.isnan(found).mean() < 0.1  # cells at whose corner the surface is have what is beside them
    assert (surface.label_probability[surface.labels != UNLABELLED] > 0.3).all()
    assert (surface.label_probability[surface.labels == UNLABELLED] == 0).all()
    assert room.seq == seq and room.refresh_blocks() > 0 and room.blocks_version > version > 0
    assert {11, 12, 15} <= set(np.unique(room.published_cloud().labels)) <= {11, 12, 15, UNLABELLED}
    assert {11, 12, 15} <= set(np.unique(room.mesh().labels)) <= {11, 12, 15, UNLABELLED}
    room.set_names(replace(NAMES))
    assert room.refresh_blocks() == 0 and room.surface() is surface  # the same names again
    room.set_names(None)
    assert (room.surface().labels == UNLABELLED).all() and room.refresh_blocks() > 0


def test_what_changed_reads_as_if_all_were_new(room):
    room.set_names(NAMES)
    room.surface()
    other = pose(0.4, 0.3, 0.6, 0.5)
    room.add(silent(observe(ROOM, other, 1, camera=MIDDLE), np.roll(VECTORS, 1, axis=0)), other)
    room.refresh_blocks()
    for change in (lambda: room.move(1, pose(0.5, 0.3, 0.6, 0.4)), lambda: room.remove(1)):
        old, new = room.surface(), SurfaceReader(room.layout).read(room.pools, room.seq, CONFIG.min_weight)
        assert np.array_equal(old.labels, new.labels) and np.array_equal(old.label_probability, new.label_probability)
        change()
    old, new = room.surface(), SurfaceReader(room.layout).read(room.pools, room.seq, CONFIG.min_weight)
    assert np.array_equal(old.labels, new.labels)


def test_labels_that_were_told_come_first(room):
    room.set_names(NAMES)
    before = room.surface().labels
    labels = np.full(room.observations[0].z.shape, 33, np.uint16)
    labels[:, :labels.shape[1] // 2] = UNLABELLED
    room.add_labels(0, labels)
    after = room.surface().labels
    assert np.count_nonzero(after == 33) > 100 and np.count_nonzero((after == before) & (before != UNLABELLED)) > 100
    assert set(np.unique(after)) <= {11, 12, 15, 33, UNLABELLED}


def test_features_of_a_cell_and_those_of_another_length(room, tmp_path):
    cell, features = room.features()
    assert cell.shape == (len(room.surface().voxel),) and features.dtype == np.int8 and cell.max() == len(features) - 1
    similarity = features[cell[cell >= 0]].astype(float) @ VECTORS[1] / 127
    assert np.abs(similarity - room.query(VECTORS[1]).similarity[cell >= 0]).max() < 0.02
    room.set_names(NAMES)
    labels = room.surface().labels
    room.save(tmp_path)
    other = VoxelMap(CONFIG)
    other.set_names(NAMES)
    other.load(tmp_path)
    assert np.array_equal(other.surface().labels, labels)
    other.set_names(NameVectors(np.array([1], np.uint16), np.ones((1, 1), np.float32)))
    assert (other.surface().labels == UNLABELLED).all()
    bare = VoxelMap(CONFIG)
    bare.set_names(NAMES)
    bare.add(observe([plane((1, 0, 0), 1.5)], T, 0), T)
    with pytest.raises(ValueError, match="no language features"):
        bare.features()
