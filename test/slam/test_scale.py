# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.config import KeyframeConfig, TrackingConfig
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.graph.history import PoseHistory
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, KeyframeView
from lsm_ros.slam.scale import map_units_per_metre, resized

T_RIG_CAM = make_se3(so3_exp([0.1, 0.2, -0.3]), [0.25, 0.1, 1.1])


def drive(turn=0.8, sideways=0.0, n=40):
    """A base that drives arcs, and turns on the spot in between; sideways: way to its left in each step."""
    T, out = np.eye(4), []
    for i in range(n):
        out.append(T)
        yaw = turn * (0.3 if i % 8 < 3 else 0.05) * (-1) ** (i // 12)
        forward = 0.0 if i % 8 < 3 else 0.1
        chord = so3_exp([0, 0, yaw / 2]) @ [forward, sideways * (-1) ** (i // 2), 0]
        T = T @ make_se3(so3_exp([0, 0, yaw]), chord)
    return np.stack(out)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.3])
def test_the_lever_tells_the_scale_of_the_map(scale):
    T = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], scale) for t in drive()])
    found, std = map_units_per_metre(T, T_RIG_CAM)
    assert found == pytest.approx(scale, rel=1e-6) and std < 1e-6
    back = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], 1 / found) for t in T])
    assert np.allclose(back, drive(), atol=1e-6)


def test_noise_shows_in_the_deviation():
    rng = np.random.default_rng(0)
    T = np.stack([resized(t, T_RIG_CAM, T_RIG_CAM[:3, 3], 1.5) for t in drive(n=80)])
    T[:, :3, 3] += rng.normal(0, 0.002, (80, 3))
    found, std = map_units_per_metre(T, T_RIG_CAM)
    assert abs(found - 1.5) < 4 * std and 0.001 < std < 0.1


@pytest.mark.parametrize("poses, mount", [
    (drive(turn=0.0), T_RIG_CAM),  # straight on
    (drive(), make_se3(np.eye(3), [0.0, 0.0, 1.1])),  # the camera is above the middle
    (drive(sideways=0.15), T_RIG_CAM)])  # a base that goes sideways
def test_nothing_is_said_where_the_lever_tells_nothing(poses, mount):
    assert map_units_per_metre(poses, mount) is None


def test_poses_between_keyframes_grow_with_the_map():
    view = KeyframeView("front", None, None, T_RIG_CAM, np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    first, then = drive()[3:5]
    graph = KeyframeGraph(KeyframeConfig(), TrackingConfig())
    graph.add(Keyframe(0, 0, first, {"front": view}))
    history = PoseHistory()
    history.add(7, then, graph, 0)
    centre = np.array([0.3, -0.2, 0.9])
    graph.keyframes[0].T_map_rig = resized(first, T_RIG_CAM, centre, 1.7)
    graph.keyframes[0].size = 1.7
    (pose,) = history.final(graph)
    assert np.allclose(pose.T_map_rig, resized(then, T_RIG_CAM, centre, 1.7))
    assert np.allclose(history.online()[0].T_map_rig, then)
