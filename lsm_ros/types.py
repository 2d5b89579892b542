# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The data that flows through the pipeline.

Frames are OpenCV optical (x right, y down, z forward) inside; `T_a_b` maps points of b into a. Metres, seconds, radians;
stamps in integer nanoseconds. Pixel centres are integers. Frozen objects may be shared between threads.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm_ros.geometry.camera import CameraIntrinsics

if TYPE_CHECKING:
    import torch

EXACT_SCALE = 0.02
"""Relative standard deviation of the scale up to which lengths are taken for exact; above it users are warned."""
UNLABELLED = 65535
"""Label id of a pixel or voxel without a class (vision_msgs/LabelInfo)."""


@dataclass(frozen=True)
class LabelSpace:
    """Names of label ids.

    `names` maps uint16 ids (0 to 65534) to names; `threshold` is the smallest probability at which a label is given.
    """

    names: dict[int, str]
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for i in self.names:
            if not 0 <= int(i) < UNLABELLED:
                raise ValueError(f"label id {i} ({self.names[i]!r}) is outside 0..{UNLABELLED - 1}")


@dataclass(frozen=True)
class Frame:
    """One image of one camera.

    stamp_ns: acquisition time. camera: name. image: (H, W, 3) uint8 RGB. intrinsics: None if the camera is uncalibrated.
    depth: (H, W) float32, metres along z, 0 or NaN where unknown. labels: (H, W) uint16, `UNLABELLED` where unknown.
    mask: (H, W) bool, true where the camera sees the robot itself. `depth`, `labels` and `mask` are registered to the image.
    frame_id: optical frame, for messages.
    """

    stamp_ns: int
    camera: str
    image: np.ndarray
    intrinsics: CameraIntrinsics | None = None
    depth: np.ndarray | None = None
    labels: np.ndarray | None = None
    label_space: LabelSpace | None = None
    frame_id: str = ""
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image of camera {self.camera!r}: expected (H, W, 3) uint8 RGB, "
                             f"got {self.image.shape} {self.image.dtype}")
        hw = self.image.shape[:2]
        for name, kind in (("depth", np.float32), ("labels", np.uint16), ("mask", np.bool_)):
            a = getattr(self, name)
            if a is not None and (a.shape != hw or a.dtype != kind):
                raise ValueError(f"{name} of camera {self.camera!r}: expected {hw} {np.dtype(kind)}, got {a.shape} {a.dtype}")
        if self.intrinsics is not None and (self.intrinsics.height, self.intrinsics.width) != hw:
            raise ValueError(f"intrinsics of camera {self.camera!r} are for {self.intrinsics.width}x"
                             f"{self.intrinsics.height}, the image is {hw[1]}x{hw[0]}")


@dataclass(frozen=True)
class ImuSample:
    """A reading of an inertial sensor in its own frame. angular_velocity: (3,) rad/s. specific_force: (3,) m/s^2, so that at
    rest it points up with 9.81. Values are as the driver gives them: neither finite nor in these units for certain."""

    stamp_ns: int
    angular_velocity: np.ndarray
    specific_force: np.ndarray

    def __post_init__(self) -> None:
        if self.angular_velocity.shape != (3,) or self.specific_force.shape != (3,):
            raise ValueError(f"a reading of an IMU has 3 and 3 numbers, got {self.angular_velocity.shape} and "
                             f"{self.specific_force.shape}")


@dataclass(frozen=True)
class FrameSet:
    """Frames of one instant, at most one for each camera, and the robot's odometry at that instant if there is one.

    T_rig_cam: fixed pose of each camera in the rig (base) frame, (4, 4); a camera that is not named is the rig itself.
    T_odom_base: (4, 4), base frame in the odometry frame at `stamp_ns`. rig_is_base: the rig frame is the base frame of a
    robot, whose z axis points up when it stands on the floor; else it is the body frame of a camera.
    imu: readings of an inertial sensor since the last frame set, in the order in which they came; T_rig_imu: (4, 4), where
    that sensor sits.
    """

    stamp_ns: int
    frames: tuple[Frame, ...]
    T_rig_cam: dict[str, np.ndarray] = field(default_factory=dict)
    T_odom_base: np.ndarray | None = None
    rig_is_base: bool = False
    imu: tuple[ImuSample, ...] = ()
    T_rig_imu: np.ndarray | None = None

    def __post_init__(self) -> None:
        names = [f.camera for f in self.frames]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a frame set needs one frame for each camera, got cameras {names}")
        if self.imu and self.T_rig_imu is None:
            raise ValueError("readings of an IMU need T_rig_imu, where it sits on the rig")


