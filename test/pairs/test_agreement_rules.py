# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of the agreement of two images, on images of a flat wall straight ahead."""
import warnings

import numpy as np
import pytest
from helpers.textured import picture

from lsm_ros.geometry import CameraIntrinsics, make_se3
from lsm_ros.pairs.agreement import Agreement, compare

K = CameraIntrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)  # every second pixel is one of the grid
WALL, DEPTH = picture(4, 160)[:120], np.full((120, 160), 2.0, np.float32)
GRID = 80 * 60


def of(depth_a=DEPTH, gray_a=WALL, gray_b=WALL, depth_b=DEPTH, T=None, camera_a=K, unit=1.0):
    return compare(gray_b, depth_b, K, gray_a, depth_a, camera_a, np.eye(4) if T is None else T, unit)


def test_all_points_of_the_grid_of_one_image_agree():
    found = of()
    assert found.seen == found.measured == found.agree == GRID and found.through == 0
    assert found.alike == found.patches > 1000


@pytest.mark.parametrize(("there", "agree", "through"), [(2.12, 1, 0), (2.14, 0, 1), (1.88, 1, 0), (1.86, 0, 0)])
def test_depths_agree_within_5_percent_and_3_cm(there, agree, through):
    found = of(np.full_like(DEPTH, there))
    assert (found.agree, found.through) == (agree * GRID, through * GRID)
    ten = of(np.full_like(DEPTH, 10 + 5 * (there - 2.0) - 0.12 * np.sign(there - 2.0)), depth_b=5 * DEPTH)
    assert (ten.agree, ten.through) == (agree * GRID, through * GRID)


def test_points_without_depth_in_either_image_say_nothing():
    half = DEPTH.copy()
    half[:60] = 0
    assert of(half).measured == of(half).agree == GRID // 2 and of(half).seen == GRID
    assert of(half).through == 0, "a hole is not looked through"
    found = of(depth_b=half)
    assert found.seen == found.measured == GRID // 2 and found.patches < 0.5 * of().patches
    ahead = of(depth_b=half, T=make_se3(np.eye(3), [0.0, 0.0, 0.5]))  # what is not known lies in no place, not in the camera
    assert ahead.seen == GRID // 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the median of nothing
        assert of(depth_b=0 * DEPTH) == Agreement()


def test_patches_behind_something_nearer_are_counted_as_hidden():
    near = DEPTH.copy()
    near[:, :80] = 1.0
    found, all_seen = of(near), of()
    assert all_seen.hidden == all_seen.hidden_alike == 0 and found.patches == all_seen.patches
    assert found.hidden == found.hidden_alike > 0.4 * found.patches  # the picture is the same
    assert of(np.full_like(DEPTH, 3.0)).hidden == 0, "what is looked through hides nothing"
    other = of(near, gray_a=picture(5, 160)[:120])
    assert other.hidden == found.hidden and other.hidden_alike < 0.2 * other.hidden


def test_points_out_of_view_are_not_seen():
    """Half a width aside; what is measured there belongs to other points."""
    found = of(T=make_se3(np.eye(3), [80 / 150 * 2.0, 0.0, 0.0]))
    assert found.seen == found.measured == GRID // 2


def test_points_too_near_to_the_camera_are_not_seen():
    """A twentieth of the median depth, 10 cm of 2 m."""
    wide = CameraIntrinsics(160, 120, 1.0, 1.0, 79.5, 59.5)
    for ahead, seen in ((1.88, GRID), (1.92, 0)):
        assert of(T=make_se3(np.eye(3), [0.0, 0.0, -ahead]), camera_a=wide).seen == seen


def test_units_apply_to_both_depths():
    mm = (1000 * DEPTH).astype(np.uint16)
    assert of(mm, depth_b=mm, unit=0.001) == of()
    shifted = make_se3(np.eye(3), [80 / 150 * 2.0, 0.0, 0.0])
    assert of(mm, depth_b=mm, unit=0.001, T=shifted) == of(T=shifted)


def test_without_depth_nothing_is_measured():
    found = of(depth_a=None)
    assert (found.measured, found.agree, found.through) == (0, 0, 0) and found.alike == of().alike


def test_only_whole_patches_with_texture_are_compared():
    faint = (128 + 0.08 * (WALL.astype(float) - 128)).astype(np.uint8)  # of 3 grey levels
    assert of(gray_b=faint).patches < 0.02 * of().patches
    half = DEPTH.copy()
    half[:, 80:] = 0
    assert of(depth_b=half).patches < 0.5 * of().patches, "those at the edge of what is known are not whole"


@pytest.mark.parametrize(("change", "alike"), [
    (lambda g: 0.4 * g + 90, True), (lambda g: 255 - g, False), (lambda g: np.full_like(g, 90), False),
    (lambda g: np.roll(g, 24, 1), False)])
def test_looks_are_compared_whatever_the_light(change, alike):
    with np.errstate(all="raise"):
        found = of(gray_a=np.clip(change(WALL.astype(float)), 0, 255).astype(np.uint8))
    assert found.alike > 0.95 * found.patches if alike else found.alike < 0.15 * found.patches


def test_fine_texture_is_compared_as_the_grid_can_show_it():
    """Pixels between those of the grid, and noise of each alone, must not make the same wall look different."""
    rng, large = np.random.default_rng(0), np.kron(WALL[::2, ::2], np.ones((8, 8)))
    b, a = (np.clip(large + rng.normal(0, 60, large.shape), 0, 255).astype(np.uint8) for _ in range(2))
    k = CameraIntrinsics(640, 480, 600.0, 600.0, 319.5, 239.5)
    depth = np.full((480, 640), 2.0, np.float32)
    found = compare(b, depth, k, a, depth, k, np.eye(4))
    assert found.seen == GRID and found.alike > 0.9 * found.patches > 900


def test_counts_add_up():
    assert Agreement(1, 2, 3, 4, 5, 6) + Agreement(10, 20, 30, 40, 50, 60) == Agreement(11, 22, 33, 44, 55, 66)
