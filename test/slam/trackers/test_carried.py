# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Odometry while the camera is lost: where it allows the rig to be."""
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.mapping.pipeline import MappingPipeline
from lsm_ros.slam.trackers.carried import CARRIED_FRAMES, DRIFT, NEAR, TURN, LostOdometry
from lsm_ros.types import TrackingState
from lsm_sim.source import RoomSource

HOME = np.eye(4)
CONFIG = from_dict({"fusion.voxel_size": 0.1})
SEEN, COVERED, FRAMES = 15, 30, 45


def at(x=0.0, turn=0.0):
    return make_se3(so3_exp([0.0, 0.0, turn]), [x, 0.0, 0.0])


@pytest.mark.parametrize(("found", "is_metric", "allowed"), [
    (at(0.9 * NEAR), True, True), (at(1.1 * NEAR), True, False), (at(1.1 * NEAR), False, True),
    (at(0.0, 0.9 * TURN), True, True), (at(0.0, 1.1 * TURN), True, False), (at(0.0, 1.1 * TURN), False, False)])
def test_a_find_must_be_where_odometry_says(found, is_metric, allowed):
    assert LostOdometry(HOME).allows(HOME, found, is_metric) == allowed


def test_odometry_drifts_over_all_of_the_way_also_where_that_comes_back():
    lost = LostOdometry(HOME)
    for pose in (at(5.0, 1.0), HOME):
        lost.lost(pose)
    assert lost.allows(HOME, at(NEAR + 9.9 * DRIFT, TURN + 1.9 * DRIFT), True)
    assert not lost.allows(HOME, at(NEAR + 10.1 * DRIFT), True) and not lost.allows(HOME, at(0.0, TURN + 2.1 * DRIFT), True)


@pytest.mark.parametrize("odometry", [[None], [HOME, None, HOME]])
def test_a_way_with_gaps_says_nothing(odometry):
    lost = LostOdometry(odometry[0])
    for pose in odometry[1:]:
        lost.lost(pose)
    assert lost.allows(HOME, at(9.0), True)


def test_without_an_expected_place_every_one_is_possible():
    assert LostOdometry(HOME).allows(None, at(9.0), True)


def test_images_that_contradict_odometry_say_that_the_rig_was_carried():
    lost = LostOdometry(HOME)
    for _ in range(CARRIED_FRAMES):
        assert not lost.allows(HOME, at(9.0), True) and not lost.is_carried
        lost.refuted()
    assert lost.allows(HOME, at(9.0), True) and lost.is_carried


@pytest.fixture(scope="module")
def frame_sets():
    """A camera whose lens is covered for a while, in which odometry turns by 90 degrees that the rig does not turn."""
    source, given = RoomSource(seed=1, frames=150, odometry=True), []
    for i in range(FRAMES):
        frame_set = source.frame_set(i)
        turned = make_se3(so3_exp([0.0, 0.0, np.pi / 2 * np.clip((i - SEEN) / (COVERED - SEEN), 0.0, 1.0)]), [0.0] * 3)
        frames = frame_set.frames
        if SEEN <= i < COVERED:
            frames = tuple(replace(f, image=np.zeros_like(f.image), depth=np.zeros_like(f.depth)) for f in frames)
        given.append(replace(frame_set, frames=frames, T_odom_base=frame_set.T_odom_base @ turned))
    return given


@pytest.mark.parametrize(("contradiction", "state"), [("", TrackingState.LOST), ("another room", TrackingState.TRACKING)])
def test_a_place_that_odometry_excludes_counts_once_images_contradict_odometry(frame_sets, monkeypatch, contradiction, state):
    pipeline = MappingPipeline(CONFIG)
    tracker = pipeline.tracker
    asked = []
    monkeypatch.setattr(tracker, "contradicts", lambda new, T: asked.append(new.stamp_ns) or contradiction)
    monkeypatch.setattr(tracker, "patience_s", lambda: 60.0)
    updates = [pipeline.process(f).tracking for f in frame_sets]
    assert {u.state for u in updates[SEEN:COVERED]} == {TrackingState.LOST} and updates[-1].state is state
    assert asked and min(asked) >= frame_sets[COVERED].stamp_ns, "a covered lens says nothing"
    reasons = [u.reason for u in updates[COVERED:]]
    if state is TrackingState.LOST:
        assert "odometry cannot have brought the camera" in reasons[-1]
    else:
        assert sum("odometry" in r for r in reasons) < CARRIED_FRAMES
