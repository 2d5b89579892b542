# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of finding a focal length from images with depth."""
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lsm_ros.geometry import CameraIntrinsics, se3_exp, transform_points
from lsm_ros.pairs.base import Correspondences
from lsm_ros.slam.focal import FocalEstimator

FOCAL = 525.0
POINTS = np.random.default_rng(0).uniform([-1.5, -1.0, 1.5], [1.5, 1.0, 4.0], (130, 3))


@dataclass
class Points:
    """Tokens that hold what an image shows of each point: corners (N, 2) and depth (N,), NaN where it does not."""

    gray: np.ndarray
    corners: np.ndarray
    depth: np.ndarray
    depth_mm: bool | None = True


class Matcher:
    """Matches by number; `asked` holds what was matched."""

    def __init__(self):
        self.asked = []

    def correspond(self, a, b):
        self.asked.append((a, b))
        seen = np.isfinite(a.corners[:, 0]) & np.isfinite(b.corners[:, 0])
        return Correspondences(a.corners[seen], b.corners[seen], a.depth[seen], b.depth[seen])


def image(shift, count=130, noise=0.0, focal=FOCAL, size=(480, 640), seed=0, points=POINTS):
    """An image after a way of `shift` (m) aside, with a turn; noise: pixels."""
    rng = np.random.default_rng([seed, round(1e4 * shift)])
    K = CameraIntrinsics(size[1], size[0], focal, focal, (size[1] - 1) / 2, (size[0] - 1) / 2)
    cam = transform_points(se3_exp([shift, 0.0, 0.2 * shift, 0.1 * shift, 0.3 * shift, 0.0]), points)
    pixels, ok = K.project(cam)
    ok &= np.arange(len(points)) < count
    pixels = np.where(ok[:, None], pixels + noise * rng.standard_normal(pixels.shape), np.nan)
    return Points(np.zeros(size, np.uint8), pixels, cam[:, 2].copy())


def fed(estimator, shifts, **options):
    return [estimator.add(image(s, **options)) for s in shifts]


WAY = (0.0, 0.1, 0.14, 0.18, 0.22)


def new_estimator():
    return FocalEstimator(Matcher(), sigma_px=0.5, sigma_inverse_depth=0.001)


@pytest.fixture
def estimator():
    return new_estimator()


def test_the_fourth_pair_is_enough(estimator):
    found = fed(estimator, WAY, noise=0.3)
    assert found[:-1] == [None] * 4 and found[-1] == pytest.approx(FOCAL, rel=0.005)


def test_between_the_candidates_the_minimum_is_that_of_the_cost():
    for focal in (500.0, 510.0, 520.0, 530.0, 540.0):
        estimator = new_estimator()
        assert fed(estimator, WAY, focal=focal)[-1] == pytest.approx(focal, rel=0.003)


def test_once_known_nothing_more_is_asked(estimator):
    fed(estimator, WAY)
    count = len(estimator.model.asked)
    assert fed(estimator, (0.4, 0.5), focal=900.0) == [estimator.focal_px] * 2 and len(estimator.model.asked) == count


def test_images_without_depth_are_not_looked_at(estimator):
    for shift in WAY:
        assert estimator.add(replace(image(shift), depth_mm=None)) is None
    assert not estimator.model.asked


def test_points_without_depth_in_either_image_do_not_count(estimator):
    for n, shift in enumerate(WAY):
        tokens = image(shift)
        tokens.depth[n * 20:n * 20 + 20] = np.nan
        found = estimator.add(tokens)
    assert found == pytest.approx(FOCAL, rel=0.005)


def test_another_size_of_image_begins_anew(estimator):
    fed(estimator, WAY[:4])
    assert fed(estimator, WAY, size=(240, 320), focal=FOCAL / 2)[:-1] == [None] * 4
    assert estimator.focal_px == pytest.approx(FOCAL / 2, rel=0.005)


def test_what_is_hardly_seen_any_more_is_compared_no_longer_but_what_was_counts(estimator):
    fed(estimator, WAY[:4])  # three pairs
    few = image(0.5, count=25)
    assert estimator.add(few) is None
    assert estimator.add(image(0.75)) is None and estimator.model.asked[-1][1] is few  # so few again
    begin = image(0.75)
    estimator.add(begin)
    assert estimator.add(image(1.0)) == pytest.approx(FOCAL, rel=0.005), "the fourth pair"


@pytest.mark.parametrize(("count", "known"), [(59, False), (65, True)])
def test_sixty_matches_make_a_pair(count, known):
    estimator = FocalEstimator(Matcher(), sigma_px=0.1, sigma_inverse_depth=0.0003)
    near = POINTS * (0.4, 0.4, 1.0)  # all in view
    found = [estimator.add(image(s, count=count, points=near)) for s in WAY]
    assert (found[-1] is not None) == known


@pytest.mark.parametrize(("step", "known"), [(0.05, False), (0.2, True)])
def test_a_short_way_makes_no_pair(estimator, step, known):
    """26 pixels of 640 are a short way."""
    found = fed(estimator, [0.0] + [step] * 5)
    assert (found[-1] is not None) == known


def test_a_long_way_makes_the_image_the_next_one_to_compare_with(estimator):
    first, near, far, next_one = image(0.0), image(0.2), image(0.8), image(1.0)
    for tokens in (first, near, far, next_one):
        estimator.add(tokens)
    assert [b for _, b in estimator.model.asked] == [first, first, far]


def turning(angle):
    """An image of a camera that only rolls about its axis: any focal length fits."""
    c, s = np.cos(angle), np.sin(angle)
    tokens = image(0.0)
    middle = np.array([319.5, 239.5])
    return replace(tokens, corners=(tokens.corners - middle) @ np.array([[c, s], [-s, c]]) + middle)


def test_motion_that_says_nothing_of_the_focal_length_gives_none(estimator):
    assert [estimator.add(turning(a)) for a in (0.0, 0.5, 0.55, 0.6, 0.65, 0.7)] == [None] * 6


def test_pairs_that_say_little_are_not_believed():
    """A small flat thing, seen with much noise, fits 602 pixels best, give or take half of them."""
    few = np.random.default_rng(1).uniform([-0.15, -0.1, 1.9], [0.15, 0.1, 2.1], (62, 3))
    estimator = FocalEstimator(Matcher(), sigma_px=2.0, sigma_inverse_depth=0.01)
    assert fed(estimator, WAY, noise=1.0, points=few)[-1] is None


def test_at_the_end_of_the_range_there_is_no_minimum(estimator):
    """0.33 of the width: just outside of what is tried, whose nearest is not the answer."""
    assert [estimator.add(image(s, focal=212.0)) for s in (0.0, 0.3, 0.35, 0.4, 0.45, 0.5)][-1] is None


def test_the_deviation_covers_what_is_wrong_with_matches_together():
    """Neighbouring matches err together; the deviation says so."""
    errors, stds = [], []
    for seed in range(6):
        estimator = new_estimator()
        fed(estimator, WAY, noise=0.5, seed=seed)
        errors.append(abs(estimator.focal_px - FOCAL))
        stds.append(estimator.std_px)
    assert max(errors) < max(stds) < 0.03 * FOCAL and min(stds) > 2 * np.mean(errors)
