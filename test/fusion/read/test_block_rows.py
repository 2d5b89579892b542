# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
from helpers.fusion_scenes import ROOM, observe, plane, pose
from helpers.properties import given, st

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.read.block_rows import BlockRows

BLOCKS = st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 99), min_size=1, max_size=3), max_size=8)


def rows_of(blocks):
    keys = np.repeat(np.array(sorted(blocks), np.int64), [len(blocks[k]) for k in sorted(blocks)])
    values = np.array([v for k in sorted(blocks) for v in blocks[k]], np.int32)
    return BlockRows.of(keys, (values, np.stack([keys, values], -1)))


@given(BLOCKS, BLOCKS, st.sets(st.integers(0, 12)))
def test_replacing_some_is_making_all_of_it_anew(old, new, gone):
    changed = sorted(set(new) | gone)
    got = rows_of(old).replaced(np.array(changed, np.int64), rows_of(new))
    want = rows_of({**{k: v for k, v in old.items() if k not in changed}, **new})
    assert np.array_equal(got.keys, want.keys) and np.array_equal(got.starts, want.starts)
    assert all(np.array_equal(a, b) for a, b in zip(got.columns, want.columns, strict=True))


def test_what_is_kept_between_readings_is_what_a_new_map_shows():
    """Snapshot, with its volume, and published cloud: read after each change, and of a map that is made anew."""
    config = FusionConfig(voxel_size=0.05, min_weight=0.1)
    m, poses = VoxelMap(config), [pose(0.2 * i, 0, 0.5, 0.3 * i) for i in range(4)]
    seen = [observe(ROOM, T, i) for i, T in enumerate(poses)] + [observe([plane((1, 0, 0), 4.0)], poses[0], 4)]
    fused = {}
    steps = [(0, poses[0]), (1, poses[1]), (4, poses[0]), (2, poses[2]), (1, poses[3]), (4, None), (0, None), (3, poses[3])]
    for i, T in steps:
        if T is None:
            m.remove(i)
            del fused[i]
        elif i in fused:
            m.move(i, T)
            fused[i] = T
        else:
            m.add(seen[i], T)
            fused[i] = T
        fresh = VoxelMap(config)
        for k, at in fused.items():
            fresh.add(seen[k], at)
        a, b = m.snapshot(), fresh.snapshot()
        assert len(a.points_map) > 100 and a.volume_m3 == b.volume_m3 > 0
        for name in ("points_map", "colors", "labels", "confidence", "weight", "normals"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name
        a, b = m.published_cloud(), fresh.published_cloud()
        assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("points_map", "colors", "labels", "confidence"))
        assert m.snapshot().points_map is m.snapshot().points_map and m.published_cloud() is a
