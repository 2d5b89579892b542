# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The mapping pipeline: frame sets in; poses, keyframes and a voxel map out. Synchronous and deterministic."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm_ros.config import Config
from lsm_ros.files import replacing_folder
from lsm_ros.fusion.voxel_map import VoxelMap
from lsm_ros.geometry import is_se3, se3_inverse
from lsm_ros.mapping import store
from lsm_ros.mapping.doubts import doubts
from lsm_ros.mapping.frames import FramePreparation
from lsm_ros.mapping.fuser import Fuser
from lsm_ros.mapping.levelling import Levelling
from lsm_ros.mapping.limits import bound_keyframes
from lsm_ros.mapping.observations import cloud_of
from lsm_ros.mapping.session import Session
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs import PairModel, make_pair_model
from lsm_ros.semantics.layer import SemanticLayer
from lsm_ros.semantics.shared import SharedLanguage
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.trackers import FrameDepth, TrackedFrame, Tracker, make_tracker
from lsm_ros.types import (
    FrameSet,
    LabelSpace,
    MappingUpdate,
    MapSnapshot,
    OccupancyMap,
    PipelineStatus,
    TrackingState,
    TrackingUpdate,
    TrajectoryPose,
)

if TYPE_CHECKING:
    from lsm_ros.semantics.search import Answer


