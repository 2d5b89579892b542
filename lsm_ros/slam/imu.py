# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Up, as an inertial sensor feels it: accelerometer and gyro fused by an error-state Kalman filter.

The gyro carries the direction from one moment to the next, and the accelerometer, which feels gravity and the sensor's own
acceleration alike, holds it in the long run. The gyro's bias is a part of the state, and is measured whenever the sensor stands
(Mahony, Hamel, Pflimlin 2008 for the fusion; Sola 2017, arXiv:1711.02508, for error states). A sensor whose readings cannot be
right is not used: `reason` says why.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lsm_ros.geometry import hat, so3_exp
from lsm_ros.slam.imu_checks import ImuChecks
from lsm_ros.types import ImuSample

GRAVITY = 9.80665  # m/s^2
STEP_NS = 20_000_000  # readings of so much time are averaged before the filter takes them
LONGEST_GAP_NS = 500_000_000  # after a longer one the filter starts anew
LONGEST_AHEAD_NS = 100_000_000  # that the direction is carried on without readings
START_STEPS = 10
START_STD = 0.2  # radians, of the first direction
GYRO_STD = 1e-3  # rad/s/sqrt(Hz), of cheap devices, vibration included
GYRO_WALK = 1e-4  # rad/s/sqrt(s)
GYRO_SCALE = 0.01  # relative, of the turns it measures
BIAS_STD = 0.02  # rad/s, of the gyro's bias before it has stood
GAP_RATE = 1.0  # rad/s that a sensor may turn by while its readings are missing
STANDING_STEPS = 75  # 1.5 s: nothing on wheels, or in a hand, speeds up evenly for so long
STANDING_RATE, STANDING_SWING, STANDING_SHAKE = 0.1, 0.02, 0.15  # rad/s of the bias, rad/s and m/s^2 from least to most
STANDING_RATE_STD = 0.005  # rad/s, of one step as a measurement of the bias
STANDING_FORCE_STD = 0.1  # m/s^2, of one step while it stands
MOTION_STD, MOTION_S = 0.35, 0.4  # m/s^2 that a moving sensor is accelerated by, and for how long in one direction
FORCE_BIAS_STD = 0.05  # m/s^2, of an accelerometer's bias, which looks like gravity here


@dataclass(frozen=True)
class Up:
    """direction: (3,) unit vector up in the sensor's frame; std: of its direction, radians, about any axis. turned:
    (3,) sum of all that the gyro has read since the filter started, radians, its bias included: between two moments that are
    not far apart it is a rotation vector. impulse: (3,) sum of all specific force times its duration since the readings were
    asked for before, m/s, in the sensor's frame as it is now; seconds: how long that is."""

    direction: np.ndarray
    std: float
    turned: np.ndarray
    impulse: np.ndarray
    seconds: float


