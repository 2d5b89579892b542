# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Writes a source as a TUM RGB-D folder, a ROS 2 bag, or both in one pass: whole, or not at all."""
from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsm_ros.datasets.base import Source
from lsm_ros.datasets.record import record
from lsm_ros.datasets.tum_writer import TumWriter
from lsm_ros.files import replacing
from lsm_ros.types import FrameSet, TrajectoryPose

FORMATS = ("tum", "bag", "both")
FACTS = "scene.json"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExportSummary:
    """Result of an export: the folder, the number of frame sets, and bytes on disk."""

    path: Path
    frame_sets: int
    bytes: int
    warnings: tuple[str, ...] = field(default=())


def export(source: Source, out: str | Path, format: str = "tum", *, storage: str = "mcap",
           jpeg_quality: int | None = None, progress: Progress | None = None) -> ExportSummary:
    """Writes all of a source to `out`, which appears when it is complete.

    format: 'tum' makes `out` a TUM RGB-D folder (see TumWriter), 'bag' a bag (see `record`), 'both' a folder with tum/ and
    bag/. jpeg_quality: images as JPEG (CompressedImage in the bag), else without loss. scene.json beside the images, or
    beside the bag's metadata, holds the source's `facts` if it has any. progress: called with (frame sets done, expected).
    FileExistsError if `out` exists and is not an empty folder; ValueError for a bad option or a source without frames;
    OSError for a full disk. On any error nothing is left behind.
    """
    out = Path(out)
    if format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
        raise ValueError(f"jpeg_quality must be 1 to 100, got {jpeg_quality}")
    free_target(out)
    with replacing(out) as fresh:
        tum, bag = ((fresh / "tum", fresh / "bag") if format == "both" else (fresh, fresh))
        tee = _Tee(source, None if format == "bag" else TumWriter(tum, source, jpeg_quality))
        if format == "tum":
            for done, _ in enumerate(tee, 1):
                if progress is not None:
                    progress(done, len(source))
        else:
            record(tee, bag, storage, compressed=jpeg_quality is not None, progress=progress,
                   jpeg_quality=90 if jpeg_quality is None else jpeg_quality)
        if tee.done == 0:
            raise ValueError("; ".join([f"source {source.name} gave no frames", *source.warnings]))
        if tee.writer is not None:
            tee.writer.close()
        facts = getattr(source, "facts", None)
        if facts is not None:
            (fresh / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        size = sum(p.stat().st_size for p in fresh.rglob("*") if p.is_file())
    return ExportSummary(out, tee.done, size, tuple(source.warnings))


def free_target(out: Path) -> None:
    """FileExistsError if `out` is a file or a folder that holds anything."""
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        what = "is a file" if not out.is_dir() else "exists already and is not empty"
        raise FileExistsError(errno.EEXIST, f"{out} {what}; give another name")


class _Tee:
    """A source whose frame sets also go to a writer of TUM folders, if there is one, as they pass."""

    def __init__(self, source: Source, writer: TumWriter | None) -> None:
        self._source, self.writer, self.done = source, writer, 0
        self.name, self.cameras, self.ground_truth_frame = source.name, source.cameras, source.ground_truth_frame
        self.imu: Any = getattr(source, "imu", None)

    @property
    def ground_truth(self) -> list[TrajectoryPose] | None:
        return self._source.ground_truth

    @property
    def warnings(self) -> list[str]:
        return self._source.warnings

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[FrameSet]:
        for frame_set in self._source:
            if self.writer is not None:
                self.writer.add(frame_set)
            self.done += 1
            yield frame_set

    def close(self) -> None:
        self._source.close()
