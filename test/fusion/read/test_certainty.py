# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Probability that a label is right: by shares of votes and their number."""
import numpy as np
import pytest

from lsm_ros.fusion.read.certainty import CLASSES, NEVER, RELIABILITY, probability


def of(top, second, views):
    return float(probability(np.float32([top]), np.float32([second]), np.array([views]))[0])


def test_a_single_view_is_as_reliable_as_views_are():
    assert of(1, 0, 1) == pytest.approx((1 - NEVER) * RELIABILITY, abs=1e-6)


def test_views_that_agree_make_sure_and_those_that_do_not_make_unsure():
    assert of(1, 0, 1) < of(1, 0, 4) < of(1, 0, 9) <= 1 - NEVER
    assert of(1, 0, 9) > of(0.8, 0.2, 9) > of(0.5, 0.3, 9) > of(0.5, 0.5, 9) > 0.3
    assert of(0.5, 0.5, 100) == pytest.approx((1 - NEVER) / 2, abs=1e-3)


def test_more_rivals_make_less_sure():
    assert of(0.4, 0.3, 9) < of(0.4, 0.1, 9)


def test_nothing_seen_is_nothing_known():
    assert of(0, 0, 5) == 0
    assert 0 < of(1e-6, 0, 0) < 2 / CLASSES


def test_votes_that_err_as_is_assumed_are_as_right_as_is_said():
    """Independent votes, as many as the square root of the views, among classes that are mistaken for each other."""
    rng = np.random.default_rng(0)
    votes, cells = 3, 40_000
    truth = rng.integers(0, CLASSES, cells)
    wrong = (truth + rng.integers(1, CLASSES, (votes, cells))) % CLASSES
    seen = np.where(rng.random((votes, cells)) < RELIABILITY, truth, wrong)
    counts = np.zeros((cells, CLASSES))
    for v in seen:
        counts[np.arange(cells), v] += 1
    share = np.sort(counts, 1) / votes
    found = probability(share[:, -1], share[:, -2], np.full(cells, votes**2)) / (1 - NEVER)
    right = counts.argmax(1) == truth
    for low, high in ((0.3, 0.5), (0.9, 1.0)):
        some = (found >= low) & (found <= high)
        assert some.sum() > 100 and right[some].mean() == pytest.approx(found[some].mean(), abs=0.05)
