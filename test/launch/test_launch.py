# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The launch files, really started: topics and parameters of the node, a bag played into it, and nothing left behind."""
import shutil
import sys
import time

import pytest
import yaml
from helpers.harness import LATCHED, START_NS
from nav_msgs.msg import Path as PathMessage
from rcl_interfaces.srv import GetParameters

from lsm_ros.datasets.record import record
from lsm_ros.msg import MappingStatus
from lsm_sim.source import RoomSource

pytestmark = pytest.mark.ros
INPUTS = ("image", "camera_info", "depth", "labels", "label_info")
# Stands in for `ros2 bag play` where rosbag2 is not installed: the same options, played by `lsm replay`.
PLAYER = """#!{python}
import argparse, os, pathlib, sys, time
import yaml
parser = argparse.ArgumentParser()
for words in ("bag", "play"):
    parser.add_argument(words, choices=(words,))
parser.add_argument("path")
parser.add_argument("--clock", type=float, required=True)
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--delay", type=float, required=True)
parser.add_argument("--read-ahead-queue-size", type=int)
parser.add_argument("--qos-profile-overrides-path", type=pathlib.Path, required=True)
args = parser.parse_args()
qos = args.qos_profile_overrides_path.read_text()
pathlib.Path("qos_as_played.yaml").write_text(qos)
assert all(profile["reliability"] == "reliable" for profile in yaml.safe_load(qos).values())
time.sleep(args.delay)
os.execv(sys.executable, [sys.executable, "-m", "lsm_ros.cli", "replay", args.path, "--rate", str(args.rate), "--reliable"])
"""


@pytest.fixture(scope="module")
def room():
    return RoomSource(frames=60, width=160, height=120, cameras=2)


@pytest.fixture(scope="module")
def bag(room, tmp_path_factory):
    """A second of the room, as two cameras record it: below /front and /rear or other names."""
    path = tmp_path_factory.mktemp("bag") / "room"
    record(room, path, limit=10)
    return path


@pytest.fixture
def config(tmp_path):
    """A parameter file that names other cameras than the arguments do."""
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": {
        "cameras": ["one", "two"], "image_reliability": "reliable", "queue_depth": 50, "odom_frame": "wheels",
        "map_directory": str(tmp_path / "maps")}}}))
    return path


def listened_to(client):
    """Topics that the node subscribes to."""
    found = client.node.get_subscriber_names_and_types_by_node("mapping", "/")
    return {topic for topic, _ in found}


def value(client, name):
    """A parameter of the node."""
    answer = client.call(GetParameters, "/mapping/get_parameters", GetParameters.Request(names=[name])).values[0]
    return {1: answer.bool_value, 4: answer.string_value, 9: list(answer.string_array_value)}[answer.type]


def drive(client, room, cameras):
    """Sends frames of the room until the node has five images of each camera; cameras: {topic: camera of the room}."""
    for index in range(len(room)):
        for frame in room.frame_set(index).frames:
            side = next(topic for topic, name in cameras.items() if name == frame.camera)
            client.send_frame(frame, START_NS + index * 100_000_000, side, frame_id=f"{frame.camera}_optical")
        time.sleep(0.2)
        status = client.status()
        if status.frames_processed >= 5 and all(c.images_received >= 5 for c in status.cameras):
            return status
    return client.wait_status(lambda s: s.frames_processed >= 5 and all(c.images_received >= 5 for c in s.cameras), 20)


def test_mapping_with_two_cameras_on_topics_of_their_own(client, start, config, room):
    given = {name: f"/left/{name},/right/{name}" for name in INPUTS} | {"labels": ",/right/labels"}
    launch = start("mapping.launch.py", config=config, cameras="front,rear", base_frame="base_link", odom_frame="none", **given)
    client.wait_active(launch, 60.0)
    topics = listened_to(client)
    expected = {f"/{side}/{name}" for side in ("left", "right") for name in INPUTS} - {"/left/labels"} | {"/front/labels"}
    assert topics >= expected
    assert not {t for t in topics if t.startswith(("/one", "/two", "/rear"))}
    assert value(client, "cameras") == ["front", "rear"]
    assert (value(client, "base_frame"), value(client, "odom_frame")) == ("base_link", "")
    assert value(client, "map_directory").endswith("/maps"), "an argument that is not given leaves the file's value"
    client.listen(MappingStatus, "/mapping/status", LATCHED)
    client.send_static([(room.T_rig_cam[name], "base_link", f"{name}_optical") for name in room.T_rig_cam])
    status = drive(client, room, dict(zip(("/left", "/right"), room.T_rig_cam, strict=True)))
    assert [c.name for c in status.cameras] == ["front", "rear"]
    assert all(c.calibrated and c.depths_received >= 5 for c in status.cameras), status.cameras
    assert launch.stop() == 0, launch.log()
    assert launch.left_behind() == []


def test_mapping_with_one_camera_as_the_readme_starts_it(client, start):
    launch = start("mapping.launch.py", image="/camera/color/image_raw", camera_info="/camera/color/camera_info",
                   depth="/camera/aligned_depth_to_color/image_raw", base_frame="base_link")
    client.wait_active(launch, 60.0)
    assert listened_to(client) >= {"/camera/color/image_raw", "/camera/color/camera_info",
                                   "/camera/aligned_depth_to_color/image_raw", "/camera/labels", "/camera/label_info"}
    assert value(client, "odom_frame") == "odom"
    assert launch.stop() == 0, launch.log()
    assert launch.left_behind() == []


def test_an_argument_that_cannot_be_right_ends_the_launch(start):
    launch = start("mapping.launch.py", cameras="front", image="/a,/b")
    assert launch.wait(30) != 0
    assert "image:=/a,/b names 2 topics for 1 camera(s) (front)" in launch.log()


def test_replay_plays_a_bag_into_the_node(client, start, bag, room, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    delay = 10.0  # rosbag2 does not wait for subscribers
    if shutil.which("ros2") is None:
        delay = 1.0
        (programs / "ros2").write_text(PLAYER.format(python=sys.executable))
        (programs / "ros2").chmod(0o755)
    names = list(room.T_rig_cam)
    launch = start("replay.launch.py", programs=programs, bag=bag, delay=delay, stop_at_end="true", base_frame="base_link",
                   cameras="one,two", **{name: ",".join(f"/{camera}/{name}" for camera in names) for name in INPUTS})
    client.listen(MappingStatus, "/mapping/status", LATCHED)
    client.listen(PathMessage, "/mapping/path", LATCHED)
    status = client.wait_message("/mapping/status", lambda m: m.frames_processed == 10, 90.0)
    assert [(c.name, c.images_received, c.depths_received) for c in status.cameras] == [("one", 10, 10), ("two", 10, 10)]
    assert launch.wait(60) == 0, launch.log()
    assert launch.left_behind() == []
    played = yaml.safe_load((launch.folder / "qos_as_played.yaml").read_text()) if list(programs.iterdir()) else None
    assert played is None or set(played) == {f"/{camera}/{kind}" for camera in names for kind in ("image", "depth", "labels")}


def test_replay_names_a_bag_that_is_not_there(start, tmp_path):
    launch = start("replay.launch.py", bag=tmp_path / "none")
    assert launch.wait(30) != 0
    assert f"bag:={tmp_path / 'none'} does not exist" in launch.log()
    assert launch.left_behind() == []
