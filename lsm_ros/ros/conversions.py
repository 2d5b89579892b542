# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Messages from and to the types of the pipeline. Decoding of pixels is in `lsm_ros.images.codecs`."""
from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped, Transform, TransformStamped, Twist
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from vision_msgs.msg import LabelInfo, VisionClass

from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.geometry import make_se3, matrix_to_quat, quat_to_matrix
from lsm_ros.images import codecs
from lsm_ros.types import UNLABELLED, FrameCloud, LabelSpace, OccupancyMap, TrajectoryPose

POINT_STEP = 24
FIELDS = [PointField(name=name, offset=offset, datatype=datatype, count=1) for name, offset, datatype in (
    ("x", 0, PointField.FLOAT32), ("y", 4, PointField.FLOAT32), ("z", 8, PointField.FLOAT32),
    ("rgb", 12, PointField.FLOAT32), ("label", 16, PointField.UINT16), ("confidence", 20, PointField.FLOAT32))]


# time and poses

def stamp_ns(stamp: Time) -> int:
    """Nanoseconds of a message's stamp."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_stamp(ns: int) -> Time:
    """Stamp of nanoseconds; ValueError for what int32 seconds cannot hold."""
    sec, nanosec = divmod(int(ns), 1_000_000_000)
    if not -2**31 <= sec < 2**31:
        raise ValueError(f"stamp {ns} ns does not fit into a message")
    return Time(sec=sec, nanosec=nanosec)


def from_transform(message: Transform) -> np.ndarray:
    """(4, 4) of a Transform; ValueError if it holds NaN or a quaternion of length zero."""
    t, q = message.translation, message.rotation
    return _rigid((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def from_pose(message: Pose) -> np.ndarray:
    """(4, 4) of a Pose; ValueError if it holds NaN or a quaternion of length zero."""
    p, q = message.position, message.orientation
    return _rigid((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


def _rigid(t: tuple[float, ...], q: tuple[float, ...]) -> np.ndarray:
    norm = float(np.linalg.norm(q))
    if not np.isfinite([*t, *q]).all() or norm < 1e-6:
        raise ValueError(f"no pose: translation {t}, quaternion {q}")
    return make_se3(quat_to_matrix(np.asarray(q) / norm), np.asarray(t))


def to_pose(T: np.ndarray) -> Pose:
    """Pose of T (4, 4)."""
    pose = Pose()
    p, q = pose.position, pose.orientation
    p.x, p.y, p.z = (float(v) for v in T[:3, 3])
    q.x, q.y, q.z, q.w = (float(v) for v in matrix_to_quat(T[:3, :3]))
    return pose


def to_transform(T_parent_child: np.ndarray, ns: int, parent: str, child: str) -> TransformStamped:
    """TransformStamped of T_parent_child (4, 4)."""
    out = TransformStamped()
    out.header.stamp, out.header.frame_id, out.child_frame_id = to_stamp(ns), parent, child
    t, q = out.transform.translation, out.transform.rotation
    t.x, t.y, t.z = (float(v) for v in T_parent_child[:3, 3])
    q.x, q.y, q.z, q.w = (float(v) for v in matrix_to_quat(T_parent_child[:3, :3]))
    return out


def to_pose_with_covariance(T_map_base: np.ndarray, covariance: np.ndarray | None, ns: int,
                            frame_id: str) -> PoseWithCovarianceStamped:
    """Pose in the map. covariance: (6, 6) in ROS order, or None (then -1 at [0], unknown)."""
    out = PoseWithCovarianceStamped()
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    out.pose.pose = to_pose(T_map_base)
    out.pose.covariance = _covariance(covariance)
    return out


def to_odometry(T_odom_base: np.ndarray, pose_covariance: np.ndarray | None, twist_base: np.ndarray,
                twist_covariance: np.ndarray | None, ns: int, frame_id: str, child_frame_id: str) -> Odometry:
    """Odometry; twist_base: (6,) m/s and rad/s, in the child frame, linear first."""
    out = Odometry()
    out.header.stamp, out.header.frame_id, out.child_frame_id = to_stamp(ns), frame_id, child_frame_id
    out.pose.pose, out.pose.covariance = to_pose(T_odom_base), _covariance(pose_covariance)
    out.twist.twist, out.twist.covariance = _twist(twist_base), _covariance(twist_covariance)
    return out


def _twist(twist: np.ndarray) -> Twist:
    out = Twist()
    out.linear.x, out.linear.y, out.linear.z = (float(v) for v in twist[:3])
    out.angular.x, out.angular.y, out.angular.z = (float(v) for v in twist[3:])
    return out


def _covariance(covariance: np.ndarray | None) -> np.ndarray:
    if covariance is None:
        return np.array([-1.0] + [0.0] * 35)
    return np.asarray(covariance, dtype=np.float64).reshape(36)


def to_path(poses: Iterable[TrajectoryPose], ns: int, frame_id: str) -> Path:
    """Path of the poses, each with its own stamp."""
    out = Path()
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    for p in poses:
        stamped = PoseStamped(pose=to_pose(p.T_map_rig))
        stamped.header.stamp, stamped.header.frame_id = to_stamp(p.stamp_ns), frame_id
        out.poses.append(stamped)
    return out


# images and cameras

def color_image(message: Image | CompressedImage) -> np.ndarray:
    """(H, W, 3) uint8 RGB. ValueError names what is wrong."""
    if isinstance(message, CompressedImage):
        return codecs.decode_compressed(message.data, message.format)
    return codecs.decode_image(message.encoding, message.width, message.height, message.step, message.data,
                                bool(message.is_bigendian))


def depth_image(message: Image | CompressedImage) -> np.ndarray:
    """(H, W) float32 metres, 0 where there is none. ValueError names what is wrong."""
    if isinstance(message, CompressedImage):
        return codecs.decode_compressed_depth(message.data, message.format)
    return codecs.decode_depth(message.encoding, message.width, message.height, message.step, message.data,
                                bool(message.is_bigendian))


def label_image(message: Image | CompressedImage) -> np.ndarray:
    """(H, W) uint16, `UNLABELLED` where there is none. ValueError names what is wrong."""
    if isinstance(message, CompressedImage):
        return codecs.decode_compressed_labels(message.data, message.format)
    return codecs.decode_labels(message.encoding, message.width, message.height, message.step, message.data,
                                 bool(message.is_bigendian))


def label_space(message: LabelInfo) -> LabelSpace:
    """Names of label ids. ValueError for an id that is not below 65535 or that has two names."""
    names: dict[int, str] = {}
    for entry in message.class_map:
        if names.setdefault(entry.class_id, entry.class_name) != entry.class_name:
            first = names[entry.class_id]
            raise ValueError(f"label id {entry.class_id} has two names, {first!r} and {entry.class_name!r}")
    return LabelSpace(names, float(message.threshold))


def to_label_info(space: LabelSpace, ns: int, frame_id: str) -> LabelInfo:
    """LabelInfo of a label space."""
    out = LabelInfo(threshold=float(space.threshold))
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    out.class_map = [VisionClass(class_id=int(i), class_name=n) for i, n in sorted(space.names.items())]
    return out


# clouds and grids

def to_cloud(points: np.ndarray, colors: np.ndarray, labels: np.ndarray | None, confidence: np.ndarray, ns: int,
             frame_id: str) -> PointCloud2:
    """Cloud x y z rgb label confidence, 24 bytes a point, one row.

    points: (N, 3) float32 m; colors: (N, 3) uint8 RGB; labels: (N,) uint16 or None; confidence: (N,) float32 in [0, 1].
    """
    message, cells, words = _cloud(len(points), ns, frame_id)
    cells[:, :3] = points
    words[:, 3] = _packed(colors)
    words[:, 4] = UNLABELLED if labels is None else labels  # the label is the low half: little endian
    cells[:, 5] = confidence
    return message


def frame_cloud_message(cloud: FrameCloud, stride: int = 1, min_confidence: float = 0.0) -> PointCloud2:
    """A frame's points in its optical frame: every stride-th pixel in each direction that has depth and confidence."""
    depth = np.ascontiguousarray(cloud.depth[::stride, ::stride])
    confidence = np.ascontiguousarray(cloud.confidence[::stride, ::stride])
    good = (depth > 0) & (confidence >= min_confidence)
    height, width = depth.shape
    k = cloud.intrinsics
    x = (np.arange(width, dtype=np.float32) * stride - np.float32(k.cx)) / np.float32(k.fx)
    y = (np.arange(height, dtype=np.float32) * stride - np.float32(k.cy)) / np.float32(k.fy)
    index = slice(None) if good.all() else np.flatnonzero(good)
    message, cells, words = _cloud(int(np.count_nonzero(good)), cloud.stamp_ns, cloud.frame_id)
    cells[:, 0] = (x[None, :] * depth).reshape(-1)[index]
    cells[:, 1] = (y[:, None] * depth).reshape(-1)[index]
    cells[:, 2] = depth.reshape(-1)[index]
    words[:, 3] = _packed(cloud.image[::stride, ::stride]).reshape(-1)[index]
    words[:, 4] = UNLABELLED if cloud.labels is None else cloud.labels[::stride, ::stride].reshape(-1)[index]
    cells[:, 5] = confidence.reshape(-1)[index]
    return message


