# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Counts of the frame sets that were processed, those without a pose and those that failed among them."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Protocol, TypeVar

from lsm_ros.types import FrameSet, MappingUpdate, TrackingState, TrackingUpdate

FAILED_IN_A_ROW = 3  # frame sets, before that is the state


class Counting(Protocol):
    """Anything that has counts."""

    counts: FrameCounts


C = TypeVar("C", bound=Counting)


def counted(process: Callable[[C, FrameSet], MappingUpdate]) -> Callable[[C, FrameSet], MappingUpdate]:
    """A method that processes frame sets, and counts them in `counts`."""

    @wraps(process)
    def processed(self: C, frame_set: FrameSet) -> MappingUpdate:
        with self.counts.frame():
            return process(self, frame_set)

    return processed


class FrameCounts:
    """Frame sets since the start or a reset. A frame set that fails, which is an error, is one without a pose."""

    def __init__(self) -> None:
        self.frames = self.without_pose = 0
        self._failed, self._why, self._is_counted = 0, "", False

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Counts the frame set that is processed within."""
        self.frames += 1
        self._is_counted = False
        try:
            yield
        except Exception as error:
            self.without_pose += not self._is_counted
            self._failed, self._why = self._failed + 1, f"{type(error).__name__}: {error}"
            raise
        self._failed = 0

    def pose(self, update: TrackingUpdate) -> bool:
        """Counts the pose of the frame set in work; returns whether it has one."""
        is_found = update.T_map_rig is not None
        self.without_pose += not is_found
        self._is_counted = True
        return is_found

    def state(self, last: TrackingUpdate) -> TrackingUpdate:
        """The newest update; while several frame sets in a row fail, that they do and why."""
        if self._failed < FAILED_IN_A_ROW:
            return last
        state = last.state if last.state is TrackingState.INITIALIZING else TrackingState.LOST
        return replace(last, state=state, reason=f"{self._failed} frames in a row failed: {self._why}")
