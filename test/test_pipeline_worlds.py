# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds mapped with measured depth and true labels: pose errors over the path, labels of the observed surface."""
import math

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.evaluation import semantics, trajectory
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.sim.source import SimSource

WORLDS = [(1, "room"), (2, "corridor"), (3, "rooms"), (4, "loop"), (6, "room")]
REACH = 5.0  # metres: what is farther is not fused (fusion.max_depth)
FEWEST = 500


def map_world(source: SimSource, voxel_size: float, points: np.ndarray) -> tuple[MappingPipeline, np.ndarray]:
    """The settled pipeline, and which true points (M, 3) some frame saw."""
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": voxel_size}))
    seen = np.zeros(len(points), bool)
    for frames, truth in zip(source, source.ground_truth, strict=True):
        pipeline.process(frames)
        frame = frames.frames[0]
        in_cam = transform_points(se3_inverse(truth.T_map_rig @ frames.T_rig_cam[frame.camera]), points)
        pixels, ok = frame.intrinsics.project(in_cam)
        rows = np.flatnonzero(ok & frame.intrinsics.contains(pixels, 1) & (in_cam[:, 2] < REACH))
        x, y = np.rint(pixels[rows]).astype(int).T
        seen[rows[np.abs(frame.depth[y, x] - in_cam[rows, 2]) < 0.02 * in_cam[rows, 2]]] = True
    pipeline.settle()
    return pipeline, seen


def mean_iou(pipeline: MappingPipeline, T_truth_map: np.ndarray, points: np.ndarray, labels: np.ndarray, reach: float) -> float:
    """Mean IoU of the classes that have FEWEST points or more."""
    snapshot = pipeline.snapshot()
    found = semantics.evaluate(transform_points(T_truth_map, snapshot.points_map), snapshot.labels, points, labels, reach)
    ids, counts = np.unique(labels, return_counts=True)
    return float(np.mean([found.iou[i] for i, n in zip(ids.tolist(), counts.tolist(), strict=True) if n >= FEWEST]))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("seed", "kind"), WORLDS)
def test_worlds_are_mapped_with_depth(seed, kind):
    """ATE at most 1 % of the path, labels of the observed surface at 5 cm with a mean IoU of 0.75 in each world."""
    source = SimSource(seed, kind, width=320, height=240, rate_hz=10.0)
    points, labels = source.surface_points(100_000)
    pipeline, seen = map_world(source, 0.05, points)
    truth = source.ground_truth
    errors = trajectory.evaluate(pipeline.trajectory(), truth, alignments=("se3",))
    iou = mean_iou(pipeline, errors.T_truth_estimate, points[seen], labels[seen], 0.1)
    print(f"{kind} {seed}: ATE {errors.ate_m['se3'].rmse:.3f} m over {errors.path_m:.1f} m, mean IoU {iou:.3f}")
    assert len(pipeline.trajectory()) >= 0.98 * len(source)
    assert errors.ate_m["se3"].rmse <= 0.01 * errors.path_m
    assert iou >= 0.75 and math.isfinite(iou)
