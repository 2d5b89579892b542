# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Frames of ~/odometry (REP-105): always one that is on TF, and the way that the cameras saw, whatever the wheels say."""
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.runtime_node import Running

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.ros.conversions import from_pose, from_transform
from lsm_ros.ros.input.transforms import OdometryState
from lsm_ros.types import MappingUpdate, TrackingState, TrackingUpdate

STEP_NS = 100_000_000
START_MAP = make_se3(so3_exp([0.0, 0.3, 0.0]), [0.0, 0.0, 1.0])  # as of a camera that looks down
START_ODOM = make_se3(so3_exp([0.0, 0.0, 1.5]), [5.0, 2.0, 0.0])
SEEN = make_se3(np.eye(3), [0.10, 0.0, 0.0])  # from frame to frame
ROLLED = make_se3(np.eye(3), [0.12, 0.0, 0.0])  # wheels that slip


@pytest.fixture
def drive(monkeypatch):
    running = []

    def of(states, **values):
        """The odometry of frames in these states of the robot's odometry, and TF of each."""
        made = Running(from_dict({f"node.{k}": v for k, v in values.items()}), monkeypatch)
        running.append(made)
        made.mapper._tf_in.seconds_since_start = 10.0
        made.mapper._tf_in.free_root, made.mapper._tf_in.first_optical = lambda: None, ""
        monkeypatch.setattr(made.pipeline, "keyframe_trajectory", lambda: [SimpleNamespace(stamp_ns=0, T_map_rig=np.eye(4))])
        T_map, T_odom = START_MAP, START_ODOM
        for n, state in enumerate(states):
            made.mapper._tf_in.odometry = state
            frame_set = SimpleNamespace(stamp_ns=n * STEP_NS, T_odom_base=T_odom if state is OdometryState.PRESENT else None)
            tracking = TrackingUpdate(TrackingState.TRACKING, T_map, np.eye(6), 1.0)
            made.mapper._pose(frame_set, MappingUpdate(n * STEP_NS, tracking), made.pipeline.status())
            T_map, T_odom = T_map @ SEEN, T_odom @ ROLLED
        sent = made.sent("~/odometry")
        edges = [{(t.header.frame_id, t.child_frame_id): from_transform(t.transform) for t in m.transforms}
                 for m in made.sent("/tf")]
        return made, [(o.header.frame_id, o.child_frame_id, from_pose(o.pose.pose)) for o in sent], edges

    yield of
    for made in running:
        made.close()


def steps(count, start):
    return [start @ np.linalg.matrix_power(SEEN, n) for n in range(count)]


def test_beside_the_odometry_of_a_robot_it_starts_where_that_is_and_goes_its_own_way(drive):
    made, sent, _ = drive([OdometryState.PRESENT] * 4, base_frame="base_link")
    assert {(frame, child) for frame, child, _ in sent} == {("odom", "base_link")}
    np.testing.assert_allclose([T for *_, T in sent], steps(4, START_ODOM), atol=1e-9)
    robot = START_ODOM @ np.linalg.matrix_power(ROLLED, 3)
    np.testing.assert_allclose(made.tf._T_map_odom @ robot, steps(4, START_MAP)[-1], atol=1e-9)  # TF takes the robot's


@pytest.mark.parametrize("state", [OdometryState.NONE, OdometryState.ABSENT])
def test_without_one_it_is_in_the_map_as_tf_is(drive, state):
    _, sent, edges = drive([state] * 4, base_frame="base_link")
    assert {(frame, child) for frame, child, _ in sent} == {("map", "base_link")}
    np.testing.assert_allclose([T for *_, T in sent], steps(4, START_MAP), atol=1e-9)
    np.testing.assert_allclose([e["map", "base_link"] for e in edges], steps(4, START_MAP), atol=1e-9)


def test_a_frame_of_its_own_begins_as_level_as_the_map(drive):
    _, sent, edges = drive([OdometryState.NONE] * 4, base_frame="base_link", publish_odom_to_base_tf=True)
    np.testing.assert_allclose([T for *_, T in sent], steps(4, START_MAP), atol=1e-9)
    assert {(frame, child) for frame, child, _ in sent} == {("odom", "base_link")}
    for edge, (*_, T) in zip(edges, sent, strict=True):
        np.testing.assert_allclose(edge["odom", "base_link"], T, atol=1e-9)
        np.testing.assert_allclose(edge["map", "odom"], np.eye(4), atol=1e-9)


def test_odometry_that_comes_late_is_where_it_goes_on(drive):
    _, sent, _ = drive([OdometryState.UNKNOWN, OdometryState.ABSENT, OdometryState.PRESENT, OdometryState.PRESENT],
                       base_frame="base_link")
    assert [frame for frame, *_ in sent] == ["map", "odom", "odom"], "nothing while it is not known which"
    late = START_ODOM @ np.linalg.matrix_power(ROLLED, 2)
    np.testing.assert_allclose([T for *_, T in sent[1:]], steps(2, late), atol=1e-9)
