# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""BufferCore: a thread-safe store of transforms that speaks in ROS messages."""

import threading
from math import isnan
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.logging import get_logger
from rclpy.time import Time

from tf2_py.exceptions import ExtrapolationException, TransformException
from tf2_py.frame_graph import FrameGraph
from tf2_py.rotation import Quaternion, Rigid, Vector, canonical, compose
from tf2_py.time_cache import Sample, seconds_text
from tf2_py.velocity import point_velocity

DEFAULT_CACHE_NS = 10_000_000_000

Twist = tuple[Vector, Vector]


def to_ns(value: Any, what: str = "time") -> int:
    """Nanoseconds of a time or duration: a message (sec, nanosec) or an rclpy object (nanoseconds)."""
    if hasattr(value, "sec") and hasattr(value, "nanosec"):
        return value.sec * 1_000_000_000 + value.nanosec
    if hasattr(value, "nanoseconds"):
        return value.nanoseconds
    raise TypeError(f"{what} must have sec and nanosec, or nanoseconds, but is {value!r}.")


def to_message(T_target_source: Rigid, stamp_ns: int, target: str, source: str) -> TransformStamped:
    """T_target_source as a message."""
    message = TransformStamped()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    message.header.frame_id, message.child_frame_id = target, source
    translation, rotation = message.transform.translation, message.transform.rotation
    translation.x, translation.y, translation.z = T_target_source[0]
    rotation.x, rotation.y, rotation.z, rotation.w = canonical(T_target_source[1])
    return message


