# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
import torch
from helpers.golden_cases import relative_error

from lsm_ros.pairs.reciprocal import attraction_basin, nearest, pair_matches, reciprocal_matches, symmetric_matches


@pytest.fixture
def case(golden):
    return golden("fast_nn")


@pytest.mark.parametrize("which, other", [("easy", "B"), ("noisy", "B2")])
@pytest.mark.parametrize("stride", [8, 4, 1])
def test_golden(case, which, other, stride):
    variants = [("dot", 8192)] + ([("dotblk64", 64)] if stride == 4 else [])
    for name, block in variants:
        xy1, xy2 = reciprocal_matches(case.inp["A"], case.inp[other], stride, block=block)
        assert torch.equal(xy1, case.out[f"{which}/S{stride}/{name}/xy1"])
        assert torch.equal(xy2, case.out[f"{which}/S{stride}/{name}/xy2"])
    xy1, xy2 = reciprocal_matches(case.inp["A"], case.inp[other], stride, distance="l2")
    assert torch.equal(xy1, case.out[f"{which}/S{stride}/kdtree/xy1"])
    assert torch.equal(xy2, case.out[f"{which}/S{stride}/kdtree/xy2"])


def test_golden_tolerance_basin_and_search(case):
    a, b, b2 = case.inp["A"], case.inp["B"], case.inp["B2"]
    xy1, xy2 = reciprocal_matches(a, b2, 8, pixel_tolerance=5)
    assert torch.equal(xy1, case.out["noisy/pixeltol5/xy1"]) and torch.equal(xy2, case.out["noisy/pixeltol5/xy2"])
    (xy1, xy2), basin = attraction_basin(a, b2, 8)
    assert torch.equal(xy1, case.out["noisy/basin/xy1"]) and torch.equal(xy2, case.out["noisy/basin/xy2"])
    assert torch.equal(basin, case.out["noisy/basin/basin"])
    assert torch.equal(nearest(a.flatten(0, 1), b.flatten(0, 1)), case.out["bruteforce/nnA"])
    assert torch.equal(nearest(b.flatten(0, 1), a.flatten(0, 1)), case.out["bruteforce/nnB"])


def test_golden_pairs_of_both_directions(case):
    a, b, b2, a2, q = (case.inp[k] for k in ("A", "B", "B2", "A2", "q"))
    for got, name in ((symmetric_matches((a, b, b2, a2), q), "sfm"), (pair_matches(a, b2, q[0], q[1]), "nonsym")):
        assert torch.equal(got[0], case.out[f"{name}/xy1"]) and torch.equal(got[1], case.out[f"{name}/xy2"])
        assert relative_error(got[2], case.out[f"{name}/conf"]) < 1e-6


def test_ties_give_the_first():
    same = torch.ones(1, 4)
    assert nearest(same, torch.ones(100, 4), block=7).item() == 0
    assert nearest(same, torch.ones(100, 4), distance="l2").item() == 0


def test_a_shifted_image_is_found():
    rng = np.random.default_rng(0)
    wide = torch.from_numpy(rng.normal(size=(24, 40, 16)).astype(np.float32))
    wide = wide / wide.norm(dim=-1, keepdim=True)
    xy1, xy2 = reciprocal_matches(wide[:, :32], wide[:, 8:], 4)
    inside = xy1[:, 0] >= 8
    assert inside.sum() >= 30 and torch.equal(xy1[inside] - xy2[inside], torch.tensor([[8, 0]]).expand(int(inside.sum()), 2))


def test_a_grid_that_misses_the_image_finds_nothing():
    """A stride of more than twice the image was a RuntimeError."""
    xy1, xy2 = reciprocal_matches(torch.ones(4, 9, 3), torch.ones(4, 9, 3), 10)
    assert xy1.shape == xy2.shape == (0, 2)


def test_errors():
    for start in (torch.tensor([[4, 0]]), torch.tensor([[0, -1]]), torch.tensor([[0.0, 1.0]]), torch.tensor([1, 1])):
        with pytest.raises(ValueError, match="start_xy.*4x4"):
            reciprocal_matches(torch.ones(4, 4, 3), torch.ones(4, 4, 3), start_xy=start)
    with pytest.raises(ValueError, match="one length"):
        reciprocal_matches(torch.ones(4, 4, 3), torch.ones(4, 4, 2))
    with pytest.raises(ValueError, match="stride"):
        reciprocal_matches(torch.ones(4, 4, 3), torch.ones(4, 4, 3), 0)
    with pytest.raises(ValueError, match="distance"):
        nearest(torch.ones(1, 2), torch.ones(1, 2), distance="cosine")
