# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The interface of trackers to the pipeline, and the data that goes between the two.

A new tracker is a file in this folder and a line in `lsm_ros.registry.TRACKERS`.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
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
    def in_order(self) -> list[Any]:
        """Tokens of the cameras in the order of their names, as signatures are made of them."""
        return [t for _, t in sorted(self.tokens.items())]

    @property
    def cameras(self) -> dict[str, tuple[CameraIntrinsics, np.ndarray]]:
        """Intrinsics and T_rig_cam (4, 4) by camera."""
        return {c: (self.intrinsics[c], self.T_rig_cam[c]) for c in self.tokens}


@dataclass(frozen=True)
class FrameDepth:
    """Dense depth of one camera's frame. depth: (H, W) float32 along the optical axis in units of the map, 0 = none.
    confidence: (H, W) float32 in [0, 1], 0 = none. measured: by a depth camera, whose noise the map knows. Both are 0 where
    the frame has its mask."""

    frame: Frame
    intrinsics: CameraIntrinsics
    depth: np.ndarray
    confidence: np.ndarray
    measured: bool

    def __post_init__(self) -> None:
        if self.frame.mask is not None:
            for name in ("depth", "confidence"):
                object.__setattr__(self, name, np.where(self.frame.mask, np.float32(0.0), getattr(self, name)))


@dataclass(frozen=True)
class KeyframeDepth:
    """Depth that a keyframe's camera at T_rig_cam (4, 4) gives to the map. features: language features as an `Observation` has
    them, where tracking has some. prior_scale: ln(metres per map unit) by a depth prior in metres,
    and what that errs by at a pixel; None for none."""

    keyframe: int
    T_rig_cam: np.ndarray
    view: FrameDepth
    features: np.ndarray | None = None
    prior_scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Contradiction:
    """Keyframes from `first` to before `end` (None: all newer ones) do not belong where they are. reason: for people."""

    first: int
    end: int | None
    reason: str


