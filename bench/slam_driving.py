# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Scenarios `laps` and `building` of bench/slam.py: what known ground costs, and how exact long drives are."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from slam_drives import Drive, Run, percentiles, play, recorded, repeated_truth, resident_mb
from slam_options import Table, config_of, modes, one_of

from lsm_ros.evaluation.trajectory import associate
from lsm_ros.geometry import DegenerateGeometryError, split_sim3, transform_points, umeyama
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.types import TrajectoryPose

RING = (19.5, 16.0)  # metres of a ring of corridors whose middle is 60 m long
SMALL_RING = (5.0, 4.0)


def error_of(poses: Sequence[TrajectoryPose], truth: Sequence[TrajectoryPose], with_scale: bool) -> tuple[float, float]:
    """ATE in metres (root mean square of the distances after the best alignment, rigid or a similarity) and its scale; NaN
    where poses are too few or lie on one line."""
    pairs = associate(poses, truth)
    at = np.array([poses[i].T_map_rig[:3, 3] for i, _ in pairs]).reshape(-1, 3)
    true = np.array([truth[j].T_map_rig[:3, 3] for _, j in pairs]).reshape(-1, 3)
    try:
        T = umeyama(at, true, with_scale=with_scale)
    except DegenerateGeometryError:
        return float("nan"), float("nan")
    return float(np.sqrt(((transform_points(T, at) - true) ** 2).sum(1).mean())), float(split_sim3(T)[0])


def laps(args: argparse.Namespace) -> dict[str, Any]:
    """One drive, made again and again: figures after each lap. Prints a row for each, and the last against the first."""
    seed = one_of(args.seeds, [3])[0]
    size = one_of(args.world_size, SMALL_RING if args.quick else (16.0, 12.0))
    drive = Drive("loop", seed, size=one_of(args.size, (320, 240)), rate_hz=one_of(args.rate, 5.0),
                  rounds=one_of(args.rounds, 1 if args.quick else 2), world_size=size)
    record, count, found = recorded(drive, args.cache), one_of(args.laps, 3 if args.quick else 8), {}
    for mode in modes(args):
        def after_lap(pipeline: MappingPipeline, run: Run, mode: str = mode) -> dict[str, float]:
            row = lap_row(pipeline, run, record, mode)
            if not run.laps:
                print(f"{'lap':12}" + "".join(f"{name:>16}" for name in row))
            print(f"{mode + ' ' + str(len(run.laps) + 1):12}" + "".join(f"{v:16.5g}" for v in row.values()), flush=True)
            return row

        run = play(record, config_of(args, mode), depth=mode == "depth", odometry=args.odometry, laps=count,
                   after_lap=after_lap, most=args.frames)
        first, last = run.laps[0], run.laps[-1]
        ratios = {name: last[name] / first[name] for name in ("keyframes", "links", "resident_mb", "cpu_ms_p50", "cpu_ms_p95")
                  if first[name]}
        print(f"{mode}: last lap against the first: " + ", ".join(f"{n} {v:.2f}" for n, v in ratios.items())
              + f"; settle {run.settle_s:.1f} s")
        print_stages(run)
        found[mode] = {"laps": run.laps, "last_against_first": ratios, "settle_s": run.settle_s, "stages_ms": run.stages(),
                       "command": f"lsm sim OUT {drive.command}"}
    return found


