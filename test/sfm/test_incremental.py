# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
from dataclasses import replace

import numpy as np
import pytest
from helpers.image_sets import CAMERA, around, blank_images, exact_pairs, looking, pose_errors, seen_features

from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.sfm.feature_matching import VerifiedPair
from lsm_ros.sfm.focal_guess import guess_focal
from lsm_ros.sfm.incremental import IncrementalMapper
from lsm_ros.sfm.model import upright
from lsm_ros.sfm.tracks import make_tracks


@pytest.fixture(scope="module")
def box():
    return np.random.default_rng(1).uniform(-1, 1, (250, 3))


def mapped(poses, points, *, camera=CAMERA, guess=CAMERA, known=False, spoil=0):
    features, rows = seen_features(poses, points, camera=camera)
    pairs = exact_pairs(poses, rows, camera=camera)
    rng = np.random.default_rng(5)
    for n in rng.permutation(len(pairs))[:spoil]:  # wrong matches that a geometry did not find out
        j = pairs[n].index_j.copy()
        j[:5] = rng.permutation(j[:5])
        pairs[n] = VerifiedPair(pairs[n].i, pairs[n].j, pairs[n].index_i, j, pairs[n].F)
    tracks = make_tracks(features, pairs)
    return IncrementalMapper(blank_images(len(poses), guess, known), tracks, pairs).run()


def test_cameras_and_focal_length_are_found(box):
    poses = around(14)
    guess = replace(CAMERA, fx=560.0, fy=560.0)
    models, left_out = mapped(poses, box, guess=guess, spoil=10)
    assert len(models) == 1 and not left_out and np.array_equal(models[0].images, np.arange(14))
    turn, shift = pose_errors(models[0].poses, poses)
    assert turn < 0.3 and shift < 0.005
    assert models[0].cameras[0].fx == pytest.approx(500, rel=0.02)
    assert np.median(models[0].errors()) < 0.5 and len(models[0].points) > 150
    first = models[0].colors[models[0].point[models[0].seen_by == 0]]
    assert set(np.unique(first)) <= set(range(14))


def test_a_known_camera_stays_and_its_lens_is_taken_out(box):
    lens = CameraIntrinsics(640, 480, 500, 505, 315, 236, "plumb_bob", (-0.2, 0.05, 0, 0))
    poses = around(8)
    models, _ = mapped(poses, box, camera=lens, guess=lens, known=True)
    turn, shift = pose_errors(models[0].poses, poses)
    assert models[0].cameras == (lens,) * 8 and turn < 0.3 and shift < 0.01
    assert np.median(models[0].errors()) < 0.5


def test_an_unknown_lens_is_estimated(box):
    lens = CameraIntrinsics(640, 480, 500, 500, 319.5, 239.5, "plumb_bob", (-0.15, 0, 0, 0))
    models, _ = mapped(around(14), box, camera=lens)
    assert models[0].cameras[0].D[0] == pytest.approx(-0.15, abs=0.03)


def test_two_scenes_are_two_models(box):
    poses = np.concatenate([around(6), around(5)])
    features, rows = seen_features(poses, box)
    pairs = [p for p in exact_pairs(poses, rows) if (p.i < 6) == (p.j < 6)]
    models, left_out = IncrementalMapper(blank_images(11), make_tracks(features, pairs), pairs).run()
    assert [m.images.tolist() for m in models] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]] and not left_out


def test_a_camera_that_only_turns_is_left_out_with_its_reason(box):
    poses = np.stack([looking(np.array([4.0, 0, 0]), np.array([0, 0.2 * k, 0.1 * k])) for k in range(4)])
    models, left_out = mapped(poses, box)
    assert not models and set(left_out) == {0, 1, 2, 3}
    assert "without parallax" in left_out[0]


def test_an_image_that_shares_nothing_is_left_out_with_its_reason(box):
    poses = np.concatenate([around(5), [looking(np.array([4.0, 0, 0]), np.array([9.0, 0, 0]))]])
    models, left_out = mapped(poses, box)
    assert models[0].images.tolist() == [0, 1, 2, 3, 4] and "too few points" in left_out[5]


def test_an_image_whose_points_fit_no_pose_is_left_out(box):
    poses = around(7)
    features, rows = seen_features(poses, box)
    rng = np.random.default_rng(0)
    features[6] = replace(features[6], pixels=rng.uniform(0, 480, features[6].pixels.shape))
    models, left_out = IncrementalMapper(blank_images(7), make_tracks(features, pairs := exact_pairs(poses, rows)), pairs).run()
    assert 6 not in models[0].images and "no camera pose explains them" in left_out[6]


def test_tracks_that_mix_two_points_are_left_out(box):
    poses = around(3)
    features, rows = seen_features(poses, box)
    pairs = exact_pairs(poses, rows)
    count = make_tracks(features, pairs).count
    swapped = pairs[2].index_j.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    mixed = [*pairs[:2], VerifiedPair(pairs[2].i, pairs[2].j, pairs[2].index_i, swapped, pairs[2].F)]
    tracks = make_tracks(features, mixed)
    assert tracks.count == count - 2 and len(np.unique(np.stack([tracks.track, tracks.image]), axis=1).T) == len(tracks.track)


def test_the_focal_length_of_pairs():
    points = np.random.default_rng(0).uniform(-1, 1, (80, 3))
    camera = CameraIntrinsics(640, 480, 730.0, 730.0, 319.5, 239.5)
    poses = np.stack([looking(np.array([5 * np.cos(a), 5 * np.sin(a), np.sin(3 * a)]), np.array([0.3 * a, 0, 0.2]))
                      for a in np.linspace(0, 1.5, 6)])
    _, rows = seen_features(poses, points, camera=camera)
    geometries = [(p.F, len(p.index_i)) for p in exact_pairs(poses, rows, camera=camera, least=8)]
    assert guess_focal(geometries, 640, 480) == pytest.approx(730, rel=0.03)
    assert guess_focal(geometries[:2], 640, 480) is None


def test_a_model_stands_upright(box):
    models, _ = mapped(around(8), box)
    model = upright(models[0], 2.0)
    up = -model.poses[:, :3, 1].mean(0)
    assert np.degrees(np.arccos(up[2] / np.linalg.norm(up))) < 1e-3 and np.allclose(model.poses[0, :3, 3], 0, atol=1e-9)
    assert model.poses[0, 1, 2] == pytest.approx(0, abs=1e-9) and model.poses[0, 0, 2] > 0.5
    seen = model.poses[model.seen_by]
    depth = np.einsum("mi,mi->m", model.points[model.point] - seen[:, :3, 3], seen[:, :3, 2])
    assert np.median(depth) == pytest.approx(2.0)
    assert np.allclose(model.errors(), models[0].errors(), atol=1e-6)
