# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.sfm.pair_graph import PairChoice, choose_pairs, farthest_pairs, make_pairs

OPTIONS = {"complete_nosym": ("complete", {"symmetrize": False}), "complete_seq2": ("complete", {"prefilter": "seq2"}),
           "complete_cyc2": ("complete", {"prefilter": "cyc2"})}


def test_golden_graphs(golden):
    case = golden("pairs")
    names = [k for k in case.out if k.startswith("n")]
    assert len(names) == 44
    for name in names:
        count, graph = name.split("/")
        graph, options = OPTIONS.get(graph, (graph, {}))
        got, expected = make_pairs(int(count[1:]), graph, **options), case.out[name].numpy()
        if "win" in graph:  # unordered
            got, expected = (np.array(sorted(map(tuple, p))) for p in (got, expected))
        assert np.array_equal(got, expected), name


def test_golden_farthest(golden):
    case = golden("pairs")
    pairs, keys = farthest_pairs(case.inp["sim"].numpy(), 4, 3, first=5)
    assert np.array_equal(keys, case.out["fps/key"]) and np.array_equal(pairs, case.out["fps/pairs_sorted"])


@pytest.mark.parametrize("count, graph, prefilter", [(1, "complete", None), (4, "ring", None), (4, "oneref-4", None),
                                                     (4, "complete-3", None), (4, "swin-0", None), (4, "complete", "near2")])
def test_errors(count, graph, prefilter):
    with pytest.raises(ValueError):
        make_pairs(count, graph, prefilter=prefilter)


def test_every_image_is_in_a_pair():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    pairs, keys = farthest_pairs(features @ features.T, 5, 3)
    assert len(set(keys)) == 5 and set(pairs.ravel()) == set(range(30))
    assert len({frozenset(p) for p in pairs.tolist()}) == len(pairs)


def ring_likeness(count):
    """Images around a ring: the nearer the more alike."""
    step = np.abs(np.arange(count)[:, None] - np.arange(count))
    return 1 - np.minimum(step, count - step) / count


def test_pairs_of_a_set_grow_with_its_images():
    counts = {n: len(choose_pairs(n, ring_likeness(n), PairChoice())) for n in (20, 50, 100, 200, 400)}
    assert counts[20] == 190
    assert counts[400] < 2.2 * counts[200] < 4.8 * counts[100] and counts[400] < 10 * 400
    pairs = choose_pairs(100, ring_likeness(100), PairChoice())
    assert set(pairs.ravel()) == set(range(100)) and (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_pairs_of_a_sequence_are_neighbours_and_loops():
    pairs = choose_pairs(60, ring_likeness(60), PairChoice(sequential=3, loops=2)).tolist()
    assert all([i, i + k] in pairs for i in range(57) for k in (1, 2, 3))
    assert [0, 56] in pairs and [0, 30] not in pairs  # the ring closes
