# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""draw a picture of a map's Gaussians from any place

MAP is a result of `lsm map --gaussians`, or a PLY file of Gaussians. The camera is a pinhole (x right, y down, z forward).
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import positive, positive_float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm render`."""
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a map, or a PLY file of Gaussians")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pose", metavar="P", type=float, nargs=7,
                       help="pose of the camera in the map: tx ty tz qx qy qz qw, as in trajectory.tum")
    where.add_argument("--stamp", metavar="S", type=float,
                       help="pose of trajectory.tum in MAP that is nearest to this time, in seconds")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="picture to write: .png or .jpg")
    parser.add_argument("--size", metavar=("W", "H"), type=positive, nargs=2, default=(640, 480), help="pixels (640 480)")
    parser.add_argument("--fov", metavar="DEG", type=positive_float, default=70.0, help="horizontal angle of view (70)")
    parser.add_argument("--intrinsics", metavar=("FX", "FY", "CX", "CY"), type=float, nargs=4,
                        help="camera in pixels, in place of --fov")


def run(args: argparse.Namespace) -> int:
    """Draws and writes the picture."""
    from lsm_ros.commands.rendering import render_map

    print(render_map(args))
    return 0
