# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Keys of metrics.json against their table."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsm_ros.evaluation.metrics import METRICS


def undocumented(metrics: dict[str, Any]) -> list[str]:
    """Dotted keys in `metrics` that the table does not have."""
    patterns = [p.split(".") for p in METRICS]

    def known(parts: list[str]) -> bool:
        return any(len(p) == len(parts) and all(a == b or a.startswith("<") for a, b in zip(p, parts, strict=True))
                   for p in patterns)

    # a relative pose error of a path that is too short is null as a whole
    return [".".join(k) for k, v in _leaves(metrics, ())
            if not known(list(k)) and not (v is None and known([*k, "rmse"]))]


def _leaves(value: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and at != ("config",):
        for key, inner in value.items():
            yield from _leaves(inner, (*at, key))
    else:
        yield at, value
