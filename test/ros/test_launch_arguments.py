# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from pathlib import Path

import pytest

from lsm_ros.ros.launch_arguments import (
    camera_names,
    full_namespace,
    image_topics,
    logger_name,
    names,
    read_parameters,
    remappings,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("text", "parts"), [("", []), ("  ", []), ("a", ["a"]), (" a , b", ["a", "b"]), (",b", ["", "b"]),
                                             ("a,", ["a", ""])])
def test_names(text, parts):
    assert names(text) == parts


def test_cameras_come_from_the_argument_then_the_file_then_the_default():
    assert camera_names("front, rear", {"cameras": ["one"]}) == ["front", "rear"]
    assert camera_names("", {"cameras": ["one", "two"]}) == ["one", "two"]
    assert camera_names("", {}) == ["camera"]
    with pytest.raises(ValueError, match="cameras:=front, has an empty name"):
        camera_names("front,", {})


def test_topics_belong_to_the_cameras_in_their_order():
    topics = {"image": "/a/rgb, /b/rgb", "camera_info": "/a/info", "depth": ",/b/depth", "labels": ""}
    assert remappings(["front", "rear"], topics) == [
        ("front/image", "/a/rgb"), ("rear/image", "/b/rgb"), ("front/camera_info", "/a/info"), ("rear/depth", "/b/depth")]
    assert remappings(["camera"], {"image": "/a/rgb"}) == [("camera/image", "/a/rgb")]
    with pytest.raises(ValueError, match=r"depth:=a,b,c names 3 topics for 2 camera\(s\) \(front, rear\)"):
        remappings(["front", "rear"], {"depth": "a,b,c"})


@pytest.mark.parametrize(("transport", "image"), [("raw", "/a/rgb"), ("compressed", "/a/rgb/compressed")])
def test_image_topics_are_all_that_the_node_asks_for_reliably(transport, image):
    found = image_topics(["front", "rear"], {"image": "/a/rgb,c/compressed", "camera_info": "/a/info"}, transport)
    assert found == [image, "/front/depth", "/front/labels", "/c/compressed", "/rear/depth", "/rear/labels"]


def test_parameters_of_the_node_come_after_those_of_a_wildcard(tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("mapping:\n  ros__parameters: {cameras: [a, b]}\nother:\n  ros__parameters: {cameras: [c]}\n"
                    "/**:\n  ros__parameters: {cameras: [d], image_transport: compressed}\n")
    assert read_parameters(file) == {"cameras": ["a", "b"], "image_transport": "compressed"}
    assert read_parameters(ROOT / "config" / "mapping.yaml")["cameras"] == ["camera"]


def test_a_parameter_file_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.yaml does not exist"):
        read_parameters(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match="holds no parameters below"):
        read_parameters(tmp_path / "list.yaml")


@pytest.mark.parametrize(("pushed", "given", "whole", "logger"), [
    ("", "", "/", "mapping"), ("", "robot1", "/robot1", "robot1.mapping"), ("/", "/robot1/", "/robot1", "robot1.mapping"),
    ("/fleet", "robot1", "/fleet/robot1", "fleet.robot1.mapping"), ("/fleet", "/robot1", "/robot1", "robot1.mapping"),
    ("/fleet", "", "/fleet", "fleet.mapping")])
def test_namespaces_count_from_where_the_launch_file_is_included(pushed, given, whole, logger):
    assert full_namespace(pushed, given) == whole and logger_name(whole) == logger


def test_topics_without_a_slash_are_below_the_namespace():
    found = image_topics(["front"], {"image": "rgb", "depth": "/depth"}, "compressed", "/robot1")
    assert found == ["/robot1/rgb/compressed", "/depth", "/robot1/front/labels"]


@pytest.mark.parametrize("text", [
    "/robot1/mapping:\n  ros__parameters: {cameras: [a]}", "robot1/mapping:\n  ros__parameters: {cameras: [a]}",
    "robot1:\n  mapping:\n    ros__parameters: {cameras: [a]}", "/robot1:\n  mapping:\n    ros__parameters: {cameras: [a]}",
    "/**/mapping:\n  ros__parameters: {cameras: [a]}", "/**:\n  mapping:\n    ros__parameters: {cameras: [a]}"])
def test_a_parameter_file_may_name_the_namespace(tmp_path, text):
    file = tmp_path / "robot.yaml"
    other = "robot2:\n  mapping:\n    ros__parameters: {cameras: [c]}\nmapping:\n  ros__parameters: {cameras: [d]}\n"
    file.write_text(f"{other}{text}\n")
    assert read_parameters(file, "/robot1") == {"cameras": ["a"]}


def test_sections_of_other_nodes_come_first_and_mean_nothing(tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("camera:\n  ros__parameters: {cameras: [c]}\nmap:\n  ros__parameters: {}\n"
                    "mapping:\n  ros__parameters: {cameras: [a]}\nnone:\n")
    assert read_parameters(file) == {"cameras": ["a"]}
