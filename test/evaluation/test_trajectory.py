# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import sys

import numpy as np
import pytest

from lsm_ros.evaluation import trajectory
from lsm_ros.evaluation.trajectory import associate, choose_time_offset, evaluate, pairs_per_metre, relative_errors
from lsm_ros.geometry import make_se3, matrix_to_quat, quat_to_matrix, se3_exp, so3_exp, transform_points
from lsm_ros.types import TrajectoryPose

pytest.importorskip("evo")
STEP_NS = 33_333_333


def curve(n=90, seed=0):
    """Poses along a bent path of a few metres, 30 a second."""
    s = np.linspace(0, 3, n)
    return [TrajectoryPose(i * STEP_NS, make_se3(so3_exp([0.1 * a, 0.3 * np.sin(a), a]),
                                                 [np.cos(a) * 2, np.sin(1.7 * a), 0.4 * np.sin(3 * a)]))
            for i, a in enumerate(s)]


def moved(poses, T, scale=1.0, offset_ns=0):
    """The same trajectory in another world, at another scale, with stamps moved."""
    out = []
    for p in poses:
        q = p.T_map_rig.copy()
        q[:3, 3] *= scale
        out.append(TrajectoryPose(p.stamp_ns + offset_ns, T @ q))
    return out


T_WORLD = se3_exp([3.0, -1.0, 0.5, 0.4, -0.9, 2.0])


class TestAssociate:
    def test_nearest_within_max_dt(self):
        a = [TrajectoryPose(t, np.eye(4)) for t in (0, 100, 200, 900)]
        b = [TrajectoryPose(t, np.eye(4)) for t in (10, 95, 260, 500)]
        assert associate(a, b, 20) == [(0, 0), (1, 1)]
        assert associate(a, b, 60) == [(0, 0), (1, 1), (2, 2)]

    def test_each_pose_once_and_the_nearer_wins(self):
        a = [TrajectoryPose(t, np.eye(4)) for t in (0, 8)]
        b = [TrajectoryPose(10, np.eye(4))]
        assert associate(a, b, 20) == [(1, 0)]

    def test_unsorted_truth_and_offset(self):
        a = [TrajectoryPose(t + 1000, np.eye(4)) for t in (0, 100)]
        b = [TrajectoryPose(t, np.eye(4)) for t in (100, 0)]
        assert associate(a, b, 5) == []
        assert associate(a, b, 5, time_offset_ns=1000) == [(0, 1), (1, 0)]

    def test_nothing(self):
        assert associate([], curve()) == [] and associate(curve(), []) == []


