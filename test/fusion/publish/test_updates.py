# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Updates, their encoding, and the replica that is rebuilt from them."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.fusion_scenes import MIDDLE, ROOM, observe, plane, pose, sphere
from helpers.properties import HealthCheck, Phase, given, settings, st

from lsm_ros.config import FusionConfig
from lsm_ros.fusion import VoxelMap
from lsm_ros.fusion.publish.encoding import ENCODING, VOXEL, decode, encode
from lsm_ros.fusion.publish.replica import Applied, MapReplica
from lsm_ros.fusion.publish.updates import BLOCK_OVERHEAD, MESSAGE_OVERHEAD, UpdateStream
from lsm_ros.fusion.read.surface_reader import SurfaceReader
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.types import UNLABELLED

CONFIG = FusionConfig(voxel_size=0.1, min_weight=0.2)
TINY = CameraIntrinsics(40, 30, 35.0, 35.0, 19.5, 14.5)
NAMES = ("points_map", "colors", "labels", "confidence")
SCENES = (ROOM, [plane((1, 0, 0), 2.6)], [plane((1, 0, 0), 2.6), sphere((1.2, 0, 0.5), 0.3)])


def scratch(m):
    """What is published of a map, read and encoded from nothing."""
    surface = SurfaceReader(m.layout).read(m.pools, m.seq, m.config.min_weight)
    size = float(np.float32(m.layout.voxel_size))
    return decode(encode(surface, size), size)


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in NAMES)


def tell(stream, replica):
    """Sends all that is pending; returns the messages."""
    messages = []
    while (update := stream.next()) is not None:
        assert replica.apply(update) is Applied.APPLIED
        messages.append(update)
    return messages


def ask_all(stream, replica, max_bytes=10**6):
    """Asks until nothing new comes; returns the number of answers."""
    for count in range(1, 10_000):
        answer = stream.answer(replica.epoch, replica.seq, max_bytes)
        result = replica.apply(answer)
        assert result in (Applied.APPLIED, Applied.KNOWN)
        if not len(answer.data):
            return count
    raise AssertionError("the answers do not end")


def room_map(views=3, config=CONFIG):
    m = VoxelMap(config)
    for i in range(views):
        T = pose(0.1 * i, 0.1 * i, 0.6, 0.3 * i - 0.3)
        m.add(observe(ROOM, T, i, camera=TINY), T)
    return m


steps = st.lists(st.tuples(
    st.sampled_from(["add", "add", "move", "remove", "labels", "min_weight", "epoch", "another"]), st.integers(0, 5),
    st.floats(-0.4, 0.4), st.floats(-0.6, 0.6), st.integers(0, 2)), min_size=1, max_size=10)


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
          suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps, seed=st.integers(0, 2**32 - 1), max_bytes=st.sampled_from([300, 3000, 10**6]))
def test_a_subscriber_that_misses_a_third_ends_equal(steps, seed, max_bytes):
    rng = np.random.default_rng(seed)
    m, epoch, stream, replica = VoxelMap(CONFIG), 0, UpdateStream(lambda: int(rng.integers(1, 2**60))), MapReplica()
    for number, (what, which, shift, yaw, scene) in enumerate(steps):
        T = pose(shift, 0.2 * shift, 0.6, yaw)
        known = sorted(m.observations)
        i = known[which % len(known)] if known else None
        if what == "add" or i is None:
            m.add(observe(SCENES[scene], T, 100 + number, camera=TINY, labelled=scene != 1), T)
        elif what == "move":
            m.move(i, T)
        elif what == "remove":
            m.remove(i)
        elif what == "labels":
            m.add_labels(i, np.full((30, 40), which, np.uint16))
        elif what == "min_weight":
            m.config = replace(CONFIG, min_weight=0.1 + which)
        elif what == "epoch":
            epoch += 1
        else:
            m, epoch = VoxelMap(CONFIG), epoch + 1
        stream.follow(m, epoch, number)
        assert same(m.published_cloud(), scratch(m))
        while (update := stream.next(max_bytes)) is not None:
            assert update.nbytes <= max_bytes or len(update.data) == 1
            if rng.random() < 1 / 3:
                continue  # lost
            if replica.apply(update) in (Applied.GAP, Applied.BEHIND) and rng.random() < 0.5:  # else the answer is lost
                replica.apply(stream.answer(replica.epoch, replica.seq, max_bytes))
    if replica.apply(stream.beat()) is not Applied.KNOWN:
        ask_all(stream, replica, max_bytes)
    assert same(replica.cloud(), scratch(m)) and (replica.epoch, replica.voxel_size) == (epoch, np.float32(0.1))
    assert replica.apply(stream.beat()) is Applied.KNOWN


