# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Cost of a run: milliseconds per stage, frames per second, memory."""
from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StageCost:
    """Milliseconds of one stage over all frames in which it ran: mean, median, 95th percentile, sum; count: frames."""

    mean: float
    p50: float
    p95: float
    total: float
    count: int


class StageTimes:
    """Collects the milliseconds of each stage, frame by frame (8 bytes each)."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}
        self.frames = 0

    def add(self, milliseconds: Mapping[str, float]) -> None:
        """The stages of one frame."""
        self.frames += 1
        for stage, ms in milliseconds.items():
            self._times.setdefault(stage, []).append(float(ms))

    def series(self, stage: str) -> np.ndarray:
        """All times of one stage in order, milliseconds."""
        return np.array(self._times.get(stage, []))

    def summary(self) -> dict[str, StageCost]:
        """Statistics by stage, in the order in which the stages first ran."""
        out = {}
        for stage, values in self._times.items():
            v = np.array(values)
            p50, p95 = np.percentile(v, [50, 95])
            out[stage] = StageCost(float(v.mean()), float(p50), float(p95), float(v.sum()), len(v))
        return out


def peak_rss_bytes() -> int:
    """Largest resident memory that this process had so far."""
    try:
        import resource
    except ImportError:  # not on Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # Linux counts in KiB


def peak_gpu_bytes() -> int:
    """Most GPU memory that torch had allocated so far; 0 without a GPU or where torch was never loaded."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    return int(sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())))
