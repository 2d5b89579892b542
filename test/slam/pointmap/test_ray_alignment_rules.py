# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the pose against a keyframe, on matches that show it."""
import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_exp, se3_inverse, se3_log, so3_exp, transform_points
from lsm_ros.slam.pointmap.ray_alignment import AlignConfig, MatchedView, align

CAMERA = CameraIntrinsics(512, 384, 400.0, 300.0, 255.5, 191.5)
T_NEW_KF = make_se3(so3_exp([0.1, -0.2, 0.05]), [0.3, -0.1, 0.2])
SIDE = make_se3(so3_exp([0.2, 1.5, -0.1]), [0.2, 0.3, -0.1])
NEAR = se3_exp([0.02, -0.01, 0.02, 0.01, -0.01, 0.005]) @ T_NEW_KF
BOTH = pytest.mark.parametrize("calibrated", [False, True])


def view(n=300, T_rig_cam=None, unit=1.0, calibrated=False, seed=0, low=(30, 30), high=(480, 350)):
    """Exact matches."""
    rng = np.random.default_rng(seed)
    T_rig_cam = np.eye(4) if T_rig_cam is None else T_rig_cam
    pixels = rng.uniform(low, high, (n, 2))
    in_cam = CAMERA.unproject(pixels) * rng.uniform(1.0, 5.0, (n, 1))
    return MatchedView(transform_points(se3_inverse(T_NEW_KF) @ T_rig_cam, in_cam), unit * in_cam, T_rig_cam, pixels,
                       CAMERA if calibrated else None)


def solve(views, start=NEAR, free_scale=True, **config):
    return align(views, start, np.ones(len(views)), AlignConfig(**config), free_scale)


def off(found):
    return np.linalg.norm(se3_log(found.T_new_kf @ se3_inverse(T_NEW_KF)))


def put(view, rows, **values):
    """Another value in some rows of an array of the view."""
    for name, value in values.items():
        getattr(view, name)[rows] = value
    return view


@BOTH
def test_cameras_away_from_the_middle_of_the_rig_share_one_pose_within_few_steps(calibrated):
    views = [view(unit=2.0, T_rig_cam=SIDE, calibrated=calibrated), view(unit=0.5, seed=1, calibrated=calibrated)]
    found = solve(views, iterations=6, sigma_distance=0.1, sigma_log_depth=0.1)
    assert off(found) < 1e-7 and found.units == pytest.approx([0.5, 2.0])


@BOTH
@pytest.mark.parametrize("what", ["points_kf nan", "points_new nan", "points_kf zero", "points_new zero", "points_kf inf"])
def test_what_is_no_point_counts_nothing(calibrated, what):
    name, value = what.split()
    one, value = view(calibrated=calibrated), {"nan": np.nan, "inf": np.inf, "zero": 0.0}[value]
    if name == "points_kf" and value == 0.0:
        value = se3_inverse(T_NEW_KF)[:3, 3]  # in the new camera itself
    put(one, slice(0, 5), **{name: value})
    found = solve([one], start=T_NEW_KF)
    assert found is not None and off(found) < 1e-7
    assert not found.inliers[0][:5].any() and found.inliers[0][5:].all()


def test_points_behind_a_calibrated_camera_count_nothing():
    one = view(calibrated=True)
    behind = np.c_[np.random.default_rng(1).uniform(-0.3, 0.3, (40, 2)), np.full(40, -1.0)]
    put(one, slice(0, 40), points_kf=transform_points(se3_inverse(T_NEW_KF), behind))
    put(one, slice(0, 40), pixels_new=CAMERA.unproject(np.zeros((1, 2)))[:, :2] * 0 + np.c_[
        400 * behind[:, 0] / behind[:, 2] + 255.5, 300 * behind[:, 1] / behind[:, 2] + 191.5])
    found = solve([one])
    assert off(found) < 1e-7 and not found.inliers[0][:40].any()
    one = put(view(calibrated=True), (slice(0, 40), 2), points_new=-1.0)
    assert not solve([one]).inliers[0][:40].any(), "nor where the prediction is behind"


@pytest.mark.parametrize(("pixel", "used"), [((8.9, 190.0), False), ((10.1, 190.0), True), ((250.0, 8.9), False),
                                             ((250.0, 10.1), True), ((502.0, 190.0), False), ((501.0, 190.0), True),
                                             ((250.0, 374.0), False), ((250.0, 373.0), True)])
def test_pixels_within_ten_of_the_border_are_not_used(pixel, used):
    one = view(calibrated=True)
    in_cam = 2.0 * CAMERA.unproject(np.array([pixel]))
    put(one, 0, points_kf=transform_points(se3_inverse(T_NEW_KF), in_cam)[0], points_new=in_cam[0], pixels_new=pixel)
    assert bool(solve([one], start=T_NEW_KF).inliers[0][0]) == used