def test_what_is_rebuilt_is_the_surface():
    m = VoxelMap(replace(CONFIG, voxel_size=0.05))
    for i, T in enumerate((pose(0, 0, 0.6), pose(0.1, 0, 0.6, 0.2))):
        m.add(observe(ROOM, T, i, camera=MIDDLE), T)
    s, c = m.snapshot(), m.published_cloud()
    assert len(s.points_map) == len(c.points_map) > 3000
    assert np.abs(s.points_map - c.points_map).max() <= 0.05 * (0.51 / 128 + 1e-4)  # half a step; one at the very end
    assert np.abs(s.confidence - c.confidence).max() <= 0.501 / 255
    assert (s.labels == c.labels).all() and (s.colors == c.colors).all()
    assert c.points_map.dtype == np.float32 and c.confidence.dtype == np.float32 and c.labels.dtype == np.uint16


def test_bytes_of_a_voxel():
    """The format as docs/map.md has it, read by hand."""
    m = VoxelMap(CONFIG)
    T = pose(0, 0, 0.6)
    m.add(observe([plane((1, 0, 0), 1.53)], T, 0, camera=TINY), T)
    m.refresh_blocks()
    part = m.encoded_blocks()
    cloud, n = m.published_cloud(), 0
    index = {k: (int(x), int(y), int(z)) for k, (x, y, z) in zip(part.keys.tolist(), unpacked(part.keys), strict=True)}
    data = dict(zip(part.keys.tolist(), part.data, strict=True))
    for key in sorted(data):
        for at in range(0, len(data[key]), 11):
            b = data[key][at:at + 11]
            voxel = int.from_bytes(b[:2], "little")
            offset = np.frombuffer(b[2:5], np.int8).astype(float)
            ijk = np.array([voxel // 64, voxel // 8 % 8, voxel % 8])
            point = (np.array(index[key]) * 8 + ijk + 0.5 + offset / 128) * float(np.float32(0.1))
            assert (point.astype(np.float32) == cloud.points_map[n]).all()
            assert tuple(b[5:8]) == (40, 100, 200) and int.from_bytes(b[8:10], "little") == 1
            assert np.float32(b[10]) / np.float32(255) == cloud.confidence[n]
            n += 1
    assert n == len(cloud.points_map) > 100 and VOXEL.itemsize == 11 and ENCODING == "lsm_surface_1"


def unpacked(keys):
    from lsm_ros.fusion.backends.blocks import unpack_keys
    return unpack_keys(keys)


def test_labels_below_the_threshold_are_not_told():
    m = VoxelMap(CONFIG)
    T = pose(0, 0, 0.6)
    for i, label in enumerate((9, 4, 9)):
        o = observe([plane((1, 0, 0), 1.5)], T, i, camera=TINY)
        m.add(replace(o, labels=np.full_like(o.labels, label)), T)
    assert set(decode(encode(m.surface(), 0.1, 0.8), 0.1).labels.tolist()) == {9}
    assert set(decode(encode(m.surface(), 0.1, 0.9), 0.1).labels.tolist()) == {UNLABELLED}


def test_messages_are_bounded_and_tell_what_changed():
    m = room_map()
    stream, replica = UpdateStream(), MapReplica()
    stream.follow(m, 0)
    first = []
    while (update := stream.next(2000)) is not None:
        first.append(update)
        replica.apply(update)
    assert len(first) > 3 and first[0].base_seq == 0
    assert all(u.nbytes <= 2000 for u in first)
    assert all(u.nbytes == MESSAGE_OVERHEAD + sum(map(len, u.data)) + BLOCK_OVERHEAD * len(u.data) for u in first)
    assert [u.base_seq for u in first[1:]] == [u.seq for u in first[:-1]]
    assert same(replica.cloud(), scratch(m))
    stream.follow(m, 0)
    assert not stream.pending and stream.next() is None
    T = pose(0.5, 0.5, 0.3, -1.2, 0.5)
    m.add(observe([plane((0, 0, 1), 0.0)], T, 9, camera=TINY), T)
    stream.follow(m, 0)
    (second,) = tell(stream, replica)
    assert 0 < len(second.data) < sum(len(u.data) for u in first)
    assert same(replica.cloud(), scratch(m))
    m.remove(9)
    stream.follow(m, 0)
    (third,) = tell(stream, replica)
    assert same(replica.cloud(), scratch(m)) and b"" in third.data  # blocks that only it had


def test_a_neighbour_and_the_free_space_around_change_what_a_block_shows():
    """A surface voxel at the side of a block looks at the next block; one with more free than seen weight is hidden."""
    box, wall, T = sphere((1.2, 0, 0.5), 0.3), plane((1, 0, 0), 2.6), pose(0, 0, 0.5)
    m = VoxelMap(replace(CONFIG, voxel_size=0.05, min_weight=0.0))
    m.add(observe([wall, box], T, 0), T)
    stream, replica = UpdateStream(), MapReplica()
    stream.follow(m, 0)
    tell(stream, replica)
    before = replica.cloud()
    for i in (1, 2):
        m.add(observe([wall], T, i), T)
        stream.follow(m, 0)
        tell(stream, replica)
        assert same(replica.cloud(), scratch(m))
    assert (replica.cloud().points_map[:, 0] < 1.5).sum() < 0.2 * (before.points_map[:, 0] < 1.5).sum()
    for i in (1, 2):
        m.remove(i)
    stream.follow(m, 0)
    tell(stream, replica)
    assert same(replica.cloud(), before)


def test_who_knows_nothing_or_something_else_gets_everything():
    m = room_map()
    stream = UpdateStream()
    with pytest.raises(ValueError, match="no map"):
        stream.answer(0, 0)
    stream.follow(m, 3)
    stream.skip()
    newest = stream.answer(3, 0).seq
    for epoch, since in ((3, 0), (2, newest), (4, newest), (3, newest + 1), (3, 2**64 - 1), (3, 1), (0, 0)):
        answer = stream.answer(epoch, since)
        replica = MapReplica()
        replica.epoch, replica.seq = epoch, since
        assert answer.base_seq == 0 and answer.epoch == 3
        assert replica.apply(answer) is Applied.APPLIED and same(replica.cloud(), scratch(m)), (epoch, since)
    nothing = stream.answer(3, newest)
    assert (nothing.base_seq, nothing.seq, nothing.data) == (newest, newest, ())
    assert MapReplica().apply(nothing) is Applied.GAP


def test_a_mapper_that_starts_again_is_not_taken_for_the_one_before():
    first, second = UpdateStream(lambda: 2**50), UpdateStream(lambda: 2**49)
    replica, m, other = MapReplica(), room_map(3), room_map(1)
    first.follow(m, 0)
    tell(first, replica)
    second.follow(other, 0)
    second.skip()
    assert replica.apply(second.beat()) is Applied.BEHIND
    assert ask_all(second, replica) == 2 and same(replica.cloud(), scratch(other))
    assert replica.apply(first.beat()) is Applied.GAP


def test_loading_tells_what_is_other(tmp_path):
    m, other = room_map(3), room_map(1)
    other.save(tmp_path)
    stream, replica = UpdateStream(), MapReplica()
    stream.follow(m, 0)
    tell(stream, replica)
    m.load(tmp_path)
    stream.follow(m, 0)
    assert all(u.base_seq for u in tell(stream, replica))
    assert same(replica.cloud(), scratch(other))


def test_removals_that_are_forgotten_are_told_by_telling_everything(monkeypatch):
    import lsm_ros.fusion.publish.updates as updates
    monkeypatch.setattr(updates, "_MOST_GONE", 5)
    m = room_map(3)
    stream, replica = UpdateStream(), MapReplica()
    stream.follow(m, 0)
    tell(stream, replica)
    m.remove(2)
    stream.follow(m, 0)
    update = stream.answer(replica.epoch, replica.seq)
    assert update.base_seq == 0 and all(update.data)
    tell(stream, replica)
    assert same(replica.cloud(), scratch(m))


def test_the_map_is_not_kept_alive():
    m, stream = room_map(1), UpdateStream()
    stream.follow(m, 0)
    assert stream.pending
    del m
    assert not stream.pending and stream.next() is None
    stream.skip()


def test_garbled_updates_change_nothing():
    m = room_map()
    stream, replica = UpdateStream(), MapReplica()
    stream.follow(m, 0)
    (good,) = tell(stream, replica)
    T = pose(0.5, 0.5, 0.3, -1.2, 0.5)
    m.add(observe([plane((0, 0, 1), 0.0)], T, 9, camera=TINY), T)
    stream.follow(m, 0)
    update = stream.next()
    state, cloud = (replica.epoch, replica.seq), replica.cloud()

    def data(change):
        return {"data": (change(update.data[0]), *update.data[1:])}

    def voxel(number):
        return data(lambda d: int(number).to_bytes(2, "little") + d[2:])

    far = update.index.copy()
    far[0, 1] = 2**30
    twice = update.index.copy()
    twice[1] = twice[0]
    for change, words in (({"encoding": "lsm_surface_9"}, "lsm_surface_9"), ({"block_edge": 16}, "block_edge 16"),
                          ({"voxel_size": float("nan")}, "voxel_size nan"), ({"voxel_size": 0.0}, "voxel_size"),
                          ({"voxel_size": 0.2}, "voxel_size 0.2"), ({"seq": 3, "base_seq": 4}, "before base_seq 4"),
                          ({"index": update.index[1:]}, "encodings"), ({"index": far}, "1073741824"),
                          ({"index": twice}, "twice"), (data(lambda d: d[:-1]), "bytes"), (data(lambda d: d + d), "order"),
                          (voxel(512), "512"), (voxel(511), "order"), (data(lambda d: d * 600), "bytes")):
        with pytest.raises(ValueError, match=words):
            replica.apply(replace(update, **change))
        assert (replica.epoch, replica.seq) == state and replica.cloud() is cloud
    assert replica.apply(update) is Applied.APPLIED and same(replica.cloud(), scratch(m))
    assert replica.apply(good) is Applied.APPLIED  # complete, so it counts whatever is held
    assert not same(replica.cloud(), scratch(m))
    ask_all(stream, replica)
    assert same(replica.cloud(), scratch(m))
    replica.clear()
    assert replica.seq == 0 and not len(replica.cloud().points_map) and replica.block_count == 0


def test_empty_map():
    m, stream, replica = VoxelMap(CONFIG), UpdateStream(), MapReplica()
    stream.follow(m, 2)
    assert not stream.pending
    beat = stream.beat()
    assert beat.base_seq == 0 and beat.data == () and replica.apply(beat) is Applied.APPLIED and replica.epoch == 2
    assert replica.apply(stream.beat()) is Applied.KNOWN
    cloud = replica.cloud()
    assert cloud.points_map.shape == (0, 3) and cloud.labels.shape == (0,) and cloud.colors.shape == (0, 3)
