# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""join two maps of the same place

A and B are results of `lsm map` or maps that the node saved, with the same pair model. C has the coordinates of A; it can be
loaded by the node, and gone on with by `lsm map --map C`. Status 2 if they show nothing in common.
"""
from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm join`."""
    parser.add_argument("a", metavar="A", type=Path, help="folder of a map, whose coordinates are kept")
    parser.add_argument("b", metavar="B", type=Path, help="folder of another one")
    parser.add_argument("--out", metavar="C", type=Path, required=True, help="folder for the joined map; must not exist")


def run(args: argparse.Namespace) -> int:
    """Joins the maps; the folder appears when it is complete."""
    from lsm_ros.commands.joining_run import join_maps

    print(join_maps(args.a, args.b, args.out))
    return 0
