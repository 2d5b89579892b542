# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Structure from motion: exactness, pairs, time and memory, beside COLMAP where the package pycolmap is installed.

    python bench/sfm.py [FOLDER] [--gt FILE] [--calibration FILE] [--quick] [--json FILE]

Without FOLDER: images of three simulated rooms (lsm_sim), unordered, with pairs made from the truth at four levels of noise
(see bench/sfm_truth.py), which measures graph and alignment without the network; then how pairs and time grow with the number
of images, up to 400. With FOLDER: its photographs by `--pairs two_view`, and by COLMAP (incremental and, where it has one,
global, after exhaustive matching) in the same run; --gt: poses in TUM format whose stamps are those of trajectory.tum, for ATE
after the similarity that fits best. pycolmap also opens our model and computes its reprojection error.
"""
from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sfm_truth import TruePairs, true_set

from lsm_ros import cli
from lsm_ros.datasets.tum import read_tum
from lsm_ros.evaluation import trajectory
from lsm_ros.evaluation.cost import peak_rss_bytes
from lsm_ros.geometry import CameraIntrinsics, umeyama
from lsm_ros.sfm.network_road import NetworkOptions, reconstruct_from_pairs
from lsm_ros.sfm.views import DenseStore
from lsm_ros.types import TrajectoryPose

NOISE = (0.002, 0.01, 0.03, 0.1)
SEEDS = (3, 11, 23)
SIZE = (128, 96)
FAR = 20.0  # metres to what is behind a window
GROWTH = (50, 100, 200, 400)


def main() -> int:
    """Prints the tables; exit status 2 and one line on bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photographs; without: simulated rooms")
    parser.add_argument("--gt", type=Path, help="true poses, TUM format")
    parser.add_argument("--calibration", type=Path, help="camera.yaml of the photographs")
    parser.add_argument("--quick", action="store_true", help="one room of 12 images, two levels of noise, growth to 50 images")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    try:
        rows = photographs(options) if options.folder else rooms(options.quick)
    except (ValueError, OSError) as error:
        print(f"bench/sfm.py: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


def room_views(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, CameraIntrinsics]:
    """Images (N, H, W, 3), depths (N, H, W) and camera poses (N, 4, 4) along a path by hand through a simulated room."""
    from lsm_sim.source import SimSource

    source = SimSource(seed, "room", "hand", frames=count, width=SIZE[0], height=SIZE[1], rate_hz=2.0)
    images, depths, poses = [], [], []
    for n in range(len(source)):
        seen = source.render(n)
        images.append(seen.image)
        depths.append(np.where(seen.depth > 0, seen.depth, FAR))
        poses.append(source.ground_truth[n].T_map_rig @ source.T_rig_cam[source.cameras[0]])
    return np.stack(images), np.stack(depths), np.stack(poses), source.intrinsics


def rooms(quick: bool) -> list[dict[str, Any]]:
    """Rows of the simulated rooms."""
    seeds, each = (SEEDS[:1], 12) if quick else (SEEDS, 20)
    parts = [room_views(seed, each) for seed in seeds]
    order = np.random.default_rng(0).permutation(len(seeds) * each)
    images, depths, poses = (np.concatenate([p[k] for p in parts])[order] for k in range(3))
    worlds = np.repeat(np.arange(len(seeds)), each)[order]
    rows = []
    print(f"{'noise':>6} {'registered':>10} {'models':>6} {'turn deg':>8} {'shift %':>8} {'pairs':>6} {'s':>7} {'s/image':>8} "
          f"{'MB':>6}")
    for noise in NOISE[:2] if quick else NOISE:
        predictor = TruePairs(depths, poses, parts[0][3], noise, worlds=worlds)
        row = {"noise": noise, **timed(images, predictor, parts[0][3], poses)}
        rows.append(row)
        print(f"{noise:6.3f} {row['registered']:4d} of {len(images):3d} {row['models']:6d} {row['turn_deg']:8.2f} "
              f"{100 * row['shift']:8.2f} {row['pairs']:6d} {row['seconds']:7.1f} {row['seconds'] / len(images):8.2f} "
              f"{row['peak_mb']:6.0f}")
    rows += growth(quick)
    return rows


def timed(images: np.ndarray, predictor: TruePairs, camera: CameraIntrinsics, poses: np.ndarray, iterations: int = 300
          ) -> dict[str, Any]:
    """One run and its errors: largest turn, and largest distance of centres relative to the scene, over all models."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = reconstruct_from_pairs(true_set(images, camera), predictor, Path(folder) / "cache",
                                        DenseStore(Path(folder) / "dense"), NetworkOptions(iterations=iterations))
        seconds = time.perf_counter() - began
    errors = [model_errors(m.poses, poses[m.images]) for m in result.models]
    return {"registered": sum(len(m.images) for m in result.models), "models": len(result.models), "pairs": len(result.edges),
            "turn_deg": max(e[0] for e in errors), "shift": max(e[1] for e in errors), "seconds": seconds,
            "peak_mb": peak_rss_bytes() / 2**20}


def model_errors(estimate: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Largest angle in degrees after the rotation that fits best, and largest distance of centres after the similarity that
    does, relative to the extent of the cameras' places."""
    a, b = estimate[:, :3, 3], truth[:, :3, 3]
    S = umeyama(a, b)
    moved = a @ S[:3, :3].T + S[:3, 3]
    relative = np.einsum("nij,nkj->ik", truth[:, :3, :3], estimate[:, :3, :3])
    U, _, Vt = np.linalg.svd(relative)
    R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    cosines = (np.einsum("nij,ik,nkj->n", truth[:, :3, :3], R, estimate[:, :3, :3]) - 1) / 2
    size = float(np.linalg.norm(np.ptp(b, axis=0)))
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max()), float(np.linalg.norm(moved - b, axis=1).max()) / size


