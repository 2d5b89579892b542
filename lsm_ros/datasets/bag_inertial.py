# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Inertial sensor of a bag: which topic, where the sensor sits on the rig, and which readings go with a frame set."""
from __future__ import annotations

from typing import Any

import numpy as np

from lsm_ros.datasets.bag_stamps import BagStamps
from lsm_ros.datasets.bag_topics import describe, first_message
from lsm_ros.datasets.bag_transforms import BagTransforms
from lsm_ros.datasets.bagfile import BagFile
from lsm_ros.datasets.tf_tree import TransformError
from lsm_ros.types import ImuSample

IMU = "sensor_msgs/msg/Imu"
MOST_WAITING = 20_000


class BagImu:
    """The inertial sensor of a bag, or none. topic: '' without one. T_rig_imu: (4, 4), None without one.

    wanted: the topic; '' for none; None for the only one that there is, which is then said. ValueError for a topic that is
    not there, and where TF does not join the sensor of a topic that was asked for to the rig.
    """

    def __init__(self, bag: BagFile, stamps: BagStamps, transforms: BagTransforms, wanted: str | None) -> None:
        self._bag, self._stamps = bag, stamps
        self.topic = self._choose(wanted)
        self.T_rig_imu = self._mount(transforms, wanted) if self.topic else None
        if self.T_rig_imu is None:
            self.topic = ""
        elif wanted is None:
            bag.log.add(f"IMU {self.topic} is taken, the only one in the bag; option imu names one, and '' none")
        self._waiting: list[ImuSample] = []

    def _choose(self, wanted: str | None) -> str:
        topics = {t.name: t for t in self._bag.topics if t.msgtype == IMU and t.count}
        if wanted:
            if wanted not in topics:
                raise ValueError(f"bag {self._bag.path} has no IMU topic {wanted!r}; it has {describe(self._bag)}")
            return wanted
        if wanted is None and len(topics) > 1:
            self._bag.log.add("no IMU is taken: the bag has several; option imu names one", ", ".join(topics))
        return next(iter(topics)) if wanted is None and len(topics) == 1 else ""

    def _mount(self, transforms: BagTransforms, wanted: str | None) -> np.ndarray | None:
        message = first_message(self._bag, self.topic)
        if message is None:  # none of its messages parses, which the bag has said
            return None
        frame = message.header.frame_id.lstrip("/")
        try:
            return transforms.on_rig(frame)
        except TransformError as error:
            text = f"IMU {self.topic} cannot be used: its frame {frame!r} is not joined to the rig"
            if wanted:
                raise ValueError(f"bag {self._bag.path}: {text}: {error}") from error
            self._bag.log.add(text, str(error))
            return None

    def restart(self) -> None:
        """Forgets what waits, before the bag is read from its start."""
        self._waiting = []

    def add(self, message: Any, log_ns: int) -> None:
        """Takes a message; a stamp of 0 is treated as that of an image."""
        stamp_ns = self._stamps.of(self.topic, message.header, log_ns)
        if stamp_ns is None:
            return
        self._waiting.append(ImuSample(stamp_ns, _vector(message.angular_velocity), _vector(message.linear_acceleration)))
        if len(self._waiting) > MOST_WAITING:
            self._bag.log.add(f"readings of {self.topic} dropped: no image comes for too long")
            del self._waiting[:MOST_WAITING // 2]

    def take(self, stamp_ns: int) -> tuple[ImuSample, ...]:
        """The readings up to a stamp that were not taken yet, in the order in which they came."""
        taken = tuple(s for s in self._waiting if s.stamp_ns <= stamp_ns)
        self._waiting = [s for s in self._waiting if s.stamp_ns > stamp_ns]
        return taken


def _vector(v: Any) -> np.ndarray:
    return np.array([v.x, v.y, v.z], dtype=np.float64)
