# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule by which keyframes are joined, with pairs whose solutions are given by hand."""
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.exact_keyframes import WORLD, graph_of, keyframe, link

from lsm_ros.config import from_dict
from lsm_ros.geometry import make_se3, se3_exp, se3_inverse, so3_exp
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.pointmap import loops as module
from lsm_ros.slam.pointmap.loops import AS_ALIKE, RECENT, SAME_PLACE, SAME_TURN, LoopCloser

COUNT = 14  # keyframes; the new one is the last
NEW = COUNT - 1
TRUE = [make_se3(so3_exp([0.0, 0.05 * n, 0.0]), [0.1 * n, 0.02 * n, 0.0]) for n in range(COUNT)]


class Scene:
    """A chain of keyframes. likeness: of the new one's tokens to each keyframe. motions, fractions: by (asked, keyframe), what
    the solution of a pair is instead of the truth, None for none."""

    def __init__(self, monkeypatch, candidates=3, free_scale=False, drift=None):
        chain = [x for n in range(COUNT - 2) for x in (link(n, n + 1), link(n + 1, n))]
        chain.append(link(NEW - 1, NEW))
        poses = [T if drift is None else T @ se3_exp(np.array(drift) * n) for n, T in enumerate(TRUE)]
        self.graph = graph_of([keyframe(n, T, poses[n], thumbnail=np.array([n])) for n, T in enumerate(TRUE)], chain,
                              free_scale)
        self.likeness, self.motions, self.fractions, self.asked, self.few = {}, {}, {}, [], set()
        model = SimpleNamespace(
            alike=lambda tokens, kept: np.array([self.likeness.get(int(k[0]), 0.0) for k in kept]),
            predict=lambda pairs: [None] * len(pairs))
        self.closer = LoopCloser(from_dict({"pointmap.loop_candidates": candidates}), model, self.graph)
        monkeypatch.setattr(module, "solve_pair", self.solve)

    def solve(self, rig, observed, predictions, config, free_scale):
        asked = rig["front"][0][1]
        self.asked.append((asked, observed.id))
        T = self.motions.get((asked, observed.id), se3_inverse(TRUE[asked]) @ TRUE[observed.id])
        if T is None:
            return "nothing was found"
        index = np.arange(5 if (asked, observed.id) in self.few else len(WORLD))
        matches = Matches(index, np.stack([index, 0 * index], 1).astype(float), np.full(len(index), np.nan))
        return SimpleNamespace(keyframe=observed, alignment=SimpleNamespace(T_new_kf=T), matches={"front": matches},
                               fraction=self.fractions.get((asked, observed.id), 0.9))

    def join(self, reference=NEW - 1):
        return self.closer.join(self.graph.keyframes[NEW], reference)

    def linked(self, other):
        """Ways in which the new keyframe is linked with another, as (anchor, observer)."""
        return {(a, o) for a, _, o, _ in self.graph.links if {a, o} == {NEW, other}}


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


def test_what_looks_alike_and_fits_both_ways_is_a_loop_with_links_both_ways(scene):
    scene.likeness = {NEW - 1: 0.8, 1: 0.9}
    assert scene.join() == (1,) and scene.linked(1) == {(1, NEW), (NEW, 1)}
    assert scene.linked(NEW - 1) == {(NEW - 1, NEW), (NEW, NEW - 1)}, "the one it was tracked against is linked back"


@pytest.mark.parametrize("way", [(NEW, 1), (1, NEW)])
@pytest.mark.parametrize("what", ["nothing", "little"])
def test_what_is_found_one_way_only_is_no_loop(scene, way, what):
    scene.likeness = {NEW - 1: 0.8, 1: 0.9}
    if what == "nothing":
        scene.motions[way] = None
    else:
        scene.fractions[way] = scene.closer.config.pointmap.loop_match_fraction - 0.01
    assert scene.join() == () and not scene.linked(1) and set(scene.asked) >= {(NEW, 1), (1, NEW)}


def other_way(shift=0.0, turn=0.0, factor=1.0):
    """The motion from the new keyframe to 1 as the way back may say it."""
    T = se3_inverse(TRUE[1]) @ TRUE[NEW] @ make_se3(so3_exp([0.0, 0.0, turn]), [shift, 0.0, 0.0])
    T[:3, 3] *= factor
    return T


@pytest.mark.parametrize(("turn", "same"), [(0.9 * SAME_TURN, True), (1.1 * SAME_TURN, False)])
def test_both_ways_turn_alike(scene, turn, same):
    scene.likeness = {1: 0.9}
    scene.motions[1, NEW] = other_way(turn=turn)
    scene.join()
    assert bool(scene.linked(1)) == same


@pytest.mark.parametrize(("share", "same"), [(0.9, True), (1.1, False)])
def test_both_ways_end_in_one_place_within_a_share_of_the_depth(scene, share, same):
    scene.likeness = {1: 0.9}
    scene.motions[1, NEW] = other_way(share * SAME_PLACE * scene.graph.keyframes[NEW].median_depth)
    scene.join()
    assert bool(scene.linked(1)) == same


@pytest.mark.parametrize(("free_scale", "same"), [(True, True), (False, False)])
def test_lengths_may_differ_where_units_are_free(monkeypatch, free_scale, same):
    scene = Scene(monkeypatch, free_scale=free_scale)
    scene.likeness = {1: 0.9}
    scene.motions[1, NEW] = other_way(factor=1.7)
    scene.join()
    assert bool(scene.linked(1)) == same


