# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_backends import make_backend
from helpers.fusion_scenes import ROOM, observe, plane, pose, state_of
from helpers.properties import given, settings, st

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import MapFullError, VoxelMap
from lsm_ros.fusion.backends import base as backends
from lsm_ros.fusion.backends.blocks import MAX_USERS
from lsm_ros.types import UNLABELLED

pytestmark = pytest.mark.usefixtures("backend")
CONFIG = FusionConfig(voxel_size=0.1, min_weight=0.2)
POSES = [pose(0.1 * i, 0.05 * i, 0.5 + 0.02 * i, 0.15 * i, 0.05) for i in range(5)]
SEEN = [observe(ROOM, T, i) for i, T in enumerate(POSES)]
for _i in (0, 3, 4):
    SEEN[_i] = replace(SEEN[_i], features=np.random.default_rng(_i).integers(-127, 128, (3, 5, 8)).astype(np.int8))


def scratch(observations, poses, order=None, config=CONFIG):
    fresh = VoxelMap(config)
    for i in order or sorted(poses):
        fresh.add(observations[i], poses[i])
    return fresh


def test_add_then_remove_leaves_nothing():
    m = VoxelMap(CONFIG)
    changed = m.add(SEEN[0], POSES[0])
    assert changed == m.block_count > 20
    assert len(m.touched_blocks(0)) == changed
    before = state_of(m)
    m.add(SEEN[1], POSES[1])
    assert state_of(m) != before
    m.remove(1)
    assert state_of(m) == before
    m.remove(0)
    assert m.block_count == 0 and state_of(m) == ({}, {}) and not m.observations and m.observation_bytes == 0
    assert not len(m.pools.labels.sorted()[0])
    assert not m.pools.voxels.rows("voxels").any() and not m.pools.voxels.rows("labels").any()
    assert not m.pools.free.rows("weight").any() and not m.pools.voxels.rows("features").any()


def test_order_does_not_matter():
    poses = dict(enumerate(POSES))
    assert state_of(scratch(SEEN, poses)) == state_of(scratch(SEEN, poses, [3, 0, 4, 2, 1]))


OPERATIONS = st.lists(st.tuples(
    st.sampled_from(["add", "move", "remove", "rest", "restore", "labels", "settle"]), st.integers(0, 4),
    st.floats(-0.5, 0.5), st.floats(-1, 1)), min_size=3, max_size=12)


def test_map_is_scratch_of_the_fused_poses(backend, monkeypatch):
    made = make_backend(backend)

    @settings(max_examples=25, deadline=None)
    @given(OPERATIONS)
    def check(operations):
        monkeypatch.setattr(backends, "_make", lambda kind, threads: made)
        seen, m = changed_at_random(operations)
        poses = m.fused_poses()
        assert state_of(m) == state_of(scratch(seen, poses, sorted(poses, reverse=True)))
        monkeypatch.setattr(backends, "_make", lambda kind, threads: make_backend("numpy"))
        assert state_of(m) == state_of(scratch(seen, poses))  # also across backends

    check()


def changed_at_random(operations):
    """The observations as they are after some operations, and the map that these were done to."""
    m, seen, poses, resting = VoxelMap(CONFIG), list(SEEN), {}, {}
    for what, i, shift, turn in operations:
        T = pose(shift, 0.3 * shift, 0.5, turn)
        if what == "add" and i not in poses and i not in resting:
            seen[i] = SEEN[i]
            m.add(SEEN[i], T)
            poses[i] = T
        elif what == "move" and i in poses:
            m.move(i, T)
            poses[i] = T
        elif what == "remove" and i in poses:
            m.remove(i)
            del poses[i]
        elif what == "rest" and i in poses:
            m.remove(i, keep=True)
            resting[i] = poses.pop(i)
        elif what == "restore" and i in resting:
            m.restore(i)
            poses[i] = resting.pop(i)
        elif what == "labels" and i in poses:
            labels = np.full(SEEN[i].z.shape, int(100 * abs(turn)), np.uint16)
            m.add_labels(i, labels)
            seen[i] = replace(SEEN[i], labels=labels)
        elif what == "settle":
            m.settle(dict.fromkeys(poses, T))
            poses = dict.fromkeys(poses, T)
    fused = m.fused_poses()
    assert fused.keys() == poses.keys() and all((fused[i] == poses[i]).all() for i in poses)
    assert m.block_count == len({tuple(b) for i in poses for b in m.touched_blocks(i).tolist()})
    return seen, m


def test_500_keyframes_moved_by_a_loop_closure(backend):
    """A robot turns on a circle, drifting; the loop closes, and all poses are put right."""
    if backend != "cpu":
        pytest.skip("large, and the same steps as in the other tests")
    angles = np.linspace(0, 4 * np.pi, 500)
    true = {i: pose(0.3 * np.cos(a), 0.3 * np.sin(a), 0.5, a) for i, a in enumerate(angles)}
    drifted = {i: pose(0.002 * i, 0, 0.0005 * i) @ true[i] for i in true}
    seen = [observe(ROOM, true[i], i, labelled=i % 3 == 0) for i in true]
    config = replace(CONFIG, move_voxels=0.25)
    m = scratch(seen, drifted, config=config)
    moved, backlog = m.follow(true, 30.0)
    assert moved and len(moved) + backlog < 500 and backlog > 0
    assert m.settle(true) == ()
    assert state_of(m) == state_of(scratch(seen, true, config=config))


