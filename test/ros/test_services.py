# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Services of the running node, and files that must stay where they belong."""
import resource
import time

import pytest
from helpers.harness import START_NS
from std_srvs.srv import Trigger

from lsm_ros.ros.map_files import resolve_map
from lsm_ros.srv import LoadMap, SaveMap

FRAME = "service_lens"


@pytest.fixture(scope="module")
def node(client, room, start_shared):
    """A node with a small map."""
    n = start_shared(odom_frame="", **{"limits.queue_frames": 100})
    client.wait_active(n)
    client.offer_camera()
    send(client, room, range(12))
    client.wait_status(lambda s: s.frames_processed == 12 and s.keyframes >= 2)
    return n


def send(client, room, indices, first_ns=START_NS):
    for k in indices:
        client.send_frame(room.frame_sets[k].frames[0], first_ns + k * 10**8, frame_id=FRAME)
        time.sleep(0.08)


def save(client, name, overwrite=False):
    return client.call(SaveMap, "/mapping/save_map", SaveMap.Request(name=name, overwrite=overwrite))


def test_save_load_pause_reset(client, room, node):
    saved = save(client, "kitchen")
    assert saved.success and saved.path == str(node.maps / "kitchen") and saved.size_bytes > 10000
    assert (node.maps / "kitchen" / "map.json").is_file()
    again = save(client, "kitchen")
    assert not again.success and "exists" in again.message
    assert save(client, "kitchen", overwrite=True).success
    unnamed = save(client, "")
    assert unnamed.success and unnamed.path.startswith(str(node.maps / "map_"))

    # paused: images are not taken
    assert client.call(Trigger, "/mapping/pause").success
    client.wait_status(lambda s: s.paused)
    send(client, room, [12])
    time.sleep(1.2)
    assert client.status().frames_received == 12
    assert client.call(Trigger, "/mapping/resume").success
    send(client, room, [13])
    before = client.wait_status(lambda s: not s.paused and s.frames_processed == 13)

    assert client.call(Trigger, "/mapping/reset").success
    empty = client.wait_status(lambda s: s.keyframes == 0 and s.voxel_blocks == 0)
    assert (empty.session, empty.map_epoch) == (before.session + 1, before.map_epoch + 1)
    refused = save(client, "empty")
    assert not refused.success and "no map yet" in refused.message

    loaded = client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="kitchen", localization_only=True))
    assert loaded.success and loaded.keyframes >= 2 and loaded.voxel_blocks > 10
    client.wait_status(lambda s: s.localization_only and s.keyframes == loaded.keyframes)
    send(client, room, range(3, 9), START_NS + 100 * 10**9)
    status = client.wait_status(lambda s: s.state == s.STATE_TRACKING, 10)
    assert status.keyframes == loaded.keyframes  # nothing is added
    missing = client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="cellar"))
    assert not missing.success and "cellar" in missing.message
    assert client.wait_status(lambda s: s.keyframes == loaded.keyframes)
    assert client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="kitchen")).success


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", ".", "..", ".hidden", "link/outside",
                                  "x" * 300, "kitchen/../../outside"])
def test_names_outside_are_refused(client, node, name, tmp_path):
    link = node.maps / "link"
    if not link.is_symlink():
        node.maps.mkdir(exist_ok=True)
        link.symlink_to(tmp_path)
    before = sorted(node.folder.rglob("*"))
    for answer in (save(client, name), save(client, name, overwrite=True),
                   client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name=name))):
        assert not answer.success and "map" in answer.message
    assert sorted(node.folder.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_map_is_not_replaced(client, node):
    (node.maps / "photos").mkdir(parents=True)
    (node.maps / "photos" / "holiday.jpg").write_text("precious")
    answer = save(client, "photos", overwrite=True)
    assert not answer.success and "not a map" in answer.message
    assert (node.maps / "photos" / "holiday.jpg").read_text() == "precious"


def test_a_full_disk_leaves_the_old_map_whole(client, room, node):
    send(client, room, range(12), START_NS + 200 * 10**9)
    client.wait_status(lambda s: s.keyframes >= 2 and s.queue_length == 0)
    assert save(client, "full", overwrite=True).success
    files = {p: p.read_bytes() for p in (node.maps / "full").rglob("*") if p.is_file()}
    old = resource.prlimit(node.pid, resource.RLIMIT_FSIZE)
    # No file may grow beyond 20 kB: the write fails in the middle of the map, as on a disk that is full.
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        answer = save(client, "full", overwrite=True)
        fresh = save(client, "another")
    finally:
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, old)
    assert not answer.success and "could not be written" in answer.message and "full" in answer.message
    assert not fresh.success and not (node.maps / "another").exists()
    assert {p: p.read_bytes() for p in (node.maps / "full").rglob("*") if p.is_file()} == files
    assert not [p for p in node.maps.iterdir() if p.name.startswith(".")]
    assert client.call(LoadMap, "/mapping/load_map", LoadMap.Request(name="full")).success
    assert save(client, "full", overwrite=True).success


def test_resolve_map(tmp_path):
    assert resolve_map(tmp_path, "a/b") == tmp_path.resolve() / "a" / "b"
    (tmp_path / "inside").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "inside")
    assert resolve_map(tmp_path, "alias") == tmp_path.resolve() / "inside"
    for name in ("", "a\0b", "../x", str(tmp_path / "x"), "a/.git"):
        with pytest.raises(ValueError, match="map name"):
            resolve_map(tmp_path, name)
