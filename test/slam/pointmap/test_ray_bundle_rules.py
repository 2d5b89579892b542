# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the adjustment on rays, on a few keyframes that see the same points."""
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp, transform_points
from lsm_ros.slam.pointmap.ray_bundle import NARROWEST, RayNoise, RayProblem, adjust_rays

MATCHES = 30
MOUNT = make_se3(so3_exp([0.1, -0.2, 0.05]), [0.1, 0.0, 0.2])
SIDE = make_se3(so3_exp([0.0, 0.3, 0.1]), [-0.2, 0.1, 0.0])
POSES = np.stack([make_se3(so3_exp([0.0, a, 0.0]), [a, 0.1 * a, 0.3 * a]) for a in (0.0, 0.3, 0.6)])
OFF = se3_exp([0.03, -0.02, 0.01, 0.02, 0.01, -0.03])


def linked(pairs=((0, 1), (1, 0), (1, 2), (2, 1)), T=POSES, sizes=(1.0, 1.0, 1.0), free_scale=False, seed=0):
    """Exact links; the anchor's camera is at MOUNT, the observer's at SIDE."""
    rng, points, rays, distances = np.random.default_rng(seed), [], [], []
    for anchor, observer in pairs:
        p = np.column_stack([rng.uniform(-1, 1, (MATCHES, 2)), rng.uniform(2, 4, MATCHES)])
        y = transform_points(se3_inverse(T[observer] @ SIDE) @ T[anchor] @ MOUNT, p)
        length = np.linalg.norm(y, axis=1)
        points.append(p / sizes[anchor])
        rays.append(y / length[:, None])
        distances.append(length / sizes[observer])
    anchor, observer = np.array(pairs).T
    count = len(pairs)
    return RayProblem(T.copy(), np.arange(len(T)) == 0, anchor, observer, np.stack([MOUNT] * count), np.stack([SIDE] * count),
                      np.zeros(count, bool), np.arange(count + 1) * MATCHES, np.concatenate(points), np.concatenate(rays),
                      np.concatenate(distances), free_scale)


def shaken(problem):
    T = problem.T_map_rig.copy()
    T[1], T[2] = T[1] @ OFF, T[2] @ se3_inverse(OFF)
    return replace(problem, T_map_rig=T)


def off(found, T=POSES):
    return np.abs(found.T_map_rig - T).max()


def test_cameras_with_mounts_of_their_own_are_adjusted_in_a_few_steps():
    found = adjust_rays(shaken(linked()), RayNoise(), 8)
    assert off(found) < 1e-6 and np.array_equal(found.factors, np.ones(3))


def test_units_are_found_in_a_few_steps_and_the_fixed_ones_stay():
    sizes = np.array([1.0, 1.4, 0.8])
    found = adjust_rays(shaken(linked(sizes=sizes, free_scale=True)), RayNoise(distance=0.05), 12)
    assert off(found) < 1e-6 and found.factors == pytest.approx(sizes, rel=1e-6) and found.factors[0] == 1.0


def test_each_size_of_a_residual_has_its_cost():
    """One match is off by 10 deviations in its ray, one by 0.5 in its distance, one by 20."""
    problem = linked(((0, 1),))
    aside = np.cross(problem.rays[0], [0.0, 1.0, 0.0])
    problem.rays[0] += 0.03 * aside / np.linalg.norm(aside)
    problem.distances[1] *= np.exp(0.5 * 0.1)
    problem.distances[2] *= np.exp(-20 * 0.1)
    cost = adjust_rays(problem, RayNoise(0.003, 0.1, 1.5), 0).costs[0]
    assert cost == pytest.approx(1.5 * (10 - 0.75) + 0.5 * 0.5**2 + 1.5 * (20 - 0.75), rel=1e-3)


@pytest.mark.parametrize("where", ["rays", "distances", "points"])
def test_a_few_wrong_matches_do_not_pull(where):
    problem = shaken(linked())
    values = getattr(problem, where)
    values[::8] = values[::8] * 1.6 if where != "rays" else np.roll(values, 1, axis=0)[::8]
    noise = RayNoise(distance=0.05 if where == "distances" else 10.0)
    assert off(adjust_rays(problem, noise, 40)) < {"rays": 0.01, "points": 0.03, "distances": 0.004}[where]


@pytest.mark.parametrize(("where", "value"), [("rays", np.nan), ("points", np.nan), ("points", np.inf), ("distances", np.nan),
                                              ("distances", 0.0), ("points", "at the camera")])