@BOTH
def test_matches_some_deviations_off_pull_less_and_others_not_at_all(calibrated):
    one = view(calibrated=calibrated)
    shift = (6.0, 0.0) if calibrated else (7.2, 0.0)  # 6 deviations
    pixels = one.pixels_new[:60] + shift
    put(one, slice(0, 60), pixels_new=pixels, points_new=CAMERA.unproject(pixels) * one.points_new[:60, 2:])
    assert off(solve([one])) < 0.006
    pixels = one.pixels_new[:60] + 3 * np.array(shift)  # 24
    put(one, slice(0, 60), pixels_new=pixels, points_new=CAMERA.unproject(pixels) * one.points_new[:60, 2:])
    found = solve([one])
    assert off(found) < 1e-7 and not found.inliers[0][:60].any() and found.rms < 1e-3


@BOTH
def test_distances_some_deviations_off_pull_the_unit_less(calibrated):
    one = view(calibrated=calibrated)
    put(one, slice(0, 60), points_new=one.points_new[:60] * np.exp(0.6))
    found = solve([one], sigma_distance=0.1, sigma_log_depth=0.1)
    assert np.log(found.units[0]) == pytest.approx(0.0, abs=0.05)


@BOTH
def test_distances_of_what_is_elsewhere_say_nothing_of_the_unit(calibrated):
    one = view(calibrated=calibrated)
    pixels = np.clip(512 - one.pixels_new[:60], 30, 350)
    far = np.linalg.norm(pixels - one.pixels_new[:60], axis=1) > 60
    pixels[~far] += 90.0
    put(one, slice(0, 60), pixels_new=pixels, points_new=CAMERA.unproject(pixels) * one.points_new[:60, 2:] * 1.1)
    found = solve([one], sigma_distance=0.1, sigma_log_depth=0.1)
    assert found.units[0] == pytest.approx(1.0, abs=1e-6) and off(found) < 1e-6


@BOTH
def test_distances_count_in_deviations_of_their_logarithm(calibrated):
    """A unit that is held though the points are a tenth larger pulls the pose by what distances weigh."""
    pulled = [off(solve([view(unit=1.1, calibrated=calibrated)], start=T_NEW_KF, free_scale=False, sigma_distance=ray,
                        sigma_log_depth=pixel)) for ray, pixel in ((0.02, 10.0), (10.0, 0.02), (10.0, 10.0))]
    assert pulled[calibrated] > 0.005 and pulled[1 - calibrated] < 1e-3 and pulled[2] < 1e-3
    assert solve([view(unit=1.1, calibrated=calibrated)], free_scale=False).units[0] == 1.0


@BOTH
def test_the_unit_is_found_in_few_steps_whatever_the_other_kind_of_distance_weighs(calibrated):
    weights = (10.0, 0.1) if calibrated else (0.1, 10.0)
    found = solve([view(unit=2.0, calibrated=calibrated)], iterations=5, sigma_distance=weights[0], sigma_log_depth=weights[1])
    assert found.units[0] == pytest.approx(0.5, rel=1e-6)


@BOTH
def test_covariance_is_that_of_the_pose_with_the_unit_free(calibrated):
    """As the numbers of a linear fit say it: a unit that is free leaves distances nothing to say of the pose."""
    tight = {"sigma_distance": 0.01, "sigma_log_depth": 0.01}
    free, held = (solve([view(calibrated=calibrated)], free_scale=f, **tight).covariance for f in (True, False))
    assert np.trace(free[:3, :3]) > 1.02 * np.trace(held[:3, :3])


@BOTH
def test_covariance_grows_with_residuals_but_never_shrinks_below_what_was_asked(calibrated):
    rng, plain = np.random.default_rng(0), solve([view(calibrated=calibrated)]).covariance
    one = view(calibrated=calibrated)
    pixels = one.pixels_new + 2.0 * rng.standard_normal(one.pixels_new.shape)
    put(one, slice(None), pixels_new=pixels, points_new=CAMERA.unproject(pixels) * one.points_new[:, 2:])
    found = solve([one])
    assert found.rms > 1.5 and np.trace(found.covariance) > 2 * np.trace(plain)
    expected = solve([one], inlier_sigmas=1e-9 + 4.0)
    assert np.allclose(found.covariance, expected.covariance)
    coarse = solve([view(calibrated=calibrated)], sigma_ray=0.006, sigma_px=2.0).covariance
    assert np.trace(coarse) == pytest.approx(4 * np.trace(plain), rel=0.05)


@BOTH
def test_six_agreeing_points_are_needed(calibrated):
    assert solve([view(5, calibrated=calibrated)], start=T_NEW_KF) is None
    assert solve([view(12, calibrated=calibrated)], start=T_NEW_KF) is not None
    one = view(12, calibrated=calibrated)
    pixels = np.random.default_rng(3).uniform([40, 40], [470, 340], (7, 2))
    put(one, slice(0, 7), pixels_new=pixels, points_new=CAMERA.unproject(pixels) * 2.0)
    assert solve([one], start=T_NEW_KF, inlier_sigmas=0.5) is None
