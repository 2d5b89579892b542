# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rebuilds the map of a mapping node from ~/map_update, for robots' own nodes: the same voxels as ~/map_cloud."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from lsm_ros.fusion.publish.encoding import SurfaceCloud
from lsm_ros.fusion.publish.replica import Applied, MapReplica
from lsm_ros.msg import SemanticVoxelUpdate
from lsm_ros.ros.conversions import stamp_ns
from lsm_ros.ros.output.map_updates import UPDATE_QOS
from lsm_ros.ros.output.update_messages import from_voxel_update
from lsm_ros.srv import GetBlocks

ANSWER_S = 10.0
RETRY_S = 0.5
WARN_S = 10.0
_DOUBTFUL = (Applied.GAP, Applied.BEHIND, None)


class MapSubscriber:
    """Holds a copy of the map of the node `mapping_node`, and asks ~/get_blocks for what it missed.

    on_change: called without arguments, in the executor's thread, whenever the copy has changed. `frame_id` and `stamp_ns`
    are those of the newest message taken over. All methods may be called from any thread.
    """

    def __init__(self, node: Node, mapping_node: str = "/mapping", on_change: Callable[[], None] | None = None,
                 callback_group: CallbackGroup | None = None) -> None:
        self._node, self._on_change = node, on_change
        self._lock = threading.RLock()
        self._replica = MapReplica()
        self._complete = False
        self._asked: float | None = None  # when the request was sent that is under way
        self._next_ask = 0.0
        self.frame_id, self.stamp_ns = "", 0
        base = mapping_node.rstrip("/")
        self._topic = node.resolve_topic_name(f"{base}/map_update")
        self._client = node.create_client(GetBlocks, f"{base}/get_blocks", callback_group=callback_group)
        self._subscription = node.create_subscription(SemanticVoxelUpdate, self._topic, self.on_update, UPDATE_QOS,
                                                      callback_group=callback_group)
        self._timer = node.create_timer(0.25, self._look, callback_group=callback_group,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def complete(self) -> bool:
        """True if nothing is known to be missing."""
        with self._lock:
            return self._complete

    @property
    def state(self) -> tuple[int, int]:
        """(epoch, seq) that is held."""
        with self._lock:
            return self._replica.epoch, self._replica.seq

    def cloud(self) -> SurfaceCloud:
        """All surface voxels, in the order of ~/map_cloud. Costs nothing while unchanged."""
        with self._lock:
            return self._replica.cloud()

    def close(self) -> None:
        """Ends the subscription; the copy stays."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_client(self._client)

    def on_update(self, message: SemanticVoxelUpdate) -> None:
        """Takes over a message, or asks for what is missing before it."""
        with self._lock:
            if self._apply(message) in _DOUBTFUL:
                self._complete = False
        self._look()

    def _apply(self, message: SemanticVoxelUpdate) -> Applied | None:
        """None: it is damaged, which is reported."""
        try:
            result = self._replica.apply(from_voxel_update(message))
        except ValueError as error:
            self._node.get_logger().warning(f"{self._topic}: {error}", throttle_duration_sec=WARN_S)
            return None
        if result is Applied.APPLIED:
            self.frame_id, self.stamp_ns = message.header.frame_id, stamp_ns(message.header.stamp)
            if self._on_change is not None:
                self._on_change()
        return result

    def _look(self) -> None:
        """Asks for what is missing, unless an answer is under way; a mapper that went away is looked for again."""
        now = time.monotonic()
        with self._lock:
            if not self._node.count_publishers(self._topic):
                self._complete = False  # another one may come, with another map
            if self._asked is not None and now - self._asked > ANSWER_S:
                self._asked = None
            if self._complete or self._asked is not None or now < self._next_ask or not self._client.service_is_ready():
                return
            self._asked = now
            request = GetBlocks.Request(epoch=self._replica.epoch, since_seq=self._replica.seq)
            future = self._client.call_async(request)
        future.add_done_callback(lambda done, asked=now: self._on_answer(done, asked))

    def _on_answer(self, done: Any, asked: float) -> None:
        """Takes over an answer. It may be a part only, so it is asked again until nothing new comes."""
        with self._lock:
            if self._asked != asked:
                return  # given up meanwhile
            self._asked = None
            response = None if done.cancelled() or done.exception() is not None else done.result()
            if response is None or not response.success:
                why = "no answer" if response is None else response.message
                self._node.get_logger().warning(f"get_blocks: {why}", throttle_duration_sec=WARN_S)
                self._next_ask = time.monotonic() + RETRY_S
                return
            result = self._apply(response.update)
            if result in _DOUBTFUL:
                self._next_ask = time.monotonic() + RETRY_S
            elif not response.update.blocks:
                self._complete = True
        self._look()
