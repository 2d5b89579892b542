# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TF of a bag: where the cameras sit on the rig, and where odometry puts the rig."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lsm_ros.datasets.bag_topics import CameraTopics
from lsm_ros.datasets.bagfile import BagFile, stamp_of
from lsm_ros.datasets.base import T_BODY_OPTICAL
from lsm_ros.datasets.tf_tree import TransformError, TransformTree, pose_matrix
from lsm_ros.geometry.lie import se3_inverse

_TYPE = "tf2_msgs/msg/TFMessage"
_BASE_FRAMES = ("base_link", "base_footprint")
_PREVIEW = 500  # so many messages of /tf are read to see which frames there are


class BagTransforms:
    """The rig of a bag.

    base_frame: the frame that is the rig, '' for the body frame of the first camera; odom_frame: '' if there is none;
    T_rig_cam: (4, 4) of each camera that TF joins to the rig, by name; topics: those that move frames, if they are needed.
    """

    def __init__(self, bag: BagFile, cameras: Sequence[CameraTopics], base_frame: str | None, odom_frame: str | None) -> None:
        """Finds the frames; those that are named must be there, else ValueError."""
        self._bag, self._first = bag, cameras[0]
        self._static = self._read_static()
        tree = self._preview = self.tree(2**62)
        for i, (_, _, message) in enumerate(bag.messages(bag.named(_TYPE, "/tf"))):
            self.add(tree, message)
            if i + 1 >= _PREVIEW:
                break
        self.base_frame = self._find_base(tree, base_frame)
        if not self.base_frame and base_frame is None:
            self._say_unjoined(tree)
        self.T_rig_cam = self._rig(tree, cameras)
        self.odom_frame = self._find_odom(tree, odom_frame)
        self.topics = bag.named(_TYPE, "/tf") if self.odom_frame else []

    def tree(self, keep_ns: int = 10_000_000_000) -> TransformTree:
        """A tree of the fixed frames, to which `add` adds the moving ones."""
        tree = TransformTree(keep_ns)
        for edge in self._static:
            tree.set_static(*edge)
        return tree

    def add(self, tree: TransformTree, message: Any) -> None:
        """Adds the transforms of a message of /tf; what is no transform is skipped and counted."""
        for t in message.transforms:
            try:
                T_parent_child = pose_matrix(t.transform.translation, t.transform.rotation)
            except ValueError as error:
                self._bag.log.add("/tf: transform skipped", str(error))
                continue
            tree.add(_clean(t.header.frame_id), _clean(t.child_frame_id), stamp_of(t.header), T_parent_child)

    def on_rig(self, frame: str) -> np.ndarray:
        """T_rig_frame (4, 4) of a frame that is fixed on the rig, by the beginning of the bag. TransformError."""
        if self.base_frame:
            return self._preview.lookup(self.base_frame, frame, None)
        return T_BODY_OPTICAL @ self._preview.lookup(self._first.frame_id, frame, None)

    def odometry(self, tree: TransformTree, stamp_ns: int) -> np.ndarray | None:
        """T_odom_rig (4, 4) at a stamp; None where there is none, which is counted if the bag has odometry."""
        if not self.odom_frame:
            return None
        try:
            if self.base_frame:
                return tree.lookup(self.odom_frame, self.base_frame, stamp_ns)
            T_odom_cam = tree.lookup(self.odom_frame, self._first.frame_id, stamp_ns)
            return T_odom_cam @ se3_inverse(self.T_rig_cam[self._first.camera])
        except TransformError as error:
            self._bag.log.add("frame set without odometry", str(error))
            return None

    def _read_static(self) -> list[tuple[str, str, np.ndarray]]:
        static = []
        for _, _, message in self._bag.messages(self._bag.named(_TYPE, "/tf_static")):
            for t in message.transforms:
                try:
                    T_parent_child = pose_matrix(t.transform.translation, t.transform.rotation)
                except ValueError as error:
                    self._bag.log.add("/tf_static: transform skipped", str(error))
                    continue
                static.append((_clean(t.header.frame_id), _clean(t.child_frame_id), T_parent_child))
        return static

    def _find_base(self, tree: TransformTree, wanted: str | None) -> str:
        optical = self._first.frame_id
        if wanted:
            try:
                tree.lookup(wanted, optical, None)
            except TransformError as error:
                raise ValueError(f"bag {self._bag.path}: no transform from the camera to base_frame: {error}") from error
            return wanted
        return "" if wanted == "" else next((f for f in _BASE_FRAMES if _connected(tree, f, optical)), "")

    def _say_unjoined(self, tree: TransformTree) -> None:
        """Logs that TF has a robot, but the camera is not on it."""
        optical = self._first.frame_id
        apart = [f for f in (*_BASE_FRAMES, "odom") if f in tree.frames and not _connected(tree, f, optical)]
        if apart or (tree.frames and optical not in tree.frames):
            to = " and ".join(apart) or "TF"
            self._bag.log.add(f"camera {self._first.camera} is not joined to {to}: no transform leads to its frame "
                              f"{optical!r}; the robot's base and odometry are left out. Is /tf_static in another file?")

    def _rig(self, tree: TransformTree, cameras: Sequence[CameraTopics]) -> dict[str, np.ndarray]:
        out = {} if self.base_frame else {self._first.camera: T_BODY_OPTICAL}
        for camera in cameras:
            if camera.camera in out:
                continue
            target = self.base_frame or self._first.frame_id
            try:
                T_target_cam = tree.lookup(target, camera.frame_id, None)
            except TransformError as error:
                self._bag.log.add(f"camera {camera.camera} is left out: it is not joined to the rig", str(error))
                continue
            if not tree.is_static(target, camera.frame_id):
                self._bag.log.add(f"{target} -> {camera.frame_id} is not in /tf_static; taken as fixed")
            out[camera.camera] = T_target_cam if self.base_frame else T_BODY_OPTICAL @ T_target_cam
        return out

    def _find_odom(self, tree: TransformTree, wanted: str | None) -> str:
        source = self.base_frame or self._first.frame_id
        if wanted:
            try:
                tree.lookup(wanted, source, None)
            except TransformError as error:
                raise ValueError(f"bag {self._bag.path}: no transform from odom_frame to the rig: {error}") from error
            return wanted
        return "odom" if wanted is None and _connected(tree, "odom", source) else ""


def _clean(frame: str) -> str:
    return frame.lstrip("/")


def _connected(tree: TransformTree, target: str, source: str) -> bool:
    try:
        tree.lookup(target, source, None)
    except TransformError:
        return False
    return True
