# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Structure from motion of an image set with a network's pairs (MASt3R-SfM, Duisterhof et al., 2024)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm_ros.geometry import se3_inverse
from lsm_ros.geometry.lie import make_se3
from lsm_ros.geometry.rotation import matrix_to_quat
from lsm_ros.sfm.canonical import Canonical
from lsm_ros.sfm.dense import dense_depth
from lsm_ros.sfm.kinematic_tree import make_tree
from lsm_ros.sfm.model import SceneModel, SetImage, SfmResult, largest_first
from lsm_ros.sfm.pair_cache import PairCache
from lsm_ros.sfm.pair_graph import PairChoice, choose_pairs
from lsm_ros.sfm.predictor import PairPredictor
from lsm_ros.sfm.sparse_alignment import ImageMatches, SparseAlignment, outline_of
from lsm_ros.sfm.views import AlignedView, DenseStore, scene_model

LEAST_MATCHES = 16  # that one pose explains, for two images to belong together
LEAST_SHARE = 0.25
TOLERANCE = 0.02  # of the longer side, of a match beside where a pose expects it
MOST_MATCHES = 1_000_000  # of a whole set: more make it slow and hardly more exact
RATES = {"coarse": 0.01, "fine": 0.003}  # Adam's first steps are so large in every joint of the tree, and add up along it
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class NetworkOptions:
    """threshold: pairs whose most confident match is not above it count by their predicted points only. iterations: of each of
    the two stages. shared: one focal length for all images. tree: see `make_tree`."""

    choice: PairChoice = PairChoice()
    threshold: float = 0.0
    iterations: int = 300
    shared: bool = False
    tree: str = "mst"


