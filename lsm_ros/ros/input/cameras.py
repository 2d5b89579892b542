# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""State of each camera in the node, and the step from messages of one instant to a frame set."""
from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo
from vision_msgs.msg import LabelInfo

from lsm_ros.datasets.base import fit_to
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.images.camera_info import CameraInfoReader
from lsm_ros.live.grouping import Group, Item
from lsm_ros.ros import conversions
from lsm_ros.ros.problems import Problems
from lsm_ros.types import Frame, FrameSet, LabelSpace

MIN_SIDE_PX = 32
RATE_WINDOW_S = 5.0


@dataclass
class Camera:
    """State of one camera.

    Images are counted by callbacks, the feeder and the worker alike, so by methods that take a lock, and read by anybody.
    `info`, `label_info` and `stale` are set by callbacks and the timer (`Inputs`); the rest is the worker's (`decode`).
    """

    name: str
    rectified: bool = False
    received: int = 0
    dropped: int = 0
    invalid: int = 0
    depths: int = 0
    labels: int = 0
    frame_id: str = ""
    width: int = 0
    height: int = 0
    last_stamp_ns: int = 0
    last_was_invalid: bool = False
    stale: bool = False
    info: CameraInfo | None = None
    label_info: LabelInfo | None = None
    intrinsics: CameraIntrinsics | None = None
    label_space: LabelSpace | None = None
    first_image: float | None = None
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    _calibration: CameraInfoReader = field(default_factory=CameraInfoReader)
    _label_message: LabelInfo | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count_image(self, now: float) -> bool:
        """Counts an image that came at `now` (monotonic seconds). Returns True for the first one."""
        with self._lock:
            self.received += 1
            self.arrivals.append(now)
            if self.first_image is None:
                self.first_image = now
            return self.received == 1

    def count_depth(self) -> None:
        """Counts a depth image that came."""
        with self._lock:
            self.depths += 1

    def count_labels(self) -> None:
        """Counts a label image that came."""
        with self._lock:
            self.labels += 1

    def count_dropped(self) -> None:
        """Counts an image that was lost for want of room, time or a transform."""
        with self._lock:
            self.dropped += 1

    def count_invalid(self) -> None:
        """Counts an image that cannot be used, or whose stamp cannot."""
        with self._lock:
            self.invalid += 1

    def rate_hz(self) -> float:
        """Images a second over the last 5 s."""
        now = time.monotonic()
        with self._lock:
            arrivals = list(self.arrivals)
        recent = sum(1 for t in arrivals if now - t <= RATE_WINDOW_S)
        span = min(RATE_WINDOW_S, max(now - (self.first_image or now), 1e-3))
        return recent / max(span, 1.0)

    def forget(self) -> None:
        """As before the first image; the newest camera_info and label_info are kept, since they may be latched."""
        fresh = Camera(self.name, self.rectified, info=self.info, label_info=self.label_info)
        with self._lock:
            vars(self).update({name: value for name, value in vars(fresh).items() if name != "_lock"})

    def calibrate(self, message: CameraInfo | None, size: tuple[int, int], problems: Problems) -> CameraIntrinsics | None:
        """Camera of an image of a size (height, width) by the newest camera_info; what is wrong with that is named."""
        what = f"camera_info of camera {self.name!r}"
        found = self.intrinsics = self._calibration.read(message, size, self.rectified)
        if self._calibration.problem:
            problems.say(f"{self.name} info", f"{what} {self._calibration.problem}")
        elif found is not None:
            problems.over(f"{self.name} info", f"{what} is usable: {found.width}x{found.height}, fx {found.fx:.1f} px")
        for note in self._calibration.notes:
            problems.say(f"{self.name} info note", f"{what}: {note}")
        if not self._calibration.notes:
            problems.over(f"{self.name} info note")
        return found

    def update_labels(self, message: LabelInfo | None, problems: Problems) -> LabelSpace | None:
        """Label space by the newest label_info. An unusable one is named, and the last usable one stays."""
        if message is None or message is self._label_message:
            return self.label_space
        self._label_message = message
        try:
            self.label_space = conversions.label_space(message)
        except ValueError as error:
            problems.say(f"{self.name} label_info", f"label_info of camera {self.name!r} is unusable: {error}")
        else:
            problems.over(f"{self.name} label_info", f"label_info of camera {self.name!r} is usable")
        return self.label_space


@dataclass(frozen=True)
class Bundle:
    """A group of messages with what was known when it was handed on."""

    group: Group
    infos: dict[str, CameraInfo | None]
    label_infos: dict[str, LabelInfo | None]
    T_rig_cam: dict[str, np.ndarray]
    T_odom_base: np.ndarray | None
    rig_is_base: bool


def decode(bundle: Bundle, cameras: dict[str, Camera], problems: Problems) -> FrameSet | None:
    """Frame set of a bundle. Images that cannot be used are counted and named; None if there is no usable one."""
    frames = []
    for name, item in bundle.group.images.items():
        camera = cameras[name]
        try:
            frame = _frame(camera, item, bundle, problems)
        except ValueError as error:
            camera.count_invalid()
            camera.last_was_invalid = True
            problems.say(f"{name} image", f"image of camera {name!r} is refused: {error}")
            continue
        camera.last_was_invalid = False
        camera.height, camera.width = frame.image.shape[:2]
        camera.last_stamp_ns = frame.stamp_ns
        problems.over(f"{name} image", f"images of camera {name!r} are good again")
        frames.append(frame)
    if not frames:
        return None
    return FrameSet(bundle.group.stamp_ns, tuple(frames), {f.camera: bundle.T_rig_cam[f.camera] for f in frames},
                    bundle.T_odom_base, bundle.rig_is_base)


def _frame(camera: Camera, item: Item, bundle: Bundle, problems: Problems) -> Frame:
    name, group = camera.name, bundle.group
    image = conversions.color_image(item.payload)
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise ValueError(f"{width}x{height} pixels are too few to find anything; {MIN_SIDE_PX} a side are needed")
    intrinsics = camera.calibrate(bundle.infos.get(name), (height, width), problems)
    frame_id = item.payload.header.frame_id or f"{name}_optical_frame"
    if camera.frame_id not in ("", frame_id):
        problems.say(f"{name} frame", f"frame_id of camera {name!r} changed from {camera.frame_id!r} to {frame_id!r}")
    camera.frame_id = frame_id
    space = camera.update_labels(bundle.label_infos.get(name), problems)
    depth = _registered(name, "depth", group.depth.get(name), conversions.depth_image, (height, width), problems)
    labels = _registered(name, "labels", group.labels.get(name), conversions.label_image, (height, width), problems)
    return Frame(item.stamp_ns, name, image, intrinsics, depth, labels, space, frame_id)


def _registered(camera: str, kind: str, item: Item | None, decoder: Any, shape: tuple[int, int],
                problems: Problems) -> np.ndarray | None:
    """Depth or labels of an image; what is unusable is named and left out."""
    if item is None:
        return None
    try:
        out = fit_to(decoder(item.payload), *shape)
    except ValueError as error:
        problems.say(f"{camera} {kind}", f"{kind} of camera {camera!r} is refused: {error}")
        return None
    problems.over(f"{camera} {kind}", f"{kind} of camera {camera!r} is good again")
    return out
