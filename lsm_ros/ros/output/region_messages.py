# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Regions of the map as markers, which programs read as well: outlines and names by number, and doors."""
from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.ros.conversions import to_stamp
from lsm_ros.semantics.classes import color_of
from lsm_ros.semantics.regions import Regions

_LINE_M, _TEXT_M = 0.05, 0.3


def to_regions(regions: Regions | None, ns: int, frame_id: str) -> MarkerArray | None:
    """Of each region a closed LINE_STRIP (namespace `regions`, id its number), and its name (`names`, the same id) in its
    middle; of each door a LINE_LIST (`doors`) across it, with the numbers of both regions as its text; all on the floor of
    the map frame. None without regions."""
    if regions is None:
        return None
    header = Header(stamp=to_stamp(ns), frame_id=frame_id)
    out = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    for region in regions.regions:
        r, g, b = (c / 255 for c in color_of(region.name))
        line = _marker(header, "regions", region.number, Marker.LINE_STRIP, ColorRGBA(r=r, g=g, b=b, a=1.0))
        line.points = [_point(p) for p in (*region.outline, region.outline[0])]
        line.text = region.name
        text = _marker(header, "names", region.number, Marker.TEXT_VIEW_FACING, ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0))
        text.pose.position, text.text, text.scale.z = _point(region.centre), region.name, _TEXT_M
        out.markers += [line, text]
    middles = {region.number: region.centre for region in regions.regions}
    for number, door in enumerate(regions.doors):
        mark = _marker(header, "doors", number, Marker.LINE_LIST, ColorRGBA(r=1.0, g=0.8, b=0.0, a=1.0))
        along = middles[door.regions[1]] - middles[door.regions[0]]
        across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-9) * door.width / 2
        mark.points = [_point(door.centre - across), _point(door.centre + across)]
        mark.text = f"{door.regions[0]} {door.regions[1]}"
        out.markers.append(mark)
    return out


def _marker(header: Header, namespace: str, number: int, kind: int, color: ColorRGBA) -> Marker:
    marker = Marker(header=header, ns=namespace, id=number, type=kind, color=color)
    marker.pose.orientation.w, marker.scale.x = 1.0, _LINE_M
    return marker


def _point(xy: np.ndarray) -> Point:
    return Point(x=float(xy[0]), y=float(xy[1]), z=0.0)