def growth(quick: bool) -> list[dict[str, Any]]:
    """Rows of growing sets of one room: 30 steps of alignment, to compare the time of one with that of another."""
    counts = GROWTH[:1] if quick else GROWTH
    images, depths, poses, camera = room_views(SEEDS[0], max(counts))
    rows = []
    print(f"\n{'images':>6} {'pairs':>6} {'pairs/image':>11} {'s':>7} {'ms/pair':>8} {'MB':>6}")
    for count in counts:
        some = np.linspace(0, len(images) - 1, count).round().astype(int)
        predictor = TruePairs(depths[some], poses[some], camera, NOISE[0])
        row = {"images": count, **timed(images[some], predictor, camera, poses[some], 30)}
        rows.append(row)
        print(f"{count:6d} {row['pairs']:6d} {row['pairs'] / count:11.1f} {row['seconds']:7.1f} "
              f"{1e3 * row['seconds'] / row['pairs']:8.1f} {row['peak_mb']:6.0f}")
    return rows


def photographs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of all on one folder; ratios of time are to COLMAP's incremental mapper."""
    try:
        import pycolmap
    except ImportError:
        pycolmap = None
        print("COLMAP is left out: pycolmap is not installed (pip install pycolmap, or the extra `bench`)", file=sys.stderr)
    rows = [ours(options, pycolmap)]
    if pycolmap is not None:
        rows += colmap(pycolmap, options, rows[0]["names"])
    print(f"{'':>26} {'registered':>10} {'ATE m':>8} {'error px':>8} {'s':>7} {'ratio':>6} {'s/image':>8} {'MB':>6}")
    for row in rows:
        ate = "" if row.get("ate_m") is None else f"{row['ate_m']:.4f}"
        ratio = row["seconds"] / rows[min(1, len(rows) - 1)]["seconds"]
        print(f"{row['name']:>26} {row['registered']:4d} of {row['images']:3d} {ate:>8} {row['error_px']:8.2f} "
              f"{row['seconds']:7.1f} {ratio:6.2f} {row['seconds'] / row['images']:8.2f} {row['peak_mb']:6.0f}")
    if pycolmap is not None:
        print(f"our model in pycolmap: {rows[0]['in_colmap']}")
    return rows


