# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import errno
import os
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import ROOM, observe, pose, state_of

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.files.storage import FILE

pytestmark = pytest.mark.usefixtures("backend")
CONFIG = FusionConfig(voxel_size=0.1, min_weight=0.2)
POSES = [pose(0.1 * i, 0.05 * i, 0.5, 0.2 * i) for i in range(4)]
SEEN = [observe(ROOM, T, i, labelled=i != 2) for i, T in enumerate(POSES)]


@pytest.fixture
def mapped():
    m = VoxelMap(CONFIG)
    for o, T in zip(SEEN, POSES, strict=True):
        m.add(o, T)
    m.freeze(0)
    m.remove(3, keep=True)
    return m


def test_round_trip_is_exact(tmp_path, mapped):
    mapped.save(tmp_path / "map")
    m = VoxelMap(CONFIG)
    m.load(tmp_path / "map")
    assert state_of(m) == state_of(mapped)
    assert m.fused_poses().keys() == {1, 2} and m.observations.keys() == {1, 2, 3}
    for i, o in m.observations.items():
        for name in ("z", "confidence", "rgb", "labels", "T_rig_cam"):
            assert np.array_equal(getattr(o, name), getattr(mapped.observations[i], name))
        assert (o.keyframe, o.stamp_ns, o.camera, o.z_step, o.intrinsics) == (
            i, SEEN[i].stamp_ns, "front", SEEN[i].z_step, SEEN[i].intrinsics)
    a, b = m.snapshot(), mapped.snapshot()
    assert (a.points_map == b.points_map).all() and (a.labels == b.labels).all()
    assert len(m.changed_blocks(0)) == m.block_count


def test_moves_and_removals_after_loading_are_exact(tmp_path, mapped):
    mapped.save(tmp_path)
    m = VoxelMap(CONFIG)
    m.load(tmp_path)
    m.move(1, pose(0.5, 0, 0.4))
    m.restore(3)
    m.remove(2)
    m.add_labels(3, np.full_like(SEEN[3].labels, 77))
    m.remove(1)
    m.remove(3)
    only = VoxelMap(CONFIG)
    only.add(SEEN[0], POSES[0])
    assert state_of(m) == state_of(only)
    with pytest.raises(ValueError, match="observation 0 is in the map already"):
        m.add(SEEN[0], POSES[0])


def test_empty_map(tmp_path):
    VoxelMap(CONFIG).save(tmp_path)
    m = VoxelMap(CONFIG)
    m.add(SEEN[0], POSES[0])
    m.load(tmp_path)
    assert m.block_count == 0 and not m.observations
    m.add(SEEN[0], POSES[0])


def test_damaged_files_change_nothing(tmp_path, mapped):
    mapped.save(tmp_path)
    path = tmp_path / FILE
    whole = path.read_bytes()
    m = VoxelMap(CONFIG)
    m.add(SEEN[1], POSES[1])
    before = state_of(m)
    rng = np.random.default_rng(0)
    spoiled = [whole[:n] for n in (0, 10, len(whole) // 2, len(whole) - 1)]
    for position in rng.integers(0, len(whole), 40):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        spoiled.append(bytes(flipped))
    refused = 0
    for content in spoiled:
        path.write_bytes(content)
        try:
            fresh = VoxelMap(CONFIG)
            fresh.load(tmp_path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
            with pytest.raises(ValueError, match="cannot be read"):
                m.load(tmp_path)
        else:  # a byte that no reader looks at, such as a time stamp in the archive
            assert state_of(fresh) == state_of(mapped)
    assert refused > 0.9 * len(spoiled)
    assert state_of(m) == before
    with pytest.raises(FileNotFoundError, match=FILE):
        m.load(tmp_path / "elsewhere")


@pytest.mark.parametrize(("name", "value"), [("voxel_size", 0.05), ("truncation_voxels", 4.0), ("max_depth", 4.0),
                                            ("stride", 2)])
def test_another_layout_is_refused(tmp_path, mapped, name, value):
    mapped.save(tmp_path)
    with pytest.raises(ValueError, match=f"set fusion.{name} to"):
        VoxelMap(replace(CONFIG, **{name: value})).load(tmp_path)


def test_parameters_of_a_live_map_do_not_change_its_layout(mapped):
    mapped.config = replace(CONFIG, voxel_size=0.05, stride=3)
    for i in (1, 2):
        mapped.remove(i)
    only = VoxelMap(CONFIG)
    only.add(SEEN[0], POSES[0])
    assert state_of(mapped) == state_of(only)


def test_full_disk_leaves_the_old_map(tmp_path, mapped, monkeypatch):
    mapped.save(tmp_path)
    old = (tmp_path / FILE).read_bytes()
    mapped.remove(1)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        mapped.save(tmp_path)
    assert (tmp_path / FILE).read_bytes() == old and [p.name for p in tmp_path.iterdir()] == [FILE]
