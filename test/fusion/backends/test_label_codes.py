# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_backends import make_backend
from helpers.fusion_scenes import ROOM, observe, pose, state_of
from helpers.properties import given, settings, st

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.backends import base as backends
from lsm_ros.fusion.backends.label_codes import code_bits, codes, decode
from lsm_ros.fusion.map.labels import LabelTable
from lsm_ros.types import UNLABELLED

CODES = FusionConfig(voxel_size=0.1, min_weight=0.2, labels="codes", min_label_probability=0.0)
POSES = [pose(0.1 * i, 0.05 * i, 0.5 + 0.02 * i, 0.15 * i, 0.05) for i in range(5)]


def striped(number, first, kinds):
    """An observation of the room with `kinds` labels from id `first` on, in squares of 12 pixels."""
    o = observe(ROOM, POSES[number], number)
    square = np.add.outer(np.arange(60) // 12 * 7, np.arange(80) // 12)
    labels = np.where(o.labels == UNLABELLED, UNLABELLED, first + square % kinds)
    return replace(o, labels=labels.astype(np.uint16))


SEEN = [striped(i, 40 * i, 39) for i in range(5)]


def scratch(numbers, config=CODES, poses=POSES):
    m = VoxelMap(config)
    for i in numbers:
        m.add(SEEN[i], poses[i])
    return m


def test_codes():
    """The values that the kernels compute, and that codes of different ids are far from each other."""
    assert code_bits(np.array([0, 65534])).tolist() == [0xE220A8397B1DCDAF, 0x45add512e95d9c9f]
    words = codes(np.arange(200))
    assert set(words[:, :64].ravel().tolist()) == {-1, 1} and (words[:, 64] == 1).all()
    alike = words[:, :64] @ words[:, :64].T - 64 * np.eye(200, dtype=int)
    assert np.abs(alike).max() < 44 and abs(alike.mean()) < 0.5


def test_200_ids_are_read_back():
    """Cells with one to four of 200 labels, of weights as they come: the largest one is found, with its share."""
    rng = np.random.default_rng(0)
    ids, cells = np.sort(rng.choice(UNLABELLED, 200, replace=False)).astype(np.uint16), 5000
    counts = np.zeros((cells, 200), np.int64)
    for row in counts:
        row[rng.choice(200, rng.integers(1, 5), replace=False)] += rng.integers(1, 3000)
        row[row.argmax()] += rng.integers(1, 500)
        row[rng.choice(200, rng.integers(0, 3), replace=False)] += rng.integers(1, 400)
    labels, share, second = decode((counts @ codes(ids)).astype(np.int32), ids)
    right = labels == ids[counts.argmax(1)]
    assert right.mean() > 0.99
    assert np.abs(share - counts.max(1) / counts.sum(1))[right].max() < 0.02
    assert np.abs(second - np.partition(counts, -2, 1)[:, -2] / counts.sum(1))[right].max() < 0.02


def test_what_cannot_be_read():
    ids = np.array([3, 500], np.uint16)
    nothing = decode(np.zeros((2, 65), np.int32), ids)
    assert nothing[0].tolist() == [UNLABELLED] * 2 and not nothing[1].any()
    tie = codes(ids).sum(0, keepdims=True) * 7
    labels, share, second = decode(tie.astype(np.int32), ids)
    assert labels.tolist() == [3] and share[0] == second[0] == 0.5
    many = codes(np.arange(60)).sum(0, keepdims=True)  # more than can be told apart: something, within its bounds
    labels, share, _ = decode(many.astype(np.int32), np.arange(60, dtype=np.uint16))
    assert labels[0] < 60 and 0 <= share[0] <= 1


def test_order_does_not_matter_and_nothing_is_left(backend):
    m = scratch(range(5))
    assert state_of(m) == state_of(scratch([3, 0, 4, 2, 1])) and m.pools.labels.coded
    for i in range(5):
        m.remove(i)
    assert state_of(m) == ({}, {}) and not m.pools.voxels.rows("labels").any()


OPERATIONS = st.lists(st.tuples(st.sampled_from(["add", "move", "remove", "labels"]), st.integers(0, 4), st.floats(-0.5, 0.5)),
                      min_size=3, max_size=12)


@pytest.mark.parametrize("mode", ["codes", "auto"])
def test_map_is_scratch_of_what_is_in_it(backend, monkeypatch, mode):
    made = make_backend(backend)

    @settings(max_examples=12, deadline=None)
    @given(OPERATIONS)
    def check(operations):
        monkeypatch.setattr(backends, "_make", lambda kind, threads: made)
        m, poses, seen = VoxelMap(replace(CODES, labels=mode)), {}, {}
        for what, i, shift in operations:
            T = pose(shift, 0.3 * shift, 0.5, shift)
            if what == "add" and i not in poses:
                m.add(SEEN[i], T)
                poses[i], seen[i] = T, SEEN[i]
            elif what == "move" and i in poses:
                m.move(i, T)
                poses[i] = T
            elif what == "remove" and i in poses:
                m.remove(i)
                del poses[i]
            elif what == "labels" and i in poses:
                seen[i] = striped(i, int(1000 * abs(shift)), 20)
                m.add_labels(i, seen[i].labels)
        monkeypatch.setattr(backends, "_make", lambda kind, threads: make_backend("numpy"))
        fresh = VoxelMap(replace(CODES, labels="codes" if m.pools.labels.coded else "dense"))
        for i in sorted(poses, reverse=True):
            fresh.add(seen[i], poses[i])
        assert state_of(m) == state_of(fresh)

    check()


def test_counts_become_codes_exactly(backend):
    m = scratch([0], replace(CODES, labels="auto"))
    assert not m.pools.labels.coded
    before = m.snapshot()
    m.add(SEEN[1], POSES[1])
    assert m.pools.labels.coded
    assert state_of(m) == state_of(scratch([0, 1]))
    m.remove(1)
    after = m.snapshot()
    assert (before.labels == after.labels).all() and (before.labels != UNLABELLED).mean() > 0.9
    assert state_of(m) == state_of(scratch([0]))


def test_reading_says_what_counts_say(backend):
    """Of 60 labels, held one way and the other: surface, mesh and what is published."""
    seen = [striped(i, 15 * i, 15) for i in range(4)]
    counted, coded = VoxelMap(replace(CODES, labels="dense")), VoxelMap(CODES)
    for m in (counted, coded):
        for o, T in zip(seen, POSES, strict=False):
            m.add(o, T)
    a, b = counted.surface(), coded.surface()
    same = a.labels == b.labels
    assert same.mean() > 0.99 and len(np.unique(b.labels)) > 40
    assert np.abs(a.label_probability - b.label_probability)[same].max() < 0.1
    for read in (lambda m: m.mesh().labels, lambda m: m.published_cloud().labels):
        assert (read(counted) == read(coded)).mean() > 0.98


def test_what_is_published_follows_new_labels():
    """A new label may change what is read of any cell, so all blocks are read again."""
    m = scratch([0])
    m.refresh_blocks()
    look = m.pools.look
    m.add(SEEN[1], POSES[1])
    assert m.pools.look > look
    fresh = scratch([0, 1])
    assert (m.published_cloud().labels == fresh.published_cloud().labels).all()
    look = m.pools.look
    m.move(1, POSES[2])
    assert m.pools.look == look


@pytest.mark.parametrize(("saved", "loaded"), [("codes", "codes"), ("codes", "auto"), ("auto", "auto")])
def test_round_trip(tmp_path, backend, saved, loaded):
    m = scratch([0, 1, 2], replace(CODES, labels=saved))
    m.remove(2, keep=True)
    m.save(tmp_path)
    again = VoxelMap(replace(CODES, labels=loaded))
    again.load(tmp_path)
    assert again.pools.labels.coded and state_of(again) == state_of(m)
    assert (again.snapshot().labels == m.snapshot().labels).all()
    again.restore(2)
    again.remove(0)
    assert state_of(again) == state_of(scratch([1, 2]))


def test_a_map_of_the_other_kind_is_refused(tmp_path):
    scratch([0]).save(tmp_path / "coded")
    scratch([0], replace(CODES, labels="dense")).save(tmp_path / "counted")
    with pytest.raises(ValueError, match="its labels are codes, fusion.labels is dense; set it to auto"):
        VoxelMap(replace(CODES, labels="dense")).load(tmp_path / "coded")
    with pytest.raises(ValueError, match="its labels are dense, fusion.labels is codes"):
        VoxelMap(CODES).load(tmp_path / "counted")
    with pytest.raises(ValueError, match="fusion.labels must be one of"):
        LabelTable("sparse")
