# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Topics of the node. Only what has a subscriber is built; latched ones when somebody comes and when they change."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav2_msgs.msg import CostmapFilterInfo
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import Marker, MarkerArray

from lsm_ros.config import NodeConfig
from lsm_ros.mapping.interface import MapReader
from lsm_ros.ros import conversions
from lsm_ros.ros.output.frame_images import FrameImages
from lsm_ros.ros.output.map_updates import UpdatePublisher
from lsm_ros.ros.output.mesh_message import to_mesh_marker
from lsm_ros.ros.output.object_messages import to_detections, to_markers
from lsm_ros.ros.output.region_messages import to_regions
from lsm_ros.ros.output.smooth_odometry import Motion
from lsm_ros.types import FrameCloud, LabelSpace, MappingUpdate, OccupancyMap, PipelineStatus

LIVE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
KEEP_OUT = 0  # type of nav2_msgs/CostmapFilterInfo
MAX_PATH = 2000
PATH_RATE_HZ = 5.0
MESH_MS = 50.0  # time for the mesh at a stretch; a large map takes seconds, which frames must not wait for


class Latched:
    """A latched topic that is built only when somebody listens: after a change or for a new subscriber.

    Any thread may call `changed` and `poll`: they only ever set `_due`. `publish_if_due` alone takes it back, before it
    builds, so that nothing that comes in between is lost. `again` and `publish_if_due` are for one thread, the worker.
    """

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._subscribers = 0
        self._due = False
        self._last = -1e9

    def changed(self) -> None:
        """Marks that its content has changed."""
        self._due = True

    def again(self) -> None:
        """Marks that its content is not ready: the next call goes on, without a wait."""
        self._due, self._last = True, -1e9

    def poll(self) -> None:
        """Looks for new subscribers; to be called once a second."""
        count = self._publisher.get_subscription_count()
        if count > self._subscribers:
            self._due = True
        self._subscribers = count

    def publish_if_due(self, build: Callable[[], Any | None], rate_hz: float) -> None:
        """Builds and publishes if it is due, somebody listens, and the last time is long enough ago. None: not yet."""
        now = time.monotonic()
        if not self._due or now - self._last < 1.0 / rate_hz or not self._publisher.get_subscription_count():
            return
        self._due, self._last = False, now
        message = build()
        if message is not None:
            self._publisher.publish(message)


