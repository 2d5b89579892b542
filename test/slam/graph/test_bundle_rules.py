# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the bundle adjustment on the smallest problem that shows it."""
import warnings
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp
from lsm_ros.slam.graph import bundle
from lsm_ros.slam.graph.bundle import BundleProblem, bundle_adjust

FOCAL = 500.0
ASIDE = make_se3(np.eye(3), [0.2, 0.0, 0.0])
HOLD = 1e-9  # sigma of inverse depth that lets no landmark move


def seen(rays, rho, T_obs):
    """Where (N, 2), and how far (N,), a camera at T_obs sees landmarks of a keyframe at the origin."""
    points = rays / rho[:, None]
    in_cam = (points - T_obs[:3, 3]) @ T_obs[:3, :3]
    return in_cam[:, :2] / in_cam[:, 2:], in_cam[:, 2]


def pair(T_obs=ASIDE, count=40, fixed=True, seed=0, rho=None):
    """Landmarks of a keyframe at the origin that another keyframe sees exactly; both are fixed, or only the first."""
    rng = np.random.default_rng(seed)
    rays = np.c_[rng.uniform(-0.5, 0.5, (count, 2)), np.ones(count)]
    rho = rng.uniform(0.25, 0.5, count) if rho is None else np.asarray(rho, float)
    pixels, _ = seen(rays, rho, T_obs)
    each = np.arange(count)
    return BundleProblem(
        T_map_rig=np.stack([np.eye(4), T_obs]), fixed=np.array([True, fixed]), T_rig_cam=np.eye(4)[None],
        anchor=np.zeros(count, int), anchor_camera=np.zeros(count, int), rays=rays, inverse_depth=rho.copy(),
        measured=np.full(count, np.nan), landmark=each, keyframe=np.ones(count, int), camera=np.zeros(count, int),
        normalized=pixels, focal=np.full((count, 2), FOCAL), depth=np.full(count, np.nan))


def held(problem):
    """The problem with landmarks that are measured where they are; to be solved with sigma HOLD."""
    return replace(problem, measured=problem.inverse_depth.copy())


def test_inverse_depth_stays_within_its_bounds():
    """What would be seen only beyond infinity, or inside the camera, ends at the bound."""
    p = pair(make_se3(np.eye(3), [0.1, 0.0, -1.0]), count=4, rho=np.full(4, 0.3))
    p.rays[:] = (0.0, 0.0, 1.0)
    p.normalized[:2] = (0.05, 0.0)  # to the right of where infinity is
    p.normalized[2:] = (-0.15, 0.0)  # farther left than a point in the anchor's centre
    found = bundle_adjust(p, 0.1, 1.0, iterations=60).inverse_depth
    assert found[:2] == pytest.approx(1e-3) and found[2:] == pytest.approx(1e2)


def test_steps_that_go_too_far_are_damped_until_they_fit():
    """Ahead of the anchor a pixel hardly says anything of a far point: the first step would go behind the camera."""
    p = pair(make_se3(np.eye(3), [0.0, 0.0, 0.9]), count=1, rho=[0.9])
    p.rays[:] = (0.1, 0.0, 1.0)
    p.normalized, _ = seen(p.rays, p.inverse_depth, p.T_map_rig[1])
    start = replace(p, inverse_depth=np.array([0.05]))
    result = bundle_adjust(start, 20.0, 1.0, iterations=40)
    assert result.inverse_depth == pytest.approx(0.9, rel=1e-6)
    assert all(b < a for a, b in zip(result.costs, result.costs[1:], strict=False))


def test_a_pose_that_is_far_off_is_reached_by_damped_steps():
    T = make_se3(so3_exp([0.0, 0.0, 2.6]), [0.0, 0.0, 0.0])
    p = held(pair(T, fixed=False))
    p.T_map_rig[1] = np.eye(4)
    result = bundle_adjust(p, 30.0, HOLD, huber=1e6, iterations=60)
    assert np.abs(result.T_map_rig[1] - T).max() < 1e-4
    assert all(b < a for a, b in zip(result.costs, result.costs[1:], strict=False))


def test_no_step_follows_one_that_gains_nothing():
    p = pair(fixed=False)
    p.normalized = p.normalized + np.random.default_rng(1).normal(0, 0.002, p.normalized.shape)
    costs = np.array(bundle_adjust(held(p), 1.0, 0.01, iterations=50).costs)
    gains = 1 - costs[1:] / costs[:-1]
    assert len(gains) > 1 and (gains[:-1] >= 1e-4).all() and gains[-1] < 1e-4


