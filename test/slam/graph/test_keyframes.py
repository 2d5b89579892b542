# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The graph's bookkeeping: links by keyframe, keyframes that go from one graph to another."""
import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import Keyframe, KeyframeGraph, Link


def graph_of(ids, links=(), places=None):
    config = from_dict({})
    graph = KeyframeGraph(config.keyframes, config.tracking, places=places)
    for i in ids:
        graph.add(Keyframe(i, i, np.eye(4), {}, np.full(3, i)))
    for a, b in links:
        graph.connect(Link(a, "front", b, "front", Matches.none()))
    return graph


def ends(links):
    return sorted((x.anchor, x.observer) for x in links)


def test_links_are_known_by_both_ends():
    graph = graph_of(range(4), [(0, 1), (1, 2), (2, 0)])
    assert ends(graph.links_of(0)) == [(0, 1), (2, 0)] and ends(graph.links_of(3)) == []
    assert graph.linked(1) == {0, 2} and graph.linked(3) == set()
    graph.disconnect((0, "front", 1, "front"))
    assert ends(graph.links_of(0)) == [(2, 0)] and graph.linked(1) == {2}


def test_a_keyframe_goes_with_its_links():
    graph = graph_of(range(3), [(0, 1), (1, 2), (2, 0)])
    version = graph.version
    graph.remove(1)
    assert sorted(graph.keyframes) == [0, 2] and ends(graph.links.values()) == [(2, 0)] and graph.version > version
    assert graph.linked(0) == {2} and graph.links_of(1) == []


def test_keyframes_change_the_graph_with_the_links_among_them():
    old, new = graph_of(range(4), [(0, 1), (1, 2), (2, 3)]), graph_of([7, 8], [(7, 8)])
    new.take(old, [0, 1])
    assert list(new.keyframes) == [0, 1, 7, 8] and sorted(old.keyframes) == [2, 3]
    assert ends(new.links.values()) == [(0, 1), (7, 8)] and ends(old.links.values()) == [(2, 3)]
    assert new.next_id == 9 and new.linked(1) == {0} and old.linked(2) == {3}


def test_the_same_id_in_both_graphs_is_an_error_that_changes_nothing():
    old, new = graph_of(range(3), [(0, 1)]), graph_of([2, 5])
    with pytest.raises(ValueError, match=r"\[2\] are in both"):
        new.take(old, [0, 1, 2])
    assert sorted(old.keyframes) == [0, 1, 2] and ends(old.links.values()) == [(0, 1)] and sorted(new.keyframes) == [2, 5]


def test_renumbered_keyframes_keep_their_links():
    graph = graph_of(range(3), [(0, 1), (2, 1)])
    graph.renumber(10)
    assert list(graph.keyframes) == [10, 11, 12] and all(i == k.id for i, k in graph.keyframes.items())
    assert ends(graph.links.values()) == [(10, 11), (12, 11)] and graph.linked(11) == {10, 12} and graph.next_id == 13


class Noted(dict):
    """As much of places as a graph needs."""

    def add(self, i, signature):
        self[i] = signature

    def remove(self, i):
        del self[i]


def test_places_follow_the_keyframes():
    old, new = graph_of(range(3), places=Noted()), graph_of([7], places=Noted())
    new.take(old, [1, 2])
    assert sorted(old.places) == [0] and sorted(new.places) == [1, 2, 7]
    new.renumber(1)
    assert sorted(new.places) == [2, 3, 8] and new.places[8][0] == 7
