# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""~/status: what the node and the pipeline are doing, as one latched message."""
from __future__ import annotations

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from statistics import fmean, median

from rclpy.node import Node

from lsm_ros.live.worker import WorkerCounts
from lsm_ros.msg import CameraStatus, MappingStatus
from lsm_ros.ros.conversions import to_stamp
from lsm_ros.ros.input.cameras import Camera
from lsm_ros.ros.output.publishers import LATCHED
from lsm_ros.ros.problems import Problems
from lsm_ros.types import PipelineStatus

WINDOW_S = 5.0


@dataclass(frozen=True)
class FrameTiming:
    """One processed frame set: when it was done, milliseconds since its images came, and milliseconds of each stage."""

    done: float
    latency_ms: float
    stage_ms: dict[str, float]


class StatusReport:
    """Collects what goes into ~/status. The worker adds, timers read."""

    def __init__(self, node: Node, cameras: dict[str, Camera], problems: Problems) -> None:
        self._publisher = node.create_publisher(MappingStatus, "~/status", LATCHED)
        self._cameras, self._problems = cameras, problems
        self._lock = threading.Lock()
        self._recent: deque[FrameTiming] = deque(maxlen=1000)
        self.pipeline: PipelineStatus | None = None
        self.counts = WorkerCounts()
        self.stamp_ns = 0
        self.map_frame = ""
        self.pair_model = ""
        self.active = self.paused = False
        self._told: tuple[object, ...] = ()

    def add(self, timing: FrameTiming, status: PipelineStatus, stamp_ns: int) -> None:
        """A frame set was processed."""
        with self._lock:
            self._recent.append(timing)
            self.pipeline, self.stamp_ns = status, stamp_ns

    def watch(self, cameras: dict[str, Camera]) -> None:
        """The cameras that are reported."""
        self._cameras = cameras

    def forget(self) -> None:
        """The pipeline is gone."""
        with self._lock:
            self._recent.clear()
            self.pipeline, self.counts, self.stamp_ns = None, WorkerCounts(), 0

    def recent(self) -> list[FrameTiming]:
        """Frame sets of the last 5 s."""
        since = time.monotonic() - WINDOW_S
        with self._lock:
            return [t for t in self._recent if t.done >= since]

    def stages(self) -> dict[str, float]:
        """Mean milliseconds of each stage over the last 5 s."""
        recent = self.recent()
        names = dict.fromkeys(name for t in recent for name in t.stage_ms)
        return {name: fmean(t.stage_ms[name] for t in recent if name in t.stage_ms) for name in names}

    def publish(self, only_if_state_changed: bool = False) -> None:
        """Publishes the state of now."""
        p = self.pipeline
        state = (self.active, self.paused, p and (p.state, p.session, p.map_epoch, p.scale_is_metric, p.gravity_known))
        if only_if_state_changed and state == self._told:
            return
        self._told = state
        self._publisher.publish(self.message())

    def message(self) -> MappingStatus:
        """The state of now."""
        out = MappingStatus(active=self.active, paused=self.paused, pair_model=self.pair_model)
        out.header.stamp, out.header.frame_id = to_stamp(self.stamp_ns), self.map_frame
        out.scale_source = out.gravity_source = "none"
        out.scale_std = float("nan")
        p, counts, recent = self.pipeline, self.counts, self.recent()
        if p is not None:
            _copy(p, out)
        out.frames_received, out.frames_dropped, out.queue_length = counts.submitted, counts.dropped, counts.waiting
        out.gpu_bytes = gpu_bytes()
        out.frame_rate_hz = len(recent) / WINDOW_S
        out.latency_ms = median(t.latency_ms for t in recent) if recent else 0.0
        stages = self.stages()
        out.stage_names, out.stage_ms = list(stages), list(stages.values())
        out.cameras = [self._camera(c) for c in list(self._cameras.values())]
        out.warnings = [*self._problems.all(), *(p.warnings if p else ())]
        return out

    def _camera(self, camera: Camera) -> CameraStatus:
        out = CameraStatus(name=camera.name, frame_id=camera.frame_id, width=camera.width, height=camera.height)
        out.state = (CameraStatus.STATE_WAITING if not camera.received else CameraStatus.STATE_STALE if camera.stale
                     else CameraStatus.STATE_INVALID if camera.last_was_invalid else CameraStatus.STATE_OK)
        out.calibrated = camera.intrinsics is not None
        p = self.pipeline
        out.focal_px = float(p.focal_px.get(camera.name, 0.0)) if p else 0.0
        if not out.focal_px and camera.intrinsics is not None:
            out.focal_px = camera.intrinsics.fx
        out.focal_is_estimated = bool(p and p.focal_is_estimated.get(camera.name, False))
        out.images_received, out.images_dropped = camera.received, camera.dropped
        out.images_invalid, out.depths_received, out.labels_received = camera.invalid, camera.depths, camera.labels
        out.rate_hz = camera.rate_hz()
        out.last_stamp = to_stamp(camera.last_stamp_ns)
        problems = (self._problems.of(f"{camera.name} "), self._problems.of(f"tf {camera.name}"))
        out.problem = "; ".join(p for p in problems if p)
        return out


def _copy(p: PipelineStatus, out: MappingStatus) -> None:
    out.state, out.state_reason, out.session, out.map_epoch = int(p.state), p.state_reason, p.session, p.map_epoch
    out.graph_version, out.scale_is_metric, out.scale_source = p.graph_version, p.scale_is_metric, p.scale_source
    out.scale_std, out.gravity_known, out.gravity_source = float(p.scale_std), p.gravity_known, p.gravity_source
    out.frames_processed, out.frames_without_pose = p.frames_processed, p.frames_without_pose
    out.keyframes, out.match_fraction, out.observations = p.keyframes, float(p.match_fraction), p.observations
    out.fusion_backlog, out.voxel_blocks, out.map_bytes = p.fusion_backlog, p.voxel_blocks, p.map_bytes
    out.map_backend = p.map_backend
    out.keyframe_bytes, out.localization_only = p.keyframe_bytes, p.localization_only


def gpu_bytes() -> int:
    """GPU memory that PyTorch holds; 0 if nobody has loaded it or there is no GPU."""
    torch = sys.modules.get("torch")
    return int(torch.cuda.memory_reserved()) if torch is not None and torch.cuda.is_initialized() else 0
