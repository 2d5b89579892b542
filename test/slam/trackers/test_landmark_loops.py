# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.landmarks import PointModel, keyframe_of, points_around

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp, split_sim3
from lsm_ros.pairs.surfaces import Surfaces
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph
from lsm_ros.slam.trackers.landmark_links import join
from lsm_ros.slam.trackers.landmark_loops import PATIENT_KEYFRAMES, SAME_PLACE, LandmarkLoops, LoopFind, LoopHold, agree

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


class Walls(PointModel):
    """Sees three planes in every image; the planes of image a are `lift` metres nearer than the points of b say."""

    lift = 0.0

    def surfaces(self, tokens_a, tokens_b, T_a_b, depth_sigma):
        normals = np.repeat(np.eye(3), 60, axis=0)
        in_a = np.random.default_rng(0).uniform(-1, 1, (180, 3)) + [0, 0, 3.0]
        points = (in_a - T_a_b[:3, 3]) @ T_a_b[:3, :3]
        offsets = -np.sum(normals * in_a, 1) + self.lift
        return Surfaces(points, np.column_stack([normals, offsets]), np.full(180, 0.001))


def closed(neighbours, lift=0.0):
    """Keyframe 5 after `LandmarkLoops.close`; 3 and 4 are recent, 0 and 1 are old; and the graph."""
    model, config = Walls(), from_dict({})
    model.lift = lift
    graph = KeyframeGraph(config.keyframes, config.tracking)
    for i in (0, 1, 3, 4, 5):
        graph.add(keyframe_of(i, points_around(), se3_exp([0.05 * i, 0, 0, 0, 0.01 * i, 0]), {"front": np.eye(4)}))
    for a, b in ((1, 0), (3, 1), (4, 3), (5, 4)):
        join(graph, model, graph.keyframes[a], graph.keyframes[b], 20)
    before = graph.keyframes[5].T_map_rig.copy()
    loops = LandmarkLoops(config, model, graph, None, False, LoopHold()).close(graph.keyframes[5], neighbours, {3, 4})
    return loops, graph, graph.keyframes[5].T_map_rig[:3, 3] - before[:3, 3]


def test_a_keyframe_that_joins_nothing_old_is_tied_to_surfaces_and_moves_to_them():
    loops, graph, moved = closed([4], lift=0.02)
    assert loops == () and graph.links[5, "front", 0, "front"].surfaces is not None
    assert (5, "front", 3, "front") not in graph.links, "recent ones are joined by landmarks"
    assert np.allclose(moved, 3 * [moved[0]], atol=0.01) and abs(moved[0]) > 0.002
    assert np.abs(closed([4])[2]).max() < 1e-4


def test_a_keyframe_that_joins_old_ones_needs_no_surfaces():
    loops, graph, _ = closed([0, 4])
    assert loops == (0,) and all(x.surfaces is None for x in graph.links.values())