@dataclass(frozen=True)
class PairPrediction:
    """Geometry of two images, both pointmaps in the frame of camera a. Torch tensors on the model's device.

    points_a (Ha, Wa, 3), points_b (Hb, Wb, 3): NaN where unknown. conf_a (Ha, Wa), conf_b (Hb, Wb): 0 where unknown.
    desc_a, desc_b: (H, W, D) fp16 of unit length, or None. desc_conf_a, desc_conf_b: (H, W) or None.
    features_a, features_b: language features at a stride of 8 or more, or None. is_metric: lengths are metres.
    matches_a, matches_b: (N, 2) float32 pixels (x, y) of image a and b that show the same point, where the model
    finds sparse matches itself; else None. T_a_b: (4, 4) pose of camera b in a where the model solves it; else None.
    """

    points_a: torch.Tensor
    points_b: torch.Tensor
    conf_a: torch.Tensor
    conf_b: torch.Tensor
    is_metric: bool
    desc_a: torch.Tensor | None = None
    desc_b: torch.Tensor | None = None
    desc_conf_a: torch.Tensor | None = None
    desc_conf_b: torch.Tensor | None = None
    features_a: torch.Tensor | None = None
    features_b: torch.Tensor | None = None
    matches_a: torch.Tensor | None = None
    matches_b: torch.Tensor | None = None
    T_a_b: np.ndarray | None = None


class TrackingState(IntEnum):
    """State of tracking; the values are those of lsm_ros/MappingStatus."""

    INITIALIZING = 0
    TRACKING = 1
    LOST = 2
    RELOCALIZED = 3


@dataclass(frozen=True)
class TrackingUpdate:
    """Result of tracking for one frame set.

    T_map_rig: (4, 4) pose of the rig in the map, None unless it is accepted. covariance: (6, 6) of the pose, for a
    perturbation of T_map_rig in the map frame, ROS order (x, y, z, rotation about x, y, z), m^2 and rad^2; it grows with the
    way from the first keyframe and shrinks with loops. own_covariance: (6, 6) the part of it that this frame set does not share
    with others found in the same keyframes, by which a step from one to the next is uncertain.
    match_fraction: share of the reference keyframe's points found again. new_keyframe: its id, or None.
    closed_loops: ids of keyframes that this frame set was joined to again. reason: cause of the state.
    """

    state: TrackingState
    T_map_rig: np.ndarray | None
    covariance: np.ndarray | None
    match_fraction: float
    new_keyframe: int | None = None
    closed_loops: tuple[int, ...] = ()
    reason: str = ""
    own_covariance: np.ndarray | None = None


@dataclass(frozen=True)
class Observation:
    """Contribution of a keyframe's camera to the map. Immutable; kept until removed.

    id: unique; keyframe: its id. T_rig_cam (4, 4). z: (H, W) uint16, depth along the optical axis in units of z_step
    metres, 0 = none. confidence: (H, W) uint8, 0 = not used, 255 = best. rgb: (H, W, 3) uint8. intrinsics: pinhole
    without distortion. labels: (H, W) uint16 or None. features: (H/16, W/16, D), in small images
    (H/8, W/8, D), int8 unit vectors times 127, or None.
    """

    id: int
    keyframe: int
    stamp_ns: int
    camera: str
    T_rig_cam: np.ndarray
    z: np.ndarray
    z_step: float
    confidence: np.ndarray
    rgb: np.ndarray
    intrinsics: CameraIntrinsics
    labels: np.ndarray | None = None
    features: np.ndarray | None = None

    @property
    def depth(self) -> np.ndarray:
        """(H, W) float32 metres, 0 = none."""
        return self.z.astype(np.float32) * np.float32(self.z_step)

    @property
    def median_depth(self) -> float:
        """Median of the known depths in metres; 0 if there is none."""
        known = self.z[self.z > 0]
        return float(np.median(known)) * self.z_step if known.size else 0.0


@dataclass(frozen=True)
class MappingUpdate:
    """Result of one `MappingPipeline.process`.

    stamp_ns of the frame set. added, moved, removed: ids of observations. changed_blocks: number of voxel blocks whose
    content changed. backlog: observations still fused with an older pose. graph_version: raised by a
    new keyframe and when keyframes move. milliseconds: duration of each stage. clouds: by camera, the points of this frame
    (see `FrameCloud`).
    """

    stamp_ns: int
    tracking: TrackingUpdate
    added: tuple[int, ...] = ()
    moved: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    changed_blocks: int = 0
    backlog: int = 0
    graph_version: int = 0
    map_epoch: int = 0
    session: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    clouds: dict[str, FrameCloud] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameCloud:
    """The points that one frame shows, in its optical frame.

    depth: (H, W) float32 metres, 0 = none; image: (H, W, 3) uint8 RGB; confidence: (H, W) float32 in [0, 1];
    labels: (H, W) uint16 or None. `intrinsics` is the pinhole without distortion that the arrays belong to.
    """

    camera: str
    frame_id: str
    stamp_ns: int
    depth: np.ndarray
    image: np.ndarray
    confidence: np.ndarray
    intrinsics: CameraIntrinsics
    labels: np.ndarray | None = None

    @property
    def frame(self) -> Frame:
        """The image as a frame of its own."""
        return Frame(self.stamp_ns, self.camera, self.image, self.intrinsics)


