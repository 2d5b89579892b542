# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the graph of keyframes with pointmaps: what moves, what stays, and which loops are taken back."""
import numpy as np
import pytest
from helpers.exact_keyframes import WORLD, graph_of, key, keyframe, link

from lsm_ros.geometry import make_se3, se3_exp, so3_exp
from lsm_ros.pairs.base import Matches
from lsm_ros.slam.graph.keyframes import Link
from lsm_ros.slam.pointmap import graph as module

TRUE = [make_se3(so3_exp([0.0, 0.1 * n, 0.0]), [0.2 * n, 0.05 * n, 0.0]) for n in range(6)]
OFF = se3_exp([0.03, -0.02, 0.01, 0.02, 0.01, -0.03])
CHAIN = [x for n in range(5) for x in (link(n, n + 1), link(n + 1, n))]


def chain(wrong=(), links=CHAIN, units=(1.0,) * 6, **options):
    """Six keyframes; those in `wrong` are not where they should be."""
    return graph_of([keyframe(n, T, T @ OFF if n in wrong else T, units[n]) for n, T in enumerate(TRUE)], links, **options)


def off(graph, numbers=range(6)):
    return max(np.abs(graph.keyframes[n].T_map_rig - TRUE[n]).max() for n in numbers)


def test_free_keyframes_move_and_the_others_stay():
    graph = chain(wrong=(2, 4))
    before = graph.version
    graph.optimize({2})
    assert off(graph, (0, 1, 2, 3, 5)) < 1e-6 and np.array_equal(graph.keyframes[4].T_map_rig, TRUE[4] @ OFF)
    assert graph.version == before + 1
    graph.optimize({2, 4, 99})  # 99 has left
    assert off(graph) < 1e-6


def test_the_very_first_keyframe_stays_even_where_others_stay_too():
    graph = chain(wrong=(0,))
    graph.optimize({0, 1})
    assert np.array_equal(graph.keyframes[0].T_map_rig, TRUE[0] @ OFF)


def test_one_of_an_island_stays():
    """Keyframes that are linked with nothing that stays keep their place in the map."""
    graph = chain(wrong=(4,), links=CHAIN[6:])  # 3, 4 and 5
    graph.optimize({3, 4, 5})
    assert np.array_equal(graph.keyframes[3].T_map_rig, TRUE[3]) and off(graph) < 1e-6


def test_without_links_nothing_changes():
    graph = chain(links=[Link(0, "front", 1, "front", Matches.none())])
    before = graph.version
    graph.optimize({1, 2})
    graph.optimize(set())
    assert graph.version == before


def test_links_without_matches_do_no_harm():
    graph = chain(wrong=(2,))
    graph.connect(Link(0, "front", 2, "front", Matches.none()))
    graph.optimize({2})
    assert off(graph) < 1e-6


def test_units_of_their_own_are_found_and_the_surroundings_grow():
    units = (1.0, 1.3, 0.8, 1.0, 1.0, 1.0)
    graph = chain(units=units, free_scale=True, distance=0.05)
    graph.optimize({1, 2}, iterations=20)
    for n in (1, 2):
        assert graph.keyframes[n].size == pytest.approx(1 / units[n], rel=1e-5)
        exact = keyframe(n, TRUE[n]).views["front"].points_cam
        assert np.allclose(graph.keyframes[n].views["front"].points_cam, exact, rtol=1e-4)
    metric = chain(units=units, distance=0.05)
    metric.optimize({1, 2}, iterations=20)
    assert metric.keyframes[1].size == 1.0


def test_all_are_adjusted_once_for_all_that_came():
    graph = chain(wrong=(1, 2, 3, 4, 5))
    graph.adjust_all()
    assert off(graph) < 1e-5 and graph.adjusted_at == graph.next_id == 6


