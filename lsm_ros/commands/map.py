# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""make a map of a source

Writes trajectory.tum (every frame, final), keyframes.tum, online.tum (as first published), map.ply, mesh.ply, metrics.json,
report.html and saved_map, which can be gone on with, into DIR, which appears when it is complete; with language features also
features.npz and language.safetensors, which `lsm query` searches; with --gaussians also gaussians.ply.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import add_source, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm map`."""
    add_source(parser)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    parser.add_argument("--pairs", metavar="NAME", help="pair model (parameter pairs.model); auto: the best for these "
                        "images of what is on this machine and a product may use, which is said with the reason")
    parser.add_argument("--weights", metavar="PATH", help="checkpoint of pair model dust3r, mast3r, lsm or lsm_small: a "
                        "file, a folder, or a name that `lsm weights` lists (parameter pairs.weights); lsm_small has its own")
    parser.add_argument("--config", metavar="YAML", type=Path, help="parameters; `lsm params` lists them")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[],
                        help="one parameter; may be repeated")
    parser.add_argument("--seed", metavar="N", type=int, help="seed of all random numbers")
    parser.add_argument("--stride", metavar="N", type=positive, default=1, help="use each n-th frame")
    parser.add_argument("--map", metavar="MAP", type=Path, help="go on in a map from before: a result of `lsm map`, or a map "
                        "that the node saved. If the frames show no part of it, that is said, and they get a map of their own")
    parser.add_argument("--poses", metavar="DIR", type=Path, help="a result of `lsm sfm` on the folder SOURCE, or a COLMAP "
                        "model: nothing is tracked, the images are fused at these cameras; saved_map can be gone on with by "
                        "the pair model that --pairs names (two_view)")
    parser.add_argument("--gaussians", metavar="STRIDE", type=positive, nargs="?", const=2, help="write gaussians.ply, which "
                        "viewers of 3D Gaussian Splatting and `lsm render` read: one Gaussian for each STRIDE x STRIDE (2) "
                        "pixels of the keyframes, where they are at the end (pair model lsm: those that it predicts); "
                        "language features beside it")
    parser.add_argument("--keyframe-gaussians", action="store_true", help="with --gaussians: also a file for each keyframe, "
                        "gaussians/STAMP_CAMERA.ply")
    parser.add_argument("--no-map", action="store_true", help="write no saved_map")
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
    if args.poses is not None:
        from lsm_ros.commands.posed_run import map_posed

        print(map_posed(args))
        return 0
    from lsm_ros.commands.mapping_run import map_source

    print(map_source(args))
    return 0
