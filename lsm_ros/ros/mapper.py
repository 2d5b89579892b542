# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The work of the worker thread: decode, map, publish. It alone touches the pipeline."""
from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from lsm_ros import memory
from lsm_ros.config import Config
from lsm_ros.live.grouping import Item
from lsm_ros.live.worker import Worker
from lsm_ros.mapping.interface import Pipeline
from lsm_ros.msg import SemanticVoxelUpdate
from lsm_ros.ros import conversions
from lsm_ros.ros.input.cameras import Bundle, Camera, decode
from lsm_ros.ros.input.transforms import OdometryState, TransformInput
from lsm_ros.ros.map_files import remove_map, save_with_grid
from lsm_ros.ros.output.broadcasting import TransformOutput
from lsm_ros.ros.output.found_messages import Found
from lsm_ros.ros.output.publishers import Publishers
from lsm_ros.ros.output.smooth_odometry import Motion, SmoothOdometry
from lsm_ros.ros.output.status import FrameTiming, StatusReport
from lsm_ros.ros.output.update_messages import to_voxel_update
from lsm_ros.ros.problems import Problems, without_numbers
from lsm_ros.types import FrameSet, LabelSpace, MappingUpdate, PipelineStatus, TrackingState

if TYPE_CHECKING:
    from lsm_ros.semantics.language import Sentence

MAX_LATE_LABELS = 16
ERROR_S = 10.0
Result = TypeVar("Result")


