# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Everything that is read of a pipeline: nothing here changes the map."""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from lsm_ros.config import Config
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.mapping.atlas import Atlas
from lsm_ros.semantics.asking import find_target, goal_for
from lsm_ros.semantics.classes import ClassAbout
from lsm_ros.semantics.layer import SemanticLayer
from lsm_ros.semantics.masks import label_mask
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions import Goal, Regions, find_regions, with_names
from lsm_ros.semantics.search import Answer, Place, find_places
from lsm_ros.slam.trackers import Tracker
from lsm_ros.types import UNLABELLED, FrameCloud, LabelSpace, MapSnapshot, OccupancyMap, TrajectoryPose


class Readings:
    """The part of a pipeline that reads."""

    config: Config
    semantics: SemanticLayer
    _atlas: Atlas

    @property
    def tracker(self) -> Tracker:
        """Tracking in the map that is built."""
        return self._atlas.here.tracker

    @property
    def map(self) -> VoxelMap:
        """The voxel map."""
        return self._atlas.here.fuser.map

    @property
    def map_epoch(self) -> int:
        """Raised when coordinates of the map from before no longer hold."""
        return self._atlas.count.epoch

    @property
    def label_space(self) -> LabelSpace | None:
        """Names of the labels that the map may show."""
        return self.semantics.label_space

    def snapshot(self) -> MapSnapshot:
        """All surface voxels."""
        return self.map.snapshot(self.tracker.graph.version, self.map_epoch)

    def find(self, vector: np.ndarray, threshold: float, most: int) -> Answer:
        """Places in the map that a vector describes; see `semantics.search.find_places`. ValueError while the map has no
        features."""
        found, surface = self.map.query(vector), self.map.surface()
        return find_places(surface.voxel, surface.points_map, found.similarity, self.map.layout.voxel_size, threshold, most)

    def occupancy(self) -> OccupancyMap | None:
        """2D grid of the obstacle band; None while gravity is unknown or there is no map."""
        return self.map.occupancy(self.config.grid) if self._has_grid() else None

    def distance_field(self) -> OccupancyMap | None:
        """Distance to the nearest occupied cell of `occupancy`, as `VoxelMap.distance_field` has it; None as there."""
        return self.map.distance_field(self.config.grid) if self._has_grid() else None

    def _has_grid(self) -> bool:
        return self._atlas.here.levelling.is_known and self.map.block_count > 0

    def trajectory(self) -> list[TrajectoryPose]:
        """Final pose of every frame that has one, in order of time."""
        return self._atlas.here.history.final(self.tracker.graph)

    def online_trajectory(self) -> list[TrajectoryPose]:
        """Poses as they were first published."""
        return self._atlas.here.history.online()

    def keyframe_trajectory(self) -> list[TrajectoryPose]:
        """Poses of the keyframes, in order of time."""
        return [TrajectoryPose(k.stamp_ns, k.T_map_rig.copy()) for _, k in sorted(self.tracker.graph.keyframes.items())]

    def objects(self) -> list[MapObject]:
        """The objects of the map, in order of their numbers; finding them costs some time when the map has changed, else
        nothing."""
        here, names = self._atlas.here, self.label_space
        return here.objects.read(self.map, here.tracker.graph, names, self.semantics.classes, self.config.objects)

    def regions(self) -> Regions | None:
        """Rooms and doors, with names; None as of `occupancy`."""
        if not self._has_grid():
            return None
        wanted, here = self.config.regions, self._atlas.here
        grid = self.map.occupancy(replace(self.config.grid, min_height=wanted.min_height, max_height=wanted.max_height))
        return with_names(find_regions(grid), self.objects(), here.objects.pins)

    def segmented(self, cloud: FrameCloud) -> tuple[np.ndarray, np.ndarray] | None:
        """Label ids (H, W) uint16 of a frame and their probability (H, W) float32: those of its camera, which count as sure, or
        of the segmenter; None where there is neither."""
        if cloud.labels is not None:
            return cloud.labels, (cloud.labels != UNLABELLED).astype(np.float32)
        return self.semantics.segmented(cloud.frame)

    def label_mask(self) -> OccupancyMap | None:
        """Costs of classes, as of `semantics.masks.label_mask`, in the cells of `occupancy`; None as there."""
        grid, names = self.occupancy(), self.label_space
        if grid is None or names is None:
            return None
        surface = self.map.surface()
        return label_mask(grid, surface.points_map, surface.labels, names, self.semantics.classes, self.config.grid.max_height)

    def goal(self, text: str, T_map_rig: np.ndarray) -> tuple[str, Goal]:
        """A pose near what a text names: the number, name or class of an object, the name of a region, or what a sentence
        describes; and what that is. It is free, can be reached from the rig at T_map_rig (4, 4), and faces it. ValueError
        that says why there is none."""
        grid, regions = self.occupancy(), self.regions()
        if grid is None or regions is None:
            raise ValueError("there is no grid to drive in: the map is empty, or which way is up is not known")
        if self._atlas.here.fuser.backlog:
            raise ValueError(f"the map is being moved: {self._atlas.here.fuser.backlog} observations are still where they "
                             "were; ask again")
        robot = T_map_rig[:2, 3]
        target = find_target(text, regions, self.objects(), self.semantics.classes, robot,
                             self._places if self.map.has_features else None)
        return goal_for(target, grid, robot, self.config.regions)

    def _places(self, text: str) -> tuple[Place, ...]:
        """The place that a sentence describes best, if there is one."""
        return self.find(self.semantics.shared.sentence(text).vector, 0.0, 1).places

    def about(self, name: str) -> ClassAbout:
        """Knowledge of a class."""
        return self.semantics.classes.about(name)
