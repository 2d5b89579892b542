# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Focal length of a camera from the epipolar geometry of its images (Mendonca and Cipolla, A simple technique for
self-calibration, CVPR 1999)."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CANDIDATES = np.geomspace(0.5, 2.5, 81)  # in units of the longer side
USUAL = 1.0  # of a camera of which nothing is known
LEAST_PAIRS = 3
_CLEAR = 1.5  # times the least cost, that of the usual focal length at least: else the images say too little


def guess_focal(geometries: Sequence[tuple[np.ndarray, int]], width: int, height: int) -> float | None:
    """Focal length in pixels of images of one camera, None where their pairs do not say it.

    geometries: fundamental matrices (3, 3) with their number of matches. With the right focal length each is an essential
    matrix: two singular values are equal.
    """
    if len(geometries) < LEAST_PAIRS:
        return None
    longest = max(width, height)
    costs = np.zeros((len(geometries), len(CANDIDATES)))
    for n, candidate in enumerate(CANDIDATES):
        f = candidate * longest
        K = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
        values = np.linalg.svd(K.T @ np.stack([F for F, _ in geometries]) @ K, compute_uv=False)
        costs[:, n] = values[:, 0] / np.maximum(values[:, 1], 1e-12) - 1
    weights = np.sqrt([count for _, count in geometries])
    total = (np.minimum(costs, 1.0) * weights[:, None]).sum(0) / weights.sum()  # pairs of a plane or without motion say nothing
    best = int(total.argmin())
    usual = total[int(np.abs(CANDIDATES - USUAL).argmin())]
    if best in (0, len(CANDIDATES) - 1) or (abs(np.log(CANDIDATES[best] / USUAL)) > 0.3 and usual < _CLEAR * total[best]):
        return None
    return float(CANDIDATES[best] * longest)
