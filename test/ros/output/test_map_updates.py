# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/map_update, ~/get_blocks and who rebuilds the map from them; ~/mesh and ~/distance_field."""
import copy
import time

import numpy as np
import pytest
from helpers.harness import LATCHED, START_NS
from helpers.robot import Robot
from nav_msgs.msg import OccupancyGrid
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker

from lsm_ros.fusion.publish.updates import MAX_BYTES, MapUpdate
from lsm_ros.fusion.read.mesh import Mesh
from lsm_ros.msg import MappingStatus, SemanticVoxelUpdate
from lsm_ros.ros import conversions
from lsm_ros.ros.map_subscriber import MapSubscriber
from lsm_ros.ros.output.map_updates import UPDATE_QOS
from lsm_ros.ros.output.mesh_message import to_mesh_marker
from lsm_ros.ros.output.update_messages import from_voxel_update, serialized, to_voxel_update
from lsm_ros.srv import GetBlocks

TOPIC = "/mapping/map_update"


class Lossy(MapSubscriber):
    """Loses a third of the messages before it looks at them."""

    def __init__(self, *args, **options):
        self.came = self.lost = 0
        super().__init__(*args, **options)

    def on_update(self, message):
        self.came += bool(message.blocks)
        if message.blocks and self.came % 3 == 2:
            self.lost += 1
        else:
            super().on_update(message)


@pytest.fixture(scope="module")
def robot(client, room, start_shared):
    node = start_shared(base_frame="base_link", missing_input_seconds=5.0, map_rate_hz=5.0, map_update_rate_hz=10.0,
                        mesh_rate_hz=5.0, **{"keyframes.overlap": 0.9})
    client.wait_active(node)
    return Robot(client, room, START_NS)


def shows(subscriber, message):
    """Whether a subscriber's map is a ~/map_cloud to the last bit."""
    with subscriber._lock:
        cloud = subscriber.cloud()
        stamp, frame = conversions.stamp_ns(message.header.stamp), message.header.frame_id
    mine = conversions.map_cloud_message(cloud, stamp, frame)
    return len(cloud.points_map) > 0 and mine.data == message.data


def equal_in_the_end(client, *subscribers):
    def equal():
        return all(s.complete and shows(s, client.messages("/mapping/map_cloud")[-1]) for s in subscribers)

    client.wait_message("/mapping/map_cloud", lambda m: m.width > 1000)
    client.wait(equal, 15, "the copies of the map to be equal to ~/map_cloud")


def test_a_subscriber_that_misses_a_third_ends_equal(client, robot):
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)
    client.listen(SemanticVoxelUpdate, TOPIC, UPDATE_QOS)
    with client.lock:
        lossy, whole = Lossy(client.node), MapSubscriber(client.node)
    client.wait(lambda: whole.complete, 10, "the first answer")
    robot.drive(30)
    client.wait_status(lambda s: s.queue_length == 0)
    with client.lock:
        late = MapSubscriber(client.node)  # who comes when all is quiet
    equal_in_the_end(client, lossy, whole, late)
    assert lossy.lost >= 2 and lossy.came >= 6
    assert late.frame_id == "map"
    # one chain, no message too large, and most of them tell less than all of the map
    messages = [m for m in client.messages(TOPIC) if m.blocks]
    assert len(messages) >= 3
    for a, b in zip(messages[:-1], messages[1:], strict=True):
        assert b.base_seq == a.seq and b.epoch == a.epoch
    assert max(sum(len(b.data) + 24 for b in m.blocks) for m in messages) <= MAX_BYTES
    assert min(len(m.blocks) for m in messages[1:]) < whole._replica.block_count
    for s in (lossy, whole, late):
        s.close()


def test_another_epoch_and_a_garbled_message(client, robot):
    client.listen(PointCloud2, "/mapping/map_cloud", LATCHED)
    client.listen(SemanticVoxelUpdate, TOPIC, UPDATE_QOS)
    changes = []
    with client.lock:
        whole = MapSubscriber(client.node, on_change=lambda: changes.append(time.monotonic()))
    client.wait(lambda: whole.complete and len(whole.cloud().points_map), 10)
    epoch, _ = whole.state
    assert client.call(Trigger, "/mapping/reset").success
    client.wait(lambda: whole.complete and whole.state[0] == epoch + 1 and not len(whole.cloud().points_map), 10,
                "the copy to be empty after a reset")
    robot.drive(12)
    client.wait_status(lambda s: s.queue_length == 0)
    equal_in_the_end(client, whole)
    assert changes
    sound = client.wait_message(TOPIC, lambda m: m.blocks)
    for spoil in (lambda m: setattr(m, "encoding", "other"), lambda m: m.blocks[0].data.pop(),
                  lambda m: setattr(m.blocks[0], "removed", True), lambda m: setattr(m, "voxel_size", float("nan"))):
        bad = copy.deepcopy(sound)
        with client.lock:  # a sound one may still come between
            state, cloud = whole.state, whole.cloud()
            bad.base_seq, bad.seq = state[1], state[1] + 5
            spoil(bad)
            whole.on_update(bad)
            assert whole.state == state and whole.cloud() is cloud
    client.wait(lambda: whole.complete, 10, "the copy to be known as whole again")
    whole.close()


