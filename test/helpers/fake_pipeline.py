# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A pipeline that maps nothing but has the whole interface, and a recorder of the threads that touch one."""
from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.fusion.backends.layout import Layout
from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.fusion.publish.updates import MAX_BYTES, BlockPart
from lsm_ros.fusion.read.mesh import Mesh
from lsm_ros.mapping import interface, store
from lsm_ros.semantics.classes import ClassAbout, Classes
from lsm_ros.semantics.language import Sentence
from lsm_ros.semantics.objects import MapObject
from lsm_ros.semantics.regions import Goal, Regions
from lsm_ros.semantics.search import Answer
from lsm_ros.types import (
    FrameCloud,
    FrameSet,
    LabelSpace,
    MappingUpdate,
    OccupancyMap,
    PipelineStatus,
    TrackingState,
    TrackingUpdate,
    TrajectoryPose,
)

GRID = OccupancyMap(np.zeros((2, 3), np.int8), 0.0, 0.0, 0.1)


class FakeTexts:
    """Knows every word, by the same vector."""

    def sentence(self, text: str) -> Sentence:
        return Sentence(text, np.ones(1, np.float32))

    def learn(self, space: LabelSpace) -> None:
        pass


class FakeMap:
    """No voxels."""

    def __init__(self, config: Config) -> None:
        self.layout = Layout.of(config.fusion)
        self.blocks_version = 1

    def refresh_blocks(self) -> int:
        return 0

    def encoded_blocks(self, since: int = 0, max_bytes: int = MAX_BYTES) -> BlockPart:
        return BlockPart(0, 1, np.zeros(0, np.int64), ())

    def published_cloud(self) -> SurfaceCloud:
        return SurfaceCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.uint16),
                            np.zeros(0, np.float32))

    def mesh_within(self, budget_ms: float) -> Mesh | None:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.uint16),
                    np.zeros((0, 3), np.int32))


class FakePipeline:
    """Says that the camera stands still. Each frame set is a keyframe."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.texts = FakeTexts()
        self.label_space: LabelSpace | None = None
        self.map = FakeMap(config)
        self.stamps: list[int] = []
        self.session = 0

    def process(self, frame_set: FrameSet) -> MappingUpdate:
        self.stamps.append(frame_set.stamp_ns)
        tracking = TrackingUpdate(TrackingState.TRACKING, np.eye(4), np.eye(6), 1.0, len(self.stamps))
        return MappingUpdate(frame_set.stamp_ns, tracking, changed_blocks=1, session=self.session)

    def status(self) -> PipelineStatus:
        return PipelineStatus(
            state=TrackingState.TRACKING, state_reason="", session=self.session, map_epoch=self.session, graph_version=0,
            scale_is_metric=True, scale_source="depth", scale_std=0.0, gravity_known=True, gravity_source="base_link",
            keyframes=len(self.stamps), match_fraction=1.0, observations=0, fusion_backlog=0, voxel_blocks=0, map_bytes=0,
            keyframe_bytes=0, frames_processed=len(self.stamps), frames_without_pose=0, focal_px={}, focal_is_estimated={},
            warnings=(), localization_only=False)

    def keyframe_trajectory(self) -> list[TrajectoryPose]:
        return [TrajectoryPose(stamp, np.eye(4)) for stamp in self.stamps]

    def objects(self) -> list[MapObject]:
        return []

    def segmented(self, cloud: FrameCloud) -> tuple[np.ndarray, np.ndarray] | None:
        return None

    def label_mask(self) -> OccupancyMap | None:
        return GRID

    def regions(self) -> Regions | None:
        return None

    def goal(self, text: str, T_map_rig: np.ndarray) -> tuple[str, Goal]:
        return text, Goal(1.0, 2.0, 0.5, 0.4)

    def about(self, name: str) -> ClassAbout:
        return Classes().about(name)

    def occupancy(self) -> OccupancyMap | None:
        return GRID

    def distance_field(self) -> OccupancyMap | None:
        return replace(GRID, grid=np.full((2, 3), 50, np.int8))

    def apply_runtime(self, config: Config) -> None:
        self.config = config

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        pass

    def add_labels(self, stamp_ns: int, camera: str, labels: np.ndarray, label_space: LabelSpace | None) -> bool:
        return stamp_ns in self.stamps

    def set_labels(self, space: LabelSpace | None) -> None:
        self.label_space = space

    def find(self, vector: np.ndarray, threshold: float, most: int) -> Answer:
        return Answer(threshold, np.zeros((0, 3), np.float32), np.zeros(0, np.float32), (), float("nan"))

    def save(self, folder: Path) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / store.META).write_text("{}")

    def load(self, folder: Path, localization_only: bool = False) -> None:
        self.reset()
        self.stamps = [1]

    def reset(self) -> None:
        self.new_session()
        self.stamps = []

    def new_session(self, keep: bool = True, reason: str = "") -> None:
        self.session += 1
        self.reason = reason
        self.map = FakeMap(self.config)

    def close(self) -> None:
        self.reset()


def fake_pipeline(config: Config) -> interface.Pipeline:
    """The fake as the node takes one."""
    return FakePipeline(config)


class Recorder:
    """Stands before an object and notes, in `touched`, the name of every attribute that is used, and the thread: also when a
    method is called later than it was looked up. Parts named in `parts` are recorded under their own names."""

    def __init__(self, target: Any, touched: list[tuple[str, str]], parts: tuple[str, ...] = ("map", "texts")) -> None:
        self._target, self._touched, self._parts = target, touched, parts
        self._recorders: dict[int, Recorder] = {}

    def _note(self, name: str) -> None:
        self._touched.append((name, threading.current_thread().name))

    def __getattr__(self, name: str) -> Any:
        self._note(name)
        value = getattr(self._target, name)
        if name in self._parts:
            if id(value) not in self._recorders:
                self._recorders[id(value)] = Recorder(value, self._touched, ())
            return self._recorders[id(value)]
        if not callable(value):
            return value

        def call(*args: Any, **options: Any) -> Any:
            self._note(name)
            return value(*args, **options)

        return call
