# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.properties import given, settings, st
from scipy import ndimage

from lsm_ros.semantics.search import choose_threshold, components, find_places, without


def block(low, high):
    """Voxels (N, 3) int32 of a box."""
    return np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"),
                    -1).reshape(-1, 3).astype(np.int32)


def asked(parts, size=0.1, **options):
    """find_places of boxes (low, high, similarity)."""
    voxel = np.concatenate([block(low, high) for low, high, _ in parts])
    similarity = np.concatenate([np.full(len(block(low, high)), s, np.float32) for low, high, s in parts])
    return find_places(voxel, ((voxel + 0.5) * size).astype(np.float32), similarity, size, **options)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=60, unique=True))
def test_components_are_those_of_a_dense_image(places):
    voxel = np.array(places, np.int32)
    image = np.zeros((7, 7, 7), bool)
    image[tuple((voxel + 3).T)] = True
    dense = ndimage.label(image, np.ones((3, 3, 3)))[0][tuple((voxel + 3).T)]
    ours = components(voxel)
    assert len(set(zip(dense.tolist(), ours.tolist(), strict=True))) == len(set(dense)) == len(set(ours))


def test_places_are_boxes_in_metres_and_the_most_convincing_is_first():
    answer = asked([((0, 0, 0), (2, 3, 1), 0.9), ((10, 0, 0), (20, 10, 1), 0.6), ((-5, -5, -5), (-4, -4, -4), 0.95),
                    ((40, 0, 0), (60, 20, 1), 0.1)], threshold=0.5)
    assert [p.voxels for p in answer.places] == [100, 6] and answer.threshold == 0.5
    first, second = answer.places
    assert np.allclose(first.low, [1.0, 0, 0]) and np.allclose(first.high, [2.0, 1.0, 0.1])
    assert np.allclose(second.centre, [0.1, 0.15, 0.05]) and second.similarity == pytest.approx(0.9)
    assert first.score == pytest.approx(100 * 0.1, rel=1e-4) and second.score == pytest.approx(6 * 0.4, rel=1e-4)
    assert len(answer.points) == 107 and answer.similarity[0] == pytest.approx(0.95) and answer.best == pytest.approx(0.95)
    assert len(asked([((0, 0, 0), (2, 3, 1), 0.9), ((9, 0, 0), (11, 3, 1), 0.9)], most=1).places) == 1


def test_voxels_that_touch_at_a_corner_belong_together():
    joined = asked([((0, 0, 0), (2, 2, 2), 0.9), ((2, 2, 2), (4, 4, 4), 0.9)])
    apart = asked([((0, 0, 0), (2, 2, 2), 0.9), ((3, 2, 2), (4, 4, 4), 0.9)])
    assert [p.voxels for p in joined.places] == [16] and sorted(p.voxels for p in apart.places) == [4, 8]


def test_the_threshold_follows_what_the_map_has():
    some = np.concatenate([np.zeros(1000), np.full(9, 0.6), [np.nan, 0.99]]).astype(np.float32)
    assert choose_threshold(some) == pytest.approx(0.42)
    assert choose_threshold(np.zeros(100, np.float32)) == choose_threshold(np.full(3, 0.9, np.float32)) == 0.3
    assert not asked([((0, 0, 0), (5, 5, 1), 0.2)]).places


def test_nothing_and_unknown():
    nothing = find_places(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32), np.zeros(0, np.float32), 0.1)
    assert not nothing.places and not len(nothing.points) and np.isnan(nothing.best)
    unknown = asked([((0, 0, 0), (3, 3, 1), np.nan)], threshold=-1.0)
    assert not len(unknown.points) and np.isnan(unknown.best)
    for options in ({"threshold": 1.5}, {"threshold": float("nan")}, {"most": 0}):
        with pytest.raises(ValueError, match="outside|at least 1"):
            asked([((0, 0, 0), (1, 1, 1), 0.5)], **options)


def test_what_is_rather_something_else_does_not_count():
    nan = np.nan
    similarity, sofa, bed = (np.array(x, np.float32) for x in ([0.9, 0.8, 0.7, nan, 0.6], [0.1, 0.8, 0.9, 0.1, nan],
                                                               [0.2, 0.1, 0.1, 0.1, 0.1]))
    assert without(similarity, []) is similarity
    assert np.array_equal(without(similarity, [bed]), similarity, equal_nan=True)
    found = without(similarity, [bed, sofa])
    assert np.array_equal(found, np.array([0.9, nan, nan, nan, nan], np.float32), equal_nan=True)
    assert found.dtype == np.float32
