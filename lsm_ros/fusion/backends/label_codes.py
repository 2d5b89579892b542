# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels as signed random codes: any number of ids in 64 sums for each cell, and what these say.

A cell holds the sum of weight * code over all that was seen of it, and the summed weight. Few labels meet in a cell, so the
weight of each can be found again: it is a sparse solution of 64 equations (orthogonal matching pursuit: Pati, Rezaiifar and
Krishnaprasad, 1993), and, since the sums are whole numbers without noise, mostly the exact one.
"""
from __future__ import annotations

import numpy as np

from lsm_ros.types import UNLABELLED

DIMENSIONS = 64
WIDTH = DIMENSIONS + 1  # the last column is the weight
_MOST_MIXED = 8  # labels of a cell that are distinguished
_CHUNK = 16384


def code_bits(ids: np.ndarray) -> np.ndarray:
    """64 bits (N,) uint64 for each id (N,): the finalizer of SplitMix64 (Steele, Lea and Flood, 2014); `lsm_code` of kernels.h
    is the same."""
    x = (np.asarray(ids, np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def codes(ids: np.ndarray) -> np.ndarray:
    """Codes (N, 65) int32 of ids (N,): 64 numbers 1 or -1, and a 1 for the weight."""
    bits = code_bits(ids)[:, None] >> np.arange(DIMENSIONS, dtype=np.uint64) & np.uint64(1)
    return np.concatenate([2 * bits.astype(np.int32) - 1, np.ones((len(bits), 1), np.int32)], axis=1)


def decode(sums: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label (N,) uint16 with the largest weight in each cell, its share of the weight (N,) float32, and that of the next one.

    sums (N, 65) int32; ids (M,) uint16, ascending: all that may be there. The smaller id wins a tie. `UNLABELLED` and 0 where
    there is no weight.
    """
    labels = np.full(len(sums), UNLABELLED, np.uint16)
    share, second = np.zeros(len(sums), np.float32), np.zeros(len(sums), np.float32)
    seen = np.flatnonzero(sums[:, DIMENSIONS] > 0)
    words = codes(ids)[:, :DIMENSIONS].astype(np.float64)
    for first in range(0, len(seen) if len(ids) else 0, _CHUNK):
        rows = seen[first:first + _CHUNK]
        total = sums[rows, DIMENSIONS].astype(np.float64)
        which, weight, next_weight = _largest(sums[rows, :DIMENSIONS].astype(np.float64), total, words)
        labels[rows], share[rows] = ids[which], np.clip(weight / total, 0.0, 1.0)
        second[rows] = np.clip(next_weight / total, 0.0, share[rows])
    return labels, share, second


def _largest(sums: np.ndarray, total: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Word (N,) with the largest weight in each of the sums (N, 64), that weight (N,), and the next one."""
    best = (sums @ words.T).argmax(1)
    weight, second = total.copy(), np.zeros(len(total))
    open_ = np.flatnonzero((sums != words[best] * total[:, None]).any(1))  # more than one label, or none
    chosen = best[open_, None]
    for _ in range(_MOST_MIXED - 1):
        if not len(open_):
            break
        rest, found = _explained(sums[open_], words[chosen])
        best[open_], weight[open_], second[open_] = _winner(chosen, found)
        going = (np.abs(rest) > 0.25).any(1)
        open_, chosen, rest = open_[going], chosen[going], rest[going]
        match = rest @ words.T
        np.put_along_axis(match, chosen, -np.inf, axis=1)  # each label once
        chosen = np.concatenate([chosen, match.argmax(1)[:, None]], axis=1)[:, :len(words)]
    if len(open_):
        best[open_], weight[open_], second[open_] = _winner(chosen, _explained(sums[open_], words[chosen])[1])
    return best, weight, second


def _explained(sums: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rest that the words chosen (N, K, 64) leave of the sums (N, 64) at best, and their weights (N, K)."""
    gram = chosen @ chosen.transpose(0, 2, 1) + 1e-9 * np.eye(chosen.shape[1])  # for words that are the same
    weights = np.linalg.solve(gram, chosen @ sums[:, :, None])
    return sums - (weights.transpose(0, 2, 1) @ chosen)[:, 0], weights[:, :, 0]


def _winner(chosen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the words chosen (N, K) that with the largest weight, in whole numbers, the first one in a tie; that weight, and the
    next one."""
    ordered = np.sort(np.rint(weights), 1)
    top = ordered[:, -1]
    best = np.where(np.rint(weights) == top[:, None], chosen, np.iinfo(np.int64).max).min(1)
    return best, top, ordered[:, -2] if ordered.shape[1] > 1 else np.zeros(len(top))
