# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Block-sparse storage: an index from block keys to slots, and int32 arrays with what the blocks hold."""
from __future__ import annotations

import mmap
import sys
from contextlib import suppress
from typing import Protocol

import numpy as np

KEY_BITS = 21  # per axis, packed into one int64
HALF = 1 << (KEY_BITS - 1)  # block indices are within -HALF..HALF-1
MAX_USERS = 65_000  # 511 steps * weight 63 * 65 000 observations still fits into int32
_FIRST_CAPACITY = 64
_MAP_NORESERVE = 0x4000  # Linux
_LARGE = 1 << 24


class MapFullError(RuntimeError):
    """The map has no room for what should be added; nothing has changed."""


def far_away(index: float) -> ValueError:
    """The error that a block index does not fit."""
    return ValueError(f"block index {index} is outside of +-{HALF}: the pose is too far away for this voxel size")


def pack_keys(index: np.ndarray) -> np.ndarray:
    """Block indices (..., 3) of any number type to int64 keys, whose order is that of (x, y, z).

    ValueError if an index does not fit into 21 bits, naming it.
    """
    index = np.asarray(index)
    outside = ~((index >= -HALF) & (index < HALF))  # also true for NaN
    if outside.any():
        raise far_away(index[outside].ravel()[0])
    biased = index.astype(np.int64) + HALF
    return (biased[..., 0] << (2 * KEY_BITS)) | (biased[..., 1] << KEY_BITS) | biased[..., 2]


def unpack_keys(keys: np.ndarray) -> np.ndarray:
    """Keys (...) back to block indices (..., 3) int32."""
    mask = (1 << KEY_BITS) - 1
    parts = [keys >> (2 * KEY_BITS), (keys >> KEY_BITS) & mask, keys & mask]
    return (np.stack(parts, -1) - HALF).astype(np.int32)


class BlockIndex(Protocol):
    """Index from blocks to slots."""

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Slots (N,) int64 of keys (N,) int64, -1 for blocks that do not exist."""

    def insert(self, keys: np.ndarray, slots: np.ndarray) -> None:
        """Adds keys that are not there, each once."""

    def erase(self, keys: np.ndarray) -> None:
        """Takes away keys that are there, each once."""


class DictIndex:
    """The index as a dictionary."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def find(self, keys: np.ndarray) -> np.ndarray:
        """See BlockIndex."""
        get = self._slots.get
        return np.fromiter((get(k, -1) for k in keys.tolist()), np.int64, len(keys))

    def insert(self, keys: np.ndarray, slots: np.ndarray) -> None:
        """See BlockIndex."""
        self._slots.update(zip(keys.tolist(), slots.tolist(), strict=True))

    def erase(self, keys: np.ndarray) -> None:
        """See BlockIndex."""
        for key in keys.tolist():
            del self._slots[key]


class Rows:
    """Rows of blocks, by number: `rows[n]` are whole rows (..., columns), `rows[n, c]` columns c of them."""

    def __init__(self, blocks: np.ndarray) -> None:
        self._blocks = blocks

    def __getitem__(self, index: np.ndarray | tuple[np.ndarray, int | slice]) -> np.ndarray:
        row, column = index if isinstance(index, tuple) else (index, slice(None))
        slot, inner = np.divmod(row, self._blocks.shape[1])
        return self._host(self._blocks[self._device(slot), self._device(inner), column])

    def any(self) -> bool:
        """True if anything is not zero."""
        return bool(self._blocks.any())

    def _host(self, array: np.ndarray) -> np.ndarray:
        return array

    def _device(self, array: np.ndarray) -> np.ndarray:
        return array


