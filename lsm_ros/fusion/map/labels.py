# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels of the map, and how their evidence is held: a column of counts for each, or all in codes."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lsm_ros.fusion.backends import label_codes
from lsm_ros.fusion.backends.blocks import Rows
from lsm_ros.types import UNLABELLED

MAX_LABELS = 64
MODES = ("auto", "dense", "codes")
_GROWTH = 8  # columns are made in steps, so that few labels cost little memory


class LabelTable:
    """The labels of a map, and their columns while they are counted one by one (`coded` is false).

    mode: "dense" for at most 64 labels, "codes" for any number, "auto" for counts that become codes, exactly and for good,
    when there would be more than 64. A column is free again when no fused observation shows its label; of a coded map, all
    labels that were ever shown are known.
    """

    def __init__(self, mode: str = "auto") -> None:
        if mode not in MODES:
            raise ValueError(f"fusion.labels must be one of {', '.join(MODES)}, got {mode!r}")
        self.mode, self.coded = mode, mode == "codes"
        self._columns: dict[int, int] = {}
        self._users: dict[int, int] = {}

    @property
    def width(self) -> int:
        """Columns that the sums need now: of counts a multiple of 8; 0 without labels."""
        if self.coded:
            return label_codes.WIDTH if self._users else 0
        top = max(self._columns.values(), default=-1) + 1
        return -(-top // _GROWTH) * _GROWTH

    def check(self, ids: Iterable[int], leaving: Iterable[int] = ()) -> None:
        """ValueError, naming the id, if labels `ids` must be counted and do not fit beside the known ones, less those that
        only `leaving` holds."""
        extra = self._first_beyond(ids, leaving) if self.mode == "dense" else None
        if extra is not None:
            raise ValueError(f"label id {extra} would be number {MAX_LABELS + 1} in this map, which holds at most "
                             f"{MAX_LABELS} different labels as fusion.labels is dense; set it to auto or codes, or merge "
                             "classes before fusing")

    def must_encode(self, ids: Iterable[int]) -> bool:
        """True if counts must become codes before `ids` are claimed."""
        return not self.coded and self._first_beyond(ids, ()) is not None

    def _first_beyond(self, ids: Iterable[int], leaving: Iterable[int]) -> int | None:
        known = set(self._columns) - {int(i) for i in leaving if self._users.get(int(i)) == 1}
        for i in (int(i) for i in ids):
            known.add(i)
            if len(known) > MAX_LABELS:
                return i
        return None

    def encode(self) -> tuple[np.ndarray, np.ndarray]:
        """From now on labels are coded. Returns the columns (N,) int64 that held their counts, and the codes (N, 65) int32 to
        multiply these with."""
        ids = sorted(self._users)
        columns = np.array([self._columns[i] for i in ids], np.int64)
        self.coded, self._columns = True, {}
        return columns, label_codes.codes(np.array(ids, np.int64))

    def claim(self, ids: Iterable[int]) -> bool:
        """One more observation shows these labels; checked before. Returns whether a coded map learned a new one."""
        taken, known = set(self._columns.values()), len(self._users)
        free = (c for c in range(MAX_LABELS) if c not in taken)
        for i in (int(i) for i in ids):
            if not self.coded and i not in self._columns:
                self._columns[i] = next(free)
            self._users[i] = self._users.get(i, 0) + 1
        return self.coded and len(self._users) > known

    def columns(self, ids: Iterable[int]) -> np.ndarray | None:
        """Columns (N,) int64 of known labels; None if they are coded."""
        return None if self.coded else np.array([self._columns[int(i)] for i in ids], np.int64)

    def release(self, ids: Iterable[int]) -> None:
        """One observation with these labels less; a column without users holds zeros and is free again."""
        for i in (int(i) for i in ids):
            self._users[i] -= 1
            if not self._users[i] and not self.coded:
                del self._users[i], self._columns[i]

    def sorted(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Known ids (N,) uint16 in ascending order and their columns, see `columns`."""
        ids = np.array(sorted(self._users), np.int64)
        return ids.astype(np.uint16), self.columns(ids)

    def read(self, sums: Rows, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Label (N,) uint16 with the largest share of label cells, by their rows (N,) in the sums; that share (N,) float32, and
        the next one's. The smaller id wins a tie. `UNLABELLED` and 0 where there is none."""
        ids, columns = self.sorted()
        if not len(ids) or not len(rows):
            return np.full(len(rows), UNLABELLED, np.uint16), *np.zeros((2, len(rows)), np.float32)
        if columns is None:
            cells, back = np.unique(rows, return_inverse=True)
            labels, share, second = (a[back.ravel()] for a in label_codes.decode(sums[cells], ids))
            return labels, share, second
        counts = sums[rows][:, columns]
        total, best = counts.sum(1), counts.argmax(1)
        highest = np.partition(counts, -2, 1)[:, -2:] if len(ids) > 1 else np.pad(counts, ((0, 0), (1, 0)))
        labels = np.where(total > 0, ids[best], np.uint16(UNLABELLED)).astype(np.uint16)
        shares = (highest / np.maximum(total, 1)[:, None]).astype(np.float32)
        return labels, shares[:, 1], shares[:, 0]

    def state(self) -> np.ndarray:
        """(N, 3) int64: id, column (-1: coded), users."""
        rows = [(i, self._columns.get(i, -1), n) for i, n in sorted(self._users.items())]
        return np.array(rows, np.int64).reshape(-1, 3)

    @classmethod
    def from_state(cls, state: np.ndarray, mode: str = "auto") -> LabelTable:
        """The table that `state` describes. ValueError if it describes none, or one that `mode` does not allow."""
        if state.ndim != 2 or state.shape[1] != 3:
            raise ValueError(f"label table has shape {state.shape}")
        table = cls(mode)
        ids, columns, users = state.T.tolist() if len(state) else ((), (), ())
        coded = bool(len(state)) and set(columns) == {-1}
        dense = len(set(columns)) == len(columns) and all(0 <= c < MAX_LABELS for c in columns)
        if len(set(ids)) < len(ids) or any(not 0 <= i < UNLABELLED for i in ids) or not (coded or dense) or any(
                u < (0 if coded else 1) for u in users):
            raise ValueError("label table has double or impossible entries")
        if len(state) and coded != table.coded and mode != "auto":
            raise ValueError(f"its labels are {'codes' if coded else 'dense'}, fusion.labels is {mode}; set it to auto")
        table.coded = table.coded or coded
        table._columns = {} if table.coded else dict(zip(ids, columns, strict=True))
        table._users = dict(zip(ids, users, strict=True))
        return table