def test_move_there_and_back():
    m = scratch(SEEN, dict(enumerate(POSES[:3])))
    before = state_of(m)
    m.move(1, pose(-3, 0, 0, 2.0))
    assert state_of(m) != before
    m.move(1, POSES[1])
    assert state_of(m) == before


def test_input_arrays_may_be_reused():
    o = observe(ROOM, POSES[0], 9)
    m = VoxelMap(CONFIG)
    m.add(o, POSES[0])
    o.z[:], o.rgb[:], o.labels[:] = 0, 0, 0
    m.remove(9)
    assert state_of(m) == ({}, {})


def test_only_what_can_be_written_is_copied():
    o = observe(ROOM, POSES[0], 9)
    o.z.setflags(write=False)
    view = o.confidence[:]
    view.setflags(write=False)  # its base can be written
    m = VoxelMap(CONFIG)
    m.add(replace(o, confidence=view), POSES[0])
    kept = m.observations[9]
    assert kept.z is o.z and not np.shares_memory(kept.confidence, o.confidence) and not np.shares_memory(kept.rgb, o.rgb)
    assert not any(a.flags.writeable for a in (kept.z, kept.confidence, kept.rgb, kept.labels))


def test_late_labels():
    plain = replace(SEEN[0], labels=None)
    m = VoxelMap(CONFIG)
    m.add(plain, POSES[0])
    before = state_of(m)
    assert (m.snapshot().labels == UNLABELLED).all()
    seq = m.seq
    m.add_labels(0, SEEN[0].labels)
    assert m.seq > seq and len(m.changed_blocks(seq))
    assert state_of(m) == state_of(scratch(SEEN, {0: POSES[0]}))
    assert (m.observations[0].labels == SEEN[0].labels).all()
    assert set(np.unique(m.snapshot().labels)) & {1, 2, 5}
    m.add_labels(0, np.full_like(SEEN[0].labels, UNLABELLED))
    assert state_of(m) == before and not len(m.pools.labels.sorted()[0])


def test_frozen_observations_stay():
    m = scratch(SEEN, dict(enumerate(POSES[:3])))
    before, used = state_of(m), m.observation_bytes
    assert m.freeze(1) == (1,)
    assert state_of(m) == before and m.observation_bytes == pytest.approx(2 / 3 * used, rel=0.01) and 1 not in m.observations
    m.settle({0: POSES[4], 1: POSES[4], 2: POSES[3]})
    m.remove(0)
    m.remove(2)
    assert state_of(m) == state_of(scratch(SEEN, {1: POSES[1]}))
    with pytest.raises(ValueError, match="observation 1 is frozen"):
        m.remove(1)
    with pytest.raises(ValueError, match="observation 1 is in the map already"):
        m.add(SEEN[1], POSES[1])


def test_changed_blocks_and_seq():
    m = VoxelMap(CONFIG)
    m.add(SEEN[0], POSES[0])
    first = m.seq
    assert len(m.changed_blocks(0)) == m.block_count and not len(m.changed_blocks(first))
    m.add(SEEN[3], POSES[3])
    assert {tuple(b) for b in m.changed_blocks(first)} == {tuple(b) for b in m.touched_blocks(3)}
    second, gone = m.seq, m.touched_blocks(3)
    m.remove(3)
    assert m.seq > second  # also what went is a change
    assert {tuple(b) for b in m.changed_blocks(second)} == {tuple(b) for b in gone}


# bounds


def test_full_map_stays_whole():
    m = VoxelMap(replace(CONFIG, max_blocks=100))
    far = pose(50, 0, 0.5)
    m.add(SEEN[0], POSES[0])
    assert m.block_count <= 100
    before, seq = state_of(m), m.seq
    m.config = replace(CONFIG, max_blocks=m.block_count + 10)
    with pytest.raises(MapFullError, match="max_blocks"):
        m.add(observe([plane((1, 0, 0), 53.0), plane((0, 0, 1), 0)], far, 1), far)
    assert state_of(m) == before and m.seq == seq and list(m.observations) == [0]
    m.move(0, far)  # as many blocks as there were, elsewhere
    m.move(0, POSES[0])
    assert state_of(m) == before


def test_settle_of_a_full_map_lets_the_oldest_rest():
    near = {0: POSES[0], 1: POSES[0]}
    m = VoxelMap(CONFIG)
    m.add(SEEN[0], near[0])
    m.add(replace(SEEN[0], id=1, keyframe=1), near[1])
    m.config = replace(CONFIG, max_blocks=m.block_count + 10)
    apart = {0: pose(-40), 1: pose(40)}
    assert m.follow(apart, 1e4) == ((), 2)
    assert m.settle(apart) == (0,)
    assert state_of(m) == state_of(scratch([None, replace(SEEN[0], id=1, keyframe=1)], {1: apart[1]}))
    m.config = CONFIG
    m.restore(0)
    assert (m.fused_poses()[0] == apart[0]).all()


