# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.fusion.backends import blocks
from lsm_ros.fusion.backends.blocks import HALF, BlockPool, pack_keys, unpack_keys
from lsm_ros.fusion.map.labels import MAX_LABELS, LabelTable


def test_keys_round_trip_and_order():
    index = np.random.default_rng(0).integers(-HALF, HALF, (500, 3))
    index[:2] = [[-HALF] * 3, [HALF - 1] * 3]
    keys = pack_keys(index)
    assert (unpack_keys(keys) == index).all()
    assert keys.min() >= 0
    assert (np.lexsort(index.T[::-1]) == np.argsort(keys)).all()


@pytest.mark.parametrize("bad", [HALF, -HALF - 1, 2.0**31, 1e30, np.inf, np.nan])
def test_keys_do_not_wrap(bad):
    with pytest.raises(ValueError, match="too far away"):
        pack_keys(np.array([[0, bad, 0]]))


def test_pool_grows_and_reuses_slots():
    pool = BlockPool({"a": (2, 3)})
    keys = np.arange(200, dtype=np.int64) * 7
    slots = pool.claim(keys[:50])
    pool.blocks("a")[slots] = np.arange(50)[:, None, None]
    slots = pool.claim(keys)  # beyond the first capacity
    assert len(set(slots.tolist())) == 200 and len(pool) == 200
    assert (pool.blocks("a")[pool.find(keys[:50])] == np.arange(50)[:, None, None]).all()
    assert not pool.blocks("a")[pool.find(keys[50:])].any()
    pool.blocks("a")[slots[:10]] = 0
    pool.release(slots[:10])
    assert len(pool) == 190 and (pool.find(keys[:10]) == -1).all()
    size = pool.nbytes
    assert set(pool.claim(keys[:10] + 1).tolist()) == set(slots[:10].tolist())
    assert pool.nbytes == size


def test_address_space_is_set_aside_where_there_is_any(monkeypatch):
    keys = np.arange(300, dtype=np.int64)
    roomy = blocks.BlockPool({"a": (512, 6)}, ("a",), limit=10**6)  # 12 GB if it were memory
    roomy.claim(keys[:10])
    array = roomy.raw("a")
    roomy.claim(keys)
    assert roomy.raw("a").ctypes.data == array.ctypes.data and roomy.blocks("a").shape == (10**6, 512, 6)
    assert roomy.nbytes == 300 * (512 * 24 + 20)

    def short(shape):
        if np.prod(shape) > 1e7:
            raise OSError(12, "Cannot allocate memory")
        return np.zeros(shape, np.int32)

    monkeypatch.setattr(blocks, "lazy_zeros", short)
    tight = blocks.BlockPool({"a": (512, 6)}, ("a",), limit=10**6)
    slots = tight.claim(keys[:10])
    tight.blocks("a")[slots] = 7
    slots = tight.claim(keys)
    assert (tight.take("a", slots[:10]) == 7).all() and not tight.take("a", slots[10:]).any()


def test_pool_widens_without_losing_content():
    pool = BlockPool({"a": (2, 0)})
    slots = pool.claim(np.array([5, 9]))
    pool.widen("a", 8)
    pool.blocks("a")[slots] = 3
    pool.widen("a", 16)
    assert (pool.blocks("a")[slots][:, :, :8] == 3).all() and not pool.blocks("a")[slots][:, :, 8:].any()


def test_label_columns_are_given_back():
    table = LabelTable()
    table.claim([7, 3])
    first = table.columns([7, 3])
    table.claim([3])
    assert table.width == 8
    table.release([7, 3])
    assert table.sorted()[0].tolist() == [3]
    table.claim([99])
    assert table.columns([99])[0] == first[0]  # the column of 7
    again = LabelTable.from_state(table.state())
    assert (again.state() == table.state()).all()


def test_too_many_labels_name_the_id():
    table = LabelTable("dense")
    table.claim(range(MAX_LABELS))
    table.check(range(MAX_LABELS))
    with pytest.raises(ValueError, match="label id 500 "):
        table.check([3, 500])
    table.check([500], leaving=[0])  # that one makes room
    table.claim([0])
    with pytest.raises(ValueError, match="label id 500 "):
        table.check([500], leaving=[0])


@pytest.mark.parametrize("rows", [[[1, 0, 1], [1, 1, 1]], [[1, 0, 1], [2, 0, 1]], [[1, 64, 1]], [[1, 0, 0]],
                                  [[1, -1, 1], [2, 0, 1]], [[1, -1, -1]], [[65535, -1, 1]]])
def test_damaged_label_table(rows):
    with pytest.raises(ValueError, match="label table"):
        LabelTable.from_state(np.array(rows, np.int64))
