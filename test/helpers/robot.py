# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A robot that drives through a rendered room, for tests that are about something else."""
import time

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import LabelInfo

from helpers.harness import LATCHED
from lsm_ros.ros import conversions

OPTICAL = "camera_optical_frame"
STEP_NS = 100_000_000


class Robot:
    """One camera, odometry if wanted, below a namespace. Frames are those of the room, forwards and backwards."""

    def __init__(self, client, room, first_ns, *, odometry=True, namespace=""):
        self.client, self.room, self.odometry = client, room, odometry
        self.topic = f"{namespace}/camera" if namespace else "camera"
        self.stamp_ns, self.index = first_ns, 0
        client.send_static([(room.source.T_rig_cam["front"], "base_link", OPTICAL)])
        if odometry:
            client.publisher(TFMessage, "/tf")
        for kind, name in ((Image, "image"), (Image, "depth"), (CameraInfo, "camera_info"), (Image, "labels")):
            client.publisher(kind, f"{self.topic}/{name}")
        client.wait_matched(*(f"{self.topic}/{name}" for name in ("image", "depth", "camera_info", "labels")),
                            *(["/tf"] if odometry else []))

    @property
    def frame_set(self):
        """The next one."""
        n = len(self.room.frame_sets) - 1
        return self.room.frame_sets[n - abs(self.index % (2 * n) - n)]

    def true_pose(self, index):
        """T_world_base of the frame with this index."""
        n = len(self.room.frame_sets) - 1
        return self.room.ground_truth[n - abs(index % (2 * n) - n)].T_map_rig

    def drive(self, count, pause=0.07, step_ns=STEP_NS, room=None, each=1, **options):
        """Sends frames and returns their stamps. room: whose images are seen, at the poses of this one. each: times that the
        robot sends what it sees before it moves on."""
        stamps = []
        for n in range(count * each):
            frame_set = self.frame_set
            if self.odometry:
                self.client.send_odometry(frame_set.T_odom_base, self.stamp_ns)
            seen = frame_set if room is None else room.frame_sets[self.index % len(room.frame_sets)]
            self.client.send_frame(seen.frames[0], self.stamp_ns, self.topic, frame_id=OPTICAL, **options)
            stamps.append(self.stamp_ns)
            self.index += n % each == each - 1
            self.stamp_ns += step_ns
            time.sleep(pause)
        return stamps

    def labels_of(self, stamps, frames):
        """Sends the labels of frames whose images are long gone."""
        for stamp_ns, frame_set in zip(stamps, frames, strict=True):
            frame = frame_set.frames[0]
            message = Image(height=frame.labels.shape[0], width=frame.labels.shape[1], encoding="16UC1",
                            step=2 * frame.labels.shape[1])
            message.header.stamp, message.header.frame_id = conversions.to_stamp(stamp_ns), OPTICAL
            message.data.frombytes(np.ascontiguousarray(frame.labels).tobytes())
            self.client.send(Image, f"{self.topic}/labels", message)
            time.sleep(0.05)

    def label_info(self):
        """Sends the names of the labels, latched."""
        info = conversions.to_label_info(self.room.frame_sets[0].frames[0].label_space, self.stamp_ns, OPTICAL)
        self.client.send(LabelInfo, f"{self.topic}/label_info", info, LATCHED)


def transforms(client, parent, child):
    """(arrival, transform) of all that came on /tf from parent to child."""
    return [(at, t) for at, m in list(client.received["/tf"]) for t in m.transforms
            if (t.header.frame_id, t.child_frame_id) == (parent, child)]
