# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""State from frame to frame: which pose is expected next, and which would be too fast."""
import numpy as np
import pytest

from lsm_ros.config import TrackingConfig
from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp
from lsm_ros.slam.trackers.progress import PoseStamp, Progress
from lsm_ros.types import TrackingState

SECOND = 10**9
CONFIG = TrackingConfig(max_speed=2.0, max_rate=3.0)
A = make_se3(so3_exp([0.2, 1.0, -0.3]), [1.0, 2.0, 3.0])
TWIST = np.array([0.1, 0.0, 0.05, 0.0, 0.02, 0.1])
ODOM = make_se3(so3_exp([0.0, 0.0, 2.0]), [7.0, -5.0, 0.0])


def at(seconds, T=A, odom=None):
    return PoseStamp(round(seconds * SECOND), T, odom)


def tracking(*poses, state=TrackingState.TRACKING):
    return Progress(state=state, poses=list(poses))


def test_nothing_is_expected_without_a_pose():
    assert Progress().predict(SECOND, ODOM) is None and Progress().newest is None
    assert Progress().from_odometry(SECOND, ODOM) is None


def test_one_pose_is_expected_to_stay():
    assert np.array_equal(tracking(at(1)).predict(2 * SECOND, None), A)


@pytest.mark.parametrize(("ahead", "steps"), [(0.1, 0.5), (0.2, 1.0), (0.5, 2.5), (0.6, 3.0), (5.0, 3.0)])
def test_motion_goes_on_for_at_most_three_steps(ahead, steps):
    progress = tracking(at(1), at(1.2, A @ se3_exp(TWIST)))
    assert np.allclose(progress.predict(round((1.2 + ahead) * SECOND), None), A @ se3_exp(TWIST * (1 + steps)))


@pytest.mark.parametrize(("first", "second", "then"), [(1.0, 2.1, 2.2), (1.0, 1.0, 1.1), (1.2, 1.0, 1.1), (1.0, 1.2, 1.2),
                                                       (1.0, 1.2, 1.1)])
def test_motion_does_not_go_on_where_time_says_nothing_of_it(first, second, then):
    progress = tracking(at(first), at(second, A @ se3_exp(TWIST)))
    assert np.array_equal(progress.predict(round(then * SECOND), None), A @ se3_exp(TWIST))


def test_odometry_moves_the_newest_pose():
    progress = tracking(at(1), at(1.2, A, ODOM))
    expected = A @ se3_exp(TWIST)
    assert np.allclose(progress.predict(2 * SECOND, ODOM @ se3_exp(TWIST)), expected)
    assert np.allclose(progress.from_odometry(2 * SECOND, ODOM @ se3_exp(TWIST)), expected)


@pytest.mark.parametrize(("then", "now"), [(ODOM, None), (None, ODOM)])
def test_odometry_at_one_end_says_nothing(then, now):
    progress = tracking(at(1, A @ se3_exp(-TWIST)), at(1.2, A, then))
    assert np.allclose(progress.predict(round(1.4 * SECOND), now), A @ se3_exp(TWIST))
    assert progress.from_odometry(round(1.4 * SECOND), now) is None


@pytest.mark.parametrize(("metres", "fast"), [(1.04, False), (1.06, True)])
@pytest.mark.parametrize("seconds", [0.5])
def test_a_way_is_too_fast_beyond_the_speed_and_5_cm(metres, seconds, fast):
    there = make_se3(A[:3, :3], A[:3, 3] + [0.0, metres, 0.0])
    reason = tracking(at(1)).too_fast(round((1 + seconds) * SECOND), there, CONFIG)
    assert bool(reason) == fast and (not fast or f"{metres / seconds:.1f} m/s" in reason)


@pytest.mark.parametrize(("radians", "fast"), [(1.58, False), (1.62, True)])
def test_a_turn_is_too_fast_beyond_the_rate_and_a_tenth(radians, fast):
    there = A @ make_se3(so3_exp([0.0, radians, 0.0]), [0.0, 0.0, 0.0])
    assert bool(tracking(at(1)).too_fast(round(1.5 * SECOND), there, CONFIG)) == fast


