# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_log
from lsm_ros.slam.graph.bundle import (
    BundleProblem,
    _focal_deviation,
    _group,
    _linearize,
    _Noise,
    _normal_equations,
    _solve,
    bundle_adjust,
)

FOCAL = 500.0


def scene(noise_px: float = 0.0, keyframes: int = 4, seed: int = 0, cameras: int = 1, depth_noise: float = 0.0):
    """A problem whose truth is known: keyframes along a line, landmarks anchored in turn, every landmark seen by all."""
    rng = np.random.default_rng(seed)
    T = np.stack([make_se3(np.eye(3), [0.15 * k, 0.02 * k, 0.0]) @ se3_exp(np.r_[np.zeros(3), 0.05 * rng.standard_normal(3)])
                  for k in range(keyframes)])
    T_rig_cams = [np.eye(4), make_se3(np.eye(3), [0.1, 0.0, 0.0])][:cameras]
    points = np.c_[rng.uniform(-1, 1.5, 80), rng.uniform(-1, 1, 80), rng.uniform(2, 4, 80)]
    anchor = np.arange(80) % keyframes
    camera = np.arange(80) % cameras
    in_anchor = np.stack([(se3_inverse(T[a] @ T_rig_cams[c]) @ np.r_[p, 1])[:3]
                          for p, a, c in zip(points, anchor, camera, strict=True)])
    landmark, keyframe, seen_by, normalized, depth = [], [], [], [], []
    for i, p in enumerate(points):
        for k in range(keyframes):
            if k == anchor[i] and cameras == 1:
                continue
            c = rng.integers(cameras)
            q = (se3_inverse(T[k] @ T_rig_cams[c]) @ np.r_[p, 1])[:3]
            landmark.append(i)
            keyframe.append(k)
            seen_by.append(c)
            normalized.append(q[:2] / q[2] + rng.standard_normal(2) * noise_px / FOCAL)
            depth.append(1 / (1 / q[2] + depth_noise * rng.standard_normal()) if rng.random() < 0.5 else np.nan)
    rho = 1 / in_anchor[:, 2]
    fixed = np.zeros(keyframes, bool)
    fixed[0] = True
    measured = rho + depth_noise * rng.standard_normal(80)
    problem = BundleProblem(T, fixed, np.stack(T_rig_cams), anchor, camera, in_anchor / in_anchor[:, 2:], rho, measured,
                            np.array(landmark), np.array(keyframe), np.array(seen_by), np.array(normalized),
                            np.full((len(landmark), 2), FOCAL), np.array(depth))
    return problem, T.copy(), rho.copy()


def disturbed(problem: BundleProblem, seed: int = 1) -> BundleProblem:
    rng = np.random.default_rng(seed)
    for k in range(1, len(problem.T_map_rig)):
        shake = se3_exp(np.r_[0.03 * rng.standard_normal(3), 0.02 * rng.standard_normal(3)])
        problem.T_map_rig[k] = problem.T_map_rig[k] @ shake
    problem.inverse_depth = problem.inverse_depth * rng.uniform(0.95, 1.05, len(problem.inverse_depth))
    return problem


@pytest.mark.parametrize("cameras", [1, 2])
def test_recovers_the_truth_from_exact_measurements(cameras):
    problem, T, rho = scene(cameras=cameras)
    result = bundle_adjust(disturbed(problem), 1.0, 0.002, iterations=15)
    assert np.abs(result.T_map_rig - T).max() < 1e-6
    assert np.abs(result.inverse_depth - rho).max() < 1e-6
    assert result.inliers.all()


def test_fixed_keyframes_stay_and_the_cost_never_rises():
    problem, _, _ = scene(noise_px=0.5, depth_noise=0.001)
    disturbed(problem)
    before = problem.T_map_rig[0].copy()
    result = bundle_adjust(problem, 1.0, 0.002)
    assert np.array_equal(result.T_map_rig[0], before)
    assert all(b <= a for a, b in zip(result.costs, result.costs[1:], strict=False))
    assert result.costs[-1] < 0.1 * result.costs[0]


def test_noise_averages_out():
    problem, T, _ = scene(noise_px=0.5, depth_noise=0.001)
    result = bundle_adjust(disturbed(problem), 1.0, 0.002, iterations=12)
    for k in range(1, 4):
        E = se3_inverse(T[k]) @ result.T_map_rig[k]
        assert np.linalg.norm(E[:3, 3]) < 0.003
        assert np.linalg.norm(so3_log(E[:3, :3])) < 0.002


def test_outliers_are_named_and_do_not_move_the_poses():
    problem, T, _ = scene(noise_px=0.3, depth_noise=0.0005)
    bad = np.arange(0, len(problem.landmark), 10)
    problem.normalized[bad] += 40.0 / FOCAL
    result = bundle_adjust(disturbed(problem), 1.0, 0.002, iterations=15)
    assert not result.inliers[bad].any()
    assert result.inliers.mean() > 0.85
    assert np.abs(result.T_map_rig[:, :3, 3] - T[:, :3, 3]).max() < 0.005


