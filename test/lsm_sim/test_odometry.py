# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Wheel odometry: exact without errors, drifting with them, blind to kidnapping."""
import numpy as np
import pytest
from helpers.hand_made import furnished, ring_world

from lsm_ros.geometry.lie import is_se3, se3_inverse
from lsm_sim.events import Event
from lsm_sim.odometry import drifting_odometry
from lsm_sim.paths import plan_path

NONE = {"scale_error": 0.0, "yaw_error": 0.0, "noise": 0.0}


@pytest.fixture(scope="module")
def poses():
    return plan_path(ring_world(), rounds=1).T_world_base


def errors(poses, count=30, **kwargs):
    """Distances (count, N) from the truth, both from the start."""
    truth = se3_inverse(poses[0]) @ poses
    reported = np.array([drifting_odometry(poses, np.random.default_rng(s), **kwargs) for s in range(count)])
    return np.linalg.norm((reported - truth)[:, :, :2, 3], axis=2)


class TestDriftingOdometry:
    def test_without_errors_it_is_the_truth(self, poses):
        reported = drifting_odometry(poses, np.random.default_rng(0), **NONE)
        np.testing.assert_allclose(reported, se3_inverse(poses[0]) @ poses, atol=1e-9)

    def test_starts_with_the_identity_and_stays_rigid(self, poses):
        reported = drifting_odometry(poses, np.random.default_rng(0))
        np.testing.assert_array_equal(reported[0], np.eye(4))
        assert np.all(is_se3(reported))

    def test_scale_is_off_all_the_way(self, poses):
        reported = drifting_odometry(poses, np.random.default_rng(5), scale_error=0.1, yaw_error=0, noise=0)
        truth = se3_inverse(poses[0]) @ poses
        ratio = np.linalg.norm(reported[500:2000, :2, 3], axis=1) / np.linalg.norm(truth[500:2000, :2, 3], axis=1)
        assert np.ptp(ratio) < 1e-9 and abs(ratio[0] - 1) > 0.01

    def test_drift_grows_with_the_way(self, poses):
        error = errors(poses, scale_error=0, yaw_error=0)
        quarter = len(poses) // 4
        assert error[:, -1].mean() > 1.5 * error[:, quarter].mean() > 0
        assert 0.005 < error[:, -1].mean() < 1.0

    def test_noise_does_not_depend_on_the_steps(self, poses):
        fine = errors(poses, 60, scale_error=0, yaw_error=0)[:, -1].mean()
        coarse = errors(poses[::10], 60, scale_error=0, yaw_error=0)[:, -1].mean()
        assert coarse == pytest.approx(fine, rel=0.5)

    def test_slips_make_the_way_longer(self, poses):
        def way(T):
            return np.linalg.norm(np.diff(T[:, :2, 3], axis=0), axis=1).sum()
        slipped = [way(drifting_odometry(poses, np.random.default_rng(s), **NONE, slips=3)) for s in range(5)]
        assert min(slipped) > 1.005 * way(poses)

    def test_kidnapping_goes_unnoticed(self):
        path = plan_path(furnished(), length_m=10, events=[Event("kidnap", 6, 1.0)])
        reported = drifting_odometry(path.T_world_base, np.random.default_rng(0), jumps=path.jumps)
        assert np.linalg.norm(np.diff(reported[:, :2, 3], axis=0), axis=1).max() < 0.02
        seen = drifting_odometry(path.T_world_base, np.random.default_rng(0))
        assert np.linalg.norm(np.diff(seen[:, :2, 3], axis=0), axis=1).max() > 1.0

    def test_same_seed_same_odometry(self, poses):
        a, b, c = (drifting_odometry(poses, np.random.default_rng(s)) for s in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)

    @pytest.mark.parametrize("count", [0, 1])
    def test_few_poses(self, count):
        assert drifting_odometry(np.tile(np.eye(4), (count, 1, 1)), np.random.default_rng(0)).shape == (count, 4, 4)

    def test_bad_input(self, poses):
        rng = np.random.default_rng(0)
        with pytest.raises(ValueError, match="level floor"):
            drifting_odometry(plan_path(furnished(), "hand", length_m=3).T_world_base, rng)
        with pytest.raises(ValueError, match="0 or more"):
            drifting_odometry(poses, rng, noise=-1)
        with pytest.raises(ValueError, match="jumps"):
            drifting_odometry(poses, rng, jumps=[0])
        with pytest.raises(ValueError, match="shape"):
            drifting_odometry(np.eye(4), rng)
