# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""compare a map made by `lsm map` with the ground truth

Trajectory errors through evo; with --depth also the distances between map and measured depth at the true poses, and,
if that folder has labels, the accuracy of the map's labels.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from lsm_ros.commands.options import TRAJECTORIES, positive, positive_float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm eval`."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder that `lsm map` wrote")
    parser.add_argument("--gt", metavar="FILE", type=Path, required=True,
                        help="true trajectory in TUM format: stamp tx ty tz qx qy qz qw")
    parser.add_argument("--gt-frame", choices=("camera", "rig"), default="camera",
                        help="frame of the poses in FILE: the first camera's optical frame (as TUM's), or the robot's base")
    parser.add_argument("--trajectory", choices=tuple(TRAJECTORIES), default="final",
                        help="trajectory to compare")
    parser.add_argument("--align", choices=("sim3", "se3", "none", "origin"), action="append",
                        help="only this alignment (may be repeated); default: all")
    parser.add_argument("--max-dt", metavar="S", type=positive_float, default=0.02,
                        help="largest difference of the stamps of matching poses (0.02 s)")
    parser.add_argument("--time-offset", metavar="S", default="auto",
                        help="seconds to subtract from the trajectory's stamps; auto: the offset of `lsm record`, if it fits")
    parser.add_argument("--depth", metavar="FOLDER", type=Path,
                        help="TUM folder with the measured depth, in the time of the true trajectory")
    parser.add_argument("--depth-every", metavar="N", type=positive, default=1, help="use each n-th depth image")
    parser.add_argument("--icp", action="store_true", help="also after fitting the map to the depth (Open3D)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Prints the errors."""
    from lsm_ros.commands.evaluation_run import evaluate, table

    result = evaluate(args)
    print(json.dumps(result, indent=2, allow_nan=False) if args.json else table(result))
    return 0
