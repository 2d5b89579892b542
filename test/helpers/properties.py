# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Hypothesis, or, where it is not installed, names that skip the tests which need it: the others of a file still run."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

try:
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
except ImportError:
    class _Absent:
        """Whatever is asked of it or called on it is absent too."""

        def __getattr__(self, name: str) -> _Absent:
            return self

        def __call__(self, *args: Any, **kwargs: Any) -> _Absent:
            return self

        def __or__(self, other: Any) -> _Absent:
            return self

    HealthCheck = Phase = st = _Absent()

    def given(*args: Any, **kwargs: Any) -> Any:
        """Skips the test, also one that is called within another."""
        why = "hypothesis is not installed (pip install hypothesis)"

        def skipping(test: Callable[..., None]) -> Callable[..., None]:
            @pytest.mark.skip(reason=why)
            @wraps(test)
            def skipped(*args: Any, **kwargs: Any) -> None:
                pytest.skip(why)

            return skipped

        return skipping

    def settings(*args: Any, **kwargs: Any) -> Any:
        """Leaves the test as it is."""
        return lambda test: test

__all__ = ["HealthCheck", "Phase", "given", "settings", "st"]