def test_get_blocks_of_what_the_node_does_not_know(client, robot):
    def ask(epoch, since):
        return client.call(GetBlocks, "/mapping/get_blocks", GetBlocks.Request(epoch=epoch, since_seq=since))

    def everything(epoch, since):
        """Number of blocks of the whole map, asked for from (epoch, since)."""
        blocks, first = 0, True
        while True:
            answer = ask(epoch, since)
            assert answer.success, answer.message
            assert (answer.update.base_seq == 0) == first
            if not answer.update.blocks:
                return blocks, answer.update
            blocks, epoch, since, first = blocks + len(answer.update.blocks), answer.update.epoch, answer.update.seq, False

    count, newest = everything(0, 0)
    assert count > 10
    for epoch, since in ((newest.epoch + 7, newest.seq), (newest.epoch, newest.seq + 1000), (newest.epoch, 2**64 - 1),
                         (newest.epoch, 1)):
        assert everything(epoch, since)[0] == count
    answer = ask(newest.epoch, newest.seq)
    assert answer.success and not answer.update.blocks and answer.update.seq == newest.seq == answer.update.base_seq
    assert "nothing" in answer.message


def test_mesh_and_distance_field(client, robot):
    client.listen(Marker, "/mapping/mesh", LATCHED)
    client.listen(OccupancyGrid, "/mapping/distance_field", LATCHED)
    client.listen(OccupancyGrid, "/mapping/occupancy", LATCHED)
    mesh = client.wait_message("/mapping/mesh", lambda m: len(m.points) > 3000)
    assert mesh.type == Marker.TRIANGLE_LIST and mesh.header.frame_id == "map" and mesh.pose.orientation.w == 1
    assert len(mesh.points) == len(mesh.colors) and len(mesh.points) % 3 == 0
    assert {c.a for c in mesh.colors} == {1.0} and 0.05 < np.mean([c.r for c in mesh.colors]) < 1
    occupancy = client.wait_message("/mapping/occupancy", lambda m: 100 in m.data)
    field = client.wait_message("/mapping/distance_field", lambda m: 0 in m.data)
    assert field.info.resolution == occupancy.info.resolution
    assert (field.info.width, field.info.height) == (occupancy.info.width, occupancy.info.height)
    seen, distance = np.array(occupancy.data), np.array(field.data)
    assert (distance[seen == 100] == 0).all() and (distance[seen == -1] == -1).all() and (distance[seen == 0] > 0).all()


def test_a_mapper_that_is_started_anew(client, room, start):
    """The copy outlives the mapper, and takes over the map of the next one although epochs begin at the same number."""
    topic = "/second/mapping/map_cloud"
    client.listen(PointCloud2, topic, LATCHED)
    with client.lock:
        copy_of = MapSubscriber(client.node, "/second/mapping")
    states = []
    for frames in (6, 12):
        node = start(base_frame="base_link", remap=["__ns:=/second"], map_rate_hz=5.0, map_update_rate_hz=10.0)
        client.listen(MappingStatus, "/second/mapping/status", LATCHED)
        client.wait(lambda: any(m.active for m in client.messages("/second/mapping/status")), 20)
        client.received[topic].clear()
        second = Robot(client, room, START_NS, namespace="/second")
        second.drive(frames)
        client.wait(lambda node=node: client.messages(topic) and copy_of.complete
                    and shows(copy_of, client.messages(topic)[-1]), 20, "the copy to be equal")
        states.append(copy_of.state)
        assert node.stop() == 0
        client.wait(lambda: not copy_of.complete, 10, "the copy to be in doubt")
    assert states[0][0] == states[1][0] and states[0][1] != states[1][1]
    copy_of.close()


def test_marker_is_what_rclpy_would_have_written():
    rng = np.random.default_rng(0)
    for frame_id in ("m", "map", "map_s1", "a_map"):  # the length shifts what comes after
        mesh = Mesh(rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 256, (20, 3)).astype(np.uint8),
                    np.zeros(20, np.uint16), rng.integers(0, 20, (11, 3)).astype(np.int32))
        marker = deserialize_message(to_mesh_marker(mesh, 5_000_000_001, frame_id), Marker)
        assert marker.header.frame_id == frame_id and marker.header.stamp.nanosec == 1 and marker.ns == "mesh"
        corners = mesh.triangles.reshape(-1)
        assert np.array_equal([[p.x, p.y, p.z] for p in marker.points], mesh.vertices[corners].astype(float))
        assert np.allclose([[c.r, c.g, c.b, c.a] for c in marker.colors], np.c_[mesh.colors[corners] / 255, np.ones(33)])
        assert marker.texture_resource == "" and not marker.mesh_use_embedded_materials and not marker.uv_coordinates
    empty = Mesh(*(a[:0] for a in (mesh.vertices, mesh.colors, mesh.labels, mesh.triangles)))
    assert deserialize_message(to_mesh_marker(empty, 0, "map"), Marker).action == Marker.DELETE


def test_update_is_what_rclpy_would_have_written():
    rng = np.random.default_rng(1)
    for frame_id in ("m", "map", "map_s1", "a_map"):
        for sizes in ((), (0,), (11, 0, 22, 33, 0, 44, 55), (5632,) * 3):
            index = rng.integers(-1000, 1000, (len(sizes), 3)).astype(np.int32)
            update = MapUpdate(3, 2**60 + 5, 2**60, index, tuple(rng.bytes(n) for n in sizes), 0.05, 2**40, 7)
            mine = serialized(update, 12_000_000_034, frame_id)
            theirs = bytes(serialize_message(to_voxel_update(update, 12_000_000_034, frame_id)))
            assert len(mine) == len(theirs)  # what fills gaps is random in theirs
            read = deserialize_message(mine, SemanticVoxelUpdate)
            assert read == deserialize_message(theirs, SemanticVoxelUpdate)
            back = from_voxel_update(read)
            assert back.data == update.data and np.array_equal(back.index, index) and back.voxel_size == np.float32(0.05)
            for name in ("epoch", "seq", "base_seq", "graph_version", "backlog", "block_edge", "encoding"):
                assert getattr(back, name) == getattr(update, name)
