# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Bounds of the keyframe graph: reached, and kept by the oldest alone."""
from types import SimpleNamespace

import pytest

from lsm_ros.config import from_dict
from lsm_ros.mapping.limits import FEWEST_KEYFRAMES, bound_keyframes
from lsm_ros.mapping.warnings import Warnings

MEGABYTE = 10**6


class Graph:
    """Keyframes of so many megabytes each."""

    def __init__(self, count, each):
        self.keyframes, self.each, self.done = dict.fromkeys(range(count)), each, []

    @property
    def nbytes(self):
        return int(len(self.keyframes) * self.each * MEGABYTE)

    def remove(self, keyframe):
        del self.keyframes[keyframe]
        self.done.append(("removed", keyframe))


def bounded(count, each, observations=0.0, **settings):
    """The graph after its bound, and the warnings. Observations: megabytes of a keyframe's part of the map."""
    graph, warnings = Graph(count, each), Warnings()

    class Voxels:
        observation_bytes = int(observations * count * MEGABYTE)

        def freeze(self, keyframe):
            self.observation_bytes -= int(observations * MEGABYTE)
            graph.done.append(("frozen", keyframe))

    history = SimpleNamespace(retire=lambda of, keyframe: graph.done.append(("retired", keyframe)))
    bound_keyframes(graph, Voxels(), history, from_dict(settings), warnings)
    return graph, warnings.texts


def test_below_the_limits_nothing_goes():
    graph, warnings = bounded(10, 1.6, **{"limits.keyframe_megabytes": 16.0, "keyframes.max_keyframes": 10})
    assert len(graph.keyframes) == 10 and not graph.done and not warnings


def test_the_oldest_go_beyond_the_number():
    graph, warnings = bounded(13, 0.0, **{"keyframes.max_keyframes": 10})
    assert list(graph.keyframes) == list(range(3, 13)) and any("oldest keyframes were dropped" in w for w in warnings)


@pytest.mark.parametrize("each, observations", [(2.0, 0.0), (0.0, 2.0), (1.0, 1.0)])
def test_the_oldest_go_beyond_the_memory_of_keyframes_and_of_what_they_gave_to_the_map(each, observations):
    graph, warnings = bounded(13, each, observations, **{"limits.keyframe_megabytes": 20.0})
    assert list(graph.keyframes) == list(range(3, 13)) and warnings


def test_a_few_stay_whatever_they_take():
    graph, _ = bounded(13, 100.0, **{"limits.keyframe_megabytes": 16.0})
    assert list(graph.keyframes) == list(range(13 - FEWEST_KEYFRAMES, 13))


def test_poses_and_the_map_are_taken_care_of_before_a_keyframe_goes():
    graph, _ = bounded(12, 0.0, **{"keyframes.max_keyframes": 10})
    assert graph.done == [(what, k) for k in (0, 1) for what in ("retired", "frozen", "removed")]