def reconstruct_from_pairs(images: Sequence[SetImage], predictor: PairPredictor, cache: Path, store: DenseStore,
                           options: NetworkOptions | None = None, progress: Progress = lambda stage, done, total: None
                           ) -> SfmResult:
    """Models of an image set from a network's pairs, and dense views into `store`.

    cache: folder of predictions; it is removed at the end. ValueError for fewer than two images, and for predictions that are
    no geometry.
    """
    if len(images) < 2:
        raise ValueError(f"structure from motion needs at least two images, got {len(images)}")
    options = options or NetworkOptions()
    sizes = [(c.height, c.width) for c in predictor.crops]
    names = "\n".join(f"{i.name} {i.intrinsics.shape}" for i in images)
    kept = PairCache(cache, sizes, f"{predictor.identity}\n{options.choice}\n{names}")
    edges = choose_pairs(len(images), predictor.likeness(), options.choice)
    for n, (i, j) in enumerate(edges.tolist()):
        progress("pairs", n, len(edges))
        if not kept.has(i, j):
            kept.add(i, j, predictor.predict(i, j))
    canonical = [kept.canonical(n) for n in range(len(images))]
    cap = max(200, MOST_MATCHES // len(edges))
    found, matches, relative = [], np.zeros(len(edges), np.int64), {}
    for n, (i, j) in enumerate(edges.tolist()):
        progress("verifying", n, len(edges))
        checked = verified(i, j, canonical[i], canonical[j], kept.matches(i, j))
        if checked is not None:
            m, relative[i, j] = checked
            matches[n] = len(m.confidence)
            found.append(thinned(m, cap))
    intrinsics, notes = known_intrinsics(images, predictor)
    models = []
    for group in components(len(images), found):
        models.append(_align(group, found, relative, images, predictor, canonical, kept, intrinsics, options, store, progress))
    placed = {int(n) for m in models for n in m.images}
    left_out = {n: "no pair with another image agrees with one geometry" for n in range(len(images)) if n not in placed}
    kept.remove()
    return SfmResult(largest_first(models), edges, matches, left_out, tuple(notes))


def verified(i: int, j: int, a: Canonical, b: Canonical, matches: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
             ) -> tuple[ImageMatches, np.ndarray] | None:
    """The matches of a pair and T_i_j (4, 4), if that pose explains enough of them, else None."""
    pixels_i, pixels_j, confidence = matches
    height, width = b.confidence.shape
    K = np.array([[b.focal, 0, width / 2], [0, b.focal, height / 2], [0, 0, 1]])
    points = a.points[pixels_i[:, 1], pixels_i[:, 0]].double().numpy()
    if len(points) < LEAST_MATCHES:
        return None
    cv2.setRNGSeed(0)
    try:
        ok, turn, shift, inliers = cv2.solvePnPRansac(points, pixels_j.double().numpy(), K, None, iterationsCount=300,
                                               reprojectionError=max(2.0, TOLERANCE * max(height, width)),
                                               flags=cv2.SOLVEPNP_SQPNP)
    except cv2.error:  # it raises where its minimal solver meets degenerate points
        return None
    if not ok or inliers is None or len(inliers) < max(LEAST_MATCHES, LEAST_SHARE * len(points)):
        return None
    ratios = (c.ratio[p[:, 1], p[:, 0]] for c, p in ((a, pixels_i), (b, pixels_j)))
    T_i_j = se3_inverse(make_se3(cv2.Rodrigues(turn)[0], shift[:, 0]))
    return ImageMatches(i, j, pixels_i, pixels_j, *ratios, confidence), T_i_j


def thinned(m: ImageMatches, most: int) -> ImageMatches:
    """At most so many matches, evenly over the image."""
    step = -(-len(m.confidence) // most)
    return m if step <= 1 else ImageMatches(m.i, m.j, *(x[::step] for x in (m.pixels_i, m.pixels_j, m.ratio_i, m.ratio_j,
                                                                            m.confidence)))


def components(count: int, matches: Sequence[ImageMatches]) -> list[list[int]]:
    """Groups of at least two images that matches connect."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = [m.i for m in matches], [m.j for m in matches]
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    label = connected_components(graph, directed=False)[1]
    groups = [np.flatnonzero(label == n).tolist() for n in range(label.max() + 1)]
    return [g for g in groups if len(g) >= 2]


def known_intrinsics(images: Sequence[SetImage], predictor: PairPredictor) -> tuple[np.ndarray | None, list[str]]:
    """K (N, 3, 3) of the network's images if all are known, else None; and notes."""
    known = [i.known for i in images]
    if not all(known):
        return None, ["the calibration is not used: not all images are of its proportions"] if any(known) else []
    notes = ["the distortion of the calibration is not used: the network's points need no lens, their pixels are taken for "
             "those of a pinhole"] if any(i.intrinsics.has_distortion for i in images) else []
    return np.stack([c.intrinsics(i.intrinsics).K for i, c in zip(images, predictor.crops, strict=True)]), notes


def start_from_pairs(alignment: SparseAlignment, relative: dict[tuple[int, int], np.ndarray]) -> None:
    """Places each image beside its parent in the tree as their pair says: from far away the alignment finds wrong minima.
    relative: T_i_j (4, 4) of pairs of rows (i, j)."""
    middle = alignment.median.double().numpy()
    with torch.no_grad():
        for parent, child in alignment.tree.edges.tolist():
            T = relative.get((parent, child))
            if T is None:
                T = None if (child, parent) not in relative else se3_inverse(relative[child, parent])
            if T is None:
                continue
            along = T[:3, 3] + T[:3, 2] * middle[child] - np.array([0, 0, middle[parent]])
            alignment.quats[child] = torch.from_numpy(matrix_to_quat(T[:3, :3])).float()
            alignment.trans[child] = torch.from_numpy(along).float()


def _align(group: list[int], found: Sequence[ImageMatches], relative: dict[tuple[int, int], np.ndarray],
           images: Sequence[SetImage], predictor: PairPredictor, canonical: Sequence[Canonical], kept: PairCache,
           intrinsics: np.ndarray | None, options: NetworkOptions, store: DenseStore, progress: Progress) -> SceneModel:
    """The model of one group of images."""
    place = {n: k for k, n in enumerate(group)}
    mine = [m for m in found if m.i in place]
    scores = np.zeros((len(group), len(group)))
    fallback = {}
    for m in mine:
        a, b = place[m.i], place[m.j]
        scores[a, b] = scores[b, a] = len(m.confidence)
        if not float(m.confidence.max()) > options.threshold:
            fallback |= {(place[x], place[y]): v for (x, y), v in kept.fallback(m.i, m.j).items()}
    local = [ImageMatches(place[m.i], place[m.j], m.pixels_i, m.pixels_j, m.ratio_i, m.ratio_j, m.confidence) for m in mine]
    blocks = np.array([canonical[n].core_depth.numel() for n in group])
    alignment = SparseAlignment([outline_of(canonical[n]) for n in group], local, make_tree(scores, blocks, options.tree),
                                fallback=fallback, threshold=options.threshold, shared=options.shared,
                                intrinsics=None if intrinsics is None else intrinsics[group],
                                weights=[float(canonical[n].confidence.mean()) for n in group],
                                cameras=[images[n].camera for n in group])
    start_from_pairs(alignment, {(place[i], place[j]): T for (i, j), T in relative.items() if i in place})
    for stage, rate in RATES.items():
        alignment.optimise(stage, options.iterations, rate, progress=lambda step, _, stage=stage: progress(
            f"{stage} alignment", step, options.iterations))
    cameras = alignment.cameras()
    # the smallest image has the size that was predicted for it; a metric network is right on average
    unit = float((alignment.log_size.min() - alignment.log_size.mean()).exp().detach()) if predictor.is_metric else 1.0
    views = []
    for k, n in enumerate(group):
        K, c = cameras.intrinsics[k], canonical[n]
        depth = dense_depth(torch.from_numpy(cameras.depths[k]).float(), c.ratio, c.focal, float(K[0, 0]))
        pose = cameras.poses[k].copy()
        pose[:3, 3] *= unit
        views.append(AlignedView(n, K, pose, unit * depth, c.confidence, predictor.crops[n]))
    partners = [{place[m.j] if m.i == n else place[m.i] for m in mine if n in (m.i, m.j)} for n in group]
    return scene_model(views, images, local, partners, store, predictor.is_metric)

