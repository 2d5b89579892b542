# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The sums of the map: voxels, labels and free space. Adds and takes away whole contributions, or nothing."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.blocks import MAX_USERS, BlockPool, MapFullError
from lsm_ros.fusion.freespace import CELLS, FreeContribution, free_contribution
from lsm_ros.fusion.integrate import LABEL_CELLS, VOXELS, Contribution, contribution
from lsm_ros.fusion.labels import LabelTable
from lsm_ros.fusion.layout import CameraPose, Layout
from lsm_ros.fusion.pixels import Pixels


@dataclass(frozen=True)
class Part:
    """All that one observation contributes at one pose."""

    voxels: Contribution
    free: FreeContribution
    label_ids: np.ndarray


def part(pixels: Pixels, pose: CameraPose, layout: Layout, keys: np.ndarray | None = None) -> Part:
    """Computes a part; `keys`: the blocks that it touches, where they are known. ValueError if indices overflow."""
    return Part(contribution(pixels, pose, layout, keys), free_contribution(pixels, pose, layout), pixels.label_ids)


class Pools:
    """The sums of all contributions. `seq` of a block: that of its last change; `freed`: blocks that went, and when."""

    def __init__(self) -> None:
        self.voxels = BlockPool({"voxels": (VOXELS, 6), "labels": (LABEL_CELLS, 0)})
        self.free = BlockPool({"weight": (CELLS, 1)})
        self.labels = LabelTable()
        self.freed: dict[int, int] = {}
        self.forgotten_seq = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.voxels.nbytes + self.free.nbytes

    def check(self, add: Sequence[Part], remove: Sequence[Part], max_blocks: int) -> None:
        """Whether parts fit once others are gone. MapFullError or ValueError if not; changes nothing."""
        self.labels.check((i for p in add for i in p.label_ids), [i for p in remove for i in p.label_ids])
        for name, pool in (("voxels", self.voxels), ("free", self.free)):
            users: dict[int, int] = {}
            for sign, parts in ((1, add), (-1, remove)):
                for p in parts:
                    for key in getattr(p, name).keys.tolist():
                        users[key] = users.get(key, 0) + sign
            keys = np.fromiter(users, np.int64, len(users))
            change = np.fromiter(users.values(), np.int64, len(users))
            slots = pool.find(keys)
            before = np.where(slots >= 0, pool.users[slots], 0) if len(pool) else np.zeros(len(keys), np.int64)
            after = before + change
            needed = len(pool) + int((after > 0).sum()) - int((before > 0).sum())
            if needed > max_blocks and needed > len(pool):
                what = "voxel blocks" if name == "voxels" else "free-space blocks"
                raise MapFullError(f"the map is full: {needed} {what} would be needed, max_blocks is {max_blocks}; "
                                   "raise fusion.max_blocks or use larger voxels")
            if (after > MAX_USERS).any():
                raise MapFullError(f"a block would hold more than {MAX_USERS} observations, its sums could overflow")

    def add(self, p: Part, seq: int) -> None:
        """Adds a checked part."""
        self.labels.claim(p.label_ids)
        self.voxels.widen("labels", self.labels.width)
        slots = self.voxels.claim(p.voxels.keys)
        for key in p.voxels.keys.tolist():
            self.freed.pop(key, None)
        free_slots = self.free.claim(p.free.keys)
        self._apply(p, slots, free_slots, 1, seq)

    def remove(self, p: Part, seq: int, max_blocks: int) -> None:
        """Takes a part away that was added before; blocks that nobody touches any more are freed."""
        slots, free_slots = self.voxels.find(p.voxels.keys), self.free.find(p.free.keys)
        self._apply(p, slots, free_slots, -1, seq)
        self.labels.release(p.label_ids)
        gone = slots[self.voxels.users[slots] == 0]
        for key in self.voxels.keys[gone].tolist():
            self.freed.pop(key, None)  # to the end of the order
            self.freed[key] = seq
        self.voxels.release(gone)
        self.free.release(free_slots[self.free.users[free_slots] == 0])
        while len(self.freed) > max_blocks:
            oldest = next(iter(self.freed))
            self.forgotten_seq = self.freed.pop(oldest)

    def apply_labels(self, p: Part, sign: int) -> None:
        """Adds (1) or takes away (-1) only the labels of a part whose blocks exist."""
        columns = self.labels.claim(p.label_ids) if sign > 0 else self.labels.columns(p.label_ids)
        self.voxels.widen("labels", self.labels.width)
        self._count_labels(p, self.voxels.find(p.voxels.keys), columns, sign)
        if sign < 0:
            self.labels.release(p.label_ids)

    def _apply(self, p: Part, slots: np.ndarray, free_slots: np.ndarray, sign: int, seq: int) -> None:
        v = p.voxels
        rows = slots[v.voxel // VOXELS] * VOXELS + v.voxel % VOXELS
        _accumulate(self.voxels.rows("voxels"), rows, v.values, sign)
        self._count_labels(p, slots, self.labels.columns(p.label_ids), sign)
        rows = free_slots[p.free.cell // CELLS] * CELLS + p.free.cell % CELLS
        _accumulate(self.free.rows("weight").reshape(-1), rows, p.free.weight, sign)
        for pool, touched in ((self.voxels, slots), (self.free, free_slots)):
            pool.users[touched] += sign
            pool.seq[touched] = seq

    def _count_labels(self, p: Part, slots: np.ndarray, columns: np.ndarray, sign: int) -> None:
        if not len(columns):
            return
        v = p.voxels
        rows = slots[v.label_cell // LABEL_CELLS] * LABEL_CELLS + v.label_cell % LABEL_CELLS
        flat = rows * self.voxels.columns("labels") + columns[v.label]
        _accumulate(self.voxels.rows("labels").reshape(-1), flat, v.count, sign)


def _accumulate(array: np.ndarray, rows: np.ndarray, values: np.ndarray, sign: int) -> None:
    """array[rows] += sign * values for unique rows."""
    if sign > 0:
        array[rows] += values
    else:
        array[rows] -= values