class BufferCore:
    """History of the transforms between named frames.

    `cache_time` (duration, default 10 s) says how much of it is kept. All methods may be called from any thread.
    Times are rclpy Time objects or time messages; zero asks for the latest time that all parts have in common.
    """

    def __init__(self, cache_time: Any = None) -> None:
        self._graph = FrameGraph(DEFAULT_CACHE_NS if cache_time is None else to_ns(cache_time, "duration"))
        self._graph_lock = threading.RLock()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store T_parent_child (parent = header.frame_id, child = child_frame_id) for the time of its header.

        Bad input is logged and ignored: frames without name or equal, NaN, a quaternion of length zero, data older
        than the cache. Other quaternions are normalised, as tf2 does.
        """
        self._set(transform, authority, is_static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store T_parent_child for all times."""
        self._set(transform, authority, is_static=True)

    def _set(self, message: TransformStamped, authority: str, is_static: bool) -> None:
        parent = message.header.frame_id.removeprefix("/")
        child = message.child_frame_id.removeprefix("/")
        t, q = message.transform.translation, message.transform.rotation
        translation: Vector = (float(t.x), float(t.y), float(t.z))
        rotation: Quaternion = canonical((float(q.x), float(q.y), float(q.z), float(q.w)))
        stamp_ns = to_ns(message.header.stamp)
        fault = self._fault(parent, child, translation, rotation)
        if fault:
            values = f"({t.x} {t.y} {t.z}) ({q.x} {q.y} {q.z} {q.w})"
            get_logger("tf2").error(f'{fault}: Ignoring transform {values} from authority "{authority}"')
            return
        with self._graph_lock:
            sample = Sample(stamp_ns, (translation, rotation), parent)
            if not self._graph.insert(child, sample, authority, is_static):
                get_logger("tf2").warning(
                    f"TF_OLD_DATA ignoring data from the past for frame {child} at time {seconds_text(stamp_ns)} "
                    f"according to authority {authority}"
                )

    @staticmethod
    def _fault(parent: str, child: str, translation: Vector, rotation: Quaternion) -> str:
        """Name and reason of what is wrong with an incoming transform; empty if nothing is."""
        if not child:
            return "TF_NO_CHILD_FRAME_ID: child_frame_id not set"
        if not parent:
            return f'TF_NO_FRAME_ID: frame_id of child "{child}" not set'
        if parent == child:
            return f'TF_SELF_TRANSFORM: frame_id and child_frame_id are both "{child}"'
        if any(isnan(value) for value in translation):
            return f'TF_NAN_INPUT: nan in the translation of "{child}"'
        if any(isnan(value) for value in rotation):
            return f'TF_DENORMALIZED_QUATERNION: invalid quaternion of "{child}"'
        return ""

    def clear(self) -> None:
        """Forget all moving transforms. Static ones stay, as in tf2."""
        with self._graph_lock:
            self._graph.clear()

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Any) -> TransformStamped:
        """T_target_source at `time`, without waiting.

        Raises InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException.
        """
        T_target_source, stamp_ns = self._lookup(target_frame, source_frame, to_ns(time))
        return to_message(T_target_source, stamp_ns, target_frame, source_frame)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> TransformStamped:
        """T_target(target_time)_source(source_time), joined by a frame that does not move between the two times."""
        with self._graph_lock:
            self._check_names("lookupTransform", target=target_frame, source=source_frame, fixed=fixed_frame)
            T_fixed_source, _ = self._lookup(fixed_frame, source_frame, to_ns(source_time))
            T_target_fixed, stamp_ns = self._lookup(target_frame, fixed_frame, to_ns(target_time))
        return to_message(compose(T_target_fixed, T_fixed_source), stamp_ns, target_frame, source_frame)

    def _lookup(self, target: str, source: str, stamp_ns: int) -> tuple[Rigid, int]:
        with self._graph_lock:
            if target != source:
                self._check_names("lookupTransform", target=target, source=source)
            elif target not in self._graph.caches:  # a frame is itself, known or not
                return ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)), stamp_ns
            return self._graph.lookup(target, source, stamp_ns)

    def _check_names(self, caller: str, **frames: str) -> None:
        for role, frame in frames.items():
            self._graph.check_name(frame, f"{caller} argument {role}_frame")

    def can_transform_core(self, target_frame: str, source_frame: str, time: Any) -> tuple[bool, str]:
        """Whether lookup_transform_core would succeed, and if not, why."""
        return self._attempt(self.lookup_transform_core, target_frame, source_frame, time)

    def can_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> tuple[bool, str]:
        """Whether lookup_transform_full_core would succeed, and if not, why."""
        return self._attempt(
            self.lookup_transform_full_core, target_frame, target_time, source_frame, source_time, fixed_frame
        )

    @staticmethod
    def _attempt(lookup: Any, *arguments: Any) -> tuple[bool, str]:
        try:
            lookup(*arguments)
        except TransformException as reason:
            return False, str(reason)
        return True, ""

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """Newest time for which the transform between two frames is known; zero if it is static."""
        with self._graph_lock:
            for frame in (target_frame, source_frame):
                self._graph.check_name(frame, "get_latest_common_time")
            return Time(nanoseconds=self._graph.latest_common_ns(target_frame, source_frame))

    def lookupVelocityCore(
        self, tracking_frame: str, observation_frame: str, time: Any, averaging_interval: Any
    ) -> Twist:
        """Linear (m/s) and angular (rad/s) velocity of a frame's origin, seen from and written in another frame."""
        return self.lookupVelocityFullCore(
            tracking_frame,
            observation_frame,
            observation_frame,
            (0.0, 0.0, 0.0),
            tracking_frame,
            time,
            averaging_interval,
        )

    def lookupVelocityFullCore(
        self,
        tracking_frame: str,
        observation_frame: str,
        reference_frame: str,
        reference_point: Vector,
        reference_point_frame: str,
        time: Any,
        averaging_interval: Any,
    ) -> Twist:
        """Velocity, relative to `observation_frame`, of the point that moves along with `tracking_frame`.

        The mean over `averaging_interval` around `time`, cut at the latest data, written in `reference_frame`.
        """
        with self._graph_lock:
            names = {"tracking": tracking_frame, "observation": observation_frame, "reference": reference_frame}
            self._check_names("lookupVelocity", **names, reference_point=reference_point_frame)
            time_ns, interval_ns = to_ns(time), to_ns(averaging_interval, "duration")
            latest_ns = self._graph.latest_common_ns(observation_frame, tracking_frame)
            end_ns = min(time_ns + interval_ns // 2, latest_ns)
            # Not zero, which would ask for the latest data.
            start_ns = max(end_ns - interval_ns, min(10_000, latest_ns))
            if end_ns <= start_ns:
                raise ExtrapolationException(
                    f"No motion of [{tracking_frame}] is known before time {seconds_text(end_ns)}"
                )
            T_obs_start, _ = self._graph.lookup(observation_frame, tracking_frame, start_ns)
            T_obs_end, _ = self._graph.lookup(observation_frame, tracking_frame, end_ns)
            T_ref_obs, _ = self._graph.lookup(reference_frame, observation_frame, time_ns)
            T_obs_point, _ = self._graph.lookup(observation_frame, reference_point_frame, time_ns)
            T_obs_tracking, _ = self._graph.lookup(observation_frame, tracking_frame, time_ns)
        point_obs = compose(T_obs_point, (tuple(float(c) for c in reference_point), (0.0, 0.0, 0.0, 1.0)))[0]
        duration_s = (end_ns - start_ns) * 1e-9
        return point_velocity(T_obs_start, T_obs_end, duration_s, point_obs, T_obs_tracking[0], T_ref_obs[1])

    def all_frames_as_yaml(self) -> str:
        """YAML mapping of all frames with data; `[]` if there is no frame."""
        with self._graph_lock:
            return self._graph.as_yaml()

    def all_frames_as_string(self) -> str:
        """One line for each frame with a parent."""
        with self._graph_lock:
            return self._graph.as_string()

    def _frameExists(self, frame_id: str) -> bool:
        """Whether a frame was ever named."""
        with self._graph_lock:
            return frame_id in self._graph.caches

    def _getFrameStrings(self) -> list[str]:
        """Names of all frames, in the order of their appearance."""
        with self._graph_lock:
            return list(self._graph.caches)
