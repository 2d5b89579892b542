# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A place that was found after the camera was lost: it is believed once the next frames are found there too."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_ros.slam.graph.keyframes import motion
from lsm_ros.slam.trackers.base import TrackedFrame

HELD_FRAMES = 3  # found one after the other, while the camera moves
SEARCHED = 2  # frames that one counts as which was found by a search of its own
MOVED, TURNED = 0.05, 0.1  # median depths and radians that count as moving
PATIENT_FRAMES = 8  # of a camera that stands: it will not see more


@dataclass
class Trial:
    """first: T_map_rig (4, 4) where it was found; newest: the newest frame set found there, which has a pose; frames: found."""

    first: np.ndarray
    newest: TrackedFrame
    frames: int = 1

    def go_on(self, new: TrackedFrame, frames: int = 1) -> None:
        """Takes the next frame set that was found there, which counts as so many frames."""
        self.newest, self.frames = new, self.frames + frames

    def is_held(self, median_depth: float) -> bool:
        """True once enough frames were found there. median_depth: of what they show."""
        if self.newest.pose is None or self.frames < HELD_FRAMES:
            return False
        distance, angle = motion(self.first, self.newest.pose.T_map_rig)
        return self.frames >= PATIENT_FRAMES or distance > MOVED * median_depth or angle > TURNED
