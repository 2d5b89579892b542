# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""find what a sentence describes in a map

MAP is a result of `lsm map` or a map that the node saved, made with language features. TEXT is any words, in English.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm query`."""
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a map")
    parser.add_argument("text", metavar="TEXT", help="what to look for")
    parser.add_argument("--top", metavar="N", type=positive, default=5, help="at most so many places (5)")
    parser.add_argument("--not", dest="unwanted", metavar="TEXT", action="append", default=[], help="something else, which is "
                        "not meant: what is as much like it does not count; may be repeated")
    parser.add_argument("--threshold", metavar="S", type=float, default=0.0,
                        help="smallest similarity of a voxel, a cosine; 0 (default): chosen from the similarities in the map")
    parser.add_argument("--json", action="store_true", help="print JSON: places with boxes in metres in the map frame")


def run(args: argparse.Namespace) -> int:
    """Prints the places, the most convincing first; status 0 also when there are none."""
    from lsm_ros.commands.querying import as_json, as_table, ask

    found = ask(args.map, args.text, args.threshold, args.top, args.unwanted)
    print(as_json(found) if args.json else as_table(found))
    return 0
