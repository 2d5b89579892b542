# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, make_sim3, se3_inverse, so3_exp
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link
from lsm_ros.slam.graph.loops import OLD, STRONGEST, LoopEdge, relative_pairs, spread_loops

CAMERA = CameraIntrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
DEPTH = 2.0


def keyframe(i, T):
    tokens = SimpleNamespace(sizes=[], nbytes=0)
    tokens.resize = tokens.sizes.append
    corners = np.array([[10.0, 10.0], [40.0, 30.0]])
    view = KeyframeView("front", tokens, CAMERA, np.eye(4), corners, CAMERA.unproject(corners), np.full(2, 1 / DEPTH),
                        np.full(2, 1 / DEPTH))
    return Keyframe(i, i * 10**9, T, {"front": view})


def link(graph, a, b, count=40):
    graph.connect(Link(a, "front", b, "front", Matches(np.zeros(count, np.int64), np.zeros((count, 2)), np.zeros(count))))


def chain(poses):
    config = from_dict({})
    graph = KeyframeGraph(config.keyframes, config.tracking)
    for i, T in enumerate(poses):
        graph.add(keyframe(i, T))
        for back in (1, 2):
            if i >= back:
                link(graph, i - back, i, 60 // back)
    return graph


def ring(count=40, drift=0.0):
    """Poses on a circle of 3 m; drift: radians more that each step turns."""
    step = make_se3(so3_exp([0, 2 * np.pi / count + drift, 0]), [0.0, 0.0, 6 * np.pi / count])
    poses = [np.eye(4)]
    for _ in range(count - 1):
        poses.append(poses[-1] @ step)
    return np.stack(poses)


def closing(graph, truth):
    last = len(truth) - 1
    return [LoopEdge(0, last, se3_inverse(truth[0]) @ truth[last])]


def test_what_drifted_comes_back_and_the_first_keyframe_stays():
    truth, drifted = ring(), ring(drift=0.0015)
    graph = chain(drifted)
    version = graph.version
    corrections = spread_loops(graph, closing(graph, truth))
    after = np.stack([graph.keyframes[i].T_map_rig for i in range(len(truth))])
    before_error, error = (np.linalg.norm(p[:, :3, 3] - truth[:, :3, 3], axis=1) for p in (drifted, after))
    assert before_error[-1] > 0.15 and error[-1] < 0.1 * before_error[-1] and error.max() < 0.6 * before_error.max()
    assert np.array_equal(after[0], truth[0]) and graph.version > version
    for i, T in enumerate(after):
        assert np.allclose(corrections[i] @ drifted[i], T)


def test_a_loop_that_cannot_be_moves_nothing():
    poses = ring()
    graph = chain(poses)
    version = graph.version
    wrong = [LoopEdge(0, 39, se3_inverse(poses[0]) @ poses[39] @ make_se3(np.eye(3), [4.0, 0, 0]))]
    assert spread_loops(graph, wrong) is None
    assert all(np.array_equal(graph.keyframes[i].T_map_rig, T) for i, T in enumerate(poses)) and graph.version == version


def test_relative_poses_may_be_those_of_before():
    """What a local adjustment has moved already is spread from where it was."""
    truth, drifted = ring(), ring(drift=0.0015)
    graph = chain(drifted)
    for i in range(36, 40):
        graph.keyframes[i].T_map_rig = truth[i]
    spread_loops(graph, closing(graph, truth), before=dict(enumerate(drifted)))
    middle = graph.keyframes[30].T_map_rig
    assert np.linalg.norm(middle[:3, 3] - truth[30, :3, 3]) < 0.5 * np.linalg.norm(drifted[30, :3, 3] - truth[30, :3, 3])


def test_surroundings_grow_where_the_loop_says_so():
    poses = ring()
    graph = chain(poses)
    edge = closing(graph, poses)[0]
    scaled = LoopEdge(0, 39, make_sim3(1.1, edge.T_first_second[:3, :3], edge.T_first_second[:3, 3]))
    assert spread_loops(graph, [scaled], free_scale=True) is not None
    sizes = np.array([graph.keyframes[i].size for i in range(40)])
    assert sizes[0] == 1.0 and sizes[39] == pytest.approx(1.08, abs=0.02) and np.diff(sizes).min() > -0.01
    assert sizes[0] < sizes[20] < sizes[39]
    last = graph.keyframes[39].views["front"]
    assert np.allclose(last.inverse_depth, 1 / (DEPTH * sizes[39])) and np.allclose(last.measured, last.inverse_depth)
    assert np.prod(last.tokens.sizes) == pytest.approx(sizes[39])
    assert np.allclose(np.linalg.det(graph.keyframes[39].T_map_rig[:3, :3]), 1.0)


def test_what_nothing_joins_to_the_first_stays():
    truth, drifted = ring(), ring(drift=0.0015)
    graph = chain(drifted)
    far = make_se3(np.eye(3), [50.0, 0, 0])
    graph.add(keyframe(40, far))
    graph.add(keyframe(41, far))
    link(graph, 40, 41)
    spread_loops(graph, closing(graph, truth))
    assert np.array_equal(graph.keyframes[40].T_map_rig, far) and np.array_equal(graph.keyframes[41].T_map_rig, far)


def test_the_strongest_links_and_the_loops_describe_the_graph():
    graph = chain(ring(30))
    link(graph, 4, 7, 10)
    link(graph, 1, 29, 15)
    pairs = relative_pairs(graph)
    assert STRONGEST == 2 and (4, 7) not in pairs and (5, 7) in pairs and (6, 7) in pairs
    assert OLD < 29 - 1 and (1, 29) in pairs
    assert all(a < b for a, b in pairs) and len(pairs) == len(set(pairs)) == 29 + 28 + 1


def test_links_of_both_directions_count_together():
    graph = chain(ring(5))
    link(graph, 3, 0, 45)
    link(graph, 0, 3, 45)
    assert (0, 3) in relative_pairs(graph) and (1, 3) not in relative_pairs(graph)


def test_surfaces_alone_describe_no_relative_pose():
    graph = chain(ring(30))
    graph.connect(Link(29, "front", 2, "front", Matches.none()))
    assert (2, 29) not in relative_pairs(graph)
