# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The lifecycle node `mapping`: wires inputs, worker and outputs together, and follows the life cycle."""
from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock as ClockMessage

from lsm_ros import memory
from lsm_ros.config import Config
from lsm_ros.live.grouping import Item
from lsm_ros.mapping.camera_masks import check_cameras
from lsm_ros.mapping.interface import Pipeline
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.ros.conversions import from_pose
from lsm_ros.ros.executor import MappingExecutor
from lsm_ros.ros.input.cameras import Bundle
from lsm_ros.ros.input.reader import Reader
from lsm_ros.ros.input.subscriptions import Inputs
from lsm_ros.ros.input.transforms import TransformInput
from lsm_ros.ros.map_files import resolve_map
from lsm_ros.ros.mapper import Mapper
from lsm_ros.ros.output.broadcasting import TransformOutput
from lsm_ros.ros.output.diagnostics import Diagnostics
from lsm_ros.ros.output.publishers import Publishers
from lsm_ros.ros.output.status import StatusReport
from lsm_ros.ros.parameters import NodeParameters
from lsm_ros.ros.problems import Problems
from lsm_ros.ros.services import Services

JUMP_S = 1.0
# How long a thread may keep the interpreter while others wait. NumPy gives it up all the time, and with the default of
# 5 ms the worker then waits for a busy executor after every call: under a flood of images it was four times slower.
SWITCH_S = 0.0005
SAME_JUMP_S = 3.0  # the clock and the stamps tell of the same jump
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@dataclass(frozen=True)
class Connections:
    """Topics and TF of the node."""

    tf_in: TransformInput
    tf_out: TransformOutput
    outputs: Publishers
    inputs: Inputs
    readers: tuple[Reader, ...]

    def configure(self, config: Config) -> None:
        """Takes over new settings."""
        self.tf_in.reconfigure(config.node)
        self.tf_out.reconfigure(config.node)
        self.outputs.config = config.node
        self.inputs.configure(config)

    def check(self) -> None:
        """Raises what went wrong in a callback of the inputs."""
        for reader in self.readers:
            reader.check()

    def end(self) -> None:
        """Reads no topic any more."""
        for reader in self.readers:
            reader.close()


def live_pipeline(config: Config) -> MappingPipeline:
    """A pipeline for cameras that do not wait; in a replay, which waits, one whose results can be had again."""
    return MappingPipeline(config, background=not config.node.replay)


