# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Colour alone with and without a depth prior, against measured depth, on the same frames in the same run.

    python bench/depth_prior.py SEQUENCE --model FILE.onnx [--prior onnx] [--first N] [--last N] [--quick] [--json FILE]

SEQUENCE is a TUM RGB-D folder with ground truth and a camera.yaml; its depth is only compared with. Depth of keyframes and
the map are brought into the frame and the unit of the truth by the similarity that fits the trajectories best. `depth`: share
of the pixels with measured depth that get one. accuracy, completeness: share of the map's points near measured surfaces, and
the other way round, at 5 and 10 cm; F: their harmonic mean. --first, --last: frames; --quick: the first 120 of them.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.evaluation import geometry, trajectory
from lsm_ros.geometry import make_sim3, normalize_rotation, split_sim3, transform_points, umeyama
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.slam.trackers import KeyframeDepth, Tracker
from lsm_ros.types import FrameSet, TrajectoryPose

QUICK_FRAMES, GROSS, NEAR_M = 120, 0.3, (0.05, 0.10)


def main() -> int:
    """Maps twice and prints one table; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequence", type=Path, help="TUM RGB-D folder with ground truth and depth")
    parser.add_argument("--model", required=True, help="model of the prior (pairs.depth_prior_model)")
    parser.add_argument("--prior", default="onnx", help="kind of prior (pairs.depth_prior)")
    parser.add_argument("--first", type=int, default=0, help="first frame")
    parser.add_argument("--last", type=int, help="frame to end before")
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_FRAMES} frames")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    try:
        source = open_source(options.sequence)
        if not source.ground_truth:
            raise ValueError(f"{options.sequence} has no ground truth")
        frames = list(source)[options.first:options.last][:QUICK_FRAMES if options.quick else None]
        priors = {"without": {}, "with prior": {"pairs.depth_prior": options.prior, "pairs.depth_prior_model": options.model}}
        rows = {name: measured(frames, source.ground_truth, prior) for name, prior in priors.items()}
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"bench/depth_prior.py: {error}", file=sys.stderr)
        return 2
    show(rows)
    if options.json:
        options.json.write_text(json.dumps({"sequence": options.sequence.name, "frames": len(frames), "rows": rows}, indent=2))
    return 0


def measured(frames: list[FrameSet], truth: list[TrajectoryPose], prior: dict[str, str]) -> dict[str, Any]:
    """Maps the colours of all frames in order, and compares with their depth. ValueError where too few have a pose."""
    pipeline = MappingPipeline(from_dict({"pairs.model": "two_view", **prior}))
    taken: list[KeyframeDepth] = []
    take = pipeline.tracker.take_depth

    def noted(everything: bool = False) -> list[KeyframeDepth]:
        given = take(everything)
        taken.extend(given)
        return given

    pipeline.tracker.take_depth = noted  # type: ignore[method-assign]  # what is fused, as it is fused
    began = time.perf_counter()
    for frame_set in frames:
        pipeline.process(replace(frame_set, frames=tuple(replace(f, depth=None) for f in frame_set.frames), T_odom_base=None))
    pipeline.settle()
    seconds, poses = time.perf_counter() - began, pipeline.trajectory()
    pairs = trajectory.associate(poses, truth, 20_000_000)
    if len(pairs) < 10:
        raise ValueError(f"only {len(pairs)} frames have a pose and a true one")
    T_rig_cam = next(iter(frames[0].T_rig_cam.values()))
    T_world_map = similarity(np.stack([poses[i].T_map_rig @ T_rig_cam for i, _ in pairs]),
                             np.stack([truth[j].T_map_rig for _, j in pairs]))
    scale, status = float(split_sim3(T_world_map)[0]), pipeline.status()
    return {"seconds": seconds, "poses": len(poses) / len(frames),
            "ate_m": trajectory.evaluate(poses, truth, alignments=("sim3",)).ate_m["sim3"].rmse,
            **of_depth(taken, pipeline.tracker, {f.stamp_ns: f.frames[0].depth for f in frames}, scale),
            **of_map(pipeline.snapshot().points_map, frames, truth, T_world_map),
            "size_off": 1 / scale - 1, "size_std": status.scale_std, "scale_source": status.scale_source,
            "is_metric": status.scale_is_metric, "warnings": list(status.warnings)}


def similarity(ours: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(4, 4) that brings camera poses (N, 4, 4) to the true ones: its rotation from theirs, for on a straight way positions
    leave it open; its scale from positions."""
    rotation = normalize_rotation(np.mean(true[:, :3, :3] @ np.swapaxes(ours[:, :3, :3], 1, 2), axis=0))
    scale = float(split_sim3(umeyama(ours[:, :3, 3], true[:, :3, 3], with_scale=True))[0])
    return make_sim3(scale, rotation, true[:, :3, 3].mean(0) - scale * rotation @ ours[:, :3, 3].mean(0))


def of_depth(taken: list[KeyframeDepth], tracker: Tracker, depths: dict[int, Any], scale: float) -> dict[str, float]:
    """Depth of keyframes, grown as the map has since, in metres by `scale`, against measured depth."""
    errors, pixels = [np.zeros(0)], 0
    for given in taken:
        true, depth = depths[given.view.frame.stamp_ns], given.view.depth
        if true is not None and given.keyframe in tracker.graph.keyframes:
            grown = tracker.depth_ratio(tracker.graph.keyframes[given.keyframe], given.view.frame.camera, depth)
            both = (true > 0) & (depth > 0)
            errors.append(depth[both] * scale * grown / true[both] - 1)
            pixels += np.count_nonzero(true > 0)
    error = np.abs(np.concatenate(errors))
    return {"depth": len(error) / max(pixels, 1), "median": float(np.median(error)), "gross": float(np.mean(error > GROSS))}


def of_map(points_map: np.ndarray, frames: list[FrameSet], truth: list[TrajectoryPose], T_world_map: np.ndarray
           ) -> dict[str, float]:
    """Surface points of the map against measured surfaces."""
    views = geometry.depth_views(frames, truth)
    surface, _ = geometry.surface_points(views, cell=0.02)
    points = transform_points(T_world_map, points_map)
    points = points[geometry.seen_by(points, views)]
    to_surface, to_map = cKDTree(surface).query(points)[0], cKDTree(points).query(surface)[0]
    out: dict[str, float] = {}
    for near in NEAR_M:
        accuracy, completeness = float(np.mean(to_surface < near)), float(np.mean(to_map < near))
        name = f"{100 * near:.0f}cm"
        out |= {f"accuracy_{name}": accuracy, f"completeness_{name}": completeness,
                f"F_{name}": 2 * accuracy * completeness / max(accuracy + completeness, math.ulp(1.0))}
    return out


def show(rows: dict[str, dict[str, Any]]) -> None:
    """One table, a column for each run and one for their ratio."""
    before, after = rows.values()
    print(f"{'':18s}" + "".join(f"{name:>14s}" for name in (*rows, "ratio")))
    for key, value in before.items():
        if isinstance(value, float):
            ratio = after[key] / value if value else math.nan
            print(f"{key:18s}{value:14.4f}{after[key]:14.4f}{ratio:14.2f}")
        elif key != "warnings":
            print(f"{key:18s}{value!s:>14s}{after[key]!s:>14s}")
    for name, row in rows.items():
        for text in row["warnings"]:
            print(f"{name}: {text}")


if __name__ == "__main__":
    raise SystemExit(main())
