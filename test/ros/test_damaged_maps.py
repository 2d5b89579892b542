# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Damaged maps, through the running node: it lives, its own map answers, and each refusal names the file."""
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from helpers.harness import START_NS
from helpers.saved_maps import flip, flips

from lsm_ros.mapping import store
from lsm_ros.srv import LoadMap, SaveMap


def node_with_a_map(client, room, start):
    node = start(odom_frame="", **{"limits.queue_frames": 100})
    client.wait_active(node)
    client.offer_camera()
    for k in range(12):
        client.send_frame(room.frame_sets[k].frames[0], START_NS + k * 10**8)
        time.sleep(0.08)
    client.wait_status(lambda s: s.frames_processed == 12 and s.keyframes >= 2, 20)
    return node


@pytest.mark.parametrize("count", [14, pytest.param(400, marks=pytest.mark.slow)])
def test_the_node_outlives_flipped_bits_and_keeps_its_map(client, room, start, count):
    node = node_with_a_map(client, room, start)
    assert client.call(SaveMap, "/mapping/save_map", SaveMap.Request(name="kitchen")).success
    before = client.wait_status(lambda s: s.frames_processed == 12 and s.queue_length == 0)
    folder = node.maps / "kitchen"
    (folder / "occupancy.yaml").unlink(missing_ok=True)  # nothing is loaded from the grid
    (folder / "occupancy.pgm").unlink(missing_ok=True)
    store.write_sums(folder)
    for file, at, bit in flips(folder, count):
        flip(file, at, bit)
        answer = client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="kitchen"))
        assert not answer.success and file.name in answer.message, (file, at, bit, answer.message)
        flip(file, at, bit)
    assert node.alive()
    after = client.wait_status(lambda s: True)
    assert (after.keyframes, after.voxel_blocks, after.session, after.map_epoch) == (
        before.keyframes, before.voxel_blocks, before.session, before.map_epoch)
    client.send_frame(room.frame_sets[12].frames[0], START_NS + 12 * 10**8)
    client.wait_status(lambda s: s.frames_processed == 13 and s.state == s.STATE_TRACKING)
    assert client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="kitchen")).success


def test_a_damaged_map_at_the_start_is_said_in_log_and_diagnostics(client, start, tmp_path):
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / store.META).write_text("[1]")
    node = start(map_directory=str(tmp_path), load_map="kitchen")
    client.listen(DiagnosticArray, "/diagnostics")
    said = client.wait_message("/diagnostics", lambda m: "configure failed" in m.status[0].message, 30).status[0]
    assert "map.json cannot be read: it holds a list" in said.message and said.level == b"\x02"
    assert "it holds a list" in node.log() and client.state() == "unconfigured"
