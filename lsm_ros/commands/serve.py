# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""answer programs and agents that ask what is in a map, and where

MAP is a result of `lsm map` or a map that the node saved. One JSON-RPC 2.0 message a line, on standard input and output or on a
local socket; the same server speaks the Model Context Protocol (MCP), so that agents find its tools by themselves:
list_objects, find, goal_near, where_am_i, picture. Nothing goes over a network.
"""
from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm serve`."""
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a map")
    parser.add_argument("--socket", metavar="PATH", type=Path, help="a Unix socket to make, which only its owner may use; by "
                        "default standard input and output serve one client, as MCP hosts start it")


def run(args: argparse.Namespace) -> int:
    """Answers until the input ends, or until it is interrupted."""
    from lsm_ros.commands.serve_run import serve_socket, serve_stdio
    from lsm_ros.commands.serve_tools import server_of

    server = server_of(args.map)
    if args.socket is None:
        serve_stdio(server)
    else:
        serve_socket(server, args.socket)
    return 0
