# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Labels of the map against labelled points of the true surface."""
from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.types import UNLABELLED


@dataclass(frozen=True)
class SemanticErrors:
    """iou: intersection over union by class id, for classes that the truth has; miou: their mean; accuracy: share of
    true points whose voxel has their label; missing: share without a voxel near by; points: labelled true points."""

    iou: dict[int, float]
    miou: float
    accuracy: float
    missing: float
    points: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; class ids become text."""
        return {**asdict(self), "iou": {str(i): v for i, v in self.iou.items()}}


def evaluate(points_map: np.ndarray, labels: np.ndarray, true_points_map: np.ndarray, true_labels: np.ndarray,
             max_distance: float = 0.05) -> SemanticErrors:
    """Compares the label of the voxel nearest to each true point with the point's own.

    points_map (N, 3) with labels (N,): the voxels; true_points_map (M, 3) with true_labels (M,): points of the true
    surface in the same frame, metres. True points that are UNLABELLED do not count. A point without a voxel within
    max_distance, or whose voxel has no label, counts as wrong. IoU = TP / (TP + FP + FN), counted over the true points.
    ValueError if no true point has a label or the lengths differ.
    """
    if len(points_map) != len(labels) or len(true_points_map) != len(true_labels):
        raise ValueError(f"each point needs one label: {len(points_map)} voxels with {len(labels)} labels, "
                         f"{len(true_points_map)} true points with {len(true_labels)}")
    known = true_labels != UNLABELLED
    true_points_map, truth = true_points_map[known], true_labels[known].astype(np.int64)
    if not truth.size:
        raise ValueError("no point of the true surface has a label")
    found = np.full(truth.shape, UNLABELLED, np.int64)
    near = np.zeros(truth.shape, bool)
    if len(points_map):
        distance, index = cKDTree(points_map).query(true_points_map, distance_upper_bound=max_distance)
        near = np.isfinite(distance)
        found[near] = labels[index[near]]
    iou = {}
    for label in np.unique(truth).tolist():
        is_true, is_found = truth == label, found == label
        iou[label] = float(np.count_nonzero(is_true & is_found) / np.count_nonzero(is_true | is_found))
    return SemanticErrors(iou, float(np.mean(list(iou.values()))), float(np.mean(found == truth)), float(np.mean(~near)),
                          int(truth.size))
