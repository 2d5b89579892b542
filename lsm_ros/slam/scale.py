# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Size of a map in metres: what several sources say of it becomes one estimate with a standard deviation, which locks.

All scales are ln(metres per map unit), so that 0 is a map in metres and a deviation of 0.01 is one of 1 %. Sources are assumed
to err independently of each other (`scale_sources` has them); each one's deviation holds what it always gets wrong, too.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from lsm_ros.geometry import se3_inverse
from lsm_ros.types import EXACT_SCALE

MOST_SIGMA = 3.0  # between two sources that are believed to agree, and between a lock and what does not call it in question


@dataclass(frozen=True)
class ScaleMeasurement:
    """ln(metres per map unit) by one source, and its standard deviation. ValueError for what is no such number."""

    source: str
    log_scale: float
    std: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.log_scale) or not (math.isfinite(self.std) and self.std > 0):
            raise ValueError(f"a scale by {self.source} must be finite with a deviation above 0, got {self.log_scale} +- "
                             f"{self.std}")


@dataclass(frozen=True)
class ScaleEstimate:
    """ln(metres per map unit) of all sources together. sources: those it is made of, the surest first. contradiction: names
    sources that disagree, or ''."""

    log_scale: float
    std: float
    sources: tuple[str, ...]
    contradiction: str = ""

    @property
    def is_exact(self) -> bool:
        """True if lengths may be taken for metres."""
        return self.std < EXACT_SCALE


def combine(measurements: Sequence[ScaleMeasurement]) -> ScaleEstimate | None:
    """The mean of all sources, weighted by their inverse variances; None without any.

    Where some disagree by more than three standard deviations of their difference, the largest group that agrees with itself
    is taken, if it has more than half of the sources; what it leaves out is named. Without such a majority nobody knows who is
    right: all are taken, and the deviation covers their spread (Birge's factor for two).
    """
    if not measurements:
        return None
    chosen = _agreeing(measurements)
    if len(chosen) == len(measurements):
        return _mean(chosen)
    if 2 * len(chosen) > len(measurements):
        out = next(m for m in measurements if m not in chosen)
        against = max((c for c in chosen if not _agree(out, c)), key=lambda c: abs(c.log_scale - out.log_scale) / c.std)
        return replace(_mean(chosen), contradiction=f"{_disagreement(out, against)}; {out.source} is left out")
    mean = _mean(measurements)
    weight = np.array([m.std**-2 for m in measurements])
    off = np.array([m.log_scale for m in measurements]) - mean.log_scale
    spread = float(np.sqrt(weight @ off**2 / weight.sum()))
    a, b = max(combinations(measurements, 2), key=lambda pair: _sigmas(*pair))
    return replace(mean, std=math.hypot(mean.std, spread), contradiction=f"{_disagreement(a, b)}; nothing says who is right")


def _agreeing(measurements: Sequence[ScaleMeasurement]) -> list[ScaleMeasurement]:
    """The largest group whose members all agree with each other; of two as large the one that is surer."""
    best, best_rank = [measurements[0]], (0, 0.0)
    for size in range(1, len(measurements) + 1):
        for group in combinations(measurements, size):
            rank = (size, sum(m.std**-2 for m in group))
            if rank > best_rank and all(_agree(a, b) for a, b in combinations(group, 2)):
                best, best_rank = list(group), rank
    return best


def _sigmas(a: ScaleMeasurement, b: ScaleMeasurement) -> float:
    return abs(a.log_scale - b.log_scale) / math.hypot(a.std, b.std)


def _agree(a: ScaleMeasurement, b: ScaleMeasurement) -> bool:
    return _sigmas(a, b) <= MOST_SIGMA


def _mean(measurements: Sequence[ScaleMeasurement]) -> ScaleEstimate:
    weight = np.array([m.std**-2 for m in measurements])
    mean = float(weight @ np.array([m.log_scale for m in measurements]) / weight.sum())
    names = tuple(m.source for m in sorted(measurements, key=lambda m: m.std))
    return ScaleEstimate(mean, float(weight.sum() ** -0.5), names)


def _disagreement(a: ScaleMeasurement, b: ScaleMeasurement) -> str:
    ratio = math.exp(a.log_scale - b.log_scale)
    return (f"by {a.source} lengths are {ratio:.2f} times those by {b.source} ({_sigmas(a, b):.1f} standard deviations; "
            f"{a.source} is sure to {a.std:.1%}, {b.source} to {b.std:.1%})")


class ScaleLock:
    """Decides when a map gets the size that the estimate says. locked: the estimate that it has, None before."""

    def __init__(self) -> None:
        self.locked: ScaleEstimate | None = None

    def update(self, estimate: ScaleEstimate | None) -> float | None:
        """Factor by which the map has to grow now, or None. The caller grows it, and sources then speak of the grown map.

        The first estimate below 2 % locks. From then on only one that is as exact, and off by more than 2 % and three standard
        deviations of the difference, counts.
        """
        if estimate is None or not estimate.is_exact:
            return None
        off = estimate.log_scale  # of the map as it is, which is in metres as far as the lock knows
        if self.locked is not None and abs(off) <= max(EXACT_SCALE, MOST_SIGMA * math.hypot(estimate.std, self.locked.std)):
            return None
        self.locked = replace(estimate, log_scale=0.0)
        return math.exp(off)


def resized(T_map_rig: np.ndarray, T_rig_cam: np.ndarray, centre_map: np.ndarray, factor: float) -> np.ndarray:
    """The pose (4, 4) of a rig whose camera went by `factor` away from `centre_map` (3,)."""
    T_map_cam = T_map_rig @ T_rig_cam
    T_map_cam[:3, 3] = centre_map + factor * (T_map_cam[:3, 3] - centre_map)
    return T_map_cam @ se3_inverse(T_rig_cam)
