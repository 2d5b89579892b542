# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Buffer: the transform store of a node, with waiting."""

import threading
import time as wall
from collections.abc import Callable

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph
from tf2_py import BufferCore

from tf2_ros.buffer_interface import NO_WAIT, BufferInterface

Attempt = Callable[[], tuple[bool, str]]


class Buffer(BufferCore, BufferInterface):
    """Store of transforms in which one can wait for data.

    `cache_time` is how much history is kept (default 10 s). With a `node`, the buffer offers its frames by the
    service `tf2_frames` and follows the node's clock: it forgets everything that moves when time jumps back by a
    second or more (a bag that starts anew), or when simulated time is switched on or off.

    Waiting blocks the calling thread until another thread delivers the data; in a callback of a single-threaded
    executor, use the `_async` methods.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        BufferCore.__init__(self, cache_time)
        BufferInterface.__init__(self)
        self._new_data = threading.Condition()
        self._waiters: list[Callable[[], None]] = []
        if node is not None:
            self.srv = node.create_service(FrameGraph, "tf2_frames", self._answer_frames)
            self.clock = node.get_clock()
        else:
            self.clock = Clock()
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
        self.jump_handle = self.clock.create_jump_callback(threshold, post_callback=self.time_jump_callback)

    def _answer_frames(self, request: FrameGraph.Request, response: FrameGraph.Response) -> FrameGraph.Response:
        response.frame_yaml = self.all_frames_as_yaml()
        return response

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Forget what moves: its times belong to another run of the clock."""
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform and wake whoever waits for it; see BufferCore."""
        super().set_transform(transform, authority)
        self._announce()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds at all times and wake whoever waits for it; see BufferCore."""
        super().set_transform_static(transform, authority)
        self._announce()

    def _announce(self) -> None:
        with self._new_data:
            self._new_data.notify_all()
            waiters = list(self._waiters)
        for waiter in waiters:  # outside the lock: a result may run the caller's callbacks
            waiter()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = NO_WAIT
    ) -> TransformStamped:
        """T_target_source at `time` (zero: latest common), after waiting up to `timeout` for it.

        Raises InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        return self.lookup_transform_core(target_frame, source_frame, time)

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Time) -> TransformStamped:
        """T_target_source at `time`, awaited without limit."""
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
    ) -> TransformStamped:
        """T_target(target_time)_source(source_time) by way of `fixed_frame`, after waiting up to `timeout`."""
        request = (target_frame, target_time, source_frame, source_time, fixed_frame)
        self.can_transform_full(*request, timeout)
        return self.lookup_transform_full_core(*request)

    async def lookup_transform_full_async(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> TransformStamped:
        """T_target(target_time)_source(source_time) by way of `fixed_frame`, awaited without limit."""
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether T_target_source is known, or becomes known within `timeout`; with the reason if asked for."""
        result = self._wait(lambda: self.can_transform_core(target_frame, source_frame, time), timeout)
        return result if return_debug_tuple else result[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """As `can_transform`, between two times by way of `fixed_frame`."""
        request = (target_frame, target_time, source_frame, source_time, fixed_frame)
        result = self._wait(lambda: self.can_transform_full_core(*request), timeout)
        return result if return_debug_tuple else result[0]

    def _wait(self, attempt: Attempt, timeout: Duration) -> tuple[bool, str]:
        # By the monotonic clock: simulated time may stand still while data are missing.
        deadline_s = wall.monotonic() + timeout.nanoseconds * 1e-9
        with self._new_data:
            while True:
                result = attempt()
                remaining_s = deadline_s - wall.monotonic()
                if result[0] or remaining_s <= 0.0:
                    return result
                self._new_data.wait(remaining_s)

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """Future of T_target_source at `time`. Cancel it to stop waiting."""
        request = (target_frame, source_frame, time)
        return self._future(lambda: self.can_transform_core(*request), lambda: self.lookup_transform_core(*request))

    def wait_for_transform_full_async(
        self, target_frame: str, target_time: Time, source_frame: str, source_time: Time, fixed_frame: str
    ) -> Future:
        """Future of T_target(target_time)_source(source_time) by way of `fixed_frame`. Cancel it to stop waiting."""
        request = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._future(
            lambda: self.can_transform_full_core(*request), lambda: self.lookup_transform_full_core(*request)
        )

    def _future(self, attempt: Attempt, lookup: Callable[[], TransformStamped]) -> Future:
        future = Future()

        def settle() -> None:
            if not attempt()[0] or not self._forget(settle):
                return  # not yet, or another thread has just settled it
            try:
                future.set_result(lookup())
            except Exception as error:  # the data may have gone since the attempt; the awaiting side must hear of it
                future.set_exception(error)

        with self._new_data:
            self._waiters.append(settle)
        future.add_done_callback(lambda _: self._forget(settle))
        settle()
        return future

    def _forget(self, waiter: Callable[[], None]) -> bool:
        """Remove a waiter; False if it had been removed before."""
        with self._new_data:
            if waiter not in self._waiters:
                return False
            self._waiters.remove(waiter)
            return True
