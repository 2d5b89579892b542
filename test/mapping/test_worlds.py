# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Simulated worlds mapped with measured depth and true labels: pose errors over the path, labels of the observed surface."""
from dataclasses import dataclass

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.evaluation import semantics, trajectory
from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.types import FrameSet, TrajectoryPose
from lsm_sim.source import SimSource

WORLDS = [(1, "room"), (2, "corridor"), (3, "rooms"), (4, "loop"), (6, "room")]
REACH = 5.0  # metres: what is farther is not fused (fusion.max_depth)
FEWEST = 500


@dataclass(frozen=True)
class Rendered:
    """Frame sets that are rendered once."""

    frame_sets: list[FrameSet]
    ground_truth: list[TrajectoryPose]


def map_world(source: Rendered, voxel_size: float, points: np.ndarray) -> tuple[MappingPipeline, np.ndarray]:
    """The settled pipeline, and which true points (M, 3) some frame saw."""
    pipeline = MappingPipeline(from_dict({"fusion.voxel_size": voxel_size}))
    seen = np.zeros(len(points), bool)
    for frames, truth in zip(source.frame_sets, source.ground_truth, strict=True):
        pipeline.process(frames)
        frame = frames.frames[0]
        in_cam = transform_points(se3_inverse(truth.T_map_rig @ frames.T_rig_cam[frame.camera]), points)
        pixels, ok = frame.intrinsics.project(in_cam)
        rows = np.flatnonzero(ok & frame.intrinsics.contains(pixels, 1) & (in_cam[:, 2] < REACH))
        x, y = np.rint(pixels[rows]).astype(int).T
        seen[rows[np.abs(frame.depth[y, x] - in_cam[rows, 2]) < 0.01]] = True  # more would take in what is behind thin things
    pipeline.settle()
    return pipeline, seen


def mean_iou(pipeline: MappingPipeline, T_truth_map: np.ndarray, points: np.ndarray, labels: np.ndarray, reach: float) -> float:
    """Mean IoU of the classes that have FEWEST points or more."""
    snapshot = pipeline.snapshot()
    found = semantics.evaluate(transform_points(T_truth_map, snapshot.points_map), snapshot.labels, points, labels, reach)
    ids, counts = np.unique(labels, return_counts=True)
    return float(np.mean([found.iou[i] for i, n in zip(ids.tolist(), counts.tolist(), strict=True) if n >= FEWEST]))


@pytest.fixture(scope="module", params=WORLDS, ids=lambda w: f"{w[1]} {w[0]}")
def world(request):
    """A rendered source and points of its surface."""
    source = SimSource(*request.param, width=320, height=240, rate_hz=10.0)
    rendered = Rendered(list(source), source.ground_truth)
    return request.param, rendered, *source.surface_points(100_000)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("voxel_size", "least_iou"), [(0.05, 0.80), (0.02, 0.90)])
def test_worlds_are_mapped_with_depth(world, voxel_size, least_iou):
    """ATE at most 1 % of the path; mean IoU of the labels of the observed surface."""
    (seed, kind), source, points, labels = world
    pipeline, seen = map_world(source, voxel_size, points)
    errors = trajectory.evaluate(pipeline.trajectory(), source.ground_truth, alignments=("se3",))
    iou = mean_iou(pipeline, errors.T_truth_estimate, points[seen], labels[seen], 2 * voxel_size)
    ate = errors.ate_m["se3"].rmse
    print(f"{kind} {seed} at {voxel_size} m: ATE {ate:.4f} of {errors.path_m:.1f} m, mean IoU {iou:.3f}")
    assert len(pipeline.trajectory()) >= 0.98 * len(source.frame_sets)
    assert ate <= 0.01 * errors.path_m
    assert iou >= least_iou
