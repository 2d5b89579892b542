# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracking over a building, in simulated worlds whose truth is known: wrong places, laps, long drives, growth.

    python bench/slam.py [SCENARIO ...] [--quick] [--json FILE] [--cache DIR] [--seeds N ...] [--size WxH] ...

    wrong      rooms with kidnappings: poses more than 0.3 m or 15 degrees off while the state says tracking (`wrong`, and the
               longest stretch), seconds of them after the first view that contradicts (`against`), frames without a pose
               (`none`), sessions and how many of them were joined; after each kidnapping the seconds until a pose within 0.1 m
               and 5 degrees in the map of an earlier session
    lookalike  the same in worlds whose rooms are copies of each other
    kidnapped  rooms that were toured before, then ten kidnappings, on the same day and on another (see --change of lsm sim)
    laps       a ring driven again and again: what the map has grown to, and what a frame costs
    building   rings of 60 m and tours of rooms off corridors: ATE in percent of the path, coverage
    solves     bundle adjustment against SciPy, and GTSAM where it is installed, on the same problems
    growth     milliseconds of the graph's work with 100 to 5000 keyframes

All scenarios without one. Drives are rendered once and kept in the cache. Without --odometry the pipeline gets images alone.
Times: `cpu ms` is of the processor over all threads, so that it holds on a busy machine too; stages are on the wall. --quick
takes a small world of each. See slam_judging.py for how poses are laid over the truth.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from slam_driving import building, laps
from slam_growth import growth, solves
from slam_kidnapped import kidnapped, lookalike, wrong
from slam_options import add_arguments

SCENARIOS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "wrong": wrong, "lookalike": lookalike, "kidnapped": kidnapped, "laps": laps, "building": building, "solves": solves,
    "growth": growth}


def plain(value: Any) -> Any:
    """Values as JSON has them: numbers without a value become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (np.bool_, np.integer)):
        return value.item()
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, tuple(SCENARIOS))
    args = parser.parse_args(arguments)
    unknown = [s for s in args.scenarios if s not in SCENARIOS]
    if unknown:
        raise ValueError(f"unknown scenario {unknown[0]!r}; there are: {', '.join(SCENARIOS)}")
    result: dict[str, Any] = {}
    for name in args.scenarios or list(SCENARIOS):
        start = time.perf_counter()
        print(f"\n{name}: {(SCENARIOS[name].__doc__ or '').splitlines()[0]}", flush=True)
        result[name] = SCENARIOS[name](args)
        print(f"{name} took {time.perf_counter() - start:.0f} s", flush=True)
        if args.json:
            args.json.write_text(json.dumps(plain(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"bench/slam.py: {error}")
