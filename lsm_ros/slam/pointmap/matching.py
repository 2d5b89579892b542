# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""From a pair's prediction to matched points of a keyframe and a new frame."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lsm_ros.config import PointmapConfig
from lsm_ros.geometry import split_sim3, transform_points, umeyama
from lsm_ros.geometry.align import DegenerateGeometryError
from lsm_ros.pairs.reciprocal import reciprocal_matches
from lsm_ros.slam.pointmap.ray_matching import DenseMatches, grid_indices, refine_by_descriptors, sample, search_rays
from lsm_ros.types import PairPrediction

PATCH = 16


@dataclass(frozen=True)
class PairMatches:
    """Pixels of the keyframe found in a new frame's image, both of the network's size.

    index_kf (N,) into the keyframe's pixels; pixels_new (N, 2) float64; points_new (N, 3) float64: what the new frame's
    own pointmap has there; seen_new (N, 3): the keyframe's points as predicted in the new camera; quality (N,).
    sampled: how many pixels of the keyframe were looked for; unique: share of the new image's cells that they cover.
    """

    index_kf: np.ndarray
    pixels_new: np.ndarray
    points_new: np.ndarray
    seen_new: np.ndarray
    quality: np.ndarray
    sampled: int
    unique: float

    def __len__(self) -> int:
        return len(self.index_kf)


def match_pair(prediction: PairPrediction, config: PointmapConfig, start: np.ndarray | None = None
               ) -> tuple[PairMatches, np.ndarray | None]:
    """Matches of a prediction (new frame, keyframe), and where each sampled pixel was found, to start the next search from.

    start: what the last call for the same keyframe gave. Points and confidences that are no numbers match nothing.
    """
    points_a, points_b = prediction.points_a, prediction.points_b
    height, width = points_b.shape[:2]
    stride = config.stride
    sampled = grid_indices(height, width, stride, points_b.device)
    if config.matching == "reciprocal" and prediction.desc_a is not None and prediction.desc_b is not None:
        # hops start in b, so that b's grid is sampled as it is by the search
        xy_b, xy_a = reciprocal_matches(prediction.desc_b.float(), prediction.desc_a.float(), stride)
        matches = DenseMatches(xy_b[:, 1] * width + xy_b[:, 0], xy_a.float())
        after = None
    else:
        begin = None if start is None else torch.from_numpy(start).to(points_b.device)
        matches, good = search_rays(points_a, points_b, sampled, begin)
        after = matches.pixels_a.cpu().numpy()
        matches = matches.where(good)
        if prediction.desc_a is not None and prediction.desc_b is not None and len(matches):
            matches = refine_by_descriptors(matches, prediction.desc_a, prediction.desc_b)
    return _select(prediction, matches, config, len(sampled)), after


def _select(prediction: PairPrediction, matches: DenseMatches, config: PointmapConfig, sampled: int) -> PairMatches:
    """Those that both sides are confident of, on the CPU."""
    conf_a, conf_b = prediction.desc_conf_a, prediction.desc_conf_b
    if conf_a is None or conf_b is None:
        conf_a, conf_b = prediction.conf_a, prediction.conf_b
    x, y = matches.pixels_a.round().long().T
    quality = (conf_a[y, x].float().clamp(min=0) * conf_b.flatten()[matches.index_b].float().clamp(min=0)).sqrt()
    quality = torch.where(torch.isfinite(quality), quality, 0.0)
    known = (prediction.conf_a[y, x] > 0) & (prediction.conf_b.flatten()[matches.index_b] > 0)
    points_new = sample(prediction.points_a.float(), matches.pixels_a)
    seen = prediction.points_b.flatten(0, 1)[matches.index_b].float()
    good = known & (quality > config.min_confidence) & torch.isfinite(points_new).all(1) & torch.isfinite(seen).all(1)
    matches = matches.where(good)
    cells_x, cells_y = (-(-s // config.stride) for s in (prediction.points_a.shape[1], prediction.points_a.shape[0]))
    x, y = (matches.pixels_a / config.stride).long().T
    unique = len((y * cells_x + x).unique()) / (cells_x * cells_y)

    def array(t: torch.Tensor) -> np.ndarray:
        return t.cpu().numpy()

    return PairMatches(array(matches.index_b), array(matches.pixels_a).astype(np.float64),
                       array(points_new[good]).astype(np.float64), array(seen[good]).astype(np.float64), array(quality[good]),
                       sampled, float(unique))


def first_motion(points_kf: np.ndarray, matches: PairMatches, with_scale: bool, rounds: int = 5
                 ) -> tuple[np.ndarray, float] | None:
    """Similarity from the keyframe's points (N, 3), units of the map, to where the pair's prediction has them: a robust
    start that needs no guess. Returns the rigid motion T_cam_kf (4, 4) in units of the map and the factor s; None without."""
    good = np.isfinite(points_kf).all(1)
    if np.count_nonzero(good) < 6:
        return None
    source, target = points_kf[good], matches.seen_new[good]
    distance = np.maximum(np.linalg.norm(target, axis=1), 1e-9)
    base = np.minimum(matches.quality[good], 100.0) / distance**2
    weights = base
    T = np.eye(4)
    for _ in range(rounds):
        try:
            T = umeyama(source, target, weights, with_scale=with_scale)
        except DegenerateGeometryError:
            return None
        error = np.linalg.norm(transform_points(T, source) - target, axis=1) / distance
        spread = max(float(np.median(error)), 0.005)
        weights = base / (1.0 + (error / (2 * spread)) ** 2) ** 2
    scale, R, t = split_sim3(T)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = R, t / scale
    return motion, float(scale)


def patches(pixels: np.ndarray, pinhole_width: int) -> int:
    """Number of 16x16 patches that pixels (N, 2) lie in: residuals of one patch are not independent."""
    cell = (np.maximum(pixels, 0) / PATCH).astype(np.int64)
    return len(np.unique(cell[:, 1] * (pinhole_width // PATCH + 2) + cell[:, 0]))
