# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tracks, one point of the scene in several images, and their places in space."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from lsm_ros.sfm.feature_matching import ImageFeatures, VerifiedPair

LEAST_ANGLE = np.radians(1.5)  # between the rays of a point


@dataclass(frozen=True)
class Tracks:
    """Observations of T tracks, sorted by track: track (M,), image (M,), pixels (M, 2), colors (M, 3)
    uint8, feature (M,) index among those of all images together."""

    track: np.ndarray
    image: np.ndarray
    pixels: np.ndarray
    colors: np.ndarray
    feature: np.ndarray
    count: int


def make_tracks(features: Sequence[ImageFeatures], pairs: Sequence[VerifiedPair]) -> Tracks:
    """Tracks from matches. Those with two features of one image mix two points, and are left out."""
    starts = np.concatenate([[0], np.cumsum([len(f.pixels) for f in features])])
    a = np.concatenate([starts[p.i] + p.index_i for p in pairs] or [np.zeros(0, np.int64)])
    b = np.concatenate([starts[p.j] + p.index_j for p in pairs] or [np.zeros(0, np.int64)])
    total = int(starts[-1])
    _, part = connected_components(csr_array((np.ones(len(a)), (a, b)), shape=(total, total)), directed=False)
    used = np.unique(np.concatenate([a, b]))
    image = np.searchsorted(starts, used, side="right") - 1
    part = part[used]
    order = np.lexsort((image, part))
    used, image, part = used[order], image[order], part[order]
    mixed = part[1:][(part[1:] == part[:-1]) & (image[1:] == image[:-1])]
    keep = ~np.isin(part, mixed)
    used, image = used[keep], image[keep]
    names, track = np.unique(part[keep], return_inverse=True)
    pixels, colors = np.concatenate([f.pixels for f in features])[used], np.concatenate([f.colors for f in features])[used]
    return Tracks(track, image, pixels, colors, used, len(names))


def triangulate(directions: np.ndarray, centres: np.ndarray, track: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) nearest to their rays, and (count,) bool where at least two rays meet at an angle.

    directions (M, 3) of unit length and centres (M, 3) of the rays in the world, track (M,) their points.
    """
    A, b = np.zeros((count, 3, 3)), np.zeros((count, 3))
    away = np.eye(3) - directions[:, :, None] * directions[:, None]
    np.add.at(A, track, away)
    np.add.at(b, track, np.einsum("mij,mj->mi", away, centres))
    # two rays at an angle a leave a least eigenvalue of about a^2 / 2
    good = (np.bincount(track, minlength=count) >= 2) & (np.linalg.eigvalsh(A)[:, 0] > LEAST_ANGLE**2 / 2)
    points = np.zeros((count, 3))
    points[good] = np.linalg.solve(A[good], b[good][..., None])[..., 0]
    return points, good
