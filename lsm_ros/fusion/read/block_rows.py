# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rows that belong to blocks, kept in the order of the blocks: where some change, the others are only copied."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BlockRows:
    """keys (B,) int64: blocks with rows, ascending; starts (B + 1,) int64: where the rows of each begin; columns: arrays whose
    first axis is that of the rows."""

    keys: np.ndarray
    starts: np.ndarray
    columns: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, keys: np.ndarray, columns: tuple[np.ndarray, ...]) -> BlockRows:
        """From columns whose rows belong to the blocks keys (N,) int64, ascending."""
        first = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are not negative
        return cls(keys[first], np.append(first, len(keys)), columns)

    def replaced(self, changed: np.ndarray, fresh: BlockRows) -> BlockRows:
        """These rows, with those of the blocks `changed` (C,), ascending, replaced by `fresh`, which has rows of no others."""
        pieces: list[tuple[BlockRows, int, int]] = []
        done = 0
        for old, new in zip(self._spans(changed), fresh._spans(changed), strict=True):
            if old[0] == old[1] and new[0] == new[1]:
                continue
            pieces += [(self, done, old[0]), (fresh, *new)]
            done = old[1]
        pieces.append((self, done, int(self.starts[-1])))
        pieces = [p for p in pieces if p[1] < p[2]] or pieces[-1:]
        columns = tuple(np.concatenate([rows.columns[n][a:b] for rows, a, b in pieces]) for n in range(len(self.columns)))
        kept = ~np.isin(self.keys, changed, assume_unique=True)
        keys = np.concatenate([self.keys[kept], fresh.keys])
        counts = np.concatenate([np.diff(self.starts)[kept], np.diff(fresh.starts)])
        order = np.argsort(keys)
        return BlockRows(keys[order], np.concatenate([[0], np.cumsum(counts[order])]), columns)

    def _spans(self, keys: np.ndarray) -> list[tuple[int, int]]:
        """Rows from, to of each of the blocks (C,); where there are none, both are where they would be."""
        low, high = np.searchsorted(self.keys, keys, "left"), np.searchsorted(self.keys, keys, "right")
        return list(zip(self.starts[low].tolist(), self.starts[high].tolist(), strict=True))
