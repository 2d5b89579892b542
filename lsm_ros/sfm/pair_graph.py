# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pairs of an image set that are predicted."""
from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np


def make_pairs(count: int, graph: str = "complete", *, symmetrize: bool = True, prefilter: str | None = None) -> np.ndarray:
    """(P, 2) int64 pairs (i, j) of `count` images.

    graph: 'complete'; 'swin-k': each with the k after it; 'logwin-k': with those 1, 2, 4, ... 2^(k-1) before and after;
    'oneref-r': image r with all others. k is 3 and r 0 when left out; windows close to a ring unless '-noncyclic'
    follows. A window that is wider than the ring holds pairs of an image with itself. symmetrize: all pairs again,
    swapped. prefilter: 'seqN' or 'cycN' keeps distances up to N, along the sequence or around the ring. ValueError for
    fewer than two images and for names that are not these.
    """
    if count < 2:
        raise ValueError(f"pairs need at least two images, got {count}")
    match = re.fullmatch(r"(complete|swin|logwin|oneref)(?:-(\d+))?(-noncyclic)?", graph)
    if match is None or (match[1] in ("complete", "oneref") and match[3]) or (match[1] == "complete" and match[2]):
        raise ValueError(f"scene graph {graph!r} is none of complete, swin-K[-noncyclic], logwin-K[-noncyclic], oneref-R")
    kind, number, cyclic = match[1], match[2], not match[3]
    if kind == "complete":
        pairs = [(i, j) for i in range(count) for j in range(i)]
    elif kind == "oneref":
        r = int(number or 0)
        if r >= count:
            raise ValueError(f"scene graph {graph!r} needs an image {r}, there are {count}")
        pairs = [(r, j) for j in range(count) if j != r]
    else:
        pairs = _window(count, int(number or 3), kind == "logwin", cyclic)
    if symmetrize:
        pairs += [(j, i) for i, j in pairs]
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found if prefilter is None else _filter(found, count, prefilter)


def _window(count: int, reach: int, logarithmic: bool, cyclic: bool) -> list[tuple[int, int]]:
    if reach < 1:
        raise ValueError(f"a window needs a reach of at least 1, got {reach}")
    offsets = [s * 2**k for k in range(reach) for s in (1, -1)] if logarithmic else list(range(1, reach + 1))
    found = set()
    for i in range(count):
        for offset in offsets:
            j = (i + offset) % count if cyclic else i + offset
            if 0 <= j < count and not (logarithmic and i == j):
                found.add((min(i, j), max(i, j)))
    return sorted(found)


def _filter(pairs: np.ndarray, count: int, prefilter: str) -> np.ndarray:
    match = re.fullmatch(r"(seq|cyc)(\d+)", prefilter)
    if match is None:
        raise ValueError(f"prefilter {prefilter!r} is neither 'seq' nor 'cyc' with a distance, such as 'seq5'")
    distance = np.abs(pairs[:, 0] - pairs[:, 1])
    if match[1] == "cyc":
        distance = np.minimum(distance, count - distance)
    return pairs[distance <= int(match[2])]


def farthest_pairs(similarity: np.ndarray, keys: int, neighbours: int, *, first: int | None = None, seed: int = 0
                   ) -> tuple[np.ndarray, np.ndarray]:
    """Pairs for a large set: key images that are far from each other, and neighbours.

    similarity (N, N), 1 for equal images. Keys are taken one after the other, always the one farthest from those taken;
    `first` (at random when not given) starts. All pairs of keys, each other image with its nearest key, and each image
    with its `neighbours` nearest, itself counted. Returns pairs (P, 2) int64, sorted, and the keys' indices; pairs of keys
    are in the order in which they were taken, all others have i < j.
    """
    similarity = np.asarray(similarity, np.float64)
    count = len(similarity)
    if similarity.shape != (count, count) or count < 2:
        raise ValueError(f"expected similarities (N, N) of at least two images, got {similarity.shape}")
    distance = 1.0 - similarity
    start = int(np.random.default_rng(seed).integers(count)) if first is None else first
    taken, nearest = [start], distance[start].copy()
    while len(taken) < min(keys, count):
        nearest[taken] = -np.inf
        taken.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distance[taken[-1]])
    pairs = {(a, b) for n, a in enumerate(taken) for b in taken[n + 1:]}
    for i in range(count):
        near = [int(j) for j in distance[i].argsort(kind="stable")[:neighbours]]
        if i not in taken:
            near.append(taken[int(distance[i, taken].argmin())])
        pairs |= {(min(i, j), max(i, j)) for j in near if j != i and (j, i) not in pairs and (i, j) not in pairs}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2), np.array(taken, np.int64)


@dataclass(frozen=True)
class PairChoice:
    """Pairs of a set that are compared. complete: sets of up to so many images in all pairs. keys, neighbours: of larger
    ones, see `farthest_pairs`. sequential: instead, the images are in order, and each is compared with so many after it and
    with `loops` others that are alike."""

    complete: int = 20
    keys: int = 10
    neighbours: int = 12
    sequential: int = 0
    loops: int = 4


def choose_pairs(count: int, similarity: np.ndarray, choice: PairChoice) -> np.ndarray:
    """(P, 2) pairs i < j, sorted. similarity (N, N): greater is more alike. Their number grows linearly with that of images."""
    alike = np.maximum(similarity, similarity.T).astype(np.float64)
    np.fill_diagonal(alike, 1 + alike.max())
    if choice.sequential:
        pairs = {(i, j) for i in range(count) for j in range(i + 1, min(i + 1 + choice.sequential, count))}
        for i in range(count):
            far = [int(j) for j in (-alike[i]).argsort(kind="stable") if abs(i - j) > choice.sequential]
            pairs |= {(min(i, j), max(i, j)) for j in far[:choice.loops]}
        return np.array(sorted(pairs), np.int64).reshape(-1, 2)
    if count <= choice.complete:
        return np.array([(i, j) for i in range(count) for j in range(i + 1, count)], np.int64)
    pairs = np.sort(farthest_pairs(alike, choice.keys, choice.neighbours + 1, first=0)[0], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
