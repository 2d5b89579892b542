# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bundle adjustment and the adjustment on rays against SciPy's least_squares on the same problems.

    python bench/solvers.py [--quick] [--json FILE]

Problems are made up: keyframes on an arc around points, measurements with noise, poses and depths disturbed. Both solve plain
least squares from the same start (no robust weights, which SciPy applies otherwise). The peer is the usual recipe: the trust
region method on residuals with the sparsity of their Jacobian, differences taken in groups of columns, steps by LSMR. Cost
here / peer is of the final sums of squares, computed by the peer's residuals for both. Milliseconds are medians, with the
processor's time in parentheses; error: largest distance of a keyframe to its true place, in millimetres.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import coo_matrix

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp, transform_points
from lsm_ros.slam.graph.bundle import BundleProblem, bundle_adjust
from lsm_ros.slam.pointmap.ray_bundle import RayNoise, RayProblem, adjust_rays

FOCAL, SIGMA_PX, SIGMA_RHO, STEP = 500.0, 1.0, 0.005, 0.12
PLAIN = 1e9  # a Huber threshold that nothing reaches
SEEN = 6  # keyframes that see a landmark, and links of a keyframe with those after it
RAYS = RayNoise(ray=0.003, distance=0.05, huber=PLAIN)
BUNDLES = {"quick": ((8, 300), (16, 1000)), "full": ((8, 300), (16, 1000), (40, 4000))}
RAY_GRAPHS = {"quick": ((8, 60), (24, 60)), "full": ((8, 60), (24, 120), (60, 120))}


@dataclass(frozen=True)
class Task:
    """One problem. here: solves it and gives poses (K, 4, 4), the other unknowns and the number of steps. residuals: as one
    vector, of the peer's unknowns x; cost: half of their squares, of poses and other unknowns; poses: those that x means.
    sparsity: of the derivatives of the residuals by x; start: x of the disturbed poses. true_poses (K, 4, 4). problem: of a
    bundle adjustment, for peers that build their own."""

    here: Callable[[], tuple[np.ndarray, np.ndarray, int]]
    residuals: Callable[[np.ndarray], np.ndarray]
    cost: Callable[[np.ndarray, np.ndarray], float]
    poses: Callable[[np.ndarray], np.ndarray]
    sparsity: coo_matrix
    start: np.ndarray
    true_poses: np.ndarray
    problem: BundleProblem | None = None


def arc(count: int) -> np.ndarray:
    """T_map_rig (count, 4, 4) on an arc, looking inwards."""
    angles = STEP * np.arange(count)
    return np.stack([make_se3(so3_exp([0.0, -a, 0.0]), 4.0 * np.array([np.sin(a), 0.02 * a, 1 - np.cos(a)])) for a in angles])


