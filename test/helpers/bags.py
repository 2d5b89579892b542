# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bags written message by message, with small images of one shade."""
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed (pip install rosbags)")

from lsm_ros.datasets.bag_messages import MessageMaker  # noqa: E402
from lsm_ros.datasets.bagfile import typestore  # noqa: E402
from lsm_ros.geometry.camera import CameraIntrinsics  # noqa: E402

S = 1_000_000_000
CAMERA = CameraIntrinsics(16, 12, 10.0, 10.0, 7.5, 5.5)
IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
TF, LABELS = "tf2_msgs/msg/TFMessage", "vision_msgs/msg/LabelInfo"
OPTICAL = np.array([[0.0, 0, 1, 0.1], [-1, 0, 0, 0], [0, -1, 0, 1.1], [0, 0, 0, 1]])
STORE = typestore()
make = MessageMaker(STORE)


def shade(i):
    return np.full((12, 16, 3), (10 * i, 100, 200), np.uint8)


def image(i, encoding="rgb8", frame="cam_optical", array=None):
    return make.image(S * i, frame, shade(i) if array is None else array, encoding)


class BagMaker:
    """Writes (topic, type, log time in ns, message) to a bag in the folder."""

    def __init__(self, folder: Path, storage="mcap"):
        from rosbags.rosbag2 import StoragePlugin, Writer

        self.path = folder
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        self._writer = Writer(folder, version=8, storage_plugin=plugin)
        self._connections = {}

    def __enter__(self):
        self._writer.open()
        return self

    def __exit__(self, *_):
        self._writer.close()

    def topic(self, topic, msgtype):
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, msgtype, typestore=STORE)
        return self._connections[topic]

    def put(self, topic, msgtype, log_ns, message):
        raw = message if isinstance(message, bytes) else STORE.serialize_cdr(message, msgtype)
        self._writer.write(self.topic(topic, msgtype), int(log_ns), raw)


def write_images(path, n=4, storage="mcap", topic="/front/image", info=True):
    with BagMaker(path, storage) as bag:
        for i in range(1, n + 1):
            if info:
                message = make.camera_info(S * i, "cam_optical", CAMERA)
                bag.put(topic.rsplit("/", 1)[0] + "/camera_info", INFO, S * i, message)
            bag.put(topic, IMAGE, S * i + 1000, image(i))
    return path
