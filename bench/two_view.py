# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Colour only: our mapping with pair model two_view beside COLMAP, on the same frames in the same run.

    python bench/two_view.py SEQUENCE [--quick] [--json FILE]

SEQUENCE is a TUM RGB-D folder with ground truth and a camera.yaml; its depth is not used. COLMAP (the package pycolmap, not a
dependency of this one: pip install pycolmap) gets every fifth frame and their intrinsics, held fixed, and matches neighbours
in the sequence; we get all frames, in order. Both use all cores. Times are from images in memory or on disk to poses;
trajectories are compared with the truth after the similarity that fits best. --quick: the first 150 frames.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.config import from_dict
from lsm_ros.datasets import open_source
from lsm_ros.evaluation import trajectory
from lsm_ros.geometry import se3_inverse
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.types import FrameSet, TrajectoryPose

QUICK_FRAMES, EVERY = 150, 5


def main() -> int:
    """Runs both and prints one table of ratios; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sequence", type=Path, help="TUM RGB-D folder with ground truth")
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK_FRAMES} frames")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    try:
        import pycolmap
    except ImportError:
        print("bench/two_view.py: pycolmap is not installed; pip install pycolmap (or the extra `bench`)", file=sys.stderr)
        return 2
    try:
        source = open_source(options.sequence)
        if not source.ground_truth:
            raise ValueError(f"{options.sequence} has no ground truth")
        frames = [replace_depth(f) for f in source][:QUICK_FRAMES if options.quick else None]
    except (ValueError, FileNotFoundError) as error:
        print(f"bench/two_view.py: {error}", file=sys.stderr)
        return 2
    rows = {"lsm_ros two_view": ours(frames, source.ground_truth),
            f"COLMAP {pycolmap.__version__}": colmap(pycolmap, frames[::EVERY], source.ground_truth)}
    show(rows)
    if options.json:
        options.json.write_text(json.dumps({"sequence": options.sequence.name, "cores": os.cpu_count(), "rows": rows},
                                           indent=2))
    return 0


def replace_depth(frame_set: FrameSet) -> FrameSet:
    """The frame set with its colours alone."""
    from dataclasses import replace

    return replace(frame_set, frames=tuple(replace(f, depth=None) for f in frame_set.frames), T_odom_base=None)


def ours(frames: list[FrameSet], truth: list[TrajectoryPose]) -> dict[str, Any]:
    """Maps all frames in order."""
    pipeline = MappingPipeline(from_dict({"pairs.model": "two_view"}))
    began, cpu = time.perf_counter(), time.process_time()
    for frame_set in frames:
        pipeline.process(frame_set)
    pipeline.settle()
    row = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu, "images": len(frames)}
    return {**row, **judged(pipeline.trajectory(), truth), "online_ate_m": ate(pipeline.online_trajectory(), truth),
            "focal_px": next(iter(pipeline.status().focal_px.values()), float("nan"))}


def colmap(pycolmap: Any, frames: list[FrameSet], truth: list[TrajectoryPose]) -> dict[str, Any]:
    """Incremental reconstruction with fixed intrinsics, matching neighbours in the sequence."""
    folder = Path(tempfile.mkdtemp(prefix="two_view_bench_"))
    try:
        (folder / "images").mkdir()
        first = frames[0].frames[0]
        for frame_set in frames:
            cv2.imwrite(str(folder / "images" / f"{frame_set.stamp_ns:020d}.png"), frame_set.frames[0].image[..., ::-1])
        began, cpu = time.perf_counter(), time.process_time()
        k, reader = first.intrinsics, pycolmap.ImageReaderOptions()
        reader.camera_model, reader.camera_params = "PINHOLE", f"{k.fx},{k.fy},{k.cx + 0.5},{k.cy + 0.5}"
        pycolmap.extract_features(folder / "db", folder / "images", camera_mode=pycolmap.CameraMode.SINGLE,
                                  reader_options=reader)
        pycolmap.match_sequential(folder / "db")
        options = pycolmap.IncrementalPipelineOptions()
        options.ba_refine_focal_length = options.ba_refine_extra_params = False
        models = pycolmap.incremental_mapping(folder / "db", folder / "images", folder, options)
        row = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu, "images": len(frames)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    best = max(models.values(), key=lambda m: m.num_reg_images(), default=None)
    return {**row, **judged([] if best is None else poses_of(best, frames), truth), "focal_px": k.fx}


def poses_of(model: Any, frames: list[FrameSet]) -> list[TrajectoryPose]:
    """Rig poses of a reconstruction's images; their names are stamps."""
    camera = frames[0].frames[0].camera
    T_cam_rig = se3_inverse(frames[0].T_rig_cam.get(camera, np.eye(4)))
    out = []
    for image in model.images.values():
        pose = image.cam_from_world() if callable(image.cam_from_world) else image.cam_from_world
        T_cam_map = np.eye(4)
        T_cam_map[:3] = pose.matrix()
        out.append(TrajectoryPose(int(Path(image.name).stem), se3_inverse(T_cam_map) @ T_cam_rig))
    return sorted(out, key=lambda p: p.stamp_ns)


def judged(poses: list[TrajectoryPose], truth: list[TrajectoryPose]) -> dict[str, Any]:
    """Number of poses and their error."""
    return {"registered": len(poses), "ate_m": ate(poses, truth)}


def ate(poses: list[TrajectoryPose], truth: list[TrajectoryPose]) -> float:
    """RMSE of positions after the best similarity, metres; NaN with fewer than three poses."""
    if len(poses) < 3:
        return float("nan")
    return trajectory.evaluate(poses, truth, alignments=("sim3",)).ate_m["sim3"].rmse


def show(rows: dict[str, dict[str, Any]]) -> None:
    """One table; the last line is ours by theirs."""
    print(f"{'':22s}{'images':>8s}{'poses':>8s}{'time s':>9s}{'CPU s':>9s}{'ms/image':>10s}{'ATE m':>8s}{'f px':>8s}")
    for name, r in rows.items():
        print(f"{name:22s}{r['images']:8d}{r['registered']:8d}{r['seconds']:9.1f}{r['cpu_seconds']:9.1f}"
              f"{1e3 * r['seconds'] / r['images']:10.1f}{r['ate_m']:8.4f}{r['focal_px']:8.1f}")
    a, b = rows.values()
    each = (a["seconds"] / a["images"]) / (b["seconds"] / b["images"])
    print(f"{'ratio, ours by COLMAP':22s}{a['images'] / b['images']:8.2f}{a['registered'] / max(b['registered'], 1):8.2f}"
          f"{a['seconds'] / b['seconds']:9.2f}{a['cpu_seconds'] / b['cpu_seconds']:9.2f}{each:10.2f}"
          f"{a['ate_m'] / b['ate_m']:8.2f}{a['focal_px'] / b['focal_px']:8.2f}")


if __name__ == "__main__":
    raise SystemExit(main())
