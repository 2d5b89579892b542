# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.geometry import make_se3, make_sim3, sim3_exp, sim3_inverse, so3_exp, split_sim3
from lsm_ros.slam.graph.pose_graph import PoseEdges, adjust_poses

SIGMA = np.array([0.01] * 3 + [0.005] * 3 + [0.02])


def ring(count=24):
    """Poses (N, 4, 4) on a circle, each looking ahead."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([make_se3(so3_exp([0, 0, a]), [4 * np.cos(a), 4 * np.sin(a), 0.1 * np.sin(3 * a)]) for a in angles])


def drifted(truth, drift):
    """The chain's edges, each off by a twist `drift` (7,), the poses that they lead to, and the loop that is right."""
    step = sim3_inverse(truth[:-1]) @ truth[1:] @ sim3_exp(drift)
    poses = [truth[0]]
    for each in step:
        poses.append(poses[-1] @ each)
    loop = sim3_inverse(truth[-1]) @ truth[0]
    n = len(truth)
    edges = PoseEdges(np.arange(n), np.append(np.arange(1, n), 0), np.concatenate([step, loop[None]]), np.tile(SIGMA, (n, 1)))
    return np.stack(poses), edges


def only(index, count):
    mask = np.zeros(count, bool)
    mask[index] = True
    return mask


@pytest.mark.parametrize("free_scale", [False, True])
def test_a_loop_takes_out_most_of_the_drift(free_scale):
    truth = ring()
    drift = np.array([0.004, 0.006, 0.0, 0.0, 0.0, 0.004, 0.01 * free_scale])
    poses, edges = drifted(truth, drift)
    moved, cost = adjust_poses(poses, only(0, len(poses)), edges, free_scale)
    before, after = (np.linalg.norm(p[:, :3, 3] - truth[:, :3, 3], axis=1) for p in (poses, moved))
    assert before[-1] > 0.3 and after[-1] < 0.15 * before[-1] and after.max() < 0.4 * before.max()
    assert cost < 0.5 * np.sum((drift / SIGMA)[:6 + free_scale] ** 2) * len(poses)
    assert np.array_equal(moved[0], truth[0])


def test_scale_drift_is_spread_and_rigid_poses_stay_rigid():
    truth = ring()
    poses, edges = drifted(truth, np.array([0, 0, 0, 0, 0, 0, 0.02]))
    scales = split_sim3(adjust_poses(poses, only(0, len(poses)), edges, True)[0])[0]
    assert split_sim3(poses)[0][-1] > 1.5 and np.abs(np.log(scales)).max() < 0.3
    rigid = adjust_poses(truth @ make_se3(so3_exp([0, 0, 0.01]), [0.01, 0, 0]), only(0, len(poses)), edges, False)[0]
    assert np.allclose(split_sim3(rigid)[0], 1.0)


def test_right_edges_have_no_cost_and_lead_to_the_truth():
    truth = ring()
    start, edges = drifted(truth, np.zeros(7))
    shaken = start @ sim3_exp(np.random.default_rng(0).normal(size=(len(start), 7)) * [*[0.05] * 6, 0.05])
    shaken[0] = truth[0]
    moved, cost = adjust_poses(shaken, only(0, len(start)), edges, True)
    assert cost < 1e-6 and np.abs(moved - truth).max() < 1e-3


def test_the_surer_edge_wins():
    T = np.stack([np.eye(4), np.eye(4)])
    Z = np.stack([make_se3(np.eye(3), [1.0, 0, 0]), make_se3(np.eye(3), [2.0, 0, 0])])
    sigma = np.stack([SIGMA, 3 * SIGMA])
    moved, _ = adjust_poses(T, only(0, 2), PoseEdges(np.zeros(2, int), np.ones(2, int), Z, sigma), False)
    assert moved[1, 0, 3] == pytest.approx((1.0 * 9 + 2.0) / 10)


def test_the_cost_is_half_the_squared_error_in_deviations():
    T = np.stack([np.eye(4), make_se3(np.eye(3), [0.03, 0, 0])])
    edges = PoseEdges(np.zeros(1, int), np.ones(1, int), np.eye(4)[None], SIGMA[None])
    assert adjust_poses(T, np.ones(2, bool), edges, False)[1] == pytest.approx(0.5 * 9)
    scaled = np.stack([np.eye(4), make_sim3(np.exp(0.04), np.eye(3), np.zeros(3))])
    assert adjust_poses(scaled, np.ones(2, bool), edges, True)[1] == pytest.approx(0.5 * 4)


def test_nothing_fixed_is_an_error():
    with pytest.raises(ValueError, match="at least one fixed pose"):
        adjust_poses(ring(), np.zeros(24, bool), drifted(ring(), np.zeros(7))[1], False)
