# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Priors of rooms, spoiled in known ways, fitted to what geometry knows: as good as if the spoiling were known and undone."""
import cv2
import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.geometry import make_se3, so3_exp
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.depth_priors import PriorDepth
from lsm_ros.pairs.depth_priors.fitting import ALIKE, Anchors, _fused, fit_prior

SHAPE, OWN_ERROR = CAMERA.shape, 0.04
VIEWS = [make_se3(so3_exp([0.1 * k, 0.9 * k, 0.0]), [0.4 * k - 0.5, 0.0, 0.2 * k]) for k in range(4)]
ROOMS = [see(room(seed), T)[1] for seed, T in enumerate(VIEWS)]
COLUMNS, ROWS = np.meshgrid(np.linspace(-1, 1, SHAPE[1]), np.linspace(-1, 1, SHAPE[0]))


def clouds(seed, cells, size):
    """(H, W) smooth noise with a standard deviation of `size`."""
    noise = cv2.resize(np.random.default_rng(seed).standard_normal((cells, cells)), SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    return size * noise / noise.std()


def prior_of(depth, seed=1):
    """Depth as a good network sees it: with errors of a kind that no fit can undo."""
    return depth * np.exp(clouds(seed, 40, OWN_ERROR))


def moved_edges(depth):
    """Depth whose steps lie eight pixels beside those of the image, and are blurred."""
    return cv2.blur(np.roll(depth, 8, 1), (5, 5))


SPOILED = {"scale": lambda d: 1.7 * d, "shift": lambda d: d + 0.8, "tilt": lambda d: d * np.exp(0.3 * COLUMNS - 0.2 * ROWS),
           "field": lambda d: d * np.exp(clouds(5, 4, 0.15)), "edges": moved_edges}


def geometry_of(depth, seed=2):
    """Dense depth of the left half of the image, with 2 % noise and gross errors in a twentieth of it; and landmarks of the
    whole, with 2 %, of which 4 % are wrong."""
    rng = np.random.default_rng(seed)
    known = (COLUMNS < 0) & (clouds(seed, 12, 1.0) > -0.5)
    noisy = depth * np.exp(clouds(seed + 1, 100, 0.02))
    noisy = np.where(clouds(seed + 2, 16, 1.0) > 1.65, 1.5 * noisy, noisy)
    dense = DenseDepth(np.where(known, 1 / noisy, 0).astype(np.float32), np.where(known, 0.03, np.inf).astype(np.float32))
    pixels = rng.uniform((0, 0), (SHAPE[1] - 1, SHAPE[0] - 1), (120, 2))
    x, y = np.rint(pixels).astype(int).T
    at = depth[y, x] * np.exp(0.02 * rng.standard_normal(120)) * np.where(rng.uniform(size=120) < 0.04, 0.5, 1)
    return dense, Anchors(pixels, 1 / at, np.full(120, 0.02))


def error_of(depth, true, where):
    return float(np.median(np.abs(depth / true - 1)[where]))


@pytest.mark.parametrize("way", SPOILED)
@pytest.mark.parametrize("kind", ["metres", "relative", "disparity"])
def test_a_fit_undoes_how_a_prior_is_spoiled(way, kind):
    """Where geometry is known in landmarks alone."""
    for true in ROOMS:
        good = prior_of(true)
        prior = SPOILED[way](good)
        if kind == "disparity":  # up to a factor and a shift of its own
            prior = 300 / prior + 20
        reference = prior_of(moved_edges(true)) if way == "edges" else good
        dense, landmarks = geometry_of(true)
        found = fit_prior(PriorDepth(prior.astype(np.float32), kind), dense, landmarks)
        right = COLUMNS > 0
        assert error_of(1 / found.dense.inverse_depth, true, right) <= 1.2 * error_of(reference, true, right)


def fitted(true, prior, kind="metres", with_dense=True):
    dense, landmarks = geometry_of(true)
    return fit_prior(PriorDepth(prior.astype(np.float32), kind), dense if with_dense else None, landmarks)


@pytest.mark.parametrize(("way", "least", "most"), [("scale", 0.6, 0.85), ("shift", 0.6, 0.85), ("field", 0.7, 0.97),
                                                    ("tilt", 0.7, 0.97), ("edges", 0.7, 0.97)])
def test_the_stated_deviation_is_the_real_one_or_more(way, least, most):
    within = []
    for true in ROOMS:
        found = fitted(true, SPOILED[way](prior_of(true)))
        within.append(np.abs(np.log(1 / found.dense.inverse_depth / true)) < found.dense.relative_sigma)
    assert least < np.mean(within) < most


def test_a_worse_prior_is_less_sure():
    true, noise = ROOMS[0], clouds(9, 40, 0.15)
    good, bad = fitted(true, prior_of(true)), fitted(true, prior_of(true) * np.exp(noise))
    right = COLUMNS > 0
    assert np.median(bad.dense.relative_sigma[right]) > 2 * np.median(good.dense.relative_sigma[right])


def test_where_geometry_is_known_it_counts_most_and_its_gross_errors_are_less_sure():
    true = ROOMS[1]
    dense, landmarks = geometry_of(true)
    found = fit_prior(PriorDepth(prior_of(true).astype(np.float32), "metres"), dense, landmarks).dense
    known = dense.inverse_depth > 0
    wrong = known & (np.abs(1 / np.where(known, dense.inverse_depth, 1) / true - 1) > 0.4)
    assert wrong.sum() > 500 and np.mean(found.confidence[wrong] < 0.15) > 0.6
    assert error_of(1 / found.inverse_depth, true, known & ~wrong) < 0.7 * OWN_ERROR


def test_two_that_err_alike_are_together_less_sure_than_two_that_do_not():
    """A prior that was fitted to geometry has its errors in part."""
    flat, same = np.zeros((40, 60)), np.full((40, 60), 0.05)
    found = _fused(flat, same, DenseDepth(np.ones((40, 60), np.float32), same.astype(np.float32)))
    assert np.allclose(found.relative_sigma, 0.05 * np.sqrt((1 + ALIKE) / 2), rtol=1e-3)
    sure = _fused(flat, same, DenseDepth(np.ones((40, 60), np.float32), np.full((40, 60), 0.001, np.float32)))
    assert np.all(sure.relative_sigma < 0.00103)


def test_edges_are_kept():
    """Beside a step of depth in the prior, depth is that of one side or the other, not between."""
    true = np.full(SHAPE, 4.0)
    true[:, 160:] = 2.0
    found = 1 / fitted(true, 1.3 * prior_of(true)).dense.inverse_depth
    assert np.abs(found[:, 130:155] / 4 - 1).max() < 0.25 and np.abs(found[:, 165:190] / 2 - 1).max() < 0.25


def test_landmarks_alone_are_enough():
    true = ROOMS[0]
    found = fitted(true, 1.7 * prior_of(true), with_dense=False)
    assert error_of(1 / found.dense.inverse_depth, true, true > 0) < 1.2 * error_of(prior_of(true), true, true > 0)


def test_metres_say_what_a_unit_is():
    true = ROOMS[0]
    log_scale, error = fitted(true, 1.7 * prior_of(true)).scale
    assert log_scale == pytest.approx(np.log(1.7), abs=0.02) and error == pytest.approx(OWN_ERROR, rel=0.5)
    assert fitted(true, 300 / prior_of(true), "disparity").scale is None


@pytest.mark.parametrize(("prior", "kind", "says"), [
    (lambda true: 10 / true, "metres", "near and far are not where motion shows them"),
    (lambda true: true, "disparity", "near and far are not where motion shows them"),
    (lambda true: 2 * np.exp(clouds(3, 5, 0.3)), "metres", "near and far are not where"),
    (lambda true: true[:, ::-1], "metres", "near and far are not where")])
def test_a_prior_that_contradicts_the_landmarks_is_refused(prior, kind, says):
    true = see(room(3), make_se3(so3_exp([0.0, 0.4, 0.0]), [0.3, 0.0, 0.9]))[1]
    with pytest.raises(ValueError, match=says):
        fitted(true, prior(true), kind)


def test_a_flat_wall_contradicts_nothing():
    """There nothing is near or far, and what the prior has of that is noise."""
    true = np.full(SHAPE, 2.0)
    assert error_of(1 / fitted(true, prior_of(true)).dense.inverse_depth, true, true > 0) < 0.05


def test_without_enough_points_nothing_is_fitted():
    few = Anchors(np.zeros((29, 2)), np.ones(29), np.full(29, 0.02))
    with pytest.raises(ValueError, match="only 29 points of the image have a known depth"):
        fit_prior(PriorDepth(ROOMS[0], "metres"), None, few)


def test_a_prior_that_fits_only_upside_down_is_refused():
    """Relief too small for an order of near and far that counts by itself, and a prior that has it the wrong way round."""
    true = 2 + 0.1 * COLUMNS
    with pytest.raises(ValueError, match="it fits only with near and far exchanged"):
        fitted(true, 4 - true)


@pytest.mark.parametrize("with_dense", [True, False])
def test_the_sky_is_left_out(with_dense):
    """A disparity of nothing is no depth; what geometry knows stays."""
    true = ROOMS[0].copy()
    true[:80] = 1e6
    dense, landmarks = geometry_of(true)
    dense.inverse_depth[:80], dense.relative_sigma[:80] = 0, np.inf
    landmarks = Anchors(*(a[landmarks.pixels[:, 1] > 80] for a in (landmarks.pixels, landmarks.inverse_depth, landmarks.sigma)))
    prior = PriorDepth((300 / prior_of(true) + 20).astype(np.float32), "disparity")
    found = fit_prior(prior, dense if with_dense else None, landmarks).dense
    assert not found.confidence[:75].any() and not found.inverse_depth[:75].any() and found.confidence[90:].all()


def test_what_no_smooth_field_can_undo_is_in_the_deviation():
    true = ROOMS[0]
    found = fitted(true, true * np.exp(clouds(9, 120, 0.1))).dense
    off = np.abs(np.log(1 / found.inverse_depth / true))
    assert 0.72 < (off < found.relative_sigma)[:, 170:].mean() < 0.85
