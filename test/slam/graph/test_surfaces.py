# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Terms of surfaces: their derivatives, and poses that nothing else determines."""
import numpy as np
import pytest
from helpers.box_room import CAMERA, box_depth, looking
from helpers.landmarks import PointModel, keyframe_of, points_around

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import se3_adjoint, se3_exp, se3_inverse, se3_log
from lsm_ros.pairs.base import Matches
from lsm_ros.pairs.surfaces import Surfaces, common_surfaces
from lsm_ros.slam.graph.keyframes import KeyframeGraph, Link
from lsm_ros.slam.graph.surfaces import SurfaceTerms, surface_terms
from lsm_ros.slam.trackers.landmark_links import join

RIGS = [looking(0.4, (-1.0, -0.6, 1.2)), looking(np.pi - 0.4, (3.0, -0.6, 1.2)), looking(1.5, (1.0, -1.0, 1.1))]


def room_terms(poses=RIGS, ties=((1, 0), (2, 0), (2, 1))):
    found = [(b, a, common_surfaces(box_depth(poses[b]), CAMERA, box_depth(poses[a]), CAMERA,
                                    se3_inverse(poses[a]) @ poses[b], 0.0015)) for b, a in ties]
    return surface_terms(range(len(poses)), [(b, a, s) for b, a, s in found if s is not None])


def test_rows_are_those_of_the_keyframes():
    one, two = (Surfaces(np.full((n, 3), n), np.full((n, 4), n), np.full(n, n)) for n in (2, 3))
    terms = surface_terms([4, 7, 9], [(9, 4, one), (7, 9, two)])
    assert terms.anchor.tolist() == [2, 1] and terms.observer.tolist() == [0, 2] and terms.bounds.tolist() == [0, 2, 5]
    assert terms.sigma.tolist() == [2, 2, 3, 3, 3] and terms.points.shape == (5, 3) and terms.planes.shape == (5, 4)
    assert surface_terms([4, 7, 9], []) is None


@pytest.mark.parametrize("k", [1e9, 0.5])
def test_derivatives_are_those_of_the_cost(k):
    terms, step = room_terms(), 1e-6
    T = np.stack([P @ se3_exp(0.01 * np.random.default_rng(i).standard_normal(6)) for i, P in enumerate(RIGS)])
    cost, gram, T_observer_anchor = terms.linearize(T, k)
    gradient = np.zeros((len(RIGS), 6))
    for e, A in enumerate(-se3_adjoint(T_observer_anchor)):
        gradient[terms.observer[e]] += gram[e, :6, 6]
        gradient[terms.anchor[e]] += A.T @ gram[e, :6, 6]
    assert cost > 0
    for i in range(len(RIGS)):
        for j in range(6):
            moved = T.copy()
            moved[i] = T[i] @ se3_inverse(se3_exp(step * np.eye(6)[j]))
            numeric = (terms.linearize(moved, k)[0] - cost) / step
            assert np.isclose(numeric, gradient[i, j], rtol=1e-3, atol=1e-2 * np.abs(gradient).max())


def test_far_points_count_less():
    terms = SurfaceTerms(np.array([1]), np.array([0]), np.array([0, 2]), np.array([[0, 0, 1.0], [0, 0, 9.0]]),
                         np.array([[0, 0, -1.0, 1.0]] * 2), np.ones(2))
    cost, gram, _ = terms.linearize(np.stack([np.eye(4)] * 2), 2.0)
    assert np.isclose(cost, 2.0 * (8.0 - 1.0)) and np.isclose(gram[0, 2, 2], 1.0 + 2.0 / 8.0)


def tied_graph(T):
    """Keyframes 0 and 1 with landmarks in common, and 2, at T, which only surfaces tie to them."""
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    there = se3_exp([0.2, 0.1, 0.0, 0.0, 0.1, 0.0])
    for i, pose in enumerate((np.eye(4), there, T)):
        graph.add(keyframe_of(i, points_around(), pose, {"front": np.eye(4)}))
    assert join(graph, PointModel(), graph.keyframes[1], graph.keyframes[0], 20)
    corner = np.array([[x, y, z] for x in (0.0, 1.0, 2.0) for y in (0.0, 1.0, 2.0) for z in (0.0, 1.0, 2.0)])
    on = np.concatenate([corner[corner[:, axis] == 0.0] for axis in range(3)])
    planes = np.repeat(np.eye(3, 4), 9, axis=0)
    truth = se3_exp([0.1, 0.3, -0.2, 0.2, 0.0, 0.1])
    points = (on - truth[:3, 3]) @ truth[:3, :3]  # as keyframe 2 sees the corner of a room at the origin
    graph.connect(Link(2, "front", 0, "front", Matches.none(), Surfaces(points, planes, np.full(len(on), 0.01))))
    return graph, truth


@pytest.mark.parametrize("free", [{1, 2}, {2, 1, 0}])
def test_a_keyframe_comes_to_where_its_surfaces_are(free):
    off = se3_exp([0.02, -0.03, 0.01, 0.02, 0.01, -0.02])
    graph, truth = tied_graph(tied_graph(np.eye(4))[1] @ off)
    graph.optimize(free, iterations=10)
    assert np.abs(se3_log(se3_inverse(truth) @ graph.keyframes[2].T_map_rig)).max() < 1e-4
    assert (2, "front", 0, "front") in graph.links


def test_a_branch_has_its_ties():
    graph, _ = tied_graph(np.eye(4))
    assert graph.copied().links[2, "front", 0, "front"].surfaces is graph.links[2, "front", 0, "front"].surfaces
    graph.renumber(10)
    assert graph.links[12, "front", 10, "front"].surfaces is not None
