# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Start of a global alignment: from a spanning tree of the most confident pairs, or from known cameras."""
from __future__ import annotations

import math

import numpy as np
import torch

from lsm_ros.geometry.pointmap_focal import estimate_focal
from lsm_ros.sfm.global_alignment import BASE_SCALE, FOCAL_STEP, GlobalAlignment
from lsm_ros.sfm.pair_set import PairSet
from lsm_ros.sfm.poses import apply, camera_pose, matrices_to_quaternions, parameters_of, rigid, signed_log1p, similarity

PNP_ITERATIONS = 10


@torch.no_grad()
def start_from_tree(alignment: GlobalAlignment, min_confidence: float = 3.0) -> None:
    """Sets poses, focal lengths, depths and pair poses by chaining the pairs of a maximum spanning tree.

    Points above min_confidence take part where a pose has to be found by PnP. ValueError when the pairs do not connect
    all images, of which there are at least two, when their confidences are not positive, when points imply no focal length,
    or when cameras are known.
    """
    if alignment.known:
        raise ValueError("the cameras are known; start from them")
    pairs = alignment.pairs
    points, poses, focals = _chain(pairs)
    _complete(pairs, points, poses, focals, min_confidence)
    for n, focal in enumerate(focals):
        if not 0 < focal < math.inf:
            raise ValueError(f"image {n}: its points imply a focal length of {focal:g} pixels; they do not lie before a camera")
    for e, (i, _) in enumerate(pairs.edges):
        _set_pair(alignment, e, *similarity(pairs.points_i[e], points[i], pairs.conf_i[e]))
    factor = float((math.log(BASE_SCALE) - alignment.pw_poses[:, 7].mean()).exp())
    for n, (height, width) in enumerate(alignment.sizes):
        T = poses[n].copy()
        T[:3, 3] *= factor
        inverse = torch.from_numpy(np.linalg.inv(T)).to(points[n])
        depth = (points[n] * factor) @ inverse[2, :3] + inverse[2, 3]
        alignment.im_depthmaps[n, :height * width] = depth.log().nan_to_num(neginf=0, nan=0).flatten()
        alignment.im_poses[n] = parameters_of(T).to(alignment.im_poses)
        alignment.im_focals[n] = FOCAL_STEP * math.log(focals[n])


def _focal(pairs: PairSet, edge: int) -> float:
    height, width = pairs.conf_i[edge].shape
    points = pairs.points_i[edge][None]
    return float(estimate_focal(points, torch.tensor([[width / 2, height / 2]]).to(points)))


def _tree(pairs: PairSet, count: int) -> list[tuple[float, int, int]]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    scores = pairs.scores()
    if count < 2 or not ((scores > 0) & np.isfinite(scores)).all():
        raise ValueError(f"a tree needs at least two images and positive confidences, got {count} images, and pairs with "
                         f"confidences whose product is {scores.min():g} at least")
    i, j = pairs.edges.T.astype(np.int32)  # the tree's code takes no other index type
    weights = csr_array((-scores, (i, j)), shape=(count, count))
    parts, _ = connected_components(weights, directed=False)
    if parts > 1:
        raise ValueError(f"the pairs do not connect the {count} images: there are {parts} groups")
    tree = minimum_spanning_tree(weights).tocoo()
    return sorted((-float(w), int(i), int(j)) for w, i, j in zip(tree.data, tree.row, tree.col, strict=True))


