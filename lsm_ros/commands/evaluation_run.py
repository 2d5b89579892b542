# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm eval`: trajectories, map and depth from files, through the measures, to a table."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.commands.options import TRAJECTORIES
from lsm_ros.datasets.tum import TumSource, read_tum
from lsm_ros.evaluation import geometry, metrics, semantics, trajectory
from lsm_ros.fusion.files.ply import read_ply
from lsm_ros.geometry.lie import transform_points
from lsm_ros.types import UNLABELLED, TrajectoryPose


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """All errors as plain values: coverage, scale, ate_m, rpe_*, and with depth: geometry and semantics."""
    if not args.folder.is_dir():
        raise FileNotFoundError(f"{args.folder} is no folder of a map")
    truth = read_tum(args.gt)
    estimate = read_tum(args.folder / TRAJECTORIES[args.trajectory])
    facts = _facts(args.folder)
    max_dt_ns = round(args.max_dt * 1e9)
    estimate, truth = as_camera(estimate, truth, facts, args.gt_frame)
    offset_ns = _offset(args.time_offset, estimate, truth, facts, max_dt_ns)
    errors = trajectory.evaluate(estimate, truth, max_dt_ns=max_dt_ns, time_offset_ns=offset_ns,
                                 alignments=args.align or trajectory.ALIGNMENTS)
    result = {"trajectory": args.trajectory, "coverage": facts.get("coverage"), **errors.to_dict()}
    if args.depth is not None:
        result.update(_against_depth(args, truth, errors.T_truth_estimate, facts))
    return metrics.plain(result)


def as_camera(estimate: list[TrajectoryPose], truth: list[TrajectoryPose], facts: dict[str, Any],
              truth_frame: str) -> tuple[list[TrajectoryPose], list[TrajectoryPose]]:
    """Both as poses of the first camera's optical frame. ValueError if the rig is needed and metrics.json lacks it."""
    frames = {"estimate": facts.get("trajectory_frame", "camera"), "truth": truth_frame}
    if set(frames.values()) == {"camera"}:
        return estimate, truth
    if "T_rig_camera" not in facts:
        raise ValueError("metrics.json beside the trajectory has no T_rig_camera, which poses of the rig need")
    T_rig_camera = np.array(facts["T_rig_camera"], np.float64)
    parts = {"estimate": estimate, "truth": truth}
    for name, poses in parts.items():
        if frames[name] == "rig":
            parts[name] = [TrajectoryPose(p.stamp_ns, p.T_map_rig @ T_rig_camera) for p in poses]
    return parts["estimate"], parts["truth"]


def _facts(folder: Path) -> dict[str, Any]:
    """metrics.json, or nothing if there is none."""
    path = folder / metrics.FILE
    return metrics.read(path) if path.is_file() else {}


def _offset(text: str, estimate: list[TrajectoryPose], truth: list[TrajectoryPose], facts: dict[str, Any],
            max_dt_ns: int) -> int:
    if text == "auto":
        recorded = int(facts.get("source", {}).get("stamp_offset_ns", 0))
        return trajectory.choose_time_offset(estimate, truth, recorded, max_dt_ns)
    try:
        return round(float(text) * 1e9)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"--time-offset {text!r}: expected seconds or auto") from error


def _against_depth(args: argparse.Namespace, truth: list[TrajectoryPose], T_world_map: np.ndarray,
                   facts: dict[str, Any]) -> dict[str, Any]:
    """Geometry, and semantics if the depth images have labels."""
    cloud = read_ply(args.folder / "map.ply")
    max_depth = facts.get("config", {}).get("fusion", {}).get("max_depth", 5.0)
    views = geometry.depth_views(TumSource(args.depth), truth, max_dt_ns=round(args.max_dt * 1e9), max_depth=max_depth,
                                 every=args.depth_every)
    surface, labels = geometry.surface_points(views)
    found = geometry.evaluate(cloud.points, views, T_world_map, surface, args.icp)
    out: dict[str, Any] = {"geometry": found.to_dict()}
    if np.any(labels != UNLABELLED):
        points_world = transform_points(T_world_map, cloud.points.astype(np.float64))
        out["semantics"] = semantics.evaluate(points_world, cloud.labels, surface, labels).to_dict()
    return out


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    coverage = "unknown" if result["coverage"] is None else f"{100 * result['coverage']:.1f} %"
    scale = "not determined" if result["scale"] is None else f"{result['scale']:.4f}"
    lines = [f"{result['matched']} of {result['poses']} poses compared over {result['path_m']:.2f} m; "
             f"coverage {coverage}; scale to the truth {scale}; time offset {result['time_offset_ns'] / 1e9:g} s", "",
             f"{'':28}{'RMSE':>10}{'mean':>10}{'median':>10}{'largest':>10}"]

    def row(name: str, values: dict[str, float], factor: float, unit: str) -> str:
        cells = "".join(f"{factor * values[k]:>9.4f}{unit}" for k in ("rmse", "mean", "median", "max"))
        return f"{name:28}{cells}"

    lines += [row(f"ATE, {name}", s, 1.0, "m") for name, s in result["ate_m"].items()]
    for step, moved in result["rpe_translation_m"].items():
        if moved:
            lines.append(row(f"RPE per {step}", moved, 1.0, "m"))
            lines.append(row(f"RPE per {step}, rotation", result["rpe_rotation_rad"][step], 180 / np.pi, "°"))
    if "geometry" in result:
        lines += ["", f"{'':28}{'median':>10}{'mean':>10}{'RMSE':>10}{'< 2 cm':>10}{'< 5 cm':>10}"]
        for key, d in result["geometry"].items():
            if isinstance(d, dict):
                cells = "".join(f"{d[k]:>9.4f}m" for k in ("median", "mean", "rmse"))
                cells += "".join(f"{100 * d[k]:>8.1f} %" for k in ("below_2cm", "below_5cm"))
                lines.append(f"{key.replace('_', ' '):28}{cells}")
    if "semantics" in result:
        s = result["semantics"]
        lines += ["", f"labels: mIoU {s['miou']:.3f}, accuracy {s['accuracy']:.3f}, {100 * s['missing']:.1f} % of "
                  f"{s['points']} true points without a voxel"]
    return "\n".join(lines)
