# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Life cycles one after the other, two nodes side by side, and replay that must not lose anything."""
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from helpers.harness import LATCHED, START_NS
from helpers.robot import Robot
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from lsm_ros.msg import MappingStatus
from lsm_ros.ros.conversions import from_pose


def test_many_cycles_of_everything(client, room, start):
    node = start(base_frame="base_link", **{"limits.queue_frames": 50})
    client.wait_active(node)
    robot = Robot(client, room, START_NS)
    resident = []
    for _ in range(6):
        robot.drive(6)
        client.wait_status(lambda s: s.active and s.frames_processed == 6)
        assert client.call(Trigger, "/mapping/pause").success
        robot.drive(2)
        assert client.call(Trigger, "/mapping/resume").success
        robot.drive(3)
        client.wait_status(lambda s: s.frames_processed == 9)
        assert client.transition("deactivate")
        robot.drive(2)
        assert client.transition("activate")
        robot.drive(3)
        status = client.wait_status(lambda s: s.frames_processed == 12)
        assert status.keyframes >= 1 and status.frames_without_pose == 0 and status.session == 0
        assert client.transition("deactivate") and client.transition("cleanup")
        client.wait_status(lambda s: s.keyframes == 0 and not s.pair_model)
        resident.append(node.resident_bytes() / 1e6)
        assert client.transition("configure") and client.transition("activate")
        client.wait_status(lambda s: s.active)
    print(f"resident MB after each cycle: {[round(r) for r in resident]}")
    assert resident[-1] - resident[1] < 30
    assert "Traceback" not in node.log()


def test_two_robots_in_one_graph(client, room, start):
    """Each has its own namespace, cameras, odometry and frames on the one /tf; neither has anything of the other."""
    names, count = ("robot1", "robot2"), 6
    for name in names:
        start(odom_frame=f"{name}/odom", base_frame=f"{name}/base_link", map_frame=f"{name}/map", remap=[f"__ns:=/{name}"],
              **{"limits.queue_frames": 50})
        client.listen(MappingStatus, f"/{name}/mapping/status", LATCHED)
        client.listen(PoseWithCovarianceStamped, f"/{name}/mapping/pose")
    client.listen(TFMessage, "/tf")
    client.listen(DiagnosticArray, "/diagnostics")
    for name in names:
        client.wait_message(f"/{name}/mapping/status", lambda s: s.active, 20)
    robots = {name: Robot(client, room, START_NS, namespace=name) for name in names}
    client.send_static([(room.source.T_rig_cam["front"], f"{name}/base_link", f"{name}/lens") for name in names])
    for _ in range(count):
        for step, (name, robot) in enumerate(robots.items(), 1):  # at the same stamps, the second twice as fast
            client.send_odometry(robot.frame_set.T_odom_base, robot.stamp_ns, f"{name}/odom", f"{name}/base_link")
            client.send_frame(robot.frame_set.frames[0], robot.stamp_ns, robot.topic, frame_id=f"{name}/lens")
            robot.index += step
            robot.stamp_ns += 10**8
        time.sleep(0.15)
    for step, (name, robot) in enumerate(robots.items(), 1):
        topic = f"/{name}/mapping/pose"
        client.wait(lambda topic=topic: len(client.messages(topic)) == count, 10, f"poses of {name}")
        poses = client.messages(topic)
        assert {m.header.frame_id for m in poses} == {f"{name}/map"}
        moved = np.linalg.inv(from_pose(poses[0].pose.pose)) @ from_pose(poses[-1].pose.pose)
        true = np.linalg.inv(robot.true_pose(0)) @ robot.true_pose(step * (count - 1))
        assert np.linalg.norm(moved[:3, 3] - true[:3, 3]) < 0.02
    def edges():
        return {(t.header.frame_id, t.child_frame_id) for m in client.messages("/tf") for t in m.transforms}

    own = {(f"{name}/{a}", f"{name}/{b}") for name in names for a, b in (("map", "odom"), ("odom", "base_link"))}
    client.wait(lambda: edges() >= own, 5, "the transforms of both")
    assert edges() == own
    assert client.call(Trigger, "/robot1/mapping/reset").success
    client.wait_message("/robot1/mapping/status", lambda s: s.session == 1)
    other = client.wait_message("/robot2/mapping/status", lambda s: s.frames_processed == count)  # sent once a second
    assert other.session == 0 and other.keyframes > 0
    client.wait(lambda: {f"{name}/mapping: node" for name in names} <= {
        s.name for m in client.messages("/diagnostics") for s in m.status}, 5, "diagnostics of both")


def test_replay_waits_instead_of_dropping(client, room, start):
    count = 100
    node = start(base_frame="base_link", replay=True, **{"limits.input_megabytes": 8.0, "limits.queue_frames": 2})
    client.wait_active(node)
    client.listen(PoseWithCovarianceStamped, "/mapping/pose")
    client.listen(DiagnosticArray, "/diagnostics")
    robot = Robot(client, room, START_NS)
    robot.drive(2)
    client.wait(lambda: len(client.messages("/mapping/pose")) == 2, 10, "the first poses")
    before = node.resident_bytes()
    start_s = time.monotonic()
    robot.drive(count - 2, pause=0.0)
    sent_s = time.monotonic() - start_s
    client.wait(lambda: len(client.messages("/mapping/pose")) == count, 30, "a pose for each frame")
    taken_s = time.monotonic() - start_s
    status = client.wait_status(lambda s: s.frames_processed == count)
    assert (status.frames_received, status.frames_dropped, status.frames_without_pose) == (count, 0, 0)
    assert status.cameras[0].images_dropped == status.cameras[0].images_invalid == 0
    assert taken_s > 1.2 * sent_s  # it was too fast, or this shows nothing
    client.wait(lambda: any(s.name == "mapping: stages" for m in client.messages("/diagnostics") for s in m.status), 5)
    waiting = [int(v.value) for m in client.messages("/diagnostics") for s in m.status for v in s.values
               if v.key == "input_bytes"]
    assert 0 < max(waiting) <= 8e6
    # the queue of DDS holds the frames that are not taken yet: 100 of 0.4 MB, and what the map needs
    assert node.resident_bytes() - before < 150e6
