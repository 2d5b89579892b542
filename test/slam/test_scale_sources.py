# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, transform_points
from lsm_ros.slam.scale import resized
from lsm_ros.slam.scale_sources import (
    _drifting,
    baseline_ratios,
    from_baseline,
    from_heights,
    from_lever,
    from_model,
    from_odometry,
    map_units_per_metre,
)
from lsm_sim.odometry import drifting_odometry

T_RIG_CAM = make_se3(so3_exp([0.1, 0.2, -0.3]), [0.25, 0.1, 1.1])


def drive(turn=0.8, sideways=0.0, n=40):
    """A base that drives arcs, and turns on the spot in between; sideways: way to its left in each step."""
    T, out = np.eye(4), []
    for i in range(n):
        out.append(T)
        yaw = turn * (0.3 if i % 8 < 3 else 0.05) * (-1) ** (i // 12)
        forward = 0.0 if i % 8 < 3 else 0.1
        chord = so3_exp([0, 0, yaw / 2]) @ [forward, sideways * (-1) ** (i // 2), 0]
        T = T @ make_se3(so3_exp([0, 0, yaw]), chord)
    return np.stack(out)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.3])
def test_the_lever_tells_the_scale_of_the_map(scale):
    T = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], scale) for t in drive()])
    found, std = map_units_per_metre(T, T_RIG_CAM)
    assert found == pytest.approx(scale, rel=1e-6) and std < 1e-6
    back = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], 1 / found) for t in T])
    assert np.allclose(back, drive(), atol=1e-6)


def test_noise_shows_in_the_deviation():
    rng = np.random.default_rng(0)
    T = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], 1.5) for t in drive(n=80)])
    T[:, :3, 3] += rng.normal(0, 0.002, (80, 3))
    found, std = map_units_per_metre(T, T_RIG_CAM)
    assert abs(found - 1.5) < 4 * std and 0.001 < std < 0.1


@pytest.mark.parametrize("poses, mount", [
    (drive(turn=0.0), T_RIG_CAM),  # straight on
    (drive(), make_se3(np.eye(3), [0.0, 0.0, 1.1])),  # the camera is above the middle
    (drive(sideways=0.15), T_RIG_CAM)])  # a base that goes sideways
def test_nothing_is_said_where_the_lever_tells_nothing(poses, mount):
    assert map_units_per_metre(poses, mount) is None


def test_the_lever_is_a_source():
    T = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], 1.5) for t in drive()])
    found = from_lever(T, T_RIG_CAM).measurement
    assert found.log_scale == pytest.approx(-np.log(1.5), abs=1e-5)
    assert found.std == pytest.approx(0.005 / np.hypot(0.25, 0.1), rel=1e-3)  # where the camera sits is known to 5 mm
    assert from_lever(drive(turn=0.0), T_RIG_CAM).measurement is None


# odometry


def wander(rng, n=160, step=0.12):
    """Poses (n, 4, 4) of a base that drives curves and turns on the spot now and then."""
    T, out = np.eye(4), []
    for i in range(n):
        out.append(T)
        on_the_spot = i % 40 > 35
        yaw = 0.3 if on_the_spot else 0.12 * np.sin(0.2 * i) + 0.02 * rng.standard_normal()
        chord = so3_exp([0, 0, yaw / 2]) @ [0.0 if on_the_spot else step, 0, 0]
        T = T @ make_se3(so3_exp([0, 0, yaw]), chord)
    return np.stack(out)


def in_map(T_world_base, scale, rng, noise=0.003):
    """T_map_cam (N, 4, 4) of a map with `scale` units in a metre, in a frame of its own, with noise in metres and radians."""
    T = T_world_base @ T_RIG_CAM
    T[:, :3, :3] = T[:, :3, :3] @ so3_exp(noise * rng.standard_normal((len(T), 3)))
    T[:, :3, 3] = scale * (T[:, :3, 3] + noise * rng.standard_normal((len(T), 3)))
    return make_se3(so3_exp([0.5, 0.1, 2.0]), [1.0, 2.0, 3.0]) @ T


def measured(seed, scale=2.3, std=0.01, change=lambda T, rng: T, **errors):
    """The report by odometry that drifts and, after `change`, does worse."""
    rng = np.random.default_rng(seed)
    truth = wander(rng)
    odometry = change(drifting_odometry(truth, rng, scale_error=0.01, **errors), rng) @ T_RIG_CAM
    return from_odometry(in_map(truth, scale, rng), odometry, np.zeros(len(truth), int), std)


