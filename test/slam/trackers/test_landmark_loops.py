# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, split_sim3
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers.landmark_loops import PATIENT_KEYFRAMES, SAME_PLACE, LoopFind, LoopHold, agree

DEPTH = 2.0
DRIFT = make_se3(so3_exp([0, 0.2, 0]), [0.5, 0.0, -1.0])


def find(new=10, way=0.0, drift=DRIFT, units=1.0):
    """A find of keyframe `new`, which was tracked `way` metres ahead, and found where that is without the drift."""
    T = make_se3(np.eye(3), [0.0, 0.0, way])
    shrunk = make_se3(np.eye(3), [0.0, 0.0, units * way])
    return LoopFind(3, new, T, drift @ shrunk, units)


def test_one_find_is_not_enough_and_two_that_agree_are():
    hold = LoopHold()
    assert hold.add(find(10), DEPTH) == ()
    found = hold.add(find(11, 0.5), DEPTH)
    assert [f.new for f in found] == [10, 11]
    assert hold.add(find(12, 1.0), DEPTH) == (), "what was used is forgotten"


@pytest.mark.parametrize("other", [
    find(11, 0.5, drift=DRIFT @ make_se3(np.eye(3), [1.5 * SAME_PLACE * DEPTH, 0, 0])),
    find(11, 0.5, drift=DRIFT @ make_se3(so3_exp([0, 0.1, 0]), [0, 0, 0])),
    find(11, 0.5, units=1.2),
    find(10 + PATIENT_KEYFRAMES + 1, 0.5),
])
def test_another_drift_or_one_much_later_begins_anew(other):
    hold = LoopHold()
    hold.add(find(10), DEPTH)
    assert hold.add(other, DEPTH) == ()
    again = replace(other, new=other.new + 1)
    assert [f.new for f in hold.add(again, DEPTH)] == [other.new, other.new + 1]


def test_ways_are_compared_in_the_units_of_the_old_part():
    assert agree(find(10, units=0.5), find(11, 2.0, units=0.5), DEPTH)
    assert not agree(find(10, units=1.0), replace(find(11, 2.0, units=0.5), units=1.0), DEPTH)


def test_the_edge_is_relative_to_the_old_keyframe_where_that_is_now():
    config = from_dict({})
    graph = KeyframeGraph(config.keyframes, config.tracking)
    graph.add(Keyframe(3, 0, make_se3(so3_exp([0, 0, 0.3]), [1.0, 2.0, 3.0]), {}))
    edge = find(units=0.8).edge(graph)
    scale, R, t = split_sim3(edge.T_first_second)
    assert (edge.first, edge.second) == (3, 10) and scale == pytest.approx(0.8)
    assert np.allclose(make_se3(R, t), se3_inverse(graph.keyframes[3].T_map_rig) @ DRIFT)
