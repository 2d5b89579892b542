# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Objects of the map as messages: detections for programs, boxes with names for people."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.ros.conversions import to_pose, to_stamp
from lsm_ros.semantics.classes import ClassAbout
from lsm_ros.semantics.objects import MapObject

_ALPHA, _TEXT_M = 0.35, 0.12


def to_detections(objects: Sequence[MapObject], ns: int, frame_id: str) -> Detection3DArray:
    """Detections in the map frame. id: the object's number. The first result has the name that is shown, with the probability
    that the object is there as its score; the others are classes that it was called besides."""
    header = Header(stamp=to_stamp(ns), frame_id=frame_id)
    out = Detection3DArray(header=header)
    for o in objects:
        one = Detection3D(header=Header(stamp=to_stamp(max(o.last_seen_ns, 0)), frame_id=frame_id), id=str(o.id))
        one.bbox.center, one.bbox.size = _pose(o), _vector(o)
        others = sorted(((p, n) for n, p in o.classes.items() if n != o.label), reverse=True)
        one.results = [_result(o, o.shown_name, o.existence), *(_result(o, n, min(p, 1.0)) for p, n in others)]
        out.detections.append(one)
    return out


def to_markers(objects: Sequence[MapObject], about: Callable[[str], ClassAbout], ns: int, frame_id: str) -> MarkerArray:
    """A box in the colour of its class, and the name above it, for each object; others that were there before go."""
    header = Header(stamp=to_stamp(ns), frame_id=frame_id)
    out = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    for o in objects:
        r, g, b = (c / 255 for c in about(o.label).color)
        box = Marker(header=header, ns="boxes", id=o.id, type=Marker.CUBE, pose=_pose(o), scale=_vector(o),
                     color=ColorRGBA(r=r, g=g, b=b, a=_ALPHA))
        text = Marker(header=header, ns="names", id=o.id, type=Marker.TEXT_VIEW_FACING, pose=_pose(o),
                      text=f"{o.shown_name} {o.id}", color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0))
        text.pose.position.z += float(o.box.size[2]) / 2 + _TEXT_M
        text.scale.z = _TEXT_M
        out.markers += [box, text]
    return out


def _pose(o: MapObject) -> Pose:
    return to_pose(o.box.T_map_box)


def _vector(o: MapObject) -> Vector3:
    x, y, z = o.box.size.tolist()
    return Vector3(x=x, y=y, z=z)


def _result(o: MapObject, name: str, score: float) -> ObjectHypothesisWithPose:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = name, float(score)
    x, y, z = o.centroid.tolist()
    result.pose.pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
    return result
