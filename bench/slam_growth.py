# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scenarios `growth` and `solves` of bench/slam.py: the graph's work as it grows, and bundle adjustment beside peers."""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import solvers
from slam_drives import percentiles, resident_mb
from slam_options import Table, one_of

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_exp, se3_inverse, so3_exp, transform_points
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.bundle import BundleProblem
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link

CAMERA = CameraIntrinsics.from_fov(320, 240, 1.3)
NAME = "camera"
COUNTS = (100, 300, 1000, 2000, 5000)
LANE_M, STEP_M, BETWEEN_M = 20.0, 0.3, 1.5  # the robot mows a hall: length of a lane, keyframe to keyframe, lane to lane
LANDMARKS, LINKED, FEWEST = 100, 3, 12


def growth(args: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a graph's work, and its size, against the number of keyframes (a made-up hall, one camera)."""
    counts = one_of(args.keyframes, (100, 400) if args.quick else COUNTS)
    found: dict[str, Any] = {}
    table = Table(("keyframes", "9"), ("links", "7"), ("graph MB", "9.1f"), ("neighbours p50", "9.1f"), ("p95", "8.1f"),
                  ("window p50", "9.1f"), ("p95", "8.1f"), ("all", "9.0f"), ("resident MB", "9.0f"), ("", "<24"))
    for count in counts:
        graph = hall(count)
        newest, cameras = graph.keyframes[count - 1], {NAME: (CAMERA, np.eye(4))}
        window = set(range(count - graph.config.window, count))

        def neighbours(graph: KeyframeGraph = graph, newest: Keyframe = newest, cameras: dict = cameras) -> object:
            return graph.candidates(newest.T_map_rig, cameras, graph.config.neighbours, exclude=[newest.id])

        near, local = busy_ms(neighbours, 12), busy_ms(lambda graph=graph, window=window: graph.optimize(window), 5)
        whole = busy_ms(graph.adjust_all, 1)
        row = {"links": len(graph.links), "graph_mb": graph.nbytes / 1e6, "neighbours_ms": percentiles(near),
               "window_ms": percentiles(local), "all_ms": whole[0], "resident_mb": resident_mb()}
        found[str(count)] = row
        table.row(count, row["links"], row["graph_mb"], *row["neighbours_ms"], *row["window_ms"], row["all_ms"],
                  row["resident_mb"], "ms of the processor")
    return found


def busy_ms(function: Callable[[], object], repeat: int) -> list[float]:
    """Milliseconds of the processor of each of some calls, after one that is not counted where there are several."""
    times = []
    for _ in range(repeat + (repeat > 1)):
        busy = time.process_time()
        function()
        times.append((time.process_time() - busy) * 1e3)
    return times[-repeat:]


def hall(count: int, seed: int = 0) -> KeyframeGraph:
    """A graph of `count` keyframes on lanes to and fro through a hall, linked with those before and with the lane beside."""
    rng = np.random.default_rng(seed)
    graph: KeyframeGraph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    per_lane = int(LANE_M / STEP_M)
    true = [lane_pose(k, per_lane) for k in range(count)]
    for k, T in enumerate(true):
        corners = np.c_[rng.uniform(0, CAMERA.width - 1, LANDMARKS), rng.uniform(0, CAMERA.height - 1, LANDMARKS)]
        rho = 1.0 / rng.uniform(1.5, 5.0, LANDMARKS)
        view = KeyframeView(NAME, SimpleNamespace(nbytes=0), CAMERA, np.eye(4), corners, CAMERA.unproject(corners),
                            rho + 0.0015 * rng.standard_normal(LANDMARKS), rho.copy())
        graph.add(Keyframe(k, k * 10**9, T @ se3_exp(0.005 * rng.standard_normal(6)) if k else T, {NAME: view}))
        beside = k - 2 * per_lane  # the lane before last goes the same way
        for j in [*range(max(k - LINKED, 0), k), *([beside] if beside >= 0 else [])]:
            for a, b in ((j, k), (k, j)):
                link(graph, a, b, true, rng)
    return graph


def lane_pose(k: int, per_lane: int) -> np.ndarray:
    """T_map_cam (4, 4) of the k-th keyframe: it looks ahead, every other lane goes back."""
    lane, along = divmod(k, per_lane)
    back = lane % 2 == 1
    x = (per_lane - 1 - along if back else along) * STEP_M
    R = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # z of the camera along x of the map
    if back:
        R = so3_exp([0.0, 0.0, np.pi]) @ R
    return make_se3(R, [x, lane * BETWEEN_M, 1.0])


def link(graph: KeyframeGraph, anchor: int, observer: int, true: list[np.ndarray], rng: np.random.Generator) -> None:
    """Joins two keyframes by the anchor's landmarks that the observer sees, with noise, if there are enough."""
    view = graph.keyframes[anchor].views[NAME]
    in_b = transform_points(se3_inverse(true[observer]) @ true[anchor], view.rays / view.inverse_depth[:, None])
    pixels, ok = CAMERA.project(in_b)
    rows = np.flatnonzero(ok & CAMERA.contains(np.where(ok[:, None], pixels, -9.0)))
    if len(rows) >= FEWEST:
        seen = pixels[rows] + 0.7 * rng.standard_normal((len(rows), 2))
        graph.connect(Link(anchor, NAME, observer, NAME, Matches(rows, seen, in_b[rows, 2])))


def solves(args: argparse.Namespace) -> dict[str, Any]:
    """Bundle adjustment against SciPy's least_squares, and GTSAM if it is installed (all of bench/solvers.py: run that)."""
    found: dict[str, Any] = {}
    table = Table(("problem", "<32"), ("here ms", "9.1f"), ("SciPy ms", "9.1f"), ("ratio", "7.4f"), ("GTSAM ms", "9.1f"),
                  ("ratio", "7.4f"), ("error mm", "9.1f"), ("SciPy", "7.1f"), ("GTSAM", "7.1f"), ("", "<24"))
    for keyframes, landmarks in solvers.BUNDLES["quick" if args.quick else "full"]:
        task = solvers.bundle(keyframes, landmarks)
        row = solvers.measure(task, 3)
        assert task.problem is not None  # a bundle has one
        row |= with_gtsam(task.problem, task.true_poses) or {}
        found[f"{keyframes} keyframes, {landmarks} landmarks"] = row
        gtsam_ms, gtsam_off = row.get("gtsam_cpu_ms", float("nan")), row.get("gtsam_error_mm", float("nan"))
        table.row(f"{keyframes} keyframes, {landmarks} landmarks", row["here_cpu_ms"], row["peer_cpu_ms"],
                  row["here_cpu_ms"] / row["peer_cpu_ms"], gtsam_ms, row["here_cpu_ms"] / gtsam_ms, row["here_error_mm"],
                  row["peer_error_mm"], gtsam_off, "ms of the processor")
    return found


def with_gtsam(p: BundleProblem, true_poses: np.ndarray) -> dict[str, float] | None:
    """GTSAM's Levenberg-Marquardt on the same keyframes and measurements, with landmarks as points; None if not installed.

    A landmark has a projection in its anchor (0.05 px, for here it lies on that ray), one in each observer, and the measured
    depth as a range from the anchor. Only `optimize` is timed, not the making of the factors.
    """
    try:
        import gtsam
    except ImportError:
        return None
    graph, values, K = gtsam.NonlinearFactorGraph(), gtsam.Values(), gtsam.Cal3_S2(solvers.FOCAL, solvers.FOCAL, 0, 0, 0)
    pixel, tight = (gtsam.noiseModel.Isotropic.Sigma(2, s) for s in (solvers.SIGMA_PX, 0.05))
    X, L = (lambda i: gtsam.symbol("x", int(i))), (lambda i: gtsam.symbol("l", int(i)))
    for i, T in enumerate(p.T_map_rig):
        values.insert(X(i), gtsam.Pose3(T))
    graph.add(gtsam.NonlinearEqualityPose3(X(0), gtsam.Pose3(p.T_map_rig[0])))
    for i, (a, ray, rho) in enumerate(zip(p.anchor, p.rays, p.inverse_depth, strict=True)):
        values.insert(L(i), transform_points(p.T_map_rig[a], ray / rho))
        graph.add(gtsam.GenericProjectionFactorCal3_S2(ray[:2] * solvers.FOCAL, tight, X(a), L(i), K))
        length, measured = float(np.linalg.norm(ray)), float(p.measured[i])
        sigma = length * solvers.SIGMA_RHO / measured**2
        graph.add(gtsam.RangeFactor3D(X(a), L(i), length / measured, gtsam.noiseModel.Isotropic.Sigma(1, sigma)))
    for i, k, xy in zip(p.landmark, p.keyframe, p.normalized, strict=True):
        graph.add(gtsam.GenericProjectionFactorCal3_S2(xy * solvers.FOCAL, pixel, X(k), L(i), K))
    wall, busy = time.perf_counter(), time.process_time()
    result = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    ms, cpu_ms = (time.perf_counter() - wall) * 1e3, (time.process_time() - busy) * 1e3
    at = np.array([result.atPose3(X(i)).matrix()[:3, 3] for i in range(len(p.T_map_rig))])
    return {"gtsam_ms": ms, "gtsam_cpu_ms": cpu_ms,
            "gtsam_error_mm": float(np.linalg.norm(at - true_poses[:, :3, 3], axis=1).max() * 1e3)}
