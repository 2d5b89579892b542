# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Smooth curves on the floor: ways over a grid, pulled straight, pushed off obstacles, and made round."""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from lsm_sim.clearance import ClearanceMap

_SPACING = 0.05  # metres between the points that are moved
_KNOTS = 0.1
_ROUNDS = 120


@dataclass(frozen=True)
class Curve:
    """A curve by its length in metres: a cubic spline through points (N, 2), so its second derivative is continuous.

    start, end: the stretch of the spline that it is, in metres along it; all if end is None.
    """

    points: np.ndarray
    start: float = 0.0
    end: float | None = None

    @cached_property
    def _spline(self) -> CubicSpline:
        knots = np.r_[0, np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))]
        for _ in range(2):  # the chords are shorter than the arcs
            fine = np.linspace(knots[:-1], knots[1:], 9, axis=-1)
            arcs = np.linalg.norm(np.diff(CubicSpline(knots, self.points)(fine), axis=1), axis=-1).sum(1)
            knots = np.r_[0, np.cumsum(arcs)]
        return CubicSpline(knots, self.points)

    @property
    def length(self) -> float:
        """Metres."""
        return float((self._spline.x[-1] if self.end is None else self.end) - self.start)

    def at(self, s: np.ndarray) -> np.ndarray:
        """Points (N, 2) at lengths (N,) from the start."""
        return self._spline(s + self.start)

    def heading(self, s: np.ndarray) -> np.ndarray:
        """Direction (N,) of the curve in radians, in (-pi, pi]."""
        d = self._spline(s + self.start, 1)
        return np.arctan2(d[..., 1], d[..., 0])

    def curvature(self, s: np.ndarray) -> np.ndarray:
        """Radians per metre (N,), positive to the left."""
        d, dd = self._spline(s + self.start, 1), self._spline(s + self.start, 2)
        return (d[..., 0] * dd[..., 1] - d[..., 1] * dd[..., 0]) / np.maximum((d * d).sum(-1), 1e-12) ** 1.5

    def part(self, start: float, end: float) -> Curve:
        """The very same curve between two lengths."""
        part = Curve(self.points, self.start + start, self.start + end)
        part.__dict__["_spline"] = self._spline
        return part

    def sampled(self) -> np.ndarray:
        """Points (M, 2) along it, _KNOTS apart, with both its ends."""
        return self.at(np.linspace(0, self.length, max(4, int(np.ceil(self.length / _KNOTS)) + 1)))

    def back(self) -> Curve:
        """The curve from its end to its start."""
        return Curve(self.sampled()[::-1])


def resample(points: np.ndarray, spacing: float) -> np.ndarray:
    """Points (M, 2) evenly along a polyline (N, 2), at most `spacing` metres apart, with both its ends."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    keep = np.r_[True, np.diff(lengths) > 1e-9]
    count = max(4, int(np.ceil(lengths[-1] / spacing)) + 1)
    s = np.linspace(0, lengths[-1], count)
    return np.stack([np.interp(s, lengths[keep], points[keep, k]) for k in (0, 1)], -1)


def smooth_way(way: np.ndarray, clearance: ClearanceMap, wanted: float, closed: bool = False,
               sigma: float = 0.16) -> Curve:
    """A smooth curve along a way (N, 2) over the grid; its ends stay where they are.

    An elastic band: each point is drawn to the middle of its neighbours, and where the clearance is less than `wanted`
    metres, up the slope of the clearance; then a Gaussian of `sigma` metres along it makes it round. closed: a ring, the
    last point next to the first; the curve then ends where it starts, smoothly. Quinlan & Khatib, Elastic Bands (1993).
    """
    points = resample(np.concatenate([way, way[:1]]) if closed else way, _SPACING)
    if closed:
        points = points[:-1]
    for k in range(_ROUNDS):
        drawn = 0.5 * (np.roll(points, 1, axis=0) + np.roll(points, -1, axis=0)) - points
        lack = np.clip(wanted - clearance.at(points), 0, 0.3)
        moved = points + 0.6 * drawn + (0.25 * lack)[:, None] * clearance.slope(points)
        if not closed:
            moved[[0, -1]] = points[[0, -1]]
        points = moved
        if k % 30 == 29:
            points = _again(points, closed)
    points = _rounded(points, closed, sigma / _SPACING)
    if closed:
        return repeated(Curve(np.concatenate([points, points[:1]])), 1)
    return Curve(Curve(points).sampled())


def _again(points: np.ndarray, closed: bool) -> np.ndarray:
    return resample(np.concatenate([points, points[:1]]), _SPACING)[:-1] if closed else resample(points, _SPACING)


def _rounded(points: np.ndarray, closed: bool, sigma: float) -> np.ndarray:
    if closed:
        return gaussian_filter1d(points, sigma, axis=0, mode="wrap")
    # Mirrored through its ends, a curve keeps them and is straight there.
    reach = min(len(points) - 1, int(4 * sigma))
    before, after = 2 * points[0] - points[reach:0:-1], 2 * points[-1] - points[-2:-reach - 2:-1]
    return gaussian_filter1d(np.concatenate([before, points, after]), sigma, axis=0)[reach:reach + len(points)]


def repeated(curve: Curve, rounds: int) -> Curve:
    """A closed curve gone round several times, with the same heading at both ends."""
    base = curve.points[:-1]
    laps = np.concatenate([np.tile(base, (rounds, 1)), base[:1]])
    pad = min(8, len(base) - 1)
    padded = Curve(np.concatenate([base[-pad:], laps, base[1:pad + 1]]))
    knots = padded._spline.x
    return padded.part(float(knots[pad]), float(knots[pad + len(laps) - 1]))
