# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.scale import ScaleEstimate, ScaleLock, ScaleMeasurement, combine, resized

T_RIG_CAM = make_se3(so3_exp([0.1, 0.2, -0.3]), [0.25, 0.1, 1.1])


def by(**sources):
    """Measurements from name=(log_scale, std)."""
    return [ScaleMeasurement(name, *values) for name, values in sources.items()]


class TestCombining:
    def test_inverse_variances(self):
        found = combine(by(model=(0.1, 0.1), odometry=(0.0, 0.01), camera_height=(0.03, 0.02)))
        weight = np.array([100.0, 10000.0, 2500.0])
        assert found.log_scale == pytest.approx(weight @ [0.1, 0.0, 0.03] / weight.sum())
        assert found.std == pytest.approx(weight.sum() ** -0.5)
        assert found.sources == ("odometry", "camera_height", "model") and found.contradiction == ""

    def test_the_deviation_is_what_it_errs(self):
        """Chi-square of 200 estimates, 99 % bounds: 152 and 255."""
        rng = np.random.default_rng(0)
        stds = {"model": 0.1, "odometry": 0.01, "lever": 0.03, "camera_height": 0.015}
        found = [combine([ScaleMeasurement(n, s * rng.standard_normal(), s) for n, s in stds.items()]) for _ in range(200)]
        errors = sum((f.log_scale / f.std) ** 2 for f in found if not f.contradiction)
        assert 152 < errors < 255 and sum(bool(f.contradiction) for f in found) < 10

    def test_nothing_from_nothing(self):
        assert combine([]) is None

    def test_the_odd_one_out_is_left_out_and_named(self):
        found = combine(by(odometry=(0.3, 0.01), camera_height=(0.0, 0.02), lever=(0.01, 0.03)))
        assert found.sources == ("camera_height", "lever") and abs(found.log_scale) < 0.01
        assert "odometry is left out" in found.contradiction
        assert "by odometry lengths are 1.35 times those by camera_height" in found.contradiction

    def test_of_two_that_disagree_nobody_knows_which_is_right(self):
        found = combine(by(odometry=(0.05, 0.01), depth=(0.0, 0.01)))
        assert found.log_scale == pytest.approx(0.025) and found.std > 0.025
        assert "odometry" in found.contradiction and "depth" in found.contradiction and not found.is_exact

    def test_two_against_two(self):
        found = combine(by(odometry=(0.2, 0.01), lever=(0.21, 0.02), camera_height=(0.0, 0.02), depth=(0.0, 0.01)))
        assert len(found.sources) == 4 and found.std > 0.09 and "nothing says who is right" in found.contradiction

    def test_three_deviations_of_the_difference_are_no_contradiction(self):
        apart = np.hypot(0.01, 0.02)
        assert combine(by(a=(0, 0.01), b=(2.99 * apart, 0.02))).contradiction == ""
        assert combine(by(a=(0, 0.01), b=(3.01 * apart, 0.02))).contradiction != ""

    @pytest.mark.parametrize("values", [(0.0, 0.0), (float("nan"), 0.1), (0.0, float("nan")), (0.0, -1.0), (float("inf"), 1.0)])
    def test_what_is_no_measurement_is_refused(self, values):
        with pytest.raises(ValueError, match="lever"):
            ScaleMeasurement("lever", *values)


class TestLock:
    def test_locks_below_two_percent(self):
        lock = ScaleLock()
        assert lock.update(None) is None and lock.update(ScaleEstimate(0.5, 0.021, ("odometry",))) is None
        assert lock.locked is None
        assert lock.update(ScaleEstimate(0.5, 0.019, ("odometry",))) == pytest.approx(np.exp(0.5))
        assert lock.locked.log_scale == 0.0 and lock.locked.std == 0.019

    @pytest.mark.parametrize(("off", "std", "again"), [
        (0.03, 0.01, False),  # more than 2 %, not three deviations
        (0.019, 0.001, False),  # three deviations, not 2 %
        (0.05, 0.01, True), (-0.05, 0.01, True),
        (0.5, 0.03, False)])  # not exact itself
    def test_locks_again_only_where_it_is_sure_to_be_off(self, off, std, again):
        lock = ScaleLock()
        lock.update(ScaleEstimate(-1.0, 0.01 if std == 0.01 else 0.001, ("odometry",)))
        factor = lock.update(ScaleEstimate(off, std, ("odometry", "lever")))
        assert factor == (pytest.approx(np.exp(off)) if again else None)
        assert (lock.locked.sources == ("odometry", "lever")) is again


def test_poses_between_keyframes_grow_with_the_map():
    view = KeyframeView("front", None, None, T_RIG_CAM, np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    first, then = make_se3(so3_exp([0, 0, 0.4]), [0.3, 0.1, 0]), make_se3(so3_exp([0, 0, 0.7]), [0.4, 0.15, 0])
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    graph.add(Keyframe(0, 0, first, {"front": view}))
    history = PoseHistory()
    history.add(7, then, graph, 0)
    centre = np.array([0.3, -0.2, 0.9])
    graph.keyframes[0].T_map_rig = resized(first, T_RIG_CAM, centre, 1.7)
    graph.keyframes[0].size = 1.7
    (pose,) = history.final(graph)
    assert np.allclose(pose.T_map_rig, resized(then, T_RIG_CAM, centre, 1.7))
    assert np.allclose(history.online()[0].T_map_rig, then)
