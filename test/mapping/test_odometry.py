# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry that jumps, stops and goes on."""
import numpy as np
import pytest

from lsm_ros.config import TrackingConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.mapping.odometry import OdometryWatch
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.types import Frame, FrameSet


def frame_set(k, x=None, yaw=0.0, hz=10):
    """Frame set k with odometry at x metres; None: without."""
    stamp_ns = k * 1_000_000_000 // hz
    T = None if x is None else make_se3(so3_exp([0, 0, yaw]), [x, 0, 0])
    return FrameSet(stamp_ns, (Frame(stamp_ns, "front", np.zeros((4, 4, 3), np.uint8)),), T_odom_base=T)


def pose(x, yaw=0.0):
    return make_se3(so3_exp([0, 0, yaw]), [x, 0, 0])


@pytest.fixture
def warnings():
    return Warnings()


@pytest.fixture
def watch(warnings):
    return OdometryWatch(TrackingConfig(), warnings)


def drive(watch, odometry, camera, first=0, unit=1.0):
    """What is left of odometry at x (K,) while the camera goes as in poses."""
    out = []
    for k, (x, T) in enumerate(zip(odometry, camera, strict=True), first):
        out.append(watch(frame_set(k, x)).T_odom_base)
        watch.note(k * 100_000_000, T, unit)
    return out


def test_odometry_that_goes_on_is_used(watch, warnings):
    x = 0.05 * np.arange(100)
    assert all(T is not None for T in drive(watch, x, [pose(v) for v in x]))
    assert watch.segment == 0 and warnings.texts == ()


def test_a_jump_is_not_used_and_said(watch, warnings):
    x = 0.05 * np.arange(20) + np.where(np.arange(20) >= 10, 5.0, 0.0)
    used = drive(watch, x, [pose(0.05 * k) for k in range(20)])
    assert [k for k, T in enumerate(used) if T is None] == [10] and watch.segment == 1
    assert "odometry jumped by 5.05 m and 0 degrees in 0.10 s (1 times so far)" in warnings.texts[0]
    drive(watch, [6.0] * 3, [pose(1.0)] * 3, first=330)
    assert warnings.texts == ()  # it is no news after half a minute


def test_a_turn_that_no_robot_makes_is_a_jump(watch):
    watch(frame_set(0, 0.0))
    assert watch(frame_set(1, 0.0, yaw=2.0)).T_odom_base is None and watch.segment == 1


def test_stamps_that_go_back_are_a_break(watch):
    watch(frame_set(5, 0.0))
    assert watch(frame_set(4, 0.0)).T_odom_base is None and watch.segment == 1


def test_a_gap_is_none(watch):
    watch(frame_set(0, 0.0))
    watch(frame_set(5, None))
    assert watch(frame_set(10, 1.0)).T_odom_base is not None and watch.segment == 0


@pytest.mark.parametrize("camera", [lambda k: pose(0.05 * k), lambda k: pose(0.0, 0.05 * k)], ids=["drives", "turns"])
def test_odometry_that_stands_still_while_the_camera_goes(watch, warnings, camera):
    used = drive(watch, [1.0] * 60, [camera(k) for k in range(60)])
    first = next(k for k, T in enumerate(used) if T is None)
    assert 18 < first < 30 and all(T is None for T in used[first:])
    assert "odometry stands still while the camera moves" in warnings.texts[0] and watch.segment == 0
    used = drive(watch, [1.05, 1.1], [camera(60), camera(61)], first=60)
    assert all(T is not None for T in used) and watch.segment == 1 and warnings.texts == ()


def test_a_robot_that_stands_is_none_that_is_stuck(watch, warnings):
    rng = np.random.default_rng(0)
    used = drive(watch, [1.0] * 100, [pose(x) for x in rng.normal(0, 0.01, 100)])
    assert all(T is not None for T in used) and warnings.texts == ()


def test_nor_is_one_whose_map_has_small_units(watch, warnings):
    """A camera at rest in a map whose things are 100 units away: noise is as large."""
    rng = np.random.default_rng(0)
    used = drive(watch, [1.0] * 100, [pose(x) for x in rng.normal(0, 1.0, 100)], unit=100.0)
    assert all(T is not None for T in used)


def test_a_map_that_moves_is_no_motion(watch, warnings):
    drive(watch, [1.0] * 15, [pose(0.0)] * 15)
    watch.map_moved()
    used = drive(watch, [1.0] * 40, [pose(10.0, 1.0)] * 40, first=15)
    assert all(T is not None for T in used) and warnings.texts == ()
