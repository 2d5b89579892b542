# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Arguments that several commands share."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsm_ros.config import Config, from_dict, load_config
from lsm_ros.reading import read_yaml

TRAJECTORIES = {"final": "trajectory.tum", "online": "online.tum", "keyframes": "keyframes.tum"}  # files of `lsm map`


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def positive_float(text: str) -> float:
    """A number above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def add_source(parser: argparse.ArgumentParser) -> None:
    """Adds SOURCE and the limit on its frames."""
    parser.add_argument("source", metavar="SOURCE", type=Path,
                        help="a ROS 2 bag (MCAP or SQLite), a TUM RGB-D folder, a folder of images, or a video")
    parser.add_argument("--source-option", metavar="NAME=VALUE", action="append", default=[],
                        help="option of the source: camera_file=camera.yaml, image_topic=/front/image, rate_hz=10 ...")
    parser.add_argument("--max-frames", metavar="N", type=positive, help="stop after so many frames")


def assignments(texts: Sequence[str], option: str) -> dict[str, Any]:
    """`name=value` texts as a dict, the values read as YAML; ValueError names a text of another form."""
    out = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise ValueError(f"{option} {text!r}: expected name=value")
        out[name] = read_yaml(value, f"{option} {text[:80]!r}") if value else ""
    return out


def make_config(path: Path | None, settings: Sequence[str], pairs: str | None, seed: int | None,
                weights: str | None = None, base: Config | None = None) -> Config:
    """The config file over `base` (the defaults), changed by --set, then by --pairs, --weights and --seed."""
    config = from_dict(assignments(settings, "--set"), load_config(path, base))
    direct: dict[str, Any] = {"pairs.model": pairs, "pairs.weights": weights, "seed": seed}
    return from_dict({k: v for k, v in direct.items() if v is not None}, config)
