# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Uncertainty of keyframes along the surest chain of links."""
import numpy as np
import pytest
from helpers.landmarks import keyframe_of, points_around

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import make_se3, se3_exp, so3_exp, so3_log
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import KeyframeGraph, Link
from lsm_ros.slam.graph.uncertainty import SHARED, UNTIED_M, Uncertainty, carried
from lsm_ros.slam.pose import View, solve_rig_pose

MOUNTS = {"front": np.eye(4)}
POINTS = points_around(200)


def at(x, turn=0.0):
    return make_se3(so3_exp([0.0, turn, 0.0]), [x, 0.0, 0.0])


def graph_of(*poses):
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    for i, T in enumerate(poses):
        graph.add(keyframe_of(i, POINTS, T, MOUNTS))
    return graph


def tie(graph, anchor, observer, count=150):
    """A link by the first `count` points that both see."""
    there, here = graph.keyframes[anchor].views["front"], graph.keyframes[observer].views["front"]
    seen = here.tokens.pixels[there.tokens.corner_of]
    found = np.flatnonzero(np.isfinite(seen[:, 0]))[:count]
    depth = here.tokens.depth[there.tokens.corner_of[found]]
    graph.connect(Link(anchor, "front", observer, "front", Matches(found, seen[found], depth)))


def uncertainty(graph):
    return Uncertainty(graph, TrackingConfig())


def test_a_turn_that_is_unsure_moves_what_is_far_away():
    covariance = np.diag([0, 0, 0, 0, 0, 0.01**2])  # about z
    there = carried(covariance, np.array([3.0, 0, 0]))
    assert np.sqrt(there[1, 1]) == pytest.approx(0.03) and there[0, 0] == there[2, 2] == 0  # sideways
    assert there[1, 5] == pytest.approx(3 * 0.01**2)  # to the left as it turns to the left
    scatter = [se3_exp([0, 0, 0, 0, 0, 0.01 * n])[:3, :3] @ [3.0, 0, 0] - [3.0, 0, 0]
               for n in np.random.default_rng(0).normal(size=4000)]
    assert np.std(scatter, axis=0) == pytest.approx(np.sqrt(np.diag(there)[:3]), abs=2e-3)


def test_the_first_is_sure_and_each_link_adds():
    graph = graph_of(at(0), at(0.2), at(0.4), at(0.6))
    for i in range(3):
        tie(graph, i, i + 1)
    found = [uncertainty(graph).of(i) for i in range(4)]
    assert not found[0].any()
    sizes = [np.trace(c) for c in found]
    assert 0 < sizes[1] < sizes[2] < sizes[3]
    assert all(np.linalg.eigvalsh(c).min() > 0 for c in found[1:])
    assert found[2][5, 5] == pytest.approx(2 * found[1][5, 5], rel=0.3)  # turns add up
    assert found[3][1, 1] > 3 * found[1][1, 1]  # places more than that, for turns carry


def test_one_link_is_as_unsure_as_poses_from_its_points_scatter():
    graph, rng, t = graph_of(at(0), at(0.3, 0.1)), np.random.default_rng(1), TrackingConfig()
    tie(graph, 0, 1)
    link, T = graph.links[0, "front", 1, "front"], at(0.3, 0.1)
    view = graph.keyframes[1].views["front"]
    points = graph.keyframes[0].views["front"].points_rig()[link.matches.index_b]
    errors = []
    for _ in range(200):
        pixels = link.matches.pixels_a + rng.normal(0, t.sigma_px, link.matches.pixels_a.shape)
        depth = 1 / (1 / link.matches.depth_a + rng.normal(0, t.depth_sigma, len(pixels)))
        found = solve_rig_pose([View(view.intrinsics, np.eye(4), points, pixels, depth)], T, t.sigma_px, t.depth_sigma,
                               t.huber, 10).T_map_rig
        errors.append(np.r_[found[:3, 3] - T[:3, 3], so3_log(found[:3, :3] @ T[:3, :3].T)])
    covariance = uncertainty(graph).of(1) / SHARED
    normalised = [e @ np.linalg.solve(covariance, e) for e in errors]
    assert 4.5 < np.mean(normalised) < 7.5  # chi-square with 6 degrees of freedom


def test_the_surest_chain_counts_and_a_loop_makes_it_short():
    graph = graph_of(*(at(0.1 * i) for i in range(6)), at(0.05))
    for i in range(6):
        tie(graph, i, i + 1)
    known = uncertainty(graph)
    before = np.trace(known.of(6))
    tie(graph, 0, 6)
    assert np.trace(known.of(6)) == before  # until it hears of it
    known.forget()
    assert np.trace(known.of(6)) < before / 5
    tie(graph, 2, 6, count=12)  # a weak link changes nothing
    known.forget()
    assert np.trace(known.of(6)) < before / 5


def test_a_new_keyframe_costs_its_links_and_is_as_in_a_walk_over_all():
    graph = graph_of(*(at(0.1 * i) for i in range(5)))
    known = uncertainty(graph)
    for i in range(4):
        tie(graph, i, i + 1)
        graph.version += 1
        one = known.of(i + 1)
        assert one == pytest.approx(uncertainty(graph).of(i + 1))
    assert known.at(4, at(0.4)) == pytest.approx(known.of(4))
    assert np.trace(known.at(4, at(2.4))) > np.trace(known.of(4))


def test_a_link_is_as_sure_in_both_directions():
    there, back = graph_of(at(0), at(0.3)), graph_of(at(0), at(0.3))
    tie(there, 0, 1)
    tie(back, 1, 0)
    assert np.trace(uncertainty(back).of(1)) == pytest.approx(np.trace(uncertainty(there).of(1)), rel=0.3)


def test_a_part_that_nothing_ties_is_hardly_known_and_a_lost_link_no_fault():
    graph = graph_of(at(0), at(0.1), at(1.0), at(1.1))
    tie(graph, 0, 1)
    tie(graph, 2, 3)
    known = uncertainty(graph)
    assert np.sqrt(known.of(3)[0, 0]) >= UNTIED_M > 10 * np.sqrt(known.of(1)[0, 0])
    tie(graph, 1, 2)
    graph.version += 1
    assert np.sqrt(known.of(3)[0, 0]) < UNTIED_M / 5  # it is tied by now
    for given_up in ((0, "front", 1, "front"), (1, "front", 2, "front")):
        known = uncertainty(graph)
        known._find_all()
        graph.disconnect(given_up)
        assert np.sqrt(known.of(2)[0, 0]) >= UNTIED_M


def test_the_oldest_that_is_left_is_sure():
    graph = graph_of(at(0), at(0.1), at(0.2))
    tie(graph, 0, 1)
    tie(graph, 1, 2)
    known = uncertainty(graph)
    assert known.of(2).any()
    graph.remove(0)
    assert not known.of(1).any() and 0 < np.trace(known.of(2)) < 1e-2
