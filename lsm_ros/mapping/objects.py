# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The objects of a session: found in its voxels whenever somebody asks and the map has changed."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lsm_ros.config import ObjectsConfig
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.reading import read_text, reading
from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.objects import LabelledVoxels, MapObject, ObjectKeeper, find_objects
from lsm_ros.semantics.objects.keeping import View
from lsm_ros.semantics.regions import Pin
from lsm_ros.slam.graph.keyframes import KeyframeGraph
from lsm_ros.types import LabelSpace

FILE = "objects.json"
REGION = "region"  # class of what a person added to name the region around it
_STEP = 4  # every n-th pixel of a depth image is enough to say what is in the way


class SessionObjects:
    """keeper: the objects as they were last read."""

    def __init__(self) -> None:
        self.keeper = ObjectKeeper()
        self._read: tuple[int, int] = (-1, -1)  # version of the map and of the graph
        self._looked: set[int] = set()  # observations that have been looked through

    def read(self, voxels: VoxelMap, graph: KeyframeGraph, names: LabelSpace | None, classes: Classes,
             config: ObjectsConfig) -> list[MapObject]:
        """The objects of now, of which nobody said that there are none, and that are there with `config.min_existence`."""
        poses = _poses(graph)
        if names is not None and self._read != (voxels.seq, graph.version):
            surface = voxels.surface()
            cloud = LabelledVoxels(surface.voxel, surface.points_map, surface.labels, surface.label_probability,
                                   voxels.layout.voxel_size)
            seen = find_objects(cloud, names, classes, config.min_size, config.min_probability)
            self.keeper.update(seen, self._new_views(voxels), poses)
            self._read = voxels.seq, graph.version
        return [o for o in self.keeper.shown() if o.existence >= config.min_existence and o.label != REGION]

    @property
    def pins(self) -> list[Pin]:
        """Names of regions that a person gave."""
        return pins_of(self.keeper)

    def _new_views(self, voxels: VoxelMap) -> list[View]:
        fused, views = voxels.fused_poses(), []
        for i, o in voxels.observations.items():
            if i in fused and i not in self._looked:
                depth = o.z[::_STEP, ::_STEP] * np.float32(o.z_step)
                views.append(View(o.stamp_ns, o.keyframe, fused[i] @ o.T_rig_cam, o.intrinsics, depth, _STEP))
        self._looked = set(fused)
        return views

    # on disk

    def write(self, folder: Path, graph: KeyframeGraph) -> None:
        """Writes the objects into the folder of a map, where the keyframes of now have them."""
        self.keeper.follow(_poses(graph))
        (folder / FILE).write_text(json.dumps(self.keeper.to_dict(), indent=1))

    def load(self, folder: Path, graph: KeyframeGraph, voxels: VoxelMap) -> None:
        """Reads the objects of a saved map; maps of older versions have none. ValueError that names the file."""
        if not (folder / FILE).is_file():
            return
        self.keeper = read_objects(folder, _poses(graph))
        self._looked = set(voxels.fused_poses())


def pins_of(keeper: ObjectKeeper) -> list[Pin]:
    """Names of regions that a person gave, among the objects."""
    return [Pin(o.name, o.centroid, o.keyframe) for o in keeper.shown() if o.label == REGION and o.name]


def _poses(graph: KeyframeGraph) -> dict[int, np.ndarray]:
    return {i: k.T_map_rig for i, k in graph.keyframes.items()}


def read_objects(folder: Path, poses: Mapping[int, np.ndarray] | None = None) -> ObjectKeeper:
    """The objects in the folder of a saved map; poses: of its keyframes, where the objects are to follow them. ValueError that
    names the file; FileNotFoundError."""
    with reading(folder / FILE):
        return ObjectKeeper.from_dict(json.loads(read_text(folder / FILE)), poses or {})
