# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Few images by DUSt3R's global alignment of all pairs; two by one pair alone."""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lsm_ros.sfm.alignment_start import start_from_tree
from lsm_ros.sfm.canonical import CanonicalSum
from lsm_ros.sfm.global_alignment import GlobalAlignment
from lsm_ros.sfm.model import SetImage, SfmResult
from lsm_ros.sfm.network_road import components, known_intrinsics, verified
from lsm_ros.sfm.pair_set import PairSet
from lsm_ros.sfm.pair_viewer import view_pair
from lsm_ros.sfm.predictor import PairPredictor, SymmetricPrediction
from lsm_ros.sfm.sparse_alignment import ImageMatches
from lsm_ros.sfm.views import AlignedView, DenseStore, scene_model

MOST_IMAGES = 24  # all predictions of all their pairs are in memory: 9 GB for 512 x 384 pixels
MIN_CONFIDENCE = 3.0


def reconstruct_globally(images: Sequence[SetImage], predictor: PairPredictor, store: DenseStore, iterations: int = 300,
                         progress: Callable[[str, int, int], None] = lambda stage, done, total: None) -> SfmResult:
    """The model of a few images that all see one scene. ValueError for fewer than two, for too many, and for images that
    nothing connects."""
    count = len(images)
    if not 2 <= count <= MOST_IMAGES:
        raise ValueError(f"--method global takes 2 to {MOST_IMAGES} images, got {count}; --method sparse has no such limit")
    if known_intrinsics(images, predictor)[0] is not None:
        raise ValueError("--method global estimates focal lengths and takes no --calibration; --method sparse does")
    edges = np.array([(i, j) for i in range(count) for j in range(i + 1, count)])
    pairs: list[SymmetricPrediction] = []
    for n, (i, j) in enumerate(edges.tolist()):
        progress("pairs", n, len(edges))
        pairs.append(predictor.predict(i, j))
    matches = _verified(edges, pairs, predictor)
    numbers = np.array([0 if m is None else len(m.confidence) for m in matches])
    found = [m for m in matches if m is not None]
    groups = components(count, found)
    if len(groups) != 1 or len(groups[0]) < count:
        alone = sorted(set(range(count)) - {n for g in groups for n in g})
        named = ", ".join(images[n].name for n in alone[:5])
        raise ValueError("--method global needs images that all see one scene; these fall into "
                         f"{len(groups) + len(alone)} groups{': alone are ' + named if alone else ''}. --method sparse "
                         "keeps each")
    both = PairSet(np.concatenate([edges, edges[:, ::-1]]), *(
        tuple([first(p) for p in pairs] + [second(p) for p in pairs]) for first, second in (
            (lambda p: p.own[0], lambda p: p.own[1]), (lambda p: p.other[1], lambda p: p.other[0]),
            (lambda p: p.own_conf[0], lambda p: p.own_conf[1]), (lambda p: p.other_conf[1], lambda p: p.other_conf[0]))))
    if count == 2:
        seen = view_pair(both, MIN_CONFIDENCE)
        focals, poses, depths = seen.focals, seen.poses, list(seen.depths)
    else:
        alignment = GlobalAlignment(both)
        start_from_tree(alignment, MIN_CONFIDENCE)
        alignment.optimise(iterations, progress=lambda step, _: progress("global alignment", step, iterations))
        focals = alignment.focals.detach().double().numpy()
        poses, depths = alignment.poses.detach().double().numpy(), [d.detach() for d in alignment.depths()]
    views = []
    for n, (crop, confidence) in enumerate(zip(predictor.crops, both.image_confidence(), strict=True)):
        K = np.array([[focals[n], 0, crop.width / 2], [0, focals[n], crop.height / 2], [0, 0, 1]])
        views.append(AlignedView(n, K, poses[n], depths[n], confidence, crop))
    # the alignment fixes its own scale, also where the network is metric
    model = scene_model(views, images, found, [set(range(count)) - {n} for n in range(count)], store, is_metric=False)
    return SfmResult((model,), edges, numbers, {})


def _verified(edges: np.ndarray, pairs: Sequence[SymmetricPrediction], predictor: PairPredictor) -> list[ImageMatches | None]:
    sums = [CanonicalSum(c.height, c.width) for c in predictor.crops]
    for (i, j), p in zip(edges.tolist(), pairs, strict=True):
        sums[i].add(j, p.own[0], p.other_conf[0])
        sums[j].add(i, p.own[1], p.other_conf[1])
    canonical = [s.result() for s in sums]
    checked = [verified(i, j, canonical[i], canonical[j], (p.pixels_i, p.pixels_j, p.confidence))
               for (i, j), p in zip(edges.tolist(), pairs, strict=True)]
    return [None if c is None else c[0] for c in checked]
