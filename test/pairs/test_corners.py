# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import cv2
import numpy as np
import pytest
from helpers.textured import picture

from lsm_ros.pairs.corners import find_by_flow, match_descriptors, root_sift

A = np.float32([[0.98, -0.12, 9.3], [0.12, 0.98, -4.6]])  # pixels of the second image from those of the first


@pytest.fixture(scope="module")
def images():
    first = picture(3, 320)
    return first, cv2.warpAffine(first, A, (320, 320), borderMode=cv2.BORDER_REFLECT)


@pytest.fixture(scope="module")
def corners(images):
    return cv2.goodFeaturesToTrack(images[0], 150, 0.01, 10).reshape(-1, 2).astype(np.float64)


def moved(pixels):
    return pixels @ A[:, :2].T.astype(np.float64) + A[:, 2]


def test_flow_finds_points_to_a_fraction_of_a_pixel(images, corners):
    index, found = find_by_flow(images[1], images[0], corners, corners)
    assert len(index) > 0.6 * len(corners)
    error = np.linalg.norm(found - moved(corners[index]), axis=1)
    assert np.median(error) < 0.25 and np.mean(error < 1.0) > 0.9


def test_a_good_guess_finds_what_moved_far(images, corners):
    far = np.roll(images[1], 90, axis=1)
    guess = moved(corners) + (90.0, 0.0)
    guess += np.random.default_rng(0).uniform(-4, 4, guess.shape)
    index, found = find_by_flow(far, images[0], corners, guess, levels=2)
    inside = guess[index, 0] > 110
    assert np.count_nonzero(inside) > 30
    assert np.median(np.linalg.norm(found - moved(corners[index]) - (90, 0), axis=1)[inside]) < 0.3


def test_points_without_a_guess_or_outside_are_not_looked_for(images, corners):
    guess = corners.copy()
    guess[::2] = np.nan
    guess[1] = (1000.0, 50.0)
    index, found = find_by_flow(images[0], images[0], corners, guess)
    assert set(index) <= set(range(3, len(corners), 2)) and len(index) > 0.8 * len(corners) / 2
    assert np.abs(found - corners[index]).max() < 0.1
    nothing, pixels = find_by_flow(images[0], images[0], corners, np.full_like(corners, np.nan))
    assert len(nothing) == 0 and pixels.shape == (0, 2)


def test_what_is_not_there_is_not_found(images, corners):
    other = picture(77, 320)
    index, _ = find_by_flow(other, images[0], corners, corners)
    assert len(index) < 0.25 * len(corners)


def test_descriptors_find_points_without_a_guess(images):
    (pixels_b, features_b), (pixels_a, features_a) = root_sift(images[0], 400), root_sift(images[1], 400)
    assert features_b.dtype == np.uint8 and features_b.shape[1] == 128
    lengths = np.linalg.norm(features_b.astype(float) / 255, axis=1)  # roots of an L1 unit vector have L2 length one
    assert np.abs(lengths - 1).max() < 0.05
    index_a, index_b = match_descriptors(features_a, features_b)
    assert len(index_a) > 60 and len(set(index_b)) == len(index_b)
    error = np.linalg.norm(pixels_a[index_a] - moved(pixels_b[index_b]), axis=1)
    assert np.mean(error < 2.0) > 0.95


def test_a_blank_image_has_no_features_and_matches_nothing(images):
    pixels, features = root_sift(np.full((120, 160), 128, np.uint8), 400)
    assert pixels.shape == (0, 2) and features.shape == (0, 128)
    index_a, index_b = match_descriptors(root_sift(images[0], 100)[1], features)
    assert len(index_a) == len(index_b) == 0


def test_light_that_falls_off_does_not_pull_points_aside():
    """Regression: vignetting moved points of weak texture by half a pixel and more, all the same way."""
    texture = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, (320, 320)), (0, 0), 3)
    first = np.clip(120 + 60 * texture / np.abs(texture).max(), 0, 255)
    fall = np.linspace(1.0, 0.55, 320)[None, :]
    second = np.clip(cv2.warpAffine(first, A, (320, 320), borderMode=cv2.BORDER_REFLECT) * fall, 0, 255).astype(np.uint8)
    first = first.astype(np.uint8)
    points = cv2.goodFeaturesToTrack(first, 150, 0.01, 10).reshape(-1, 2).astype(np.float64)
    index, found = find_by_flow(second, first, points, moved(points) + (1.5, 0.0))
    error = found - moved(points[index])
    assert len(index) > 60 and np.abs(np.median(error, axis=0)).max() < 0.05
    assert np.median(np.linalg.norm(error, axis=1)) < 0.2


def test_a_turned_view_is_found_exactly(images):
    """A turn of 30 degrees stretches what comes near the edge by a half; unwarped, few points are found there."""
    c, s = np.cos(0.5), np.sin(0.5)
    K = np.array([[200.0, 0, 160], [0, 200, 160], [0, 0, 1]])
    H = K @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.linalg.inv(K)
    turned = cv2.warpPerspective(images[0], H, (320, 320))
    points = cv2.goodFeaturesToTrack(images[0], 200, 0.01, 8).reshape(-1, 2).astype(np.float64)
    there = cv2.perspectiveTransform(points[None], H)[0]
    guess = there + np.random.default_rng(0).uniform(-2, 2, there.shape)
    index, found = find_by_flow(turned, images[0], points, guess, levels=2)
    inside = np.flatnonzero(np.all((there > 12) & (there < 307), axis=1))
    assert len(set(index) & set(inside)) > 0.85 * len(inside) > 30
    assert np.median(np.linalg.norm(found - there[index], axis=1)) < 0.15
