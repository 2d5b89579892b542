# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Images of each processed frame, all with the image's stamp and the optical frame: depth with its camera, and the segmentation
with a cloud of the same pixels, for costmaps and other mappers. Only what has a subscriber is made."""
from __future__ import annotations

from array import array

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header

from lsm_ros.mapping.interface import MapReader
from lsm_ros.ros.conversions import to_stamp
from lsm_ros.types import FrameCloud

NO_LABEL = 255  # of a mask; ids from 255 on look like it
_LIVE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class FrameImages:
    """Publishers of the images. Its methods are called by the worker."""

    def __init__(self, node: Node) -> None:
        self._depth = node.create_publisher(Image, "~/depth/image", _LIVE)
        self._camera = node.create_publisher(CameraInfo, "~/depth/camera_info", _LIVE)
        self._mask = node.create_publisher(Image, "~/segmentation/mask", _LIVE)
        self._confidence = node.create_publisher(Image, "~/segmentation/confidence", _LIVE)
        self._cloud = node.create_publisher(PointCloud2, "~/segmentation/cloud", _LIVE)

    def send(self, cloud: FrameCloud, pipeline: MapReader) -> None:
        """Sends what somebody listens to of one frame; the segmentation only where the camera or a segmenter gives labels."""
        header = Header(stamp=to_stamp(cloud.stamp_ns), frame_id=cloud.frame_id)
        if self._depth.get_subscription_count():
            self._depth.publish(image_message(cloud.depth.astype(np.float32), "32FC1", header))
        if self._camera.get_subscription_count():
            self._camera.publish(camera_message(cloud, header))
        wanted = [p for p in (self._mask, self._confidence, self._cloud) if p.get_subscription_count()]
        found = pipeline.segmented(cloud) if wanted else None
        if found is None:
            return
        labels, probability = found
        if self._mask in wanted:
            self._mask.publish(image_message(np.minimum(labels, NO_LABEL).astype(np.uint8), "mono8", header))
        if self._confidence in wanted:
            self._confidence.publish(image_message(np.rint(255 * probability).astype(np.uint8), "mono8", header))
        if self._cloud in wanted:
            self._cloud.publish(organised_cloud(cloud, header))


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """An image of pixels (H, W)."""
    out = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0,
                step=pixels.shape[1] * pixels.itemsize)
    out.data = _bytes(pixels)
    return out


def camera_message(cloud: FrameCloud, header: Header) -> CameraInfo:
    """The pinhole camera without distortion that the depth belongs to."""
    k = cloud.intrinsics
    out = CameraInfo(header=header, width=k.width, height=k.height, distortion_model="plumb_bob")
    out.d, out.k, out.r = [0.0] * 5, k.K.reshape(-1).astype(float), np.eye(3).reshape(-1)
    out.p = np.concatenate([k.K, np.zeros((3, 1))], 1).reshape(-1).astype(float)
    return out


def organised_cloud(cloud: FrameCloud, header: Header) -> PointCloud2:
    """A point x y z for each pixel, in rows and columns as the image; NaN where there is no depth."""
    k, depth = cloud.intrinsics, np.where(cloud.depth > 0, cloud.depth, np.nan).astype(np.float32)
    height, width = depth.shape
    points = np.empty((height, width, 3), np.float32)
    points[..., 0] = (np.arange(width, dtype=np.float32) - np.float32(k.cx)) / np.float32(k.fx) * depth
    points[..., 1] = ((np.arange(height, dtype=np.float32) - np.float32(k.cy)) / np.float32(k.fy))[:, None] * depth
    points[..., 2] = depth
    out = PointCloud2(header=header, height=height, width=width, is_bigendian=False, point_step=12, row_step=12 * width,
                      is_dense=False)
    out.fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
    out.data = _bytes(points)
    return out


def _bytes(values: np.ndarray) -> array:
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).tobytes())
    return data