def part_of(keyframe: int, bounds: Sequence[int]) -> int:
    """The part that a keyframe belongs to; the oldest has number -1."""
    at = bisect_right(bounds, keyframe)
    return bounds[at - 1] if at else -1


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
    returned. localization_only: set from outside; then nothing may be added to the graph. background: set from outside; work
    on the graph may then be done in a thread of its own, while frames go on, and `catch_up` takes over what it finds.

    finds_focal: cameras need no calibration. view_type: of its keyframes. frame_type: of its frame sets. resizes: the map may
    be given another size (`resize`), and loops change that of its parts.

    attached: what tied runs of keyframes to older ones without a prior (finds after the camera was lost, joins of maps), by
    their first keyframe. contradiction: which of these the newest frame set shows to be wrong, or None.
    """

    finds_focal: ClassVar[bool] = False
    view_type: ClassVar[type[KeyframeView]] = KeyframeView
    frame_type: ClassVar[type[TrackedFrame]] = TrackedFrame
    resizes: bool = False
    config: Config

    def __init__(self, config: Config, model: PairModel, graph: KeyframeGraph) -> None:
        self.model, self.graph = model, graph
        self.cameras = CameraKnowledge()
        self.progress = Progress()
        self.localization_only = self.background = False
        self.attached: dict[int, int] = {}  # stamp, ns, of the frame set with which it came about
        self.contradiction: Contradiction | None = None
        self.apply(config)

    @staticmethod
    @abstractmethod
    def suits(model: PairModel) -> bool:
        """True if this kind of tracking works with what a pair model gives."""

    @abstractmethod
    def track(self, frame_set: FrameSet) -> tuple[TrackingUpdate, Tracked | None]:
        """Pose of a frame set, whose frames have intrinsics without distortion where they are known. Adds nothing to the
        graph. None where no camera can be used."""

    def read(self, frame_set: FrameSet) -> Tracked | None:
        """A frame set as `locate` takes it, without a pose; frames as for `track`. None where no camera can be used, or for a
        kind that does not locate."""
        return None

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

    def catch_up(self, wait: bool = True) -> tuple[int, ...]:
        """Takes over what was found about the graph in the background. Returns the older keyframes that newer ones were joined
        with (loops). wait: until nothing is left to be found. An error of the background is raised here."""
        return ()

    @abstractmethod
    def frame_depth(self, new: Tracked) -> dict[str, FrameDepth]:
        """Dense depth by camera that is known of this very frame set."""

    @abstractmethod
    def take_depth(self, everything: bool = False) -> list[KeyframeDepth]:
        """Dense depth of keyframes that has become final since the last call; everything: of all that still wait."""

    @abstractmethod
    def depth_ratio(self, keyframe: Keyframe, camera: str, depth: np.ndarray) -> float:
        """Change of the scale at a keyframe since `depth` (H, W), 0 = none, was taken from it."""

    def locate(self, new: Tracked) -> Tracked | None:
        """Looks for a frame set, tracked in another map or not at all, in the whole of this one: a copy with its pose here.
        None where it fits no place, or several, or where a kind of tracking cannot say. Nothing is changed."""
        return None

    def confirm(self, new: Tracked, T_map_rig: np.ndarray) -> Tracked | None:
        """As `locate`, at the place T_map_rig (4, 4) where it should be."""
        return None

    def unit_ratio(self, here: Tracked, new: Tracked, there: Tracker) -> float:
        """Units of this map for each unit of the map of `there`, from one frame set tracked in both: `here` by this tracker,
        `new` by the other. nan where it shows too little."""
        return 1.0 if self.model.is_metric else float("nan")

    def resize(self, factor: float) -> None:
        """Makes the map larger by a factor, away from its origin. ValueError where that cannot be."""
        raise ValueError(f"this map cannot be resized (by {factor})")

    def contradicts(self, new: Tracked, T_map_rig: np.ndarray) -> str:
        """Why the map says that a frame set is not at T_map_rig (4, 4); '' if nothing is known there, or for a kind that
        compares no images."""
        return ""

    def frame_of(self, keyframe: Keyframe) -> TrackedFrame:
        """A keyframe as a frame set with its pose, which shows its own landmarks, to be looked for in other maps."""
        views, own = keyframe.views, {}
        for c, v in views.items():
            known = np.flatnonzero(np.isfinite(v.inverse_depth))
            own[keyframe.id, c] = Matches(known, v.corners[known], np.full(len(known), np.nan))
        pose = RigPose(keyframe.T_map_rig, np.eye(6), [])
        return self.frame_type(keyframe.stamp_ns, {c: v.tokens for c, v in views.items()},
                            {c: v.intrinsics for c, v in views.items()}, {c: v.T_rig_cam for c, v in views.items()}, None,
                            pose, own, keyframe.id, 1.0)

    def misfit(self, older: Tracker, T_older_here: np.ndarray, units: float) -> Contradiction | None:
        """Evidence against this map lying in that of `older` at T_older_here (4, 4), which has `units` for each unit of this
        one: a part of the older map that does not belong there, or, with `first` -1, the place. None if nothing does, or for a
        kind that compares no images."""
        return None

    def knit(self, first: int) -> None:
        """Links the newest keyframes with those older than `first`, where they see the same, after the map was joined with
        another one."""

    def prior_note(self) -> str:
        """Says of how many images a depth prior was left out, and why; '' for none."""
        return ""

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

    def absorb(self, older: Tracker) -> None:
        """Takes in all keyframes of the tracker of an older map, whose frame and unit this one has been moved to."""
        self.catch_up()
        older.catch_up()
        first, newest = min(self.graph.keyframes), self.progress.newest
        self.graph.take(older.graph, list(older.graph.keyframes))
        self.attach(first, 0 if newest is None else newest.stamp_ns)
        self.attached = dict(sorted({**older.attached, **self.attached}.items()))
        self.knit(first)

    def attach(self, first: int, stamp_ns: int) -> None:
        """Notes that the keyframes from `first` on are tied to older ones without a prior."""
        self.attached = dict(sorted({**self.attached, first: stamp_ns}.items()))

    def split(self, first: int, end: int | None) -> Tracker:
        """Lets go of keyframes: of those from `first` to before `end`, or, where these are the newest (`end` None), of all
        older ones. Another tracker of the same kind has them from now on; what tied the two is forgotten."""
        self.catch_up()
        kind: Any = type(self)
        other: Tracker = kind(self.config, self.model)
        other.background = self.background
        other.cameras.recall(self.cameras.to_dict())
        gone = [i for i in self.graph.keyframes if (i < first if end is None else first <= i < end)]
        other.graph.take(self.graph, gone)
        other.progress.state = TrackingState.LOST
        other.progress.reference = max(other.graph.keyframes, default=None)
        kept = {i: t for i, t in self.attached.items() if i != first}
        other.attached = {i: t for i, t in kept.items() if gone and gone[0] < i <= gone[-1]}
        self.attached = {i: t for i, t in kept.items() if i not in other.attached and (end is not None or i > first)}
        if self.progress.reference not in self.graph.keyframes:
            self.progress.reference = max(self.graph.keyframes, default=None)
        return other

    def move_map(self, T_new_old: np.ndarray) -> None:
        """Moves the map frame: every pose P becomes T_new_old P."""
        self.catch_up()
        for keyframe in self.graph.keyframes.values():
            keyframe.T_map_rig = T_new_old @ keyframe.T_map_rig
        self.progress.move_map(T_new_old)
        self.graph.version += 1

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Position of the rig as reported from outside (4, 4); the map is searched there."""
        self.progress.expect(T_map_rig)

    @property
    def is_trying(self) -> bool:
        """True while a place that was found is looked at again before it counts."""
        return False

    @property
    def state(self) -> TrackingState:
        """State of tracking."""
        return self.progress.state

    @property
    def reference(self) -> int | None:
        """Keyframe that frames are tracked against."""
        return self.progress.reference
