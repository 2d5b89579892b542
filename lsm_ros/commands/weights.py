# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""list the known models, with what a product may use, and download one on request"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from lsm_ros.commands.progress import progress_bar
from lsm_ros.models.hub import KNOWN, Known, fetch, find_known, pin_of, split_pin, weights_folder, where
from lsm_ros.models.known import NOTICE, PRODUCT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lsm weights`."""
    parser.add_argument("--download", metavar="NAME", help="fetch a checkpoint of the list; its licence is printed first. "
                        "NAME@PIN: only with this SHA-256 of the file, or this commit of the hub's repository")
    parser.add_argument("--check", metavar="PATH", help="load a file, a folder or a name, and print its network")


def run(args: argparse.Namespace) -> int:
    """Prints the list, downloads, or checks; status 0."""
    if args.check:
        print(describe(args.check))
    elif args.download:
        name, pin = split_pin(args.download)
        known = find_known(name)
        if known is None:
            raise ValueError(f"checkpoint {name!r} is not known; there are: {', '.join(k.name for k in KNOWN)}")
        print(NOTICE if "NON-COMMERCIAL" in known.licence else f"Licence: {known.licence}")
        known = replace(known, pin=pin)
        there = where(known)
        place = there or _download(known)
        if found := pin_of(place):
            print(f"to have just this again: --download {known.name}@{found}")
        print(f"already available: {place}" if there else f"fetched: {place}")
    else:
        print("\n".join(table()))
    return 0


def table() -> list[str]:
    """The list for people, one line for each checkpoint, under a line that says what its licence allows."""
    rows = [("name", "for", "gives", "in metres", "size", "memory", "needs", "tried here", "licence", "from", "here"),
            *(_row(known) for known in KNOWN)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    head, *lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    allowed = [line for known, line in zip(KNOWN, lines, strict=True) if known.for_products]
    other = [line for known, line in zip(KNOWN, lines, strict=True) if not known.for_products]
    return [head, "", f"These {PRODUCT}:", *allowed, "", "These are for NON-COMMERCIAL use only:", *other, "", NOTICE,
            "Memory is what a process grows by on a CPU; >: its weights alone, not measured. Tried with random weights: "
            "the checkpoint itself was not.",
            f"Single files lie in {weights_folder()} (set LSM_WEIGHTS for another place)."]


def _row(known: Known) -> tuple[str, ...]:
    memory = megabytes(known.memory_mb) if known.memory_mb else f"> {megabytes(known.megabytes)}" if known.megabytes else "-"
    metric = {True: "yes", False: "no", None: "-"}[known.metric]
    return (known.name, known.network, known.gives, metric, megabytes(known.megabytes), memory, known.needs or "-", known.tried,
            known.licence, known.origin.rpartition("/")[0], str(where(known) or "no"))


def megabytes(count: int | None) -> str:
    """A size for people; 0: it is small, None: it is not known."""
    return "-" if count is None else "small" if not count else f"{count} MB" if count < 1000 else f"{count / 1000:.1f} GB"


def _download(known: Known) -> Path:
    with progress_bar(unit="B", unit_scale=True, desc=known.name, disable=not known.url) as bar:
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
