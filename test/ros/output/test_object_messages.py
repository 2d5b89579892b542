# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/objects and ~/markers."""
import numpy as np
from helpers.harness import LATCHED, START_NS
from helpers.robot import Robot
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.ros.conversions import from_pose, stamp_ns
from lsm_ros.ros.output.object_messages import to_detections, to_markers
from lsm_ros.semantics.classes import Classes
from lsm_ros.semantics.objects import Box, MapObject

CHAIR = MapObject(7, "chair", Box(np.array([1.0, 2, 0.5]), np.array([0.6, 0.5, 1.0]), 0.3), np.array([1.0, 2.1, 0.4]), 90,
                  {"chair": 0.8, "sofa": 0.3}, 0.9, 5_000_000_001, name="Ada's")
TABLE = MapObject(8, "table", Box(np.array([3.0, 0, 0.4]), np.array([1.0, 1, 0.8]), 0.0), np.array([3.0, 0, 0.7]), 50)


def test_detections_say_number_place_names_and_when():
    message = to_detections([CHAIR, TABLE], 9_000_000_000, "map")
    one, two = message.detections
    assert (message.header.frame_id, one.header.frame_id) == ("map", "map") and stamp_ns(message.header.stamp) == 9_000_000_000
    assert (one.id, two.id) == ("7", "8") and stamp_ns(one.header.stamp) == 5_000_000_001
    assert np.allclose(from_pose(one.bbox.center), CHAIR.box.T_map_box) and one.bbox.size.z == 1.0
    assert [(r.hypothesis.class_id, r.hypothesis.score) for r in one.results] == [("Ada's", 0.9), ("sofa", 0.3)]
    assert one.results[0].pose.pose.position.y == 2.1


def test_markers_are_boxes_with_names_and_take_the_old_ones_away():
    message = to_markers([CHAIR], Classes().about, 9_000_000_000, "map")
    gone, box, name = message.markers
    assert gone.action == Marker.DELETEALL and (box.type, name.type) == (Marker.CUBE, Marker.TEXT_VIEW_FACING)
    assert (box.id, name.id, name.text) == (7, 7, "Ada's 7") and name.pose.position.z > 1.0 and box.pose.position.z == 0.5
    assert [round(255 * c) for c in (box.color.r, box.color.g, box.color.b)] == list(Classes().about("chair").color)


def test_the_node_publishes_the_objects_of_its_map(client, room, start_shared):
    node = start_shared(base_frame="base_link")
    client.wait_active(node)
    robot = Robot(client, room, START_NS)
    client.listen(Detection3DArray, "/mapping/objects", LATCHED)
    client.listen(MarkerArray, "/mapping/markers", LATCHED)
    robot.drive(6, labels=True)
    found = client.wait_message("/mapping/objects", lambda m: len(m.detections) > 0)
    assert found.header.frame_id == "map" and all(0.5 <= d.results[0].hypothesis.score <= 1 for d in found.detections)
    assert client.wait_message("/mapping/markers", lambda m: len(m.markers) > 2).markers[0].action == Marker.DELETEALL


