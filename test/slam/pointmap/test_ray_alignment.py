# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_exp, se3_inverse, se3_log, so3_exp, transform_points
from lsm_ros.slam.pointmap.ray_alignment import AlignConfig, MatchedView, align

CAMERA = CameraIntrinsics(512, 384, 400.0, 400.0, 255.5, 191.5)
T_NEW_KF = make_se3(so3_exp([0.1, -0.2, 0.05]), [0.3, -0.1, 0.2])


def scene(n=600, seed=0, T=T_NEW_KF, T_rig_cam=None, unit=1.0, sigma_px=0.0, sigma_distance=0.0, calibrated=False):
    """A view whose points the new camera predicts, with noise on pixels and on the logarithm of distances."""
    rng = np.random.default_rng(seed)
    T_rig_cam = np.eye(4) if T_rig_cam is None else T_rig_cam
    pixels = rng.uniform([30, 30], [480, 350], (n, 2))
    in_cam = CAMERA.unproject(pixels) * rng.uniform(1.0, 5.0, (n, 1))
    points_kf = transform_points(se3_inverse(T) @ T_rig_cam, in_cam)
    seen = pixels + sigma_px * rng.standard_normal((n, 2))
    measured = CAMERA.unproject(seen) * in_cam[:, 2:] * np.exp(sigma_distance * rng.standard_normal((n, 1))) * unit
    return MatchedView(points_kf, measured, T_rig_cam, seen, CAMERA if calibrated else None)


def error(T, true=T_NEW_KF):
    return np.linalg.norm(se3_log(T @ se3_inverse(true)))


@pytest.mark.parametrize("calibrated", [False, True])
def test_finds_pose_and_unit(calibrated):
    start = se3_exp([0.05, 0.05, -0.05, 0.02, 0.02, -0.02]) @ T_NEW_KF
    found = align([scene(unit=2.5, calibrated=calibrated)], start, np.array([1.0]), AlignConfig())
    assert error(found.T_new_kf) < 1e-6 and found.units[0] == pytest.approx(1 / 2.5, rel=1e-6)
    assert found.inliers[0].all() and found.rms < 1e-3


def test_distances_that_are_wrong_together_do_not_move_the_pose():
    """Depth a tenth too large everywhere: with the factor free that is a unit, and rays tell the pose."""
    found = align([scene(unit=1.1)], T_NEW_KF, np.array([1.0]), AlignConfig(), free_scale=False)
    assert error(found.T_new_kf) < 1e-3 and found.units[0] == 1.0


def test_pure_rotation_gives_a_unit_and_no_motion():
    T = make_se3(so3_exp([0.0, 0.3, 0.0]), [0.0, 0.0, 0.0])
    found = align([scene(T=T, unit=3.0, sigma_px=0.5, sigma_distance=0.05)], T, np.array([1.0]), AlignConfig())
    assert np.linalg.norm(found.T_new_kf[:3, 3]) < 0.01 and found.units[0] == pytest.approx(1 / 3, rel=0.02)


@pytest.mark.parametrize("calibrated", [False, True])
def test_bears_a_third_of_wrong_matches(calibrated):
    view = scene(n=900, sigma_px=0.5, calibrated=calibrated)
    rng = np.random.default_rng(1)
    wrong = np.arange(300)
    pixels = view.pixels_new.copy()
    pixels[wrong] = rng.uniform([30, 30], [480, 350], (300, 2))
    measured = view.points_new.copy()
    measured[wrong] = CAMERA.unproject(pixels[wrong]) * rng.uniform(1, 5, (300, 1))
    spoiled = MatchedView(view.points_kf, measured, view.T_rig_cam, pixels, view.intrinsics)
    found = align([spoiled], se3_exp([0.02] * 3 + [0.01] * 3) @ T_NEW_KF, np.array([1.0]), AlignConfig())
    assert error(found.T_new_kf) < 0.005
    assert found.inliers[0][300:].mean() > 0.95 and found.inliers[0][wrong].mean() < 0.05


def test_cameras_of_a_rig_share_the_pose_and_have_units_of_their_own():
    side = make_se3(so3_exp([0.0, 1.5, 0.0]), [0.2, 0.0, -0.1])
    views = [scene(unit=2.0, seed=1), scene(unit=0.5, seed=2, T_rig_cam=side)]
    found = align(views, se3_exp([0.03] * 6) @ T_NEW_KF, np.array([1.0, 1.0]), AlignConfig())
    assert error(found.T_new_kf) < 1e-6 and np.allclose(found.units, [0.5, 2.0])


@pytest.mark.parametrize("calibrated", [False, True])
def test_covariance_tells_the_spread(calibrated):
    """Normalised squared errors of independent matches are those of six degrees of freedom."""
    sigma = 1.0 if calibrated else 1.2  # 1.2 px are 0.003 rad
    squares = []
    for seed in range(30):
        view = scene(n=150, seed=seed, sigma_px=sigma, calibrated=calibrated)
        found = align([view], T_NEW_KF, np.array([1.0]), AlignConfig())
        d = se3_log(found.T_new_kf @ se3_inverse(T_NEW_KF))
        squares.append(d @ np.linalg.solve(found.covariance, d))
    assert 2.5 < np.mean(squares) < 12.0


def test_nothing_from_nothing():
    view = scene(n=20)
    nan = MatchedView(view.points_kf, np.full((20, 3), np.nan), view.T_rig_cam, view.pixels_new)
    assert align([nan], T_NEW_KF, np.array([1.0]), AlignConfig()) is None
    empty = MatchedView(np.zeros((0, 3)), np.zeros((0, 3)), np.eye(4), np.zeros((0, 2)))
    assert align([empty], T_NEW_KF, np.array([1.0]), AlignConfig()) is None
