# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of a rig's pose on points that show it."""
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, make_se3, se3_exp, se3_inverse, se3_log, so3_exp, transform_points
from lsm_ros.slam import pose
from lsm_ros.slam.pose import RigPose, View, map_covariance, solve_rig_pose

K = CameraIntrinsics(640, 480, 500.0, 400.0, 320.0, 240.0)
T_TRUE = make_se3(so3_exp([1.2, -1.5, 0.8]), [5.0, -3.0, 2.0])
SIDE = make_se3(so3_exp([0.3, 1.4, -0.2]), [0.2, -0.1, 0.4])


def view(n=100, T_rig_cam=None, T_map_rig=T_TRUE, depth=False, seed=0):
    """Exact matches of one camera."""
    rng = np.random.default_rng(seed)
    T_rig_cam = np.eye(4) if T_rig_cam is None else T_rig_cam
    pixels, z = rng.uniform([20, 20], [620, 460], (n, 2)), rng.uniform(1, 4, n)
    points = transform_points(T_map_rig @ T_rig_cam, K.unproject(pixels) * z[:, None])
    return View(K, T_rig_cam, points, pixels, z if depth else np.full(n, np.nan))


def solve(views, guess, sigma_px=1.0, sigma_rho=0.0015, huber=1.345, least=20, seed=0):
    return solve_rig_pose(views, guess, sigma_px, sigma_rho, huber, least, seed)


def off(found, T=T_TRUE):
    return np.abs(se3_log(se3_inverse(T) @ found.T_map_rig)).max()


def near(T=T_TRUE):
    return T @ se3_exp([0.004, -0.003, 0.002, 0.002, -0.001, 0.002])


@pytest.fixture
def asked(monkeypatch):
    """What a proposal is asked for; `asked.answer` is the pose T_cam_map that it gives, None for none."""
    record = SimpleNamespace(calls=[], answer=None)

    def propose(*args, **options):
        record.calls.append((args, options))
        return None if record.answer is None else SimpleNamespace(T_cam_map=record.answer)

    monkeypatch.setattr(pose, "solve_pnp", propose)
    return record


def test_covariance_is_that_of_the_rig_in_the_axes_of_the_map():
    rng = np.random.default_rng(0)
    A = 0.01 * rng.standard_normal((6, 6))
    rig = RigPose(T_TRUE, A @ A.T, [np.ones(100, bool)])
    moved = [T_TRUE @ se3_exp(-d) for d in rng.multivariate_normal(np.zeros(6), A @ A.T, 800)]
    scatter = np.array([np.r_[T[:3, 3] - T_TRUE[:3, 3], se3_log(make_se3(T[:3, :3] @ T_TRUE[:3, :3].T, np.zeros(3)))[3:]]
                        for T in moved])
    assert np.cov(scatter.T) == pytest.approx(map_covariance(rig), abs=0.15 * np.abs(map_covariance(rig)).max())