def shaken(T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The poses, all but the first off by a few centimetres and degrees."""
    off = se3_exp(np.c_[0.03 * rng.standard_normal((len(T), 3)), 0.02 * rng.standard_normal((len(T), 3))])
    return np.concatenate([T[:1], (T @ off)[1:]])


def moved(T: np.ndarray, twists: np.ndarray) -> np.ndarray:
    """Poses (K, 4, 4) after twists (K - 1, 6) of all but the first."""
    return np.concatenate([T[:1], T[1:] @ se3_exp(twists)])


def pattern(rows_each: int, columns: np.ndarray, width: int) -> coo_matrix:
    """Sparsity of M measurements of `rows_each` residuals that depend on columns (M, C), -1 for none."""
    m, c = np.nonzero(columns >= 0)
    rows = (m[:, None] * rows_each + np.arange(rows_each)).ravel()
    shape = len(columns) * rows_each, width
    return coo_matrix((np.ones(len(rows), np.int8), (rows, np.repeat(columns[m, c], rows_each))), shape=shape)


def pose_columns(keyframe: np.ndarray, size: int) -> np.ndarray:
    """Columns (M, size) of keyframes' unknowns, -1 for the first keyframe, which stays."""
    at = size * (keyframe[:, None] - 1) + np.arange(size)
    return np.where(keyframe[:, None] > 0, at, -1)


def bundle(keyframes: int, landmarks: int, seed: int = 0) -> Task:
    """Poses and inverse depths of landmarks, each seen in the keyframes around its anchor, some with a depth camera."""
    rng = np.random.default_rng(seed)
    T = arc(keyframes)
    anchor = np.sort(rng.integers(0, keyframes, landmarks))
    rays = np.c_[rng.uniform(-0.5, 0.5, (landmarks, 2)), np.ones(landmarks)]
    rho = 1.0 / rng.uniform(2.5, 5.0, landmarks)
    landmark, keyframe = [], []
    for i, a in enumerate(anchor):
        first = int(np.clip(a - SEEN // 2, 0, max(keyframes - SEEN - 1, 0)))
        for k in range(first, min(first + SEEN + 1, keyframes)):
            if k != a:
                landmark.append(i)
                keyframe.append(k)
    landmark, keyframe = np.array(landmark), np.array(keyframe)

    def seen(T: np.ndarray, rho: np.ndarray) -> np.ndarray:
        T_obs_anchor = (se3_inverse(T)[keyframe] @ T[anchor[landmark]])
        points = np.einsum("mij,mj->mi", T_obs_anchor[:, :3, :3], rays[landmark] / rho[landmark, None])
        return points + T_obs_anchor[:, :3, 3]

    exact = seen(T, rho)
    pixels = exact[:, :2] / exact[:, 2:] + rng.standard_normal((len(landmark), 2)) * 0.5 / FOCAL
    measured = rho + SIGMA_RHO * rng.standard_normal(landmarks)
    T0, rho0 = shaken(T, rng), rho * rng.uniform(0.95, 1.05, landmarks)
    problem = BundleProblem(T0, np.arange(keyframes) == 0, np.eye(4)[None], anchor, np.zeros(landmarks, int), rays, rho0,
                            measured, landmark, keyframe, np.zeros(len(landmark), int), pixels,
                            np.full((len(landmark), 2), FOCAL), np.full(len(landmark), np.nan))
    poses = 6 * (keyframes - 1)

    def of(T: np.ndarray, rho: np.ndarray) -> np.ndarray:
        p = seen(T, rho)
        off = (p[:, :2] / p[:, 2:] - pixels) * (FOCAL / SIGMA_PX)
        return np.concatenate([off.ravel(), (rho - measured) / SIGMA_RHO])

    def here() -> tuple[np.ndarray, np.ndarray, int]:
        found = bundle_adjust(problem, SIGMA_PX, SIGMA_RHO, huber=PLAIN, iterations=30)
        return found.T_map_rig, found.inverse_depth, len(found.costs) - 1

    columns = np.c_[pose_columns(keyframe, 6), pose_columns(anchor[landmark], 6), poses + landmark]
    seen_part = pattern(2, columns, poses + landmarks)
    own = pattern(1, poses + np.arange(landmarks)[:, None], poses + landmarks)
    rows = np.concatenate([seen_part.row, seen_part.shape[0] + own.row])
    sparsity = coo_matrix((np.ones(len(rows), np.int8), (rows, np.concatenate([seen_part.col, own.col]))),
                          shape=(seen_part.shape[0] + landmarks, poses + landmarks))
    return Task(here, lambda x: of(moved(T0, x[:poses].reshape(-1, 6)), x[poses:]), lambda T, rho: squares(of(T, rho)),
                lambda x: moved(T0, x[:poses].reshape(-1, 6)), sparsity, np.r_[np.zeros(poses), rho0], T, problem)


def rays(keyframes: int, matches: int, seed: int = 0) -> Task:
    """Poses and the factors of the keyframes' points, from matches of each keyframe with those after it, both ways."""
    rng = np.random.default_rng(seed)
    T = arc(keyframes)
    ahead = [(a, b) for a in range(keyframes) for b in range(a + 1, min(a + 1 + SEEN // 2, keyframes))]
    anchor, observer = np.array(ahead + [(b, a) for a, b in ahead]).T
    sizes = np.r_[1.0, np.exp(0.1 * rng.standard_normal(keyframes - 1))]
    points, directions, distances = [], [], []
    for a, o in zip(anchor, observer, strict=True):
        p = np.c_[rng.uniform(-1, 1, (matches, 2)), rng.uniform(2.5, 5, matches)]
        y = transform_points(se3_inverse(T[o]) @ T[a], p) + 0.005 * rng.standard_normal((matches, 3))
        length = np.linalg.norm(y, axis=1)
        points.append(p / sizes[a])
        directions.append(y / length[:, None])
        distances.append(length / sizes[o])
    T0, of_link = shaken(T, rng), np.repeat(np.arange(len(anchor)), matches)
    points, directions, distances = (np.concatenate(a) for a in (points, directions, distances))
    eye = np.tile(np.eye(4), (len(anchor), 1, 1))
    problem = RayProblem(T0, np.arange(keyframes) == 0, anchor, observer, eye, eye, np.zeros(len(anchor), bool),
                         np.arange(len(anchor) + 1) * matches, points, directions, distances, True)
    a, o = anchor[of_link], observer[of_link]

    def of(T: np.ndarray, factors: np.ndarray) -> np.ndarray:
        between = (se3_inverse(T[observer]) @ T[anchor])[of_link]
        y = np.einsum("mij,mj->mi", between[:, :3, :3], factors[a, None] * points) + between[:, :3, 3]
        length = np.linalg.norm(y, axis=1)
        far = np.log(length / (factors[o] * distances)) / RAYS.distance
        return np.c_[(y / length[:, None] - directions) / RAYS.ray, far].ravel()

    def here() -> tuple[np.ndarray, np.ndarray, int]:
        found = adjust_rays(problem, RAYS, 30)
        return found.T_map_rig, found.factors, len(found.costs) - 1

    def split(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each = x.reshape(-1, 7)
        return moved(T0, each[:, :6]), np.r_[1.0, np.exp(each[:, 6])]

    width = 7 * (keyframes - 1)
    return Task(here, lambda x: of(*split(x)), lambda T, factors: squares(of(T, factors)), lambda x: split(x)[0],
                pattern(4, np.c_[pose_columns(a, 7), pose_columns(o, 7)], width), np.zeros(width), T)


def squares(residuals: np.ndarray) -> float:
    """Half of the sum of squares."""
    return 0.5 * float(residuals @ residuals)


def clocked(function: Callable[[], object], repeat: int) -> tuple[object, float, float]:
    """Result of a call, and its median milliseconds on the wall and of the processor."""
    times = []
    for _ in range(repeat):
        start, busy = time.perf_counter(), time.process_time()
        found = function()
        times.append(((time.perf_counter() - start) * 1e3, (time.process_time() - busy) * 1e3))
    return found, *np.median(times, axis=0).tolist()


def measure(task: Task, repeat: int) -> dict[str, float]:
    """Time, steps, final cost and error of both."""
    (T, others, steps), here_ms, here_cpu_ms = clocked(task.here, repeat + 1)
    peer, peer_ms, peer_cpu_ms = clocked(
        lambda: least_squares(task.residuals, task.start, jac_sparsity=task.sparsity, x_scale="jac", method="trf"), 1)

    def error(T: np.ndarray) -> float:
        return float(np.linalg.norm(T[:, :3, 3] - task.true_poses[:, :3, 3], axis=1).max() * 1e3)

    return {"unknowns": len(task.start), "residuals": task.sparsity.shape[0], "here_ms": here_ms, "here_cpu_ms": here_cpu_ms,
            "here_steps": steps, "peer_ms": peer_ms, "peer_cpu_ms": peer_cpu_ms, "peer_steps": int(peer.njev),
            "here_cost": task.cost(T, others), "peer_cost": squares(peer.fun),
            "start_cost": squares(task.residuals(task.start)), "here_error_mm": error(T),
            "peer_error_mm": error(task.poses(peer.x))}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems alone")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(arguments)
    size, result = "quick" if args.quick else "full", {}
    tasks = [(f"bundle, {k} keyframes, {n} landmarks", bundle, k, n) for k, n in BUNDLES[size]]
    tasks += [(f"rays, {k} keyframes, {n} matches a link", rays, k, n) for k, n in RAY_GRAPHS[size]]
    print(f"{'ms (of processor time)':40} {'here':>19} {'SciPy':>19} {'ratio':>7} {'steps':>9} {'cost':>8} {'error, mm':>13}")
    for name, make, k, n in tasks:
        result[name] = r = measure(make(k, n), 3)
        print(f"{name:40} {r['here_ms']:8.1f} ({r['here_cpu_ms']:8.1f}) {r['peer_ms']:8.1f} ({r['peer_cpu_ms']:8.1f}) "
              f"{r['here_ms'] / r['peer_ms']:7.4f} {r['here_steps']:4}/{r['peer_steps']:4} "
              f"{r['here_cost'] / r['peer_cost']:8.5f} {r['here_error_mm']:6.1f}/{r['peer_error_mm']:6.1f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"bench/solvers.py: {error}")