def test_each_size_of_an_error_has_its_cost():
    """Squares up to the threshold, then lines; deviations count, not pixels."""
    p = held(pair(count=3))
    p.normalized = p.normalized + np.array([[1.0, 0.0], [0.0, 20.0], [0.0, 0.0]]) / FOCAL
    p.depth[2] = 1 / (1 / seen(p.rays, p.inverse_depth, ASIDE)[1][2] - 10 * HOLD)
    cost = bundle_adjust(p, 2.0, HOLD, huber=1.5, iterations=1).costs[0]
    assert cost == pytest.approx(0.5 * 0.5**2 + 2 * 1.5 * (10 - 0.75), rel=1e-3)
    p.focal = p.focal * (1.0, 0.5)  # fy
    cost = bundle_adjust(p, 2.0, HOLD, huber=1.5, iterations=1).costs[0]
    assert cost == pytest.approx(0.5 * 0.5**2 + 1.5 * (5 - 0.75) + 1.5 * (10 - 0.75), rel=1e-3)


def test_inliers_and_their_rms_in_pixels():
    p = held(pair())
    p = replace(p, **{f: getattr(p, f)[::-1].copy() for f in ("landmark", "normalized", "focal", "depth")})
    extra = replace(p, landmark=np.r_[p.landmark, p.landmark[:3]], keyframe=np.r_[p.keyframe, 0, 0, 0],
                    camera=np.r_[p.camera, 0, 0, 0], normalized=np.r_[p.normalized, p.rays[p.landmark[:3], :2]],
                    focal=np.r_[p.focal, p.focal[:3]], depth=np.r_[p.depth, np.nan, np.nan, np.nan])
    extra.normalized = extra.normalized + (0.6 / FOCAL, 0.0)
    extra.normalized[5] += 40.0 / FOCAL  # another point
    extra.depth[8] = 1.0  # another depth
    result = bundle_adjust(extra, 2.0, HOLD)
    assert np.array_equal(np.flatnonzero(~result.inliers), [5, 8])
    assert result.rms_px == pytest.approx(0.6, rel=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the mean of nothing
        nothing = bundle_adjust(replace(extra, normalized=extra.normalized + 1.0), 2.0, HOLD)
    assert not nothing.inliers.any() and np.isnan(nothing.rms_px)


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("z", [-0.1, 0.01])
def test_a_point_behind_the_camera_or_in_it_moves_nothing_and_is_no_inlier(z, fits):
    T = make_se3(so3_exp([0.0, 0.1, 0.0]), [0.1, 0.0, 0.2])
    p = held(pair(T, fixed=False))
    p.rays[0] = np.r_[0.0, 0.0, 1.0]
    p.inverse_depth[0] = p.measured[0] = 1 / (0.2 + (z + 0.1 * np.sin(0.1)) / np.cos(0.1))
    point = se3_inverse(T) @ np.r_[p.rays[0] / p.inverse_depth[0], 1.0]
    assert point[2] == pytest.approx(z)
    p.depth[0] = np.nan if fits else 5.0
    p.normalized[0] = point[:2] if fits else point[:2] / point[2] + 0.5  # as far aside as the pixel is, or anywhere
    result = bundle_adjust(replace(p, T_map_rig=np.stack([np.eye(4), T @ se3_exp([1e-3] * 6)])), 1.0, HOLD, iterations=20)
    assert np.abs(result.T_map_rig[1] - T).max() < 1e-7
    assert not result.inliers[0] and result.inliers[1:].all()


def test_points_behind_the_camera_cost_more_than_those_that_fit_badly():
    """Else a step would gain by turning the camera round."""
    front = held(pair(count=5))
    front.normalized = front.normalized + 25.0 / FOCAL
    behind = replace(front, T_map_rig=np.stack([np.eye(4), make_se3(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, 0.0])]))
    bad, worse = (bundle_adjust(p, 1.0, HOLD, iterations=1).costs[0] for p in (front, behind))
    assert bad < worse == pytest.approx(5 * 50.0)


def test_a_few_wrong_depths_move_no_pose():
    T = make_se3(so3_exp([0.0, 0.1, 0.0]), [0.1, 0.0, 0.2])
    p = held(pair(T, fixed=False))
    p.depth = seen(p.rays, p.inverse_depth, T)[1]
    p.depth[::8] *= 1.5
    p.T_map_rig[1] = T @ se3_exp([0.02, 0.01, -0.02, 0.01, 0.02, 0.03])
    result = bundle_adjust(p, 1.0, 1e-4, iterations=30)
    assert np.linalg.norm(result.T_map_rig[1, :3, 3] - T[:3, 3]) < 0.001
    assert np.array_equal(~result.inliers, np.arange(40) % 8 == 0)


def test_a_wrong_measured_depth_gives_way_to_pixels():
    p = held(pair())
    p.measured[0] += 50 * 1e-3
    result = bundle_adjust(p, 0.1, 1e-3, iterations=30)
    assert result.inverse_depth[0] == pytest.approx(p.inverse_depth[0], rel=0.02)


