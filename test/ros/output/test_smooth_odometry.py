# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np

from lsm_ros.geometry import se3_exp, se3_inverse
from lsm_ros.ros.output.smooth_odometry import SmoothOdometry
from lsm_ros.types import TrajectoryPose

STEP = se3_exp([0.05, 0.0, 0.0, 0.0, 0.0, 0.02])
NS = 100_000_000


def test_a_jump_of_the_graph_drops_out():
    odometry, true = SmoothOdometry(), np.eye(4)
    jump, out = se3_exp([1.0, -2.0, 0.5, 0.1, 0.2, -0.3]), []
    T_map, version = np.eye(4), 0
    keyframes = [TrajectoryPose(0, np.eye(4))]
    for k in range(20):
        if k == 10:  # a loop closes: everything that was mapped moves
            T_map, version = jump, 1
            keyframes = [TrajectoryPose(p.stamp_ns, jump @ p.T_map_rig) for p in keyframes]
        if k in (5, 10, 15):  # and this frame is a keyframe
            version += 1
            keyframes = [*keyframes, TrajectoryPose(k * NS, T_map @ true)]
        now = tuple(keyframes)
        out.append(odometry.add(k * NS, T_map @ true, np.eye(6) * 1e-6, (0, version), lambda now=now: now))
        np.testing.assert_allclose(out[-1].T_odom_base, true, atol=1e-9)
        true = true @ STEP
    for motion in out[1:]:
        np.testing.assert_allclose(motion.twist_base, [0.5, 0, 0, 0, 0, 0.2], atol=1e-9)
        np.testing.assert_allclose(np.diag(motion.twist_covariance), 2e-4, rtol=1e-6)
    assert out[0].twist_base is None


def test_another_map_adds_no_motion():
    odometry = SmoothOdometry()
    one, other = [TrajectoryPose(0, np.eye(4))], [TrajectoryPose(9 * NS, np.eye(4))]
    odometry.add(0, np.eye(4), None, (0, 0), lambda: one)
    moved = odometry.add(NS, STEP, None, (0, 0), lambda: one)
    odometry.restart()
    started = odometry.add(9 * NS, np.eye(4), None, (1, 0), lambda: other)
    np.testing.assert_allclose(started.T_odom_base, moved.T_odom_base)
    again = odometry.add(10 * NS, STEP, None, (1, 0), lambda: other)
    np.testing.assert_allclose(se3_inverse(moved.T_odom_base) @ again.T_odom_base, STEP, atol=1e-12)


def test_a_keyframe_that_is_gone_adds_no_motion():
    odometry = SmoothOdometry()
    odometry.add(0, np.eye(4), None, (0, 0), lambda: [TrajectoryPose(0, np.eye(4))])
    far = se3_exp([5.0, 0, 0, 0, 0, 0])
    motion = odometry.add(NS, far, None, (0, 1), lambda: [TrajectoryPose(NS, far)])
    np.testing.assert_allclose(motion.T_odom_base, np.eye(4))


def test_no_twist_over_a_gap():
    odometry = SmoothOdometry()
    keys = [TrajectoryPose(0, np.eye(4))]
    odometry.add(0, np.eye(4), np.eye(6), (0, 0), lambda: keys)
    motion = odometry.add(5 * 10**9, STEP, np.eye(6), (0, 0), lambda: keys)
    assert motion.twist_base is None
    np.testing.assert_allclose(motion.T_odom_base, STEP)


def test_the_covariance_of_the_twist_is_in_the_frame_of_the_robot():
    """A robot that looks along y: what is doubtful along y of the map is doubtful ahead."""
    odometry, keys = SmoothOdometry(), [TrajectoryPose(0, np.eye(4))]
    turned = se3_exp([0, 0, 0, 0, 0, np.pi / 2])
    doubt = np.diag([1.0, 4.0, 1.0, 1.0, 9.0, 1.0]) * 1e-4
    odometry.add(0, turned, doubt, (0, 0), lambda: keys)
    motion = odometry.add(NS, turned @ STEP, doubt, (0, 0), lambda: keys)
    expected = np.diag([4.0, 1.0, 1.0, 9.0, 1.0, 1.0]) * 1e-4 * 2 / 0.1**2
    np.testing.assert_allclose(motion.twist_covariance, expected, atol=4e-3)  # the step turns it a little


def test_rotations_stay_rotations():
    odometry, keys = SmoothOdometry(), [TrajectoryPose(0, np.eye(4))]
    off = np.eye(4)
    off[:3, :3] *= 1 + 1e-4  # what rounding of poses does in a long run
    for k in range(200):
        T = odometry.add(k * NS, np.linalg.matrix_power(off, k), None, (0, 0), lambda: keys).T_odom_base
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
