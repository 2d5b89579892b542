# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""play a bag into running nodes, with /clock

Start the nodes with use_sim_time:=true. Services /lsm_replay/pause and /lsm_replay/resume (std_srvs/Trigger) stop and
go on.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from lsm_ros.commands.options import positive_float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm replay`."""
    parser.add_argument("bag", metavar="BAG", type=Path, help="a ROS 2 bag (MCAP or SQLite)")
    parser.add_argument("--rate", metavar="R", type=positive_float, default=1.0, help="speed against real time (1)")
    parser.add_argument("--loop", action="store_true", help="start over at the end, until interrupted")
    parser.add_argument("--reliable", action="store_true", help="publish images reliably, regardless of the recorded QoS")
    parser.add_argument("--start-paused", action="store_true", help="wait for the service ~/resume")
    parser.add_argument("--wait-for", metavar="SECONDS", type=float, default=10.0,
                        help="wait at most so long for a subscriber of an image topic (10)")


def run(args: argparse.Namespace) -> int:
    """Plays the bag and prints a summary."""
    from lsm_ros.datasets.bag_storage import check_bag_path

    check_bag_path(args.bag)  # before ROS starts, for a clear error without it
    try:
        from lsm_ros.ros.replay import ReplayOptions, replay
    except ImportError as error:
        if (error.name or "").startswith("lsm_ros"):
            raise
        raise ValueError(f"lsm replay needs ROS 2 ({error}): source a ROS 2 installation, or . tools/env.sh") from error
    summary = replay(args.bag, ReplayOptions(rate=args.rate, loop=args.loop, reliable=args.reliable,
                                             start_paused=args.start_paused, wait_for_s=args.wait_for))
    print(summary.text())
    return 0
