# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A parameter of the configuration: a field of a dataclass with its documentation."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

Choices = Mapping[str, str] | tuple[str | Mapping[str, str], ...]


def param(default: Any, description: str, *, unit: str = "", low: float | None = None, high: float | None = None,
          choices: Choices = (), runtime: bool = False) -> Any:
    """A dataclass field with its documentation. choices: values, or registries whose names are values.
    runtime: may change while the node runs."""
    meta = {"description": description, "unit": unit, "low": low, "high": high, "choices": choices, "runtime": runtime}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=meta)
    return field(default=default, metadata=meta)
