# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Block-sparse storage: a hash from block index to slot, and int32 arrays that grow with the number of blocks."""
from __future__ import annotations

import numpy as np

KEY_BITS = 21  # per axis, packed into one int64
HALF = 1 << (KEY_BITS - 1)  # block indices are within -HALF..HALF-1
MAX_USERS = 65_000  # 511 steps * weight 63 * 65 000 observations still fits into int32
_FIRST_CAPACITY = 64


class MapFullError(RuntimeError):
    """The map has no room for what should be added; nothing has changed."""


def pack_keys(index: np.ndarray) -> np.ndarray:
    """Block indices (..., 3) of any number type to int64 keys, whose order is that of (x, y, z).

    ValueError if an index does not fit into 21 bits, naming it.
    """
    index = np.asarray(index)
    outside = ~((index >= -HALF) & (index < HALF))  # also true for NaN
    if outside.any():
        worst = index[outside].ravel()[0]
        raise ValueError(f"block index {worst} is outside of +-{HALF}: the pose is too far away for this voxel size")
    biased = index.astype(np.int64) + HALF
    return (biased[..., 0] << (2 * KEY_BITS)) | (biased[..., 1] << KEY_BITS) | biased[..., 2]


def unpack_keys(keys: np.ndarray) -> np.ndarray:
    """Keys (...) back to block indices (..., 3) int32."""
    mask = (1 << KEY_BITS) - 1
    parts = [keys >> (2 * KEY_BITS), (keys >> KEY_BITS) & mask, keys & mask]
    return (np.stack(parts, -1) - HALF).astype(np.int32)


class BlockPool:
    """Slots of blocks. Each block has `users` (observations that touch it) and the `seq` of its last change.

    `shapes` names the arrays: rows for each block and int32 columns for each row. A slot is free when no observation
    touches it; its content is zero then, because taking away is the exact inverse of adding.
    """

    def __init__(self, shapes: dict[str, tuple[int, int]]) -> None:
        self._shapes = dict(shapes)
        self._slots: dict[int, int] = {}
        self._unused: list[int] = []
        self._capacity = 0
        self.keys = np.zeros(0, np.int64)
        self.users = np.zeros(0, np.int32)
        self.seq = np.zeros(0, np.int64)
        self._arrays = {name: np.zeros((0, columns), np.int32) for name, (_, columns) in shapes.items()}

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, also of slots that wait for a block."""
        return sum(a.nbytes for a in (self.keys, self.users, self.seq, *self._arrays.values()))

    def rows(self, name: str) -> np.ndarray:
        """Array (capacity * rows, columns) int32; row r of slot s is s * rows + r. Valid until the pool grows."""
        return self._arrays[name]

    def blocks(self, name: str) -> np.ndarray:
        """The same array as (capacity, rows, columns)."""
        rows, columns = self._shapes[name]
        return self._arrays[name].reshape(self._capacity, rows, columns)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Slots (N,) int64 of keys (N,), -1 for blocks that do not exist."""
        get = self._slots.get
        return np.fromiter((get(k, -1) for k in keys.tolist()), np.int64, len(keys))

    def all_slots(self) -> np.ndarray:
        """Slots of all blocks in the order of their keys."""
        keys = np.fromiter(self._slots, np.int64, len(self._slots))
        keys.sort()
        return self.find(keys)

    def claim(self, keys: np.ndarray) -> np.ndarray:
        """Slots (N,) of keys (N,), making the blocks that do not exist."""
        slots = self.find(keys)
        missing = np.flatnonzero(slots < 0)
        self._reserve(len(self._slots) + len(missing))
        for i in missing.tolist():
            slot = self._unused.pop()
            self._slots[int(keys[i])] = slot
            self.keys[slot] = keys[i]
            slots[i] = slot
        return slots

    def release(self, slots: np.ndarray) -> None:
        """Gives back slots whose content is zero."""
        for slot in slots.tolist():
            del self._slots[int(self.keys[slot])]
            self._unused.append(slot)

    def widen(self, name: str, columns: int) -> None:
        """Gives an array more columns, filled with zero; less is ignored."""
        rows, old = self._shapes[name]
        if columns <= old:
            return
        array = np.zeros((self._capacity * rows, columns), np.int32)
        array[:, :old] = self._arrays[name]
        self._arrays[name] = array
        self._shapes[name] = (rows, columns)

    def columns(self, name: str) -> int:
        """Columns of an array."""
        return self._shapes[name][1]

    def _reserve(self, blocks: int) -> None:
        if blocks <= self._capacity:
            return
        capacity = max(blocks, 2 * self._capacity, _FIRST_CAPACITY)
        self._unused = list(range(capacity - 1, self._capacity - 1, -1)) + self._unused
        for name, (rows, columns) in self._shapes.items():
            grown = np.zeros((capacity * rows, columns), np.int32)
            grown[:self._capacity * rows] = self._arrays[name]
            self._arrays[name] = grown
        for name in ("keys", "users", "seq"):
            old = getattr(self, name)
            grown = np.zeros(capacity, old.dtype)
            grown[:self._capacity] = old
            setattr(self, name, grown)
        self._capacity = capacity
