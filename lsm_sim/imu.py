# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Measurements of an IMU on the base along a path: angular velocity and specific force, with bias and noise."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from lsm_sim.hand_path import pieces
from lsm_sim.paths import Path

GRAVITY = np.array([0.0, 0.0, -9.80665])
"""Acceleration of free fall in the world, m/s^2."""

GRAVITY.setflags(write=False)


@dataclass(frozen=True)
class ImuNoise:
    """Noise densities in rad/s/sqrt(Hz) and m/s^2/sqrt(Hz), standard deviations of the biases at the start in rad/s and
    m/s^2, and of what they walk in rad/s/sqrt(s) and m/s^2/sqrt(s). The defaults are those of a cheap MEMS device.
    """

    gyro_density: float = 2e-4
    accel_density: float = 2e-3
    gyro_bias: float = 5e-3
    accel_bias: float = 5e-2
    gyro_walk: float = 2e-5
    accel_walk: float = 3e-4


@dataclass(frozen=True)
class ImuReadings:
    """times (N,) s; angular_velocity (N, 3) rad/s and specific_force (N, 3) m/s^2 in the IMU's frame, as measured;
    gyro_bias, accel_bias (N, 3): the part of them that is bias.
    """

    times: np.ndarray
    angular_velocity: np.ndarray
    specific_force: np.ndarray
    gyro_bias: np.ndarray
    accel_bias: np.ndarray


def imu_along(path: Path, rate_hz: float = 200.0, noise: ImuNoise | None = None, seed: int = 0,
              T_base_imu: np.ndarray | None = None) -> ImuReadings:
    """Readings of an IMU at rate_hz along a path; without `noise`, exactly those of the motion.

    The motion is the spline through the path's poses that is continuous up to its second derivative. Specific force is
    R^T (a - g). T_base_imu (4, 4): where the IMU is, the base's own frame if None. Jumps of the path are not measured.
    The same seed gives the same readings. ValueError for a rate outside of 10 to 2000 Hz.
    """
    if isinstance(rate_hz, bool) or not 10 <= rate_hz <= 2000:
        raise ValueError(f"rate_hz of an IMU must be 10 to 2000, got {rate_hz!r}")
    T = path.T_world_base if T_base_imu is None else path.T_world_base @ np.asarray(T_base_imu, float)
    times = np.arange(int(path.duration_s * rate_hz + 1e-6) + 1) / rate_hz
    omega, force = np.zeros((len(times), 3)), np.tile(-GRAVITY, (len(times), 1))
    for rows in pieces(len(T), np.array(path.jumps, int)):
        if rows.stop - rows.start < 4:
            continue
        stamps = path.times[rows]
        end = np.inf if rows.stop == len(T) else path.times[rows.stop]
        at = np.flatnonzero((times >= stamps[0] - 1e-12) & (times < end - 1e-12))
        t = np.clip(times[at], stamps[0], stamps[-1])
        turning = RotationSpline(stamps, Rotation.from_matrix(T[rows, :3, :3]))
        acceleration = CubicSpline(stamps, T[rows, :3, 3])(t, 2)
        omega[at] = turning(t, 1)
        force[at] = turning(t).apply(acceleration - GRAVITY, inverse=True)
    return _disturbed(times, omega, force, noise, rate_hz, seed)


def _disturbed(times: np.ndarray, omega: np.ndarray, force: np.ndarray, noise: ImuNoise | None, rate_hz: float,
               seed: int) -> ImuReadings:
    if noise is None:
        zero = np.zeros_like(omega)
        return ImuReadings(times, omega, force, zero, zero.copy())
    rng = np.random.default_rng([int(seed), 23])
    biases, out = [], []
    for true, density, bias, walk in ((omega, noise.gyro_density, noise.gyro_bias, noise.gyro_walk),
                                      (force, noise.accel_density, noise.accel_bias, noise.accel_walk)):
        steps = walk / np.sqrt(rate_hz) * rng.standard_normal(true.shape)
        steps[0] = bias * rng.standard_normal(3)
        biases.append(np.cumsum(steps, axis=0))
        out.append(true + biases[-1] + density * np.sqrt(rate_hz) * rng.standard_normal(true.shape))
    return ImuReadings(times, out[0], out[1], biases[0], biases[1])
