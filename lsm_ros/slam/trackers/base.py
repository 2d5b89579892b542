# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of trackers to the pipeline, and the data that goes between the two.

A new tracker is a file in this folder and a line in `lsm_ros.registry.TRACKERS`.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from lsm_ros.config import Config
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.pairs.base import Matches, PairModel
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.pose import RigPose
from lsm_ros.slam.trackers.cameras import CameraKnowledge
from lsm_ros.slam.trackers.progress import Progress
from lsm_ros.types import Frame, FrameSet, TrackingState, TrackingUpdate

if TYPE_CHECKING:
    import typing_extensions  # for a default, which Python has from 3.13 on; what runs does not need it

    Tracked = typing_extensions.TypeVar("Tracked", bound="TrackedFrame", default="TrackedFrame")
else:
    Tracked = TypeVar("Tracked")


@dataclass
class TrackedFrame:
    """A frame set with its tokens, and what was found in it. Cameras without intrinsics are left out.

    matches: by (keyframe, camera), that keyframe's landmarks in this frame. fraction: share of the landmarks of keyframe
    `reference` that were found. pose: None unless it is believed. frames: what was tracked, by camera.
    """

    stamp_ns: int
    tokens: dict[str, Any]
    intrinsics: dict[str, CameraIntrinsics]
    T_rig_cam: dict[str, np.ndarray]
    T_odom_base: np.ndarray | None
    pose: RigPose | None = None
    matches: dict[tuple[int, str], Matches] = field(default_factory=dict)
    reference: int | None = None
    fraction: float = 0.0
    frames: dict[str, Frame] = field(default_factory=dict)

    @property
    def cameras(self) -> dict[str, tuple[CameraIntrinsics, np.ndarray]]:
        """Intrinsics and T_rig_cam (4, 4) by camera."""
        return {c: (self.intrinsics[c], self.T_rig_cam[c]) for c in self.tokens}


@dataclass(frozen=True)
class FrameDepth:
    """Dense depth of one camera's frame. depth: (H, W) float32 along the optical axis in units of the map, 0 = none.
    confidence: (H, W) float32 in [0, 1], 0 = none. measured: by a depth camera, whose noise the map knows."""

    frame: Frame
    intrinsics: CameraIntrinsics
    depth: np.ndarray
    confidence: np.ndarray
    measured: bool


@dataclass(frozen=True)
class KeyframeDepth:
    """Depth that a keyframe's camera at T_rig_cam (4, 4) gives to the map. features: language features as an `Observation` has
    them, where tracking has some."""

    keyframe: int
    T_rig_cam: np.ndarray
    view: FrameDepth
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Start:
    """The first keyframe of a map, or None and why there is none yet. recovered: poses T_map_rig of earlier frames that came
    with it, as (stamp_ns, T_map_rig, keyframe)."""

    keyframe: Keyframe | None
    reason: str = ""
    recovered: tuple[tuple[int, np.ndarray, int], ...] = ()


class Tracker(ABC, Generic[Tracked]):
    """Finds the pose of each frame set, and owns the keyframe graph. Not thread-safe.

    The pipeline calls `track` for each frame set; without a map then `start`; with one, where `wants_keyframe` says so,
    `add_keyframe`. A kind is constructed as kind(config, model) and reports by `progress`: `track` returns what
    `progress.lose(reason)` or `progress.accept(pose, ...)` gives, `add_keyframe` calls `progress.keyframe_added`. A tracker
    that keeps more of a frame set than a `TrackedFrame` has a type of its own for that; it is given back what its `track`
    returned. localization_only: set from outside; then nothing may be added to the graph.

    finds_focal: cameras need no calibration. view_type: of its keyframes. resizes: loops change the units of depth.
    """

    finds_focal: ClassVar[bool] = False
    view_type: ClassVar[type[KeyframeView]] = KeyframeView
    resizes: bool = False
    config: Config

    def __init__(self, config: Config, model: PairModel, graph: KeyframeGraph) -> None:
        self.model, self.graph = model, graph
        self.cameras = CameraKnowledge()
        self.progress = Progress()
        self.localization_only = False
        self.apply(config)

    @staticmethod
    @abstractmethod
    def suits(model: PairModel) -> bool:
        """True if this kind of tracking works with what a pair model gives."""

    @abstractmethod
    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, Tracked | None]:
        """Pose of a frame set, whose frames have intrinsics without distortion where they are known. Adds nothing to the
        graph. None where no camera can be used."""

    @abstractmethod
    def can_start(self, new: Tracked) -> bool:
        """True if a map could start from this frame set."""

    @abstractmethod
    def start(self, new: Tracked, T_map_rig: np.ndarray) -> Start:
        """Takes a frame set while there is no map, or after the camera was lost. T_map_rig (4, 4): where it is."""

    @abstractmethod
    def wants_keyframe(self, new: Tracked) -> bool:
        """True if a tracked frame set should become a keyframe."""

    @abstractmethod
    def add_keyframe(self, new: Tracked, T_map_rig: np.ndarray) -> tuple[Keyframe, tuple[int, ...]]:
        """Makes a keyframe of a frame set and links it with others. Returns it, and the ids of older keyframes that it was
        joined to again (loops)."""

    @abstractmethod
    def frame_depth(self, new: Tracked) -> dict[str, FrameDepth]:
        """Dense depth by camera that is known of this very frame set."""

    @abstractmethod
    def take_depth(self, everything: bool = False) -> list[KeyframeDepth]:
        """Dense depth of keyframes that has become final since the last call; everything: of all that still wait."""

    @abstractmethod
    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """Change of the scale at a keyframe since `depth` (H, W), 0 = none, was taken from it."""

    @abstractmethod
    def finish(self) -> None:
        """Brings the graph to its best, when no frame is expected soon."""

    def apply(self, config: Config) -> None:
        """Takes over parameters, at the start and while running."""
        self.config = config

    def expected_from_odometry(self, new: Tracked) -> np.ndarray | None:
        """T_map_rig (4, 4) that odometry alone gives since the last believed pose; None where it cannot be used."""
        return self.progress.from_odometry(new.stamp_ns, new.T_odom_base)

    def patience_s(self) -> float:
        """Seconds of being lost after which a new session starts."""
        return self.config.tracking.lost_session_seconds

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame: every pose P becomes T_new_old P."""
        for keyframe in self.graph.keyframes.values():
            keyframe.T_map_rig = T_new_old @ keyframe.T_map_rig
        self.progress.move_map(T_new_old)
        self.graph.version += 1

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Position of the rig as reported from outside (4, 4); the map is searched there."""
        self.progress.expect(T_map_rig)

    @property
    def state(self) -> TrackingState:
        """State of tracking."""
        return self.progress.state

    @property
    def reference(self) -> int | None:
        """Keyframe that frames are tracked against."""
        return self.progress.reference
