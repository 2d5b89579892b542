# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Results of a query as messages: boxes of places, and points with their similarity."""
from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from geometry_msgs.msg import Point, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from lsm_ros.ros.conversions import to_stamp
from lsm_ros.srv import QueryText

if TYPE_CHECKING:
    from lsm_ros.semantics.language import Sentence
    from lsm_ros.semantics.search import Answer

_POINT = np.dtype([("xyz", "<f4", (3,)), ("score", "<f4")])
_LONGEST_ID = 200  # characters of the text that are repeated in each result


@dataclass(frozen=True)
class Found:
    """The answer to a sentence about a map, its frame, and the stamp of the newest frame in it."""

    sentence: Sentence
    answer: Answer
    stamp_ns: int
    frame_id: str


def told(found: Found) -> str:
    """The answer in one line for people."""
    a = found.answer
    best = f"best {a.best:.2f}" if np.isfinite(a.best) else "no voxel has features"
    return "; ".join([f"{len(a.places)} places, {len(a.points)} voxels with a similarity of {a.threshold:.2f} or more ({best})",
                      *found.sentence.remarks])


def fill(response: QueryText.Response, found: Found) -> None:
    """Fills results, the most convincing first, and points, the most similar first."""
    header = Header(stamp=to_stamp(found.stamp_ns), frame_id=found.frame_id)
    response.results = Detection3DArray(header=header, detections=[])
    for number, place in enumerate(found.answer.places):
        one = Detection3D(header=header, id=str(number))
        centre, size = (place.low + place.high) / 2, place.high - place.low
        one.bbox.center.position = Point(x=float(centre[0]), y=float(centre[1]), z=float(centre[2]))
        one.bbox.center.orientation.w = 1.0
        one.bbox.size = Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2]))
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = found.sentence.text[:_LONGEST_ID]
        result.hypothesis.score = min(max(place.similarity, 0.0), 1.0)
        x, y, z = place.centre.tolist()
        result.pose.pose.position = Point(x=x, y=y, z=z)
        result.pose.pose.orientation.w = 1.0
        one.results = [result]
        response.results.detections.append(one)
    response.points = _cloud(found, header)


def _cloud(found: Found, header: Header) -> PointCloud2:
    points = np.empty(len(found.answer.points), _POINT)
    points["xyz"], points["score"] = found.answer.points, found.answer.similarity
    cloud = PointCloud2(header=header, height=1, width=len(points), point_step=_POINT.itemsize,
                        row_step=_POINT.itemsize * len(points), is_dense=True, is_bigendian=False)
    cloud.fields = [PointField(name=n, offset=4 * k, datatype=PointField.FLOAT32, count=1)
                    for k, n in enumerate(("x", "y", "z", "score"))]
    data = array("B")
    data.frombytes(points.tobytes())
    cloud.data = data
    return cloud
