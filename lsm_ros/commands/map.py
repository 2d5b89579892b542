# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""make a map of a source

Writes trajectory.tum (every frame, final), keyframes.tum, online.tum (as first published), map.ply, mesh.ply, metrics.json
and report.html into DIR, which appears when it is complete; with language features also features.npz and
language.safetensors, which `lsm query` searches.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import add_source, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm map`."""
    add_source(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    parser.add_argument("--pairs", metavar="NAME", help="pair model (parameter pairs.model)")
    parser.add_argument("--weights", metavar="PATH", help="checkpoint of pair model dust3r, mast3r or lsm_small: a file, a "
                        "folder, or a name that `lsm weights` lists (parameter pairs.weights); lsm_small has its own")
    parser.add_argument("--config", metavar="YAML", type=Path, help="parameters; `lsm params` lists them")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[],
                        help="one parameter; may be repeated")
    parser.add_argument("--seed", metavar="N", type=int, help="seed of all random numbers")
    parser.add_argument("--stride", metavar="N", type=positive, default=1, help="use each n-th frame")
    parser.add_argument("--gt", metavar="FILE", type=Path,
                        help="true trajectory in TUM format; by default the source's own")
    parser.add_argument("--gt-frame", choices=("camera", "rig"), default="camera", help="frame of the poses in FILE")
    parser.add_argument("--frame", choices=("camera", "rig"), default="camera",
                        help="frame of the written poses: the first camera's optical frame, or the rig (base) frame")
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result in DIR")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Maps the source; DIR is as before unless all is written."""
    from lsm_ros.commands.mapping_run import map_source

    print(map_source(args))
    return 0
