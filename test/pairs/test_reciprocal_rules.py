# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of matches between dense descriptors, on descriptors made by hand."""
import math

import pytest
import torch

from lsm_ros.pairs.reciprocal import (
    attraction_basin,
    merge_matches,
    nearest,
    pair_matches,
    reciprocal_matches,
    symmetric_matches,
)

E = torch.eye(16)


def image(*rows):
    """(H, W, 16) descriptors: each entry is the number of a unit vector, or pairs of (number, weight)."""
    def one(entry):
        return E[entry] if isinstance(entry, int) else sum(w * E[n] for n, w in entry)
    return torch.stack([torch.stack([one(e) for e in row]) for row in rows])


def pairs(found):
    return [tuple(a.tolist() + b.tolist()) for a, b in zip(*found, strict=True)]


def test_nearest_by_product_and_by_distance():
    candidates = torch.tensor([[1.0, 0.0], [5.0, 5.0]])
    query = torch.tensor([[1.0, 0.1]])
    assert nearest(query, candidates).item() == 1 and nearest(query, candidates, distance="l2").item() == 0
    assert nearest(query[:0], candidates).shape == (0,) and nearest(query[:0], candidates).dtype == torch.int64
    with pytest.raises(ValueError, match="no candidates"):
        nearest(query, candidates[:0])


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_blocks_give_what_the_whole_gives(block):
    torch.manual_seed(0)
    queries, candidates = torch.randn(7, 4), torch.randn(11, 4)
    assert torch.equal(nearest(queries, candidates, block=block), (queries @ candidates.T).argmax(1))
    ones = torch.ones(2, 4), torch.ones(11, 4)
    assert nearest(*ones, block=block).tolist() == [0, 0]


def test_pixels_that_are_each_others_nearest():
    """Two pixels of the first have the same nearest one: it is the second's."""
    first = image([0, ((1, 0.9), (2, 0.1))], [1, 3])
    second = image([1, 3, 0])
    assert pairs(reciprocal_matches(first, second, 1)) == [(0, 0, 2, 0), (0, 1, 0, 0), (1, 1, 1, 0)]


def below(row, filler):
    """The row under two others of one unit vector, so that the middle of a grid's cell of 4 lies in it."""
    return torch.cat([E[filler].expand(2, row.shape[1], 16), row])


def test_a_start_hops_to_where_the_match_is():
    """Only the middle of the grid's cell is looked from: pixel 2 of the row. The match is that, or beside it."""
    second = below(image([5, 0]), 14)
    for row, where in (([((0, 0.8),), ((0, 0.9),), 0, 5], 2), ([0, ((0, 0.9),), ((0, 0.8),), 5], 0)):
        assert pairs(reciprocal_matches(below(image(row), 15), second, 4)) == [(where, 2, 1, 2)]


def test_given_starts_make_one_round_trip():
    first = image([0, ((0, 0.9),), ((0, 0.8),), 5])
    second = image([5, 0])
    starts = torch.tensor([[0, 0], [2, 0], [0, 0]])
    assert pairs(reciprocal_matches(first, second, start_xy=starts)) == [(0, 0, 1, 0)]
    near = reciprocal_matches(first, second, start_xy=starts, pixel_tolerance=2.5)
    assert pairs(near) == [(0, 0, 1, 0), (2, 0, 1, 0)]
    assert pairs(reciprocal_matches(first, second, start_xy=starts, pixel_tolerance=2.0)) == [(0, 0, 1, 0)], "less than"
    assert pairs(reciprocal_matches(first, second, 1, pixel_tolerance=1.5)) == [(0, 0, 1, 0), (1, 0, 1, 0), (3, 0, 0, 0)]


def test_images_of_two_widths():
    first, second = image([0, 1]), image([2, 3, 4], [5, 1, 6])
    assert (1, 0, 1, 1) in pairs(reciprocal_matches(first, second, 1))


def test_what_is_no_image_of_descriptors_is_refused():
    for a, b in ((torch.ones(4, 3), torch.ones(4, 4, 3)), (torch.ones(4, 4, 3), torch.ones(4, 3))):
        with pytest.raises(ValueError, match="expected descriptors"):
            reciprocal_matches(a, b)


def test_the_basin_has_every_hop():
    first, second = below(image([0, ((0, 0.9),), ((0, 0.8),), 5]), 15), below(image([5, 0]), 14)
    (xy1, xy2), basin = attraction_basin(first, second, 4)
    assert pairs((xy1, xy2)) == [(0, 2, 1, 2)] and basin.dtype == torch.int32
    assert basin.tolist() == [-1] * 8 + [8, -1, 8, -1, -1]  # from 10 to 8, which stays


def test_merged_pairs_keep_their_first_confidence():
    xy1 = torch.tensor([[1, 1], [0, 0], [1, 1], [1, 0], [0, 1]])
    xy2 = torch.tensor([[2, 0], [0, 1], [2, 0], [2, 0], [2, 0]])
    a, b, confidence = merge_matches(xy1, xy2, torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9]), (2, 2), (2, 3))
    assert pairs((a, b)) == [(0, 0, 0, 1), (1, 0, 2, 0), (0, 1, 2, 0), (1, 1, 2, 0)]
    assert confidence.tolist() == pytest.approx([0.6, 0.8, 0.9, 0.5])


# The grid looks from pixel 2 of the row alone, in either image: each way finds what the other does not.
ONE, OTHER = below(image([0, 7, 1, 8]), 15), below(image([1, 7, 0, 9]), 14)
Q1, Q2 = torch.arange(1.0, 13).reshape(3, 4) / 12, torch.arange(12.0, 0, -1).reshape(3, 4) / 24


def test_matches_of_both_directions_with_the_smaller_confidence():
    xy1, xy2, confidence = pair_matches(ONE, OTHER, Q1, Q2, 4)
    alone = pairs(reciprocal_matches(ONE, OTHER, 4))
    found = dict(zip(pairs((xy1, xy2)), confidence.tolist(), strict=True))
    assert len(found) > len(alone) and all(c == pytest.approx(min(Q1[y, x], Q2[v, u])) for (x, y, u, v), c in found.items())
    assert set(pairs(reciprocal_matches(OTHER, ONE, 4))) == {(u, v, x, y) for x, y, u, v in set(found) - set(alone)}


def test_matches_of_both_directions_and_both_cameras_with_the_mean_confidence():
    swapped = below(image([3, 7, 4, 8]), 15), below(image([4, 7, 3, 9]), 14)
    xy1, xy2, confidence = symmetric_matches((ONE, OTHER, swapped[1], swapped[0]), (Q1, Q2, Q2, Q1), 4)
    expected = {p for a, b in ((ONE, OTHER), swapped) for p in pairs(reciprocal_matches(a, b, 4))}
    expected |= {(u, v, x, y) for a, b in ((ONE, OTHER), swapped) for x, y, u, v in pairs(reciprocal_matches(b, a, 4))}
    found = dict(zip(pairs((xy1, xy2)), confidence.tolist(), strict=True))
    assert set(found) == expected
    assert all(c == pytest.approx(math.sqrt(Q1[y, x] * Q2[v, u])) for (x, y, u, v), c in found.items())
