# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Why nothing comes on a topic, by a graph that is made up."""
from types import SimpleNamespace

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lsm_ros.ros.input.silence import why_silent

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


class Graph:
    """Publishers by topic: node, type, and whether reliable."""

    def __init__(self, **topics):
        self.topics = {f"/{name.replace('__', '/')}": entries for name, entries in topics.items()}

    def get_publishers_info_by_topic(self, topic):
        policy = {True: ReliabilityPolicy.RELIABLE, False: ReliabilityPolicy.BEST_EFFORT}
        return [SimpleNamespace(node_name=node, node_namespace="/", topic_type=kind,
                                qos_profile=QoSProfile(depth=1, reliability=policy[reliable]))
                for node, kind, reliable in self.topics.get(topic, ())]

    def get_topic_names_and_types(self):
        return [(topic, [kind for _, kind, _ in entries] or [IMAGE]) for topic, entries in self.topics.items()]

    def count_publishers(self, topic):
        return len(self.topics.get(topic, ()))


def why(graph, reliable=False, wanted=IMAGE):
    return why_silent(graph, "/camera/image", wanted, reliable, ("/mapping/",))


def test_nobody_publishes_and_images_are_elsewhere():
    assert why(Graph()) == "nobody publishes it"
    driver = [("driver", IMAGE, True)]
    graph = Graph(camera__color__raw=driver, camera__small=[("driver", COMPRESSED, True)], mapping__depth__image=driver,
                  scan=[("lidar", "sensor_msgs/msg/LaserScan", True)], asked_for=[])
    assert why(graph) == "nobody publishes it; images are on /camera/color/raw, /camera/small"
    many = Graph(**{f"camera{k}": driver for k in range(6)})
    assert why(many).endswith("/camera0, /camera1, /camera2, /camera3 and 2 more")


@pytest.mark.parametrize("offered, asked, words", [
    (False, True, "set image_reliability to best_effort"), (True, True, "has sent nothing"), (False, False, "has sent nothing"),
    (True, False, "has sent nothing")])
def test_a_publisher_whose_qos_does_not_reach(offered, asked, words):
    said = why(Graph(camera__image=[("driver", IMAGE, offered)]), asked)
    assert said.startswith("/driver ") and words in said


def test_one_that_reaches_is_enough():
    graph = Graph(camera__image=[("driver", IMAGE, False), ("player", IMAGE, True)])
    assert why(graph, True) == "/driver, /player publishes it, but has sent nothing"


def test_another_type_is_named():
    said = why(Graph(camera__image=[("driver", COMPRESSED, True)]))
    assert f"/driver publishes {COMPRESSED} there, not {IMAGE}" in said and "image_transport" in said


def test_who_publishes_is_in_order():
    """A text that is in another order each second is news each second."""
    graph = Graph(camera__image=[(f"node{k}", IMAGE, True) for k in (7, 3, 9, 1, 5, 2, 8, 4, 6)])
    assert why(graph).startswith(", ".join(f"/node{k}" for k in range(1, 10)))
