# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import sfm

    return sfm


def test_errors_of_a_model_are_taken_in_the_frame_that_fits_best(bench):
    from helpers.image_sets import around

    truth = around(9)
    R = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    R *= np.linalg.det(R)
    moved = truth.copy()
    moved[:, :3, :3] = R @ truth[:, :3, :3]
    moved[:, :3, 3] = 3 * truth[:, :3, 3] @ R.T + (1, 2, 3)
    turn, shift = bench.model_errors(moved, truth)
    assert turn < 1e-3 and shift < 1e-9
    moved[4, :3, 3] += 0.3 * R[:, 0]  # a tenth of a metre of the truth
    size = np.linalg.norm(np.ptp(truth[:, :3, 3], axis=0))
    assert bench.model_errors(moved, truth)[1] == pytest.approx(0.1 / size, rel=0.2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("level", range(4))
def test_rooms_with_nearly_true_pairs(bench, level):
    """60 unordered images of three rooms: all are registered, each room in a model of its own, and exactly where pairs are."""
    parts = [bench.room_views(seed, 20) for seed in bench.SEEDS]
    order = np.random.default_rng(0).permutation(60)
    images, depths, poses = (np.concatenate([p[k] for p in parts])[order] for k in range(3))
    predictor = bench.TruePairs(depths, poses, parts[0][3], bench.NOISE[level], worlds=np.repeat(np.arange(3), 20)[order])
    row = bench.timed(images, predictor, parts[0][3], poses)
    turn, shift = ((1.0, 0.02), (1.0, 0.02), (2.0, 0.03), (6.0, 0.05))[level]
    assert row["registered"] == 60 and row["models"] == 3 and row["turn_deg"] < turn and row["shift"] < shift
