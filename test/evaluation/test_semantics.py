# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest

from lsm_ros.evaluation.semantics import evaluate

POINTS = np.column_stack([np.arange(10.0), np.zeros(10), np.zeros(10)])


def labels(*values):
    return np.array(values, np.uint16)


def test_all_right():
    e = evaluate(POINTS, labels(*[1] * 5, *[2] * 5), POINTS + 0.01, labels(*[1] * 5, *[2] * 5))
    assert e.miou == 1.0 and e.accuracy == 1.0 and e.missing == 0.0 and e.iou == {1: 1.0, 2: 1.0} and e.points == 10


def test_known_confusion():
    # truth 1 x5, 2 x5; found: one 1 as 2, one 2 unlabelled
    found = labels(1, 1, 1, 1, 2, 2, 2, 2, 2, 65535)
    e = evaluate(POINTS, found, POINTS, labels(*[1] * 5, *[2] * 5))
    assert e.iou == {1: pytest.approx(4 / 5), 2: pytest.approx(4 / 6)}
    assert e.accuracy == pytest.approx(0.8) and e.miou == pytest.approx((4 / 5 + 4 / 6) / 2)


def test_points_without_a_voxel_are_wrong():
    e = evaluate(POINTS[:5], labels(*[1] * 5), POINTS, labels(*[1] * 10))
    assert e.missing == 0.5 and e.accuracy == 0.5 and e.iou == {1: 0.5}
    assert evaluate(POINTS, labels(*[1] * 10), POINTS + [0, 0.06, 0], labels(*[1] * 10)).missing == 1.0


def test_unlabelled_truth_does_not_count():
    e = evaluate(POINTS, labels(*[3] * 10), POINTS, labels(*[3] * 4, *[65535] * 6))
    assert e.points == 4 and e.accuracy == 1.0


def test_empty_map_and_bad_input():
    assert evaluate(np.zeros((0, 3)), labels(), POINTS, labels(*[1] * 10)).missing == 1.0
    with pytest.raises(ValueError, match="no point of the true surface"):
        evaluate(POINTS, labels(*[1] * 10), POINTS, labels(*[65535] * 10))
    with pytest.raises(ValueError, match="10 voxels with 3 labels"):
        evaluate(POINTS, labels(1, 2, 3), POINTS, labels(*[1] * 10))