class ImuFilter:
    """Takes readings in the order in which they come, and says which way is up. reason: why it is not used, or ''."""

    def __init__(self) -> None:
        self._checks = ImuChecks()
        self._newest_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        """As before the first reading."""
        self._up: np.ndarray | None = None
        self._bias = np.zeros(3)
        self._P = np.diag([START_STD**2] * 3 + [BIAS_STD**2] * 3)
        self._turned = np.zeros(3)
        self._impulse, self._seconds = np.zeros(3), 0.0
        self._at_ns = 0
        self._newest_rate = np.zeros(3)
        self._steps = np.zeros((STANDING_STEPS, 6))  # rate and force of the newest, in a ring
        self._taken = 0
        self._waiting: list[ImuSample] = []

    @property
    def reason(self) -> str:
        """Why the sensor is not used, or ''."""
        return self._checks.reason

    @property
    def gyro_bias(self) -> np.ndarray:
        """(3,) rad/s."""
        return self._bias.copy()

    def add(self, samples: Iterable[ImuSample]) -> None:
        """Takes readings. Those that are not finite, or not newer than those before, are left out."""
        for sample in samples:
            if self._newest_ns is not None and self._checks.starts_anew(self._newest_ns, sample.stamp_ns):
                self._newest_ns = None
                self._begin()
            if not self._checks.take(sample, self._newest_ns):
                continue
            gap_ns = 0 if self._newest_ns is None else sample.stamp_ns - self._newest_ns
            if self._newest_ns is None or gap_ns > LONGEST_GAP_NS:
                self._begin()
                self._at_ns = sample.stamp_ns - STEP_NS // 4
            elif gap_ns > LONGEST_AHEAD_NS:
                self._P[:3, :3] += np.eye(3) * (GAP_RATE * gap_ns * 1e-9) ** 2
                self._waiting, self._at_ns, self._taken = [], sample.stamp_ns - STEP_NS // 4, 0
            self._newest_ns = sample.stamp_ns
            self._waiting.append(sample)
            if sample.stamp_ns - self._at_ns >= STEP_NS:
                self._step()

    def up_at(self, stamp_ns: int) -> Up | None:
        """Up at a stamp; None before enough readings came, while they cannot be right, and where none are of that time."""
        if self._waiting:
            self._step()
        ahead_ns = stamp_ns - self._at_ns
        if self._up is None or self.reason or not -LONGEST_AHEAD_NS < ahead_ns < LONGEST_AHEAD_NS:
            return None
        ahead_s = ahead_ns * 1e-9
        perpendicular = np.eye(3) - np.outer(self._up, self._up)
        spread = float(np.linalg.eigvalsh(perpendicular @ self._P[:3, :3] @ perpendicular)[-1])
        std = float(np.sqrt(spread + (FORCE_BIAS_STD / GRAVITY) ** 2))
        direction = so3_exp(-ahead_s * (self._newest_rate - self._bias)) @ self._up
        impulse, seconds = self._impulse, self._seconds
        self._impulse, self._seconds = np.zeros(3), 0.0
        return Up(direction, std, self._turned + ahead_s * self._newest_rate, impulse, seconds)

    def _step(self) -> None:
        """Takes the mean of the readings that wait."""
        rate = np.mean([s.angular_velocity for s in self._waiting], axis=0)
        force = np.mean([s.specific_force for s in self._waiting], axis=0)
        dt = (self._waiting[-1].stamp_ns - self._at_ns) * 1e-9
        self._at_ns, self._waiting = self._waiting[-1].stamp_ns, []
        self._checks.step(rate, force)
        self._newest_rate = rate
        self._turned = self._turned + rate * dt
        self._impulse = so3_exp(-(rate - self._bias) * dt) @ (self._impulse + force * dt)
        self._seconds += dt
        self._steps[self._taken % STANDING_STEPS] = np.r_[rate, force]
        self._taken += 1
        if self._up is None:
            if self._taken >= START_STEPS and not self.reason:
                first = self._steps[:self._taken, 3:].mean(axis=0)
                self._up = first / np.linalg.norm(first)
            return
        self._predict((rate - self._bias) * dt, dt)
        self._correct(force, dt, self._stands())

    def _predict(self, turn: np.ndarray, dt: float) -> None:
        """The error d of the direction, up = exp(d) estimate, and that of the bias."""
        assert self._up is not None
        back = so3_exp(-turn)
        self._up = back @ self._up
        F = np.eye(6)
        F[:3, :3], F[:3, 3:] = back, np.eye(3) * dt
        self._P = F @ self._P @ F.T
        self._P[:3, :3] += np.eye(3) * (GYRO_STD**2 * dt + GYRO_SCALE**2 * float(turn @ turn))
        self._P[3:, 3:] += np.eye(3) * GYRO_WALK**2 * dt

    def _correct(self, force: np.ndarray, dt: float, stands: bool) -> None:
        assert self._up is not None
        H = np.zeros((3, 6))
        H[:, :3] = -GRAVITY * hat(self._up)
        error: np.ndarray = force - GRAVITY * self._up
        motion = MOTION_STD + 2 * abs(float(np.linalg.norm(force)) - GRAVITY)
        # an acceleration that lasts is one measurement, however many steps it lasts for
        variance = STANDING_FORCE_STD**2 if stands else 2 * MOTION_S * motion**2 / max(dt, 1e-3)
        if stands:
            H = np.vstack([H, np.c_[np.zeros((3, 3)), np.eye(3)]])
            error = np.r_[error, self._newest_rate - self._bias]
        R = np.diag([variance] * 3 + [STANDING_RATE_STD**2] * 3)[:len(error), :len(error)]
        K = self._P @ H.T @ np.linalg.inv(H @ self._P @ H.T + R)
        change = K @ error
        self._up = so3_exp(change[:3]) @ self._up
        self._up /= np.linalg.norm(self._up)
        self._bias = self._bias + change[3:]
        keep = np.eye(6) - K @ H
        self._P = keep @ self._P @ keep.T + K @ R @ K.T

    def _stands(self) -> bool:
        """True if nothing but noise is left of the newest readings but a bias and gravity."""
        if self._taken < STANDING_STEPS:
            return False
        off = np.ptp(self._steps, axis=0)
        return bool(off[:3].max() < STANDING_SWING and off[3:].max() < STANDING_SHAKE
                    and np.linalg.norm(self._steps[:, :3].mean(axis=0)) < STANDING_RATE)
