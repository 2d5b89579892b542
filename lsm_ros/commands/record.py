# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""write a source as a ROS 2 bag

Images, camera_info, depth, labels, TF and ground truth, as a robot would have recorded them.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lsm_ros.commands.options import add_source, assignments
from lsm_ros.commands.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm record`."""
    add_source(parser)
    parser.add_argument("bag", metavar="BAG", type=Path, help="folder of the new bag")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap")
    parser.add_argument("--compressed", action="store_true", help="images as JPEG (CompressedImage)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing bag")


def run(args: argparse.Namespace) -> int:
    """Records the source and prints a summary."""
    from lsm_ros.datasets import open_source
    from lsm_ros.datasets.record import record

    source = open_source(args.source, **assignments(args.source_option, "--source-option"))
    try:
        with progress_bar(desc="recording", unit="frame") as bar:
            def progress(done: int, expected: int) -> None:
                bar.total = expected if expected > 0 else None
                bar.update(done - bar.n)

            summary = record(source, args.bag, args.storage, compressed=args.compressed, overwrite=args.overwrite,
                             limit=args.max_frames, progress=progress)
    finally:
        source.close()
    for warning in summary.warnings:
        print(f"lsm: warning: {warning}", file=sys.stderr)
    offset = f", stamps moved by {summary.stamp_offset_ns / 1e9:g} s" if summary.stamp_offset_ns else ""
    print(f"{summary.path}: {summary.frame_sets} frames over {summary.duration_s:.1f} s ({summary.storage}{offset})")
    for topic, count in sorted(summary.messages.items()):
        print(f"  {count:6d}  {topic}")
    return 0
