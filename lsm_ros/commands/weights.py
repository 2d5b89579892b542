# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""list the known checkpoints of the networks, and download one on request"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lsm_ros.models.hub import KNOWN, NOTICE, Known, fetch, find_known, weights_folder, where


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm weights`."""
    parser.add_argument("--download", metavar="NAME", help="fetch a checkpoint of the list; its licence is printed first")
    parser.add_argument("--check", metavar="PATH", help="load a file, a folder or a name, and print its network")


def run(args: argparse.Namespace) -> int:
    """Prints the list, downloads, or checks; status 0."""
    if args.check:
        print(describe(args.check))
    elif args.download:
        known = find_known(args.download)
        if known is None:
            raise ValueError(f"checkpoint {args.download!r} is not known; there are: {', '.join(k.name for k in KNOWN)}")
        print(NOTICE if "NON-COMMERCIAL" in known.licence else f"Licence: {known.licence}")
        place = where(known)
        print(f"already available: {place}" if place else f"fetched: {_download(known)}")
    else:
        print("\n".join(table()))
    return 0


def table() -> list[str]:
    """The list for people, one line for each checkpoint."""
    rows = [("name", "network", "size", "from", "licence", "here")]
    for known in KNOWN:
        place = where(known)
        size = "small" if not known.megabytes else f"{known.megabytes} MB" if known.megabytes < 1000 else \
            f"{known.megabytes / 1000:.1f} GB"
        rows.append((known.name, known.network, size, known.origin.rpartition("/")[0], known.licence, str(place or "no")))
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[5]]) for row in rows]
    return [*lines, "", "Of those that do not say that they may be used in a product:", NOTICE,
            f"Single files lie in {weights_folder()} (set LSM_WEIGHTS for another place)."]


def _download(known: Known) -> Path:
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, desc=known.name, file=sys.stderr, disable=not known.url) as bar:
        def progress(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        return fetch(known, progress)


def describe(path: str) -> str:
    """Network of a checkpoint, with its size. Errors as of `load`."""
    from lsm_ros import models

    model = models.load(path)
    count = sum(p.numel() for p in model.parameters())
    return f"{path}: {type(model).__name__}, {count:,} parameters, images of {model.img_size[0]}, fits"