def _chain(pairs: PairSet) -> tuple[list[torch.Tensor], list[np.ndarray | None], list[float | None]]:
    """World points of all images, and poses and focal lengths of some, from the strongest edge of the tree on."""
    count = len(pairs.sizes)
    todo = _tree(pairs, count)
    points: list[torch.Tensor | None] = [None] * count
    poses: list[np.ndarray | None] = [None] * count
    focals: list[float | None] = [None] * count
    _, i, j = todo.pop()
    edge = pairs.index(i, j)
    points[i], points[j] = pairs.points_i[edge].clone(), pairs.points_j[edge].clone()
    poses[i], focals[i] = np.eye(4), _focal(pairs, edge)
    while todo:
        score, i, j = todo.pop()
        if focals[i] is None:
            focals[i] = _focal(pairs, edge)  # the reference takes the edge before this one, and its numbers decide
        if points[i] is not None:
            edge = pairs.index(i, j)
            trafo = similarity(pairs.points_i[edge], points[i], pairs.conf_i[edge])
            points[j] = apply(pairs.points_j[edge], *trafo)
        elif points[j] is not None:
            edge = pairs.index(i, j)
            trafo = similarity(pairs.points_j[edge], points[j], pairs.conf_j[edge])
            points[i] = apply(pairs.points_i[edge], *trafo)
            if poses[i] is None:
                poses[i] = rigid(trafo[1], trafo[2])
        else:
            todo.insert(0, (score, i, j))
    return points, poses, focals


def _complete(pairs: PairSet, points: list[torch.Tensor], poses: list[np.ndarray | None], focals: list[float | None],
              min_confidence: float) -> None:
    for edge in pairs.scores().argsort(kind="stable")[::-1]:
        i = int(pairs.edges[edge, 0])
        if focals[i] is None:
            focals[i] = _focal(pairs, int(edge))
    confidence = pairs.image_confidence()
    for n, (height, width) in enumerate(pairs.sizes):
        if poses[n] is None:
            solved = camera_pose(points[n], focals[n], (width / 2, height / 2), mask=confidence[n] > min_confidence,
                                 iterations=PNP_ITERATIONS)
            if solved is not None:
                focals[n], poses[n] = solved
        if poses[n] is None:
            poses[n] = np.eye(4)
        if focals[n] is None:
            focals[n] = float(max(height, width))


def _set_pair(alignment: GlobalAlignment, edge: int, scale: float, R: np.ndarray, t: np.ndarray) -> None:
    row = torch.cat([torch.from_numpy(matrices_to_quaternions(R)), signed_log1p(torch.from_numpy(t / scale)),
                     torch.tensor([math.log(scale)], dtype=torch.float64)])
    alignment.pw_poses[edge] = row.to(alignment.pw_poses)


@torch.no_grad()
def start_from_cameras(alignment: GlobalAlignment) -> None:
    """Sets pair poses and depths from known cameras: each pair's relative pose is brought onto the two known ones.

    ValueError when the cameras are not known.
    """
    if not alignment.known:
        raise ValueError("the cameras are not known; start from a spanning tree")
    pairs = alignment.pairs
    poses = alignment.poses.double().cpu().numpy()
    centres, focals = alignment.centres.cpu().numpy(), alignment.focals.tolist()
    for e, (i, j) in enumerate(pairs.edges):
        solved = camera_pose(pairs.points_j[e], focals[i], tuple(map(float, centres[i])), iterations=PNP_ITERATIONS)
        relative = np.stack([np.eye(4), np.eye(4) if solved is None else solved[1]])
        src, dst = (torch.from_numpy(_stakes(T)) for T in (relative, poses[[i, j]]))
        # These four points lie almost on a line, and the turn about it is as exact as the arithmetic. Adam's first steps
        # follow signs, so that the published numbers come out only with the precision that they were made with.
        _set_pair(alignment, e, *similarity(src, dst, dtype=torch.float32))
    confidence = [float(c.mean()) for c in pairs.conf_i]
    for n, (height, width) in enumerate(alignment.sizes):
        own = np.flatnonzero(pairs.edges[:, 0] == n)
        if len(own):
            best = max(own, key=lambda e: confidence[e])
            depth = alignment.pw_poses[best, 7].exp() * pairs.points_i[best][..., 2]
            alignment.im_depthmaps[n, :height * width] = depth.log().nan_to_num(neginf=0, nan=0).flatten()


def _stakes(T: np.ndarray) -> np.ndarray:
    """(4, 3): both camera centres, and a point a little in front of each."""
    centre = T[:, :3, 3]
    step = np.linalg.norm(centre[0] - centre[1]) / 100
    return np.concatenate([centre, centre + step * T[:, :3, 2]])
