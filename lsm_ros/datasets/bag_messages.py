# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Frames, poses and label spaces as ROS messages of rosbags' type store."""
from __future__ import annotations

from typing import Any

import numpy as np

from lsm_ros.geometry.camera import CameraIntrinsics
from lsm_ros.geometry.lie import matrix_to_quat
from lsm_ros.types import LabelSpace


class MessageMaker:
    """Makes messages; `store` is the type store that also serialises them."""

    def __init__(self, store: Any) -> None:
        self._types = store.types

    def __call__(self, msgtype: str, **fields: Any) -> Any:
        """A message of a type such as sensor_msgs/msg/Image from its fields."""
        return self._types[msgtype](**fields)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """std_msgs/Header."""
        time = self("builtin_interfaces/msg/Time", sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
        return self("std_msgs/msg/Header", stamp=time, frame_id=frame_id)

    def image(self, stamp_ns: int, frame_id: str, array: np.ndarray, encoding: str) -> Any:
        """sensor_msgs/Image of an (H, W) or (H, W, C) array whose bytes are those of the encoding."""
        rows = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        height, width = array.shape[:2]
        data = rows.reshape(-1).view(np.uint8)
        return self("sensor_msgs/msg/Image", header=self.header(stamp_ns, frame_id), height=height, width=width,
                    encoding=encoding, is_bigendian=0, step=data.size // height, data=data)

    def compressed(self, stamp_ns: int, frame_id: str, blob: bytes, format: str) -> Any:
        """sensor_msgs/CompressedImage of an image file."""
        return self("sensor_msgs/msg/CompressedImage", header=self.header(stamp_ns, frame_id), format=format,
                    data=np.frombuffer(blob, np.uint8))

    def camera_info(self, stamp_ns: int, frame_id: str, camera: CameraIntrinsics) -> Any:
        """sensor_msgs/CameraInfo of one camera (R is identity, P is K)."""
        P = np.zeros((3, 4))
        P[:, :3] = camera.K
        roi = self("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        D = camera.D or (0.0,) * 5
        return self("sensor_msgs/msg/CameraInfo", header=self.header(stamp_ns, frame_id), height=camera.height,
                    width=camera.width, distortion_model=camera.distortion_model or "plumb_bob", d=np.array(D, float),
                    k=camera.K.reshape(-1), r=np.eye(3).reshape(-1), p=P.reshape(-1), binning_x=0, binning_y=0, roi=roi)

    def label_info(self, stamp_ns: int, frame_id: str, space: LabelSpace) -> Any:
        """vision_msgs/LabelInfo."""
        names = sorted(space.names.items())
        classes = [self("vision_msgs/msg/VisionClass", class_id=i, class_name=n) for i, n in names]
        return self("vision_msgs/msg/LabelInfo", header=self.header(stamp_ns, frame_id), class_map=classes,
                    threshold=float(space.threshold))

    def transform(self, stamp_ns: int, parent: str, child: str, T_parent_child: np.ndarray) -> Any:
        """geometry_msgs/TransformStamped."""
        x, y, z = (float(v) for v in T_parent_child[:3, 3])
        value = self("geometry_msgs/msg/Transform", translation=self("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
                     rotation=self._quaternion(T_parent_child))
        return self("geometry_msgs/msg/TransformStamped", header=self.header(stamp_ns, parent), child_frame_id=child,
                    transform=value)

    def transforms(self, transforms: list[Any]) -> Any:
        """tf2_msgs/TFMessage."""
        return self("tf2_msgs/msg/TFMessage", transforms=transforms)

    def pose(self, stamp_ns: int, frame_id: str, T_frame_body: np.ndarray) -> Any:
        """geometry_msgs/PoseStamped."""
        x, y, z = (float(v) for v in T_frame_body[:3, 3])
        value = self("geometry_msgs/msg/Pose", position=self("geometry_msgs/msg/Point", x=x, y=y, z=z),
                     orientation=self._quaternion(T_frame_body))
        return self("geometry_msgs/msg/PoseStamped", header=self.header(stamp_ns, frame_id), pose=value)

    def imu(self, stamp_ns: int, frame_id: str, angular_velocity: np.ndarray, specific_force: np.ndarray) -> Any:
        """sensor_msgs/Imu of (3,) rad/s and (3,) m/s^2; its orientation is marked as unknown."""
        unknown = np.zeros(9)
        unknown[0] = -1
        orientation = self("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
        w, a = (self("geometry_msgs/msg/Vector3", x=float(v[0]), y=float(v[1]), z=float(v[2]))
                for v in (angular_velocity, specific_force))
        return self("sensor_msgs/msg/Imu", header=self.header(stamp_ns, frame_id), orientation=orientation,
                    orientation_covariance=unknown, angular_velocity=w, angular_velocity_covariance=np.zeros(9),
                    linear_acceleration=a, linear_acceleration_covariance=np.zeros(9))

    def _quaternion(self, T: np.ndarray) -> Any:
        x, y, z, w = (float(v) for v in matrix_to_quat(T[:3, :3]))
        return self("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
