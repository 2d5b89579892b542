# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A latched topic between two threads: no change is lost, whatever comes in between. Without a node."""
import pytest

from lsm_ros.ros.output.publishers import Latched

RATE_HZ = 1e9  # as often as asked


class Publisher:
    """Counts subscribers, keeps what is sent, and lets something happen while the count is asked for, or compared."""

    def __init__(self, subscribers=1):
        self.subscribers, self.sent = subscribers, []
        self.asked = self.compared = lambda: None

    def get_subscription_count(self):
        self.asked()
        return Count(self.subscribers, lambda: self.compared())

    def publish(self, message):
        self.sent.append(message)


class Count(int):
    """A number that lets something happen when it is compared: in the middle of a statement of another thread."""

    def __new__(cls, value, compared):
        made = super().__new__(cls, value)
        made.compared = compared
        return made

    def __gt__(self, other):
        self.compared()
        return int(self) > other


@pytest.fixture
def topic():
    """A topic with one subscriber who has all there is."""
    publisher = Publisher()
    topic = Latched(publisher)
    topic.poll()
    topic.publish_if_due(lambda: "first", RATE_HZ)
    assert publisher.sent == ["first"]
    return publisher, topic


@pytest.mark.parametrize("moment", ["asked", "compared"])
def test_a_change_during_a_poll_is_not_lost(topic, moment):
    publisher, topic = topic
    setattr(publisher, moment, topic.changed)
    topic.poll()
    setattr(publisher, moment, lambda: None)
    topic.publish_if_due(lambda: "second", RATE_HZ)
    assert publisher.sent == ["first", "second"]


def test_a_change_while_it_is_built_goes_out_the_next_time(topic):
    publisher, topic = topic
    topic.changed()

    def build():
        topic.changed()
        return "second"

    topic.publish_if_due(build, RATE_HZ)
    topic.publish_if_due(lambda: "third", RATE_HZ)
    topic.publish_if_due(lambda: "not due", RATE_HZ)
    assert publisher.sent == ["first", "second", "third"]


@pytest.mark.parametrize("moment", ["asked", "compared"])
def test_what_is_published_during_a_poll_is_not_published_again(topic, moment):
    publisher, topic = topic
    topic.changed()

    def send():
        publisher.asked = publisher.compared = lambda: None
        topic.publish_if_due(lambda: "second", RATE_HZ)

    setattr(publisher, moment, send)
    topic.poll()
    topic.publish_if_due(lambda: "again", RATE_HZ)
    assert publisher.sent == ["first", "second"]


def test_a_new_subscriber_gets_what_there_is_and_one_who_leaves_gets_nothing(topic):
    publisher, topic = topic
    for subscribers, expected in ((2, ["first", "for two"]), (1, ["first", "for two"]), (1, ["first", "for two"])):
        publisher.subscribers = subscribers
        topic.poll()
        topic.publish_if_due(lambda: "for two", RATE_HZ)
        assert publisher.sent == expected


def test_a_change_waits_for_a_subscriber():
    publisher = Publisher(0)
    topic = Latched(publisher)
    topic.changed()
    topic.publish_if_due(lambda: "nobody listens", RATE_HZ)
    publisher.subscribers = 1
    topic.publish_if_due(lambda: "now", RATE_HZ)
    assert publisher.sent == ["now"]
