# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Second part of the demo: a room that the network never saw, mapped from colour alone, with labels, and a query of it.

It runs the commands that a user would, and prints them.
"""
from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from lsm_ros.commands.querying import ask
from lsm_ros.datasets.tum import read_tum
from lsm_ros.demo.check import Check
from lsm_ros.evaluation import trajectory
from lsm_ros.fusion.files.ply import read_ply
from lsm_ros.models.known import OWN_WEIGHTS
from lsm_ros.types import UNLABELLED
from lsm_sim.generator import build_world
from lsm_sim.labels import indoor_labels
from lsm_sim.solids import surface_points
from lsm_sim.world import World

SEED, FRAMES = 10001, 150  # worlds from 10000 on are never trained on
QUESTION, WANTED = "a door to go out", "door"
NEAR_M = 0.15


def map_from_color(out: Path) -> list[Check]:
    """Simulates, maps and asks in the folder `out`; returns the checks. RuntimeError if a command fails."""
    if not (OWN_WEIGHTS / "config.json").is_file():
        raise RuntimeError(f"the package's own weights are missing: {OWN_WEIGHTS}")
    room, result = out / "room", out / "map"
    lsm("sim", str(room), "--seed", str(SEED), "--world", "room", "--path", "robot", "--frames", str(FRAMES),
        "--size", "320x240", "--no-depth", "--no-labels", "--quiet")
    lsm("map", str(room), "--out", str(result), "--pairs", "two_view", "--set", "semantics.features=always", "--quiet")
    lsm("query", str(result), QUESTION, "--top", "3", show=True)
    truth, poses = read_tum(room / "groundtruth.txt"), read_tum(result / "trajectory.tum")
    errors = trajectory.evaluate(poses, truth, alignments=("sim3",))
    coverage, ate = len(poses) / FRAMES, errors.ate_m["sim3"].rmse
    return [Check("colour alone: frames with a pose", f"{len(poses)} of {FRAMES}", "95 %", coverage >= 0.95),
            Check("colour alone: trajectory error (ATE, Sim(3))", f"{ate * 100:.1f} cm over {errors.path_m:.1f} m", "below 2 %",
                  ate < 0.02 * errors.path_m),
            *check_meaning(result, build_world(SEED, "room"), errors.T_truth_estimate)]


def lsm(*arguments: str, show: bool = False) -> None:
    """Runs `lsm` with these arguments, which are printed; its output too with `show`."""
    print(f"  $ lsm {shlex.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "lsm_ros.cli", *arguments], capture_output=True, text=True, timeout=300,
                          env=dict(os.environ, OMP_NUM_THREADS="2"))
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise RuntimeError(f"lsm {arguments[0]} ended with status {done.returncode}: {said}")
    if show:
        print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="", flush=True)


def check_meaning(result: Path, world: World, T_truth_map: np.ndarray) -> list[Check]:
    """The labels of the map, and the places of the answer, against the room's own surfaces; T_truth_map (4, 4): Sim(3)."""
    names = indoor_labels().names
    points, labels, _ = surface_points(world, 60000)
    tree, cloud = cKDTree(points), read_ply(result / "map.ply")

    def true_label(points_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, index = tree.query(points_map @ T_truth_map[:3, :3].T + T_truth_map[:3, 3])
        return labels[index], distance < NEAR_M

    true, near = true_label(cloud.points)
    near &= true != UNLABELLED
    right = float(np.mean(cloud.labels[near] == true[near]))
    guess = float(np.bincount(true[near]).max() / np.count_nonzero(near))  # share of the commonest class
    answer = ask(result, QUESTION, 0.0, 1).answer
    share = 0.0
    if answer.places:
        place = answer.places[0]
        inside = ((answer.points >= place.low) & (answer.points <= place.high)).all(1)
        there, close = true_label(answer.points[inside])
        share = float(np.mean(close & (there == next(i for i, n in names.items() if n == WANTED))))
    return [Check("colour alone: labels of the voxels", f"{right:.0%} right", f"above {guess:.0%}, the commonest class",
                  right > guess),
            Check(f"answer to {QUESTION!r}", f"{share:.0%} of the first place is a {WANTED}", "30 %", share >= 0.3)]
