# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/map_update: sends what changed in the map, in messages of at most 1 MB and at a bounded rate."""
from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lsm_ros.config import NodeConfig
from lsm_ros.fusion.publish.updates import MapUpdate, UpdateStream
from lsm_ros.mapping.interface import MapReader
from lsm_ros.msg import SemanticVoxelUpdate
from lsm_ros.ros.output.update_messages import serialized
from lsm_ros.types import PipelineStatus

UPDATE_QOS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
BEAT_S = 0.9  # a message goes out about once a second though nothing changes
_BURST_S = 0.2  # how much of the rate may be saved up


class UpdatePublisher:
    """Publishes changed blocks and answers who missed some. Its methods are called by the worker, `pending` by anybody."""

    def __init__(self, node: Node, config: NodeConfig) -> None:
        self.config = config
        self._publisher = node.create_publisher(SemanticVoxelUpdate, "~/map_update", UPDATE_QOS)
        self._stream = UpdateStream()
        self._looked = self._paid = self._told = -1e9
        self._credit = 0.0
        self._heard = False
        self.pending = False

    def send(self, pipeline: MapReader, status: PipelineStatus, stamp_ns: int, frame_id: str) -> None:
        """Looks for changes if it is time for that, and sends what there is to tell, as far as the rate allows."""
        now = time.monotonic()
        if not self._publisher.get_subscription_count():
            self._heard = self.pending = False
            return
        if now - self._looked >= 1.0 / self.config.map_update_rate_hz:
            self._looked = now
            self._follow(pipeline, status)
            if not self._heard:
                self._stream.skip()  # the first who listens asks for all that there is
                self._heard = True
        rate = self.config.map_update_megabytes_per_s * 1e6
        self._credit = min(self._credit + (now - self._paid) * rate, _BURST_S * rate)
        self._paid = now
        while self._credit > 0 and (update := self._stream.next()) is not None:
            self._publish(update, stamp_ns, frame_id)
        self.pending = self._stream.pending
        if self._heard and not self.pending and now - self._told > BEAT_S:
            self._publish(self._stream.beat(), stamp_ns, frame_id)

    def _publish(self, update: MapUpdate, stamp_ns: int, frame_id: str) -> None:
        self._credit -= update.nbytes
        self._told = time.monotonic()
        self._publisher.publish(serialized(update, stamp_ns, frame_id))

    def answer(self, pipeline: MapReader, status: PipelineStatus, epoch: int, since_seq: int) -> MapUpdate:
        """Blocks that a subscriber with `since_seq` of `epoch` lacks, or their first part."""
        self._follow(pipeline, status)
        return self._stream.answer(epoch, since_seq)

    def _follow(self, pipeline: MapReader, status: PipelineStatus) -> None:
        self._stream.follow(pipeline.map, status.map_epoch, status.graph_version, status.fusion_backlog)