class BlockPool:
    """Slots of blocks. Each block has `users` (observations that touch it) and the `seq` of its last change.

    `shapes` names the arrays: rows for each block and int32 columns for each row; those in `planar` keep each column of
    a block together in memory. A slot is free when no observation touches it; its content is zero then, because taking
    away is the exact inverse of adding. `limit`: blocks for which address space is set aside, so that growing costs
    nothing; memory is taken only as blocks come.
    """

    def __init__(self, shapes: dict[str, tuple[int, int]], planar: tuple[str, ...] = (), index: BlockIndex | None = None,
                 limit: int = 0) -> None:
        self._shapes = dict(shapes)
        self._planar = frozenset(planar)
        self._index = DictIndex() if index is None else index
        self._limit, self._capacity, self._top, self._count = limit, 0, 0, 0  # top: first slot that never was in use
        self._unused: list[np.ndarray] = []
        self.keys = np.zeros(0, np.int64)
        self.users = np.zeros(0, np.int32)
        self.seq = np.zeros(0, np.int64)
        self._arrays = {name: self._zeros(0, name) for name in shapes}

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, also of slots that wait for a block."""
        columns = sum(rows * columns for rows, columns in self._shapes.values())
        return self._top * (4 * columns + sum(a.itemsize for a in (self.keys, self.users, self.seq)))

    def raw(self, name: str) -> np.ndarray:
        """The array as kernels see it, flat, on their device. Valid until the pool grows or is widened."""
        return self._arrays[name].reshape(-1)

    def rows(self, name: str) -> Rows:
        """For reading rows (N, columns) int32 by number; row r of slot s is s * rows + r. Valid until the pool grows."""
        return Rows(self.blocks(name)[:self._top])

    def blocks(self, name: str) -> np.ndarray:
        """Array (capacity, rows, columns) int32. Valid until the pool grows."""
        array = self._arrays[name]
        return array.transpose(0, 2, 1) if name in self._planar else array

    def take(self, name: str, slots: np.ndarray) -> np.ndarray:
        """A copy of some blocks (N, rows, columns) int32."""
        return self.blocks(name)[slots]

    def column(self, name: str, slots: np.ndarray, column: int) -> np.ndarray:
        """A copy of one column (N, rows) int32 of some blocks."""
        return self.blocks(name)[slots, :, column]

    def put(self, name: str, slots: np.ndarray, content: np.ndarray) -> None:
        """Replaces the first columns of some blocks by content (N, rows, columns) int32."""
        self.blocks(name)[slots, :, :content.shape[2]] = content

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Slots (N,) int64 of keys (N,), -1 for blocks that do not exist."""
        return self._index.find(keys)

    def all_slots(self) -> np.ndarray:
        """Slots of all blocks in the order of their keys."""
        return self.slots_since(-1)

    def slots_since(self, seq: int) -> np.ndarray:
        """Slots of the blocks that changed after `seq`, in the order of their keys."""
        top = self._top
        slots = np.flatnonzero((self.users[:top] > 0) & (self.seq[:top] > seq))
        return slots[np.argsort(self.keys[slots])]

    def claim(self, keys: np.ndarray) -> np.ndarray:
        """Slots (N,) of distinct keys (N,), making the blocks that do not exist; their users are for the caller to set,
        before anything else is asked."""
        slots = self.find(keys)
        missing = np.flatnonzero(slots < 0)
        if len(missing):
            fresh = self._fresh(len(missing))
            slots[missing] = fresh
            self.keys[fresh] = keys[missing]
            self._index.insert(keys[missing], fresh)
            self._count += len(missing)
        return slots

    def release(self, slots: np.ndarray) -> None:
        """Gives back slots whose content is zero."""
        if len(slots):
            self._index.erase(self.keys[slots])
            self.users[slots] = 0
            self._unused.append(slots)
            self._count -= len(slots)

    def widen(self, name: str, columns: int) -> None:
        """Gives an array more columns, filled with zero; less is ignored."""
        if columns > self._shapes[name][1]:
            self._resize(name, columns)

    def clear(self, name: str) -> None:
        """Takes all columns from an array whose content is zero."""
        if self._shapes[name][1]:
            self._resize(name, 0)

    def columns(self, name: str) -> int:
        """Columns of an array."""
        return self._shapes[name][1]

    def _resize(self, name: str, columns: int) -> None:
        rows, old = self._shapes[name]
        self._shapes[name] = (rows, columns)
        array, kept = self._zeros(self._capacity, name), min(old, columns)
        if kept and name in self._planar:
            array[:self._top, :kept] = self._arrays[name][:self._top, :kept]
        elif kept:
            array[:self._top, :, :kept] = self._arrays[name][:self._top, :, :kept]
        self._arrays[name] = array

    def _fresh(self, count: int) -> np.ndarray:
        """Slots (count,) that are free; the latest released come first."""
        found = []
        while count and self._unused:
            last = self._unused.pop()
            if len(last) > count:
                self._unused.append(last[:-count])
                last = last[-count:]
            found.append(last)
            count -= len(last)
        if count:
            self._reserve(self._top + count)
            found.append(np.arange(self._top, self._top + count))
            self._top += count
        return np.concatenate(found)

    def _reserve(self, blocks: int) -> None:
        if blocks <= self._capacity:
            return
        wanted, top = max(blocks, 2 * self._capacity, _FIRST_CAPACITY), self._top
        try:
            self._capacity = max(wanted, self._limit)
            fresh = {name: self._zeros(self._capacity, name) for name in self._arrays}
        except (OSError, MemoryError):  # where address space is short, it is taken as it is needed
            self._limit, self._capacity = 0, wanted
            fresh = {name: self._zeros(self._capacity, name) for name in self._arrays}
        for name, old in self._arrays.items():
            fresh[name][:top] = old[:top]
        self._arrays = fresh
        for name in ("keys", "users", "seq"):
            old = getattr(self, name)
            grown = np.zeros(self._capacity, old.dtype)
            grown[:top] = old[:top]
            setattr(self, name, grown)

    def _zeros(self, blocks: int, name: str) -> np.ndarray:
        rows, columns = self._shapes[name]
        return lazy_zeros((blocks, columns, rows) if name in self._planar else (blocks, rows, columns))


def lazy_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """int32 zeros; a large array takes memory only where it is written, and no promise of it before."""
    size = 4 * int(np.prod(shape, dtype=np.int64))
    if size < _LARGE or not sys.platform.startswith("linux"):
        return np.zeros(shape, np.int32)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    with suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.int32).reshape(shape)