def map_cloud_message(cloud: SurfaceCloud, ns: int, frame_id: str) -> PointCloud2:
    """All surface voxels in the map frame."""
    return to_cloud(cloud.points_map, cloud.colors, cloud.labels, cloud.confidence, ns, frame_id)


def _packed(colors: np.ndarray) -> np.ndarray:
    """0x00RRGGBB as PCL and RViz have it, with a top byte of 0, hence never a NaN; (..., 3) uint8 to (...) uint32."""
    shape = colors.shape[:-1]
    if not colors.size:
        return np.zeros(shape, np.uint32)
    flat = np.ascontiguousarray(colors).reshape(1, -1, 3) if colors.ndim != 3 else np.ascontiguousarray(colors)
    return (cv2.cvtColor(flat, cv2.COLOR_RGB2BGRA).view("<u4") & np.uint32(0xFFFFFF)).reshape(shape)


def _cloud(count: int, ns: int, frame_id: str) -> tuple[PointCloud2, np.ndarray, np.ndarray]:
    """A message of `count` points and its memory, to be filled, as (count, 6) float32 and uint32.

    The memory is the message's own array.array, grown in place: what is assigned to `data` is copied by Jazzy, and
    checked byte by byte by Humble unless it is an array.array.
    """
    out = PointCloud2(height=1, width=count, fields=FIELDS, is_bigendian=False, point_step=POINT_STEP,
                      row_step=POINT_STEP * count, is_dense=True)
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    data = out.data
    if count:
        data.append(0)
        data *= POINT_STEP * count
    cells = np.frombuffer(data, np.float32) if count else np.empty(0, np.float32)
    cells = cells.reshape(count, POINT_STEP // 4)
    return out, cells, cells.view(np.uint32)


def to_occupancy_grid(occupancy: OccupancyMap, ns: int, frame_id: str) -> OccupancyGrid:
    """Grid in the map frame."""
    out = OccupancyGrid()
    out.header.stamp, out.header.frame_id = to_stamp(ns), frame_id
    out.info.map_load_time = out.header.stamp
    out.info.resolution = float(occupancy.resolution)
    out.info.height, out.info.width = (int(v) for v in occupancy.grid.shape)
    out.info.origin.position.x, out.info.origin.position.y = float(occupancy.origin_x), float(occupancy.origin_y)
    out.info.origin.orientation.w = 1.0
    if occupancy.grid.size:
        out.data.frombytes(np.ascontiguousarray(occupancy.grid, dtype=np.int8).data.cast("B"))
    return out
