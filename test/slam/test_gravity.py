# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.inertial import MOUNT, changed, path_of, readings

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.gravity import ImuGravity
from lsm_ros.slam.imu_checks import TurnCheck
from lsm_ros.types import ImuSample


def along(path, samples, T_rig_imu=MOUNT, base=True, T_map_world=None, rate_hz=10.0):
    """Up in the map by an IMU along a path, and the keyframes, stamp and pose (4, 4): each fifth frame."""
    found, keyframes, k = ImuGravity(), {}, 0
    T_map_world = np.eye(4) if T_map_world is None else T_map_world
    for i, t in enumerate(np.arange(0, path.duration_s, 1 / rate_hz)):
        first = n = k
        while n < len(samples) and samples[n].stamp_ns <= t * 1e9:
            n += 1
        pose = T_map_world @ path.at(np.array([t]))[0]
        k, now = n, round(t * 1e9)
        if i % 5 == 0:
            keyframes[i] = (now, pose)
        found.add(now, samples[first:n], T_rig_imu, pose, base, (i // 5 * 5, keyframes[i // 5 * 5][1]))
    return found, keyframes


@pytest.mark.parametrize("kind", ["robot", "hand"])
def test_up_in_the_map_by_an_imu(kind):
    T_map_world = make_se3(so3_exp([0.3, -0.2, 0.5]), [1.0, 2.0, 3.0])
    path = path_of(kind, 8.0, 1)
    found, keyframes = along(path, readings(path), base=kind == "robot", T_map_world=T_map_world)
    up = found.up_map(keyframes)
    off = np.degrees(np.arccos(up.direction @ T_map_world[:3, 2]))
    assert off < 0.4 and off < np.degrees(3 * up.std) and found.reason == ""
    assert 0.005 < up.std < 0.0085  # surer than at any one frame


def test_up_follows_when_the_graph_turns_its_keyframes():
    path = path_of("robot", 8.0, 1)
    found, keyframes = along(path, readings(path))
    turn = make_se3(so3_exp([0.1, 0.0, 0.0]), np.zeros(3))
    moved = {i: (s, turn @ T) for i, (s, T) in keyframes.items()}
    up, before = found.up_map(moved), found.up_map(keyframes)
    np.testing.assert_allclose(up.direction, turn[:3, :3] @ before.direction, atol=1e-9)
    assert found.up_map({i: moved[i] for i in list(moved)[:10]}).std > up.std  # what left the graph does not count


def test_nothing_of_frames_without_readings():
    path = path_of("robot", 8.0, 1)
    found, keyframes = along(path, [])
    assert found.up_map(keyframes) is None and found.reason == ""


def test_an_imu_that_is_upside_down():
    """TF says that it is upright, and a camera without a base cannot know better until it turns."""
    path = path_of("robot", 8.0, 1)
    found, keyframes = along(path, readings(path, T_rig_imu=make_se3(so3_exp([np.pi, 0, 0]), [0, 0, 0])), np.eye(4), base=False)
    assert found.up_map(keyframes) is None
    assert "turns the other way than the camera: it is upside down" in found.reason


def test_upside_down_before_it_has_turned():
    found, samples = ImuGravity(), []
    for k in range(30):
        samples = [ImuSample(k * 100_000_000 + i * 5_000_000, np.zeros(3), np.array([0, 0, -9.8])) for i in range(20)]
        found.add((k + 1) * 100_000_000 - 5_000_000, samples, np.eye(4), None, True)
    assert "180 degrees from z of the base: it is upside down" in found.reason


def test_a_gyro_in_degrees_a_second():
    path = path_of("robot", 8.0, 1)
    found, keyframes = along(path, changed(readings(path), np.degrees))
    assert "it is in degrees, not in radians" in found.reason
    assert found.up_map(keyframes) is None


def test_a_gyro_of_the_wrong_scale():
    path = path_of("robot", 8.0, 1)
    assert "its scale is wrong" in along(path, changed(readings(path), lambda w: 2 * w))[0].reason


def test_a_gyro_that_does_not_measure():
    path = path_of("robot", 8.0, 1)
    found, _ = along(path, changed(readings(path), lambda w: 0 * w))
    assert "the gyro of the IMU reads 0 while the camera turns" in found.reason


def test_an_imu_that_sits_otherwise_than_tf_says():
    path = path_of("hand", 8.0, 1)
    found, keyframes = along(path, readings(path), MOUNT @ make_se3(so3_exp([np.pi / 2, 0, 0]), [0, 0, 0]), base=False)
    assert "turns otherwise than the camera" in found.reason and found.up_map(keyframes) is None


def test_directions_that_turn_with_the_camera_are_no_gravity():
    """A robot that turns by little at a time, and whose IMU TF has tilted by 20 degrees: neither its turns nor the limit of the
    base say so."""
    path = path_of("robot", 8.0, 1)
    T_wrong = MOUNT @ make_se3(so3_exp([0.35, 0, 0]), [0, 0, 0])
    found, keyframes = along(path, readings(path), T_wrong)
    assert found.up_map(keyframes) is None
    assert "from keyframe to keyframe: TF from the rig to it is wrong" in found.reason


def test_directions_count_by_their_deviations():
    found = ImuGravity()
    found._up_rig = {0: (np.array([0.6, 0, 0.8]), 0.3), **{k: (np.array([0, 0, 1.0]), 0.01) for k in range(1, 5)}}
    up = found.up_map({k: (k, np.eye(4)) for k in range(5)})
    assert np.arccos(up.direction[2]) < 0.001 and up.std == 0.01


def test_what_a_camera_trembles_by_is_no_turn():
    check, rng = TurnCheck(), np.random.default_rng(0)
    for _ in range(2000):
        check.add(0.0005 * rng.standard_normal(3), 0.003 * rng.standard_normal(3))
    for _ in range(20):
        check.add(np.array([0, 0, 0.08]), np.array([0, 0, 0.08]) + 0.003 * rng.standard_normal(3))
    assert check.reason == ""
