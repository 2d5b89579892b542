# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Interface of a mapping pipeline, by the thread that may use it.

`Pipeline` is for the thread that owns it, the worker. `MapReader` and `PublishedMap` are the read-only part of it that
publishers are given, in that same thread. `AnyThreadTexts` alone is for all threads. What these return, updates, statuses and
answers, is frozen and may be handed on. `MappingPipeline` has this interface; tests have a small one of their own.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lsm_ros.config import Config
from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.fusion.publish.updates import BlockSource
from lsm_ros.fusion.read.mesh import Mesh
from lsm_ros.semantics.classes import ClassAbout
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions import Goal, Regions
from lsm_ros.types import FrameCloud, FrameSet, LabelSpace, MappingUpdate, OccupancyMap, PipelineStatus, TrajectoryPose

if TYPE_CHECKING:
    from lsm_ros.semantics.language import Sentence
    from lsm_ros.semantics.search import Answer


class AnyThreadTexts(Protocol):
    """Texts as the map understands them. Every method may be called from any thread, also while the worker maps."""

    def sentence(self, text: str) -> Sentence:
        """A text as a vector. ValueError for one that says nothing, or without language features; ImportError that says what
        to install."""

    def learn(self, space: LabelSpace) -> None:
        """Computes ahead what `Pipeline.set_labels` needs of these names. Errors as of `sentence`."""


class PublishedMap(BlockSource, Protocol):
    """The voxels as they are published. For the worker; reading changes nothing but what is cached."""

    def published_cloud(self) -> SurfaceCloud:
        """The surface of now."""

    def mesh_within(self, budget_ms: float) -> Mesh | None:
        """The surface as a mesh. None if more has changed than the time allows; the next call goes on with it."""


class MapReader(Protocol):
    """The part of a pipeline that publishers are given: they read, in the thread of the worker."""

    @property
    def map(self) -> PublishedMap:
        """The voxel map; another object after a reset, a load or a new session."""

    def keyframe_trajectory(self) -> list[TrajectoryPose]:
        """Poses of the keyframes, in order of time."""

    def objects(self) -> list[MapObject]:
        """The objects of the map, in order of their numbers."""

    def segmented(self, cloud: FrameCloud) -> tuple[np.ndarray, np.ndarray] | None:
        """Label ids (H, W) uint16 of a frame and their probability (H, W) float32; None where nothing gives labels."""

    def label_mask(self) -> OccupancyMap | None:
        """Costs of classes in the cells of `occupancy`; None as there."""

    def regions(self) -> Regions | None:
        """Rooms and doors, with names; None as of `occupancy`."""

    def about(self, name: str) -> ClassAbout:
        """Knowledge of a class."""

    def occupancy(self) -> OccupancyMap | None:
        """2D grid of the obstacle band; None while gravity is unknown or there is no map."""

    def distance_field(self) -> OccupancyMap | None:
        """Distance to the nearest occupied cell of `occupancy`, as `VoxelMap.distance_field` has it; None as there."""


class Pipeline(MapReader, Protocol):
    """Everything between images and map. Not thread-safe: one thread owns it, but for `texts`."""

    @property
    def texts(self) -> AnyThreadTexts:
        """For all threads. The same object as long as the pipeline lives."""

    @property
    def label_space(self) -> LabelSpace | None:
        """Names of the labels that the map may show."""

    def process(self, frame_set: FrameSet) -> MappingUpdate:
        """Tracks one frame set and brings the map up to date. ValueError for frames that cannot be used."""

    def status(self) -> PipelineStatus:
        """State and sizes at this moment."""

    def apply_runtime(self, config: Config) -> None:
        """Takes over the parameters that may change at run time."""

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Position of the rig (4, 4), as reported from outside. ValueError for what is no rigid transform, or without a map."""

    def add_labels(self, stamp_ns: int, camera: str, labels: np.ndarray, label_space: LabelSpace | None) -> bool:
        """Labels (H, W) uint16 of a frame that was processed before; false if no keyframe is of that time. ValueError for a
        wrong size."""

    def set_labels(self, space: LabelSpace | None) -> None:
        """Names that language features are decoded into; None: those of the configuration. ValueError, ImportError."""

    def find(self, vector: np.ndarray, threshold: float, most: int) -> Answer:
        """Places in the map that a vector describes. ValueError while the map has no features."""

    def goal(self, text: str, T_map_rig: np.ndarray) -> tuple[str, Goal]:
        """A pose near what a text names, for a robot at T_map_rig (4, 4), and what that is. ValueError that says why there is
        none."""

    def save(self, folder: Path) -> int:
        """Writes the map into `folder`, all or nothing; returns the bytes written. OSError."""

    def load(self, folder: Path, localization_only: bool = False) -> None:
        """Replaces the map by a saved one. FileNotFoundError or ValueError; then nothing has changed."""

    def reset(self) -> None:
        """Forgets everything but the settings."""

    def new_session(self, keep: bool = True, reason: str = ...) -> None:
        """Starts an empty map; reason: why, for a warning."""

    def close(self) -> None:
        """Lets go of all memory."""
