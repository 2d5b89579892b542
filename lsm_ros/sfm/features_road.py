# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Structure from motion of an image set on a bare machine: features, verified pairs, tracks, bundle adjustment."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lsm_ros.pairs.vlad import compare_signatures, signature_of
from lsm_ros.sfm.feature_matching import VerifiedPair, find_features, match_pair
from lsm_ros.sfm.focal_guess import guess_focal
from lsm_ros.sfm.incremental import IncrementalMapper
from lsm_ros.sfm.model import SetImage, SfmResult, largest_first, upright
from lsm_ros.sfm.pair_graph import PairChoice, choose_pairs
from lsm_ros.sfm.tracks import make_tracks

TYPICAL_DEPTH = 2.0  # median depth of the points: nothing says how long a metre is
Progress = Callable[[str, int, int], None]


def reconstruct_from_features(images: Sequence[SetImage], choice: PairChoice | None = None,
                              progress: Progress = lambda stage, done, total: None) -> SfmResult:
    """Models of an image set without a network. progress(stage, done, total). ValueError for fewer than two images."""
    if len(images) < 2:
        raise ValueError(f"structure from motion needs at least two images, got {len(images)}")
    features = []
    for n, image in enumerate(images):
        progress("features", n, len(images))
        features.append(find_features(image.load()))
    signatures = [signature_of([f.descriptors]) for f in features]
    likeness = np.stack([np.nan_to_num(compare_signatures(s, signatures), neginf=-1.0) for s in signatures])
    edges = choose_pairs(len(images), likeness, choice or PairChoice())
    found: list[VerifiedPair] = []
    matches = np.zeros(len(edges), np.int64)
    for n, (i, j) in enumerate(edges.tolist()):
        progress("pairs", n, len(edges))
        pair = match_pair(i, j, features[i], features[j])
        if pair is not None:
            found.append(pair)
            matches[n] = len(pair.index_i)
    guessed, notes = _with_focals(images, found)
    done = [0]

    def added(count: int) -> None:
        done[0] += count
        progress("images", min(done[0], len(images)), len(images))

    models, left_out = IncrementalMapper(guessed, make_tracks(features, found), found, added).run()
    for n, f in enumerate(features):
        if n in left_out and len(f.pixels) < 50:
            left_out[n] = f"has {len(f.pixels)} features only: it is blank, dark or blurred"
    return SfmResult(largest_first([upright(m, TYPICAL_DEPTH) for m in models]), edges, matches, left_out, tuple(notes))


def _with_focals(images: Sequence[SetImage], pairs: Sequence[VerifiedPair]) -> tuple[list[SetImage], list[str]]:
    """The images with a focal length from their pairs, where it is not known and their own camera's pairs say it."""
    out, notes = list(images), []
    for camera, _ in sorted(Counter(i.camera for i in images if not i.known).items()):
        members = [n for n, i in enumerate(images) if i.camera == camera]
        inside = [(p.F, len(p.index_i)) for p in pairs if p.i in members and p.j in members]
        height, width = images[members[0]].intrinsics.shape
        focal = guess_focal(inside, width, height)
        if focal is None:
            focal = images[members[0]].intrinsics.fx
            notes.append(f"the focal length of {len(members)} images of {width}x{height} began as {focal:.0f} px: their pairs "
                         "do not determine it")
        for n in members:
            out[n] = replace(images[n], intrinsics=replace(images[n].intrinsics, fx=focal, fy=focal))
    return out, notes
