# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of matches from a pair's prediction, and of the motion that they start with."""
from dataclasses import replace

import numpy as np
import pytest
import torch

from lsm_ros.config import from_dict
from lsm_ros.geometry import CameraIntrinsics, make_se3, so3_exp, transform_points
from lsm_ros.slam.pointmap import matching as module
from lsm_ros.slam.pointmap.matching import PairMatches, first_motion, match_pair, patches
from lsm_ros.types import PairPrediction

K = CameraIntrinsics(48, 32, 40.0, 40.0, 23.5, 15.5)
CONFIG = from_dict({"pointmap.stride": 4, "pointmap.min_confidence": 1.5}).pointmap
WALL = torch.from_numpy(K.rays(unit=False).astype(np.float32) * 3.0)
CELLS = 12 * 8


def prediction(points_b=None, descriptors=False, **changes):
    """Both images from one place, of a wall straight ahead."""
    conf = torch.full((32, 48), 4.0)
    extra = {}
    if descriptors:
        noise = torch.randn(1, 16, 32, 48, generator=torch.Generator().manual_seed(0))
        smooth = torch.nn.functional.avg_pool2d(noise, 9, 1, 4)[0].permute(1, 2, 0)
        desc = torch.nn.functional.normalize(smooth, dim=2)
        extra = {"desc_a": desc, "desc_b": desc.clone()}
    out = PairPrediction(WALL.clone(), WALL.clone() if points_b is None else points_b, conf, conf.clone(), False, **extra)
    return replace(out, **changes)


def confidence(value=4.0, **places):
    """(32, 48), with another value in some columns: {"c10": 1.0}."""
    out = torch.full((32, 48), value)
    for name, v in places.items():
        out[:, int(name[1:])] = v
    return out


def columns(matches):
    """Columns of the keyframe's pixels that were found."""
    return set((matches.index_kf % 48).tolist())


EVERY = set(range(2, 48, 4))


def test_each_cell_is_found_where_it_is():
    matches, found = match_pair(prediction(), CONFIG)
    assert len(matches) == matches.sampled == CELLS and matches.unique == 1.0 and columns(matches) == EVERY
    y, x = np.divmod(matches.index_kf, 48)
    assert np.abs(matches.pixels_new - np.stack([x, y], 1)).max() < 0.01 and found.shape == (CELLS, 2)
    assert np.allclose(matches.points_new, matches.seen_new, atol=1e-2) and np.allclose(matches.quality, 4.0)
    assert matches.points_new.dtype == np.float64


def test_a_search_starts_where_the_last_one_ended(monkeypatch):
    starts, plain = [], module.search_rays
    monkeypatch.setattr(module, "search_rays", lambda a, b, index, start: starts.append(start) or plain(a, b, index, start))
    _, found = match_pair(prediction(), CONFIG)
    match_pair(prediction(), CONFIG, found)
    assert starts[0] is None and np.array_equal(starts[1].numpy(), found)


def test_hidden_points_are_no_matches():
    nearer = WALL.clone()
    nearer[:, :12] *= 1.5
    matches, found = match_pair(prediction(nearer), CONFIG)
    assert columns(matches) == {c for c in EVERY if c >= 12} and len(found) == CELLS


def test_descriptors_refine_where_there_are_some():
    aside = torch.from_numpy(transform_points(make_se3(np.eye(3), [3 * 3.0 / 40, 0.0, 0.0]), WALL.numpy().reshape(-1, 3))
                             .reshape(32, 48, 3).astype(np.float32))  # predicted 3 pixels too far to the right
    off, right = (match_pair(prediction(aside, descriptors=d), CONFIG)[0] for d in (False, True))
    inside = [m.index_kf % 48 < 40 for m in (off, right)]
    shift = [np.median((m.pixels_new[:, 0] - m.index_kf % 48)[i]) for m, i in zip((off, right), inside, strict=True)]
    assert shift == pytest.approx([3.0, 0.0], abs=0.05)


def test_reciprocal_matches_need_descriptors_and_no_start():
    config = replace(CONFIG, matching="reciprocal")
    garbled = prediction(descriptors=True)
    garbled.points_b[:] = garbled.points_b.flip(1)  # where rays would find other pixels
    matches, found = match_pair(garbled, config)
    assert found is None and len(matches) == CELLS and columns(matches) == EVERY, "the grid is the keyframe's"
    assert np.array_equal(matches.pixels_new[:, 0], matches.index_kf % 48)
    _, found = match_pair(prediction(), config)
    assert found is not None
    assert match_pair(prediction(descriptors=True), CONFIG)[1] is not None


def test_the_confidence_of_a_match_is_the_geometric_mean_of_both_sides():
    both = prediction(conf_a=confidence(9.0, c10=0.2, c14=-9.0),
                      conf_b=confidence(4.0, c18=0.2, c22=-4.0, c26=np.nan, c30=np.inf))
    matches, _ = match_pair(both, CONFIG)
    assert columns(matches) == EVERY - {10, 14, 18, 22, 26, 30}  # sqrt(0.2 * 9) is below 1.5
    assert np.allclose(matches.quality, 6.0)


