# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A mesh as visualization_msgs/Marker, serialised here: RViz wants a Point and a colour for each corner of each triangle,
and a Python object for each of them would hold up the mapping of a building for seconds."""
from __future__ import annotations

import struct

import numpy as np
from geometry_msgs.msg import Point
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from lsm_ros.fusion.read.mesh import Mesh
from lsm_ros.ros.conversions import to_stamp

_POINT, _COLOR = (1.5e300, -2.5e-300, 3.5e200), (1.5e30, -2.5e-30, 3.5e20, -4.5e-20)  # values that stand nowhere else


def to_mesh_marker(mesh: Mesh, ns: int, frame_id: str) -> bytes:
    """TRIANGLE_LIST of a mesh in the map frame, as a serialised visualization_msgs/Marker; what has no triangles deletes the
    marker."""
    marker = Marker(ns="mesh", type=Marker.TRIANGLE_LIST)
    marker.header.stamp, marker.header.frame_id = to_stamp(ns), frame_id
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    marker.color.r = marker.color.g = marker.color.b = marker.color.a = 1.0
    corners = mesh.triangles.reshape(-1)
    if not len(corners):
        marker.action = Marker.DELETE
        return serialize_message(marker)
    points = mesh.vertices[corners]
    colors = np.ones((len(corners), 4), np.float32)
    colors[:, :3] = mesh.colors[corners] / np.float32(255)
    return _filled(marker, points, colors)


def _filled(marker: Marker, points: np.ndarray, colors: np.ndarray) -> bytes:
    """A marker with points (N, 3) and colors (N, 4), N > 0: serialised with one of each, for which all are put.

    CDR aligns a number to its size, 8 at most, from the start; a point is three doubles and a colour four floats, so what
    comes after them keeps its alignment whatever their number.
    """
    empty = len(serialize_message(marker))
    marker.points = [Point(x=_POINT[0], y=_POINT[1], z=_POINT[2])]
    marker.colors = [ColorRGBA(r=_COLOR[0], g=_COLOR[1], b=_COLOR[2], a=_COLOR[3])]
    one = bytes(serialize_message(marker))
    order = "<" if one[1] & 1 else ">"
    count = struct.pack(f"{order}I", 1)
    first = one.index(struct.pack(f"{order}3d", *_POINT))
    color = one.index(struct.pack(f"{order}4f", *_COLOR))
    start = first - 4 - (len(one) - empty - 40)  # 40: a point and a colour; the rest is what aligns the point
    if one[start:start + 4] != count or one[first + 24:color] != count:
        raise RuntimeError("the serialisation of visualization_msgs/Marker is not CDR as it is known here")
    total = struct.pack(f"{order}I", len(points))
    return b"".join((one[:start], total, one[start + 4:first], points.astype(f"{order}f8").tobytes(), total,
                     colors.astype(f"{order}f4").tobytes(), one[color + 16:]))
