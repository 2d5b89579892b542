# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""TF in: where the cameras sit on the robot, and odometry. Lookups never wait; whoever needs one asks again."""
from __future__ import annotations

import threading
import time
from enum import Enum

import numpy as np
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from lsm_ros.config import NodeConfig
from lsm_ros.geometry import T_BODY_OPTICAL, se3_inverse
from lsm_ros.reading import read_yaml
from lsm_ros.ros.conversions import from_transform
from lsm_ros.ros.input.reader import Reader
from lsm_ros.ros.problems import Problems

CACHE_S = 30.0
LATEST = Time(nanoseconds=0, clock_type=ClockType.ROS_TIME)


class OdometryState(Enum):
    """State of odometry on TF."""

    NONE = "none"          # switched off by the parameters
    UNKNOWN = "unknown"    # not seen yet, and it is too early to say that there is none
    ABSENT = "absent"      # not seen, although there was time
    PRESENT = "present"    # seen


class TransformInput:
    """Buffer and listener, and the questions that mapping asks. Thread-safe.

    The rig is `base_frame`; if that is empty, the body frame of the first camera.
    """

    def __init__(self, node: Node, config: NodeConfig, cameras: list[str], problems: Problems, reader: Reader
                 ) -> None:
        self.config, self._cameras, self._problems = config, cameras, problems
        self.buffer = Buffer(cache_time=Duration(seconds=CACHE_S))
        self._listener = TransformListener(self.buffer, node)
        reader.read(self._listener.tf_sub, self._listener.tf_static_sub)
        self._lock = threading.Lock()
        self.restart()

    def reconfigure(self, config: NodeConfig) -> None:
        """Takes over new settings and starts anew."""
        self.config = config
        self.restart()

    def restart(self) -> None:
        """Forgets what has been seen of moving transforms; for a jump of time and a new configuration."""
        self.buffer.clear()
        with self._lock:
            self._rig: dict[tuple[str, str], np.ndarray] = {}
            self._first_optical = ""
            self._started: float | None = None
            self._odometry_seen: float | None = None
            self._missing: dict[str, float] = {}

    def time_jumped(self) -> None:
        """Forgets moving transforms, whose times belong to another run of the clock. Static ones hold."""
        self.buffer.clear()
        with self._lock:
            self._missing = {}
            if self._odometry_seen is not None:
                self._odometry_seen = time.monotonic()  # it will come again, so it is waited for

    @property
    def base_name(self) -> str:
        """Name of the rig frame."""
        return self.config.base_frame or f"{self._cameras[0]}_body"

    @property
    def placed(self) -> list[str]:
        """Cameras whose place on the rig is known."""
        with self._lock:
            return sorted({camera for camera, _ in self._rig if camera})

    @property
    def first_optical(self) -> str:
        """Optical frame of the first camera; empty before its first image."""
        return self._first_optical

    def saw_image(self, camera: str, frame_id: str, now: float) -> None:
        """An image came: from the first one on, what is missing is missed."""
        with self._lock:
            if self._started is None:
                self._started = now
            if camera == self._cameras[0]:
                self._first_optical = frame_id

    @property
    def seconds_since_start(self) -> float:
        """Seconds since the first image; 0 before."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    # cameras on the rig

    def rig(self, camera: str, frame_id: str) -> np.ndarray | None:
        """T_rig_cam (4, 4), or None as long as TF does not say it. It is asked once for each camera and frame."""
        key = (camera, frame_id)
        if key in self._rig:
            return self._rig[key]
        first = self._cameras[0]
        if not self.config.base_frame and camera == first:
            T = T_BODY_OPTICAL
        else:
            target = self.config.base_frame or self._first_optical
            if not target:
                self._miss(f"tf {camera}", f"camera {camera!r} cannot be placed: no image of {first!r} came yet, whose "
                           "frame is the base because base_frame is empty")
                return None
            if not frame_id:
                self._miss(f"tf {camera}", f"images of camera {camera!r} have no frame_id, so TF cannot say where it "
                           f"sits on {target!r}; let the driver set header.frame_id")
                return None
            found = self._lookup(target, frame_id, LATEST, f"tf {camera}", f"camera {camera!r} is not used")
            if found is None:
                return None
            T = found if self.config.base_frame else T_BODY_OPTICAL @ found
        self._problems.over(f"tf {camera}", f"camera {camera!r} is placed on {self.base_name!r}")
        with self._lock:
            self._rig[key] = T
        return T

    def sensor(self, frame_id: str, what: str) -> np.ndarray | None:
        """T_rig_sensor (4, 4) of a frame that is fixed on the rig, or None as long as TF does not say it, which is then said of
        `what`."""
        key = ("", frame_id)
        if key in self._rig:
            return self._rig[key]
        target = self.config.base_frame or self._first_optical
        if not target:
            return None
        if not frame_id:
            self._miss("tf sensor", f"messages of {what} have no frame_id, so TF cannot say where it sits on {target!r}")
            return None
        found = self._lookup(target, frame_id, LATEST, "tf sensor", f"{what} is not used")
        if found is None:
            return None
        T = found if self.config.base_frame else T_BODY_OPTICAL @ found
        self._problems.over("tf sensor", f"{what} is placed on {self.base_name!r}")
        with self._lock:
            self._rig[key] = T
        return T

    def free_root(self) -> tuple[str, np.ndarray] | None:
        """Root of the tree that holds the first optical frame and T_rig_root, if a driver published such a tree; None
        if the optical frame hangs nowhere. Only meaningful while base_frame is empty and nothing of ours is on TF."""
        try:
            frames = read_yaml(self.buffer.all_frames_as_yaml(), "the list of TF frames") or {}
        except ValueError as error:  # names that are no YAML, as "a: b" or "*a"
            self._problems.say("tf names", f"a frame on TF has an odd name: {error}")
            return None
        parents = {child: entry["parent"] for child, entry in frames.items()}
        frame, seen = self._first_optical, set()
        while frame in parents and frame not in seen:
            seen.add(frame)
            frame = parents[frame]
        if frame == self._first_optical:
            return None
        try:
            T_optical_root = from_transform(self.buffer.lookup_transform(self._first_optical, frame, LATEST).transform)
        except (TransformException, ValueError):
            return None  # the tree moves and has no common time yet: asked again at the next frame
        return frame, T_BODY_OPTICAL @ T_optical_root

    # odometry

    @property
    def odometry(self) -> OdometryState:
        """State of odometry on TF."""
        if not self.config.odom_frame or self.config.publish_odom_to_base_tf:
            return OdometryState.NONE
        if self._odometry_seen is not None:
            return OdometryState.PRESENT
        target = self.config.base_frame or self._first_optical
        if target and self.buffer.can_transform(self.config.odom_frame, target, LATEST):
            self._odometry_seen = time.monotonic()
            self._problems.over("tf odometry", f"odometry found: TF {self.config.odom_frame} -> {target}")
            return OdometryState.PRESENT
        if self._started is None or self.seconds_since_start < self.config.missing_input_seconds:
            return OdometryState.UNKNOWN
        self._problems.say("tf odometry", f"no odometry on TF: {self.config.odom_frame!r} -> {target!r} is missing; "
                           f"poses go out as {self.config.map_frame!r} -> {self.base_name!r} (set odom_frame to '' if "
                           "there is to be none)")
        return OdometryState.ABSENT

    @property
    def odometry_is_fresh(self) -> bool:
        """True if it is worth waiting for odometry: it is on TF and came not long ago."""
        seen = self._odometry_seen
        return seen is not None and time.monotonic() - seen < self.config.missing_input_seconds

    def odometry_at(self, stamp_ns: int, T_rig_first: np.ndarray | None) -> np.ndarray | None:
        """T_odom_base (4, 4) at the stamp, interpolated, never extrapolated; None if TF does not have it (yet).

        T_rig_first: T_rig_cam of the first camera, needed while base_frame is empty.
        """
        target = self.config.base_frame or self._first_optical
        when = Time(nanoseconds=stamp_ns, clock_type=ClockType.ROS_TIME)
        if not target or (not self.config.base_frame and T_rig_first is None):
            return None
        T = self._lookup(self.config.odom_frame, target, when, "tf odometry", "frames go on without odometry")
        if T is None:
            return None
        self._odometry_seen = time.monotonic()
        self._problems.over("tf odometry", "odometry is on TF again")
        return T if self.config.base_frame or T_rig_first is None else T @ se3_inverse(T_rig_first)

    def _lookup(self, target: str, source: str, when: Time, key: str, effect: str) -> np.ndarray | None:
        try:
            T = from_transform(self.buffer.lookup_transform(target, source, when).transform)
        except TransformException as error:
            self._miss(key, f"no transform {target!r} -> {source!r}, {effect}: {error}")
            return None
        except ValueError as error:
            self._miss(key, f"transform {target!r} -> {source!r} is unusable, {effect}: {error}")
            return None
        with self._lock:
            self._missing.pop(key, None)
        return T

    def _miss(self, key: str, text: str) -> None:
        """Said once it has lasted for missing_input_seconds."""
        now = time.monotonic()
        with self._lock:
            since = self._missing.setdefault(key, now)
        if now - since >= self.config.missing_input_seconds:
            self._problems.say(key, text.replace("\n", " "))
