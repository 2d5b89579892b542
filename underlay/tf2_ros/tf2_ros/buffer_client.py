# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Looking up transforms in the buffer of another process."""

import threading

import tf2_py
from builtin_interfaces.msg import Time as TimeMessage
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionClient
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.action import LookupTransform
from tf2_msgs.msg import TF2Error
from tf2_py.buffer_core import to_ns

from tf2_ros.buffer_interface import NO_WAIT, BufferInterface

DEFAULT_PADDING = Duration(seconds=2.0)
EXCEPTIONS = {
    TF2Error.LOOKUP_ERROR: tf2_py.LookupException,
    TF2Error.CONNECTIVITY_ERROR: tf2_py.ConnectivityException,
    TF2Error.EXTRAPOLATION_ERROR: tf2_py.ExtrapolationException,
    TF2Error.INVALID_ARGUMENT_ERROR: tf2_py.InvalidArgumentException,
    TF2Error.TIMEOUT_ERROR: tf2_py.TimeoutException,
}


class BufferClient(BufferInterface):
    """Client of a buffer server, the action `ns`.

    Another thread must spin the node. A call gives up after its timeout plus `timeout_padding`.
    `check_frequency` is accepted for the original's sake; answers wake the caller at once.
    """

    def __init__(
        self,
        node: Node,
        ns: str,
        check_frequency: float = 10.0,
        timeout_padding: Duration = DEFAULT_PADDING,
    ) -> None:
        super().__init__()
        self.node = node
        self.action_client = ActionClient(node, LookupTransform, action_name=ns)
        self.check_frequency = check_frequency
        self.timeout_padding = timeout_padding

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """T_target_source at `time` (zero: latest), found by the server within `timeout`.

        Raises the exceptions of a local buffer; TimeoutException if the server is absent or silent.
        """
        goal = LookupTransform.Goal(target_frame=target_frame, source_frame=source_frame)
        goal.source_time = _time_message(time)
        goal.timeout = timeout.to_msg()
        return self._ask(goal, timeout)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """T_target(target_time)_source(source_time) by way of `fixed_frame`, found by the server within `timeout`."""
        goal = LookupTransform.Goal(target_frame=target_frame, source_frame=source_frame, fixed_frame=fixed_frame)
        goal.source_time, goal.target_time = _time_message(source_time), _time_message(target_time)
        goal.timeout = timeout.to_msg()
        goal.advanced = True
        return self._ask(goal, timeout)

    def can_transform(self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT) -> bool:
        """Whether the server finds the transform within `timeout`."""
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except tf2_py.TransformException:
            return False
        return True

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> bool:
        """Whether the server finds the transform between two times within `timeout`."""
        try:
            self.lookup_transform_full(target_frame, target_time, source_frame, source_time, fixed_frame, timeout)
        except tf2_py.TransformException:
            return False
        return True

    def destroy(self) -> None:
        """Release the action client."""
        self.action_client.destroy()

    def _ask(self, goal: LookupTransform.Goal, timeout: Duration) -> TransformStamped:
        if not self.action_client.server_is_ready():
            raise tf2_py.TimeoutException("The BufferServer is not ready.")
        limit_s = (timeout.nanoseconds + self.timeout_padding.nanoseconds) * 1e-9
        handle = self._await(self.action_client.send_goal_async(goal), limit_s)
        if not handle.accepted:
            raise tf2_py.TimeoutException("The BufferServer refused the LookupTransform goal.")
        result = self._await(handle.get_result_async(), limit_s).result
        if result.error.error != TF2Error.NO_ERROR:
            exception = EXCEPTIONS.get(result.error.error, tf2_py.TransformException)
            raise exception(result.error.error_string)
        return result.transform

    @staticmethod
    def _await(future: Future, limit_s: float) -> object:
        answered = threading.Event()
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(limit_s):
            raise tf2_py.TimeoutException(
                f"The BufferServer did not answer the LookupTransform goal within {limit_s:.1f} s."
            )
        return future.result()


def _time_message(time: Time) -> TimeMessage:
    sec, nanosec = divmod(to_ns(time), 1_000_000_000)
    return TimeMessage(sec=sec, nanosec=nanosec)
