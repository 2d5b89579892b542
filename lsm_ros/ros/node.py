# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The lifecycle node `mapping`: wires inputs, worker and outputs together, and follows the life cycle."""
from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
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

from lsm_ros.config import Config
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.ros.conversions import from_pose
from lsm_ros.ros.executor import MappingExecutor
from lsm_ros.ros.input.subscriptions import Inputs
from lsm_ros.ros.input.transforms import TransformInput
from lsm_ros.ros.mapper import Mapper
from lsm_ros.ros.output.broadcasting import TransformOutput
from lsm_ros.ros.output.diagnostics import Diagnostics
from lsm_ros.ros.output.publishers import Publishers
from lsm_ros.ros.output.status import StatusReport
from lsm_ros.ros.parameters import NodeParameters
from lsm_ros.ros.problems import Problems
from lsm_ros.ros.services import Services, resolve_map

JUMP_S = 1.0
# How long a thread may keep the interpreter while others wait. NumPy gives it up all the time, and with the default of
# 5 ms the worker then waits for a busy executor after every call: under a flood of images it was four times slower.
SWITCH_S = 0.0005
SAME_JUMP_S = 3.0  # the clock and the stamps tell of the same jump
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def make_pipeline(config: Config) -> MappingPipeline:
    """What maps. A function of the module, so that another pipeline can be put in its place."""
    return MappingPipeline(config)


class MappingNode(LifecycleNode):
    """Camera images in; poses, clouds and a map out."""

    def __init__(self, **options: Any) -> None:
        super().__init__("mapping", automatically_declare_parameters_from_overrides=True, **options)
        self.problems = Problems(self._warn, self._inform)
        self.parameters = NodeParameters(self)
        self.parameters.is_configured = lambda: self.mapper is not None
        self.parameters.was_configured = lambda: self.inputs is not None
        self.parameters.on_change = self._on_parameters
        for line in self.parameters.advice():
            self.problems.say(f"parameter {line}", line)
        self.diagnostics = Diagnostics(self, self.problems)
        self.mapper: Mapper | None = None
        self.inputs: Inputs | None = None
        self.tf_in: TransformInput | None = None
        self.tf_out: TransformOutput | None = None
        self.outputs: Publishers | None = None
        self.report = StatusReport(self, {}, self.problems)
        self.services_offered = Services(self, lambda: self.mapper, self._pause, self._forget_inputs)
        self.waiting_groups: set[CallbackGroup] = {self.services_offered.group}
        self._last_jump = -1e9
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(1.0, self._every_second, callback_group=MutuallyExclusiveCallbackGroup(), clock=steady)
        self.create_timer(0.1, self._every_tenth, callback_group=MutuallyExclusiveCallbackGroup(), clock=steady)
        if self.get_parameter("autostart").value:
            self._start_timer = self.create_timer(0.01, self._autostart, clock=steady)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-JUMP_S), on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text)  # rclpy wants one severity for each line that logs

    def _inform(self, text: str) -> None:
        self.get_logger().info(text)

    # the life cycle

    def _autostart(self) -> None:
        self._start_timer.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Builds the pipeline and what is around it; a reason is told if that fails."""
        try:
            self._build()
        except (ValueError, OSError, RuntimeError, ImportError) as error:
            self._tear_down()
            self.diagnostics.failure = f"configure failed: {error}"
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
        pipeline = make_pipeline(config)
        self._offer(config, cameras)
        self.mapper = Mapper(self, config, pipeline, self.inputs.cameras, self.tf_in, self.tf_out, self.outputs,
                             self.report, self.problems, self.inputs.count_dropped)
        self.report.pair_model = config.pairs.model
        if config.node.load_map:
            folder = resolve_map(config.node.map_directory, config.node.load_map)
            self.mapper.worker.call(lambda: self.mapper.load(folder, config.node.localization_only)).result()

    def _offer(self, config: Config, cameras: list[str]) -> None:
        """Topics and TF: made once, since destroying subscriptions while an executor spins is not safe everywhere."""
        if self.inputs is None:
            self.tf_in = TransformInput(self, config.node, cameras, self.problems)
            self.tf_out = TransformOutput(self, config.node, self.tf_in)
            self.outputs = Publishers(self, config.node)
            self.inputs = Inputs(self, config, cameras, self.tf_in, self.problems,
                                 lambda bundle: self.mapper.worker.submit(bundle),
                                 lambda item, stamp_ns: self.mapper.late_labels(item, stamp_ns), self._on_stamps_jump)
            if config.node.replay:
                self.waiting_groups.add(self.inputs.group)
            self.report.watch(self.inputs.cameras)
            self.create_subscription(PoseWithCovarianceStamped, "/initialpose", self._on_initial_pose, 1)
        else:
            self.tf_in.reconfigure(config.node)
            self.tf_out.reconfigure(config.node)
            self.outputs.config = config.node
            self.inputs.configure(config)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes images from now on."""
        self.tf_out.start()
        self.inputs.open()
        self.report.active, self.report.paused = True, False
        self.report.publish()
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes no images; the map stays."""
        self._gate()
        self.report.publish()
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the pipeline."""
        self._tear_down()
        self.report.publish()
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
        if self.inputs is not None:
            self.inputs.close()
        if self.mapper is not None:
            self.mapper.worker.discard_waiting()
        if self.tf_out is not None:
            self.tf_out.stop()
        self.report.active = False

    def _tear_down(self) -> None:
        mapper, self.mapper = self.mapper, None
        if mapper is not None:
            mapper.close()
        self.report.forget()
        self.report.pair_model = ""
        self.problems.clear()

    # events

    def _pause(self, wanted: bool) -> str:
        if not self.report.active:
            raise ValueError("the node is not active")
        if wanted:
            self.inputs.close()
        else:
            self.inputs.open()
        self.report.paused = wanted
        self.report.publish()
        return "paused: images are not taken" if wanted else "mapping"

    def _forget_inputs(self) -> None:
        self.inputs.clear()

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
        mapper, now = self.mapper, time.monotonic()
        if mapper is None or not self.report.active or now - self._last_jump < SAME_JUMP_S:
            return
        self._last_jump = now
        if forget_inputs:
            self.inputs.clear()
        self.tf_in.time_jumped()
        directory = Path(mapper.config.node.map_directory).expanduser().resolve()
        mapper.command("time jump", lambda: mapper.time_jumped(directory, reason))

    def _every_second(self) -> None:
        mapper = self.mapper
        if mapper is not None:
            mapper.poll()
            self.inputs.poll()
        self.report.publish()
        self.diagnostics.publish(self.report.message(), self._state_machine.current_state[1], self.inputs, self.tf_in,
                                 self.tf_out)

    def _every_tenth(self) -> None:
        mapper = self.mapper
        if mapper is not None:
            mapper.poll_rest()

    def destroy_node(self) -> None:
        """Ends all threads, then the node."""
        self._gate()
        self._tear_down()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM; threads end before ROS does."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, frame: stop.append(caught))
    sys.setswitchinterval(SWITCH_S)
    node = MappingNode()
    # one call that waits, one that is refused meanwhile, and in replay an image that waits for room
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
