# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_log
from lsm_ros.slam.bundle import BundleProblem, _linearize, bundle_adjust

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
    T_rig_cam_anchor = np.stack([T_rig_cams[c] for c in camera])
    in_anchor = np.stack([(se3_inverse(T[a] @ T_rig_cams[c]) @ np.r_[p, 1])[:3]
                          for p, a, c in zip(points, anchor, camera, strict=True)])
    landmark, keyframe, T_cam_rig, normalized, depth = [], [], [], [], []
    for i, p in enumerate(points):
        for k in range(keyframes):
            if k == anchor[i] and cameras == 1:
                continue
            c = rng.integers(cameras)
            q = (se3_inverse(T[k] @ T_rig_cams[c]) @ np.r_[p, 1])[:3]
            landmark.append(i)
            keyframe.append(k)
            T_cam_rig.append(se3_inverse(T_rig_cams[c]))
            normalized.append(q[:2] / q[2] + rng.standard_normal(2) * noise_px / FOCAL)
            depth.append(1 / (1 / q[2] + depth_noise * rng.standard_normal()) if rng.random() < 0.5 else np.nan)
    rho = 1 / in_anchor[:, 2]
    fixed = np.zeros(keyframes, bool)
    fixed[0] = True
    measured = rho + depth_noise * rng.standard_normal(80)
    problem = BundleProblem(T, fixed, anchor, in_anchor / in_anchor[:, 2:], T_rig_cam_anchor, rho, measured,
                            np.array(landmark), np.array(keyframe), np.stack(T_cam_rig), np.array(normalized),
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
def test_jacobians_equal_differences(cameras):
    problem, T, rho = scene(noise_px=0.5, depth_noise=0.001, cameras=cameras)
    state = _linearize(problem, T, rho, 1.0, 0.002, 1e9)

    def residuals(T, rho):
        s = _linearize(problem, T, rho, 1.0, 0.002, 1e9)
        return np.c_[s.residual_px, s.residual_depth]

    base, eps = residuals(T, rho), 1e-6
    for k in (1, 2):
        for axis in range(6):
            moved = T.copy()
            moved[k] = T[k] @ se3_inverse(se3_exp(eps * np.eye(6)[axis]))
            numeric = (residuals(moved, rho) - base) / eps
            analytic = np.where((problem.keyframe == k)[:, None], state.J_observer[:, :, axis], 0.0)
            analytic += np.where((problem.anchor[problem.landmark] == k)[:, None], state.J_anchor[:, :, axis], 0.0)
            assert np.abs(numeric - analytic).max() < 2e-2 * max(1.0, np.abs(numeric).max())
    numeric = (residuals(T, rho + eps) - base) / eps
    assert np.abs(numeric - state.J_rho).max() < 1e-3 * np.abs(numeric).max()


def test_without_a_fixed_keyframe_it_refuses():
    problem, _, _ = scene()
    problem.fixed[:] = False
    with pytest.raises(ValueError, match="fixed"):
        bundle_adjust(problem, 1.0, 0.002)
