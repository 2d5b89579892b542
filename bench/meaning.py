# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Meaning of maps of simulated rooms, where the truth is known.

    python bench/meaning.py [--quick] [--json FILE]

labels: views with labels as networks give them (whole instances taken for another class, blots, ragged borders) are fused at
their true poses, voxels of 2 cm. wrong: share of wrong pixels. IoU: mean over classes with 500 voxels (5000 pixels), of single
views and of the map; a voxel's true label is the one that the map of true labels has. ECE: expected calibration error of
the voxels' probability.
objects: things larger than 20 cm in views of worlds with true or wrong labels; right and double: see `instances_of`.
regions: rooms of 20 worlds in grids of their walls; share of the free area that is in the right region, see `regions_right`.
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from meaning_rooms import Noise, calibration, fuse, instances_of, mean_iou, regions_right, wall_grid

from lsm_ros.config import from_dict
from lsm_ros.types import UNLABELLED
from lsm_sim.generator import build_world
from lsm_sim.source import SimSource

NOISES = {"none": Noise(0.0, 0.0, 0.0), "some": Noise(0.1, 0.1), "third": Noise(0.17, 0.12), "much": Noise(0.3, 0.25)}
QUICK = ("third",)


def labels(quick: bool) -> list[dict[str, Any]]:
    """Rows of the table of labels."""
    config = from_dict({"fusion.voxel_size": 0.04 if quick else 0.02})
    rows = []
    for seed, step in ((10001, 6),) if quick else ((10001, 6), (10002, 6), (10003, 10), (10004, 10)):
        source = SimSource(seed=seed, frames=180)
        for name, noise in NOISES.items():
            if quick and name not in QUICK:
                continue
            begin = time.perf_counter()
            found = fuse(source, step, noise, config, seed)
            known = (found.truth != UNLABELLED) & (found.labels != UNLABELLED)
            error, bins = calibration(found.probability[known], (found.labels == found.truth)[known])
            rows.append({"room": seed, "views": -(-len(source) // step), "noise": name, "wrong": found.wrong,
                         "single": found.single, "fused": mean_iou(found.truth, found.labels), "ECE": error,
                         "unlabelled": float(np.mean(found.labels[found.truth != UNLABELLED] == UNLABELLED)),
                         "bins": bins, "seconds": time.perf_counter() - begin})
            print(f"room {seed}, {rows[-1]['views']} views, noise {name}: wrong {found.wrong:.3f}, IoU {found.single:.3f} -> "
                  f"{rows[-1]['fused']:.3f}, ECE {error:.3f}, unlabelled {rows[-1]['unlabelled']:.3f}", flush=True)
    return rows


def objects(quick: bool) -> list[dict[str, Any]]:
    """Rows of the table of objects."""
    config = from_dict({"fusion.voxel_size": 0.03})
    rows = []
    for seed, world in ((10001, "room"),) if quick else ((10001, "room"), (10002, "room"), (10003, "rooms"), (10005, "room")):
        for name in ("none", "third"):
            found = instances_of(SimSource(seed=seed, world=world, frames=180), 6, NOISES[name], config, seed)
            rows.append({"world": f"{world} {seed}", "noise": name, **asdict(found)})
            print(f"{world} {seed}, noise {name}: {found.right} of {found.there} things found, {found.double} of {found.found} "
                  "objects double", flush=True)
    return rows


def regions(quick: bool) -> list[dict[str, Any]]:
    """Rows of the table of regions."""
    rows = []
    for kind in ("rooms", "loop", "corridor", "lookalike", "room"):
        for seed in range(20000, 20001 if quick else 20004):
            world = build_world(seed, kind)
            grid = wall_grid(world)
            begin = time.perf_counter()
            right, rooms, found = regions_right(world, grid)
            rows.append({"world": f"{kind} {seed}", "right": right, "rooms": rooms, "regions": found,
                         "seconds": time.perf_counter() - begin})
            print(f"{kind} {seed}: {rooms} rooms, {found} regions, {right:.3f} of the area right", flush=True)
    return rows


def main() -> int:
    """Prints one table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rooms")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    found = {"labels": labels(args.quick), "objects": objects(args.quick), "regions": regions(args.quick)}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
