# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Readings of an inertial sensor along a simulated path, as samples; and what can be wrong with them."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from helpers.hand_made import furnished
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.types import ImuSample
from lsm_sim.events import Event
from lsm_sim.imu import ImuNoise, imu_along
from lsm_sim.paths import Path, plan_path

MOUNT = make_se3(so3_exp([0.2, -0.4, 1.0]), [0.1, -0.2, 0.3])
"""T_rig_imu."""


@cache
def path_of(kind: str = "hand", length_m: float = 20.0, seed: int = 1, pause: bool = False) -> Path:
    """A path through a furnished room, planned once."""
    events = [Event("pause", 3, 4)] if pause else []
    return plan_path(furnished(), kind, length_m=length_m, seed=seed, events=events)


def readings(path: Path, seed: int = 0, noise: ImuNoise | None = None, T_rig_imu: np.ndarray = MOUNT) -> list[ImuSample]:
    """Samples at 200 Hz with the noise of a cheap device."""
    found = imu_along(path, 200.0, noise or ImuNoise(), seed, T_rig_imu)
    return [ImuSample(round(t * 1e9), w, f)
            for t, w, f in zip(found.times, found.angular_velocity, found.specific_force, strict=True)]


def up_in_imu(path: Path, times_s: np.ndarray, T_rig_imu: np.ndarray = MOUNT) -> np.ndarray:
    """The truth: up (N, 3) in the sensor's frame."""
    return (path.at(times_s) @ T_rig_imu)[:, 2, :3]


def changed(samples: list[ImuSample], rate: Callable = lambda w: w, force: Callable = lambda f: f) -> list[ImuSample]:
    """Samples whose values went through functions."""
    return [replace(s, angular_velocity=rate(s.angular_velocity), specific_force=force(s.specific_force)) for s in samples]