@pytest.mark.parametrize("turn", [0.0, 2 * SAME_TURN])
def test_the_link_back_agrees_with_where_the_keyframe_is(scene, turn):
    scene.motions[NEW - 1, NEW] = se3_inverse(TRUE[NEW - 1]) @ TRUE[NEW] @ make_se3(so3_exp([turn, 0.0, 0.0]), np.zeros(3))
    scene.join()
    assert ((NEW, NEW - 1) in scene.linked(NEW - 1)) == (turn == 0.0)


def test_without_a_reference_nothing_is_linked_back(scene):
    assert scene.join(None) == () and scene.asked == []
    assert scene.join(77) == () and scene.asked == [], "it has left the graph"


def test_a_link_needs_as_many_matches_as_a_pose(scene):
    scene.likeness, scene.few = {1: 0.9}, {(NEW, 1)}
    scene.join()
    assert scene.linked(1) == {(NEW, 1)}, "of the other way alone"


@pytest.mark.parametrize(("old", "loop"), [(NEW - RECENT, False), (NEW - RECENT - 1, True)])
def test_a_loop_is_with_one_older_than_the_last_eight(scene, old, loop):
    scene.likeness = {old: 0.9}
    assert scene.join() == ((old,) if loop else ()) and scene.linked(old)


def asked_of(scene):
    return {i for pair in scene.asked for i in pair} - {NEW, NEW - 1}


def test_candidates_are_alike_at_all_and_half_as_much_as_the_reference(scene):
    scene.likeness = {NEW - 1: 0.8, 1: 0.8 * AS_ALIKE + 0.01, 2: 0.8 * AS_ALIKE - 0.01, 3: 0.0}
    scene.join()
    assert asked_of(scene) == {1}
    scene.asked.clear()
    scene.likeness = {NEW - 1: -1.0, 1: 0.0, 2: 0.01, 3: np.nan}
    scene.join()
    assert asked_of(scene) == {2}


def test_the_most_alike_the_one_that_should_be_seen_and_a_recent_one_are_asked(scene, monkeypatch):
    scene.likeness = {1: 0.9, 2: 0.8, 3: 0.7, NEW - 3: 0.6, NEW - 4: 0.5}
    monkeypatch.setattr(scene.graph, "candidates", lambda T, cameras, count, exclude: [4][:count])
    scene.join(None)
    assert asked_of(scene) == {1, 4, NEW - 3}
    monkeypatch.setattr(scene.graph, "candidates", lambda *_, **__: [])
    scene.asked.clear()
    scene.join(None)
    assert asked_of(scene) == {1, 2, NEW - 3}


@pytest.mark.parametrize(("candidates", "asked"), [(0, set()), (1, {1}), (2, {1, NEW - 3})])
def test_as_many_are_asked_as_wished_the_older_first(monkeypatch, candidates, asked):
    scene = Scene(monkeypatch, candidates)
    scene.likeness = {1: 0.4, 2: 0.3, NEW - 3: 0.9}
    scene.join(None)
    assert asked_of(scene) == asked
    if candidates == 1:  # what looks alike comes before what should be seen if there is no drift
        monkeypatch.setattr(scene.graph, "candidates", lambda *_, **__: [4])
        scene.asked.clear()
        scene.join(None)
        assert asked_of(scene) == {1}


def test_the_reference_is_asked_for_the_way_back_alone(scene):
    scene.likeness = {NEW - 1: 0.9}
    scene.join()
    assert scene.asked == [(NEW - 1, NEW)]


def test_ranked_leaves_out_what_cannot_be_compared(scene):
    scene.likeness = {1: 0.4, 2: np.nan, 3: 0.9, 4: 0.5}
    scene.graph.keyframes[4].thumbnail = None
    ranked = scene.closer.ranked(["tokens"], exclude=[0])
    assert ranked[:2] == [(0.9, 3), (0.4, 1)] and not {0, 2, 4} & {i for _, i in ranked}
    for k in scene.graph.keyframes.values():
        k.thumbnail = None
    assert scene.closer.ranked(["tokens"]) == []


@pytest.mark.parametrize("drift", [None, [0.0, 0.0, 0.0, 0.0, 0.004, 0.0]])
def test_drift_moves_all_keyframes_and_none_only_the_last_and_the_loops(monkeypatch, drift):
    scene, moved = Scene(monkeypatch, drift=drift), []
    scene.likeness = {2: 0.9}
    plain = scene.graph.close
    monkeypatch.setattr(scene.graph, "close", lambda keys, free: moved.append(set(free)) or plain(keys, free))
    assert scene.join() == (2,)
    recent = set(range(NEW - RECENT, COUNT))
    assert moved == [set(range(COUNT)) if drift else recent | {2}]


def test_without_a_loop_the_last_ones_are_adjusted(scene):
    scene.graph.keyframes[NEW].T_map_rig = TRUE[NEW] @ se3_exp([0.01, 0.0, 0.0, 0.0, 0.01, 0.0])
    assert scene.join() == ()
    assert np.abs(scene.graph.keyframes[NEW].T_map_rig - TRUE[NEW]).max() < 1e-5
