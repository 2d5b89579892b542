# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Curves that fill space, and convolutions of occupied voxels alone."""
import itertools

import pytest
import torch

from lsm_ros.models.gaussians import spacing_of
from lsm_ros.models.point_transformer import Level
from lsm_ros.models.serialization import codes, hilbert, interleave
from lsm_ros.models.sparse_conv import SubmanifoldConv, Voxels


def cube(side):
    return torch.tensor(list(itertools.product(range(side), repeat=3)))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_hilberts_curve_goes_from_neighbour_to_neighbour(depth):
    voxels = cube(2 ** depth)
    code = hilbert(voxels, depth)
    assert sorted(code.tolist()) == list(range(8 ** depth))
    steps = voxels[code.argsort()].diff(dim=0).abs().sum(1)
    assert bool((steps == 1).all()) and code[0] == 0


def test_interleaved_bits():
    assert interleave(torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 0, 3], [1 << 19, 0, 0]]), 20).tolist() == [
        4, 2, 1, 0b101001, 1 << 59]


def test_four_curves():
    voxels = torch.randint(0, 16, (50, 3))
    code = codes(voxels, 4)
    swapped = voxels[:, [1, 0, 2]]
    assert torch.equal(code, torch.stack([f(v, 4) for f in (interleave, hilbert) for v in (voxels, swapped)]))
    with pytest.raises(ValueError, match="need 21 bits"):
        codes(torch.tensor([[1 << 20, 0, 0]]), 21)


def test_patches_borrow_from_the_patch_before():
    level = Level.finest(torch.stack([torch.arange(7), torch.zeros(7, dtype=torch.long), torch.zeros(7, dtype=torch.long)], 1))
    assert level.patches(0, 3).tolist() == [[0, 1, 2], [3, 4, 5], [6, 4, 5]]
    assert level.patches(0, 10).tolist() == [list(range(7))]


def test_coarser_levels_join_points():
    level = Level.finest(torch.tensor([[3, 3, 3], [0, 0, 0], [1, 0, 1], [2, 3, 3], [0, 0, 0]]))
    coarse = level.coarser()
    assert coarse.voxel.tolist() == [[0, 0, 0], [1, 1, 1]] and coarse.cluster.tolist() == [1, 0, 0, 1, 0]
    last = coarse.coarser().coarser()
    assert last.voxel.tolist() == [[0, 0, 0]] and last.depth == 0 and last.coarser().cluster.tolist() == [0]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_submanifold_convolution_is_a_dense_one_at_the_occupied_voxels(size, bias):
    voxel = cube(7)[torch.randperm(343)[:60]] - 3
    layer = SubmanifoldConv(4, 5, size, bias)
    x = torch.randn(60, 4)
    dense = torch.zeros(1, 4, 7, 7, 7)
    dense[0, :, voxel[:, 0] + 3, voxel[:, 1] + 3, voxel[:, 2] + 3] = x.T
    if bias:
        torch.nn.init.normal_(layer.bias)
    wide = torch.nn.functional.conv3d(dense, layer.weight.permute(0, 4, 1, 2, 3), layer.bias, padding=size // 2)[0]
    expected = wide[:, voxel[:, 0] + 3, voxel[:, 1] + 3, voxel[:, 2] + 3].T
    assert torch.allclose(layer(x, Voxels(voxel)), expected, atol=1e-5)


def test_points_that_share_a_voxel():
    voxel = torch.randint(0, 3, (40, 3))
    layer, x = SubmanifoldConv(3, 2, 3), torch.randn(40, 3)
    places = [tuple(v) for v in voxel.tolist()]
    owner = {v: places.index(v) for v in set(places)}
    expected = torch.zeros(40, 2)
    for out, here in enumerate(places):
        for step in itertools.product((-1, 0, 1), repeat=3):
            there = tuple(a + b for a, b in zip(here, step, strict=True))
            if there not in owner:
                continue
            weight = layer.weight[:, step[0] + 1, step[1] + 1, step[2] + 1]
            if step == (0, 0, 0):
                expected[out] += weight @ x[out]
            elif step > (0, 0, 0):
                expected[out] += weight @ x[owner[there]]
            elif owner[here] == out:
                expected[out] += sum(weight @ x[i] for i in range(40) if places[i] == there)
    assert torch.allclose(layer(x, Voxels(voxel)), expected, atol=1e-5)


def test_even_sizes_are_refused():
    with pytest.raises(ValueError, match="size 4"):
        SubmanifoldConv(3, 2, 4)


def test_spacing_of_points():
    line = torch.tensor([0.0, 1.0, 3.0, 7.0, 7.0])[:, None] * torch.tensor([[1.0, 0.0, 0.0]])
    squares = torch.tensor([(1 + 9 + 49) / 3, (1 + 4 + 36) / 3, (4 + 9 + 16) / 3, (0 + 16 + 36) / 3, (0 + 16 + 36) / 3])
    assert torch.allclose(spacing_of(line), squares.sqrt())
    assert torch.allclose(spacing_of(torch.zeros(5, 3)), torch.full((5,), 1e-7).sqrt())
    assert torch.allclose(spacing_of(line[:2]), torch.ones(2))
    with pytest.raises(ValueError, match="single point"):
        spacing_of(line[:1])
