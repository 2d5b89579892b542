# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Services of the node: they wait for the worker, in a reentrant group, with a timeout.

They run in threads of their own, so of a Mapper they use what is for any thread, and hand the rest to its worker.
"""
from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from lsm_ros.mapping import store
from lsm_ros.ros.map_files import resolve_map
from lsm_ros.ros.mapper import Mapper
from lsm_ros.ros.output.found_messages import fill, told
from lsm_ros.semantics.label_spaces import space_of
from lsm_ros.srv import GetBlocks, GoalNear, LoadMap, QueryText, SaveMap, SetLabels

MOST_RESULTS = 100
CALLS = QoSProfile(depth=500)
"""Reliable, as services are. ROS keeps 10 calls that wait, and forgets those before, which are then never answered."""
Result = TypeVar("Result")


class Response(Protocol):
    """The fields that all responses have."""

    success: bool
    message: str


AnyResponse = TypeVar("AnyResponse", bound=Response)


@dataclass(frozen=True)
class Call:
    """A call at work: all of its steps together have to be done at `until`, seconds of the monotonic clock."""

    mapper: Mapper
    until: float

    def seconds_left(self) -> float:
        """Time that is left, at least 0."""
        return max(self.until - time.monotonic(), 0.0)

    def wait(self, command: Callable[[], Result]) -> Result:
        """Result of a command that the worker runs. TimeoutError when time is over; the command goes on."""
        return self.mapper.worker.call(command).result(self.seconds_left())


class Services:
    """Advertises the services. mapper: gives the Mapper, or None while the node is not configured."""

    def __init__(self, node: Node, mapper: Callable[[], Mapper | None], pause: Callable[[bool], str],
                 forget_inputs: Callable[[], None]) -> None:
        self._node, self._mapper = node, mapper
        self._pause, self._forget_inputs = pause, forget_inputs
        self._busy = threading.Lock()  # one at a time: a second one that waits would leave no thread for the inputs
        self._reading: Future[Any] | None = None  # a text
        self.group = ReentrantCallbackGroup()
        for kind, name, callback in ((Trigger, "~/reset", self._on_reset), (Trigger, "~/pause", self._on_pause),
                                     (Trigger, "~/resume", self._on_resume), (SaveMap, "~/save_map", self._on_save),
                                     (LoadMap, "~/load_map", self._on_load),
                                     (GetBlocks, "~/get_blocks", self._on_get_blocks),
                                     (QueryText, "~/query_text", self._on_query),
                                     (SetLabels, "~/set_labels", self._on_set_labels),
                                     (GoalNear, "~/goal_near", self._on_goal_near),
                                     (Trigger, "~/where_am_i", self._on_where_am_i)):
            node.create_service(kind, name, callback, qos_profile=CALLS, callback_group=self.group)

    def _run(self, response: AnyResponse, action: Callable[[Call], str]) -> AnyResponse:
        """Fills success and message; refuses while another service call works or the node is not configured."""
        mapper = self._mapper()
        if mapper is None:
            response.success, response.message = False, "the node is not configured"
        elif not self._busy.acquire(blocking=False):
            response.success, response.message = False, "another service call is at work; call again"
        else:
            try:
                seconds = mapper.config.node.service_timeout
                response.message, response.success = action(Call(mapper, time.monotonic() + seconds)), True
            except FutureTimeout:
                response.message = f"not done after {seconds:g} s; it goes on"
            except CancelledError:
                response.message = "the node was cleaned up"
            except (ValueError, OSError, RuntimeError, ImportError) as error:
                response.message = str(error)
            except Exception as error:  # the edge of the node: whatever one call brings up must not end it
                response.message = f"{type(error).__name__}: {error}"
                self._node.get_logger().error("".join(traceback.format_exception(error)))
            finally:
                self._busy.release()
        text = " ".join(f"{type(response).__name__}: {response.message}".split())  # a name forges no line of the log
        if response.success and isinstance(response, GetBlocks.Response):
            self._node.get_logger().debug(text)  # each subscriber of ~/map_update calls it, so it is nothing to tell
        elif response.success:
            self._node.get_logger().info(text)
        else:
            self._node.get_logger().warning(text)
        return response

    def _read(self, call: Call, function: Callable[[], Result]) -> Result:
        """Result of a function of the texts, which may load the text encoder. It works in a thread of its own, which the call
        leaves behind when its time is over. ValueError as long as one is left."""
        if self._reading is not None and not self._reading.done():
            raise ValueError("the text of an earlier call is still being read, which may load the text encoder; call again")
        done: Future[Result] = Future()
        self._reading = done

        def read() -> None:
            try:
                done.set_result(function())
            except Exception as error:  # belongs to the call
                done.set_exception(error)

        threading.Thread(target=read, name="texts", daemon=True).start()
        return done.result(call.seconds_left())

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        def reset(call: Call) -> str:
            self._forget_inputs()
            call.mapper.worker.discard_waiting()
            return call.wait(call.mapper.reset)

        return self._run(response, reset)

    def _on_pause(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._run(response, lambda call: self._pause(True))

    def _on_resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._run(response, lambda call: self._pause(False))

    def _on_save(self, request: SaveMap.Request, response: SaveMap.Response) -> SaveMap.Response:
        def save(call: Call) -> str:
            name = request.name or f"map_{datetime.now():%Y%m%d_%H%M%S}"
            folder = resolve_map(call.mapper.config.node.map_directory, name)
            if folder.exists() and not request.overwrite:
                raise ValueError(f"{folder} exists; set overwrite to replace it")
            if folder.exists() and not (folder / store.META).is_file():
                raise ValueError(f"{folder} is not a map and is not replaced")
            try:
                response.size_bytes = call.wait(lambda: call.mapper.save(folder))
            except OSError as error:
                raise OSError(f"{folder} could not be written: {error.strerror or error}") from error
            response.path = str(folder)
            return f"{response.size_bytes / 1e6:.1f} MB in {folder}"

        return self._run(response, save)

    def _on_load(self, request: LoadMap.Request, response: LoadMap.Response) -> LoadMap.Response:
        def load(call: Call) -> str:
            folder = resolve_map(call.mapper.config.node.map_directory, request.name)
            status = call.wait(lambda: call.mapper.load(folder, request.localization_only))
            response.keyframes, response.voxel_blocks = status.keyframes, status.voxel_blocks
            mode = "localization only" if request.localization_only else "mapping goes on"
            return f"{folder.name}: {status.keyframes} keyframes, {status.voxel_blocks} voxel blocks; {mode}"

        return self._run(response, load)

    def _on_get_blocks(self, request: GetBlocks.Request, response: GetBlocks.Response) -> GetBlocks.Response:
        def get(call: Call) -> str:
            update = response.update = call.wait(lambda: call.mapper.blocks(request.epoch, request.since_seq))
            if not update.blocks and update.base_seq:
                return f"nothing changed since {request.since_seq}"
            since = f"since {update.base_seq}" if update.base_seq else "from the start"
            return f"{len(update.blocks)} blocks {since}; ask again with epoch {update.epoch}, since_seq {update.seq}"

        return self._run(response, get)

    def _on_query(self, request: QueryText.Request, response: QueryText.Response) -> QueryText.Response:
        def query(call: Call) -> str:
            sentence = self._read(call, lambda: call.mapper.texts.sentence(request.text))  # not in the worker, it takes long
            most = request.max_results or MOST_RESULTS
            found = call.wait(lambda: call.mapper.find(sentence, request.threshold, most))
            fill(response, found)
            return told(found)

        return self._run(response, query)

    def _on_set_labels(self, request: SetLabels.Request, response: SetLabels.Response) -> SetLabels.Response:
        def set_labels(call: Call) -> str:
            space = space_of([(c.class_id, c.class_name) for c in request.classes]) if request.classes else None
            if space is not None:
                self._read(call, lambda: call.mapper.texts.learn(space))
            known = call.wait(lambda: call.mapper.set_labels(space))
            return f"features are decoded into {0 if known is None else len(known.names)} names"

        return self._run(response, set_labels)

    def _on_goal_near(self, request: GoalNear.Request, response: GoalNear.Response) -> GoalNear.Response:
        def near(call: Call) -> str:
            what, response.pose = call.wait(lambda: call.mapper.goal(request.target))
            return what

        return self._run(response, near)

    def _on_where_am_i(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._run(response, lambda call: call.wait(call.mapper.where))
