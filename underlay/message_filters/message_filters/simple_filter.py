# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The link of every filter chain, and its usual first one."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node


class SimpleFilter:
    """Something with output: calls the registered callbacks, in the order of their registration."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable, tuple]] = {}

    def registerCallback(self, cb: Callable, *args: Any) -> int:
        """Have `cb(*messages, *args)` called for each output; returns the number of the connection."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:
        """Hand messages to all callbacks."""
        for callback, args in list(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """Filter whose output are the messages of a topic.

    Arguments: node, message type, topic, and those of `Node.create_subscription` by name. `qos_profile` is a
    profile or a depth (default 10). Attributes that the filter lacks are those of its subscription.
    """

    def __init__(self, node: Node, msg_type: type, topic: str, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        kwargs.setdefault("qos_profile", 10)
        self.sub = node.create_subscription(msg_type, topic, *args, self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass a message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Topic as given to the constructor."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        if key == "sub":  # not there yet: without this, the lookup below would recurse for ever
            raise AttributeError(key)
        return getattr(self.sub, key)
