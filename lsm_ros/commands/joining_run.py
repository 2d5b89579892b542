# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Two saved maps through one pipeline to a third."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lsm_ros.config import Config, from_dict
from lsm_ros.mapping import store
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.reading import reading


def join_maps(a: Path, b: Path, out: Path) -> str:
    """Joins saved maps `a` and `b`, in the coordinates of `a`, and returns a line about it. FileNotFoundError or ValueError for
    what is no map, maps of different kinds, and maps that show nothing in common; FileExistsError if `out` exists."""
    if out.exists():
        raise FileExistsError(f"{out} exists already; give another --out")
    a_saved, b_saved = store.saved_map(a), store.saved_map(b)
    pipeline = MappingPipeline(replace(saved_config(a_saved), camera_masks=""))  # no more images come
    try:
        pipeline.load(a_saved)
        before = pipeline.status().keyframes
        pipeline.add_map(b_saved)
        added = pipeline.status().keyframes
        if pipeline.join_maps():
            raise ValueError(f"{b} cannot be joined to {a}: they show nothing in common, or contradict each other")
        pipeline.settle()
        pipeline.save(out)
        after = pipeline.status()
    finally:
        pipeline.close()
    return f"{before} and {added} keyframes joined, {after.voxel_blocks} blocks: {out}"


def saved_config(folder: Path) -> Config:
    """The configuration that a saved map was made with. FileNotFoundError or ValueError if it has none."""
    meta = store.read_meta(folder)
    with reading(folder / store.META):
        return from_dict(meta["config"])
