# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""find the cameras of a folder of photographs, and points that they see

In any order, of any sizes, from 2 to hundreds. Writes a COLMAP model (sparse/0, text and binary), trajectory.tum (in the
order of the names), map.ply, sfm.json and report.html into DIR, which appears when it is complete. Images that cannot be
connected with the others become models of their own (sparse/1, trajectory_1.tum, map_1.ply ...), or are named with the reason.
`lsm map FOLDER --poses DIR` makes a robot's map of it.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm sfm`."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a folder of images")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    parser.add_argument("--pairs", metavar="NAME", default="two_view", help="pair model: two_view (the default, needs no "
                        "weights), or mast3r, dust3r, lsm, lsm_small")
    parser.add_argument("--weights", metavar="PATH", help="checkpoint of the network: a file, a folder, or a name that `lsm "
                        "weights` lists")
    parser.add_argument("--retrieval", metavar="PATH", help="retrieval checkpoint of the network (..._trainingfree.pth), to "
                        "find images that are alike; without, by the mean of their tokens")
    parser.add_argument("--calibration", metavar="FILE", type=Path, help="camera.yaml, or the YAML of a ROS calibration, of "
                        "all images of its proportions; it is not changed. Without, cameras are estimated")
    parser.add_argument("--shared-intrinsics", action="store_true", help="all images are of one camera, also where EXIF or "
                        "their size says nothing of it (two_view: of one size)")
    parser.add_argument("--sequential", metavar="N", type=positive, default=0, help="the images are in order: compare each "
                        "with the N after it, and with a few that are alike")
    parser.add_argument("--method", choices=("sparse", "global"), default="sparse", help="of networks: sparse (MASt3R-SfM, "
                        "to hundreds of images), or global (DUSt3R's global alignment, for few)")
    parser.add_argument("--cache", metavar="DIR", type=Path, help="folder where a network's predictions are kept until all is "
                        "done (DIR.cache beside --out); a run that was interrupted goes on from it")
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result in DIR")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Finds the cameras; DIR is as before unless all is written."""
    from lsm_ros.commands.sfm_run import reconstruct

    print(reconstruct(args))
    return 0
