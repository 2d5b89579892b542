# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Features and matches of image pairs: what counts as a match, and when two images belong together."""
import cv2
import numpy as np
import pytest
from helpers import textured
from helpers.image_sets import around, seen_features

from lsm_ros.sfm import feature_matching
from lsm_ros.sfm.feature_matching import LEAST_MATCHES, ImageFeatures, find_features, match_pair, nearest_both_ways


def descriptors(rows):
    """(N, 128) uint8 of one length, orthogonal for different rows, and between two for halves."""
    out = np.zeros((len(rows), 128))
    for n, row in enumerate(rows):
        low, share = int(row), row - int(row)
        out[n, low], out[n, low + 1] = np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)
    return np.rint(255 * out).astype(np.uint8)


def test_matches_are_each_others_nearest_and_clearly_so():
    a, b = descriptors([0, 2, 4, 6]), descriptors([2, 0, 6.45, 8, 4.4, 3.6])
    index_a, index_b = nearest_both_ways(a, b)
    # 6 has one that is not near, but nothing else; 4 has two that are as near
    assert list(zip(index_a.tolist(), index_b.tolist(), strict=True)) == [(0, 1), (1, 0), (3, 2)]
    twice = descriptors([0, 0.2, 4])
    index_a, index_b = nearest_both_ways(twice, descriptors([0.05, 4, 9]))
    assert list(zip(index_a.tolist(), index_b.tolist(), strict=True)) == [(0, 0), (2, 1)]  # 0.2 has it too, from farther away
    assert len(nearest_both_ways(a[:1], b)[0]) == 0


def pair_with(right, wrong):
    """Features of two images of points in space, of which some match wrongly."""
    points = np.random.default_rng(0).uniform(-1, 1, (right + wrong, 3))
    features, rows = seen_features(around(2, span=0.5), points, noise=0.2)
    rng = np.random.default_rng(1)
    found = []
    for n, f in enumerate(features):
        pixels = f.pixels[rows[n]].copy()
        pixels[right:] = rng.uniform(0, 480, (wrong, 2))
        found.append(ImageFeatures(pixels, np.zeros((len(pixels), 128), np.uint8), np.zeros((len(pixels), 3), np.uint8), 2.0))
    return found


@pytest.mark.parametrize("right, wrong, together", [(60, 60, True), (45, 255, False), (LEAST_MATCHES + 6, 0, True),
                                                    (LEAST_MATCHES - 6, 8, False), (LEAST_MATCHES - 1, 0, False)])
def test_images_belong_together_where_enough_agrees(monkeypatch, right, wrong, together):
    every = np.arange(right + wrong)
    monkeypatch.setattr(feature_matching, "nearest_both_ways", lambda a, b: (every, every))
    found = match_pair(0, 1, *pair_with(right, wrong))
    assert (found is not None) == together
    if together:
        assert np.isin(np.arange(right), found.index_i).mean() > 0.8


def test_large_images_are_looked_at_smaller_and_their_tolerance_grows(monkeypatch):
    image = np.repeat(textured.picture(3, 512)[..., None], 3, 2)
    whole = find_features(image)
    assert whole.tolerance == 2.0
    assert find_features(cv2.resize(image, (1280, 960))).tolerance == 4.0
    monkeypatch.setattr(feature_matching, "LONGEST", 256)
    smaller = find_features(image)
    assert len(smaller.pixels) < 0.6 * len(whole.pixels) and smaller.pixels.max() > 400  # of the image at full size
    near = np.linalg.norm(smaller.pixels[:, None] - whole.pixels, axis=2).min(1)
    assert np.median(near) < 1.0
    assert find_features(np.zeros((80, 90, 3), np.uint8)).pixels.shape == (0, 2)


def test_a_corner_with_two_directions_is_one_feature():
    found = find_features(np.repeat(textured.picture(3, 512)[..., None], 3, 2))
    assert len(np.unique(np.round(found.pixels, 2), axis=0)) == len(found.pixels) > 300
    assert found.descriptors.shape == (len(found.pixels), 128) and found.colors.shape == (len(found.pixels), 3)
