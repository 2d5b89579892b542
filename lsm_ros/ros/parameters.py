# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""ROS parameters, derived from `lsm_ros.config`: descriptions, ranges, and which may change at run time.

Names are those of the config, `fusion.voxel_size` and so on; what only the node needs has no prefix (`map_directory`).
At start `node.map_directory` is understood too. `python -m lsm_ros.ros.parameters` writes config/mapping.yaml.
"""
from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import Field
from functools import partial
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from lsm_ros.config import Config, from_dict
from lsm_ros.parameters import check, choices_of, default_of, walk

CAMERAS = "cameras"
DEFAULT_CAMERAS = ["camera"]
RCLPY_OWN = ("use_sim_time", "start_type_description_service")
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")
# Subscriptions are made once: destroying them while an executor spins can crash rclpy of Humble.
FIXED = (CAMERAS, "imu", "image_transport", "image_reliability", "queue_depth", "replay")
CAMERAS_TEXT = "names of the cameras; topics are <camera>/image, /camera_info, /depth, /labels, /label_info"


def ros_name(name: str) -> str:
    """Parameter name of a config name."""
    return name.removeprefix("node.")


def _descriptor(name: str, field: Field, default: Any) -> ParameterDescriptor:
    m = field.metadata
    unit = f" [{m['unit']}]" if m["unit"] else ""
    when = "may change at run time" if m["runtime"] else "restart needed" if ros_name(name) in FIXED else "reset needed"
    out = ParameterDescriptor(name=ros_name(name), description=f"{m['description']}{unit}; {when}",
                              additional_constraints="one of " + ", ".join(choices_of(field)) if m["choices"] else when)
    if m["low"] is not None and isinstance(default, float):
        out.floating_point_range = [FloatingPointRange(from_value=float(m["low"]), to_value=float(m["high"]), step=0.0)]
    elif m["low"] is not None and isinstance(default, int):
        out.integer_range = [IntegerRange(from_value=int(m["low"]), to_value=int(m["high"]), step=1)]
    return out


def check_cameras(value: Any) -> None:
    """ValueError unless `value` is a list of distinct names that can stand in a topic."""
    names = list(value)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{CAMERAS}: expected names, each once, got {names}")
    for n in names:
        if not isinstance(n, str) or not CAMERA_NAME.fullmatch(n):
            raise ValueError(f"{CAMERAS}: {n!r} cannot stand in a topic's name")


class NodeParameters:
    """Declares all parameters on a node that was made with `automatically_declare_parameters_from_overrides`.

    errors: by name, why a value given at start cannot be used; the default stands until the parameter is set again, and
    configure has to fail. unknown: names given at start that mean nothing.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._known = {ros_name(n): (n, f) for n, f, _ in walk(Config())}
        self.errors: dict[str, str] = {}
        self.unknown: list[str] = []
        self.is_configured: Callable[[], bool] = lambda: False
        self.was_configured: Callable[[], bool] = lambda: False
        self.on_change: Callable[[Config], None] = lambda config: None
        given = self._take_given()
        for name, field, default in walk(Config()):
            self._declare(ros_name(name), default, _descriptor(name, field, default), given,
                          partial(check, name, field))
        cameras = ParameterDescriptor(description=f"{CAMERAS_TEXT}; restart needed")
        self._declare(CAMERAS, DEFAULT_CAMERAS, cameras, given, check_cameras)
        node.add_on_set_parameters_callback(self._on_set)

    def _take_given(self) -> dict[str, Any]:
        """Values given at start. They are declared with the types they came with, and declared anew with ours."""
        given: dict[str, Any] = {}
        for name in self._node.get_parameters_by_prefix(""):
            ours = name.removeprefix("node.") if name.startswith("node.") else name
            if ours in self._known or ours == CAMERAS:
                given[ours] = self._node.get_parameter(name).value
                self._node.undeclare_parameter(name)
            elif name not in RCLPY_OWN and not name.startswith("qos_overrides."):
                self.unknown.append(name)
        return given

    def _declare(self, name: str, default: Any, descriptor: ParameterDescriptor, given: dict[str, Any],
                 checked: Callable[[Any], None]) -> None:
        value = given.get(name, default)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)  # `rate:=5` on a command line
        try:
            checked(value)
        except (ValueError, TypeError) as error:
            self.errors[name], value = str(error), default
        self._node.declare_parameter(name, value, descriptor, ignore_override=True)

    def advice(self) -> list[str]:
        """One line for each unknown name."""
        known = [*self._known, CAMERAS]
        out = []
        for name in self.unknown:
            close = difflib.get_close_matches(name.removeprefix("node."), known, 1)
            out.append(f"unknown parameter {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        return out

    @property
    def cameras(self) -> list[str]:
        """Names of the cameras."""
        return list(self._node.get_parameter(CAMERAS).value)

    def config(self, changes: dict[str, Any] | None = None) -> Config:
        """All values as a Config, with `changes` by ROS name over them. ValueError if they do not fit each other."""
        values = {full: self._node.get_parameter(name).value for name, (full, _) in self._known.items()}
        values.update({self._known[name][0]: value for name, value in (changes or {}).items()})
        return from_dict(values)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in self._known}
        try:
            for p in parameters:
                self._check_change(p)
            config = self.config(changes)
        except (ValueError, TypeError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        for p in parameters:
            self.errors.pop(p.name, None)
        if changes and self.is_configured():
            self.on_change(config)
        return SetParametersResult(successful=True)

    def _check_change(self, parameter: Parameter) -> None:
        name, value = parameter.name, parameter.value
        if name not in self._known and name != CAMERAS:
            return
        if value == self._node.get_parameter(name).value:
            return
        if name in FIXED and self.was_configured():
            raise ValueError(f"{name}: reset needed; it is read when the node is configured first, start the node anew")
        if name == CAMERAS:
            check_cameras(value)
            return
        full, field = self._known[name]
        check(full, field, value)
        if self.is_configured() and not field.metadata["runtime"]:
            raise ValueError(f"{name}: reset needed; clean up the node, set it, and configure again")


def yaml_text() -> str:
    """The parameter file with all defaults and what they mean."""
    lines = ["# All parameters of the node `mapping` with their defaults.",
             "# Written by `python -m lsm_ros.ros.parameters > config/mapping.yaml`.",
             "/**:", "  ros__parameters:", f"    # {CAMERAS_TEXT}", f"    {CAMERAS}: {json.dumps(DEFAULT_CAMERAS)}"]
    stage = ""
    for name, field, _ in sorted(walk(Config()), key=lambda entry: "." in ros_name(entry[0])):
        section, _, leaf = ros_name(name).rpartition(".")
        if section != stage:
            stage = section
            lines.append(f"    {section}:")
        indent = "      " if section else "    "
        m = field.metadata
        span = ", ".join(choices_of(field)) or (f"{m['low']} to {m['high']}" if m["low"] is not None else "")
        notes = [m["unit"], span, "run time" if m["runtime"] else ""]
        told = "; ".join(n for n in notes if n)
        comment = f"{m['description']} ({told})" if told else m["description"]
        lines += [f"{indent}# {comment}", f"{indent}{leaf}: {json.dumps(default_of(field))}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(yaml_text())
