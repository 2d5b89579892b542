# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.geometry import make_se3, se3_inverse, so3_exp
from lsm_ros.pairs.agreement import Agreement, compare

HERE = np.eye(4)
THERE = make_se3(so3_exp([0.02, 0.1, 0.0]), [0.2, 0.05, 0.1])
BOARDS, OTHER = room(), room(5)


def views(boards_a=BOARDS, boards_b=BOARDS):
    """Image and depth of a at THERE, and of b at HERE."""
    return see(boards_a, THERE), see(boards_b, HERE)


def of(a, b, T_a_b, depth_a=True):
    return compare(b[0], b[1], CAMERA, a[0], a[1] if depth_a else None, CAMERA, T_a_b)


def test_two_views_of_one_room_agree():
    a, b = views()
    found = of(a, b, se3_inverse(THERE) @ HERE)
    assert found.seen > 2000 and found.measured > 0.95 * found.seen
    assert found.agree > 0.97 * found.measured and found.through < 0.03 * found.measured
    assert found.patches > 100 and found.alike > 0.8 * found.patches


def test_a_wrong_pose_is_contradicted_by_depth_and_by_looks():
    a, b = views()
    wrong = se3_inverse(THERE @ make_se3(so3_exp([0.0, 0.0, 0.0]), [0.0, 0.0, 1.0]))
    found = of(a, b, wrong)
    assert found.agree < 0.4 * found.measured and found.alike < 0.4 * found.patches


def test_another_room_of_the_same_shape_looks_different():
    a, b = views(boards_a=OTHER)
    found = of(a, b, se3_inverse(THERE) @ HERE)
    assert found.agree > 0.97 * found.measured and found.alike < 0.2 * found.patches


@pytest.mark.parametrize(("factor", "through"), [(1.5, True), (0.6, False)])
def test_what_is_farther_is_looked_through_and_what_is_nearer_is_not(factor, through):
    a, b = views()
    found = of((a[0], factor * a[1]), b, se3_inverse(THERE) @ HERE)
    assert found.agree < 0.05 * found.measured
    assert found.through > 0.9 * found.measured if through else found.through < 0.05 * found.measured


def test_brightness_and_contrast_do_not_matter():
    a, b = views()
    darker = (0.5 * a[0] + 20).astype(np.uint8)
    found = of((darker, a[1]), b, se3_inverse(THERE) @ HERE)
    assert found.alike > 0.8 * found.patches


def test_without_depth_in_a_only_looks_are_compared():
    a, b = views()
    found = of(a, b, se3_inverse(THERE) @ HERE, depth_a=False)
    assert found.measured == found.agree == found.through == 0 and found.alike > 0.8 * found.patches > 80


def test_what_cannot_be_compared_counts_nothing():
    a, b = views()
    assert of(a, (b[0], np.zeros_like(b[1])), np.eye(4)) == Agreement()
    behind = make_se3(so3_exp([0.0, np.pi, 0.0]), [0.0, 0.0, 0.0])
    assert of(a, b, behind).seen == 0
    flat = of((np.full_like(a[0], 90), a[1]), (np.full_like(b[0], 90), b[1]), se3_inverse(THERE) @ HERE)
    assert flat.patches == 0 and flat.agree > 0.9 * flat.measured


def test_units():
    a, b = views()
    metres = of(a, b, se3_inverse(THERE) @ HERE)
    mm = compare(b[0], (1000 * b[1]).astype(np.uint16), CAMERA, a[0], (1000 * a[1]).astype(np.uint16), CAMERA,
                 se3_inverse(THERE) @ HERE, 0.001)
    assert abs(mm.agree - metres.agree) < 0.01 * metres.seen
    assert metres + mm == Agreement(*(x + y for x, y in zip(metres.__dict__.values(), mm.__dict__.values(), strict=True)))
