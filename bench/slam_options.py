# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Arguments of bench/slam.py, shared by its scenarios; what is not given, each scenario chooses for itself."""
from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TypeVar

from lsm_ros.commands.options import make_config, positive, positive_float
from lsm_ros.config import Config


class Table:
    """A table whose columns are given as (heading, format of the values); its heading is printed at once."""

    def __init__(self, *columns: tuple[str, str]) -> None:
        self._formats = [spec for _, spec in columns]
        self._widths = [max(int(re.match(r"[<>]?(\d+)", spec)[1]), len(name)) for name, spec in columns]
        print(" ".join(name.ljust(w) if spec.startswith("<") else name.rjust(w)
                       for (name, spec), w in zip(columns, self._widths, strict=True)), flush=True)

    def row(self, *values: object) -> None:
        """Prints one row."""
        texts = [format(v, spec) for v, spec in zip(values, self._formats, strict=True)]
        print(" ".join(t.ljust(w) if spec.startswith("<") else t.rjust(w)
                       for t, w, spec in zip(texts, self._widths, self._formats, strict=True)), flush=True)


MODELS = {"depth": "depth", "colour": "two_view"}
"""Pair model of each mode: with measured depth, and from colour alone."""

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser, scenarios: tuple[str, ...]) -> None:
    """Arguments of all scenarios."""
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*", default=[], help=f"{', '.join(scenarios)}; all if none")
    parser.add_argument("--quick", action="store_true", help="one small world of each: at most 3 minutes for all together")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to this file")
    parser.add_argument("--cache", metavar="DIR", type=Path, default=Path("out/bench-slam"), help="folder of rendered drives")
    parser.add_argument("--seeds", metavar="N", type=int, nargs="+", help="worlds")
    parser.add_argument("--modes", choices=tuple(MODELS), nargs="+", help="depth (measured), colour (alone)")
    parser.add_argument("--odometry", action="store_true", help="give the wheels' odometry to the pipeline")
    parser.add_argument("--size", metavar="WxH", type=whole_numbers, help="size of the images")
    parser.add_argument("--rate", metavar="HZ", type=positive_float, help="frames a second")
    parser.add_argument("--duration", metavar="S", type=positive_float, help="seconds of a drive")
    parser.add_argument("--length", metavar="M", type=positive_float, help="metres of a drive (building)")
    parser.add_argument("--rounds", metavar="N", type=positive, help="rounds of the ring in a world of kind loop")
    parser.add_argument("--world-size", metavar="LxW[xH]", type=lengths, help="metres of the worlds")
    parser.add_argument("--events", metavar="KIND@S[+S],...", help="what happens on the drives (wrong, lookalike)")
    parser.add_argument("--changes", metavar="N", type=int, nargs="+", help="days on which the robot is kidnapped after it has "
                        "seen the world, 0 for the same (kidnapped)")
    parser.add_argument("--frames", metavar="N", type=positive, help="only the first so many frames of each drive, or lap")
    parser.add_argument("--laps", metavar="N", type=positive, help="times that the same frames are driven (laps)")
    parser.add_argument("--keyframes", metavar="N", type=positive, nargs="+", help="sizes of the graph (growth)")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one parameter; may be repeated")


def whole_numbers(text: str) -> tuple[int, ...]:
    """`320x240` as two numbers."""
    return _split(text, int, (2,))


def lengths(text: str) -> tuple[float, ...]:
    """`16x12` as two numbers, or three."""
    return _split(text, float, (2, 3))


def _split(text: str, kind: type, counts: tuple[int, ...]) -> tuple:
    try:
        values = tuple(kind(v) for v in text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers with x between them, got {text!r}") from error
    if len(values) not in counts or min(values) <= 0:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(map(str, counts))} positive numbers, got {text!r}")
    return values


def one_of(given: T | None, otherwise: T) -> T:
    """The value that was given, else the scenario's own."""
    return otherwise if given is None else given


def modes(args: argparse.Namespace) -> list[str]:
    """The modes to measure: by default depth alone."""
    return one_of(args.modes, ["depth"])


def config_of(args: argparse.Namespace, mode: str) -> Config:
    """The pipeline's parameters in a mode, with those given by --set."""
    return make_config(None, args.set, MODELS[mode], None)