@pytest.mark.parametrize("errors", [{}, {"slips": 2}, {"noise": 0.1}], ids=["rolling", "slipping", "rough"])
def test_the_deviation_by_odometry_is_what_it_errs(errors):
    """Chi-square of the normalised errors of 50 runs, 99 % bounds of 50 degrees of freedom: 28 and 79.5."""
    runs = [measured(seed, **errors).measurement for seed in range(50)]
    normalised = np.array([(m.log_scale + np.log(2.3)) / m.std for m in runs])
    assert 28 < float(normalised @ normalised) < 79.5
    assert max(m.std for m in runs) < 0.02


def test_the_size_of_the_wheels_is_never_known_better():
    assert measured(0, noise=0.0).measurement.std >= 0.01


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
def test_any_unit_of_the_map(scale):
    assert measured(1, scale).measurement.log_scale == pytest.approx(-np.log(scale), abs=0.04)


def test_odometry_that_stops_is_left_out_while_it_does():
    def stuck(T, rng):
        moves = se3_inverse(T[:-1]) @ T[1:]
        moves[50:90] = np.eye(4)
        return np.stack(chained(moves))

    found = measured(2, change=stuck).measurement
    assert abs(found.log_scale + np.log(2.3)) < 3 * found.std


def chained(moves):
    out = [np.eye(4)]
    for move in moves:
        out.append(out[-1] @ move)
    return out


def test_odometry_that_stands_still_for_most_of_the_way_has_no_say():
    def stuck(T, rng):
        moves = se3_inverse(T[:-1]) @ T[1:]
        moves[30:] = np.eye(4)
        return np.stack(chained(moves))

    found = measured(3, change=stuck)
    assert found.measurement is None and "stands still while the camera moves" in found.reason


def test_odometry_that_never_moves_has_no_say():
    found = measured(3, change=lambda T, rng: np.tile(np.eye(4), (len(T), 1, 1)))
    assert found.measurement is None and "stands still while the camera moves" in found.reason


def test_odometry_that_feels_no_turns_has_no_say():
    def straight(T, rng):
        moves = se3_inverse(T[:-1]) @ T[1:]
        moves[:, :3, :3] = np.eye(3)
        return np.stack(chained(moves))

    rng = np.random.default_rng(8)
    truth = np.stack(chained(np.tile(make_se3(so3_exp([0, 0, 0.06]), [0.12, 0, 0]), (100, 1, 1))))
    found = from_odometry(in_map(truth, 1.0, rng), straight(truth, rng) @ T_RIG_CAM, np.zeros(len(truth), int), 0.01)
    assert found.measurement is None and "turns or moves otherwise" in found.reason


def test_odometry_of_another_robot_has_no_say():
    found = measured(4, change=lambda T, rng: wander(np.random.default_rng(99))[::-1])
    assert found.measurement is None and "turns or moves otherwise" in found.reason


def test_jumps_within_a_stretch_are_outliers_and_breaks_are_not_bridged():
    def jump(T, rng):
        T = T.copy()
        for at in (40, 80, 120):
            T[at:] = make_se3(so3_exp([0, 0, 1.0]), [5.0, 0, 0]) @ T[at:]
        return T

    rng = np.random.default_rng(5)
    truth = wander(rng)
    T_map, odometry = in_map(truth, 2.3, rng), jump(truth, rng) @ T_RIG_CAM
    segments = np.searchsorted([40, 80, 120], np.arange(len(truth)), side="right")
    for segment in (np.zeros(len(truth), int), segments):
        found = from_odometry(T_map, odometry, segment, 0.01).measurement
        assert abs(found.log_scale + np.log(2.3)) < 0.02
    odometry = truth @ T_RIG_CAM  # a break between all poses: nothing is known of any way
    assert from_odometry(T_map, odometry, np.arange(len(truth)), 0.01).measurement is None


def test_odometry_that_starts_anew_all_the_time_is_used_in_between():
    rng = np.random.default_rng(9)
    truth = wander(rng)
    segments = np.arange(len(truth)) // 6  # about 0.6 m each
    starts = make_se3(so3_exp(rng.uniform(-3, 3, (30, 1)) * [0, 0, 1]), rng.uniform(-9, 9, (30, 3)))
    odometry = starts[segments] @ truth @ T_RIG_CAM
    found = from_odometry(in_map(truth, 2.3, rng), odometry, segments, 0.01).measurement
    assert abs(found.log_scale + np.log(2.3)) < 0.02
    assert from_odometry(in_map(truth, 2.3, rng), odometry, 0 * segments, 0.01).measurement is None