def test_landmarks_without_a_measured_depth_are_free_and_cost_nothing():
    p = pair()
    exact = bundle_adjust(p, 1.0, HOLD, iterations=1)
    assert exact.costs[0] == pytest.approx(0.0, abs=1e-9)
    off = replace(p, inverse_depth=p.inverse_depth * 1.3)
    assert bundle_adjust(off, 1.0, HOLD, iterations=8).inverse_depth == pytest.approx(p.inverse_depth, rel=1e-6)


def test_what_is_guessed_and_what_is_measured_stand_side_by_side():
    p = pair()
    p.measured = 1.2 * p.inverse_depth
    p.guess_std = np.where(np.arange(40) < 20, 3.0, np.nan)
    result = bundle_adjust(p, 1.0, HOLD, iterations=20)
    assert result.inverse_depth[:20] == pytest.approx(p.inverse_depth[:20], rel=1e-3)
    assert result.inverse_depth[20:] == pytest.approx(p.measured[20:], rel=1e-5)


def test_what_nothing_determines_stays_where_it_is():
    p = pair(fixed=False)
    p = replace(held(p), T_map_rig=np.concatenate([p.T_map_rig, [make_se3(np.eye(3), [5.0, 0.0, 0.0])]]),
                fixed=np.array([True, False, False]))  # nobody sees anything from the third
    p.measured[7] = np.nan
    p = replace(p, **{f: np.delete(getattr(p, f), 7, 0) for f in ("landmark", "keyframe", "camera", "normalized", "focal",
                                                                    "depth")})
    p.normalized = p.normalized + 1.0 / FOCAL
    result = bundle_adjust(p, 1.0, 0.01, iterations=5)
    assert np.isfinite(result.T_map_rig).all() and np.isfinite(result.inverse_depth).all() and len(result.costs) > 1
    assert np.array_equal(result.T_map_rig[2], p.T_map_rig[2]) and result.inverse_depth[7] == p.inverse_depth[7]


def test_a_focal_length_that_is_known_well_does_not_move():
    p = held(pair(make_se3(so3_exp([0.0, 0.1, 0.0]), [0.2, 0.1, 0.0]), fixed=False))
    p.normalized, p.rays = p.normalized / 1.1, p.rays * (1 / 1.1, 1 / 1.1, 1.0)
    sure, unsure = (bundle_adjust(replace(p, focal_std=s, focal=1.1 * p.focal), 1.0, 1e-3, iterations=15).log_focal
                    for s in (1e-5, 1.0))
    assert abs(sure) < 1e-4 and unsure == pytest.approx(np.log(1 / 1.1), abs=0.02)
    sure = bundle_adjust(replace(p, focal_std=1e-5, focal=1.1 * p.focal), 1.0, 1e-3, iterations=15)
    assert sure.costs[-1] <= sure.costs[0]


def test_landmarks_of_two_cameras_of_one_keyframe_keep_their_own_mounts():
    """Two anchors in one keyframe, seen by one image, are two groups."""
    side = make_se3(so3_exp([0.0, 0.3, 0.0]), [0.3, 0.0, 0.1])
    p = pair(fixed=False)
    p.T_rig_cam = np.stack([np.eye(4), side])
    p.anchor_camera = np.arange(40) % 2
    in_rig = np.where((p.anchor_camera == 1)[:, None],
                      (p.rays / p.inverse_depth[:, None]) @ side[:3, :3].T + side[:3, 3], p.rays / p.inverse_depth[:, None])
    in_obs = in_rig - ASIDE[:3, 3]
    p.normalized = in_obs[:, :2] / in_obs[:, 2:]
    moved = replace(held(p), T_map_rig=np.stack([np.eye(4), ASIDE @ se3_exp([0.02, 0.01, -0.02, 0.01, 0.02, 0.03])]))
    result = bundle_adjust(moved, 1.0, 1e-4, iterations=15)
    assert np.abs(result.T_map_rig[1] - ASIDE).max() < 1e-6 and result.inliers.all()


def test_products_in_pieces_are_the_whole_product(monkeypatch):
    p = pair(fixed=False)
    p.normalized = p.normalized + np.random.default_rng(2).normal(0, 1 / FOCAL, p.normalized.shape)
    whole = bundle_adjust(held(p), 1.0, 0.01, iterations=3)
    monkeypatch.setattr(bundle, "_SMALL_PRODUCT", 1)
    pieces = bundle_adjust(held(p), 1.0, 0.01, iterations=3)
    assert np.allclose(pieces.T_map_rig, whole.T_map_rig, atol=1e-12) and np.allclose(pieces.costs, whole.costs, rtol=1e-9)
