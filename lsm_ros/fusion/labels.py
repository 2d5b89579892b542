# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which column of the label counts belongs to which label id."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

MAX_LABELS = 64
_GROWTH = 8  # columns are made in steps, so that few labels cost little memory


class LabelTable:
    """Columns of label ids, map-wide. A column is free again when no fused observation shows its label."""

    def __init__(self) -> None:
        self._columns: dict[int, int] = {}
        self._users: dict[int, int] = {}

    @property
    def width(self) -> int:
        """Columns that the counts need now: a multiple of 8, 0 without labels."""
        top = max(self._columns.values(), default=-1) + 1
        return -(-top // _GROWTH) * _GROWTH

    def check(self, ids: Iterable[int], leaving: Iterable[int] = ()) -> None:
        """ValueError, naming the id, if labels `ids` do not fit beside the known ones, less those that only
        `leaving` holds."""
        gone = {int(i) for i in leaving if self._users.get(int(i)) == 1}
        known = set(self._columns) - gone
        for i in (int(i) for i in ids):
            if i not in known:
                if len(known) >= MAX_LABELS:
                    raise ValueError(f"label id {i} would be number {MAX_LABELS + 1} in this map, which holds at most "
                                     f"{MAX_LABELS} different labels; merge classes before fusing")
                known.add(i)

    def claim(self, ids: Iterable[int]) -> np.ndarray:
        """Columns (N,) int64 of labels that one more observation shows; checked before."""
        taken = set(self._columns.values())
        free = (c for c in range(MAX_LABELS) if c not in taken)
        for i in (int(i) for i in ids):
            if i not in self._columns:
                self._columns[i] = next(free)
            self._users[i] = self._users.get(i, 0) + 1
        return self.columns(ids)

    def columns(self, ids: Iterable[int]) -> np.ndarray:
        """Columns (N,) int64 of known labels."""
        return np.array([self._columns[int(i)] for i in ids], np.int64)

    def release(self, ids: Iterable[int]) -> None:
        """One observation with these labels less; a column without users holds zeros and is free again."""
        for i in (int(i) for i in ids):
            self._users[i] -= 1
            if not self._users[i]:
                del self._users[i], self._columns[i]

    def sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Known ids (N,) uint16 in ascending order and their columns (N,) int64."""
        ids = np.array(sorted(self._columns), np.int64)
        return ids.astype(np.uint16), self.columns(ids)

    def state(self) -> np.ndarray:
        """(N, 3) int64: id, column, users."""
        rows = [(i, c, self._users[i]) for i, c in sorted(self._columns.items())]
        return np.array(rows, np.int64).reshape(-1, 3)

    @classmethod
    def from_state(cls, state: np.ndarray) -> LabelTable:
        """The table that `state` describes. ValueError if it describes none."""
        if state.ndim != 2 or state.shape[1] != 3 or len(state) > MAX_LABELS:
            raise ValueError(f"label table has shape {state.shape}")
        ids, columns, users = state.T.tolist() if len(state) else ((), (), ())
        if len(set(ids)) < len(ids) or len(set(columns)) < len(columns) or any(u < 1 for u in users) or any(
                not 0 <= c < MAX_LABELS for c in columns):
            raise ValueError("label table has double or impossible entries")
        table = cls()
        table._columns = dict(zip(ids, columns, strict=True))
        table._users = dict(zip(ids, users, strict=True))
        return table
