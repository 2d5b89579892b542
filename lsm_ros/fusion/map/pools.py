# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The sums of the map: voxels, labels, features and free space. Adds and takes away whole contributions, or nothing."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.fusion.backends.base import Backend, Prepared
from lsm_ros.fusion.backends.blocks import MAX_USERS, BlockPool, MapFullError
from lsm_ros.fusion.backends.freespace import CELLS, FreeContribution
from lsm_ros.fusion.backends.integrate import LABEL_CELLS, VOXELS
from lsm_ros.fusion.backends.layout import CameraPose, Layout
from lsm_ros.fusion.backends.reference import NumpyBackend
from lsm_ros.fusion.backends.view import View, posed_view
from lsm_ros.fusion.map.labels import LabelTable
from lsm_ros.types import NameVectors


@dataclass(frozen=True)
class Part:
    """All that one observation contributes at one pose: to the blocks `keys` (B,) int64 sorted, and free cells."""

    pixels: Prepared
    view: View
    keys: np.ndarray
    free: FreeContribution

    @property
    def label_ids(self) -> np.ndarray:
        """Labels (N,) uint16 that it shows."""
        return self.pixels.label_ids

    @property
    def feature_dim(self) -> int:
        """Length of its feature vectors, 0 if it has none."""
        return int(self.view.feature_dim)


def part(backend: Backend, pixels: Prepared, pose: CameraPose, layout: Layout, keys: np.ndarray | None = None) -> Part:
    """Makes a part; `keys`: the blocks that it touches, where they are known. ValueError if indices overflow."""
    view = posed_view(pixels.view, pose, layout, pixels.farthest)
    if keys is None:
        keys = backend.surface_blocks(pixels, view)
    return Part(pixels, view, keys, backend.free_cells(pixels, view, pose, layout))


class Pools:
    """The sums of all contributions. `seq` of a block: that of its last change; `freed`: blocks that went, and when.

    `limit`: blocks to set address space aside for. `feature_users`: observations with features in the sums. `names`: what
    features are called where no observation gave a label; `look` grows when that changes, for all blocks show it.
    label_mode: see `LabelTable`. `least_probability`: of a label that is shown.
    """

    def __init__(self, backend: Backend | None = None, limit: int = 0, label_mode: str = "auto",
                 least_probability: float = 0.0) -> None:
        self.backend = NumpyBackend() if backend is None else backend
        shapes = {"voxels": (VOXELS, 6), "labels": (LABEL_CELLS, 0), "features": (LABEL_CELLS, 0)}
        self.voxels: BlockPool = self.backend.pool(shapes, ("voxels",), limit)
        self.free: BlockPool = self.backend.pool({"weight": (CELLS, 1)}, (), limit)
        self.labels = LabelTable(label_mode)
        self.feature_users = 0
        self.names: NameVectors | None = None
        self.least_probability = least_probability
        self.look = 0
        self.freed: dict[int, int] = {}
        self.forgotten_seq = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.voxels.nbytes + self.free.nbytes

    @property
    def feature_dim(self) -> int:
        """Length of the map's feature vectors, 0 without any."""
        return max(self.voxels.columns("features") - 1, 0)

    def check(self, add: Sequence[Part], remove: Sequence[Part], max_blocks: int) -> None:
        """Checks that parts fit once others are gone. MapFullError or ValueError if not; changes nothing."""
        self.labels.check((i for p in add for i in p.label_ids), [i for p in remove for i in p.label_ids])
        leaving = sum(p.feature_dim > 0 for p in remove)
        for p in add:
            if p.feature_dim and self.feature_users > leaving and p.feature_dim != self.feature_dim:
                raise ValueError(f"features of the observation have {p.feature_dim} numbers, those in the map "
                                 f"{self.feature_dim}")
        self._check_pool(self.voxels, "voxel blocks", [p.keys for p in add], [p.keys for p in remove], max_blocks)
        self._check_pool(self.free, "free-space blocks", [p.free.keys for p in add], [p.free.keys for p in remove],
                         max_blocks)

    def add(self, p: Part, seq: int) -> None:
        """Adds a checked part."""
        self._claim_labels(p.label_ids)
        if p.feature_dim:
            if not self.feature_users:
                self.voxels.clear("features")
            self.voxels.widen("features", p.feature_dim + 1)
            self.feature_users += 1
        if self.freed:
            for key in p.keys[self.voxels.find(p.keys) < 0].tolist():
                self.freed.pop(key, None)
        self._apply(p, self.voxels.claim(p.keys), self.free.claim(p.free.keys), 1, seq)

    def remove(self, p: Part, seq: int, max_blocks: int) -> None:
        """Takes a part away that was added before; blocks that nobody touches any more are freed."""
        slots, free_slots = self.voxels.find(p.keys), self.free.find(p.free.keys)
        self._apply(p, slots, free_slots, -1, seq)
        self.labels.release(p.label_ids)
        self.feature_users -= p.feature_dim > 0
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
        if sign > 0:
            self._claim_labels(p.label_ids)
        self.backend.sum(self.voxels, self.voxels.find(p.keys), p.pixels, p.view, p.keys, self._columns(p), sign,
                         labels_only=True)
        if sign < 0:
            self.labels.release(p.label_ids)

    def _apply(self, p: Part, slots: np.ndarray, free_slots: np.ndarray, sign: int, seq: int) -> None:
        self.backend.sum(self.voxels, slots, p.pixels, p.view, p.keys, self._columns(p), sign)
        self.backend.free_sum(self.free, free_slots, p.free, sign)
        for pool, touched in ((self.voxels, slots), (self.free, free_slots)):
            pool.users[touched] += sign
            pool.seq[touched] = seq

    def _claim_labels(self, ids: np.ndarray) -> None:
        """Makes room for labels. Of a coded map a new one changes what all blocks may show."""
        if self.labels.must_encode(ids):
            slots, (columns, codes) = self.voxels.all_slots(), self.labels.encode()
            coded = self.voxels.take("labels", slots)[:, :, columns] @ codes
            self.voxels.clear("labels")
            self.voxels.widen("labels", codes.shape[1])
            self.voxels.put("labels", slots, coded)
            self.look += 1
        self.look += self.labels.claim(ids)
        self.voxels.widen("labels", self.labels.width)

    def _columns(self, p: Part) -> np.ndarray | None:
        """Columns (N,) int64 of the part's labels in the counts; None if they are coded."""
        return self.labels.columns(p.label_ids)

    @staticmethod
    def _check_pool(pool: BlockPool, what: str, add: list[np.ndarray], remove: list[np.ndarray], max_blocks: int) -> None:
        if len(add) == 1 and not remove:  # by far the most frequent
            keys, change = add[0], np.int64(1)
        else:
            keys, where = np.unique(np.concatenate([*add, *remove]), return_inverse=True)
            sign = np.repeat([1, -1], [sum(map(len, add)), sum(map(len, remove))])
            change = np.bincount(where.ravel(), weights=sign, minlength=len(keys)).astype(np.int64)
        slots = pool.find(keys)
        before = np.where(slots >= 0, pool.users[slots], 0) if len(pool) else np.zeros(len(keys), np.int64)
        after = before + change
        needed = len(pool) + int((after > 0).sum()) - int((before > 0).sum())
        if needed > max_blocks and needed > len(pool):
            raise MapFullError(f"the map is full: {needed} {what} would be needed, max_blocks is {max_blocks}; "
                               "raise fusion.max_blocks or use larger voxels")
        if (after > MAX_USERS).any():
            raise MapFullError(f"a block would hold more than {MAX_USERS} observations, its sums could overflow")