class MappingPipeline:
    """Everything between images and map. Not thread-safe: one worker owns it, but for `texts`. model: used instead of the one
    that `config.pairs` names."""

    def __init__(self, config: Config, model: PairModel | None = None) -> None:
        self.config = config
        self.model = make_pair_model(config.pairs) if model is None else model
        self.warnings = Warnings()
        self.semantics = SemanticLayer(config, self.model, self.warnings)
        self._session = Session()
        self._prepare = FramePreparation(config, self.model, self.warnings)
        self._forget()
        self._start({})

    def _forget(self) -> None:
        """Forgets the frames so far."""
        self._history = PoseHistory()
        self._frames = self._without_pose = 0

    def _start(self, knowledge: dict[str, Any]) -> None:
        """Starts with an empty graph and map. knowledge: of the cameras, from the tracker before."""
        self.tracker: Tracker = make_tracker(self.config, self.model)
        self.tracker.cameras.recall(knowledge)
        self.localization_only = False
        self._levelling = Levelling(self.config)
        self._last = TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0, reason="no frame yet")
        self.warnings.clear()
        self.semantics.restart()
        self._fuser = Fuser(self.config, self.semantics, self.warnings)
        self._stage_ms: dict[str, float] = {}

    # one frame set

    def process(self, frame_set: FrameSet) -> MappingUpdate:
        """Tracks one frame set, makes it a keyframe if it should be one, and brings the map up to date."""
        self._stage_ms, seq_before = {}, self.map.seq
        self._frames += 1
        with self._timed("prepare"):
            prepared = self._prepare_frames(frame_set)
        with self._timed("track"):
            update, tracked = self.tracker.track(prepared)
        with self._timed("keyframe"):
            update = self._keyframe(update, tracked, prepared)
            depths = {} if tracked is None else self.tracker.frame_depth(tracked)
            update = self._level(update, depths, tracked)
        self._record(frame_set, update)
        with self._timed("fuse"):
            added, removed = self._fuse(update)
        with self._timed("move"):
            moved = self._fuser.follow(self.tracker.graph)
        self._last = update
        return MappingUpdate(frame_set.stamp_ns, update, tuple(added), moved, removed,
                             len(self.map.changed_blocks(seq_before)), self._fuser.backlog, self.tracker.graph.version,
                             self.map_epoch, self.session, dict(self._stage_ms),
                             {c: cloud_of(d) for c, d in depths.items()}, self.warnings.texts)

    def _prepare_frames(self, frame_set: FrameSet) -> FrameSet:
        for space in (f.label_space for f in frame_set.frames if f.label_space is not None):
            self.set_label_space(space)
        return self._prepare(frame_set, self.tracker)

    def _keyframe(self, update: TrackingUpdate, tracked: TrackedFrame | None, prepared: FrameSet) -> TrackingUpdate:
        """Starts, extends or restarts the graph with this frame set."""
        if tracked is None or self.localization_only:
            return update
        if not self.tracker.graph.keyframes:
            return self._initialize(tracked, prepared.rig_is_base)
        if update.T_map_rig is None:
            return self._give_up(update, tracked, prepared.rig_is_base)
        self._session.found()
        if not self.tracker.wants_keyframe(tracked):
            return update
        keyframe, loops = self.tracker.add_keyframe(tracked, update.T_map_rig)
        bound_keyframes(self.tracker.graph, self.map, self._history, self.config, self.warnings)
        return replace(update, T_map_rig=keyframe.T_map_rig, new_keyframe=keyframe.id, closed_loops=loops)

    def _initialize(self, tracked: TrackedFrame, rig_is_base: bool, T_map_rig: np.ndarray | None = None) -> TrackingUpdate:
        """First keyframe of a session: the map frame starts at the rig, level with the base if there is one."""
        started = self.tracker.start(tracked, np.eye(4) if T_map_rig is None else T_map_rig)
        if started.keyframe is None:
            return TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0,
                                  reason=self.warnings.get("depth") or started.reason)
        for stamp_ns, T, keyframe in started.recovered:
            self._history.add(stamp_ns, T, self.tracker.graph, keyframe, published=False)
        self._without_pose -= len(started.recovered)
        self._levelling.start(rig_is_base)
        self._session.found()
        return TrackingUpdate(self.tracker.state, started.keyframe.T_map_rig, np.diag([1e-6] * 6), 1.0, started.keyframe.id)

    def _give_up(self, update: TrackingUpdate, tracked: TrackedFrame, rig_is_base: bool) -> TrackingUpdate:
        """Lost for long: goes on from odometry, or starts a new session."""
        if not self._session.is_lost_for(tracked.stamp_ns, self.tracker.patience_s()) or not self.tracker.can_start(tracked):
            return update
        expected = self.tracker.expected_from_odometry(tracked)
        if expected is None:
            self.new_session()
            return self._initialize(tracked, rig_is_base)
        self._session.go_on()
        self.warnings.say("session", f"session {self.session} goes on from odometry: the camera was lost")
        return self._initialize(tracked, rig_is_base, expected)

    def _level(self, update: TrackingUpdate, depths: dict[str, FrameDepth], tracked: TrackedFrame | None) -> TrackingUpdate:
        """Levels the map by the floor that a new keyframe shows, while nothing else gives gravity."""
        graph = self.tracker.graph
        if update.new_keyframe is None or tracked is None or not self.model.is_metric:
            return update
        if not self._levelling.wants_floor(len(graph.keyframes)):
            return update
        T_floor_rig = self._levelling.find_floor(depths, tracked.T_rig_cam)
        if T_floor_rig is None:
            return update
        keyframe = graph.keyframes[update.new_keyframe]
        self.tracker.move_map(T_floor_rig @ se3_inverse(keyframe.T_map_rig))
        if len(graph.keyframes) > 1:
            self._session.map_moved()
        self._fuser.settle(graph)
        return replace(update, T_map_rig=keyframe.T_map_rig)

    def _record(self, frame_set: FrameSet, update: TrackingUpdate) -> None:
        if update.T_map_rig is None:
            self._without_pose += 1
            return
        keyframe = self.tracker.reference if update.new_keyframe is None else update.new_keyframe
        assert keyframe is not None  # a pose is found in keyframes
        self._history.add(frame_set.stamp_ns, update.T_map_rig, self.tracker.graph, keyframe)

    def _fuse(self, update: TrackingUpdate) -> tuple[list[int], tuple[int, ...]]:
        """Adds the depth that keyframes have by now, and takes out what newer keyframes of the same view replace."""
        if update.closed_loops and self.tracker.resizes:
            self._fuser.rescale(self.tracker)
        added = self._take_depth()
        return added, self._fuser.remove_stale() if added else ()

    def _take_depth(self, everything: bool = False) -> list[int]:
        depths = self.tracker.take_depth(everything)
        for name, text in (doubts(self.model, self.tracker.cameras) if depths else {}).items():
            self.warnings.say(name, text)
        return self._fuser.add(depths, self.tracker.graph)

    # sessions

    @property
    def session(self) -> int:
        """Number of the session, raised when mapping starts anew or goes on after the camera was lost."""
        return self._session.number

    @property
    def map_epoch(self) -> int:
        """Raised when coordinates of the map from before no longer hold."""
        return self._session.epoch

    def reset(self) -> None:
        """Forgets everything but the settings; epoch and session go up."""
        self._forget()
        self._prepare.calibrate.clear()
        self._begin_session({})

    def new_session(self) -> None:
        """Starts an empty map; the poses of the session that ends are kept for the trajectory."""
        self._history.retire(self.tracker.graph)
        self._begin_session(self.tracker.cameras.to_dict())
        self.warnings.say("session", f"session {self.session} started: tracking could not be regained")

    def _begin_session(self, knowledge: dict[str, Any]) -> None:
        self._session.begin()
        self._start(knowledge)

    def settle(self) -> None:
        """Makes the map what it would be had all keyframes been fused with their final poses."""
        if not self.localization_only:  # a map that is only used stays as it is
            self.tracker.finish()
        self._take_depth(everything=True)
        self._fuser.rescale(self.tracker)
        self._fuser.settle(self.tracker.graph)

    # labels

    @property
    def texts(self) -> SharedLanguage:
        """Texts as the map understands them, for all threads."""
        return self.semantics.shared

    @property
    def label_space(self) -> LabelSpace | None:
        """Names of the labels that the map may show."""
        return self.semantics.label_space

    def set_label_space(self, space: LabelSpace) -> None:
        """Names of the ids of labels that frames bring, from now on. Ids that change their name are reported."""
        self.semantics.observe(space)
        self.map.set_names(self.semantics.names)

    def set_labels(self, space: LabelSpace | None) -> None:
        """Names that language features are decoded into, in the whole map; None: those of the configuration. Errors as of
        `SemanticLayer.choose`."""
        self.semantics.choose(space)
        self.map.set_names(self.semantics.names)

    def add_labels(self, stamp_ns: int, camera: str, labels: np.ndarray, label_space: LabelSpace | None) -> bool:
        """Labels of a frame that was processed before; false if no keyframe is of that time. ValueError for a wrong size.

        labels: (H, W) uint16 as the camera sees it, with its distortion.
        """
        if label_space is not None:
            self.set_label_space(label_space)
        keyframes = self.tracker.graph.keyframes.values()
        keyframe = next((k for k in keyframes if k.stamp_ns == stamp_ns and camera in k.views), None)
        return keyframe is not None and self._fuser.add_labels(keyframe, camera, labels, self._prepare.rectify)

    # what others ask for

    @property
    def map(self) -> VoxelMap:
        """The voxel map."""
        return self._fuser.map

    def snapshot(self) -> MapSnapshot:
        """All surface voxels."""
        return self.map.snapshot(self.tracker.graph.version, self.map_epoch)

    def find(self, vector: np.ndarray, threshold: float, most: int) -> Answer:
        """Places in the map that a vector describes; see `semantics.search.find_places`. ValueError while the map has no
        features."""
        from lsm_ros.semantics.search import find_places

        found, surface = self.map.query(vector), self.map.surface()
        return find_places(surface.voxel, surface.points_map, found.similarity, self.map.layout.voxel_size, threshold, most)

    def occupancy(self) -> OccupancyMap | None:
        """2D grid of the obstacle band; None while gravity is unknown or there is no map."""
        return self.map.occupancy(self.config.grid) if self._has_grid() else None

    def distance_field(self) -> OccupancyMap | None:
        """Distance to the nearest occupied cell of `occupancy`, as `VoxelMap.distance_field` has it; None as there."""
        return self.map.distance_field(self.config.grid) if self._has_grid() else None

    def _has_grid(self) -> bool:
        return self._levelling.is_known and self.map.block_count > 0

    def trajectory(self) -> list[TrajectoryPose]:
        """Final pose of every frame that has one, in order of time."""
        return self._history.final(self.tracker.graph)

    def online_trajectory(self) -> list[TrajectoryPose]:
        """Poses as they were first published."""
        return self._history.online()

    def keyframe_trajectory(self) -> list[TrajectoryPose]:
        """Poses of the keyframes, in order of time."""
        return [TrajectoryPose(k.stamp_ns, k.T_map_rig.copy()) for _, k in sorted(self.tracker.graph.keyframes.items())]

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Takes the position of the rig in the map (4, 4) from outside. ValueError for what is no rigid transform, and where
        there is no map yet."""
        if not self.tracker.graph.keyframes:
            raise ValueError("an initial pose needs a map: load one, or wait for the first keyframe")
        if not is_se3(T_map_rig):
            raise ValueError(f"the initial pose is no rigid transform: {T_map_rig}")
        self.tracker.set_initial_pose(T_map_rig)

    def apply_runtime(self, config: Config) -> None:
        """Takes over the parameters that may change at run time."""
        self.config = config
        self.tracker.apply(config)
        self._fuser.apply(config)
        self.semantics.apply(config)
        self.map.set_names(self.semantics.names)

    def status(self) -> PipelineStatus:
        """State and sizes at this moment."""
        graph = self.tracker.graph
        focal, estimated = self._prepare.calibrate.focal_px(self.tracker)
        known = bool(graph.keyframes) and self.model.is_metric
        source, std = (self.model.scale_source, self.model.scale_std) if known else ("none", float("nan"))
        return PipelineStatus(
            self._last.state, self._last.reason, self.session, self.map_epoch, graph.version, known, source, std,
            self._levelling.is_known, self._levelling.source, len(graph.keyframes), self._last.match_fraction,
            len(self.map.observations), self._fuser.backlog, self.map.block_count, self.map.nbytes,
            graph.nbytes + self.map.observation_bytes, self._frames, self._without_pose, focal, estimated,
            self.warnings.texts, self.localization_only, dict(self.tracker.cameras.off_pinhole), self.map.backend.name)

    def save(self, folder: Path) -> int:
        """Writes the map into `folder` and returns the bytes written. The folder appears, or is replaced, only when all is
        written; on an error (OSError: full disk) what was there stays whole."""
        with replacing_folder(folder) as fresh:
            self.map.save(fresh / "map")
            store.save_graph(fresh, self.tracker, {
                **self.semantics.save(fresh, self.map.has_features), "gravity_source": self._levelling.source,
                "next_observation": self._fuser.next_observation, "config": self.config.to_dict()})
        return store.folder_bytes(Path(folder))

    def load(self, folder: Path, localization_only: bool = False) -> None:
        """Replaces graph and map by a saved one; tracking starts by looking for itself in it. FileNotFoundError or
        ValueError if the folder is not a whole map; then nothing has changed."""
        folder = Path(folder)
        tracker = make_tracker(self.config, self.model)
        meta = store.load_graph(folder, tracker)
        voxels = VoxelMap(self.config.fusion)
        voxels.load(folder / "map")
        language = self.semantics.of_saved(folder, meta)
        self._history = PoseHistory()
        self._begin_session({})
        self.tracker, self._fuser.map = tracker, voxels
        self.localization_only = tracker.localization_only = localization_only
        self._fuser.next_observation = meta["next_observation"]
        self._levelling.source = meta["gravity_source"]
        self.semantics.adopt(language, meta)
        voxels.set_names(self.semantics.names)
        self._last = TrackingUpdate(TrackingState.LOST, None, None, 0.0, reason="map loaded; looking for the camera in it")

    def close(self) -> None:
        """Lets go of all memory."""
        self.reset()

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stage_ms[stage] = (time.perf_counter() - start) * 1e3
