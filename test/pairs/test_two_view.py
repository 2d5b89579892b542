# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
import numpy as np
import pytest
from helpers.textured import CAMERA, room, see

from lsm_ros.config import PairConfig
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp
from lsm_ros.pairs import PairModel, SparsePairModel, make_pair_model
from lsm_ros.pairs.base import DensePairModel
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.types import Frame

T_B_A = make_se3(so3_exp([0.0, 0.05, 0.01]), [0.3, 0.05, 0.05])


@pytest.fixture(scope="module")
def model():
    return make_pair_model(PairConfig(model="two_view"))


@pytest.fixture(scope="module")
def scene():
    boards = room()
    return see(boards, T_B_A), see(boards, np.eye(4))


def frame(gray, stamp_ns=0, intrinsics=CAMERA):
    return Frame(stamp_ns, "camera", np.repeat(gray[..., None], 3, 2), intrinsics)


def tokens_of(model, *grays):
    return model.encode([frame(g, 1000 * i) for i, g in enumerate(grays)])


def test_it_is_the_kinds_of_model_that_it_says(model):
    assert isinstance(model, PairModel) and isinstance(model, SparsePairModel) and isinstance(model, DensePairModel)
    assert model.name == "two_view" and not model.is_metric


def test_tokens_have_corners_without_depth_until_they_adopt_some(model, scene):
    (_, _), (gray, depth) = scene
    (tokens,) = tokens_of(model, gray)
    assert 100 < len(tokens.corners) <= 300
    assert np.isnan(tokens.inverse_depth).all() and np.isnan(tokens.sample_depth(tokens.corners)).all()
    sigma = np.full(depth.shape, 0.05, np.float32)
    sigma[:, :160] = 0.5  # not sure enough
    tokens.adopt(DenseDepth(1.0 / depth, sigma), 0.1)
    left = np.rint(tokens.corners[:, 0]) < 160
    assert np.isnan(tokens.inverse_depth[left]).all() and np.isfinite(tokens.inverse_depth[~left]).all()
    x, y = np.rint(tokens.corners[~left]).astype(int).T
    assert tokens.inverse_depth[~left] == pytest.approx(1.0 / depth[y, x], rel=1e-5)
    there = tokens.sample_depth(np.array([[200.0, 60.0], [80.0, 60.0]]))
    assert there[0] == pytest.approx(depth[60, 200], rel=0.01) and np.isnan(there[1])


def test_matches_are_where_geometry_puts_them(model, scene):
    (gray_a, _), (gray_b, depth_b) = scene
    a, b = tokens_of(model, gray_a, gray_b)
    x, y = np.rint(b.corners).astype(int).T
    points_b = CAMERA.unproject(b.corners.astype(np.float64)) * depth_b[y, x][:, None].astype(np.float64)
    T = se3_inverse(T_B_A)
    expected = CAMERA.project(points_b @ T[:3, :3].T + T[:3, 3])[0]
    guess = expected + np.random.default_rng(0).uniform(-4, 4, expected.shape)
    matches = model.match(a, b, guess)
    assert len(matches) > 0.5 * len(b.corners) and np.isnan(matches.depth_a).all()
    error = np.linalg.norm(matches.pixels_a - expected[matches.index_b], axis=1)
    assert np.median(error) < 0.3 and np.mean(error < 2) > 0.9


def test_a_pair_gives_both_pointmaps_in_camera_a(model, scene):
    (gray_a, depth_a), (gray_b, depth_b) = scene
    a, b = tokens_of(model, gray_a, gray_b)
    found = model.predict([(a, b)])[0]
    scale = np.linalg.norm(T_B_A[:3, 3])  # the baseline is the unit of length
    assert np.linalg.norm(found.T_a_b[:3, 3]) == pytest.approx(1.0) and not found.is_metric
    points_a, points_b = found.points_a.numpy(), found.points_b.numpy()
    for points, confidence, depth, T in ((points_a, found.conf_a, depth_a, np.eye(4)),
                                         (points_b, found.conf_b, depth_b, se3_inverse(T_B_A))):
        good = confidence.numpy() > 0.5
        assert good.mean() > 0.3
        rays = CAMERA.rays(unit=False, dtype=np.float64)[good] * depth[good][:, None]
        truth = rays @ T[:3, :3].T + T[:3, 3]
        error = np.linalg.norm(points[good] * scale - truth, axis=1) / np.linalg.norm(truth, axis=1)
        assert np.median(error) < 0.06
    assert np.isfinite(points_a[found.conf_a.numpy() > 0]).all()
    assert len(found.matches_a) == len(found.matches_b) > 50


def test_a_pose_that_is_given_is_believed(model, scene):
    (gray_a, _), (gray_b, depth_b) = scene
    a, b = tokens_of(model, gray_a, gray_b)
    T = se3_inverse(T_B_A)
    found = model.predict([(a, b)], [T])[0]
    assert np.array_equal(found.T_a_b, T)
    good = found.conf_b.numpy() > 0.5
    z_b = (found.points_b.numpy()[good] - T[:3, 3]) @ T[:3, 2]
    assert np.median(np.abs(z_b / depth_b[good] - 1)) < 0.03


def test_what_cannot_be_solved_says_why(model, scene):
    gray = scene[1][0]
    turned = see(room(), make_se3(so3_exp([0.0, 0.15, 0.0]), np.zeros(3)))[0]
    here, there = tokens_of(model, gray, turned)
    with pytest.raises(ValueError, match="no parallax.*only turned"):
        model.predict([(there, here)])
    with pytest.raises(ValueError, match="share too few points"):
        model.predict([(here, tokens_of(model, np.full_like(gray, 128))[0])])
    with pytest.raises(ValueError, match="no parallax"):
        model.predict([(here, here)])
    bare = model.encode([frame(gray, intrinsics=None)])[0]
    with pytest.raises(ValueError, match="intrinsics of camera 'camera'"):
        model.predict([(here, bare)])


def test_tokens_survive_packing(model, scene):
    (tokens,) = tokens_of(model, scene[1][0])
    for with_depth in (False, True):
        if with_depth:
            tokens.adopt(DenseDepth(1.0 / scene[1][1], np.full(scene[1][1].shape, 0.01, np.float32)), 0.1)
        parts = {**model.pack(tokens), "corners": tokens.corners.astype(np.float64), "inverse_depth": tokens.inverse_depth}
        again = model.unpack("camera", 5, CAMERA, parts)
        assert np.array_equal(again.gray, tokens.gray) and np.array_equal(again.corners, tokens.corners)
        assert np.array_equal(again.inverse_depth, tokens.inverse_depth, equal_nan=True)
        at = np.array([[33.0, 44.0], [160.0, 20.0]])
        assert np.array_equal(again.sample_depth(at), tokens.sample_depth(at), equal_nan=True)
    with pytest.raises(KeyError):
        model.unpack("camera", 5, CAMERA, {"gray": tokens.gray})
