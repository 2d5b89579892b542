# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Fields of configurations that carry their documentation, and the check of their values.

A field made by `param` carries its description, unit, range and whether it may change while the node runs.
"""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
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


def walk(config: Any, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field, Any]]:
    """Yields (dotted name, field, value) of every parameter in `config`."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from walk(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, f, value


def default_of(f: dataclasses.Field) -> Any:
    """The default of a parameter."""
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default


def check(name: str, f: dataclasses.Field, value: Any) -> None:
    """Raises ValueError if `value` has the wrong type or lies outside the range of the parameter `name`."""
    kind = type(default_of(f))
    good = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good:
        raise ValueError(f"{name}: expected {kind.__name__}, got {value!r}")
    low, high, allowed = f.metadata["low"], f.metadata["high"], choices_of(f)
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"{name}: {value!r} is outside {low} to {high} {f.metadata['unit']}".rstrip())
    if allowed and value not in allowed:
        raise ValueError(f"{name}: {value!r} is none of {', '.join(allowed)}")


def choices_of(f: dataclasses.Field) -> tuple[str, ...]:
    """The values that a parameter may have, with the current names of its registries; empty where any is allowed."""
    given = f.metadata["choices"]
    return tuple(given) if isinstance(given, Mapping) else tuple(
        name for choice in given for name in ((choice,) if isinstance(choice, str) else choice))