class MappingNode(LifecycleNode):
    """Camera images in; poses, clouds and a map out. make_pipeline: gives the pipeline that maps."""

    def __init__(self, make_pipeline: Callable[[Config], Pipeline] = live_pipeline, **options: Any) -> None:
        super().__init__("mapping", automatically_declare_parameters_from_overrides=True, **options)
        self.problems = Problems(self._warn, self._inform)
        self.parameters = NodeParameters(self)
        self.parameters.is_configured = lambda: self.mapper is not None
        self.parameters.was_configured = lambda: self.connections is not None
        self.parameters.on_change = self._on_parameters
        for line in self.parameters.advice():
            self.problems.say(f"parameter {line}", line)
        self.diagnostics = Diagnostics(self, self.problems)
        self._make_pipeline = make_pipeline
        self.mapper: Mapper | None = None
        self.connections: Connections | None = None
        self.report = StatusReport(self, {}, self.problems)
        self.services_offered = Services(self, lambda: self.mapper, self._pause, self._forget_inputs)
        self.waiting_groups: frozenset[CallbackGroup] = frozenset({self.services_offered.group})
        self._last_jump = -1e9
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(1.0, self._every_second, callback_group=MutuallyExclusiveCallbackGroup(), clock=steady)
        self.create_timer(0.1, self._every_tenth, callback_group=MutuallyExclusiveCallbackGroup(), clock=steady)
        if self.get_parameter("autostart").value:
            self._start_timer = self.create_timer(0.01, self._autostart, clock=steady)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-JUMP_S), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(" ".join(text.split()))  # a name in it forges no line of the log

    def _inform(self, text: str) -> None:  # rclpy wants one severity for each line that logs
        self.get_logger().info(" ".join(text.split()))

    # the life cycle

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Builds the pipeline and what is around it; a reason is reported if that fails."""
        try:
            self._build()
        except Exception as error:  # the edge: rclpy would put it aside without a word
            self._tear_down()
            is_plain = isinstance(error, (ValueError, OSError, RuntimeError, ImportError))
            self.diagnostics.failure = f"configure failed: {error if is_plain else repr(error)}"
            self.get_logger().error(self.diagnostics.failure)
            return FAILURE
        self.diagnostics.failure = ""
        self.get_logger().info(f"configured: pair model {self.report.pair_model!r}, cameras "
                               f"{', '.join(self.parameters.cameras)}")
        return SUCCESS

    def _build(self) -> None:
        if self.parameters.errors:
            raise ValueError("; ".join(self.parameters.errors.values()))
        config, cameras = self.parameters.config(), self.parameters.cameras
        if config.node.localization_only and not config.node.load_map:
            raise ValueError("localization_only needs the name of a saved map in load_map")
        check_cameras(config.camera_masks, cameras)
        pipeline = self._make_pipeline(config)
        c = self._offer(config, cameras)
        mapper = self.mapper = Mapper(self, config, pipeline, c.inputs.cameras, c.tf_in, c.tf_out, c.outputs, self.report,
                                      self.problems, c.inputs.count_dropped, c.inputs.inertial.attach)
        self.report.pair_model = config.pairs.model
        if config.node.load_map:
            folder = resolve_map(config.node.map_directory, config.node.load_map)
            mapper.worker.call(lambda: mapper.load(folder, config.node.localization_only)).result()

    def _offer(self, config: Config, cameras: list[str]) -> Connections:
        """Topics and TF: made once, since destroying subscriptions while an executor spins is not safe everywhere."""
        if self.connections is not None:
            self.connections.configure(config)
            return self.connections
        # two: in replay a camera waits for room, and what makes room may wait for TF
        of_cameras, of_tf = Reader(self.context, "cameras"), Reader(self.context, "TF and time")
        of_tf.read(*[s for s in self.subscriptions if s.msg_type is ClockMessage])
        tf_in = TransformInput(self, config.node, cameras, self.problems, of_tf)
        inputs = Inputs(self, of_cameras, config, cameras, tf_in, self.problems, self._submit, self._late_labels,
                        self._on_stamps_jump)
        made = Connections(tf_in, TransformOutput(self, config.node, tf_in), Publishers(self, config.node), inputs,
                           (of_cameras, of_tf))
        self.report.watch(inputs.cameras)
        self.create_subscription(PoseWithCovarianceStamped, "initialpose", self._on_initial_pose, 1)
        self.connections = made
        return made

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes images from now on."""
        if self.connections is None:
            return FAILURE
        self.connections.tf_out.start()
        self.connections.inputs.open()
        self.report.active, self.report.paused = True, False
        self.report.publish()
        topics = self.connections.inputs.image_topics
        self.get_logger().info(f"active: images are taken from {', '.join(topics)}")
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes no images; the map stays."""
        self._gate()
        self.report.publish()
        self.get_logger().info("deactivated: no images are taken, the map stays")
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the pipeline."""
        self._tear_down()
        self.report.publish()
        self.get_logger().info("cleaned up: the map is gone")
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends all threads."""
        self._gate()
        self._tear_down()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._gate()
        self._tear_down()
        return SUCCESS

    def _gate(self) -> None:
        if self.connections is not None:
            self.connections.inputs.close()
        if self.mapper is not None:
            self.mapper.worker.discard_waiting()
        if self.connections is not None:
            self.connections.tf_out.stop()
        self.report.active = False

    def _tear_down(self) -> None:
        mapper, self.mapper = self.mapper, None
        if mapper is not None:
            mapper.close()
        del mapper  # its memory is given back below
        self.report.forget()
        self.report.pair_model = ""
        self.problems.clear()
        memory.give_back()

    # events

    def _submit(self, bundle: Bundle) -> None:
        mapper = self.mapper
        if mapper is not None:
            mapper.worker.submit(bundle)

    def _late_labels(self, item: Item, stamp_ns: int) -> None:
        mapper = self.mapper
        if mapper is not None:
            mapper.late_labels(item, stamp_ns)

    def _pause(self, wanted: bool) -> str:
        if self.connections is None or not self.report.active:
            raise ValueError("the node is not active")
        if wanted:
            self.connections.inputs.close()
        else:
            self.connections.inputs.open()
        self.report.paused = wanted
        self.report.publish()
        return "paused: images are not taken" if wanted else "mapping"

    def _forget_inputs(self) -> None:
        if self.connections is not None:
            self.connections.inputs.clear()

    def _on_parameters(self, config: Config) -> None:
        mapper = self.mapper
        if mapper is not None:
            mapper.command("parameters", lambda: mapper.apply(config))

    def _on_initial_pose(self, message: PoseWithCovarianceStamped) -> None:
        mapper = self.mapper
        if mapper is None:
            return
        frame = message.header.frame_id.lstrip("/")
        try:
            if frame != mapper.map_frame:
                raise ValueError(f"it is in frame {frame!r}, not in {mapper.map_frame!r}")
            T_map_rig = from_pose(message.pose.pose)
        except ValueError as error:
            self.problems.say("initialpose", f"/initialpose is refused: {error}", 10.0)
            return
        mapper.command("initialpose", lambda: mapper.set_initial_pose(T_map_rig))

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self._jumped(f"time jumped back by {-jump.delta.nanoseconds * 1e-9:.1f} s", True)

    def _on_stamps_jump(self, reason: str) -> None:
        self._jumped(reason, False)

    def _jumped(self, reason: str, forget_inputs: bool) -> None:
        """Time went back: all that is known of TF is of another time, and so is the map."""
        mapper, connections, now = self.mapper, self.connections, time.monotonic()
        if mapper is None or connections is None or not self.report.active or now - self._last_jump < SAME_JUMP_S:
            return
        self._last_jump = now
        if forget_inputs:
            connections.inputs.clear()
        connections.tf_in.time_jumped()
        directory = Path(mapper.config.node.map_directory).expanduser().resolve()
        mapper.command("time jump", lambda: mapper.time_jumped(directory, reason))

    def _every_second(self) -> None:
        mapper, c = self.mapper, self.connections
        if mapper is not None:
            mapper.poll()
        if mapper is not None and c is not None:
            c.inputs.poll()
        self.report.publish()
        inputs, tf_in, tf_out = (None, None, None) if c is None else (c.inputs, c.tf_in, c.tf_out)
        self.diagnostics.publish(self.report.message(), self._state_machine.current_state[1], inputs, tf_in, tf_out)

    def _every_tenth(self) -> None:
        mapper, connections = self.mapper, self.connections
        if connections is not None:
            connections.check()
        if mapper is not None:
            mapper.poll_rest()

    def destroy_node(self) -> None:
        """Ends all threads, then the node."""
        self._gate()
        self._tear_down()
        if self.connections is not None:
            self.connections.end()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM; threads end before ROS does."""
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, frame: stop.append(caught))
    sys.setswitchinterval(SWITCH_S)
    node = MappingNode()
    # one call that waits, one that is refused meanwhile, and one to spare
    executor = MappingExecutor(node.waiting_groups, threads=3)
    executor.add_node(node)
    try:
        while rclpy.ok() and not stop:
            executor.spin_once(timeout_sec=0.2)
    except ExternalShutdownException:
        node.get_logger().info("ROS was shut down")
    finally:
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