def test_too_many_observations_of_a_voxel():
    m = VoxelMap(CONFIG)
    m.add(SEEN[0], POSES[0])
    m.pools.voxels.users[m.pools.voxels.all_slots()[0]] = MAX_USERS
    before = state_of(m)
    with pytest.raises(MapFullError, match="65000 observations"):
        m.add(replace(SEEN[0], id=1), POSES[0])
    assert state_of(m) == before


def test_sums_fit_at_the_limit():
    assert 511 * 63 * MAX_USERS < 2**31 and 255 * 63 * MAX_USERS < 2**31 and 8 * 63 * MAX_USERS < 2**31


# bad input

MIRROR = np.diag([1.0, 1, -1, 1])


@pytest.mark.parametrize(("change", "T", "match"), [
    ({}, POSES[0] @ MIRROR, "mirrored"),
    ({}, np.zeros((4, 4)), "last row"),
    ({}, POSES[0] + np.inf, "finite"),
    ({}, pose(1e6), "too far away"),
    ({}, pose(1e300), "too far away"),
    ({"id": 0}, POSES[0], "observation 0 is in the map already"),
    ({"id": -1}, POSES[0], "id of observation -1"),
    ({"keyframe": 1.5}, POSES[0], "keyframe of"),
    ({"labels": np.zeros((4, 4), np.uint16)}, POSES[0],
     r"labels of observation 7 must be \(60, 80\) uint16, got \(4, 4\)"),
    ({"labels": np.zeros((60, 80), np.int32)}, POSES[0], "labels of observation 7"),
    ({"z": np.zeros((60, 81), np.uint16)}, POSES[0], "z of observation 7"),
    ({"z": None}, POSES[0], "z of observation 7"),
    ({"z": np.full((60, 80), np.nan, np.float32)}, POSES[0], r"z of observation 7 must be \(60, 80\) uint16"),
    ({"z": np.full((60, 80), -1, np.int16)}, POSES[0], "z of observation 7"),
    ({"confidence": np.zeros((60, 80), np.float32)}, POSES[0], "confidence of observation 7"),
    ({"rgb": np.zeros((60, 80), np.uint8)}, POSES[0], "rgb of observation 7"),
    ({"z_step": 0.0}, POSES[0], "z_step of observation 7"),
    ({"features": np.zeros((3, 4, 8), np.int8)}, POSES[0], r"features of observation 7 must be \(3, 5\) or \(7, 10\)"),
    ({"features": np.zeros((3, 5, 8), np.float32)}, POSES[0], "features of observation 7"),
    ({"features": np.zeros((3, 5, 129), np.int8)}, POSES[0], "1 to 128 int8"),
    ({"features": np.zeros((3, 5, 9), np.int8)}, POSES[0], "have 9 numbers, those in the map 8"),
    ({"z_step": float("nan")}, POSES[0], "z_step of observation 7"),
    ({"T_rig_cam": MIRROR}, POSES[0], "T_rig_cam of observation 7 is mirrored"),
    ({"intrinsics": replace(SEEN[0].intrinsics, distortion_model="plumb_bob", D=(0.1, 0, 0, 0, 0))}, POSES[0],
     "rectify"),
    ({"labels": np.arange(4800, dtype=np.uint16).reshape(60, 80)}, POSES[0], "set it to auto or codes"),
])
def test_bad_observations_change_nothing(change, T, match):
    m = scratch(SEEN, {0: POSES[0]}, config=replace(CONFIG, labels="dense"))
    before, seq = state_of(m), m.seq
    with pytest.raises(ValueError, match=match):
        m.add(replace(SEEN[1], **{"id": 7, **change}), T)
    assert state_of(m) == before and m.seq == seq and list(m.observations) == [0]


@pytest.mark.parametrize(("call", "match"), [
    (lambda m: m.remove(5), "observation 5 is not in the map"),
    (lambda m: m.move(5, POSES[0]), "observation 5 is not in the map"),
    (lambda m: m.restore(0), "observation 0 is fused already"),
    (lambda m: m.add_labels(5, SEEN[0].labels), "observation 5 is not in the map"),
    (lambda m: m.add_labels(0, SEEN[0].labels[:10]), "labels of observation 0"),
    (lambda m: m.move(0, POSES[0] @ MIRROR), "mirrored"),
    (lambda m: m.move(0, pose(1e7)), "too far away"),
    (lambda m: m.settle({0: POSES[1], 1: POSES[1] * np.nan}), "T_map_rig of keyframe 1"),
    (lambda m: m.follow({1: POSES[0], 0: np.eye(3)}, 1e4), "T_map_rig of keyframe 0"),
])
def test_bad_calls_change_nothing(call, match):
    m = scratch(SEEN, dict(enumerate(POSES[:2])))
    before, seq = state_of(m), m.seq
    with pytest.raises(ValueError, match=match):
        call(m)
    assert state_of(m) == before and m.seq == seq
