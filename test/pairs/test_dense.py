# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.geometry import make_se3, se3_inverse, so3_exp, transform_points
from lsm_ros.pairs.dense import DenseDepth, dense_inverse_depth, plane_homography

TYPICAL = 1 / 2.5
STEPS = {"sideways": (0.2, 0.0, 0.0), "up": (0.0, -0.2, 0.0), "forward": (0.03, 0.0, 0.3), "backward": (0.0, 0.05, -0.3)}


def setting(*steps, turn=(0.0, 0.06, 0.02)):
    """Image and depth of b at the origin, and partners of cameras that stepped away from there and turned."""
    boards = room()
    image, depth = see(boards, np.eye(4))
    partners = []
    for step in steps:
        T_b_a = make_se3(so3_exp(turn), step)
        partners.append((see(boards, T_b_a)[0], CAMERA, se3_inverse(T_b_a)))
    return image, depth, partners


def errors(dense, depth):
    """Relative depth errors of the known pixels, and their share."""
    known = dense.inverse_depth > 0
    return 1.0 / dense.inverse_depth[known] / depth[known] - 1.0, known.mean()


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_depth_of_a_room_from_one_partner_wherever_the_camera_went(step, quick):
    image, depth, partners = setting(STEPS[step])
    dense = dense_inverse_depth(image, CAMERA, partners, TYPICAL, quick)
    error, share = errors(dense, depth)
    assert share > 0.4
    assert np.median(np.abs(error)) < 0.04 and abs(np.median(error)) < 0.02


def test_the_stated_deviation_is_honest():
    image, depth, partners = setting(STEPS["sideways"], STEPS["forward"])
    dense = dense_inverse_depth(image, CAMERA, partners, TYPICAL)
    error, _ = errors(dense, depth)
    sigma = dense.relative_sigma[dense.inverse_depth > 0]
    bands = np.quantile(sigma, [0.0, 0.25, 0.5, 0.75, 0.95])
    for low, high in zip(bands, bands[1:], strict=False):
        band = (sigma >= low) & (sigma < high)
        assert np.mean(np.abs(error[band]) < sigma[band]) > 0.6


def test_a_short_baseline_is_less_sure_and_less_exact():
    told, made = [], []
    for step in ((0.02, 0.0, 0.0), (0.2, 0.0, 0.0)):
        image, depth, partners = setting(step)
        dense = dense_inverse_depth(image, CAMERA, partners, TYPICAL)
        told.append(np.median(dense.relative_sigma[dense.inverse_depth > 0]))
        made.append(np.median(np.abs(errors(dense, depth)[0])))
    assert told[0] > 2 * told[1] and made[0] > 2 * made[1]


def test_two_partners_know_better_than_one():
    image, depth, partners = setting(STEPS["sideways"], STEPS["up"])
    one, two = (dense_inverse_depth(image, CAMERA, partners[:n], TYPICAL) for n in (1, 2))
    both = (one.inverse_depth > 0) & (two.inverse_depth > 0)
    assert np.median(two.relative_sigma[both]) < np.median(one.relative_sigma[both])
    assert two.confidence.mean() > one.confidence.mean()


@pytest.mark.parametrize("typical", [0.0, TYPICAL / 2, 2 * TYPICAL])
def test_the_search_may_begin_far_off(typical):
    image, depth, partners = setting(STEPS["sideways"])
    error, share = errors(dense_inverse_depth(image, CAMERA, partners, typical), depth)
    assert share > 0.3 and np.median(np.abs(error)) < 0.05


def test_a_wrong_pose_leaves_little():
    image, _, partners = setting(STEPS["sideways"])
    right = dense_inverse_depth(image, CAMERA, partners, TYPICAL)
    gray, camera, T = partners[0]
    wrong = dense_inverse_depth(image, CAMERA, [(gray, camera, make_se3(so3_exp([0.06, 0, 0]), np.zeros(3)) @ T)], TYPICAL)
    assert (wrong.inverse_depth > 0).mean() < 0.3 * (right.inverse_depth > 0).mean()


def test_partners_that_disagree_make_pixels_unknown():
    image, depth, partners = setting(STEPS["sideways"], STEPS["up"])
    gray, camera, T = partners[1]
    stretched = T.copy()
    stretched[:3, 3] *= 2.0  # this partner would put everything twice as far away
    dense = dense_inverse_depth(image, CAMERA, [partners[0], (gray, camera, stretched)], TYPICAL)
    both = [dense_inverse_depth(image, CAMERA, [p], TYPICAL).inverse_depth > 0
            for p in (partners[0], (gray, camera, stretched))]
    contested = both[0] & both[1]
    assert contested.mean() > 0.1 and (dense.inverse_depth[contested] > 0).mean() < 0.1


def test_without_translation_or_texture_nothing_is_sure():
    image, _, partners = setting((0.0, 0.0, 0.0))
    assert dense_inverse_depth(image, CAMERA, partners, TYPICAL).confidence.max() < 0.05
    blank = np.full_like(image, 120)
    T = make_se3(np.eye(3), [-0.02, 0.0, 0.0])
    assert dense_inverse_depth(blank, CAMERA, [(blank, CAMERA, T)], 0.0).confidence.max() < 0.3


def test_confidence_falls_with_the_deviation_and_is_zero_where_nothing_is_known():
    sigma = np.array([[0.025, 0.05, 0.2, np.inf]], np.float32)
    confidence = DenseDepth(np.array([[1.0, 1.0, 1.0, 0.0]], np.float32), sigma).confidence
    assert confidence[0] == pytest.approx([0.8, 0.5, 1 / 17, 0.0])


def test_the_homography_maps_points_of_the_plane():
    T = make_se3(so3_exp([0.05, -0.1, 0.02]), [0.2, 0.1, -0.3])
    points_b = np.array([[0.5, -0.3, 2.0], [-0.4, 0.2, 2.0], [0.0, 0.0, 2.0]])
    H = plane_homography(CAMERA, CAMERA, T, 0.5)
    pixels_b, pixels_a = CAMERA.project(points_b)[0], CAMERA.project(transform_points(T, points_b))[0]
    moved = np.c_[pixels_b, np.ones(3)] @ H.T
    assert np.abs(moved[:, :2] / moved[:, 2:] - pixels_a).max() < 1e-9


def test_the_answer_has_the_size_of_the_image():
    image, _, partners = setting(STEPS["sideways"])
    big = np.kron(image, np.ones((2, 2), np.uint8))
    gray, camera, T = partners[0]
    dense = dense_inverse_depth(big, CAMERA.resize(640, 480), [(np.kron(gray, np.ones((2, 2), np.uint8)),
                                                                camera.resize(640, 480), T)], TYPICAL)
    assert dense.inverse_depth.shape == dense.relative_sigma.shape == dense.confidence.shape == (480, 640)


def test_what_one_estimate_does_not_know_another_fills():
    first = DenseDepth(np.array([[1.0, 0.0]], np.float32), np.array([[0.1, np.inf]], np.float32))
    filled = first.filled(DenseDepth(np.array([[3.0, 4.0]], np.float32), np.array([[0.2, 0.3]], np.float32)))
    assert filled.inverse_depth.tolist() == [[1.0, 4.0]] and np.allclose(filled.relative_sigma, [[0.1, 0.3]])
