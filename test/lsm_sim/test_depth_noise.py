# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.types import UNLABELLED
from lsm_sim.depth_noise import noisy_depth, noisy_labels


@pytest.mark.parametrize("z", [0.6, 2.0, 5.0])
def test_noise_grows_with_the_square_of_depth(z):
    depth = np.full((240, 320), z, np.float32)
    out = noisy_depth(depth, np.random.default_rng(0))
    good = out[out > 0]
    assert out.dtype == np.float32
    assert abs(good.mean() - z) < 0.05 * 0.0012 * z * z + 2e-5
    assert abs(good.std() / np.hypot(0.0012 * z * z, 0.001 / np.sqrt(12)) - 1) < 0.06
    np.testing.assert_allclose(good * 1000, np.rint(good * 1000), atol=1e-3)
    assert 0.013 < (out == 0).mean() < 0.027


def test_fails_out_of_range_and_along_half_of_the_edges():
    depth = np.full((200, 200), 2.0, np.float32)
    depth[:50], depth[50:100], depth[:, 150:] = 0.1, 9.0, 3.0
    depth[120:130, 20:30] = 0
    out = noisy_depth(depth, np.random.default_rng(1))
    assert not out[:50, :148].any() and not out[52:98, :148].any() and not out[120:130, 20:30].any()
    edge = out[140:, 149:151]
    assert 0.3 < (edge == 0).mean() < 0.7
    assert (out[140:, 40:140] == 0).mean() < 0.1


def test_same_generator_same_result_and_input_untouched():
    depth = np.linspace(0.3, 6, 4800, dtype=np.float32).reshape(60, 80)
    kept = depth.copy()
    a, b, c = (noisy_depth(depth, np.random.default_rng(s)) for s in (4, 4, 5))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(depth, kept)
    assert (a != c).mean() > 0.3


def test_labels_lose_about_a_percent_in_patches():
    labels = np.tile(np.arange(320, dtype=np.uint16) // 40, (240, 1))
    kept = labels.copy()
    out = noisy_labels(labels, np.random.default_rng(2))
    lost = out == UNLABELLED
    np.testing.assert_array_equal(labels, kept)
    np.testing.assert_array_equal(out[~lost], labels[~lost])
    assert out.dtype == np.uint16 and 0.005 < lost.mean() < 0.015
    alone = lost[1:-1, 1:-1] & ~(lost[:-2, 1:-1] | lost[2:, 1:-1] | lost[1:-1, :-2] | lost[1:-1, 2:])
    assert alone.sum() < 0.05 * lost.sum()