@dataclass(frozen=True)
class MapSnapshot:
    """All surface voxels.

    points_map: (N, 3) float32 metres, on the surface. colors: (N, 3) uint8 RGB. labels: (N,) uint16, `UNLABELLED` where
    unknown. confidence: (N,) float32 in [0, 1]. weight: (N,) float32, summed weight of the observations.
    normals: (N, 3) float32 unit vectors out of the surface. volume_m3: observed volume (free and occupied).
    """

    points_map: np.ndarray
    colors: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    weight: np.ndarray
    normals: np.ndarray
    voxel_size: float
    volume_m3: float
    graph_version: int = 0
    map_epoch: int = 0
    seq: int = 0


@dataclass(frozen=True)
class OccupancyMap:
    """2D occupancy of a height band. grid: (rows, columns) int8, -1 unknown, 0 free, 100 occupied; row 0 at origin_y.

    origin_x, origin_y: position of the corner of cell (0, 0) in the map frame in metres. resolution: metres per cell.
    """

    grid: np.ndarray
    origin_x: float
    origin_y: float
    resolution: float


@dataclass(frozen=True)
class PipelineStatus:
    """Snapshot of the pipeline for people and for messages; see lsm_ros/MappingStatus for the meaning of each field."""

    state: TrackingState
    state_reason: str
    session: int
    map_epoch: int
    graph_version: int
    scale_is_metric: bool
    scale_source: str
    scale_std: float
    gravity_known: bool
    gravity_source: str
    keyframes: int
    match_fraction: float
    observations: int
    fusion_backlog: int
    voxel_blocks: int
    map_bytes: int
    keyframe_bytes: int
    frames_processed: int
    frames_without_pose: int
    focal_px: dict[str, float]
    focal_is_estimated: dict[str, bool]
    warnings: tuple[str, ...]
    localization_only: bool
    off_pinhole: dict[str, float] = field(default_factory=dict)  # by camera: share of predicted pixels that are not fused
    map_backend: str = ""


@dataclass(frozen=True)
class TrajectoryPose:
    """A pose of the rig in the map: T_map_rig (4, 4) at stamp_ns."""

    stamp_ns: int
    T_map_rig: np.ndarray


def frozen_copy(array: Any) -> np.ndarray:
    """A read-only copy of `array`, for what leaves the worker."""
    out = np.array(array)
    out.setflags(write=False)
    return out


TEMPERATURE = 0.1  # of the softmax over cosines in the training's cross-entropy over all classes
CHUNK = 65536  # features that are compared at a time


@dataclass(frozen=True)
class NameVectors:
    """Names that features may get. ids (N,) uint16 in ascending order, each once; vectors (N, D) float32 of unit length. least:
    a feature whose cosine with every vector is lower has no label. ValueError for anything else."""

    ids: np.ndarray
    vectors: np.ndarray
    least: float = -1.0

    def __post_init__(self) -> None:
        ids, vectors = self.ids, self.vectors
        if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors) or not len(ids):
            raise ValueError(f"each name needs an id and a vector, got {ids.shape} ids and {vectors.shape} vectors")
        if ids.dtype != np.uint16 or (np.diff(ids.astype(np.int64)) <= 0).any() or ids[-1] == UNLABELLED:
            raise ValueError(f"label ids must be uint16 in ascending order, each once and below {UNLABELLED}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
            raise ValueError("the vectors of names must have unit length")

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.vectors.shape[1]

    def same_as(self, other: NameVectors | None) -> bool:
        """True if both give the same labels."""
        return other is not None and self.least == other.least and np.array_equal(self.ids, other.ids) and np.array_equal(
            self.vectors, other.vectors)

    def nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Label (M,) uint16 of features (M, D) of any length, and its probability (M,) float32.

        The name with the largest cosine, the smaller id where two are equal; probability: softmax of cosine / 0.1 over all
        names. Features without length, or unlike every name, are `UNLABELLED` with probability 0. ValueError for another D.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"features {features.shape} and names of {self.dim} numbers do not fit")
        labels, probability = np.full(len(features), UNLABELLED, np.uint16), np.zeros(len(features), np.float32)
        vectors = self.vectors.T.astype(np.float64)
        for first in range(0, len(features), CHUNK):
            chunk = slice(first, first + CHUNK)
            some = features[chunk].astype(np.float64)
            length = np.sqrt((some**2).sum(1))
            # rounded, so that how many are multiplied at a time, which changes the last bits, decides no tie
            cosine = np.round(some @ vectors / np.maximum(length, 1e-12)[:, None], 9)
            best = cosine.argmax(1)
            top = cosine[np.arange(len(some)), best]
            named = (length > 0) & (top >= self.least)
            share = 1.0 / np.exp((cosine - top[:, None]) / TEMPERATURE).sum(1)
            labels[chunk] = np.where(named, self.ids[best], np.uint16(UNLABELLED))
            probability[chunk] = np.where(named, share, 0.0)
        return labels, probability
