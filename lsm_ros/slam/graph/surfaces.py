# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Terms of bundle adjustment that hold points of one keyframe on the planes of another."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import se3_inverse, transform_points
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.slam.robust import huber


@dataclass(frozen=True)
class SurfaceTerms:
    """E pairs of keyframes: anchor, observer (E,) rows of their poses; bounds (E + 1,) of their points. points (S, 3) in the
    rig frame of the anchor, planes (S, 4) in that of the observer, sigma (S,) metres."""

    anchor: np.ndarray
    observer: np.ndarray
    bounds: np.ndarray
    points: np.ndarray
    planes: np.ndarray
    sigma: np.ndarray

    def linearize(self, T: np.ndarray, k: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Cost, sums (E, 7, 7) of the products of [J, residual], and T_observer_anchor (E, 4, 4), at poses T (K, 4, 4). J is by
        a twist of the observer, which moves the points as a twist of the observing camera does. k: of Huber's weights."""
        T_observer_anchor = se3_inverse(T[self.observer]) @ T[self.anchor]
        gram, cost = np.empty((len(self.anchor), 7, 7)), 0.0
        for e, (a, b) in enumerate(zip(self.bounds[:-1], self.bounds[1:], strict=True)):
            points = transform_points(T_observer_anchor[e], self.points[a:b])
            normal, inverse = self.planes[a:b, :3], 1.0 / self.sigma[a:b]
            residual = (np.sum(normal * points, 1) + self.planes[a:b, 3]) * inverse
            weight, price = huber(np.abs(residual), k)
            rows = np.concatenate([normal * inverse[:, None], np.cross(points, normal) * inverse[:, None],
                                   residual[:, None]], 1) * np.sqrt(weight)[:, None]
            gram[e] = rows.T @ rows
            cost += float(price.sum())
        return cost, gram, T_observer_anchor


def surface_terms(ids: Sequence[int], ties: Sequence[tuple[int, int, Surfaces]]) -> SurfaceTerms | None:
    """The terms of ties (anchor, observer, surfaces in the frames of their rigs) between keyframes `ids`, which have the rows
    of a problem; None without any."""
    if not ties:
        return None
    row = {i: n for n, i in enumerate(ids)}
    parts = [x for _, _, x in ties]
    return SurfaceTerms(np.array([row[a] for a, _, _ in ties]), np.array([row[b] for _, b, _ in ties]),
                        np.cumsum([0, *map(len, parts)]), np.concatenate([x.points for x in parts]),
                        np.concatenate([x.planes for x in parts]), np.concatenate([x.sigma for x in parts]))
