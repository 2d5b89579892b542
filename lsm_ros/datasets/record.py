# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Writes any source as a ROS 2 bag, as a robot would have recorded it."""
from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.datasets.bag_messages import MessageMaker
from lsm_ros.datasets.bagfile import typestore
from lsm_ros.datasets.base import Source
from lsm_ros.datasets.imu import ImuData
from lsm_ros.files import replacing
from lsm_ros.geometry.lie import se3_inverse
from lsm_ros.images.codecs import encode_jpeg
from lsm_ros.types import Frame, FrameSet

STORAGES = ("mcap", "sqlite3")
TRUTH_TF = "/ground_truth/tf"
_IMU_FRAME = "imu_link"
_SECOND_NS = 1_000_000_000
_STEP_NS = 1_000  # between the log times of messages of one stamp


@dataclass(frozen=True)
class RecordSummary:
    """Result of a recording. stamp_offset_ns was added to all stamps; messages: number of messages by topic."""

    path: Path
    storage: str
    frame_sets: int
    stamp_offset_ns: int
    duration_s: float
    messages: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def record(source: Source, bag: str | Path, storage: str = "mcap", *, compressed: bool = False, jpeg_quality: int = 90,
           odometry: bool = True, overwrite: bool = False, start_time_s: float = 1_700_000_000.0,
           base_frame: str | None = None, odom_frame: str = "odom", limit: int | None = None,
           progress: Callable[[int, int], None] | None = None) -> RecordSummary:
    """Writes `source` to the folder `bag`, in the order of stamps and in memory that does not grow with the length.

    By camera: <camera>/image (rgb8) or <camera>/image/compressed (JPEG), camera_info, depth (16UC1, millimetres),
    labels (16UC1), label_info (latched); /tf_static base_frame -> <camera>_optical (latched), /tf odom_frame ->
    base_frame if the source has odometry (base_frame is base_link by default, camera_link for a source without a robot),
    /imu (Imu in imu_link) if the source has an `imu`. The truth stays apart from TF: /ground_truth (PoseStamped of
    base_frame in 'world') and, with odometry, /ground_truth/tf (TFMessage map -> odom_frame, map being that world).
    Stamps of a source that starts within the first second are moved by start_time_s, as 0 means "none" in ROS.
    limit: at most so many frame sets. progress: called with (frame sets done, expected).
    The bag appears when it is complete; else nothing is left behind. FileExistsError for an existing target unless
    overwrite is set (and it is a bag); ValueError for a bad option or a source without frames; OSError for a full disk.
    """
    bag = Path(bag)
    if storage not in STORAGES:
        raise ValueError(f"storage {storage!r} is none of {', '.join(STORAGES)}")
    if compressed and not 1 <= jpeg_quality <= 100:
        raise ValueError(f"jpeg_quality must be 1 to 100, got {jpeg_quality}")
    _check_target(bag, overwrite)
    options = _Options(compressed, jpeg_quality, odometry, round(start_time_s * 1e9), base_frame, odom_frame, limit, progress)
    with replacing(bag) as part:  # it has the bag's own name, which stands in the metadata
        try:
            return _write(source, part, bag, storage, options)
        except sqlite3.OperationalError as error:
            raise OSError(errno.EIO, str(error), str(part)) from error


@dataclass(frozen=True)
class _Options:
    compressed: bool
    jpeg_quality: int
    odometry: bool
    start_ns: int
    base_frame: str | None
    odom_frame: str
    limit: int | None
    progress: Callable[[int, int], None] | None


def _check_target(bag: Path, overwrite: bool) -> None:
    if not bag.exists():
        return
    if not overwrite:
        raise FileExistsError(errno.EEXIST, f"bag {bag} exists already; give another name or overwrite it (--overwrite)")
    if not (bag / "metadata.yaml").is_file():
        raise FileExistsError(errno.EEXIST, f"{bag} is not a bag and is not overwritten; give another name")


