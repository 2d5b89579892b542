# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
import torch

from lsm_sim.hashing import checked_seeds, normals

KNOWN = [-1.643289, -0.762212, -1.232442, 1.088562]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    return request.param


def test_known_values():
    """The numbers are part of what a seed means: a change of the hash changes all datasets."""
    torch.testing.assert_close(normals([7], 1, 4)[0], torch.tensor(KNOWN), atol=1e-6, rtol=0)


def test_moments_and_tails(device):
    z = normals(range(8), 0, 100_001, device).cpu().double()
    assert z.shape == (8, 100_001)
    assert z.mean(1).abs().max() < 0.015
    assert (z.var(1) - 1).abs().max() < 0.025
    assert abs((z ** 4).mean() - 3) < 0.05
    assert abs((z.abs() > 1.959964).double().mean() - 0.05) < 0.001
    assert z.abs().max() < 4.5


def test_neighbours_seeds_and_streams_are_independent(device):
    n = 50_000
    z = torch.cat([normals([0, 1, 2, 1 << 40], s, n, device) for s in (0, 1, 2)]).cpu().numpy()
    assert np.abs(np.corrcoef(z) - np.eye(12)).max() < 0.02
    for lag in (1, 2, 3, 672, n // 2):
        assert abs(np.mean(z[0] * np.roll(z[0], lag))) < 0.02


def test_a_row_depends_on_its_seed_alone(device):
    together = normals([3, 5, 8], 1, 999, device)
    for k, seed in enumerate([3, 5, 8]):
        assert torch.equal(together[k:k + 1], normals([seed], 1, 999, device))
    assert torch.equal(together.cpu(), normals([3, 5, 8], 1, 999))


@pytest.mark.parametrize("seeds", [[1.0, 2], [True, 2], [-1, 2], [1], [1, 2, 3], ["1", 2], np.array([0.5, 1])])
def test_wrong_seeds(seeds):
    with pytest.raises(ValueError, match="2 seeds"):
        checked_seeds(seeds, 2)


@pytest.mark.parametrize("seeds", [(4, 2), np.array([4, 2]), np.uint64([4, 2]), torch.tensor([4, 2]), [np.int32(4), 2]])
def test_good_seeds(seeds):
    assert checked_seeds(seeds, 2) == [4, 2]