def test_ways_that_fit_nowhere_have_no_say():
    rng = np.random.default_rng(6)
    truth = wander(rng)
    moves = se3_inverse(truth[:-1]) @ truth[1:]
    moves[:, :3, 3] *= np.exp(rng.normal(0, 1.0, len(moves) // 10 + 1).repeat(10)[:len(moves), None])
    found = from_odometry(in_map(truth, 1.0, rng), np.stack(chained(moves)) @ T_RIG_CAM, np.zeros(len(truth), int), 0.01)
    assert found.measurement is None and "differs by" in found.reason


def test_a_map_whose_scale_has_drifted_says_so():
    rng = np.random.default_rng(10)
    truth = wander(rng)
    T_map = in_map(truth, 1.0, rng)
    good = from_odometry(T_map, truth @ T_RIG_CAM, np.zeros(len(truth), int), 0.01)
    assert good.drift == 0.0 and good.reason == ""
    for first, drifted in ((120, True), (150, False)):  # of many windows, or of hardly one
        bent = T_map.copy()
        bent[first:, :3, 3] = bent[first, :3, 3] + 1.5 * (bent[first:, :3, 3] - bent[first, :3, 3])
        found = from_odometry(bent, truth @ T_RIG_CAM, np.zeros(len(truth), int), 0.01)
        assert abs(found.measurement.log_scale) < 0.04
        assert bool(abs(found.drift + np.log(1.5)) < 0.05) is drifted
        assert ("lengths in its newest part are 1.5" in found.reason) is drifted


def test_two_stretches_that_slip_are_no_drift():
    ratios = np.r_[0.01 * np.random.default_rng(0).standard_normal(20), 0.5, 0.0, 0.5, 0.5]
    found = from_heights(np.exp(-ratios), 1.0, 0.01)
    assert _drifting(found, ratios).drift == 0.0
    assert _drifting(found, np.r_[ratios, 0.5, 0.5, 0.5]).drift == pytest.approx(0.5, abs=0.02)


def test_a_short_way_says_nothing_yet():
    rng = np.random.default_rng(7)
    truth = wander(rng, n=20)
    found = from_odometry(in_map(truth, 1.0, rng), truth @ T_RIG_CAM, np.zeros(20, int), 0.01)
    assert found.measurement is None and found.reason == ""


# the others


def test_a_model_knows_its_deviation_or_is_no_source():
    assert from_model("depth", 0.01).measurement.std == 0.01
    assert from_model("model", float("nan")).measurement is None


def test_heights_over_the_floor():
    normalised = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        truth = 1.1 + 0.02 * rng.standard_normal()  # what a tape measure says is off by as much
        heights = 0.7 * truth * np.exp(0.03 * rng.standard_normal(12)) * (1 + FLOOR * rng.standard_normal())
        heights[3] *= 0.5  # a table
        found = from_heights(heights, 1.1, 0.02).measurement
        normalised.append((found.log_scale + np.log(0.7)) / found.std)
    assert 28 < float(np.square(normalised).sum()) < 79.5
    assert from_heights(np.array([1.0, 1.0, np.nan, 0.0]), 1.1, 0.02).measurement is None


FLOOR = 0.005


def test_the_baseline_of_two_cameras():
    """Points whose depth the map has in its own unit, seen by two cameras of a rig."""
    T_a_b = make_se3(so3_exp([0.02, -0.1, 0.01]), [0.3, 0.01, 0.02])
    normalised = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        points = np.c_[rng.uniform(-1, 1, (200, 2)), rng.uniform(1, 4, 200)]
        in_b = transform_points(se3_inverse(T_a_b), points)
        rays = [p / p[:, 2:] + np.c_[rng.normal(0, 0.001, (200, 2)), np.zeros(200)] for p in (points, in_b)]
        rays[1][:20] = rays[1][20:40]  # wrong matches
        ratio, std = baseline_ratios(rays[0], rays[1], 1.7 * points[:, 2], T_a_b, 0.001)
        found = from_baseline(ratio, std).measurement
        normalised.append((found.log_scale + np.log(1.7) - 0.01 * rng.standard_normal()) / found.std)
    assert 28 < float(np.square(normalised).sum()) < 79.5
    assert found.std < 0.02


def test_what_a_baseline_does_not_place_is_left_out():
    ray = np.array([[0.1, 0.0, 1.0]])
    far, _ = baseline_ratios(ray, ray, np.array([50.0]), make_se3(np.eye(3), [0.1, 0, 0]), 0.002)
    assert np.isnan(far).all()
    far, std = baseline_ratios(ray, ray - [[0.002, 0, 0]], np.array([50.0]), make_se3(np.eye(3), [0.1, 0, 0]), 0.002)
    assert np.isnan(far).all() and std > 1
    behind, _ = baseline_ratios(ray, ray + [[0.1, 0, 0]], np.array([1.0]), make_se3(np.eye(3), [0.1, 0, 0]), 0.002)
    assert np.isnan(behind).all()
    assert from_baseline(np.full(100, np.nan), np.ones(100)).measurement is None