def ours(options: argparse.Namespace, pycolmap: Any) -> dict[str, Any]:
    """`lsm sfm --pairs two_view`; and its model as pycolmap, unless that is None, reads it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        extra = [] if options.calibration is None else ["--calibration", str(options.calibration)]
        began = time.perf_counter()
        if cli.main(["sfm", str(options.folder), "--out", str(out), "--no-report", "--quiet", *extra]) != 0:
            raise ValueError("lsm sfm failed, see above")
        seconds, peak = time.perf_counter() - began, peak_rss_bytes() / 2**20
        about = json.loads((out / "sfm.json").read_text())
        poses = read_tum(out / "trajectory.tum")
        in_colmap = None if pycolmap is None else read_back(pycolmap, out / "sparse" / "0")
    stamps = {i["name"]: round(i["stamp_s"] * 1e9) for i in about["images"] if i["stamp_s"] is not None}
    return {"name": "lsm sfm two_view", "registered": about["models"][0]["images"], "images": len(about["images"]),
            "error_px": about["models"][0]["mean_reprojection_error_px"], "seconds": seconds, "pairs": about["pairs"],
            "names": stamps, "ate_m": ate_of(poses, options.gt), "peak_mb": peak, "in_colmap": in_colmap}


def read_back(pycolmap: Any, folder: Path) -> str:
    """A model in the words of COLMAP, which reads it."""
    model = pycolmap.Reconstruction(folder)
    model.update_point_3d_errors()
    return (f"{model.num_reg_images()} images, {model.num_points3D()} points, mean reprojection error "
            f"{model.compute_mean_reprojection_error():.4f} px")


def colmap(pycolmap: Any, options: argparse.Namespace, stamps: dict[str, int]) -> list[dict[str, Any]]:
    """COLMAP's mappers on the same images, one camera, matched exhaustively; the time of each is with that of features and
    matches, and memory is that of the process so far."""
    rows = []
    pycolmap.logging.minloglevel = 2  # it writes several lines for each image
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "database.db"
        began = time.perf_counter()
        pycolmap.extract_features(database, options.folder, camera_mode=pycolmap.CameraMode.SINGLE)
        pycolmap.match_exhaustive(database)
        matched = time.perf_counter() - began
        for name in ("incremental", "global"):
            mapping = getattr(pycolmap, f"{name}_mapping", None)
            if mapping is None:
                continue
            out = Path(folder) / name
            out.mkdir()
            began = time.perf_counter()
            models = mapping(database, options.folder, out)
            seconds = matched + time.perf_counter() - began
            if not models:
                raise ValueError(f"COLMAP made no model ({name})")
            model = max(models.values(), key=lambda m: m.num_reg_images())
            rows.append({"name": f"COLMAP {pycolmap.__version__} {name}", "registered": model.num_reg_images(),
                         "images": len(stamps), "seconds": seconds, "error_px": model.compute_mean_reprojection_error(),
                         "ate_m": ate_of(poses_of(model, stamps), options.gt), "peak_mb": peak_rss_bytes() / 2**20})
    return rows


def poses_of(model: Any, stamps: dict[str, int]) -> list[TrajectoryPose]:
    """T_world_cam of a model of COLMAP, in order of time."""
    poses = []
    for image in model.images.values():
        if not getattr(image, "has_pose", True):
            continue
        T = np.eye(4)
        pose = image.cam_from_world
        T[:3] = (pose() if callable(pose) else pose).inverse().matrix()
        poses.append(TrajectoryPose(stamps[image.name], T))
    return sorted(poses, key=lambda p: p.stamp_ns)


def ate_of(poses: list[Any], truth: Path | None) -> float | None:
    """RMSE in the truth's metres after the similarity that fits best."""
    if truth is None:
        return None
    return float(trajectory.evaluate(poses, read_tum(truth), max_dt_ns=20_000_000).ate_m["sim3"].rmse)


if __name__ == "__main__":
    sys.exit(main())
