# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Places: keyframes that look like an image, by their signatures alone and without any pose, for all trackers."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lsm_ros.pairs.base import PairModel

Kind = tuple[str, tuple[int, ...]]
FIRST_ROWS = 16


class Places:
    """Keyframes by what they look like. Signatures are those of `model`, kept in one matrix for each shape, which doubles when
    it is full. What is found depends on what is kept, not on the order in which it came. Not thread-safe."""

    def __init__(self, model: PairModel) -> None:
        self._model = model
        self._stacks: dict[Kind, _Stack] = {}
        self._kinds: dict[int, Kind] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def __contains__(self, keyframe_id: object) -> bool:
        return keyframe_id in self._kinds

    @property
    def nbytes(self) -> int:
        """Memory of all matrices, rows in reserve included."""
        return sum(s.rows.nbytes + s.ids.nbytes for s in self._stacks.values())

    def add(self, keyframe_id: int, signature: np.ndarray) -> None:
        """Keeps a copy of the signature of a keyframe. ValueError for an id that is kept already, and for an array that is
        not a signature of the model."""
        if keyframe_id in self._kinds:
            raise ValueError(f"keyframe {keyframe_id} has a place already; remove it first")
        _check(signature)
        if np.isnan(self._model.alike(signature, signature[None])).any():
            raise ValueError(f"an array {_described(signature)} is not a signature of pair model {self._model.name!r}; make "
                             "it again from the keyframe's tokens")
        kind = _kind_of(signature)
        if kind not in self._stacks:
            self._stacks[kind] = _Stack(signature)
        self._stacks[kind].add(keyframe_id, signature)
        self._kinds[keyframe_id] = kind

    def remove(self, keyframe_id: int) -> None:
        """Forgets a keyframe. ValueError for one that is not kept."""
        if keyframe_id not in self._kinds:
            raise ValueError(f"keyframe {keyframe_id} has no place")
        kind = self._kinds.pop(keyframe_id)
        self._stacks[kind].remove(keyframe_id)
        if not self._stacks[kind].count:
            del self._stacks[kind]

    def signature(self, keyframe_id: int) -> np.ndarray:
        """A copy of the signature of a keyframe, for a map on disk. ValueError for one that is not kept."""
        if keyframe_id not in self._kinds:
            raise ValueError(f"keyframe {keyframe_id} has no place")
        stack = self._stacks[self._kinds[keyframe_id]]
        return stack.rows[stack.row_of[keyframe_id]].copy()

    def candidates(self, tokens: Sequence[Any] | np.ndarray, count: int, exclude: Iterable[int] = ()
                   ) -> list[tuple[int, float]]:
        """(id, similarity) of the keyframes that look most like a frame set, at most `count`, the most alike first; of equal
        ones the newest first. Keyframes that have nothing to compare are left out.

        tokens: of the frame set's cameras in order of their names, or its signature. exclude: ids that are not looked at.
        ValueError for a count below 1, an empty signature, and one that compares with none of those that are kept.
        """
        if count < 1:
            raise ValueError(f"at least 1 candidate must be asked for, got {count}")
        own = tokens
        if isinstance(own, np.ndarray):
            _check(own)
        skip = frozenset(exclude)
        found: list[tuple[float, int]] = []
        comparable = not self._stacks
        for stack in self._stacks.values():
            scores = self._model.alike(own, stack.rows[:stack.count])
            comparable |= not np.isnan(scores).all()
            found += stack.best(scores, count, skip)
        if not comparable:
            what = f"an array {_described(own)}" if isinstance(own, np.ndarray) else "what these tokens give"
            raise ValueError(f"{what} compares with none of the {len(self)} signatures that are kept")
        return [(i, s) for s, i in sorted(found, reverse=True)[:count]]


class _Stack:
    """Signatures of one shape and dtype, in the first `count` rows of a matrix; ids (rows,) says whose they are."""

    def __init__(self, like: np.ndarray) -> None:
        self.rows = np.empty((FIRST_ROWS, *like.shape), like.dtype)
        self.ids = np.empty(FIRST_ROWS, np.int64)
        self.row_of: dict[int, int] = {}

    @property
    def count(self) -> int:
        return len(self.row_of)

    def add(self, keyframe_id: int, signature: np.ndarray) -> None:
        row = self.count
        if row == len(self.rows):
            self.rows, self.ids = _doubled(self.rows), _doubled(self.ids)
        self.rows[row], self.ids[row] = signature, keyframe_id
        self.row_of[keyframe_id] = row

    def remove(self, keyframe_id: int) -> None:
        """Puts the last row in the place of the removed one."""
        row, last = self.row_of[keyframe_id], self.count - 1
        moved = int(self.ids[last])
        self.rows[row], self.ids[row] = self.rows[last], moved
        self.row_of[moved] = row
        del self.row_of[keyframe_id]

    def best(self, scores: np.ndarray, count: int, skip: frozenset[int]) -> list[tuple[float, int]]:
        """(score, id) of the `count` greatest scores (S,) above -inf, and of those that equal the last of them."""
        scores = np.array(scores, np.float64)
        scores[[self.row_of[i] for i in skip if i in self.row_of]] = -np.inf
        least = np.partition(scores, -count)[-count] if count < len(scores) else -np.inf
        rows = np.flatnonzero((scores > -np.inf) & (scores >= least))
        return [(float(scores[r]), int(self.ids[r])) for r in rows]


def _doubled(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, np.empty_like(array)])


def _kind_of(signature: np.ndarray) -> Kind:
    return signature.dtype.str, signature.shape


def _described(signature: np.ndarray) -> str:
    return f"of shape {signature.shape} and type {signature.dtype}"


def _check(signature: Any) -> None:
    if not isinstance(signature, np.ndarray) or not signature.size:
        what = _described(signature) if isinstance(signature, np.ndarray) else type(signature).__name__
        raise ValueError(f"a signature is an array that is not empty, got {what}")
