# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an inertial sensor that cannot be right: wrong units, no gravity, stamps that go back, turns of its own."""
from __future__ import annotations

from collections import deque

import numpy as np

from lsm_ros.types import ImuSample

GRAVITY_RANGE = (8.8, 10.8)  # m/s^2, of the median of the specific force
OTHER_UNITS = {"g": 1.0, "thousandths of g": 1000.0}
UNIT_TOLERANCE = 0.15  # relative
WITHOUT_GRAVITY = 4.0  # m/s^2
MOST_RATE = 35.0  # rad/s, that devices can measure
WATCHED_STEPS, FEWEST_STEPS = 250, 10
WATCHED, MOST_BAD = 500, 0.02  # newest readings, and the share of them that may be unusable
JUMP_NS = 1_000_000_000  # back by more than this is another run of a clock
ENOUGH_TURN = 1.0  # radians that the camera has turned by before its turns are compared
LEAST_TURN = 0.01  # radians between two frames
ALIKE = 0.8  # correlation of the turns of camera and gyro
TURN_RANGE = (0.75, 1.33)  # of the gyro's turns by the camera's
DEGREES = (40.0, 80.0)
NO_TURN = 0.05  # of the camera's turns: a gyro that reads no more does not measure


class ImuChecks:
    """Watches readings. reason: what is wrong with them at present, or ''."""

    def __init__(self) -> None:
        self._bad: deque[str] = deque(maxlen=WATCHED)  # of the newest readings: what is wrong with each, or ''
        self._force: deque[float] = deque(maxlen=WATCHED_STEPS)
        self._rate: deque[float] = deque(maxlen=WATCHED_STEPS)
        self._counted = {"": 0, "nan": 0, "back": 0, "repeated": 0}
        self.reason = ""

    def starts_anew(self, newest_ns: int, stamp_ns: int) -> bool:
        """True if a stamp goes back so far that a clock, or a bag, has started again."""
        return stamp_ns < newest_ns - JUMP_NS

    def take(self, sample: ImuSample, newest_ns: int | None) -> bool:
        """Looks at a reading, which should be newer than the stamp before; false if it cannot be used. Repeated stamps are
        no fault: drivers send readings twice."""
        finite = np.isfinite(sample.angular_velocity).all() and np.isfinite(sample.specific_force).all()
        bad = "" if finite else "nan"
        if not bad and newest_ns is not None and sample.stamp_ns <= newest_ns:
            bad = "back" if sample.stamp_ns < newest_ns else "repeated"
        if len(self._bad) == WATCHED:
            self._counted[self._bad[0]] -= 1
        self._bad.append(bad)
        self._counted[bad] += 1
        return not bad

    def step(self, rate: np.ndarray, force: np.ndarray) -> None:
        """Looks at the mean of a few readings, rad/s and m/s^2 (3,)."""
        self._rate.append(float(np.linalg.norm(rate)))
        self._force.append(float(np.linalg.norm(force)))
        if len(self._force) >= FEWEST_STEPS:
            self.reason = self._stamps() or self._units()

    def _stamps(self) -> str:
        for kind, text in (("back", "their stamps go back"), ("nan", "they are not finite")):
            if self._counted[kind] > MOST_BAD * len(self._bad):
                return f"{self._counted[kind]} of the newest {len(self._bad)} readings of the IMU cannot be used: {text}"
        return ""

    def _units(self) -> str:
        low, median, high = np.percentile(list(self._force), [25, 50, 75])
        expected = f"{median:.3g} in the median, where gravity has 9.81 m/s^2"
        if GRAVITY_RANGE[0] <= median <= GRAVITY_RANGE[1]:
            fast = float(np.percentile(list(self._rate), 75))
            return "" if fast <= MOST_RATE else (f"the gyro of the IMU reads {fast:.0f} rad/s, more than devices can measure: "
                                                 "degrees a second?")
        for unit, size in OTHER_UNITS.items():
            if abs(median / size - 1) < UNIT_TOLERANCE and high - low < 2 * UNIT_TOLERANCE * size:
                return f"the accelerometer of the IMU reads {expected}: it is in {unit}; let the driver publish m/s^2"
        if median < WITHOUT_GRAVITY:
            return (f"the accelerometer of the IMU reads {expected}: its driver takes gravity out, or it does not measure; "
                    "let it publish the acceleration with gravity")
        return f"the accelerometer of the IMU reads {expected}: its scale is wrong"


class TurnCheck:
    """Compares the turns of a gyro with those of the camera between frames. reason: how they differ, or ''."""

    def __init__(self) -> None:
        self._products = np.zeros(3)  # gyro by camera, camera by camera, gyro by gyro
        self._turned = 0.0
        self.reason = ""

    def add(self, gyro: np.ndarray, camera: np.ndarray) -> None:
        """Rotation vectors (3,) of one motion in the sensor's frame, by the gyro and by the camera."""
        if max(np.linalg.norm(gyro), np.linalg.norm(camera)) < LEAST_TURN:
            return
        self._products += [gyro @ camera, camera @ camera, gyro @ gyro]
        self._turned += float(np.linalg.norm(camera))
        if self._turned >= ENOUGH_TURN:
            self.reason = self._judged()

    def _judged(self) -> str:
        both, camera, own = self._products
        if own < NO_TURN**2 * camera:
            return "the gyro of the IMU reads 0 while the camera turns"
        alike, ratio = both / np.sqrt(camera * own), both / camera
        if alike < -ALIKE:
            return "the IMU turns the other way than the camera: it is upside down, or TF from the rig to it is wrong"
        if alike < ALIKE:
            return (f"the IMU turns otherwise than the camera (correlation {alike:.2f}): TF from the rig to it is wrong, or "
                    "its stamps are")
        if TURN_RANGE[0] <= ratio <= TURN_RANGE[1]:
            return ""
        if DEGREES[0] <= ratio <= DEGREES[1]:
            return f"the gyro of the IMU reads {ratio:.0f} times what the camera turns: it is in degrees, not in radians"
        return f"the gyro of the IMU reads {ratio:.2g} times what the camera turns: its scale is wrong"