def lap_row(pipeline: MappingPipeline, run: Run, record: Any, mode: str) -> dict[str, float]:
    """Sizes at the end of a lap, and times and errors of its frames."""
    done = len(run.laps)
    rows = slice(sum(int(r["frames"]) for r in run.laps), len(run))
    status, truth = pipeline.status(), repeated_truth(record, done + 1)
    stamps = set(run.stamps[rows])
    online = [p for p in pipeline.online_trajectory() if p.stamp_ns in stamps]
    ate, _ = error_of(online, truth, with_scale=mode != "depth")
    whole, _ = error_of(pipeline.trajectory(), truth, with_scale=mode != "depth")
    p50, p95 = percentiles(run.cpu_ms[rows])
    tail50, _ = percentiles(run.cpu_ms[rows][-50:])
    return {"frames": len(stamps), "with_pose": sum(p is not None for p in run.poses[rows]), "keyframes": status.keyframes,
            "links": len(pipeline.tracker.graph.links), "observations": status.observations, "blocks": status.voxel_blocks,
            "resident_mb": resident_mb(), "cpu_ms_p50": p50, "cpu_ms_p95": p95, "last_50_p50": tail50, "online_ate_m": ate,
            "final_ate_m": whole, "sessions": status.session + 1}


def building(args: argparse.Namespace) -> dict[str, Any]:
    """Rings of 60 m, with a round against the direction of the first two, and tours of rooms off corridors: ATE, coverage."""
    found: dict[str, Any] = {}
    table = Table(("world, mode", "<32"), ("path m", "7.1f"), ("frames", "6"), ("coverage", "7.1%"), ("ATE m", "8.4f"),
                  ("% path", "7.3f"), ("online m", "8.4f"), ("% path", "7.3f"), ("scale", "7.4f"), ("sessions", "3"),
                  ("keyframes", "5"), ("cpu ms p50", "6.0f"), ("p95", "6.0f"))
    for name, drive in building_drives(args):
        record = recorded(drive, args.cache)
        for mode in one_of(args.modes, ["depth", "colour"]):
            run = play(record, config_of(args, mode), depth=mode == "depth", odometry=args.odometry, most=args.frames)
            truth, scaled = repeated_truth(record, 1), mode != "depth"
            length = float(np.linalg.norm(np.diff(record.T_world_rig[:len(run), :3, 3], axis=0), axis=1).sum())
            (final, scale), (online, _) = error_of(run.final, truth, scaled), error_of(run.online, truth, scaled)
            p50, p95, _ = run.stages()["processor"]
            row = {"path_m": length, "frames": len(run), "coverage": len(run.final) / len(run), "ate_m": final,
                   "ate_percent": 100 * final / length, "online_ate_m": online, "online_ate_percent": 100 * online / length,
                   "scale": scale, "sessions": len({k[0] for k in run.keys}), "keyframes": run.keyframes,
                   "settle_s": run.settle_s, "stages_ms": run.stages(), "command": f"lsm sim OUT {drive.command}"}
            found[f"{name} {drive.seed} {mode}"] = row
            table.row(f"{name} {drive.seed}, {mode}", length, len(run), row["coverage"], final, row["ate_percent"], online,
                      row["online_ate_percent"], scale, row["sessions"], run.keyframes, p50, p95)
    return found


def building_drives(args: argparse.Namespace) -> list[tuple[str, Drive]]:
    """Rings and tours, five seeds of each by default; quick: one small ring."""
    common = {"size": one_of(args.size, (320, 240) if args.quick else (640, 480)),
              "rate_hz": one_of(args.rate, 5.0 if args.quick else 10.0)}
    if args.quick:
        return [("ring", Drive("loop", one_of(args.seeds, [20000])[0], rounds=one_of(args.rounds, 1),
                               world_size=one_of(args.world_size, SMALL_RING), **common))]
    seeds = one_of(args.seeds, list(range(20000, 20005)))
    rings = [("ring", Drive("loop", s, rounds=one_of(args.rounds, 3), path="both_ways",
                            world_size=one_of(args.world_size, RING), **common)) for s in seeds]
    tours = [("rooms off corridors", Drive("loop", s, length_m=one_of(args.length, 110.0), path="tour",
                                           world_size=args.world_size, **common)) for s in seeds]
    return rings + tours


def print_stages(run: Run) -> None:
    """One line of milliseconds for each stage: p50, p95, mean."""
    for name, (p50, p95, mean) in run.stages().items():
        print(f"    {name:14} p50 {p50:8.2f}   p95 {p95:8.2f}   mean {mean:8.2f} ms")
