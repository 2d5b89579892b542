# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""list the rooms of a map and the doors between them, and name them

MAP is a result of `lsm map` or a map that the node saved, of which it is known which way is up. Names are kept in it.
"""
from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm regions`."""
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a map")
    parser.add_argument("--name", nargs=3, action="append", default=[], metavar=("X", "Y", "NAME"),
                        help="name the region that the point X Y (metres in the map frame) lies in")
    parser.add_argument("--json", action="store_true", help="print GeoJSON: polygons and doors in metres of the map frame")


def run(args: argparse.Namespace) -> int:
    """Gives the names that are asked for, then prints the regions."""
    import json

    from lsm_ros.commands.regions_run import as_table, listed, name

    if args.name:
        name(args.map, args.name)
    found = listed(args.map)
    print(json.dumps(found.to_geojson(), indent=1) if args.json else as_table(found))
    return 0
