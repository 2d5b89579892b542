# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Counts of frame sets with and without a pose, and the state while they fail."""
from contextlib import nullcontext

import numpy as np
import pytest

from lsm_ros.mapping.counts import FAILED_IN_A_ROW, FrameCounts, counted
from lsm_ros.types import TrackingState, TrackingUpdate

POSE = TrackingUpdate(TrackingState.TRACKING, np.eye(4), np.eye(6), 1.0)
NO_POSE = TrackingUpdate(TrackingState.LOST, None, None, 0.0, reason="nothing matches")


def run(counts, *frames):
    """Frames in a row: an update, an error, or an update that an error follows."""
    for frame in frames:
        update, error = frame if isinstance(frame, tuple) else (frame, None)
        error = update if isinstance(update, Exception) else error
        with nullcontext() if error is None else pytest.raises(type(error), match=str(error)), counts.frame():
            if update is not error:
                assert counts.pose(update) is (update.T_map_rig is not None)
            if error is not None:
                raise error


@pytest.mark.parametrize("frames, without", [
    ([POSE, POSE], 0), ([POSE, NO_POSE, POSE], 1), ([ValueError("x"), POSE], 1), ([POSE, ValueError("x"), NO_POSE], 2),
    ([(POSE, ValueError("later"))], 0), ([(NO_POSE, ValueError("later"))], 1),
    ([(POSE, ValueError("later")), ValueError("x")], 1)])
def test_each_frame_counts_once(frames, without):
    counts = FrameCounts()
    run(counts, *frames)
    assert (counts.frames, counts.without_pose) == (len(frames), without)


def test_errors_pass_on():
    with pytest.raises(ZeroDivisionError), FrameCounts().frame():
        raise ZeroDivisionError


@pytest.mark.parametrize("before, state", [(POSE, TrackingState.LOST), (NO_POSE, TrackingState.LOST),
                                           (TrackingUpdate(TrackingState.INITIALIZING, None, None, 0.0), None)])
def test_three_failures_in_a_row_are_the_state_and_say_why(before, state):
    counts = FrameCounts()
    run(counts, *[ValueError("odd size")] * (FAILED_IN_A_ROW - 1))
    assert FAILED_IN_A_ROW == 3 and counts.state(before) is before
    run(counts, ValueError("no colours"))
    said = counts.state(before)
    assert said.state is (TrackingState.INITIALIZING if state is None else state)
    assert said.reason == "3 frames in a row failed: ValueError: no colours"
    run(counts, ValueError("no colours"))
    assert "4 frames" in counts.state(before).reason
    run(counts, POSE)
    assert counts.state(before) is before
    run(counts, ValueError("x"), ValueError("x"))
    assert counts.state(before) is before  # counted anew


def test_a_method_that_is_counted():
    class Pipeline:
        def __init__(self):
            self.counts = FrameCounts()

        @counted
        def process(self, frame_set):
            """Says it."""
            if frame_set is None:
                raise ValueError("none")
            return frame_set

    pipeline = Pipeline()
    assert pipeline.process(3) == 3 and Pipeline.process.__doc__ == "Says it."
    with pytest.raises(ValueError, match="none"):
        pipeline.process(None)
    assert (pipeline.counts.frames, pipeline.counts.without_pose) == (2, 1)
