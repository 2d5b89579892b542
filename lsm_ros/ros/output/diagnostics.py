# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""/diagnostics at 1 Hz: inputs, TF, tracking, scale, memory, queue, stages."""
from __future__ import annotations

import math
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from lsm_ros.msg import CameraStatus, MappingStatus
from lsm_ros.ros.input.subscriptions import Inputs
from lsm_ros.ros.input.transforms import OdometryState, TransformInput
from lsm_ros.ros.output.broadcasting import TransformOutput
from lsm_ros.ros.problems import Problems
from lsm_ros.types import EXACT_SCALE

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE
CAMERA_LEVELS = {CameraStatus.STATE_WAITING: (WARN, "no image yet"),
                 CameraStatus.STATE_OK: (OK, "images arrive"),
                 CameraStatus.STATE_STALE: (STALE, "images stopped"),
                 CameraStatus.STATE_INVALID: (ERROR, "images refused")}
TRACKING = {MappingStatus.STATE_INITIALIZING: (WARN, "initializing"), MappingStatus.STATE_TRACKING: (OK, "tracking"),
            MappingStatus.STATE_LOST: (WARN, "lost"), MappingStatus.STATE_RELOCALIZED: (OK, "tracking again")}


RECENT_S = 10.0  # frame sets that were dropped longer ago are counted, and no warning any more


class Diagnostics:
    """Publisher of /diagnostics."""

    def __init__(self, node: Node, problems: Problems) -> None:
        self._node, self._problems = node, problems
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.failure = ""
        self._dropped, self._last_drop = 0, -math.inf

    def publish(self, status: MappingStatus, state: str, inputs: Inputs | None = None,
                tf_in: TransformInput | None = None, tf_out: TransformOutput | None = None) -> None:
        """Publishes the state of now. state: of the life cycle; what is None does not exist yet."""
        out = DiagnosticArray()
        now = self._node.get_clock().now()
        out.header.stamp = now.to_msg()
        out.status = [self._node_status(status, state)]
        for camera in status.cameras:
            out.status.append(self._camera(camera, now.nanoseconds, inputs))
        if tf_in is not None and tf_out is not None:
            out.status.append(self._tf(tf_in, tf_out))
        if status.pair_model:
            out.status += [self._tracking(status), self._scale(status), self._memory(status, inputs),
                           self._queue(status), self._stages(status)]
        self._publisher.publish(out)

    def _status(self, name: str, level: bytes, message: str, **values: object) -> DiagnosticStatus:
        own = self._node.get_fully_qualified_name().lstrip("/")
        return DiagnosticStatus(name=f"{own}: {name}", level=level, message=message, hardware_id="none",
                                values=[KeyValue(key=k, value=str(v)) for k, v in values.items()])

    def _node_status(self, s: MappingStatus, state: str) -> DiagnosticStatus:
        if self.failure:
            return self._status("node", ERROR, self.failure, lifecycle=state)
        level = WARN if s.warnings else OK
        return self._status("node", level, "; ".join(s.warnings) or state, lifecycle=state, paused=s.paused)

    def _camera(self, c: CameraStatus, now_ns: int, inputs: Inputs | None) -> DiagnosticStatus:
        level, message = CAMERA_LEVELS[c.state]
        stamp_ns = c.last_stamp.sec * 1_000_000_000 + c.last_stamp.nanosec
        age = f"{(now_ns - stamp_ns) * 1e-9:.3f}" if stamp_ns else "nan"
        if c.problem:
            level, message = max(level, WARN), c.problem
        worst = f"{inputs.worst_callback_ms:.2f}" if inputs is not None else "0"
        return self._status(f"input {c.name}", level, message, rate_hz=f"{c.rate_hz:.2f}", stamp_age_s=age,
                            received=c.images_received, dropped=c.images_dropped, invalid=c.images_invalid,
                            depths=c.depths_received, labels=c.labels_received, calibrated=c.calibrated,
                            focal_px=f"{c.focal_px:.1f}", worst_callback_ms=worst)

    def _tf(self, tf_in: TransformInput, tf_out: TransformOutput) -> DiagnosticStatus:
        problem = self._problems.of("tf ")
        known = [f"camera {c} on {tf_in.base_name}" for c in tf_in.placed]
        known += ["odometry"] if tf_in.odometry is OdometryState.PRESENT else []
        return self._status("tf", WARN if problem else OK, problem or f"known: {', '.join(known) or 'nothing yet'}",
                            odometry=tf_in.odometry.value, base=tf_in.base_name, sent=tf_out.sent,
                            worst_gap_ms=f"{tf_out.worst_gap_s * 1e3:.1f}")

    def _tracking(self, s: MappingStatus) -> DiagnosticStatus:
        level, message = TRACKING[s.state]
        if s.state_reason:
            message = f"{message}: {s.state_reason}"
        return self._status("tracking", level, message, session=s.session, keyframes=s.keyframes,
                            match_fraction=f"{s.match_fraction:.3f}", without_pose=s.frames_without_pose,
                            frame_rate_hz=f"{s.frame_rate_hz:.2f}", latency_ms=f"{s.latency_ms:.1f}")

    def _scale(self, s: MappingStatus) -> DiagnosticStatus:
        exact = s.scale_is_metric and not s.scale_std > EXACT_SCALE
        about = "" if exact else f" to about {s.scale_std:.0%} only"
        message = f"lengths are metres{about} (from {s.scale_source})" if s.scale_is_metric else "lengths are not metres yet"
        return self._status("scale", OK if exact else WARN, message, source=s.scale_source,
                            std=f"{s.scale_std:.4f}", gravity=s.gravity_source, map_epoch=s.map_epoch)

    def _memory(self, s: MappingStatus, inputs: Inputs | None) -> DiagnosticStatus:
        return self._status("memory", OK, f"{(s.map_bytes + s.keyframe_bytes) / 1e6:.0f} MB", map_bytes=s.map_bytes,
                            keyframe_bytes=s.keyframe_bytes, voxel_blocks=s.voxel_blocks, gpu_bytes=s.gpu_bytes,
                            map_backend=s.map_backend,
                            input_bytes=inputs.waiting_bytes if inputs is not None else 0)

    def _queue(self, s: MappingStatus) -> DiagnosticStatus:
        now, lost = time.monotonic(), f"{s.frames_dropped} of {s.frames_received} frame sets were dropped for newer ones"
        if s.frames_dropped > self._dropped:
            self._last_drop = now
        self._dropped = s.frames_dropped
        return self._status("queue", WARN if now - self._last_drop < RECENT_S else OK, lost, received=s.frames_received,
                            processed=s.frames_processed, dropped=s.frames_dropped, waiting=s.queue_length)

    def _stages(self, s: MappingStatus) -> DiagnosticStatus:
        values = {f"{n}_ms": f"{ms:.2f}" for n, ms in zip(s.stage_names, s.stage_ms, strict=True)}
        return self._status("stages", OK, f"{sum(s.stage_ms):.0f} ms a frame set", **values)
