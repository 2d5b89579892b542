# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Pose of a frame set against one keyframe, from what a network predicts for the two."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.base import Matches, PairModel
from lsm_ros.slam.graph.keyframes import Keyframe, spread
from lsm_ros.slam.pointmap.matching import PairMatches, first_motion, match_pair, patches
from lsm_ros.slam.pointmap.ray_alignment import AlignConfig, Alignment, MatchedView, align
from lsm_ros.slam.pointmap.view import PointmapKeyframe
from lsm_ros.types import PairPrediction

LINK_MATCHES = 300  # kept of each link: many more than a pose has unknowns
FEWEST_PATCHES = 6


@dataclass
class PairPose:
    """A pose that was found: with which predictions, and how much was found again.

    units: of each camera's prediction, in units of the map. fraction: share of the keyframe's pixels that were found and agree;
    unique: share of the image that they cover. cells: by how much the residuals' covariance is too sure. pixels: where each was
    found, to start the next search from. matches: by camera, some of those that agree, for the graph; others: those of further
    keyframes, by (keyframe, camera).
    """

    keyframe: PointmapKeyframe
    predictions: dict[str, PairPrediction]
    alignment: Alignment
    units: dict[str, float]
    fraction: float
    unique: float
    cells: float
    pixels: dict[str, np.ndarray | None]
    matches: dict[str, Matches]
    others: dict[tuple[int, str], Matches] = field(default_factory=dict)


Rig = Mapping[str, tuple[Any, np.ndarray]]  # by camera: its tokens and T_rig_cam (4, 4)


def rig_of(keyframe: Keyframe) -> Rig:
    """A keyframe as what is looked at."""
    return {c: (v.tokens, v.T_rig_cam) for c, v in keyframe.views.items()}


def predict_for(model: PairModel, asked: Sequence[tuple[Rig, Keyframe]]) -> list[dict[str, PairPrediction]]:
    """Predictions of (frame set, keyframe) for each of these and each camera that both have, all as one batch."""
    cameras = [[c for c in rig if c in keyframe.views] for rig, keyframe in asked]
    pairs = [(rig[c][0], kf.views[c].tokens) for (rig, kf), names in zip(asked, cameras, strict=True) for c in names]
    found = iter(model.predict(pairs) if pairs else [])
    return [{c: next(found) for c in names} for names in cameras]


def solve_pair(rig: Rig, keyframe: PointmapKeyframe, predictions: dict[str, PairPrediction], config: Config, free_scale: bool,
               starts: Mapping[str, np.ndarray | None] | None = None) -> PairPose | str:
    """Relative pose of a frame set and a keyframe from their predictions, or why there is none.

    free_scale: each prediction has a unit of its own. starts: `pixels` of the last call for the same keyframe.
    """
    if not predictions:
        return "the keyframe has none of these cameras"
    views, scales, matched, pixels, first = [], [], {}, {}, None
    for c, prediction in predictions.items():
        tokens, T_rig_cam = rig[c]
        m, pixels[c] = match_pair(prediction, config.pointmap, (starts or {}).get(c))
        points = keyframe.views[c].points_at(m.index_kf)
        begin = first_motion(points, m, free_scale)
        if begin is None:
            continue
        if first is None or len(m) > first[0]:
            first = (len(m), T_rig_cam @ begin[0] @ se3_inverse(keyframe.views[c].T_rig_cam))
        matched[c] = m
        scales.append(begin[1])
        views.append(MatchedView(transform_points(keyframe.views[c].T_rig_cam, points), m.points_new, T_rig_cam,
                                 m.pixels_new, tokens.intrinsics))
    if first is None:
        return "nothing of the keyframe was found in the image"
    own = config.pointmap
    noise = AlignConfig(own.sigma_ray, own.sigma_distance, own.sigma_px, own.sigma_distance, config.tracking.huber)
    solved = align(views, first[1], np.array(scales), noise, free_scale=free_scale)
    if solved is None:
        return "the matched points do not determine a pose"
    return _judge(keyframe, predictions, matched, solved, pixels, config)


def _judge(keyframe: PointmapKeyframe, predictions: dict[str, PairPrediction], matched: dict[str, PairMatches],
           solved: Alignment, pixels: dict[str, np.ndarray | None], config: Config) -> PairPose | str:
    """Result of a solution that agrees with enough of the matches, or the reason why it is not believed."""
    inliers = dict(zip(matched, solved.inliers, strict=True))
    cells = sum(patches(m.pixels_new[inliers[c]], predictions[c].points_a.shape[1]) for c, m in matched.items())
    share = solved.inlier_count / max(sum(len(m) for m in matched.values()), 1)
    if share < config.pointmap.min_inlier_share:
        return f"only {share:.0%} of the matches agree on a pose"
    if solved.inlier_count < config.tracking.min_inliers or cells < FEWEST_PATCHES:
        return f"{solved.inlier_count} matches in {cells} patches are too few for a pose"
    fractions = {c: float(np.count_nonzero(inliers[c]) / m.sampled) for c, m in matched.items()}
    best = max(fractions, key=lambda c: fractions[c])
    units = dict(zip(matched, solved.units.tolist(), strict=True))
    return PairPose(keyframe, predictions, solved, units, fractions[best], matched[best].unique,
                    max(1.0, solved.inlier_count / cells), pixels,
                    {c: _for_graph(m, inliers[c]) for c, m in matched.items()})


def _for_graph(matches: PairMatches, inliers: np.ndarray) -> Matches:
    kept = np.flatnonzero(inliers)
    kept = kept[spread(len(kept), LINK_MATCHES)]
    return Matches(matches.index_kf[kept], matches.pixels_new[kept], np.full(len(kept), np.nan))