@pytest.mark.parametrize(("most", "each"), [(10 * 50, 50), (10 * 20, 30), (10**6, len(WORLD))])
def test_matches_of_an_adjustment_of_all_are_bounded_but_not_too_few(monkeypatch, most, each):
    monkeypatch.setattr(module, "MOST_MATCHES", most)
    monkeypatch.setattr(module, "FEWEST_MATCHES", 30)
    asked, plain = [], module.adjust_rays
    monkeypatch.setattr(module, "adjust_rays", lambda problem, *rest: asked.append(problem) or plain(problem, *rest))
    graph = chain()
    graph.adjust_all()
    graph.optimize({1}, max_matches=7)
    assert set(np.diff(asked[0].bounds)) == {each} and set(np.diff(asked[1].bounds)) == {7}


def test_errors_of_links():
    graph = chain()
    assert len(graph.errors(())) == 0
    graph.connect(link(0, 5, off=7))
    assert graph.errors([key(link(0, 1))]).max() < 1e-6 < 50 < graph.errors([key(link(0, 5))])[0]


def drifted(links):
    """A chain whose own matches are exact where the keyframes are held to be, but not where they are: the last ones have
    drifted."""
    bent = [T @ se3_exp([0.0, 0.004 * n, 0.0, 0.002 * n, 0.0, 0.0]) for n, T in enumerate(TRUE)]
    return graph_of([keyframe(n, T, B) for n, (T, B) in enumerate(zip(TRUE, bent, strict=True))], [*CHAIN, *links])


def test_a_true_loop_is_held_and_a_false_one_is_taken_out():
    true, false = [link(0, 5), link(5, 0)], [link(0, 4, off=7), link(4, 0, off=11)]
    graph = drifted([*true, *false])
    held = graph.close([key(x) for x in (*true, *false)], {1, 2, 3, 4, 5})
    assert held == {key(x) for x in true} and off(graph) < 1e-4
    assert not {key(x) for x in false} & set(graph.links) and {key(x) for x in true} < set(graph.links)


def test_false_loops_alone_move_nothing():
    false = [link(0, 4, off=7), link(4, 0, off=11)]
    graph = drifted(false)
    before, version = [k.T_map_rig.copy() for k in graph.keyframes.values()], graph.version
    assert graph.close([key(x) for x in false], {1, 2, 3, 4, 5}) == set()
    assert all(np.array_equal(k.T_map_rig, T) for k, T in zip(graph.keyframes.values(), before, strict=True))
    assert graph.version == version and set(graph.links) == {key(x) for x in CHAIN}


def test_a_loop_between_keyframes_that_do_not_move_is_not_held():
    loop = link(0, 5)
    graph = chain(links=[*CHAIN, loop])
    assert graph.close([key(loop)], {2}) == set() and key(loop) not in graph.links
    lonely = graph_of([keyframe(n, TRUE[n]) for n in (0, 5)], [loop])
    assert lonely.close([key(loop)], set()) == set()


def test_loops_that_bend_the_chain_are_taken_back():
    """Loops that agree with each other outweigh the few matches by which a keyframe hangs on its neighbour."""
    last = keyframe(2, TRUE[2])
    lying = keyframe(2, TRUE[2] @ se3_exp([0.0, 0.0, 0.0, 0.0, 0.02, 0.0]), camera="rear")
    last.views |= lying.views  # what this camera predicts fits another pose
    few = link(1, 2)
    few.matches = few.matches.where(np.arange(4))
    loops = [Link(0, "front", 2, "rear", link(0, 2).matches), Link(2, "rear", 0, "front", link(2, 0).matches)]
    graph = graph_of([keyframe(0, TRUE[0]), keyframe(1, TRUE[1]), last], [few, *loops])
    assert graph.close([key(x) for x in loops], {2}) == set() and set(graph.links) == {key(few)}
    assert np.array_equal(graph.keyframes[2].T_map_rig, TRUE[2])
    without = graph_of([keyframe(0, TRUE[0]), keyframe(1, TRUE[1]), last], loops)
    assert without.close([key(x) for x in loops], {2}) == {key(x) for x in loops}, "nothing contradicts them"