def test_every_pose_is_possible_after_being_lost_or_without_time():
    far = make_se3(np.eye(3), [100.0, 0.0, 0.0])
    assert tracking(at(1)).too_fast(2 * SECOND, far, CONFIG)
    assert tracking(at(1), state=TrackingState.LOST).too_fast(2 * SECOND, far, CONFIG) == ""
    assert Progress(state=TrackingState.TRACKING).too_fast(2 * SECOND, far, CONFIG) == ""
    assert tracking(at(1)).too_fast(SECOND, far, CONFIG) == tracking(at(1)).too_fast(0, far, CONFIG) == ""


def test_a_map_that_has_not_begun_cannot_be_lost():
    progress = Progress()
    update = progress.lose("dark")
    assert progress.state is update.state is TrackingState.INITIALIZING
    assert update.reason == "dark" and update.T_map_rig is None and update.covariance is None
    progress = tracking(at(1))
    assert progress.lose("dark").state is progress.state is TrackingState.LOST


def test_poses_from_before_being_lost_are_forgotten():
    progress = tracking(at(1), at(1.1))
    progress.lose("dark")
    update = progress.accept(at(2, A @ se3_exp(TWIST)), np.eye(6), 0.7)
    assert update.state is TrackingState.RELOCALIZED and update.match_fraction == 0.7
    assert np.array_equal(update.T_map_rig, A @ se3_exp(TWIST)) and np.array_equal(update.covariance, np.eye(6))
    assert [p.stamp_ns for p in progress.poses] == [2 * SECOND]
    for seconds in (2.1, 2.2, 2.3):
        assert progress.accept(at(seconds), np.eye(6), 0.7).state is TrackingState.TRACKING
    assert [p.stamp_ns for p in progress.poses] == [round(2.2 * SECOND), round(2.3 * SECOND)]


def test_a_pose_from_outside_is_where_the_next_frame_is_searched():
    progress, given = tracking(at(1)), A.copy()
    progress.expect(given)
    given[:] = 0.0  # the caller's own
    assert progress.state is TrackingState.LOST and not progress.poses and np.array_equal(progress.initial, A)
    progress.accept(at(2), np.eye(6), 0.5)
    assert progress.initial is None


def test_a_keyframe_puts_the_newest_pose_where_the_graph_has_it():
    progress = tracking(at(1), at(1.1))
    progress.keyframe_added(4, at(1.1, A @ se3_exp(TWIST)))
    assert progress.reference == 4 and [p.stamp_ns for p in progress.poses] == [SECOND, round(1.1 * SECOND)]
    assert np.array_equal(progress.newest.T_map_rig, A @ se3_exp(TWIST)) and np.array_equal(progress.poses[0].T_map_rig, A)


def test_a_keyframe_of_an_earlier_frame_leaves_the_newest_pose():
    progress = tracking(at(1), at(1.1))
    progress.keyframe_added(4, at(0.9, A @ se3_exp(TWIST)))
    assert progress.reference == 4 and [p.stamp_ns for p in progress.poses] == [SECOND, round(1.1 * SECOND)]


def test_a_keyframe_after_a_loop_forgets_where_the_map_was():
    for stamp in (1.1, 0.9):
        progress = tracking(at(1), at(1.1))
        progress.keyframe_added(4, at(stamp), forget=True)
        assert [p.stamp_ns for p in progress.poses] == [round(stamp * SECOND)]


def test_the_first_keyframe_starts_the_map_and_later_ones_change_no_state():
    progress = Progress()
    progress.keyframe_added(0, at(1))
    assert progress.state is TrackingState.TRACKING and progress.newest.stamp_ns == SECOND
    progress.lose("dark")
    progress.keyframe_added(1, at(2))
    assert progress.state is TrackingState.LOST


def test_a_map_that_is_moved_takes_the_expected_poses_along():
    progress, T = tracking(at(1, A, ODOM), at(1.2, A @ se3_exp(TWIST), ODOM)), se3_inverse(ODOM) @ A
    progress.move_map(T)
    assert np.allclose(progress.predict(round(1.4 * SECOND), None), T @ A @ se3_exp(2 * TWIST))
    assert np.allclose(progress.predict(round(1.4 * SECOND), ODOM @ se3_exp(4 * TWIST)), T @ A @ se3_exp(5 * TWIST))
