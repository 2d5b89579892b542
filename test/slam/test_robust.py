# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.slam.robust import robust_mean


def normalised(make, runs=50):
    """Sum of squared errors by their deviations, of values and weights that make(rng) gives around 0."""
    means = [robust_mean(*make(np.random.default_rng(seed))) for seed in range(runs)]
    return sum((m.value / m.std) ** 2 for m in means)


def plain(rng, n=30):
    return 0.1 * rng.standard_normal(n), np.ones(n)


def few(rng):
    return plain(rng, 8)


def uneven(rng):
    weight = rng.uniform(0.1, 10, 40)
    return 0.1 * rng.standard_normal(40) / np.sqrt(weight), weight


def wrong(rng):
    values, weight = plain(rng, 40)
    values[rng.choice(40, 6, replace=False)] += rng.uniform(0.7, 3, 6)  # one-sided, as wheels slip
    return values, weight


def alike(rng):
    values = 0.1 * rng.standard_normal(200)
    for i in range(1, 200):
        values[i] += 0.8 * values[i - 1]
    return values, np.ones(200)


@pytest.mark.parametrize("make", [plain, few, uneven, wrong, alike])
def test_the_deviation_is_what_it_errs(make):
    """Chi-square of 50 runs, 99.8 % bounds: 24.7 and 86.7."""
    assert 24.7 < normalised(make) < 86.7


def test_it_is_nearly_as_good_as_the_mean_and_far_better_with_outliers():
    means = np.array([[robust_mean(*make(np.random.default_rng(seed))).value for seed in range(200)]
                      for make in (plain, wrong)])
    assert means[0].std() < 1.1 * 0.1 / np.sqrt(30)
    assert abs(means[1].mean()) < 0.01 and means[1].std() < 1.2 * 0.1 / np.sqrt(34)


def test_too_few_that_agree():
    assert robust_mean(np.array([0.0, 0.1, 0.2, 0.3]), np.ones(4)) is None


def test_equal_values_have_no_scatter():
    found = robust_mean(np.full(10, 3.0), np.ones(10))
    assert found.value == pytest.approx(3.0) and found.std < 1e-6 and found.count == 10


def test_a_heavy_value_counts_more():
    values, weight = np.array([0.0, 0.1, 0.0, 0.1, 0.05, 1.0]), np.array([1, 1, 1, 1, 1, 100.0])
    assert robust_mean(np.r_[values, values], np.r_[weight, weight]).value > 0.9