class Publishers:
    """All topics of mapping but status, diagnostics and TF. Its methods are called by the worker, `poll` by anybody."""

    def __init__(self, node: Node, config: NodeConfig) -> None:
        self.updates = UpdatePublisher(node, config)
        self.config = config
        self._pose = node.create_publisher(PoseWithCovarianceStamped, "~/pose", LIVE)
        self._odometry = node.create_publisher(Odometry, "~/odometry", LIVE)
        self._cloud = node.create_publisher(PointCloud2, "~/cloud", LIVE)
        self._keyframe_cloud = node.create_publisher(PointCloud2, "~/keyframe_cloud", LIVE)
        self._images = FrameImages(node)
        self._label_info = node.create_publisher(LabelInfo, "~/label_info", LATCHED)
        self.path = Latched(node.create_publisher(Path, "~/path", LATCHED))
        self.map_cloud = Latched(node.create_publisher(PointCloud2, "~/map_cloud", LATCHED))
        self.occupancy = Latched(node.create_publisher(OccupancyGrid, "~/occupancy", LATCHED))
        self.distance_field = Latched(node.create_publisher(OccupancyGrid, "~/distance_field", LATCHED))
        self.mesh = Latched(node.create_publisher(Marker, "~/mesh", LATCHED))
        self.objects = Latched(node.create_publisher(Detection3DArray, "~/objects", LATCHED))
        self.label_mask = Latched(node.create_publisher(OccupancyGrid, "~/label_mask", LATCHED))
        self._mask_info = node.create_publisher(CostmapFilterInfo, "~/label_mask_info", LATCHED)
        self._mask_info.publish(CostmapFilterInfo(type=KEEP_OUT, multiplier=1.0,
                                                  filter_mask_topic=node.resolve_topic_name("~/label_mask")))
        self.regions = Latched(node.create_publisher(MarkerArray, "~/regions", LATCHED))
        self.markers = Latched(node.create_publisher(MarkerArray, "~/markers", LATCHED))
        self._cloud_sent: dict[str, float] = {}
        self._labels: tuple[LabelSpace, str] | None = None
        self.cloud_ms = 0.0
        self._mesh_unfinished = False

    @property
    def config(self) -> NodeConfig:
        """Parameters of the node."""
        return self._config

    @config.setter
    def config(self, config: NodeConfig) -> None:
        self._config = self.updates.config = config

    @property
    def latched(self) -> tuple[Latched, ...]:
        """The topics that are built on demand."""
        return self.path, *self.of_map

    @property
    def of_map(self) -> tuple[Latched, ...]:
        """Those that show voxels."""
        return (self.map_cloud, self.occupancy, self.distance_field, self.mesh, self.objects, self.markers, self.regions,
                self.label_mask)

    @property
    def pending(self) -> bool:
        """True if `send_map` has more to do than it did in the time it has."""
        return self.updates.pending or self._mesh_unfinished

    def poll(self) -> None:
        """Looks for new subscribers of latched topics."""
        for topic in self.latched:
            topic.poll()

    def changed(self) -> None:
        """The whole map is another one."""
        for topic in self.latched:
            topic.changed()

    def voxels_changed(self) -> None:
        """The voxels of the map show something else."""
        for topic in self.of_map:
            topic.changed()

    def pose(self, stamp_ns: int, T_map_base: np.ndarray, covariance: np.ndarray | None, frame_id: str) -> None:
        """Pose of a frame in the map."""
        self._pose.publish(conversions.to_pose_with_covariance(T_map_base, covariance, stamp_ns, frame_id))

    def odometry(self, stamp_ns: int, motion: Motion, covariance: np.ndarray | None, frame_id: str,
                 child_frame_id: str) -> None:
        """Smooth pose and twist."""
        twist = np.zeros(6) if motion.twist_base is None else motion.twist_base
        self._odometry.publish(conversions.to_odometry(motion.T_odom_base, covariance, twist, motion.twist_covariance,
                                                       stamp_ns, frame_id, child_frame_id))

    def clouds(self, update: MappingUpdate, pipeline: MapReader, for_navigation: bool) -> None:
        """Clouds and images of one frame set. for_navigation: those that robots drive by may be sent."""
        for cloud in update.clouds.values():
            if for_navigation:
                self._live_cloud(cloud)
                self._images.send(cloud, pipeline)
            if update.tracking.new_keyframe is not None and self._keyframe_cloud.get_subscription_count():
                self._send_cloud(self._keyframe_cloud, cloud, 1)

    def _live_cloud(self, cloud: FrameCloud) -> None:
        now = time.monotonic()
        # A tenth of a period early is in time: else a camera at exactly this rate loses every second cloud to jitter.
        due = now - self._cloud_sent.get(cloud.camera, -1e9) >= 0.9 / self.config.cloud_rate_hz
        if due and self._cloud.get_subscription_count():
            self._cloud_sent[cloud.camera] = now
            self._send_cloud(self._cloud, cloud, self.config.cloud_stride)

    def _send_cloud(self, publisher: Any, cloud: FrameCloud, stride: int) -> None:
        start = time.perf_counter()
        publisher.publish(conversions.frame_cloud_message(cloud, stride, self.config.cloud_min_confidence))
        self.cloud_ms = (time.perf_counter() - start) * 1e3

    def label_info(self, space: LabelSpace | None, stamp_ns: int, frame_id: str) -> None:
        """Names of the labels; goes out whenever they or the map frame change."""
        if space is not None and self._labels != (space, frame_id):
            self._labels = (space, frame_id)
            self._label_info.publish(conversions.to_label_info(space, stamp_ns, frame_id))

    def _mesh_marker(self, pipeline: MapReader, stamp_ns: int, frame_id: str) -> bytes | None:
        mesh = pipeline.map.mesh_within(MESH_MS)
        if mesh is None:
            self._mesh_unfinished = True
            self.mesh.again()
        return None if mesh is None else to_mesh_marker(mesh, stamp_ns, frame_id)

    def send_map(self, pipeline: MapReader, status: PipelineStatus, stamp_ns: int, frame_id: str, for_navigation: bool) -> None:
        """Publishes what is due of path and map. What a robot drives by is held back while the scale is not metric."""
        rate_hz = self.config.map_rate_hz
        self.path.publish_if_due(
            lambda: conversions.to_path(pipeline.keyframe_trajectory()[-MAX_PATH:], stamp_ns, frame_id), PATH_RATE_HZ)
        self.updates.send(pipeline, status, stamp_ns, frame_id)
        self.map_cloud.publish_if_due(
            lambda: conversions.map_cloud_message(pipeline.map.published_cloud(), stamp_ns, frame_id), rate_hz)
        self._mesh_unfinished = False
        self.mesh.publish_if_due(lambda: self._mesh_marker(pipeline, stamp_ns, frame_id), self.config.mesh_rate_hz)
        self.objects.publish_if_due(lambda: to_detections(pipeline.objects(), stamp_ns, frame_id), rate_hz)
        self.markers.publish_if_due(lambda: to_markers(pipeline.objects(), pipeline.about, stamp_ns, frame_id), rate_hz)
        if not for_navigation:
            return

        def grid(found: OccupancyMap | None) -> OccupancyGrid | None:
            return None if found is None else conversions.to_occupancy_grid(found, stamp_ns, frame_id)

        self.occupancy.publish_if_due(lambda: grid(pipeline.occupancy()), rate_hz)
        self.distance_field.publish_if_due(lambda: grid(pipeline.distance_field()), rate_hz)
        self.label_mask.publish_if_due(lambda: grid(pipeline.label_mask()), rate_hz)
        self.regions.publish_if_due(lambda: to_regions(pipeline.regions(), stamp_ns, frame_id), rate_hz)
