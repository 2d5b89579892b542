# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import pytest

from lsm_sim.sampler import PairSampler


@pytest.fixture(scope="session")
def batches():
    """Three batches of four pairs of one room, 64x48."""
    sampler = PairSampler([0], 4, 64, 48, kinds=("room",), worlds=1)
    return [sampler.sample(n) for n in range(3)]
