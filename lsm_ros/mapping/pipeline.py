# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The mapping pipeline: frame sets in; poses, keyframes and a voxel map out. Synchronous and deterministic."""
from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from lsm_ros.config import Config
from lsm_ros.files import replacing_folder
from lsm_ros.geometry import is_se3
from lsm_ros.mapping import store
from lsm_ros.mapping.atlas import Atlas
from lsm_ros.mapping.counts import FrameCounts, counted
from lsm_ros.mapping.doubts import doubts
from lsm_ros.mapping.frames import FramePreparation
from lsm_ros.mapping.fuser import Fuser
from lsm_ros.mapping.levelling import Levelling
from lsm_ros.mapping.limits import bound_keyframes
from lsm_ros.mapping.observations import cloud_of
from lsm_ros.mapping.posed import place
from lsm_ros.mapping.readings import Readings
from lsm_ros.mapping.scale import ScaleKeeper
from lsm_ros.mapping.second_look import SecondLook
from lsm_ros.mapping.session import MapSession
from lsm_ros.mapping.status import status_of
from lsm_ros.mapping.unused import unused_settings
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.pairs import PairModel, make_pair_model
from lsm_ros.semantics.layer import SavedSemantics, SemanticLayer
from lsm_ros.semantics.shared import SharedLanguage
from lsm_ros.slam.trackers import FrameDepth, TrackedFrame, make_tracker
from lsm_ros.slam.trackers.base import Contradiction
from lsm_ros.threads import use_threads
from lsm_ros.types import (
    FrameSet,
    LabelSpace,
    MappingUpdate,
    PipelineStatus,
    TrackingState,
    TrackingUpdate,
)


