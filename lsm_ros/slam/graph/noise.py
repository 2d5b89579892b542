# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Standard deviation of a match, as it turns out to be.

Pixels and measured depths are weighed against each other. With an exact calibration a match is good to some tenths of a pixel,
and poses come out several times better when that is believed. Errors of the calibration are systematic, so that most of them
hides in the pose; what shows in the pixels is a fraction of it. In a rendered building matches scatter by 0.2 px around the
pose, on sequences whose focal length or registration of depth is off by 0.6 and 1.4 px, and there poses are best with 2.5 px.
"""
from __future__ import annotations

from collections import deque

import numpy as np

HIDDEN = 4.0  # times what shows
LEAST_PX = 0.5
FEWEST = 5  # poses before it is believed
REMEMBERED = 60  # newest poses


class MatchNoise:
    """Keeps how far the pixels of the newest poses scattered."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=REMEMBERED)

    def add(self, noise_px: float) -> None:
        """Robust standard deviation of the pixels of one more pose; NaN is passed over."""
        if np.isfinite(noise_px):
            self._seen.append(noise_px)

    def sigma_px(self, most: float) -> float:
        """Standard deviation of a match in pixels, at most `most`."""
        if len(self._seen) < FEWEST:
            return most
        return min(most, max(LEAST_PX, HIDDEN * float(np.median(self._seen))))
