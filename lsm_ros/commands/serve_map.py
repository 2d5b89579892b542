# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A saved map as `lsm serve` reads it: loaded once, and again when somebody has changed it."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_ros.commands.objects_run import keeper_in, saved_in
from lsm_ros.commands.querying import fusion_config
from lsm_ros.commands.regions_run import check_level, reading_config, regions_in
from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.mapping import store
from lsm_ros.mapping.objects import FILE, REGION
from lsm_ros.models.known import LANGUAGE_FILE
from lsm_ros.semantics.classes import Classes, read_classes
from lsm_ros.semantics.language import Language, read_language
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions import Regions
from lsm_ros.types import OccupancyMap

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Loaded:
    """A map in memory. objects: those that are shown. grid, regions: None while it is not known which way is up; `not_level`
    says so. language: None where the map has no features. stand (2,): where the newest keyframe was, from which ways begin if
    nobody says where the robot is."""

    config: Config
    voxels: VoxelMap
    classes: Classes
    objects: list[MapObject]
    grid: OccupancyMap | None
    regions: Regions | None
    not_level: str
    language: Language | None
    stand: np.ndarray


class SavedMap:
    """The map in a folder: a result of `lsm map`, or a saved map."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: Loaded | None = None
        self._stamp: Stamp = ()

    def now(self) -> Loaded:
        """The map as it is on disk. FileNotFoundError where it is gone; ValueError for what is none, or is damaged, or while
        somebody changes it."""
        for _ in range(2):
            stamp = self._stamp_of_files()
            if self._loaded is not None and stamp == self._stamp:
                return self._loaded
            try:
                self._loaded = None
                loaded = load(self._folder)
            except (ValueError, OSError):
                if self._stamp_of_files() == stamp:
                    raise
                continue
            if self._stamp_of_files() == stamp:
                self._loaded, self._stamp = loaded, stamp
                return loaded
        raise ValueError(f"the map in {self._folder} is being changed; ask again")

    def _stamp_of_files(self) -> Stamp:
        """Time, size and number of the files that are written with every change; (0, 0, 0) for one that is not there."""
        saved = store.saved_map(self._folder)
        out = []
        for name in (store.META, store.SUMS, FILE):
            try:
                s = (saved / name).stat()
                out.append((s.st_mtime_ns, s.st_size, s.st_ino))
            except FileNotFoundError:
                out.append((0, 0, 0))
        return tuple(out)


def load(folder: Path) -> Loaded:
    """Reads a map. Errors as of `lsm objects`."""
    saved = saved_in(folder)
    meta = store.read_meta(saved)
    keeper, config = keeper_in(saved), reading_config(saved, meta)
    voxels = VoxelMap(fusion_config(saved, meta))
    voxels.load(saved / "map")
    objects = [o for o in keeper.shown() if o.existence >= config.objects.min_existence and o.label != REGION]
    grid, regions, not_level = None, None, ""
    try:
        check_level(saved, meta)
    except ValueError as error:
        not_level = str(error)
    else:
        grid, regions = voxels.occupancy(config.grid), regions_in(voxels, keeper, config)
    language = read_language(saved / LANGUAGE_FILE) if voxels.has_features and (saved / LANGUAGE_FILE).is_file() else None
    poses = voxels.fused_poses()
    stand = poses[max(poses)][:2, 3] if poses else np.zeros(2)
    return Loaded(config, voxels, read_classes(config.semantics.classes), objects, grid, regions, not_level, language, stand)
