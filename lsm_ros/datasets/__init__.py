# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Sources of images: one file for each kind, and `open_source`, which chooses one. A new one is a file here and a line in
`lsm_ros.registry`."""
from __future__ import annotations

import inspect
import math
from numbers import Real
from pathlib import Path
from typing import Any

from lsm_ros.datasets.base import Source, SourceKind
from lsm_ros.datasets.colour_depth import ColourDepthSource
from lsm_ros.datasets.images import ImageFolderSource
from lsm_ros.datasets.layouts import next_step
from lsm_ros.datasets.rosbag import RosbagSource
from lsm_ros.datasets.tum import TumSource
from lsm_ros.datasets.video import VideoSource
from lsm_ros.registry import SOURCES, load

__all__ = ["ColourDepthSource", "ImageFolderSource", "RosbagSource", "Source", "SourceKind", "TumSource", "VideoSource",
           "open_source"]


def open_source(path: str | Path, **options: Any) -> Source:
    """Opens a bag, a TUM RGB-D folder, a folder of images with or without depth, or a video, by the content of `path`.

    options: those of the source's class, by name; None stands for its default. FileNotFoundError or ValueError in one
    line that names the file, and what is in it, if nothing can be read; ValueError for an option that it does not have.
    """
    path = Path(path)
    kind = _kind(path)
    options = {name: value for name, value in options.items() if value is not None}
    known = {n: p for n, p in inspect.signature(kind).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{path} is read by {kind.__name__}, which has no option {', '.join(map(repr, unknown))}; "
                         f"it has {', '.join(known)}")
    for name, value in options.items():
        _check_option(name, value, str(known[name].annotation))
    return kind(path, **options)


def _check_option(name: str, value: Any, annotation: str) -> None:
    """ValueError for a value that is no number where one is wanted, or no text. annotation: as the source's class has it."""
    if "float" in annotation:
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"option {name}: expected a number, got {value!r}")
    elif not isinstance(value, (str, Path)) and not (
            "Sequence" in annotation and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)):
        raise ValueError(f"option {name}: expected text, got {value!r}; put it in quotes")


def _kind(path: Path) -> SourceKind:
    if not path.exists():
        raise FileNotFoundError(f"source {path} does not exist")
    kinds = (load(SOURCES, name, "source") for name in SOURCES)
    found = next((kind for kind in kinds if kind.recognizes(path)), None)
    if found is not None:
        return found
    if path.is_dir():
        inside = sorted(f.name for f in path.iterdir())
        shown = ", ".join(inside[:8]) + (f" and {len(inside) - 8} more" if len(inside) > 8 else "")
        raise ValueError(f"folder {path} is no source: {next_step(path) or 'neither rgb.txt, a bag nor images are in it'} "
                         f"({shown or 'it is empty'})")
    if path.stat().st_size == 0:
        raise ValueError(f"source {path} is empty: the file has no bytes")
    kinds_read = "it is neither a bag (MCAP, SQLite) nor a video that OpenCV opens"
    raise ValueError(f"{path} is no source: {next_step(path) or kinds_read}")