def test_negative_confidences_of_both_sides_are_none():
    both = prediction(descriptors=True, desc_conf_a=confidence(4.0, c10=-9.0), desc_conf_b=confidence(4.0, c10=-9.0))
    assert columns(match_pair(both, CONFIG)[0]) == EVERY - {10}


def test_descriptors_have_a_confidence_of_their_own_but_points_must_be_known():
    both = prediction(descriptors=True, desc_conf_a=confidence(16.0), desc_conf_b=confidence(16.0, c10=0.01),
                      conf_a=confidence(1.0, c14=0.0), conf_b=confidence(1.0, c18=0.0))
    matches, _ = match_pair(both, CONFIG)
    assert np.allclose(matches.quality, 16.0) and columns(matches) == EVERY - {10, 14, 18}


def test_points_that_are_no_numbers_match_nothing():
    both = prediction(descriptors=True)
    both.points_b[:, 10], both.points_a[:, 14] = torch.nan, torch.nan
    for config in (CONFIG, replace(CONFIG, matching="reciprocal")):
        matches, _ = match_pair(both, config)
        assert columns(matches) == EVERY - {10, 14} and np.isfinite(matches.points_new).all()


def test_the_share_of_the_image_that_is_covered():
    double = WALL.clone()
    double[:, 26] = double[:, 22]  # two columns of the keyframe are found at one
    assert match_pair(prediction(double), CONFIG)[0].unique == pytest.approx(11 / 12)
    odd = replace(CONFIG, stride=5)  # 10 x 7 cells, those at the border are cut
    matches, _ = match_pair(prediction(), odd)
    assert matches.unique == pytest.approx(len(matches) / 70)


# the motion to start with

T = make_se3(so3_exp([0.1, -0.3, 0.05]), [0.4, -0.1, 0.2])


def found(points_kf, scale=1.0, quality=4.0):
    """Matches that see the keyframe's points from T, `scale` times as large."""
    seen = scale * transform_points(T, points_kf)
    count = len(points_kf)
    return PairMatches(np.arange(count), np.zeros((count, 2)), seen, seen, np.full(count, quality), count, 1.0)


def cloud(count=60, seed=0):
    return np.random.default_rng(seed).uniform([-1.5, -1, 2], [1.5, 1, 5], (count, 3))


def test_motion_in_units_of_the_map_and_the_factor_of_the_prediction():
    motion, scale = first_motion(cloud(), found(cloud(), 2.5), True)
    assert np.allclose(motion, T) and scale == pytest.approx(2.5)
    motion, scale = first_motion(cloud(), found(cloud()), False)
    assert np.allclose(motion, T) and scale == pytest.approx(1.0)


def test_six_known_points_that_are_not_on_a_line_are_needed():
    unknown = cloud()
    matches = found(unknown)
    unknown[6:] = np.nan
    assert np.allclose(first_motion(unknown, matches, True)[0], T)
    unknown[5] = np.nan
    assert first_motion(unknown, matches, True) is None
    line = np.arange(1.0, 9)[:, None] * [[0.1, 0.2, 1.0]]
    assert first_motion(line, found(line), True) is None


@pytest.mark.parametrize("factor", [3.0, 1.05])
def test_a_quarter_of_wrong_points_does_not_move_it(factor):
    points, matches = cloud(), found(cloud())
    matches.seen_new[:15] = factor * matches.seen_new[:15] + (0.5, 0.0, 0.0)
    assert np.abs(first_motion(points, matches, True)[0] - T).max() < 0.02


def test_points_count_by_quality_and_by_how_near_they_are():
    """Two thirds agree with a motion, the rest with another by 2 %; which one wins depends on what they weigh."""
    points = np.r_[cloud(20, 1), cloud(40, 2)]
    matches = found(points)
    matches.seen_new[20:] += 0.02 * np.linalg.norm(matches.seen_new[20:], axis=1, keepdims=True) * (1.0, 0.0, 0.0)

    def shift(points, matches):
        return abs(first_motion(points, matches, False)[0][0, 3] - T[0, 3])

    plain = shift(points, matches)
    matches.quality[:20] = 100.0
    sure = shift(points, matches)
    matches.quality[:20] = 1e6  # an exponential of a network may be anything
    assert sure < 0.5 * plain and shift(points, matches) == pytest.approx(sure)
    far = np.r_[cloud(20, 1), 4 * cloud(40, 2)]
    apart = found(far)
    apart.seen_new[20:] += 0.02 * np.linalg.norm(apart.seen_new[20:], axis=1, keepdims=True) * (1.0, 0.0, 0.0)
    assert shift(far, apart) < 2.5 * plain, "they err by four times as much"


def test_patches_of_16_pixels():
    pixels = np.array([[0, 0], [15.9, 15.9], [16, 0], [0, 16], [47, 31], [-0.4, 0.3], [47, 16]])
    assert patches(pixels, 48) == 4
    assert patches(np.stack(np.meshgrid(np.arange(48), np.arange(32)), -1).reshape(-1, 2), 48) == 6