class Mapper:
    """A pipeline, its worker, and the way from a bundle of messages to what is published.

    For any thread: `config` and `map_frame` to read, `texts`, `worker`, and the methods under "for any thread". All other
    methods touch the pipeline: they are for the worker, and others hand them to `command` or `worker.call`.
    """

    def __init__(self, node: Node, config: Config, pipeline: Pipeline, cameras: dict[str, Camera], tf_in: TransformInput,
                 tf_out: TransformOutput, publishers: Publishers, report: StatusReport, problems: Problems,
                 on_drop: Callable[[Bundle], None], add_imu: Callable[[FrameSet], FrameSet]) -> None:
        self._node, self.config, self._pipeline, self._cameras = node, config, pipeline, cameras
        self.texts = pipeline.texts
        self._tf_in, self._tf_out, self._publishers = tf_in, tf_out, publishers
        self._report, self._problems = report, problems
        self._add_imu = add_imu
        self._odometry = SmoothOdometry()
        self._odometry_of = OdometryState.UNKNOWN
        self._warned: set[str] = set()
        self._late_labels = 0
        self._late_lock = threading.Lock()
        self._send_pending = False
        self._T_map_base: np.ndarray | None = None  # of the newest frame set, None while it has no pose
        self.map_frame = config.node.map_frame
        self._loaded: Path | None = None
        self._kept: list[Path] = []
        self._adopt_session()
        self.worker: Worker[Bundle] = Worker(
            self.process, capacity=config.limits.queue_frames, block=config.node.replay, on_error=self._failed,
            on_drop=on_drop, name="mapping")

    # one bundle

    def process(self, bundle: Bundle) -> None:
        """Decodes, maps, publishes."""
        start = time.perf_counter()
        frame_set = decode(bundle, self._cameras, self._problems)
        if frame_set is None:
            return
        decoded = time.perf_counter()
        update = self._pipeline.process(self._add_imu(frame_set))
        status = self._pipeline.status()
        self._follow_session(status)
        self._say(status)
        self._pose(frame_set, update, status)
        latency_ms = (time.monotonic() - bundle.group.arrived) * 1e3
        mapped = time.perf_counter()
        self._rest(frame_set, update, status)
        self._problems.over("frame", "frames are processed again")
        stage_ms = {"decode": (decoded - start) * 1e3, **update.milliseconds,
                    "publish": (time.perf_counter() - mapped) * 1e3}
        self._report.add(FrameTiming(time.monotonic(), latency_ms, stage_ms), status, frame_set.stamp_ns)
        self._report.publish(only_if_state_changed=True)

    def _say(self, status: PipelineStatus) -> None:
        """Logs new warnings of the pipeline once, and says that the camera is lost as long as it is, or that mapping does not
        start."""
        warnings = {without_numbers(text): text for text in status.warnings}
        for words in warnings.keys() - self._warned:
            self._problems.warn(warnings[words])
        self._warned = set(warnings)
        if status.state is TrackingState.LOST:
            self._problems.say("tracking", f"the camera is lost: {status.state_reason}")
        elif status.state is not TrackingState.INITIALIZING:
            self._problems.over("tracking", "the camera is tracked")
        elif self._tf_in.seconds_since_start >= self.config.node.missing_input_seconds:
            self._problems.say("tracking", f"mapping has not started: {status.state_reason}")

    def _pose(self, frame_set: FrameSet, update: MappingUpdate, status: PipelineStatus) -> None:
        """Everything that follows from a believed pose."""
        T, covariance, stamp_ns = update.tracking.T_map_rig, update.tracking.covariance, frame_set.stamp_ns
        self._T_map_base = T
        if T is None:
            return
        self._publishers.pose(stamp_ns, T, covariance, self.map_frame)
        state = self._tf_in.odometry
        measured = frame_set.T_odom_base if state is OdometryState.PRESENT else None
        is_missing = state is OdometryState.PRESENT and measured is None
        if state is not self._odometry_of and not is_missing:
            self._odometry_of = state
            self._odometry.begin(T if measured is None else measured)
        motion = self._odometry.add(stamp_ns, T, update.tracking.own_covariance, (update.map_epoch, update.graph_version),
                                    self._pipeline.keyframe_trajectory)
        if is_missing:
            return
        if state is not OdometryState.UNKNOWN:
            self._publish_odometry(stamp_ns, T, covariance, motion, state)
        if self.map_frame == self.config.node.map_frame:
            T_odom_base = motion.T_odom_base if measured is None else measured
            self._tf_out.pose(stamp_ns, T, T_odom_base, state, self._for_navigation(status))

    def _publish_odometry(self, stamp_ns: int, T_map_base: np.ndarray, covariance: np.ndarray | None, motion: Motion,
                          state: OdometryState) -> None:
        """Odometry of the cameras alone, in a frame that is on TF (REP-105): in `odom` where the robot or this node has that on
        TF, else in the map, with the corrections of the map."""
        c, frame = self.config.node, self.map_frame
        if state is OdometryState.PRESENT or c.publish_odom_to_base_tf:
            frame = c.odom_frame or "odom"
        else:
            motion = replace(motion, T_odom_base=T_map_base)
        self._publishers.odometry(stamp_ns, motion, covariance, frame, self._tf_in.base_name)

    def _rest(self, frame_set: FrameSet, update: MappingUpdate, status: PipelineStatus) -> None:
        """Clouds and the map."""
        out = self._publishers
        out.clouds(update, self._pipeline, self._for_navigation(status))
        if update.tracking.new_keyframe is not None or update.moved:
            out.path.changed()
        if update.changed_blocks or update.moved or update.added or update.removed:
            out.voxels_changed()
        out.label_info(self._pipeline.label_space, frame_set.stamp_ns, self.map_frame)
        out.send_map(self._pipeline, status, frame_set.stamp_ns, self.map_frame, self._for_navigation(status))

    def _for_navigation(self, status: PipelineStatus) -> bool:
        return status.scale_is_metric or self.config.scale.publish_nonmetric

    # sessions

    def _adopt_session(self) -> None:
        """The pipeline's present session is the one that owns the map frame: after a start, a reset, a load."""
        status = self._pipeline.status()
        self._session = self._home = status.session
        self._epoch = status.map_epoch
        self._new_map(self.config.node.map_frame)
        self._remember(status)

    def _follow_session(self, status: PipelineStatus) -> None:
        """A session that began by itself, or was joined to the one that owns the map frame. Where odometry carries the map on,
        its epoch is the same; a new map is not tied to it, and gets a frame of its own."""
        is_same_map, self._epoch = status.map_epoch == self._epoch, status.map_epoch
        if status.session == self._session:
            return
        self._session = status.session
        if is_same_map:
            self._home = status.session
        joined = status.session == self._home
        frame = self.config.node.map_frame if joined else f"{self.config.node.map_frame}_s{status.session}"
        self._node.get_logger().warning(f"session {status.session} goes on, in frame {frame!r}")
        self._new_map(frame)

    def _new_map(self, frame: str) -> None:
        self._T_map_base = None
        self.map_frame = self._report.map_frame = frame
        self._tf_out.forget()
        self._odometry.restart()
        self._publishers.changed()

    def _remember(self, status: PipelineStatus) -> None:
        self._report.pipeline = status

    # commands, to be run by the worker

    def save(self, folder: Path) -> int:
        """Writes the map, and its grid for map_server; returns the bytes written. ValueError while there is no map; OSError."""
        if not self._pipeline.status().keyframes:
            raise ValueError("there is no map yet: nothing was saved")
        return save_with_grid(self._pipeline, folder)

    def reset(self) -> str:
        """Forgets the map."""
        self._pipeline.reset()
        memory.give_back()
        self._loaded = None
        self._adopt_session()
        return "the map is empty"

    def load(self, folder: Path, localization_only: bool) -> PipelineStatus:
        """Replaces the map by a saved one. FileNotFoundError or ValueError if it is unusable; then nothing changes."""
        self._pipeline.load(folder, localization_only)
        self._loaded = folder
        self._adopt_session()
        return self._pipeline.status()

    def time_jumped(self, directory: Path, reason: str) -> None:
        """Time went back: keeps what was mapped on disk and starts anew."""
        status = self._pipeline.status()
        if status.localization_only and self._loaded is not None:
            self._node.get_logger().warning(f"{reason}: looking for the camera in {self._loaded.name!r} again")
            self.load(self._loaded, True)
            return
        if status.keyframes and self.config.node.kept_sessions:
            self._keep_session(directory / f"session_{status.session}_{datetime.now():%Y%m%d_%H%M%S}", reason)
        self._pipeline.new_session(keep=False, reason=reason)
        if self._tf_in.odometry is OdometryState.PRESENT:
            self._adopt_session()
        else:
            self._follow_session(self._pipeline.status())
            self._remember(self._pipeline.status())

    def _keep_session(self, folder: Path, reason: str) -> None:
        """Saves the map of a session that ends. Of those that were kept before, only the newest stay."""
        try:
            self._pipeline.save(folder)
            self._kept.append(folder)
            gone = [self._kept.pop(0) for _ in self._kept[self.config.node.kept_sessions:]]
            for old in gone:
                remove_map(old)
        except (OSError, ValueError) as error:
            self._problems.say("save", f"{reason}: the map could not be saved to {folder}: {error}", ERROR_S)
            return
        removed = f"; {gone[-1].name} was removed (kept_sessions: {self.config.node.kept_sessions})" if gone else ""
        self._node.get_logger().warning(f"{reason}: the map so far is in {folder}{removed}")

    def apply(self, config: Config) -> None:
        """Takes over parameters that may change while running."""
        self.config = config
        self._publishers.config = config.node
        self._publishers.changed()
        self._tf_out.config = self._tf_in.config = config.node
        self._pipeline.apply_runtime(config)

    def _send_map(self) -> None:
        self._send_pending = False
        status = self._pipeline.status()
        self._remember(status)
        self._publishers.send_map(self._pipeline, status, self._report.stamp_ns, self.map_frame,
                                  self._for_navigation(status))

    def blocks(self, epoch: int, since_seq: int) -> SemanticVoxelUpdate:
        """Blocks of the map that somebody lacks who holds `since_seq` of `epoch`, or the first part of them."""
        update = self._publishers.updates.answer(self._pipeline, self._pipeline.status(), epoch, since_seq)
        return to_voxel_update(update, self._report.stamp_ns, self.map_frame)

    def set_labels(self, space: LabelSpace | None) -> LabelSpace | None:
        """Decodes the features of the whole map into other names; None: those of the configuration. Returns all names."""
        self._pipeline.set_labels(space)
        known = self._pipeline.label_space
        self._publishers.voxels_changed()
        self._publishers.label_info(known, self._report.stamp_ns, self.map_frame)
        self._send_soon()
        return known

    def find(self, sentence: Sentence, threshold: float, most: int) -> Found:
        """Places in the map that a sentence describes."""
        answer = self._pipeline.find(sentence.vector, threshold, most)
        return Found(sentence, answer, self._report.stamp_ns, self.map_frame)

    def goal(self, text: str) -> tuple[str, PoseStamped]:
        """A pose near what a text names, and what that is. ValueError that says why there is none."""
        self._check_drivable()
        what, goal = self._pipeline.goal(text, self._known_pose())
        yaw = np.array([[np.cos(goal.yaw), -np.sin(goal.yaw)], [np.sin(goal.yaw), np.cos(goal.yaw)]])
        T_map_goal = np.eye(4)
        T_map_goal[:2, :2], T_map_goal[:2, 3] = yaw, (goal.x, goal.y)
        pose = PoseStamped(pose=conversions.to_pose(T_map_goal))
        pose.header.stamp, pose.header.frame_id = conversions.to_stamp(self._report.stamp_ns), self.map_frame
        return f"{what}, with {goal.clearance:.2f} m of free space around", pose

    def where(self) -> str:
        """The name of the region that the robot is in. ValueError where that is not known."""
        self._check_drivable()
        regions = self._pipeline.regions()
        if regions is None:
            raise ValueError("the map has no regions yet: it is empty, or which way is up is not known")
        region = regions.at(self._known_pose()[:3, 3])
        if region is None:
            raise ValueError("the robot is in none of the regions that the map shows")
        return region.name

    def _check_drivable(self) -> None:
        if not self._for_navigation(self._pipeline.status()):
            raise ValueError("lengths in the map are not metres yet: nobody should drive by it (scale.publish_nonmetric)")

    def _known_pose(self) -> np.ndarray:
        if self._T_map_base is None:
            raise ValueError("it is not known where the robot is: the camera is not tracked")
        return self._T_map_base

    def set_initial_pose(self, T_map_rig: np.ndarray) -> None:
        """Takes the position of the rig (4, 4) from outside."""
        self._pipeline.set_initial_pose(T_map_rig)
        self._odometry.restart()

    def _failed(self, bundle: Bundle, error: Exception) -> None:
        """A frame set raised an error: reported by name, with the place in the log if it is not a plain refusal."""
        what = f"{type(error).__name__}: {error}"
        self._problems.say("frame", f"frame at {bundle.group.stamp_ns * 1e-9:.3f} s failed: {what}")
        self._remember(self._pipeline.status())
        self._report.publish(only_if_state_changed=True)
        if not isinstance(error, ValueError):
            place = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self._node.get_logger().error(place, throttle_duration_sec=ERROR_S)

    # for any thread

    def command(self, name: str, function: Callable[[], Result]) -> Future[Result]:
        """Runs a command between frames; its error is reported by name."""
        future = self.worker.call(function)

        def tell(done: Future[Result]) -> None:
            if not done.cancelled() and done.exception() is not None:
                self._problems.say(name, f"{name}: {done.exception()}", ERROR_S)

        future.add_done_callback(tell)
        return future

    def poll(self) -> None:
        """Once a second: latched topics for new subscribers, also while no frame comes."""
        self._publishers.poll()
        self._report.counts = self.worker.counts
        self._send_soon()

    def poll_rest(self) -> None:
        """Ten times a second: the rest of what is done or goes out at a bounded rate."""
        if self._publishers.pending:
            self._send_soon()

    def _send_soon(self) -> None:
        if not self._send_pending:
            self._send_pending = True
            self.command("publish the map", self._send_map)

    def late_labels(self, item: Item, stamp_ns: int) -> None:
        """Labels of a frame that has gone on. Only a few wait; more are counted as refused."""
        with self._late_lock:
            if self._late_labels >= MAX_LATE_LABELS:
                self._problems.say(f"{item.camera} labels", f"labels of camera {item.camera!r} come faster than they "
                                   "are used; some are dropped", ERROR_S)
                return
            self._late_labels += 1

        def add() -> None:
            with self._late_lock:
                self._late_labels -= 1
            camera = self._cameras[item.camera]
            space = camera.update_labels(camera.label_info, self._problems)
            if self._pipeline.add_labels(stamp_ns, item.camera, conversions.label_image(item.payload), space):
                self._publishers.voxels_changed()

        self.command(f"{item.camera} labels", add)

    def close(self) -> None:
        """Ends the worker and frees the pipeline."""
        self.worker.stop()
        self._pipeline.close()
