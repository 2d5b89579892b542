# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.slam.pose import RigPose
from lsm_ros.slam.trackers.base import TrackedFrame
from lsm_ros.slam.trackers.trial import HELD_FRAMES, MOVED, PATIENT_FRAMES, SEARCHED, TURNED, Trial

DEPTH = 2.0


def found_at(x=0.0, turn=0.0):
    pose = RigPose(make_se3(so3_exp([0, turn, 0]), [x, 0, 0]), np.eye(6), [])
    return TrackedFrame(0, {}, {}, {}, None, pose=pose)


def trial(steps):
    first = found_at()
    out = Trial(first.pose.T_map_rig, first)
    for step in steps:
        out.go_on(step)
    return out


@pytest.mark.parametrize(("last", "held"), [
    (found_at(1.01 * MOVED * DEPTH), True), (found_at(0.99 * MOVED * DEPTH), False),
    (found_at(turn=1.01 * TURNED), True), (found_at(turn=0.99 * TURNED), False)])
def test_it_holds_once_the_camera_has_moved(last, held):
    assert trial([found_at()] * (HELD_FRAMES - 2) + [last]).is_held(DEPTH) is held


def test_few_frames_are_not_enough_however_far_apart():
    assert not trial([found_at(5.0)] * (HELD_FRAMES - 2)).is_held(DEPTH)


def test_a_camera_that_stands_is_believed_after_more_frames():
    assert not trial([found_at()] * (PATIENT_FRAMES - 2)).is_held(DEPTH)
    assert trial([found_at()] * (PATIENT_FRAMES - 1)).is_held(DEPTH)


def test_a_search_of_its_own_counts_more():
    out = trial([])
    out.go_on(found_at(1.0), SEARCHED)
    assert out.is_held(DEPTH) and SEARCHED + 1 >= HELD_FRAMES


def test_a_frame_without_a_pose_holds_nothing():
    out = trial([found_at(1.0)] * 5)
    out.newest = replace(out.newest, pose=None)
    assert not out.is_held(DEPTH)