@pytest.mark.parametrize("cameras", [1, 2])
def test_derivatives_equal_differences(cameras):
    problem, T, rho = scene(noise_px=0.5, depth_noise=0.001, cameras=cameras)
    problem.focal_std = 1e-3  # so that its own part of the slope shows
    groups, noise = _group(problem), _Noise(1.0, 0.002, 1e9)  # without Huber weights the cost is a sum of squares
    log_focal, eps = 0.02, 1e-6

    def cost(T, rho, log_focal):
        return _linearize(problem, groups, noise, T, rho, log_focal).cost

    state = _linearize(problem, groups, noise, T, rho, log_focal)
    system = _normal_equations(problem, groups, state)
    for k in (1, 2, 3):
        for axis in range(6):
            ends = [T.copy(), T.copy()]
            for moved, sign in zip(ends, (1, -1), strict=True):
                moved[k] = T[k] @ se3_inverse(se3_exp(sign * eps * np.eye(6)[axis]))
            numeric = (cost(ends[0], rho, log_focal) - cost(ends[1], rho, log_focal)) / (2 * eps)
            assert numeric == pytest.approx(system.gradient[6 * (k - 1) + axis], rel=1e-4, abs=1e-2)
    for i in (0, 7, 31):
        step = eps * (np.arange(len(rho)) == i)
        numeric = (cost(T, rho + step, log_focal) - cost(T, rho - step, log_focal)) / (2 * eps)
        assert numeric == pytest.approx(system.gradient_rho[i], rel=1e-4, abs=1e-2)
    numeric = (cost(T, rho, log_focal + eps) - cost(T, rho, log_focal - eps)) / (2 * eps)
    assert numeric == pytest.approx(system.gradient[-1], rel=1e-4)


@pytest.mark.parametrize("cameras", [1, 2])
def test_normal_equations_equal_those_of_a_dense_jacobian(cameras):
    problem, T, rho = scene(noise_px=0.5, depth_noise=0.001, cameras=cameras)
    problem.focal_std, noise, eps = 0.1, _Noise(1.0, 0.002, 1e9), 1e-6
    groups = _group(problem)

    def residuals(x):
        moved = T.copy()
        for k in (1, 2, 3):
            moved[k] = T[k] @ se3_inverse(se3_exp(x[6 * k - 6:6 * k]))
        s = _linearize(problem, groups, noise, moved, rho + x[19:], x[18])
        return np.concatenate([s.residual.ravel(), s.prior_residual, [x[18] / problem.focal_std]])

    J = np.stack([(residuals(e) - residuals(-e)) / (2 * eps) for e in eps * np.eye(19 + len(rho))], 1)
    full, gradient = J.T @ J, J.T @ residuals(np.zeros(19 + len(rho)))
    system = _normal_equations(problem, groups, _linearize(problem, groups, noise, T, rho, 0.0))
    expected = np.linalg.solve(full + 1e-9 * np.eye(len(full)), -gradient)
    poses, d_rho, focal = _solve(system, 0.0)
    assert np.abs(np.concatenate([poses.ravel(), [focal], d_rho]) - expected).max() < 1e-4 * np.abs(expected).max()
    assert _focal_deviation(system) == pytest.approx(np.sqrt(np.linalg.inv(full)[18, 18]), rel=1e-3)


def test_a_wrong_focal_length_is_found():
    problem, T, rho = scene(noise_px=0.2, keyframes=6)
    problem.measured[:], problem.depth[:] = np.nan, np.nan  # colour alone
    problem.rays = problem.rays * (1 / 1.1, 1 / 1.1, 1.0)  # as a focal length of 1.1 times the right one tells it
    problem.normalized = problem.normalized / 1.1
    problem.focal = problem.focal * 1.1
    problem.focal_std = 1.0
    result = bundle_adjust(disturbed(problem), 1.0, 1.0, iterations=40)
    assert result.log_focal == pytest.approx(np.log(1 / 1.1), abs=max(0.01, 4 * result.log_focal_std))
    assert 0 < result.log_focal_std < 0.03


def test_without_a_fixed_keyframe_it_refuses():
    problem, _, _ = scene()
    problem.fixed[:] = False
    with pytest.raises(ValueError, match="fixed"):
        bundle_adjust(problem, 1.0, 0.002)


def test_a_guess_holds_in_the_logarithm():
    """Regression: a guess that counted linearly cost little at infinity, and the scale ran away in turns on the spot."""
    problem, _, rho = scene(keyframes=3)
    problem.depth[:], problem.measured, problem.guess_std = np.nan, rho * 2.0, np.full(80, 3.0)
    groups, noise = _group(problem), _Noise(1.0, 0.001, 1.345)
    near, far, again = (_linearize(problem, groups, noise, problem.T_map_rig, problem.measured * f) for f in (1e2, 1e-2, 1.0))
    assert np.allclose(near.prior_residual, np.log(1e2) / 3) and np.allclose(far.prior_residual, -near.prior_residual)
    assert np.allclose(again.prior_residual, 0)
    step = 1e-6 * problem.measured
    ahead = _linearize(problem, groups, noise, problem.T_map_rig, problem.measured + step)
    assert np.allclose((ahead.prior_residual - again.prior_residual) / step, again.prior_slope, rtol=1e-4)


def test_a_weak_guess_gives_way_to_parallax():
    problem, truth, rho = scene(noise_px=0.2)
    problem.depth[:], problem.measured, problem.guess_std = np.nan, rho * 2.0, np.full(80, 3.0)
    problem.fixed[:2] = True  # the first way gives the scale
    result = bundle_adjust(disturbed_landmarks(problem), 0.5, 0.001, iterations=20)
    assert abs(np.median(np.log(result.inverse_depth / rho))) < 0.01
    assert np.abs(result.T_map_rig[:, :3, 3] - truth[:, :3, 3]).max() < 0.01


def disturbed_landmarks(problem: BundleProblem) -> BundleProblem:
    problem.inverse_depth = problem.inverse_depth * np.random.default_rng(2).uniform(0.7, 1.4, len(problem.inverse_depth))
    return problem