def test_covariance_grows_with_matches_that_are_not_independent():
    few, many = (map_covariance(RigPose(T_TRUE, np.eye(6), [np.ones(n // 2, bool)] * 2)) for n in (100, 1200))
    assert np.allclose(few, np.eye(6)) and np.allclose(many, 4 * np.eye(6))
    assert np.allclose(map_covariance(RigPose(T_TRUE, np.eye(6), [np.ones(1200, bool)]), 7.0), 7 * np.eye(6))


def test_a_guess_that_explains_the_points_needs_no_proposal(asked):
    found = solve([view(), view(40, SIDE, seed=1)], near())
    assert off(found) < 1e-8 and not asked.calls
    assert [len(i) for i in found.inliers] == [100, 40] and found.inlier_count == 140


def test_too_few_points_are_not_even_tried(asked):
    assert solve([view(19)], None) is None and not asked.calls


def test_a_proposal_is_asked_of_the_camera_with_most_points_with_all_that_is_known(asked):
    views = [view(30, seed=1), view(100, SIDE, depth=True, seed=2)]
    views[0].pixels[:], views[1].pixels[:50] = 5.0, 5.0
    solve(views, near(), sigma_px=0.5, seed=7)
    (args, options), = asked.calls
    assert args[0] is views[1].points_map and args[1] is views[1].pixels
    assert np.allclose(options["T_cam_map_init"], se3_inverse(near() @ SIDE)) and options["depths"] is views[1].depth
    assert options["reprojection_px"] == 2.0 and options["sigma_px"] == 0.5 and options["seed"] == 7


@pytest.mark.parametrize("guess", [None, np.eye(4)])
def test_a_proposal_is_refined_in_all_cameras(asked, guess):
    asked.answer = se3_inverse(near() @ SIDE)
    found = solve([view(30, seed=1), view(100, SIDE, seed=2)], guess)
    assert off(found) < 1e-8 and found.inlier_count == 130


def test_without_guess_and_proposal_there_is_no_pose(asked):
    at_origin = [view(T_map_rig=np.eye(4))]
    assert solve(at_origin, None) is None and len(asked.calls) == 1
    assert off(solve(at_origin, near(np.eye(4))), np.eye(4)) < 1e-8


def test_a_guess_that_explains_a_third_gives_way():
    there, here = T_TRUE @ make_se3(np.eye(3), [0.3, 0.0, 0.0]), view()
    q = transform_points(se3_inverse(there), here.points_map)
    here.pixels[:65] = q[:65, :2] / q[:65, 2:] * (500.0, 400.0) + (320.0, 240.0)
    assert off(solve([here], near()), there) < 1e-6


def test_a_guess_that_explains_too_few_gets_a_proposal_though_they_are_most(asked):
    here = view(24)
    here.pixels[:6] += 200.0
    solve([here], near(), least=20)
    assert len(asked.calls) == 1


def test_how_well_points_fit_decides_between_poses(asked):
    """As many points agree with the guess, but badly."""
    rng, there, here = np.random.default_rng(3), T_TRUE @ make_se3(np.eye(3), [0.5, 0.0, 0.0]), view(120)
    q = transform_points(se3_inverse(there), here.points_map)
    here.pixels[:60] += rng.normal(0, 1.7, (60, 2))
    here.pixels[60:] = q[60:, :2] / q[60:, 2:] * (500.0, 400.0) + (320.0, 240.0)
    asked.answer = se3_inverse(there)
    assert off(solve([here], near()), there) < 1e-6


def test_inliers_fit_in_pixels_and_in_depth():
    here = view(depth=True)
    here.pixels[3] += (0.0, 6.0)
    here.depth[5] = 1 / (1 / here.depth[5] + 6 * 0.0015)
    here.depth[::2] = np.nan
    found = solve([here], near())
    assert np.array_equal(np.flatnonzero(~found.inliers[0]), [3, 5])


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("aside", [0.0, 5.0])
def test_points_behind_the_camera_neither_count_nor_pull(mirrored, aside):
    here = view(120)
    in_cam = np.c_[np.random.default_rng(1).uniform(-0.5, 0.5, (40, 2)), np.full(40, -1.2)]
    here.points_map[:40] = transform_points(T_TRUE, in_cam)
    here.pixels[:40] = in_cam[:, :2] / (in_cam[:, 2:] if mirrored else 1.0) * (500.0, 400.0) + (320.0 + aside, 240.0)
    found = solve([here], near())
    assert off(found) < 1e-8 and not found.inliers[0][:40].any() and found.inliers[0][40:].all()


def test_points_that_are_some_deviations_off_pull_less():
    here = view()
    here.pixels[:15, 0] += 7.0
    found = solve([here], near())
    q = transform_points(se3_inverse(found.T_map_rig), here.points_map[15:])
    assert np.abs(q[:, 0] / q[:, 2] * 500.0 + 320.0 - here.pixels[15:, 0]).mean() < 0.5


def test_depths_that_are_some_deviations_off_pull_less():
    here = view(depth=True)
    here.depth[:15] = 1 / (1 / here.depth[:15] + 20 * 0.0015)
    found = solve([here], near(), sigma_px=3.0)
    assert off(found) < 0.008


def test_what_is_another_point_does_not_pull_by_its_depth():
    here = view(depth=True)
    here.pixels[:25] = np.random.default_rng(2).uniform([20, 20], [620, 460], (25, 2))
    here.pixels[:25] += 40.0 * np.sign(here.pixels[:25] - view().pixels[:25])
    here.depth[:25] *= 1.02
    assert off(solve([here], near())) < 1e-8


def test_depth_makes_the_pose_surer():
    without, with_depth = (solve([view(depth=d)], near()).covariance for d in (False, True))
    assert with_depth[2, 2] < 0.8 * without[2, 2]


def test_the_scatter_of_the_pixels_is_reported_and_the_gate_does_not_shrink_with_it():
    rng = np.random.default_rng(5)
    exact = view(400, depth=True)
    scattered = replace(exact, pixels=exact.pixels + 0.2 * rng.standard_normal(exact.pixels.shape))
    scattered.pixels[:60] += (5.0, 0.0)
    wide, narrow = (solve_rig_pose([scattered], near(), 0.5, 0.0015, 1.345, 20, gate_px=gate) for gate in (8.0, None))
    assert wide.inliers[0].all() and wide.noise_px == pytest.approx(0.25, abs=0.1)
    assert narrow.inliers[0].sum() == 340 and narrow.noise_px == pytest.approx(0.2, abs=0.03)


def test_a_proposal_is_asked_for_with_the_gate(asked):
    wrong = view()
    wrong.pixels[:50] += 100.0
    solve_rig_pose([wrong], near(), 0.5, 0.0015, 1.345, 20, gate_px=8.0)
    assert [options["reprojection_px"] for _, options in asked.calls] == [8.0]