class TestEvaluate:
    def test_quaternions_with_w_first_are_refused(self):
        truth = [TrajectoryPose(p.stamp_ns, p.T_map_rig.copy()) for p in curve()]
        for p in truth:
            p.T_map_rig[:3, :3] = quat_to_matrix(np.roll(matrix_to_quat(p.T_map_rig[:3, :3]), 1))  # as if w were x
        with pytest.raises(ValueError, match="w first.*# stamp tx ty tz qw qx qy qz"):
            evaluate(moved(curve(), T_WORLD), truth)

    def test_rotations_that_are_wrong_in_another_way_are_errors(self):
        truth = [TrajectoryPose(p.stamp_ns, p.T_map_rig @ make_se3(so3_exp([0, 0, 0.02 * i]), np.zeros(3)))
                 for i, p in enumerate(curve())]
        assert evaluate(curve(), truth).rpe_rotation_rad["second"].median > trajectory.LARGE_TURN

    def test_similarity_is_found_exactly(self):
        truth = curve()
        errors = evaluate(moved(truth, T_WORLD, scale=0.5), truth)
        assert errors.matched == len(truth) and errors.scale == pytest.approx(2.0, rel=1e-9)
        assert errors.ate_m["sim3"].rmse < 1e-9 and errors.ate_m["se3"].rmse > 0.1 and errors.ate_m["none"].rmse > 1.0

    def test_rigid_motion_has_no_error_but_without_alignment(self):
        truth = curve()
        errors = evaluate(moved(truth, T_WORLD), truth)
        assert errors.ate_m["se3"].max < 1e-9 and errors.ate_m["origin"].max < 1e-9
        assert np.allclose(errors.T_truth_estimate, np.linalg.inv(T_WORLD), atol=1e-9)
        assert errors.rpe_translation_m["metre"].max < 1e-9 and errors.rpe_rotation_rad["second"].max < 1e-6

    def test_known_offset_without_alignment(self):
        truth = curve()
        errors = evaluate(moved(truth, make_se3(np.eye(3), [0.3, 0.0, -0.4])), truth, alignments=["none"])
        assert list(errors.ate_m) == ["none"]
        for key in ("rmse", "mean", "median", "max"):
            assert getattr(errors.ate_m["none"], key) == pytest.approx(0.5)

    def test_statistics_of_a_single_outlier(self):
        truth = curve()
        estimate = list(truth)
        T = truth[40].T_map_rig.copy()
        T[0, 3] += 1.0
        estimate[40] = TrajectoryPose(truth[40].stamp_ns, T)
        none = evaluate(estimate, truth).ate_m["none"]
        assert none.median == 0 and none.max == pytest.approx(1.0)
        assert none.mean == pytest.approx(1 / 90) and none.rmse == pytest.approx(np.sqrt(1 / 90))

    def test_drift_per_metre(self):
        """A scale error of 2 % is an error of 2 cm on each straight metre."""
        truth = [TrajectoryPose(i * STEP_NS, make_se3(np.eye(3), [0.05 * i, 0, 0])) for i in range(100)]
        errors = evaluate(moved(truth, np.eye(4), scale=1.02), truth)
        assert errors.rpe_translation_m["metre"].mean == pytest.approx(0.02, rel=1e-6)
        assert errors.rpe_translation_m["second"].mean == pytest.approx(0.02 * 1.5, rel=1e-6)
        assert errors.path_m == pytest.approx(4.95)
        assert "sim3" not in errors.ate_m and errors.scale is None  # on one line nothing fixes the roll

    def test_agrees_with_evo(self):
        from evo.core.metrics import RPE, PoseRelation, Unit
        from evo.core.trajectory import PosePath3D

        truth, rng = curve(), np.random.default_rng(0)
        T_truth = np.stack([p.T_map_rig for p in truth])
        T_estimate = np.stack([T @ se3_exp(rng.normal(0, 0.02, 6)) for T in T_truth])
        metric = RPE(PoseRelation.translation_part, 5, Unit.frames, all_pairs=True)
        metric.process_data((PosePath3D(poses_se3=list(T_truth)), PosePath3D(poses_se3=list(T_estimate))))
        pairs = np.column_stack([np.arange(85), np.arange(85) + 5])
        assert np.allclose(relative_errors(T_estimate, T_truth, pairs)[0], metric.error[:85], atol=1e-12)

    def test_few_matches_name_the_times(self):
        with pytest.raises(ValueError, match=r"only 0 poses match.*trajectory has 90 poses from 100\.000 s.*truth 90"):
            evaluate(moved(curve(), np.eye(4), offset_ns=100_000_000_000), curve())

    def test_unknown_alignment(self):
        with pytest.raises(ValueError, match="'sim2' is none of sim3"):
            evaluate(curve(), curve(), alignments=["sim2"])

    def test_without_evo(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "evo.core.metrics", None)
        with pytest.raises(ValueError, match=r"pip install lsm_ros\[eval\]"):
            evaluate(curve(), curve())


def test_pairs_leave_out_holes():
    x = np.concatenate([np.arange(0, 2.01, 0.1), np.arange(9, 11.01, 0.1)])
    pairs = pairs_per_metre(np.column_stack([x, 0 * x, 0 * x]))
    lengths = x[pairs[:, 1]] - x[pairs[:, 0]]
    assert len(pairs) == 22 and lengths.min() == pytest.approx(1.0) and lengths.max() == pytest.approx(1.0)


def test_time_offset_is_taken_only_if_it_fits():
    truth = curve()
    offset = 1_700_000_000_000_000_000
    assert choose_time_offset(moved(truth, np.eye(4), offset_ns=offset), truth, offset) == offset
    assert choose_time_offset(truth, truth, offset) == 0


def test_points_of_the_aligned_map_lie_on_the_truth():
    truth = curve()
    estimate = moved(truth, T_WORLD)
    T = trajectory.evaluate(estimate, truth).T_truth_estimate
    assert np.allclose(transform_points(T, estimate[7].T_map_rig[:3, 3]), truth[7].T_map_rig[:3, 3], atol=1e-9)
