# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Room for images in Fast DDS's shared memory, which a player of bags makes by itself."""
import os
import xml.etree.ElementTree as ElementTree

import pytest
import rclpy
from helpers.bags import IMAGE, BagMaker, S, make, shade

from lsm_ros.ros.replay import ReplayOptions, replay
from lsm_ros.ros.shared_memory import PROFILES, config_file, make_room

FASTDDS = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


def test_the_profile_has_room_for_some_images():
    environment = {}
    make_room(environment)
    assert set(environment) == set(PROFILES) and set(environment.values()) == {str(config_file("fastdds.xml"))}
    sizes = ElementTree.parse(environment[PROFILES[0]]).findall(f".//{FASTDDS}segment_size")
    assert [int(s.text) for s in sizes] == [32 * 2**20]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_of_the_user_stays(name):
    environment = {name: "/own.xml"}
    make_room(environment)
    assert environment == {name: "/own.xml"}


def test_a_player_sets_it_before_it_starts_ros(monkeypatch, tmp_path):
    with BagMaker(tmp_path / "bag") as bag:
        bag.put("/cam/image", IMAGE, S, make.image(S, "o", shade(0), "rgb8"))
    for name in PROFILES:
        monkeypatch.delenv(name, raising=False)
    seen, init = [], rclpy.init
    monkeypatch.setattr(rclpy, "init", lambda **options: seen.append(os.environ.get(PROFILES[0])) or init(**options))
    try:
        replay(tmp_path / "bag", ReplayOptions(rate=10.0, wait_for_s=0.0))
    finally:
        for name in PROFILES:
            os.environ.pop(name, None)
    assert seen == [str(config_file("fastdds.xml"))]
