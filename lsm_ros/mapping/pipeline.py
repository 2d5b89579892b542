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
from lsm_ros.fusion.voxel_map import MapFullError, VoxelMap
from lsm_ros.geometry import T_BODY_OPTICAL, is_se3, se3_inverse
from lsm_ros.mapping import observations, store
from lsm_ros.mapping.calibration import Calibrator
from lsm_ros.mapping.observations import FrameRectifier, Prepared
from lsm_ros.pairs import make_pair_model
from lsm_ros.semantics.layer import SemanticLayer
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.gravity import find_floor
from lsm_ros.slam.trackers.depth import Tracked
from lsm_ros.slam.trackers.two_view import DenseView, make_tracker
from lsm_ros.types import (
    FrameSet,
    LabelSpace,
    MappingUpdate,
    MapSnapshot,
    Observation,
    OccupancyMap,
    PipelineStatus,
    TrackingState,
    TrackingUpdate,
    TrajectoryPose,
)

if TYPE_CHECKING:
    from lsm_ros.semantics.search import Answer


class MappingPipeline:
    """Everything between images and map. Not thread-safe: one worker owns it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.model = make_pair_model(config.pairs)
        self._warnings: dict[str, str] = {}
        self.meaning = SemanticLayer(config, self.model, self._warnings)
        self.session, self.map_epoch = 0, 0
        self._frames, self._without_pose = 0, 0
        self._rectify = FrameRectifier()
        self._calibrate = Calibrator(self.model)
        self._history = PoseHistory()
        self._start({})

    def _start(self, knowledge: dict[str, Any]) -> None:
        """Empty graph and map. knowledge: what the tracker before had learned about the cameras."""
        self.tracker = make_tracker(self.config, self.model)
        self.tracker.recall(knowledge)
        self.map = VoxelMap(self.config.fusion)
        self.localization_only = False
        self._next_observation = 0
        self._gravity_source = "none"
        self._lost_since: int | None = None
        self._last: TrackingUpdate = TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0, reason="no frame yet")
        self._backlog = 0
        self._warnings.clear()
        self.meaning.restart()
        self.map.set_names(self.meaning.names)
        self._stage_ms: dict[str, float] = {}

    # one frame set

    def process(self, frame_set: FrameSet) -> MappingUpdate:
        """Tracks one frame set, makes it a keyframe if it should be one, and brings the map up to date."""
        self._stage_ms = {}
        self._frames += 1
        with self._timed("prepare"):
            prepared = self._prepare(frame_set)
        with self._timed("track"):
            update, tracked = self.tracker.track(prepared.frame_set)
        with self._timed("keyframe"):
            update = self._keyframe(prepared, update, tracked)
            predicted = {} if tracked is None else observations.predicted_clouds(self.tracker, tracked, self.config)
        self._record(frame_set, update, tracked)
        with self._timed("fuse"):
            added, removed = self._fuse(prepared, update)
        with self._timed("move"):
            moved = self._follow()
        self._last = update
        return MappingUpdate(frame_set.stamp_ns, update, added, moved, removed,
                             len(self.map.changed_blocks(self._seq_before)), self._backlog, self.tracker.graph.version,
                             self.map_epoch, self.session, dict(self._stage_ms), {**prepared.clouds, **predicted},
                             tuple(self._warnings.values()))

    def _prepare(self, frame_set: FrameSet) -> Prepared:
        self._seq_before = self.map.seq
        if not frame_set.T_rig_cam and len(frame_set.frames) == 1:  # the rig is the body of its one camera
            frame_set = replace(frame_set, T_rig_cam={frame_set.frames[0].camera: T_BODY_OPTICAL})
        for space in (f.label_space for f in frame_set.frames if f.label_space is not None):
            self.set_label_space(space)
        frames = [self._calibrate(f, self.tracker, self._warnings) for f in frame_set.frames]
        frames = observations.usable_depth(frames, self.model, bool(self.tracker.graph.keyframes), self._warnings)
        return observations.prepare(frame_set, frames, self._rectify, self.config)

    @property
    def label_space(self) -> LabelSpace | None:
        """Names of the labels that the map may show."""
        return self.meaning.label_space

    def set_label_space(self, space: LabelSpace) -> None:
        """Names of the ids of labels that frames bring, from now on. Ids that change their name are reported."""
        self.meaning.observe(space)
        self.map.set_names(self.meaning.names)

    def set_labels(self, space: LabelSpace | None) -> None:
        """Names that language features are decoded into, in the whole map; None: those of the configuration. Errors as of
        `SemanticLayer.choose`."""
        self.meaning.choose(space)
        self.map.set_names(self.meaning.names)

    def _keyframe(self, prepared: Prepared, update: TrackingUpdate, tracked: Tracked | None) -> TrackingUpdate:
        """Starts, extends or restarts the graph with this frame set."""
        if tracked is None or self.localization_only:
            return update
        graph = self.tracker.graph
        if not graph.keyframes:
            return self._initialize(prepared, tracked)
        if update.T_map_rig is None:
            return self._give_up(prepared, update, tracked)
        self._lost_since = None
        if not self.tracker.wants_keyframe(tracked):
            return update
        keyframe, loops = self.tracker.add_keyframe(tracked, update.T_map_rig)
        self._look_for_floor(prepared, tracked)
        self._bound_keyframes()
        return replace(update, T_map_rig=keyframe.T_map_rig, new_keyframe=keyframe.id, closed_loops=loops)

    def _initialize(self, prepared: Prepared, tracked: Tracked, T_map_rig: np.ndarray | None = None) -> TrackingUpdate:
        """First keyframe of a session: the map frame starts at the rig, level with the base or the floor if possible."""
        keyframe, reason = self.tracker.start(tracked, np.eye(4) if T_map_rig is None else T_map_rig)
        if keyframe is None:
            return TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0, reason=self._warnings.get("depth", reason))
        wanted = self.config.scale.gravity
        is_base = prepared.frame_set.rig_is_base
        if wanted == "base_link" or (wanted == "auto" and is_base):
            self._gravity_source = "base_link"
        self._look_for_floor(prepared, tracked)
        self._lost_since = None
        return TrackingUpdate(self.tracker.state, keyframe.T_map_rig, np.diag([1e-6] * 6), 1.0, keyframe.id)

    def _look_for_floor(self, prepared: Prepared, tracked: Tracked) -> None:
        """Levels the map by the floor plane while nothing else gives gravity."""
        wanted, first = self.config.scale.gravity, len(self.tracker.graph.keyframes) == 1
        if self._gravity_source != "none" or not (wanted == "floor" or (wanted == "auto" and first)):
            return  # a later find moves the whole map, which nobody wants who did not ask for it
        predicted = observations.predicted_clouds(self.tracker, tracked, self.config) if self.model.is_metric else {}
        points = observations.seen_points(replace(prepared, predicted=predicted))
        T_floor_rig = find_floor(points, self.config.seed) if len(points) else None
        if T_floor_rig is None:
            return
        newest = self.tracker.graph.newest
        T_new_old = T_floor_rig @ se3_inverse(newest.T_map_rig)
        self._gravity_source = "floor"
        self._move_map(T_new_old)

    def _move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame: all keyframes, and with them the voxels."""
        self.tracker.move_map(T_new_old)
        if len(self.tracker.graph.keyframes) > 1:
            self.map_epoch += 1
        self.map.settle(self._keyframe_poses())

    def _give_up(self, prepared: Prepared, update: TrackingUpdate, tracked: Tracked) -> TrackingUpdate:
        """Lost for long: goes on from odometry, or starts a new session."""
        stamp = prepared.frame_set.stamp_ns
        if self._lost_since is None or stamp < self._lost_since:
            self._lost_since = stamp
        if (stamp - self._lost_since) * 1e-9 < self.tracker.patience_s():
            return update
        if not self.tracker.has_landmarks(tracked):
            return update
        expected = self.tracker.expected_from_odometry(tracked)
        if expected is None:
            self.new_session()
            return self._initialize(prepared, tracked)
        self.session += 1
        self._warnings["session"] = f"session {self.session} goes on from odometry: the camera was lost"
        return self._initialize(prepared, tracked, expected)

    def _record(self, frame_set: FrameSet, update: TrackingUpdate, tracked: Tracked | None) -> None:
        if update.T_map_rig is None or tracked is None:
            self._without_pose += 1
            return
        graph = self.tracker.graph
        for stamp_ns, T_map_rig, keyframe in self.tracker.recovered:
            self._history.add(stamp_ns, T_map_rig, graph, keyframe, told=False)
        self._without_pose -= len(self.tracker.recovered)
        self.tracker.recovered.clear()
        keyframe = self.tracker.reference if update.new_keyframe is None else update.new_keyframe
        self._history.add(frame_set.stamp_ns, update.T_map_rig, graph, keyframe)

    def _fuse(self, prepared: Prepared, update: TrackingUpdate) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Adds the observations of a new keyframe, and those that have come to older ones; takes out those that newer ones
        of the same view replace."""
        added = []
        if update.closed_loops and self.tracker.resizes:
            self._rescale()
        if update.new_keyframe is not None:
            for camera, cloud in prepared.clouds.items():
                T_rig_cam = prepared.frame_set.T_rig_cam[camera]
                added += self._observe(observations.observation(cloud, self._next_observation, update.new_keyframe, T_rig_cam,
                                                             self.config, features=self.meaning.describe(cloud.frame)))
        added += self._fuse_dense(self.tracker.take_dense())
        removed = self.map.stale_observations() if added else []
        for number in removed:
            self.map.remove(number)
        return tuple(added), tuple(removed)

    def _fuse_dense(self, views: list[DenseView]) -> list[int]:
        """Adds what tracking found to be the depth of keyframes."""
        added = []
        self._warnings.update(observations.doubts(self.tracker, self.model) if views else {})
        for view in views:
            cloud, T_rig_cam = observations.dense_cloud(view, self.config), view.tracked.T_rig_cam[view.camera]
            features = self.meaning.describe(cloud.frame) if view.features is None else view.features
            added += self._observe(observations.observation(cloud, self._next_observation, view.keyframe, T_rig_cam,
                                                            self.config, measured=False, features=features))
        return added

    def _observe(self, new: Observation) -> list[int]:
        """Adds an observation to the map; returns its number, or nothing when the map is full."""
        try:
            self.map.add(new, self.tracker.graph.keyframes[new.keyframe].T_map_rig)
        except MapFullError as error:
            self._warnings["full"] = str(error)
            return []
        self._next_observation += 1
        return [new.id]

    def _follow(self) -> tuple[int, ...]:
        """Moves what is fused with an outdated pose, within the time budget."""
        moved, self._backlog = self.map.follow(self._keyframe_poses(), self.config.fusion.budget_ms)
        return tuple(moved)

    def _keyframe_poses(self) -> dict[int, np.ndarray]:
        return {i: k.T_map_rig for i, k in self.tracker.graph.keyframes.items()}

    def _bound_keyframes(self) -> None:
        """Keeps the number and the memory of keyframes below their limits: the oldest leave the graph. Their part of the
        map stays where it is, and so do their frames' poses."""
        graph, limits = self.tracker.graph, self.config.limits
        while len(graph.keyframes) > self.config.keyframes.max_keyframes or (
                graph.nbytes + self.map.observation_bytes > limits.keyframe_megabytes * 1e6 and len(graph.keyframes) > 3):
            oldest = graph.keyframes[min(graph.keyframes)]
            self._history.retire(graph, oldest.id)
            self.map.freeze(oldest.id)
            graph.remove(oldest.id)
            self._warnings["keyframes"] = "the oldest keyframes were dropped to stay within limits; their map stays as it is"

    # what others ask for

    def add_labels(self, stamp_ns: int, camera: str, labels: np.ndarray, label_space: LabelSpace | None) -> bool:
        """Labels of a frame that was processed before; false if no keyframe is of that time. ValueError for a wrong size.

        labels: (H, W) uint16 as the camera sees it, with its distortion.
        """
        if label_space is not None:
            self.set_label_space(label_space)
        for number, seen in self.map.observations.items():
            if seen.stamp_ns == stamp_ns and seen.camera == camera:
                self.map.add_labels(number, observations.late_labels(seen, labels, self._rectify))
                return True
        return False

    def reset(self) -> None:
        """Forgets everything but the settings; epoch and session go up."""
        self._history = PoseHistory()
        self._calibrate.clear()
        self._frames, self._without_pose = 0, 0
        self._begin_session({})

    def new_session(self) -> None:
        """Starts an empty map; the poses of the session that ends are kept for the trajectory."""
        self._history.retire(self.tracker.graph)
        self._begin_session(self.tracker.knowledge())
        self._warnings["session"] = f"session {self.session} started: tracking could not be regained"

    def _begin_session(self, knowledge: dict[str, Any]) -> None:
        self.session += 1
        self.map_epoch += 1
        self._start(knowledge)

    def settle(self) -> None:
        """Makes the map what it would be had all keyframes been fused with their final poses."""
        if not self.localization_only:  # a map that is only used stays as it is
            self.tracker.finish()
        self._fuse_dense(self.tracker.take_dense(everything=True))
        self._rescale()
        self.map.settle(self._keyframe_poses())
        self._backlog = 0

    def _rescale(self) -> None:
        """Replaces observations whose keyframes have another scale or focal length by now than when they were made."""
        for number, seen in list(self.map.observations.items()):
            keyframe = self.tracker.graph.keyframes.get(seen.keyframe)
            changed = None if keyframe is None else observations.rescaled(seen, keyframe, self.tracker, self._next_observation)
            if changed is not None:
                self.map.remove(number)
                self._observe(changed)

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
        if self._gravity_source == "none" or not self.map.block_count:
            return None
        return self.map.occupancy(self.config.grid)

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
        """Where the rig is in the map, as somebody outside says. ValueError for what is no rigid transform, and where
        there is no map yet."""
        if not self.tracker.graph.keyframes:
            raise ValueError("an initial pose needs a map: load one, or wait for the first keyframe")
        if not is_se3(T_map_rig):
            raise ValueError(f"the initial pose is no rigid transform: {T_map_rig}")
        self.tracker.set_initial_pose(T_map_rig)

    def apply_runtime(self, config: Config) -> None:
        """Takes over the parameters that may change at run time."""
        self.config = config
        self.tracker.config = config
        self.map.config = config.fusion
        self.meaning.apply(config)
        self.map.set_names(self.meaning.names)

    def status(self) -> PipelineStatus:
        graph = self.tracker.graph
        focal, estimated = self._calibrate.focal_px(self.tracker)
        known = bool(graph.keyframes) and self.model.is_metric
        return PipelineStatus(
            self._last.state, self._last.reason, self.session, self.map_epoch, graph.version, known,
            *observations.scale_of(self.model, known), self._gravity_source != "none",
            self._gravity_source, len(graph.keyframes), self._last.match_fraction, len(self.map.observations),
            self._backlog, self.map.block_count, self.map.nbytes, graph.nbytes + self.map.observation_bytes, self._frames,
            self._without_pose, focal, estimated, tuple(self._warnings.values()), self.localization_only,
            dict(self.tracker.knowledge().get("off_pinhole", {})), self.map.backend.name)

    def save(self, folder: Path) -> int:
        """Writes the map into `folder` and returns the bytes written. The folder appears, or is replaced, only when all is
        written; on an error (OSError: full disk) what was there stays whole."""
        with store.replacing(Path(folder)) as fresh:
            self.map.save(fresh / "map")
            store.save_graph(fresh, self.tracker, {
                **self.meaning.save(fresh, self.map.has_features), "gravity_source": self._gravity_source,
                "next_observation": self._next_observation, "config": self.config.to_dict()})
        return store.folder_bytes(Path(folder))

    def load(self, folder: Path, localization_only: bool = False) -> None:
        """Replaces graph and map by a saved one; tracking starts by looking for itself in it. FileNotFoundError or
        ValueError if the folder is not a whole map; then nothing has changed."""
        folder = Path(folder)
        tracker = make_tracker(self.config, self.model)
        meta = store.load_graph(folder, tracker, self.model)
        voxels = VoxelMap(self.config.fusion)
        voxels.load(folder / "map")
        language = self.meaning.of_saved(folder, meta)
        self._history = PoseHistory()
        self._begin_session({})
        self.tracker, self.map = tracker, voxels
        self.localization_only = tracker.localization_only = localization_only
        self._next_observation = meta["next_observation"]
        self._gravity_source = meta["gravity_source"]
        self.meaning.adopt(language, meta)
        voxels.set_names(self.meaning.names)
        self._last = TrackingUpdate(TrackingState.LOST, None, None, 0.0, reason="map loaded; looking for the camera in it")

    def close(self) -> None:
        """Lets go of all memory."""
        self.reset()

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stage_ms[stage] = (time.perf_counter() - start) * 1e3
