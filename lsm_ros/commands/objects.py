# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""list the objects of a map, and change what a person knows better

MAP is a result of `lsm map` or a map that the node saved. Changes are kept in it.
"""
from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm objects`."""
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a map")
    parser.add_argument("--json", action="store_true", help="print JSON: boxes in metres in the map frame")
    parser.add_argument("--rename", nargs=2, action="append", default=[], metavar=("ID", "NAME"),
                        help="give an object a name; an empty one takes it back")
    parser.add_argument("--lock", type=int, action="append", default=[], metavar="ID",
                        help="keep an object and its box, whatever the map shows")
    parser.add_argument("--unlock", type=int, action="append", default=[], metavar="ID", help="let go of it")
    parser.add_argument("--delete", type=int, action="append", default=[], metavar="ID",
                        help="take an object away for good: what is found in its place is not shown")
    parser.add_argument("--add", nargs=7, action="append", default=[], metavar=("CLASS", "X", "Y", "Z", "SX", "SY", "SZ"),
                        help="add an object: centre and size of its box in metres")


def run(args: argparse.Namespace) -> int:
    """Changes what is asked for, then prints the objects."""
    from lsm_ros.commands.objects_run import as_json, as_table, change, listed

    objects = change(args.map, args) if args.rename or args.lock or args.unlock or args.delete or args.add else listed(args.map)
    print(as_json(objects) if args.json else as_table(objects))
    return 0