def test_what_is_no_point_counts_nothing(where, value):
    problem, exact = shaken(linked()), linked()
    if value == "at the camera":
        exact.points[:3] = (se3_inverse(POSES[0] @ MOUNT) @ POSES[1] @ SIDE)[:3, 3]
    else:
        getattr(problem, where)[:3] = getattr(exact, where)[:3] = value
    assert adjust_rays(exact, RayNoise(), 0).costs[0] == pytest.approx(0.0, abs=1e-12)
    assert off(adjust_rays(problem, RayNoise(), 10)) < 1e-6


def test_the_error_of_a_link_is_the_median_of_what_is_known():
    problem = linked(((0, 1), (1, 0)))
    aside = np.cross(problem.rays[:MATCHES], [0.0, 1.0, 0.0])
    deviations = np.arange(1.0, MATCHES + 1)
    problem.rays[:MATCHES] += 0.003 * deviations[:, None] * aside / np.linalg.norm(aside, axis=1)[:, None]
    problem.rays[11:MATCHES] = np.nan
    problem.distances[MATCHES:] = np.nan  # nothing of the second is known
    found = adjust_rays(problem, RayNoise(), 0)
    assert found.errors == pytest.approx([6.0, 0.0], rel=0.01) and np.array_equal(found.errors, found.errors_before)


def test_a_keyframe_that_no_link_holds_stays():
    problem = linked(((0, 1), (1, 0)))
    problem.T_map_rig[1] = POSES[1] @ OFF
    found = adjust_rays(problem, RayNoise(), 10)
    assert off(found) < 1e-6 and np.array_equal(found.T_map_rig[2], POSES[2])


def contradicted(doubted):
    """The last link says that the second keyframe is elsewhere."""
    problem = linked()
    other = linked(((0, 1),), T=np.stack([POSES[0], POSES[1] @ se3_exp([0.3, 0.0, 0.0, 0.0, 0.1, 0.0]), POSES[2]]))
    parts = {f: np.concatenate([getattr(problem, f), getattr(other, f)]) for f in (
        "anchor", "observer", "T_rig_anchor", "T_rig_observer", "points", "rays", "distances")}
    return replace(problem, **parts, doubted=np.arange(5) == (4 if doubted else 5), bounds=np.arange(6) * MATCHES)


def test_only_what_is_doubted_gives_way():
    found = adjust_rays(contradicted(True), RayNoise(), 20)
    assert off(found) < 0.002 and np.array_equal(found.weights[:4], np.ones(4))
    assert found.weights[4] == pytest.approx((NARROWEST**2 / (NARROWEST**2 + found.errors[4]**2)) ** 2, rel=1e-2)
    sure = adjust_rays(contradicted(False), RayNoise(), 20)
    assert off(sure) > 0.01 and np.array_equal(sure.weights, np.ones(5))


def test_the_kernel_narrows_besides_the_iterations():
    """A link that is doubted and right pulls with all its weight, however far the start is."""
    problem = replace(linked(((0, 1), (1, 0))), doubted=np.array([True, True]))
    problem.T_map_rig[1] = POSES[1] @ OFF @ OFF @ OFF
    found = adjust_rays(problem, RayNoise(), 2)
    assert found.errors_before.min() > 2 * NARROWEST and off(found, np.r_[POSES[:2], found.T_map_rig[2:]]) < 1e-5
    assert found.weights == pytest.approx([1.0, 1.0])


def test_steps_that_go_too_far_are_damped():
    problem = linked(((0, 1), (1, 0)))
    problem.T_map_rig[1] = POSES[1] @ make_se3(so3_exp([0.3, 2.0, 0.5]), [0.5, 0.0, 0.5])
    found = adjust_rays(problem, RayNoise(huber=1e6), 60)
    assert all(b < a for a, b in zip(found.costs, found.costs[1:], strict=False))
    assert np.abs(found.T_map_rig[1] - POSES[1]).max() < 1e-3


def test_no_step_follows_one_that_gains_nothing():
    problem = shaken(linked())
    problem.rays += np.random.default_rng(1).normal(0, 0.003, problem.rays.shape)
    costs = np.array(adjust_rays(problem, RayNoise(), 50).costs)
    gains = 1 - costs[1:] / costs[:-1]
    assert len(gains) > 1 and (gains[:-1] >= 1e-4).all() and gains[-1] < 1e-4
