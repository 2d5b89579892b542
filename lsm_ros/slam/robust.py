# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Values of which some are wrong: their mean, with the deviation that it really has, and Huber's weights."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TUKEY = 4.685  # standard deviations beyond which a value counts nothing (95 % efficiency for normal errors)
WIDER = 10.0  # divided by the number of values: so much wider is that, for the scatter of few values may come out too small
MOST_ALIKE = 0.9  # correlation of neighbours that is believed


@dataclass(frozen=True)
class RobustMean:
    """value; std: its standard deviation; scatter: standard deviation of one value of mean weight; count: values that count."""

    value: float
    std: float
    scatter: float
    count: int


def huber(size: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and costs of residuals of `size` standard deviations, of which those beyond k count less."""
    big = size > k
    safe = np.where(big, size, 1.0)
    return np.where(big, k / safe, 1.0), np.where(big, k * (size - 0.5 * k), 0.5 * size**2)


def robust_mean(values: np.ndarray, weight: np.ndarray) -> RobustMean | None:
    """Mean of values (N,) in the order of time by Tukey's biweight; weight (N,): by which the inverse variance of each is
    larger than that of others. None for fewer than five that agree.

    The deviation is the sandwich of M-estimation (Huber, Robust Statistics, 6.3), larger by (n - 1) / (n - 3) for it is
    itself estimated (variance of Student's t), and by what neighbours that err alike have in common (autoregression of first
    order).
    """
    root = np.sqrt(weight / np.mean(weight))
    value = _weighted_median(values, weight)
    scatter = max(1.4826 * float(np.median(np.abs(values - value) * root)), 1e-9)
    reach = TUKEY * scatter * (1 + WIDER / len(values))
    for _ in range(20):
        u = (values - value) * root / reach
        kept = np.where(np.abs(u) < 1, (1 - u**2) ** 2, 0.0) * root**2
        if not kept.any():
            return None
        value = float(kept @ values / kept.sum())
    u = (values - value) * root / reach
    inside = np.abs(u) < 1
    count = int(np.count_nonzero(inside))
    slope = np.where(inside, (1 - u**2) * (1 - 5 * u**2), 0.0) * root**2
    if count < 5 or slope.sum() <= 0:
        return None
    kept = np.where(inside, (1 - u**2) ** 2, 0.0) * root**2
    variance = float(np.sum((kept * (values - value)) ** 2)) / float(slope.sum()) ** 2
    alike = _alike((values - value)[inside] * root[inside])
    variance *= (count - 1) / (count - 3) * (1 + alike) / (1 - alike)
    return RobustMean(value, float(np.sqrt(variance)), scatter, count)


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    half = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(half, 0.5 * half[-1])]])


def _alike(errors: np.ndarray) -> float:
    """Correlation of neighbours, where it is more than chance among so many."""
    total = float(errors @ errors)
    if total <= 0:
        return 0.0
    r = float(errors[1:] @ errors[:-1]) / total
    return min(r, MOST_ALIKE) if r > 1.0 / np.sqrt(len(errors)) else 0.0