class MappingPipeline(Readings):
    """Everything between images and map. Not thread-safe: one worker owns it, but for `texts`. model: used instead of the one
    that `config.pairs` names. background: frames wait for no work on the graph; what comes out then depends on the machine."""

    def __init__(self, config: Config, model: PairModel | None = None, background: bool = False) -> None:
        self.config, self._background = config, background
        use_threads(config.limits.threads)
        self.model = make_pair_model(config.pairs, config.two_view.features) if model is None else model
        self.warnings = Warnings()
        self.semantics = SemanticLayer(config, self.model, self.warnings)
        self._prepare = FramePreparation(config, self.model, self.warnings)
        self._atlas = Atlas(self._empty_session)
        self.counts = FrameCounts()
        self._start()

    def _empty_session(self, number: int, next_keyframe: int, next_observation: int) -> MapSession:
        tracker = make_tracker(self.config, self.model)
        fuser = Fuser(self.config, self.semantics, self.warnings, next_observation)
        tracker.graph.next_id, tracker.background = next_keyframe, self._background
        return MapSession(number, tracker, fuser, Levelling(self.config, self.warnings),
                          ScaleKeeper(self.config, self.model, self.warnings))

    def _start(self) -> None:
        """Sets what every map begins with."""
        self.localization_only = False
        self._last = TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0, reason="no frame yet")
        self.warnings.clear()
        self.semantics.restart()
        self.map.set_names(self.semantics.names)
        self._look_at_settings()
        self._stage_ms: dict[str, float] = {}

    def _look_at_settings(self, config: Config | None = None) -> None:
        """Warns of settings without effect. ValueError for one that names a model."""
        text = unused_settings(self.config if config is None else config, self.model, self.semantics)
        if text:
            self.warnings.say("settings", text)
        else:
            self.warnings.over("settings")

    @property
    def _fuser(self) -> Fuser:
        return self._atlas.here.fuser

    @counted
    def process(self, frame_set: FrameSet) -> MappingUpdate:
        """Tracks one frame set, makes it a keyframe if it should be one, and brings the map up to date."""
        self._stage_ms, map_before, seq_before = {}, self.map, self.map.seq
        with self._timed("prepare"):
            prepared = self._atlas.here.scale.check(self._prepare_frames(frame_set))
        with self._timed("track"):
            loops = self.tracker.catch_up(wait=False)
            update, tracked = self.tracker.track(prepared)
        with self._timed("keyframe"):
            update = self._keyframe(self._checked(update, self.tracker.contradiction), tracked, prepared)
            depths = {} if tracked is None else self.tracker.frame_depth(tracked)
            if tracked is not None and update.T_map_rig is not None:
                wrong = self._atlas.watch(frame_set.stamp_ns, update.T_map_rig, depths, tracked.T_rig_cam)
                update = self._checked(update, wrong)
            self._atlas.here.see(prepared, update.T_map_rig)
            update = self._move_map(update, depths, tracked)
        with self._timed("join"):
            update = self._join(update, tracked)
        update = replace(update, closed_loops=(*loops, *update.closed_loops))
        self._record(frame_set, update)
        with self._timed("fuse"):
            added, removed = self._fuse(update)
        with self._timed("move"):
            moved = self._fuser.follow(self.tracker.graph)
        self._last = update
        changed = self.map.changed_blocks(seq_before if self.map is map_before else 0)
        return MappingUpdate(frame_set.stamp_ns, update, tuple(added), moved, removed, len(changed), self._fuser.backlog,
                             self.tracker.graph.version, self.map_epoch, self.session, dict(self._stage_ms),
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
        if update.state is TrackingState.RELOCALIZED and self._atlas.is_ambiguous(tracked):
            self.new_session()
            return self._initialize(tracked, prepared.rig_is_base)
        self._atlas.count.found()
        if not self.tracker.wants_keyframe(tracked):
            return update
        keyframe, loops = self.tracker.add_keyframe(tracked, update.T_map_rig)
        self._prepare.calibrate.check(keyframe)
        bound_keyframes(self.tracker.graph, self.map, self._atlas.here.history, self.config, self.warnings)
        return replace(update, T_map_rig=keyframe.T_map_rig, new_keyframe=keyframe.id, closed_loops=loops)

    def _initialize(self, tracked: TrackedFrame, rig_is_base: bool, T_map_rig: np.ndarray | None = None) -> TrackingUpdate:
        """First keyframe of a session: the map frame starts at the rig, level with the base if there is one."""
        started = self.tracker.start(tracked, np.eye(4) if T_map_rig is None else T_map_rig)
        if started.keyframe is None:
            return TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0,
                                  reason=self.warnings.get("depth") or started.reason)
        for stamp_ns, T, keyframe in started.recovered:
            self._atlas.here.history.add(stamp_ns, T, self.tracker.graph, keyframe, published=False)
        self.counts.without_pose -= len(started.recovered)
        self._atlas.here.levelling.start(rig_is_base)
        self._atlas.count.found()
        return TrackingUpdate(self.tracker.state, started.keyframe.T_map_rig, np.diag([1e-6] * 6), 1.0, started.keyframe.id)

    def _give_up(self, update: TrackingUpdate, tracked: TrackedFrame, rig_is_base: bool) -> TrackingUpdate:
        """Lost for long: goes on from odometry, or starts a new session."""
        is_over = self._atlas.count.is_lost_for(tracked.stamp_ns, self.tracker.patience_s())
        if not is_over or self.tracker.is_trying or not self.tracker.can_start(tracked):
            return update
        expected = self.tracker.expected_from_odometry(tracked)
        if expected is None or self.tracker.contradicts(tracked, expected):
            self.new_session()
            return self._initialize(tracked, rig_is_base)
        self._atlas.go_on(tracked.stamp_ns)
        self.warnings.say("session", f"session {self.session} goes on from odometry: the camera was lost")
        return self._initialize(tracked, rig_is_base, expected)

    def _move_map(self, update: TrackingUpdate, depths: dict[str, FrameDepth], tracked: TrackedFrame | None) -> TrackingUpdate:
        """Levels the map by the IMU, or by the floor that a new keyframe shows, while nothing else gives gravity; and lets it
        grow to metres once its scale is sure, or sure to be another one."""
        here, graph = self._atlas.here, self.tracker.graph
        if update.new_keyframe is None or tracked is None or self.localization_only:
            return update
        keyframe = graph.keyframes[update.new_keyframe]
        levelled = here.level(keyframe, depths, tracked.T_rig_cam, self.model.is_metric)
        grown = here.scale.update(self.tracker)
        if grown:
            here.resized()
        if grown or (levelled and len(graph.keyframes) > 1):
            self._atlas.count.map_moved()
        return replace(update, T_map_rig=keyframe.T_map_rig)

    def _record(self, frame_set: FrameSet, update: TrackingUpdate) -> None:
        if not self.counts.pose(update):
            return
        keyframe = self.tracker.reference if update.new_keyframe is None else update.new_keyframe
        assert keyframe is not None and update.T_map_rig is not None  # a pose is found in keyframes
        self._atlas.here.history.add(frame_set.stamp_ns, update.T_map_rig, self.tracker.graph, keyframe)

    def _fuse(self, update: TrackingUpdate) -> tuple[list[int], tuple[int, ...]]:
        """Adds the depth that keyframes have by now, and takes out what newer keyframes of the same view replace."""
        if update.closed_loops and self.tracker.resizes:
            self._fuser.rescale(self.tracker)
        added = self._take_depth() + self._fuser.take_in(self.tracker.graph, self.config.fusion.budget_ms)
        return added, self._fuser.remove_stale() if added else ()

    def _take_depth(self, everything: bool = False) -> list[int]:
        depths = self.tracker.take_depth(everything)
        self._atlas.here.scale.add_depths(depths, self.tracker.graph)
        for name, text in (doubts(self.model, self.tracker) if depths else {}).items():
            self.warnings.say(name, text)
        return self._fuser.add(depths, self.tracker.graph)

    @property
    def session(self) -> int:
        """Number of the session that the map belongs to, raised when mapping starts anew or goes on after the camera was lost;
        that of an older one again when the map was joined to it."""
        return self._atlas.here.number

    def reset(self) -> None:
        """Forgets everything but the settings; epoch and session go up."""
        self.counts = FrameCounts()
        self._prepare.clear()
        self._atlas.restart()
        self._start()

    def new_session(self, keep: bool = True, reason: str = "tracking could not be regained") -> None:
        """Starts an empty map. The one before is kept, to be joined when the camera comes back to it; or all are forgotten."""
        self._atlas.begin(keep)
        self._start()
        self.warnings.say("session", f"session {self.session} started: {reason}")

    def _checked(self, update: TrackingUpdate, wrong: Contradiction | None) -> TrackingUpdate:
        """Takes back what tied keyframes to older ones, if the images contradict it."""
        if wrong is None:
            return update
        before = self.session
        self.counts.without_pose += self._atlas.split(wrong)
        text = f"a part of the map was not where it belongs and was taken out: {wrong.reason}"
        self.warnings.say("session", text if self.session == before else f"session {self.session} goes on apart: {text}")
        goes_on = wrong.end is not None or self.session != before
        return replace(update, reason=text) if goes_on else self.tracker.progress.lose(text)

    def _join(self, update: TrackingUpdate, tracked: TrackedFrame | None) -> TrackingUpdate:
        """Joins the map with one from before, once it is clear how they lie."""
        if tracked is None or update.T_map_rig is None:
            return update
        joint = self._atlas.look(tracked, update.new_keyframe is not None)
        if joint is None:
            return update
        before = self.session
        self._atlas.join(joint)
        self.map.set_names(self.semantics.names)
        self.warnings.say("session", f"session {before} was joined to session {self.session}")
        newest = self.tracker.progress.newest
        assert newest is not None  # the frame set has a pose
        return replace(update, state=TrackingState.RELOCALIZED, T_map_rig=newest.T_map_rig)

    def place(self, view: FrameDepth, T_map_cam: np.ndarray) -> None:
        """Takes an image whose camera, pose (4, 4) and depth are known as a keyframe, which goes into the map as it is; nothing
        is tracked and nothing moves. Its frame has intrinsics without distortion."""
        given = place(self.tracker, view, T_map_cam)
        self._fuser.add([given], self.tracker.graph)
        self._atlas.here.history.add(view.frame.stamp_ns, self.tracker.graph.keyframes[given.keyframe].T_map_rig,
                                     self.tracker.graph, given.keyframe)

    def take_for_metres(self, source: str, std: float) -> None:
        """Lengths of the map are metres as `source` says, with a relative standard deviation."""
        self._atlas.here.scale.recall({"is_metric": True, "source": source, "std": std})

    def settle(self) -> None:
        """Makes the map what it would be had all keyframes been fused with their final poses."""
        if not self.localization_only:  # a map that is only used stays as it is
            self.tracker.finish()
            if self._atlas.here.settle():
                self._atlas.count.map_moved()
        self._take_depth(everything=True)
        self._fuser.rescale(self.tracker)
        self._fuser.settle(self.tracker.graph)
        self._prepare.calibrate.finish(self.tracker)

    def look_again(self, frame_sets: Iterable[FrameSet]) -> int:
        """Looks in the finished map for frames of its session that got no pose, and returns how many were found. They are
        counted with a pose from then on; what was published stays. frame_sets: all of them, or some, in order of time."""
        look = SecondLook(self.tracker, self._atlas.here.history, self._prepare, self.trajectory())
        found = look.look(frame_sets)
        self.counts.without_pose = max(self.counts.without_pose - found, 0)  # some had a pose in a map that is not this one
        return found

    @property
    def texts(self) -> SharedLanguage:
        """Texts as the map understands them, for all threads."""
        return self.semantics.shared

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
        known = self.tracker.graph.keyframes.values()
        keyframe = next((k for k in known if k.stamp_ns == stamp_ns and camera in k.views), None)
        return keyframe is not None and self._fuser.add_labels(keyframe, camera, labels, self._prepare.rectify)

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Takes the position of the rig in the map (4, 4) from outside. ValueError for what is no rigid transform, and where
        there is no map yet."""
        if not self.tracker.graph.keyframes:
            raise ValueError("an initial pose needs a map: load one, or wait for the first keyframe")
        if not is_se3(T_map_rig):
            raise ValueError(f"the initial pose is no rigid transform: {T_map_rig}")
        self.tracker.set_initial_pose(T_map_rig)

    def apply_runtime(self, config: Config) -> None:
        """Takes over the parameters that may change at run time. ValueError, and nothing has changed, as of the start."""
        self._look_at_settings(config)
        self.config = config
        self.tracker.apply(config)
        self._fuser.apply(config)
        self.semantics.apply(config)
        self.map.set_names(self.semantics.names)

    def status(self) -> PipelineStatus:
        """State and sizes at this moment."""
        return status_of(self._atlas, self.counts, self._last, *self._prepare.calibrate.focal_px(self.tracker),
                         self.warnings.texts, self.localization_only)

    def save(self, folder: Path) -> int:
        """Writes the map into `folder` and returns the bytes written. The folder appears, or the map in it is replaced, only
        when all is written; on an error (OSError: full disk) what was there stays whole."""
        self.tracker.catch_up()
        self.objects()  # of the map as it is saved
        with replacing_folder(folder, store.OWN) as fresh:
            store.save_session(fresh, self._atlas.here, self.semantics.save(fresh, self.map.has_features), self.config)
        return store.folder_bytes(Path(folder))

    def load(self, folder: Path, localization_only: bool = False) -> None:
        """Replaces graph and map by a saved one; tracking starts by looking for itself in it. FileNotFoundError or
        ValueError if the folder is not a whole map; then nothing has changed."""
        loaded, semantics = self._loaded(Path(folder))
        self._atlas.adopt(loaded)
        self._prepare.sizes.clear()
        self._start()
        self.localization_only = loaded.tracker.localization_only = localization_only
        self.semantics.adopt(semantics)
        self.map.set_names(self.semantics.names)
        self._look_at_settings()  # a map may bring language
        self._last = TrackingUpdate(TrackingState.LOST, None, None, 0.0, reason="map loaded; looking for the camera in it")

    def add_map(self, folder: Path) -> None:
        """Loads another saved map, which is built on; the present one is kept to be joined. Errors as of `load`."""
        self._atlas.add(self._loaded(Path(folder))[0])

    def join_maps(self) -> int:
        """Joins all maps that show the same, when no more frames come; returns the number of those that stay apart."""
        return 0 if self.localization_only else self._atlas.join_all()

    def _loaded(self, folder: Path) -> tuple[MapSession, SavedSemantics]:
        loaded = self._empty_session(0, 0, 0)
        return loaded, self.semantics.of_saved(folder / store.META, store.load_session(folder, loaded))

    close = reset  # lets go of all memory

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stage_ms[stage] = (time.perf_counter() - start) * 1e3
