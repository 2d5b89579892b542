# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/regions, ~/label_mask, ~/where_am_i and ~/goal_near."""
import numpy as np
from helpers.harness import LATCHED, START_NS
from helpers.robot import Robot
from nav2_msgs.msg import CostmapFilterInfo
from nav_msgs.msg import OccupancyGrid
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.ros.conversions import from_pose
from lsm_ros.ros.output.region_messages import to_regions
from lsm_ros.semantics.regions import Door, Region, Regions
from lsm_ros.srv import GoalNear

SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]])
FLAT = Regions(np.zeros((1, 1), np.int32), 0.0, 0.0, 0.1, (
    Region(1, SQUARE, 4.0, np.array([1, 1.0]), 1.0, "kitchen"),
    Region(2, SQUARE + [3, 0], 4.0, np.array([4, 1.0]), 1.0, "room")),
    (Door((1, 2), np.array([2.5, 1.0]), 0.9),))


def test_regions_are_outlines_names_and_doors():
    message = to_regions(FLAT, 5, "map")
    gone, first, name, *_, door = message.markers
    assert gone.action == Marker.DELETEALL and len(message.markers) == 6
    assert (first.ns, first.id, first.type, first.text) == ("regions", 1, Marker.LINE_STRIP, "kitchen")
    assert first.header.frame_id == "map"
    assert len(first.points) == 5 and first.points[0] == first.points[-1] and first.points[2].x == 2.0
    assert (name.ns, name.id, name.text, name.pose.position.x) == ("names", 1, "kitchen", 1.0)
    assert door.text == "1 2" and sorted((p.x, p.y) for p in door.points) == [(2.5, 0.55), (2.5, 1.45)]
    assert to_regions(None, 5, "map") is None


def test_a_robot_asks_where_it_is_and_where_to_go(client, room, start_shared):
    node = start_shared(base_frame="base_link")
    client.wait_active(node)
    for kind, name, request in ((Trigger, "where_am_i", None), (GoalNear, "goal_near", GoalNear.Request(target="bed"))):
        refused = client.call(kind, f"/mapping/{name}", request)
        assert not refused.success and refused.message
    robot = Robot(client, room, START_NS)
    client.listen(MarkerArray, "/mapping/regions", LATCHED)
    robot.drive(8, labels=True)
    regions = client.wait_message("/mapping/regions", lambda m: len(m.markers) > 2)
    client.listen(CostmapFilterInfo, "/mapping/label_mask_info", LATCHED)
    client.listen(OccupancyGrid, "/mapping/label_mask", LATCHED)
    info = client.wait_message("/mapping/label_mask_info")
    assert (info.type, info.filter_mask_topic, info.base, info.multiplier) == (0, "/mapping/label_mask", 0.0, 1.0)
    assert 0 in client.wait_message("/mapping/label_mask").data
    names = [m.text for m in regions.markers if m.ns == "names"]
    answer = client.call(GoalNear, "/mapping/goal_near", GoalNear.Request(target=names[0]))
    assert answer.success, answer.message
    assert answer.message.startswith(f"region {names[0]}, with ") and answer.pose.header.frame_id == "map"
    assert np.isfinite(from_pose(answer.pose.pose)).all()
    unknown = client.call(GoalNear, "/mapping/goal_near", GoalNear.Request(target="xylophone"))
    assert not unknown.success and "nothing in the map is called 'xylophone'" in unknown.message
    where = client.call(Trigger, "/mapping/where_am_i")
    assert where.message in names if where.success else "is in none of the regions" in where.message
