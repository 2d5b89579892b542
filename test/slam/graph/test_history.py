# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Poses of frames that follow the graph, and stay when their keyframe or the graph goes."""
import numpy as np
import pytest

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.graph import history as history_module
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.scale import resized

T_RIG_CAM = make_se3(so3_exp([0.1, 0.2, -0.3]), [0.25, 0.1, 1.1])


def pose(x):
    return make_se3(so3_exp([0.0, 0.0, 0.3 * x]), [x, 0.5, 0.0])


def graph_of(*poses):
    nothing = np.zeros(0)
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    for i, T in enumerate(poses):
        view = KeyframeView("front", None, None, T_RIG_CAM, np.zeros((0, 2)), np.zeros((0, 3)), nothing, nothing)
        graph.add(Keyframe(i, i, T, {"front": view}))
    return graph


def stamps(poses):
    return [p.stamp_ns for p in poses]


def test_poses_follow_their_keyframe_and_what_was_published_stays():
    graph, history = graph_of(pose(0), pose(1)), PoseHistory()
    published = pose(1.2)
    history.add(7, published, graph, 1)
    published[0, 3] = 99.0  # the caller goes on with it
    shift = make_se3(so3_exp([0.0, 0.2, 0.0]), [0.0, 0.0, 3.0])
    graph.keyframes[1].T_map_rig = shift @ graph.keyframes[1].T_map_rig
    assert np.allclose(history.final(graph)[0].T_map_rig, shift @ pose(1.2))
    assert np.allclose(history.online()[0].T_map_rig, pose(1.2))


def test_only_growth_since_then_counts():
    graph, history = graph_of(pose(0)), PoseHistory()
    graph.keyframes[0].size = 2.0
    history.add(7, pose(1), graph, 0)
    assert np.allclose(history.final(graph)[0].T_map_rig, pose(1))
    graph.keyframes[0].size = 3.0
    assert np.allclose(history.final(graph)[0].T_map_rig, resized(pose(1), T_RIG_CAM, T_RIG_CAM[:3, 3] + [0, 0.5, 0], 1.5))


def test_poses_found_afterwards_were_never_published():
    graph, history = graph_of(pose(0)), PoseHistory()
    history.add(7, pose(1), graph, 0)
    history.add(5, pose(2), graph, 0, published=False)
    assert stamps(history.final(graph)) == [5, 7] and stamps(history.online()) == [7]
    history.retire(graph)
    assert stamps(history.final(graph)) == [5, 7] and stamps(history.online()) == [7]


def test_a_keyframe_that_leaves_leaves_its_poses_where_they_are():
    graph, history = graph_of(pose(0), pose(1)), PoseHistory()
    for stamp, keyframe in ((3, 0), (4, 1), (5, 0), (2, 1)):
        history.add(stamp, pose(stamp), graph, keyframe)
    history.retire(graph, 0)
    graph.remove(0)
    graph.keyframes[1].T_map_rig = make_se3(np.eye(3), [0.0, 0.0, 1.0]) @ graph.keyframes[1].T_map_rig
    final = history.final(graph)
    assert stamps(final) == stamps(history.online()) == [2, 3, 4, 5]
    assert [p.T_map_rig[2, 3] for p in final] == pytest.approx([1.0, 0.0, 1.0, 0.0])
    assert [p.T_map_rig[2, 3] for p in history.online()] == pytest.approx([0.0] * 4)


def test_the_next_graph_does_not_move_the_poses_of_the_last_one():
    first, history = graph_of(pose(0)), PoseHistory()
    history.add(3, pose(3), first, 0)
    history.retire(first)
    second = graph_of(pose(8))
    history.add(4, pose(4), second, 0)
    assert [p.T_map_rig[0, 3] for p in history.final(second)] == pytest.approx([3.0, 4.0])
    assert stamps(history.online()) == [3, 4]


def test_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr(history_module, "MAX_POSES", 3)
    graph, history = graph_of(pose(0), pose(1)), PoseHistory()
    for stamp in range(6):
        history.add(stamp, pose(stamp), graph, 1)
    assert stamps(history.final(graph)) == stamps(history.online()) == [3, 4, 5]
    history.retire(graph, 0)  # none of them
    history.add(6, pose(6), graph, 1)
    assert stamps(history.final(graph)) == [4, 5, 6]
    history.retire(graph)
    for stamp in range(7, 10):
        history.add(stamp, pose(stamp), graph, 1)
    history.retire(graph)
    assert stamps(history.final(graph)) == stamps(history.online()) == [7, 8, 9]
