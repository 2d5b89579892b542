# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A ROS 2 bag as a source of frame sets, without ROS."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsm_ros.config import NodeConfig
from lsm_ros.datasets.bag_grouping import BagGroups, Recorded
from lsm_ros.datasets.bag_inertial import BagImu
from lsm_ros.datasets.bag_stamps import BagStamps
from lsm_ros.datasets.bag_storage import is_bag
from lsm_ros.datasets.bag_topics import CAMERA_INFO, LABEL_INFO, CameraTopics, choose_topics, first_message
from lsm_ros.datasets.bag_transforms import BagTransforms
from lsm_ros.datasets.bagfile import BagFile, stamp_of
from lsm_ros.datasets.base import LoggedSource, fit_to
from lsm_ros.datasets.tf_tree import TransformTree, pose_matrix
from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.images import codecs
from lsm_ros.images.camera_info import CameraInfoReader
from lsm_ros.live.items import Group, Item
from lsm_ros.types import Frame, FrameSet, LabelSpace, TrajectoryPose

_POSE_TYPE = "geometry_msgs/msg/PoseStamped"
_TF_LEAD_NS = 5_000_000_000  # an image that TF is so far ahead of goes on: the tree does not remember for ever


class RosbagSource(LoggedSource):
    """Images of a bag with what belongs to them; `topics` says what was taken, by camera.

    Topics that are not named are found (see `choose_topics`). base_frame: the rig, by default base_link or
    base_footprint if TF joins it to the camera, else the body frame of the first camera. odom_frame: by default 'odom'
    if TF has it; '' for neither. imu: topic of an inertial sensor, by default the only one; '' for none. sync_slop_ms:
    images, depth and labels belong together if their stamps differ by less. wait_ms: how long, in stamps, an image waits
    for what is late. Broken messages are skipped, and what finds no image or comes too late is dropped; `warnings` says how
    much.
    """

    ground_truth_frame = "rig"

    @staticmethod
    def recognizes(path: Path) -> bool:
        """True for a bag file, or a folder with bag files."""
        return is_bag(path)

    def __init__(self, path: str | Path, *, image_topic: str | Sequence[str] | None = None,
                 depth_topic: str | Sequence[str] | None = None, labels_topic: str | Sequence[str] | None = None,
                 camera_info_topic: str | Sequence[str] | None = None, base_frame: str | None = None,
                 odom_frame: str | None = None, imu: str | None = None, ground_truth_topic: str = "/ground_truth",
                 sync_slop_ms: float = NodeConfig.sync_slop_ms, wait_ms: float = 500.0) -> None:
        for name, value in (("sync_slop_ms", sync_slop_ms), ("wait_ms", wait_ms)):
            if not 0 <= value <= 1e6:
                raise ValueError(f"option {name}: expected 0 to 1000000 milliseconds, got {value:g}")
        self._bag = BagFile(path)
        self.path = self._bag.path
        self.name = self.path.stem
        self._log = self._bag.log
        self._stamps = BagStamps(self._bag)
        self._slop_ns, self._wait_ns = round(sync_slop_ms * 1e6), round(wait_ms * 1e6)
        self._truth_topic, self._truth = ground_truth_topic, None
        try:
            self._cameras = choose_topics(self._bag, image_topic, depth_topic, labels_topic, camera_info_topic)
            self._transforms = BagTransforms(self._bag, self._cameras, base_frame, odom_frame)
            self.base_frame, self.odom_frame = self._transforms.base_frame, self._transforms.odom_frame
            self.T_rig_cam = self._transforms.T_rig_cam
            self._cameras = [c for c in self._cameras if c.camera in self.T_rig_cam]
            self._imu = BagImu(self._bag, self._stamps, self._transforms, imu)
            self._spaces = {c.camera: self._label_space(c.label_info) for c in self._cameras if c.labels}
        except BaseException:
            self._bag.close()
            raise
        self.cameras = [c.camera for c in self._cameras]
        self.topics = {c.camera: c.as_dict() for c in self._cameras}
        self._infos: dict[str, Any | None] = {}
        self._readers: dict[str, CameraInfoReader] = {}

    @property
    def taken(self) -> list[str]:
        """The topics that are used, by camera, with their number of messages and rates, and the frames on TF."""
        counts = {t.name: t.count for t in self._bag.topics}
        seconds = self._bag.duration_s

        def shown(role: str, topic: str) -> str:
            rate = f", {(counts[topic] - 1) / seconds:.3g} Hz" if counts[topic] > 1 and seconds > 0 else ""
            return f"{role.replace('_', ' ') if role != 'camera_info' else role} {topic} ({counts[topic]}{rate})"

        lines = [f"camera {c.camera}: {', '.join(shown(*pair) for pair in c.as_dict().items())}" for c in self._cameras]
        base = f"base {self.base_frame}" if self.base_frame else "no base, the rig is the body of the first camera"
        lines.append(f"TF: {base}; {f'odometry in {self.odom_frame}' if self.odom_frame else 'no odometry'}")
        unread = [t.name for t in self._bag.topics if t.msgtype == "nav_msgs/msg/Odometry" and t.count and not self.odom_frame]
        if unread:
            lines.append(f"not read: {', '.join(unread)} (odometry is taken from TF)")
        return [*lines, f"imu {self._imu.topic}"] if self._imu.topic else lines

    @property
    def stamp_offset_ns(self) -> int:
        """Nanoseconds that `record` added to the stamps of a dataset that started at zero."""
        return self._bag.stamp_offset_ns

    @property
    def ground_truth(self) -> list[TrajectoryPose] | None:
        """Poses of the rig in a world of their own, from the ground-truth topic; None if the bag has none."""
        if self._truth is None:
            poses = []
            for _, _, message in self._bag.messages(self._bag.named(_POSE_TYPE, self._truth_topic)):
                try:
                    T_world_rig = pose_matrix(message.pose.position, message.pose.orientation)
                except ValueError as error:
                    self._log.add(f"pose of {self._truth_topic} skipped", str(error))
                    continue
                poses.append(TrajectoryPose(stamp_of(message.header), T_world_rig))
            self._truth = poses
        return self._truth or None

    def __len__(self) -> int:
        return next(t.count for t in self._bag.topics if t.name == self._cameras[0].image)

    def close(self) -> None:
        """Closes the bag."""
        self._bag.close()

    def __iter__(self) -> Iterator[FrameSet]:
        roles = {topic: (c, role) for c in self._cameras for role, topic in c.as_dict().items() if role != "label_info"}
        tree = self._transforms.tree()
        self._infos = {c.camera: self._first_info(c) for c in self._cameras}
        self._readers = {c.camera: CameraInfoReader() for c in self._cameras}
        groups = BagGroups(self.cameras, self._slop_ns, self._wait_ns, self._log)
        self._imu.restart()
        inertial = [self._imu.topic] if self._imu.topic else []
        for topic, log_ns, message in self._bag.messages([*roles, *self._transforms.topics, *inertial]):
            if topic in inertial:
                self._imu.add(message, log_ns)
                continue
            if topic in self._transforms.topics:
                self._transforms.add(tree, message)
                groups.close_before(max((stamp_of(t.header) for t in message.transforms), default=0) - _TF_LEAD_NS)
            else:
                self._take(groups, *roles[topic], log_ns, message)
            for group in groups.ready():
                yield from self._frame_set(group, tree)
        groups.end()
        for group in groups.ready():
            yield from self._frame_set(group, tree)

    def _take(self, groups: BagGroups, camera: CameraTopics, role: str, log_ns: int, message: Any) -> None:
        if role == "camera_info":
            self._infos[camera.camera] = message
            return
        stamp_ns = self._stamps.of(getattr(camera, role), message.header, log_ns)
        if stamp_ns is not None:
            groups.add(camera.camera, role, stamp_ns, Recorded(message, log_ns, self._infos[camera.camera]))

    def _frame_set(self, group: Group, tree: TransformTree) -> Iterator[FrameSet]:
        """The frame set of a group, or nothing if none of its images can be decoded."""
        frames = []
        for camera in self._cameras:
            item = group.images.get(camera.camera)
            if item is not None:
                try:
                    image = decode_message(item.payload.message, "image")
                except ValueError as error:
                    self._log.add(f"image of {camera.image} skipped", str(error))
                    continue
                frames.append(self._frame(camera, item, image, group))
        if not frames:
            return
        yield FrameSet(group.stamp_ns, tuple(frames), dict(self.T_rig_cam), self._transforms.odometry(tree, group.stamp_ns),
                       bool(self.base_frame), self._imu.take(group.stamp_ns), self._imu.T_rig_imu)

    def _frame(self, camera: CameraTopics, item: Item, image: np.ndarray, group: Group) -> Frame:
        model = self._calibration(camera, item.payload.info, image)
        parts: dict[str, np.ndarray | None] = {"depth": None, "labels": None}
        for kind, items in (("depth", group.depth), ("labels", group.labels)):
            if camera.camera in items:
                try:
                    parts[kind] = fit_to(decode_message(items[camera.camera].payload.message, kind), *image.shape[:2])
                except ValueError as error:
                    self._log.add(f"{kind} of {getattr(camera, kind)} skipped", str(error))
        space = self._spaces.get(camera.camera) if parts["labels"] is not None else None
        frame_id = item.payload.message.header.frame_id
        return Frame(item.stamp_ns, camera.camera, image, model, parts["depth"], parts["labels"], space, frame_id)

    # Calibration and labels

    def _first_info(self, camera: CameraTopics) -> Any | None:
        if not self._bag.named(CAMERA_INFO, camera.camera_info):
            self._log.add(f"{camera.camera} has no camera_info: it is taken as uncalibrated")
            return None
        return first_message(self._bag, camera.camera_info)

    def _calibration(self, camera: CameraTopics, info: Any | None, image: np.ndarray) -> CameraIntrinsics | None:
        reader = self._readers[camera.camera]
        model = reader.read(info, image.shape[:2], camera.rectified)
        if reader.problem:
            self._log.add(f"{camera.camera_info} {reader.problem}")
        for note in reader.notes:
            self._log.once(f"{camera.camera_info}: {note}")
        return model

    def _label_space(self, topic: str) -> LabelSpace | None:
        message = first_message(self._bag, topic) if self._bag.named(LABEL_INFO, topic) else None
        if message is None:
            self._log.add("labels come without LabelInfo: they have numbers, no names")
            return None
        names = {int(c.class_id): c.class_name for c in message.class_map if c.class_id != 65535}
        return LabelSpace(names, float(message.threshold))


def decode_message(message: Any, kind: str) -> np.ndarray:
    """Pixels of an Image or CompressedImage as in `codecs`; kind: 'image', 'depth' or 'labels'. ValueError."""
    if hasattr(message, "format"):
        decode = {"image": codecs.decode_compressed, "depth": codecs.decode_compressed_depth,
                  "labels": codecs.decode_compressed_labels}[kind]
        return decode(message.data, message.format)
    decode = {"image": codecs.decode_image, "depth": codecs.decode_depth, "labels": codecs.decode_labels}[kind]
    return decode(message.encoding, message.width, message.height, message.step, message.data,
                  bool(message.is_bigendian))