def _write(source: Source, path: Path, bag: Path, storage: str, options: _Options) -> RecordSummary:
    store = typestore()
    from rosbags.rosbag2 import StoragePlugin, Writer

    expected = len(source) if options.limit is None else min(options.limit, len(source))
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    done, first_ns, last_ns = 0, 0, 0
    # Version 8 of the metadata is read by Humble and Jazzy alike.
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        log = _BagLog(writer, store, options, source)
        for frame_set in source:
            if done == options.limit:
                break
            if done == 0:
                first_ns = frame_set.stamp_ns
                log.start(first_ns)
            log.add(frame_set)
            last_ns = frame_set.stamp_ns
            done += 1
            if options.progress is not None:
                options.progress(done, expected)
        if done == 0:
            raise ValueError(f"source {source.name} gave no frames{': ' if source.warnings else ''}"
                             f"{'; '.join(source.warnings)}")
        writer.set_custom_data("stamp_offset_ns", str(log.offset_ns))
        writer.set_custom_data("source", source.name)
    return RecordSummary(bag, storage, done, log.offset_ns, (last_ns - first_ns) / 1e9, dict(log.counts),
                         tuple(source.warnings) + tuple(log.warnings))


class _BagLog:
    """Turns frame sets into messages of an open writer."""

    def __init__(self, writer: Any, store: Any, options: _Options, source: Source) -> None:
        self._writer, self._options = writer, options
        self._store = store
        self._make = MessageMaker(store)
        self._connections: dict[str, Any] = {}
        self._last_log_ns = 0
        self._truth = iter(source.ground_truth or ())
        self._next_truth = next(self._truth, None)
        self._imu: ImuData | None = getattr(source, "imu", None)
        self._imu_done = 0
        self._rig: dict[str, np.ndarray] = {}
        self._label_spaces: set[str] = set()
        self._base_frame = options.base_frame or ""
        self.offset_ns = 0
        self.counts: dict[str, int] = {}
        self.warnings: list[str] = []

    def start(self, first_ns: int) -> None:
        """Fixes the offset of all stamps from the first one."""
        self.offset_ns = self._options.start_ns if first_ns < _SECOND_NS else 0
        self._last_log_ns = first_ns + self.offset_ns - _STEP_NS
        while self._next_truth is not None and self._next_truth.stamp_ns < first_ns:
            self._next_truth = next(self._truth, None)  # poses before the first image have nothing to compare with
        if self._imu is not None:
            self._imu_done = int(np.searchsorted(self._imu.stamps_ns, first_ns))

    def add(self, frame_set: FrameSet) -> None:
        """Writes all data of one instant."""
        self._base_frame = self._base_frame or ("base_link" if frame_set.rig_is_base else "camera_link")
        stamp_ns = frame_set.stamp_ns + self.offset_ns
        self._fixed_transforms(frame_set, stamp_ns)
        self._inertial(frame_set.stamp_ns)
        T_world_rig = self._ground_truth(frame_set.stamp_ns)
        if self._options.odometry and frame_set.T_odom_base is not None:
            odom = self._options.odom_frame
            self._transform("/tf", stamp_ns, odom, self._base_frame, frame_set.T_odom_base)
            if T_world_rig is not None:
                self._transform(TRUTH_TF, stamp_ns, "map", odom, T_world_rig @ se3_inverse(frame_set.T_odom_base))
        for frame in frame_set.frames:
            self._frame(frame)

    def _frame(self, frame: Frame) -> None:
        make, stamp_ns, name = self._make, frame.stamp_ns + self.offset_ns, frame.camera.strip("/")
        optical = _optical_frame(name)
        if frame.intrinsics is not None:
            info = make.camera_info(stamp_ns, optical, frame.intrinsics)
            self._put(f"/{name}/camera_info", "sensor_msgs/msg/CameraInfo", stamp_ns, info)
        if frame.label_space is not None and name not in self._label_spaces:
            self._label_spaces.add(name)
            self._put(f"/{name}/label_info", "vision_msgs/msg/LabelInfo", stamp_ns,
                      make.label_info(stamp_ns, optical, frame.label_space), latched=True)
        if self._options.compressed:
            blob = encode_jpeg(frame.image, self._options.jpeg_quality)
            self._put(f"/{name}/image/compressed", "sensor_msgs/msg/CompressedImage", stamp_ns,
                      make.compressed(stamp_ns, optical, blob, "rgb8; jpeg compressed bgr8"))
        else:
            self._put_image(f"/{name}/image", stamp_ns, optical, frame.image, "rgb8")
        if frame.depth is not None:
            self._put_image(f"/{name}/depth", stamp_ns, optical, millimetres(frame.depth), "16UC1")
        if frame.labels is not None:
            self._put_image(f"/{name}/labels", stamp_ns, optical, frame.labels, "16UC1")

    def _put_image(self, topic: str, stamp_ns: int, frame_id: str, array: np.ndarray, encoding: str) -> None:
        self._put(topic, "sensor_msgs/msg/Image", stamp_ns, self._make.image(stamp_ns, frame_id, array, encoding))

    def _fixed_transforms(self, frame_set: FrameSet, stamp_ns: int) -> None:
        """One message with all cameras so far, when a camera appears."""
        new = {f.camera: frame_set.T_rig_cam.get(f.camera, np.eye(4)) for f in frame_set.frames
               if f.camera not in self._rig}
        if not new:
            return
        self._rig.update(new)
        transforms = [self._make.transform(stamp_ns, self._base_frame, _optical_frame(c), T)
                      for c, T in self._rig.items()]
        if self._imu is not None:
            transforms.append(self._make.transform(stamp_ns, self._base_frame, _IMU_FRAME, self._imu.T_rig_imu))
        self._put("/tf_static", "tf2_msgs/msg/TFMessage", stamp_ns, self._make.transforms(transforms), latched=True)

    def _ground_truth(self, until_ns: int) -> np.ndarray | None:
        """Writes the true poses up to a stamp of the source; returns the one that has just this stamp."""
        newest = None
        while self._next_truth is not None and self._next_truth.stamp_ns <= until_ns:
            newest = self._next_truth
            stamp_ns = newest.stamp_ns + self.offset_ns
            self._put("/ground_truth", "geometry_msgs/msg/PoseStamped", stamp_ns,
                      self._make.pose(stamp_ns, "world", newest.T_map_rig))
            self._next_truth = next(self._truth, None)
        return newest.T_map_rig if newest is not None and newest.stamp_ns == until_ns else None

    def _inertial(self, until_ns: int) -> None:
        if self._imu is None:
            return
        end = int(np.searchsorted(self._imu.stamps_ns, until_ns, side="right"))
        for k in range(self._imu_done, end):
            stamp_ns = int(self._imu.stamps_ns[k]) + self.offset_ns
            self._put("/imu", "sensor_msgs/msg/Imu", stamp_ns,
                      self._make.imu(stamp_ns, _IMU_FRAME, self._imu.angular_velocity[k], self._imu.specific_force[k]))
        self._imu_done = max(end, self._imu_done)

    def _transform(self, topic: str, stamp_ns: int, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        moving = self._make.transform(stamp_ns, parent, child, T_parent_child)
        self._put(topic, "tf2_msgs/msg/TFMessage", stamp_ns, self._make.transforms([moving]))

    def _put(self, topic: str, msgtype: str, stamp_ns: int, message: Any, latched: bool = False) -> None:
        """Writes a message; its log time is its stamp, or just after the message before it."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, msgtype, typestore=self._store,
                                                                   offered_qos_profiles=[_qos(latched)])
        self._last_log_ns = max(stamp_ns, self._last_log_ns + _STEP_NS)
        self._writer.write(self._connections[topic], self._last_log_ns, self._store.serialize_cdr(message, msgtype))
        self.counts[topic] = self.counts.get(topic, 0) + 1


def millimetres(depth: np.ndarray) -> np.ndarray:
    """Depth (H, W) in metres as uint16 millimetres, rounded; 0 for NaN, negatives and values beyond 16 bits."""
    mm = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    return np.where((mm > 0) & (mm <= 65535), mm, 0).astype(np.uint16)


def _optical_frame(camera: str) -> str:
    return f"{camera.strip('/').replace('/', '_')}_optical"


def _qos(latched: bool) -> Any:
    """Reliable; latched: transient local, one message deep."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE,
               QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, forever, forever,
               QosLiveliness.AUTOMATIC, forever, False)
