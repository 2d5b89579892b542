# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The files of a result of `lsm sfm`."""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import lsm_ros
from lsm_ros.datasets.photographs import Photograph
from lsm_ros.datasets.trajectories import write_tum
from lsm_ros.evaluation.cost import peak_rss_bytes
from lsm_ros.evaluation.sfm_report import PicturedModel, write_sfm_report
from lsm_ros.files import write_text
from lsm_ros.fusion.files.ply import write_ply
from lsm_ros.sfm.colmap_files import write_model
from lsm_ros.sfm.model import SceneModel, SfmResult
from lsm_ros.sfm.views import DenseStore
from lsm_ros.types import UNLABELLED, MapSnapshot, TrajectoryPose

RESULT, DENSE = "sfm.json", "dense"
MOST_POINTS = 2_000_000  # of a cloud of dense views


def own_files(out: Path) -> list[str]:
    """Names of the files below `out` that results have; others there are not replaced."""
    found = [p for pattern in ("trajectory*.tum", "map*.ply", "sparse/*/*", f"{DENSE}/*.npz") for p in out.glob(pattern)]
    return [RESULT, "report.html", *(str(p.relative_to(out)) for p in found)]


def write_result(folder: Path, args: argparse.Namespace, photographs: list[Photograph], result: SfmResult,
                 broken: dict[str, str], notes: list[str], seconds: float) -> list[str]:
    """All files; returns the lines of a summary."""
    names = [p.path.name for p in photographs]
    snapshots = []
    for n, model in enumerate(result.models):
        suffix = f"_{n}" if n else ""
        write_model(folder / "sparse" / str(n), model, names)
        order = np.argsort(model.images)
        poses = [TrajectoryPose(photographs[model.images[k]].stamp_ns, model.poses[k]) for k in order]
        write_tum(folder / f"trajectory{suffix}.tum", poses, f"camera's optical frame in model {n}; images: "
                  + " ".join(names[model.images[k]] for k in order))
        cloud = dense_cloud(model, [names[i] for i in model.images], DenseStore(folder / DENSE))
        snapshots.append(snapshot_of(model) if cloud is None else cloud)
        write_ply(folder / f"map{suffix}.ply", snapshots[-1])
    about = describe(args, photographs, result, broken, notes, seconds)
    write_text(folder / RESULT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    if not args.no_report:
        pictured = [PicturedModel(s, m.poses, np.array([[c.width / c.fx, c.height / c.fy] for c in m.cameras]) / 2)
                    for s, m in zip(snapshots, result.models, strict=True)]
        # sfm.json lists all images by name, also those that cannot be read
        place = {image["name"]: n for n, image in enumerate(about["images"])}
        edges = np.array([[place[names[i]], place[names[j]]] for i, j in result.edges.tolist()], np.int64).reshape(-1, 2)
        write_sfm_report(folder / "report.html", about, pictured, edges, result.matches)
    return summary(about)


def describe(args: argparse.Namespace, photographs: list[Photograph], result: SfmResult, broken: dict[str, str],
             notes: list[str], seconds: float) -> dict[str, Any]:
    """Content of sfm.json."""
    model_of = {int(i): n for n, m in enumerate(result.models) for i in m.images}
    images = [{"name": p.path.name, "stamp_s": p.stamp_ns * 1e-9, "model": model_of.get(n),
               "reason": result.left_out.get(n, "")} for n, p in enumerate(photographs)]
    images += [{"name": name, "stamp_s": None, "model": None, "reason": why} for name, why in broken.items()]
    notes = [*notes, *result.notes]
    if len(result.models) > 1:
        sizes = ", ".join(str(len(m.images)) for m in result.models)
        notes.append(f"the images fall into {len(result.models)} models that nothing connects, of {sizes} images: each has a "
                     "frame and a scale of its own")
    if broken:
        notes.append(f"{len(broken)} images cannot be read: {', '.join(list(broken)[:5])}")
    return {"folder": str(args.folder), "version": lsm_ros.__version__, "pair_model": args.pairs, "method": args.method,
            "seconds": seconds, "peak_rss_bytes": peak_rss_bytes(), "pairs": len(result.edges),
            "pairs_verified": int((result.matches > 0).sum()), "notes": notes,
            "models": [_about_model(m, args) for m in result.models], "images": images}


def _about_model(model: SceneModel, args: argparse.Namespace) -> dict[str, Any]:
    errors = model.errors()
    cameras = [{"width": c.width, "height": c.height, "fx": c.fx, "fy": c.fy, "cx": c.cx, "cy": c.cy, "D": list(c.D),
                "distortion_model": c.distortion_model, "images": model.cameras.count(c), "known": args.calibration is not None}
               for c in dict.fromkeys(model.cameras)]
    return {"images": len(model.images), "points": len(model.points), "observations": len(model.point),
            "is_metric": model.is_metric, "mean_reprojection_error_px": float(errors.mean()) if len(errors) else None,
            "cameras": cameras}


def summary(about: dict[str, Any]) -> list[str]:
    """Lines for the terminal."""
    lines = [f"warning: {note}" for note in about["notes"]]
    without = [i for i in about["images"] if i["model"] is None]
    lines += [f"without a pose: {i['name']}: {i['reason']}" for i in without[:20]]
    if len(without) > 20:
        lines.append(f"and {len(without) - 20} more, see {RESULT}")
    found = len(about["images"]) - len(without)
    points, count = sum(m["points"] for m in about["models"]), len(about["models"])
    error = about["models"][0]["mean_reprojection_error_px"]
    return [*lines, f"{found} of {len(about['images'])} images have a pose in {count} model(s), {points} points, "
            f"mean reprojection error {error:.2f} px, {about['pairs_verified']} of {about['pairs']} pairs agree, "
            f"{about['seconds']:.1f} s"]


def snapshot_of(model: SceneModel) -> MapSnapshot:
    """The points as surface elements that face the cameras that see them."""
    count = np.bincount(model.point, minlength=len(model.points))
    towards = np.zeros_like(model.points)
    np.add.at(towards, model.point, model.poses[model.seen_by, :3, 3] - model.points[model.point])
    normals = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    away = np.linalg.norm(towards, axis=1) / np.maximum(count, 1)
    size = float(np.median(away)) / 150 if len(away) else 0.01
    return MapSnapshot(model.points.astype(np.float32), model.colors, np.full(len(model.points), UNLABELLED, np.uint16),
                       (1 - 1 / np.maximum(count, 1)).astype(np.float32), count.astype(np.float32),
                       normals.astype(np.float32), size, 0.0)


def dense_cloud(model: SceneModel, names: list[str], store: DenseStore) -> MapSnapshot | None:
    """The pixels of dense views as surface elements, every n-th of many; None for a model without dense views."""
    parts, budget, depths = [], MOST_POINTS // len(names), []
    for name in names:
        view = store.read(name)
        if view is None:
            return None
        rows = np.flatnonzero(view.depth.ravel() > 0)
        rows = rows[::max(1, -(-len(rows) // budget))]
        ray = view.camera.rays(unit=False, dtype=np.float64).reshape(-1, 3)[rows]
        points = (ray * view.depth.ravel()[rows, None]) @ view.pose[:3, :3].T + view.pose[:3, 3]
        towards = view.pose[:3, 3] - points
        normals = towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
        depths.append(view.depth.ravel()[rows])
        parts.append((points.astype(np.float32), view.rgb.reshape(-1, 3)[rows], view.confidence.ravel()[rows], normals))
    points, colors, confidence, normals = (np.concatenate(p) for p in zip(*parts, strict=True))
    size = float(np.median(np.concatenate(depths))) / 150 if len(points) else 0.01
    return MapSnapshot(points, colors, np.full(len(points), UNLABELLED, np.uint16),
                       (1 - 1 / np.maximum(confidence, 1)).astype(np.float32), confidence.astype(np.float32),
                       normals.astype(np.float32), size, 0.0)
