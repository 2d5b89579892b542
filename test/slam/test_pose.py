# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_exp, se3_inverse, se3_log, transform_points
from lsm_ros.slam.pose import View, map_covariance, solve_rig_pose

K = CameraIntrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
T_TRUE = se3_exp([0.3, -0.2, 0.1, 0.1, -0.2, 0.05])
RIG = [np.eye(4), make_se3(np.diag([-1.0, 1.0, -1.0]), [0.0, 0.0, -0.2])]  # the second looks back


def views(cameras: int, n: int = 120, noise: float = 0.5, outliers: float = 0.0, seed: int = 0) -> list[View]:
    rng = np.random.default_rng(seed)
    out = []
    for T_rig_cam in RIG[:cameras]:
        pixels = rng.uniform([20, 20], [620, 460], (n, 2))
        z = rng.uniform(1, 4, n)
        points_map = transform_points(T_TRUE @ T_rig_cam, K.unproject(pixels) * z[:, None])
        pixels = pixels + noise * rng.standard_normal((n, 2))
        wrong = rng.random(n) < outliers
        pixels[wrong] = rng.uniform([0, 0], [640, 480], (wrong.sum(), 2))
        depth = np.where(rng.random(n) < 0.5, 1 / (1 / z + 0.001 * rng.standard_normal(n)), np.nan)
        depth[wrong] = np.nan
        out.append(View(K, T_rig_cam, points_map, pixels, depth))
    return out


@pytest.mark.parametrize("cameras", [1, 2])
@pytest.mark.parametrize("outliers", [0.0, 0.4])
@pytest.mark.parametrize("guess", [None, "near", "far"])
def test_finds_the_pose(cameras, outliers, guess):
    start = {"near": T_TRUE @ se3_exp([0.02] * 6), "far": np.eye(4)}.get(guess)
    found = solve_rig_pose(views(cameras, outliers=outliers), start, 1.0, 0.0015, 1.345, 20)
    error = np.abs(se3_log(se3_inverse(T_TRUE) @ found.T_map_rig))
    assert error.max() < 0.004
    assert found.inlier_count > 0.9 * (1 - outliers) * 120 * cameras


def test_a_step_of_wallpaper_does_not_beat_the_expected_pose():
    """A few more points agree with a pose one step of a pattern (0.14 m) further; what was expected decides."""
    here, step = views(1, n=100, noise=0.3)[0], T_TRUE @ make_se3(np.eye(3), [0.0, 0.14, 0.0])
    z = transform_points(se3_inverse(step), here.points_map)
    here.pixels[:54] = z[:54, :2] / z[:54, 2:] * 500.0 + (320.0, 240.0)
    here.depth[:] = np.nan
    near = solve_rig_pose([here], T_TRUE @ se3_exp([0.005] * 6), 1.0, 0.0015, 1.345, 20)
    assert np.linalg.norm(near.T_map_rig[:3, 3] - T_TRUE[:3, 3]) < 0.01
    here.pixels[:90] = z[:90, :2] / z[:90, 2:] * 500.0 + (320.0, 240.0)  # unless nearly all have moved
    far = solve_rig_pose([here], T_TRUE @ se3_exp([0.005] * 6), 1.0, 0.0015, 1.345, 20)
    assert np.linalg.norm(far.T_map_rig[:3, 3] - step[:3, 3]) < 0.01


def test_too_few_points_give_no_pose():
    assert solve_rig_pose(views(1, n=10), None, 1.0, 0.0015, 1.345, 20) is None
    assert solve_rig_pose([], None, 1.0, 0.0015, 1.345, 20) is None


def test_nonsense_gives_no_pose():
    only_wrong = views(1, outliers=1.0)
    assert solve_rig_pose(only_wrong, np.eye(4), 1.0, 0.0015, 1.345, 20) is None


def test_covariance_tells_the_scatter_of_the_pose_in_the_map_frame():
    errors, last = [], None
    for seed in range(60):
        last = solve_rig_pose(views(1, noise=1.0, seed=seed), T_TRUE, 1.0, 0.001, 1e6, 20)
        T = last.T_map_rig
        rotation = T[:3, :3] @ T_TRUE[:3, :3].T
        errors.append(np.r_[T[:3, 3] - T_TRUE[:3, 3], se3_log(make_se3(rotation, np.zeros(3)))[3:]])
    expected = np.sqrt(np.diag(map_covariance(last)))
    assert np.all(np.std(errors, axis=0) < 2.0 * expected)
    assert np.all(np.std(errors, axis=0) > 0.4 * expected)
