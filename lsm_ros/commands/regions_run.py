# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Run of `lsm regions`: the rooms of a saved map, and their names."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.commands.objects_run import changing_objects, keeper_in, saved_in
from lsm_ros.commands.querying import fusion_config
from lsm_ros.config import Config, from_dict
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.mapping import store
from lsm_ros.mapping.objects import REGION, pins_of
from lsm_ros.reading import reading
from lsm_ros.semantics.objects import Box, ObjectKeeper
from lsm_ros.semantics.regions import Regions, find_regions, with_names

_PIN = np.full(3, 0.1)  # metres


def listed(folder: Path) -> Regions:
    """The regions of a result of `lsm map`, or of a saved map. FileNotFoundError for a folder without a map; ValueError for one
    without objects, or of which it is not known which way is up."""
    saved = saved_in(folder)
    meta = store.read_meta(saved)
    keeper = keeper_in(saved)
    check_level(saved, meta)
    voxels = VoxelMap(fusion_config(saved, meta))
    voxels.load(saved / "map")
    return regions_in(voxels, keeper, reading_config(saved, meta))


def check_level(saved: Path, meta: Mapping[str, Any]) -> None:
    """ValueError for a saved map, described by `meta`, of which it is not known which way is up."""
    if meta.get("gravity_source", "none") in ("", "none"):
        raise ValueError(f"which way is up in the map in {saved} is not known, so it has no rooms")


def reading_config(saved: Path, meta: Mapping[str, Any]) -> Config:
    """The parameters by which a saved map, described by `meta`, is read, as it was made with. ValueError."""
    with reading(saved / store.META):
        return from_dict({k: meta["config"][k] for k in ("grid", "regions", "objects", "semantics") if k in meta["config"]})


def regions_in(voxels: VoxelMap, keeper: ObjectKeeper, config: Config) -> Regions:
    """The regions of a map that is level."""
    band = replace(config.grid, min_height=config.regions.min_height, max_height=config.regions.max_height)
    return with_names(find_regions(voxels.occupancy(band)), keeper.shown(), pins_of(keeper))


def name(folder: Path, wanted: Sequence[Sequence[str]]) -> None:
    """Names regions: x, y and name of each. Errors as of `listed`; ValueError for a point in no region, and no number;
    TimeoutError while somebody else changes the map's objects."""
    found = listed(folder)
    with changing_objects(folder) as keeper:
        _name(found, keeper, wanted)


def _name(found: Regions, keeper: ObjectKeeper, wanted: Sequence[Sequence[str]]) -> None:
    for x, y, text in wanted:
        try:
            point = np.array([float(x), float(y), 0.0])
        except ValueError as error:
            raise ValueError(f"--name {x} {y}: {error}") from error
        region = found.at(point)
        if region is None:
            raise ValueError(f"the point {x} {y} lies in no region")
        for old in [o for o in keeper.shown() if o.label == REGION and found.at(o.centroid) is region]:
            keeper.delete(old.id)
        if text:
            keeper.rename(keeper.add(REGION, Box(point, _PIN, 0.0)).id, text)


def as_table(found: Regions) -> str:
    """The regions for people."""
    if not found.regions:
        return "the map has no regions"
    width = max(len(r.name) for r in found.regions)
    lines = [f"{'number':>6}  {'name':<{max(width, 4)}}  {'area [m2]':>9}  middle x y [m]"]
    lines += [f"{r.number:>6}  {r.name:<{max(width, 4)}}  {r.area:>9.1f}  {r.centre[0]:.2f} {r.centre[1]:.2f}"
              for r in found.regions]
    lines += [f"door between {d.regions[0]} and {d.regions[1]} at {d.centre[0]:.2f} {d.centre[1]:.2f}, {d.width:.2f} m wide"
              for d in found.doors]
    return "\n".join(lines)
