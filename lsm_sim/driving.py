# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Motion of a differential-drive base within its limits: it follows curves, turns on the spot and waits."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import maximum_filter1d

from lsm_sim.curves import Curve

_STEP = 0.0125  # metres along a curve between which the acceleration is constant
_PEAK_RATE, _PEAK_ACCELERATION = 1.875, 5.7735
"""Of the quintic from rest to rest over a unit in a unit of time."""


@dataclass(frozen=True)
class Limits:
    """Limits of a base: m/s, m/s^2, rad/s, rad/s^2."""

    speed: float = 0.6
    acceleration: float = 0.5
    rate: float = 0.9
    angular_acceleration: float = 1.6


@dataclass(frozen=True)
class Drive:
    """Along a curve from rest to rest, facing along it, as fast as the limits allow."""

    curve: Curve
    limits: Limits = field(default_factory=Limits)

    @cached_property
    def _profile(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Time, length, speed and acceleration at the start of each step.

        The turning rate is k v and its derivative k' v^2 + k a with curvature k: each of the two terms gets half of the
        angular acceleration. Speeds are then limited forwards and backwards by the acceleration.
        """
        limits, length = self.limits, self.curve.length
        s = np.linspace(0, length, max(4, int(np.ceil(length / _STEP)) + 1))
        step = s[1]
        k = self.curve.curvature(s)
        bend, change = np.abs(k) + 1e-9, maximum_filter1d(np.abs(np.gradient(k, s)), 3) + 1e-9
        half = 0.5 * limits.angular_acceleration
        square = np.minimum(np.minimum(limits.speed, limits.rate / bend)**2, half / change)
        gain = 2 * step * np.minimum(limits.acceleration, half / np.maximum(bend[:-1], bend[1:]))
        square[[0, -1]] = 0
        for i in range(1, len(s)):
            square[i] = min(square[i], square[i - 1] + gain[i - 1])
        for i in range(len(s) - 2, -1, -1):
            square[i] = min(square[i], square[i + 1] + gain[i])
        v = np.sqrt(square)
        dt = 2 * step / (v[1:] + v[:-1])
        return np.r_[0, np.cumsum(dt)], s, v, np.r_[np.diff(v) / dt, 0]

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self._profile[0][-1])

    def length_at(self, t: np.ndarray) -> np.ndarray:
        """Metres along the curve (N,) at times (N,) in seconds from the start."""
        times, s, v, a = self._profile
        i = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        tau = t - times[i]
        return np.clip(s[i] + v[i] * tau + 0.5 * a[i] * tau**2, 0, s[-1])

    def sample(self, t: np.ndarray) -> np.ndarray:
        """x, y, heading (N, 3) at times (N,) in seconds from the start."""
        s = self.length_at(t)
        return np.c_[self.curve.at(s), self.curve.heading(s)]

    def split(self, t: float) -> tuple[list[Drive], list[Drive]]:
        """The drive before and after a time; stubs shorter than 0.1 m are left to the other side."""
        s, length = float(self.length_at(np.array([t]))[0]), self.curve.length
        if s < 0.1:
            return [], [self]
        if s > length - 0.1:
            return [self], []
        return ([replace(self, curve=self.curve.part(0, s))], [replace(self, curve=self.curve.part(s, length))])


@dataclass(frozen=True)
class Turn:
    """On the spot by an angle, from rest to rest: a quintic in time. point (2,), start: heading in radians."""

    point: np.ndarray
    start: float
    angle: float
    duration: float

    @classmethod
    def within(cls, point: np.ndarray, start: float, angle: float, limits: Limits) -> Turn:
        """The quickest such turn that keeps to the limits."""
        seconds = max(_PEAK_RATE * abs(angle) / limits.rate,
                      np.sqrt(_PEAK_ACCELERATION * abs(angle) / limits.angular_acceleration), 0.05)
        return cls(np.asarray(point, float), float(start), float(angle), float(seconds))

    def sample(self, t: np.ndarray) -> np.ndarray:
        """x, y, heading (N, 3) at times (N,) in seconds from the start."""
        u = np.clip(t / self.duration, 0, 1)
        heading = self.start + self.angle * u**3 * (10 - 15 * u + 6 * u * u)
        return np.c_[np.tile(self.point, (len(u), 1)), heading]


@dataclass(frozen=True)
class Wait:
    """Stands still."""

    point: np.ndarray
    start: float
    duration: float

    def sample(self, t: np.ndarray) -> np.ndarray:
        """x, y, heading (N, 3) at times (N,) in seconds from the start."""
        return np.tile(np.r_[self.point, self.start], (len(t), 1))


Segment = Drive | Turn | Wait


def ends(segment: Segment) -> tuple[np.ndarray, np.ndarray]:
    """x, y, heading (3,) at the start and at the end of a segment."""
    first, last = segment.sample(np.array([0.0, segment.duration]))
    return first, last


def drives(curves: Sequence[Curve], limits: Limits, start: np.ndarray | None = None) -> list[Segment]:
    """Drives along curves that follow each other, with turns on the spot between; start: (3,) pose before the first."""
    out: list[Segment] = []
    here = start
    for curve in curves:
        drive = Drive(curve, limits)
        first, last = ends(drive)
        if here is not None:
            out += turn_to(here, first[2], limits)
        out.append(drive)
        here = last
    return out


def turn_to(pose: np.ndarray, heading: float, limits: Limits) -> list[Segment]:
    """A turn on the spot from a pose (3,) to a heading, the shorter way; empty if it has that heading already."""
    angle = float((heading - pose[2] + np.pi) % (2 * np.pi) - np.pi)
    return [Turn.within(pose[:2], pose[2], angle, limits)] if abs(angle) > 1e-4 else []


def sample_segments(segments: Sequence[Segment], times: np.ndarray) -> np.ndarray:
    """x, y, heading (N, 3), the heading without jumps of 2 pi, at times (N,) in seconds that rise; rests after the last."""
    starts = np.r_[0, np.cumsum([s.duration for s in segments])]
    which = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(segments) - 1)
    out = np.empty((len(times), 3))
    for k in np.unique(which):
        rows = which == k
        out[rows] = segments[k].sample(np.minimum(times[rows] - starts[k], segments[k].duration))
    out[:, 2] = np.unwrap(out[:, 2])
    return out


def split_plan(plan: Sequence[Segment], time_s: float) -> tuple[list[Segment], list[Segment], np.ndarray]:
    """Segments before and after a time, and the pose (3,) between them; turns and waits are not cut."""
    start = 0.0
    for k, segment in enumerate(plan):
        if time_s < start + segment.duration:
            first, last = ([], [segment])
            if isinstance(segment, Drive):
                first, last = segment.split(time_s - start)
            elif time_s - start > 0.5 * segment.duration:
                first, last = [segment], []
            before, after = [*plan[:k], *first], [*last, *plan[k + 1:]]
            pose = ends(after[0])[0] if after else ends(before[-1])[1]
            return before, after, pose
        start += segment.duration
    return list(plan), [], ends(plan[-1])[1]


def cut_to(segments: Sequence[Segment], duration_s: float) -> list[Segment]:
    """As much of the segments as fits into a time; then stands still until it is over."""
    out: list[Segment] = []
    left = duration_s
    for segment in segments:
        fitting = segment if segment.duration <= left else _shorter(segment, left)
        if fitting is not None:
            out.append(fitting)
            left -= fitting.duration
        if fitting is not segment:
            break
    if left > 1e-9:
        pose = ends(out[-1])[1] if out else ends(segments[0])[0]
        out.append(Wait(pose[:2], float(pose[2]), left))
    return out


def _shorter(segment: Segment, seconds: float) -> Segment | None:
    """The beginning of a segment, from rest to rest in at most this time; None if nothing is worth it."""
    if seconds < 0.1 or isinstance(segment, Wait):
        return None
    if isinstance(segment, Turn):  # neither faster nor harder than the whole
        return replace(segment, angle=segment.angle * (seconds / segment.duration)**2, duration=seconds)
    low, high = 0.0, segment.curve.length
    for _ in range(12):
        middle = 0.5 * (low + high)
        fits = replace(segment, curve=segment.curve.part(0, middle)).duration <= seconds
        low, high = (middle, high) if fits else (low, middle)
    return replace(segment, curve=segment.curve.part(0, low)) if low > 0.01 else None
