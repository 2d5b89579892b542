# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A copy of the graph is worked on while keyframes come and go in the graph itself."""
from types import SimpleNamespace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import is_se3, make_se3, se3_exp, so3_exp
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.branch import Branch
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView, Link

NEARER = make_se3(so3_exp([0, 0, 0.1]), [0.5, 0.0, -0.2])


class Tokens(SimpleNamespace):
    def resize(self, factor):
        self.size *= factor


def pose(i):
    return make_se3(so3_exp([0.0, 0.1 * i, 0.0]), [float(i), 0.0, 0.0])


def keyframe(i):
    corners = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    view = KeyframeView("front", Tokens(size=1.0), None, np.eye(4), corners, np.c_[corners, np.ones(3)], np.full(3, 0.5),
                        np.array([0.5, np.nan, 0.25]))
    return Keyframe(i, i, pose(i), {"front": view})


class Noted(dict):
    def add(self, i, signature):
        assert i not in self
        self[i] = signature

    def remove(self, i):
        del self[i]


def link(a, b, count=2):
    return Link(a, "front", b, "front", Matches(np.arange(count), np.zeros((count, 2)), np.full(count, np.nan)))


@pytest.fixture
def graph():
    config = from_dict({})
    graph = KeyframeGraph(config.keyframes, config.tracking, places=Noted())
    for i in range(4):
        graph.add(keyframe(i))
    for a, b in ((0, 1), (1, 2), (2, 3)):
        graph.connect(link(a, b))
    return graph


def key(a, b):
    return a, "front", b, "front"


def rho(graph, i):
    return graph.keyframes[i].views["front"].inverse_depth


def test_what_the_branch_changes_is_not_seen_before_it_is_merged(graph):
    copy = Branch(graph).graph
    copy.keyframes[2].T_map_rig = np.eye(4)
    copy.keyframes[2].views["front"].inverse_depth = np.ones(3)
    copy.disconnect(key(0, 1))
    copy.connect(link(0, 3))
    copy.sign(3, np.ones(5))
    copy.remove(1)
    assert np.allclose(graph.keyframes[2].T_map_rig, pose(2)) and np.isnan(rho(graph, 2)[1])
    assert graph.linked(0) == {1} and graph.linked(1) == {0, 2} and sorted(graph.keyframes) == [0, 1, 2, 3]
    assert graph.keyframes[3].thumbnail is None and not graph.places


def test_the_graph_takes_poses_depths_links_and_signatures(graph):
    graph.sign(0, np.zeros(5))
    branch, version = Branch(graph), graph.version
    copy = branch.graph
    copy.keyframes[2].T_map_rig = np.eye(4)
    copy.keyframes[2].views["front"].inverse_depth = np.array([1.0, 2.0, 3.0])
    copy.disconnect(key(0, 1))
    copy.connect(link(1, 2, count=1))
    copy.connect(link(0, 3))
    copy.sign(3, np.ones(5))
    copy.adjusted_at = 4
    branch.merge(graph)
    assert np.allclose(graph.keyframes[2].T_map_rig, np.eye(4)) and rho(graph, 2).tolist() == [1, 2, 3]
    assert set(graph.links) == {key(1, 2), key(2, 3), key(0, 3)} and len(graph.links[key(1, 2)].matches) == 1
    assert graph.linked(0) == {3} and list(graph.places) == [0, 3] and graph.keyframes[3].thumbnail is not None
    assert graph.version > version and graph.adjusted_at == 4


def test_keyframes_that_came_meanwhile_move_with_the_newest_one(graph):
    branch = Branch(graph)
    graph.add(keyframe(4))
    graph.connect(link(3, 4))
    branch.graph.keyframes[3].T_map_rig = NEARER @ pose(3)
    correction = branch.merge(graph)
    assert np.allclose(correction, NEARER) and np.allclose(graph.keyframes[4].T_map_rig, NEARER @ pose(4))
    assert np.allclose(graph.keyframes[2].T_map_rig, pose(2)) and graph.linked(4) == {3}
    assert graph.keyframes[4].size == 1.0


def test_they_grow_with_it_too(graph):
    branch = Branch(graph)
    graph.add(keyframe(4))
    moved = branch.graph.keyframes[3]
    moved.T_map_rig = NEARER @ pose(3)
    moved.resize(2.0)
    branch.merge(graph)
    T_3_4 = np.linalg.inv(pose(3)) @ pose(4)
    T_3_4[:3, 3] *= 2.0
    assert np.allclose(graph.keyframes[4].T_map_rig, NEARER @ pose(3) @ T_3_4)
    assert graph.keyframes[4].size == graph.keyframes[3].size == 2.0
    assert rho(graph, 3)[0] == rho(graph, 4)[0] == 0.25
    assert all(graph.keyframes[i].views["front"].measured[0] == 0.25 for i in (3, 4))


def test_a_depth_that_was_found_meanwhile_stays_and_one_of_the_branch_counts_more(graph):
    branch = Branch(graph)
    rho(graph, 1)[:] = 7.0
    branch.graph.keyframes[1].views["front"].inverse_depth = np.array([1.0, np.nan, 3.0])
    branch.merge(graph)
    assert rho(graph, 1).tolist() == [1.0, 7.0, 3.0]


def test_keyframes_that_left_meanwhile_do_not_come_back(graph):
    branch = Branch(graph)
    branch.graph.connect(link(0, 3))
    branch.graph.connect(link(1, 3))
    branch.graph.sign(0, np.ones(5))
    branch.graph.disconnect(key(0, 1))
    graph.remove(0)
    branch.merge(graph)
    assert sorted(graph.keyframes) == [1, 2, 3] and set(graph.links) == {key(1, 2), key(2, 3), key(1, 3)} and not graph.places


def test_a_link_that_was_renewed_meanwhile_is_not_cut(graph):
    branch, newer = Branch(graph), link(2, 4)
    graph.add(keyframe(4))
    graph.connect(newer)
    branch.graph.disconnect(key(2, 3))
    branch.merge(graph)
    assert graph.links[key(2, 4)] is newer and key(2, 3) not in graph.links


def test_rotations_stay_rotations_over_many_merges(graph):
    graph.add(keyframe(4))
    for n in range(60):
        branch = Branch(graph)
        i = 5 + n
        graph.add(keyframe(i))
        copied = branch.graph.keyframes[i - 1]
        copied.T_map_rig = copied.T_map_rig @ se3_exp([0.01, 0, 0, 0.02, 0.01, 0])
        branch.merge(graph)
        graph.keyframes[i].T_map_rig = graph.keyframes[i].T_map_rig @ (np.eye(4) + 1e-9)
    assert is_se3(graph.keyframes[max(graph.keyframes) - 1].T_map_rig, 1e-6)
