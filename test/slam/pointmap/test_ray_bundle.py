# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The adjustment of keyframes on rays, with known poses and units."""
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp, so3_log, transform_points
from lsm_ros.slam.pointmap.ray_bundle import RayNoise, RayProblem, adjust_rays

KEYFRAMES, MATCHES = 8, 40
T_RIG_CAM = make_se3(so3_exp([0.1, -0.2, 0.05]), [0.1, 0.0, 0.2])


def truth():
    """Poses of rigs around points that all of them see."""
    angles = np.arange(KEYFRAMES) * 0.2
    return np.stack([make_se3(so3_exp([0.0, a, 0.0]), [np.sin(a), 0.1 * a, 0.3 * a]) for a in angles])


def links_between(pairs, T, sizes, rng, wrong=(), free_scale=True):
    """A problem whose links (anchor, observer) have exact matches for these poses and units; those in `wrong` have matches of
    a motion that is none of them."""
    points, rays, distances = [], [], []
    for anchor, observer in pairs:
        p = np.column_stack([rng.uniform(-1, 1, (MATCHES, 2)), rng.uniform(2, 4, MATCHES)])
        T_obs = T[observer] @ (se3_exp([1.0, 0.5, 0.0, 0.0, 0.3, 0.2]) if (anchor, observer) in wrong else np.eye(4))
        y = transform_points(se3_inverse(T_obs @ T_RIG_CAM) @ T[anchor] @ T_RIG_CAM, p)
        length = np.linalg.norm(y, axis=1)
        points.append(p / sizes[anchor])
        rays.append(y / length[:, None])
        distances.append(length / sizes[observer])
    anchor, observer = np.array(pairs).T
    return RayProblem(T.copy(), np.arange(KEYFRAMES) == 0, anchor, observer, np.stack([T_RIG_CAM] * len(pairs)),
                      np.stack([T_RIG_CAM] * len(pairs)), np.zeros(len(pairs), bool), np.arange(len(pairs) + 1) * MATCHES,
                      np.concatenate(points), np.concatenate(rays), np.concatenate(distances), free_scale)


def chain(both=True):
    ahead = [(n, n + 1) for n in range(KEYFRAMES - 1)]
    return ahead + [(b, a) for a, b in ahead] if both else ahead


def drifted(T, step):
    """Each pose is off from the one before by a twist."""
    out = [T[0]]
    for before, after in zip(T, T[1:], strict=False):
        out.append(out[-1] @ se3_inverse(before) @ after @ se3_exp(step))
    return np.stack(out)


def apart(T, other):
    between = se3_inverse(other) @ T
    return np.abs(between[:, :3, 3]).max(), max(np.linalg.norm(so3_log(R)) for R in between[:, :3, :3])


@pytest.mark.parametrize("free_scale", [True, False])
def test_finds_poses_and_units(free_scale):
    rng = np.random.default_rng(0)
    sizes = np.exp(0.3 * rng.standard_normal(KEYFRAMES)) if free_scale else np.ones(KEYFRAMES)
    sizes[0] = 1.0
    problem = links_between(chain(), truth(), sizes, rng, free_scale=free_scale)
    problem.T_map_rig = drifted(truth(), [0.03, -0.02, 0.01, 0.02, 0.01, -0.03])
    found = adjust_rays(problem, RayNoise(), 20)
    assert np.allclose(found.factors, sizes, rtol=1e-3)
    assert max(apart(found.T_map_rig, truth())) < 1e-3 and found.errors.max() < 0.1 < found.errors_before.max()
    assert all(b < a for a, b in zip(found.costs, found.costs[1:], strict=False))
    assert np.array_equal(found.T_map_rig[0], truth()[0]) and (found.weights == 1).all()


def test_some_wrong_matches_and_what_is_no_number_do_little():
    rng = np.random.default_rng(1)
    problem = links_between(chain(), truth(), np.ones(KEYFRAMES), rng)
    problem.rays[::10] = problem.rays[rng.permutation(len(problem.rays))[::10][:len(problem.rays[::10])]]
    problem.rays[3], problem.points[5], problem.distances[7] = np.nan, np.nan, 0.0
    problem.T_map_rig = drifted(truth(), [0.01, 0.0, 0.01, 0.0, 0.01, 0.0])
    found = adjust_rays(problem, RayNoise(), 20)
    assert max(apart(found.T_map_rig, truth())) < 0.02 and np.isfinite(found.factors).all()


def test_a_loop_takes_drift_out_of_a_chain_whose_matches_drift():
    """The chain's own matches are those of a path that is bent by a twentieth of a radian; the loop tells the truth."""
    rng, bent = np.random.default_rng(2), drifted(truth(), [0.0, 0.0, 0.0, 0.0, 0.008, 0.0])
    problem = links_between(chain(), bent, np.ones(KEYFRAMES), rng, free_scale=False)
    loop = links_between([(0, KEYFRAMES - 1), (KEYFRAMES - 1, 0)], truth(), np.ones(KEYFRAMES), rng, free_scale=False)
    problem = joined(problem, loop)
    found = adjust_rays(replace(problem, T_map_rig=bent), RayNoise(huber=5.0), 20)
    assert found.errors_before[-1] > 15 and found.weights[-2:].min() > 0.5
    assert apart(found.T_map_rig[-1:], truth()[-1:])[1] < 0.25 * apart(bent[-1:], truth()[-1:])[1]


def joined(problem, doubted):
    """Both problems' links; those of the second are doubted."""
    fields = ("anchor", "observer", "T_rig_anchor", "T_rig_observer", "points", "rays", "distances")
    both = {f: np.concatenate([getattr(problem, f), getattr(doubted, f)]) for f in fields}
    count = len(problem.anchor) + len(doubted.anchor)
    return replace(problem, **both, bounds=np.arange(count + 1) * MATCHES, doubted=np.arange(count) >= len(problem.anchor))


def test_a_false_loop_is_left_out():
    rng, ends = np.random.default_rng(3), [(0, KEYFRAMES - 1), (KEYFRAMES - 1, 0)]
    problem = links_between(chain(), truth(), np.ones(KEYFRAMES), rng)
    problem = joined(problem, links_between(ends, truth(), np.ones(KEYFRAMES), rng, wrong=set(ends)))
    found = adjust_rays(problem, RayNoise(), 20)
    assert found.weights[-2:].max() < 1e-3 and max(apart(found.T_map_rig, truth())) < 1e-3
    sure = adjust_rays(replace(problem, doubted=np.zeros_like(problem.doubted)), RayNoise(), 20)
    assert max(apart(sure.T_map_rig, truth())) > 0.05  # undoubted, it would have bent the chain


def test_something_has_to_be_fixed():
    problem = links_between(chain(), truth(), np.ones(KEYFRAMES), np.random.default_rng(0))
    problem.fixed[:] = False
    with pytest.raises(ValueError, match="at least one fixed"):
        adjust_rays(problem, RayNoise())
