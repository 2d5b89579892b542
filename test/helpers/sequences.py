# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A sequence of our own in the layout of the real one: rendered, so that a clone alone runs the same tests."""
from dataclasses import replace
from pathlib import Path

from lsm_sim.export import export
from lsm_sim.source import RoomSource

FRAMES = 60


class HalfDepth:
    """A source whose depth comes with every second frame, as that of the real sequence."""

    def __init__(self, source):
        self._source = source
        self.name, self.cameras, self.ground_truth_frame = source.name, source.cameras, source.ground_truth_frame
        self.ground_truth, self.warnings = source.ground_truth, source.warnings

    def __len__(self):
        return len(self._source)

    def __iter__(self):
        for n, frame_set in enumerate(self._source):
            frames = frame_set.frames if n % 2 == 0 else tuple(replace(f, depth=None) for f in frame_set.frames)
            yield replace(frame_set, frames=frames)

    def close(self):
        self._source.close()


def render_sequence(folder: Path) -> Path:
    """A robot goes through a furnished room: 60 frames of 320x240 at 10 Hz as a TUM RGB-D folder, with the noise of sensors."""
    source = RoomSource(seed=5, frames=FRAMES, labels=False, odometry=False)
    export(HalfDepth(source), folder)
    return folder
