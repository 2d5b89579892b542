# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Which source levels the map, and when."""
import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.datasets.base import T_BODY_OPTICAL
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp
from lsm_ros.mapping.levelling import Levelling
from lsm_ros.mapping.warnings import Warnings
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers import FrameDepth
from lsm_ros.types import Frame, FrameSet, ImuSample

CAMERA = CameraIntrinsics(320, 240, 180.0, 180.0, 159.5, 119.5)
T_TILTED = make_se3(so3_exp([0.2, -0.1, 0.4]), [0.5, 0.0, 1.0])
"""T_map_rig of a rig that stands upright in a map that is tilted."""


def standing(gravity="auto", base=False, frames=40, force=(0.0, 0.0, 9.80665), readings=True):
    """A levelling that has seen a rig stand for a while, its warnings, and a graph with one keyframe of it."""
    warnings = Warnings()
    levelling = Levelling(from_dict({"scale.gravity": gravity}), warnings)
    levelling.start(base)
    keyframe = Keyframe(0, frames * 100_000_000, T_TILTED, {})
    for k in range(frames):
        end = (k + 1) * 100_000_000
        imu = tuple(ImuSample(end - (19 - i) * 5_000_000, np.zeros(3), np.array(force)) for i in range(20)) if readings else ()
        frame = Frame(end, "front", np.zeros((4, 4, 3), np.uint8))
        levelling.see(FrameSet(end, (frame,), rig_is_base=base, imu=imu, T_rig_imu=np.eye(4)), T_TILTED, keyframe)
    graph = KeyframeGraph(from_dict({}).keyframes, from_dict({}).tracking)
    graph.add(keyframe)
    return levelling, warnings, graph


def levelled_by_floor(levelling, keyframes=8):
    """True if a camera 1 m above a floor levels the map, which is tilted, while it turns."""
    graph = KeyframeGraph(from_dict({}).keyframes, from_dict({}).tracking)
    pixels = np.stack(np.meshgrid(np.arange(320.0), np.arange(240.0)), -1).reshape(-1, 2)
    down = (CAMERA.unproject(pixels) @ T_BODY_OPTICAL[2, :3]).reshape(240, 320)
    depth = np.where(down < -0.1, -1.0 / np.minimum(down, -0.1), 0).astype(np.float32)
    for k in range(keyframes):
        keyframe = Keyframe(100 + k, k, make_se3(so3_exp([0.1, 0.0, 0.0]) @ so3_exp([0, 0, 0.2 * k]), np.zeros(3)), {})
        graph.add(keyframe)
        frame = Frame(k, "front", np.zeros((240, 320, 3), np.uint8))
        views = {"front": FrameDepth(frame, CAMERA, depth, np.ones_like(depth), True)}
        T_new_old = levelling.by_floor(keyframe, graph, views, {"front": T_BODY_OPTICAL})
        if T_new_old is not None:
            np.testing.assert_allclose((T_new_old @ keyframe.T_map_rig)[2], [0, 0, 1, 1], atol=0.02)
            return True
    return False


@pytest.mark.parametrize("gravity", ["auto", "imu"])
def test_an_imu_levels_the_map(gravity):
    levelling, warnings, graph = standing(gravity)
    T_new_old = levelling.by_imu(graph)
    np.testing.assert_allclose((T_new_old @ T_TILTED)[:3, 2], [0, 0, 1], atol=1e-3)
    np.testing.assert_allclose(T_new_old[:3, 3], 0)
    assert levelling.source == "imu" and warnings.texts == ()
    graph.keyframes[0].T_map_rig = T_new_old @ T_TILTED
    assert levelling.by_imu(graph) is None and levelling.by_imu(graph, final=True) is None and not levelled_by_floor(levelling)


@pytest.mark.parametrize(("off", "final", "again"), [(0.01, False, False), (0.01, True, True), (0.03, False, True)])
def test_a_map_that_was_levelled_is_levelled_again_where_it_is_off(off, final, again):
    levelling, _, graph = standing()
    graph.keyframes[0].T_map_rig = levelling.by_imu(graph) @ T_TILTED
    graph.keyframes[0].T_map_rig = make_se3(so3_exp([off, 0, 0]), np.zeros(3)) @ graph.keyframes[0].T_map_rig
    assert (levelling.by_imu(graph, final) is not None) is again


@pytest.mark.parametrize(("gravity", "base"), [("auto", True), ("base_link", False), ("none", False), ("floor", False)])
def test_another_source_comes_first(gravity, base):
    levelling, _, graph = standing(gravity, base)
    assert levelling.by_imu(graph) is None and levelling.source != "imu"


def test_an_imu_that_was_asked_for_comes_before_the_base():
    levelling, _, graph = standing("imu", base=True)
    assert levelling.by_imu(graph) is not None and levelling.source == "imu"


def test_it_waits_until_the_imu_is_sure():
    levelling, _, graph = standing(frames=4)
    assert levelling.by_imu(graph) is None and not levelling.is_known
    assert not levelled_by_floor(levelling)  # with `auto` the IMU will say it


def test_an_imu_that_cannot_be_right_is_said_and_leaves_it_to_the_floor():
    levelling, warnings, graph = standing(force=(0.0, 0.0, 1.0))
    assert levelling.by_imu(graph) is None and levelled_by_floor(levelling)
    assert "it is in g" in warnings.texts[0] and "the IMU is not used" in warnings.texts[0]


def test_an_imu_that_does_not_come_is_missed_where_it_was_asked_for():
    levelling, warnings, graph = standing("imu", readings=False)
    assert levelling.by_imu(graph) is None and "no readings of one come" in warnings.texts[0]
    levelling, warnings, graph = standing("auto", readings=False)
    assert levelling.by_imu(graph) is None and warnings.texts == () and levelled_by_floor(levelling)


def test_an_imu_that_contradicts_the_base_is_said():
    levelling, warnings, _ = standing("auto", base=True, force=(0.0, 0.0, -9.80665))
    assert levelling.source == "base_link"
    assert "180 degrees from z of the base: it is upside down" in warnings.texts[0]


@pytest.mark.parametrize(("gravity", "at_once"), [("auto", False), ("floor", True)])
def test_a_floor_counts_at_once_only_if_it_was_asked_for(gravity, at_once):
    """Else the camera has to turn: it may be on its side, and a wall below it."""
    warnings = Warnings()
    levelling = Levelling(from_dict({"scale.gravity": gravity}), warnings)
    levelling.start(False)
    assert levelled_by_floor(levelling, keyframes=1) is at_once is levelling.is_known
    assert at_once or "once the camera has turned around" in warnings.get("gravity")
    if not at_once:
        assert levelled_by_floor(levelling) and levelling.source == "floor" and warnings.get("gravity") is None
    assert not levelled_by_floor(levelling)  # once


@pytest.mark.parametrize("gravity", ["none", "base_link", "imu"])
def test_a_floor_does_not_count_where_another_source_is_wanted(gravity):
    assert not levelled_by_floor(Levelling(from_dict({"scale.gravity": gravity}), Warnings()))


def test_a_map_that_the_floor_turned_is_another_one_for_the_imu(monkeypatch):
    """The pose of before is not compared with the one that comes."""
    levelling, calls = Levelling(from_dict({"scale.gravity": "floor"}), Warnings()), []
    monkeypatch.setattr(levelling._imu, "map_moved", lambda: calls.append(1))
    assert levelled_by_floor(levelling) and calls == [1]
