# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rules by which images and points are taken into a growing model: each test fails where its rule is left out."""
from dataclasses import replace

import numpy as np
import pytest
from helpers.image_sets import CAMERA, around, blank_images, exact_pairs, looking, pose_errors, seen_features

from lsm_ros.geometry import se3_inverse
from lsm_ros.sfm import incremental
from lsm_ros.sfm.incremental import LEAST_SEEN, IncrementalMapper, _Growing
from lsm_ros.sfm.tracks import make_tracks


@pytest.fixture(scope="module")
def box():
    return np.random.default_rng(1).uniform(-1, 1, (250, 3))


def mapper_of(poses, points, *, least=8, spoil=None, noise=0.3, hide=None):
    """A mapper. spoil: function (image, pixels (N, 2), rows (P,)) that changes pixels; hide: (N, P) bool of points not seen."""
    features, rows = seen_features(poses, points, noise=noise)
    if hide is not None:
        rows = [np.where(h, -1, r) for r, h in zip(rows, hide, strict=True)]
    if spoil is not None:
        features = [replace(f, pixels=spoil(n, f.pixels.copy(), rows[n])) for n, f in enumerate(features)]
    pairs = exact_pairs(poses, rows, least=least)
    return IncrementalMapper(blank_images(len(poses)), make_tracks(features, pairs), pairs)


def shuffled(pixels, rows, chosen, seed=0):
    """Pixels of the chosen points anywhere in the image."""
    at = rows[chosen]
    at = at[at >= 0]
    pixels[at] = np.random.default_rng(seed).uniform(20, 460, (len(at), 2))
    return pixels


def test_flat_pairs_begin_nothing(box, monkeypatch):
    """Where a second motion explains a pair as well, the pair is no start, whatever else it has."""
    ask = incremental.relative_pose

    def flat(*arguments):
        found = ask(*arguments)
        return None if found is None else replace(found, ambiguous=True)

    monkeypatch.setattr(incremental, "relative_pose", flat)
    models, left_out = mapper_of(around(4), box).run()
    assert not models and all("two motions explain them" in why for why in left_out.values())


def test_a_start_has_parallax_before_it_has_points(box):
    """The nearest two images share most, and depth from them is the worst."""
    poses = np.stack([looking(np.array([4 * np.cos(a), 4 * np.sin(a), 0.2]), np.zeros(3)) for a in np.radians([0, 2.0, 14])])
    hide = np.zeros((3, 250), bool)
    hide[2, :80] = True  # the far image shows fewer of the points
    begun = mapper_of(poses, box, hide=hide)._begin({0, 1, 2}, {})
    assert 2 in begun.poses


def test_another_start_is_tried_where_the_first_comes_to_nothing(box, monkeypatch):
    mapper = mapper_of(around(5), box)
    tried, adjust = [], IncrementalMapper._adjust

    def fails_at_first(self, grown):
        tried.append(sorted(grown.poses))
        if len(tried) == 1:
            grown.poses = {}
        else:
            adjust(self, grown)

    monkeypatch.setattr(IncrementalMapper, "_adjust", fails_at_first)
    models, _ = mapper.run()
    assert len(models[0].images) == 5 and tried[1] != tried[0]


def test_a_start_needs_points_with_an_angle():
    """Of 24 shared points 8 lie so far away that they have none: 16 are too few."""
    near, far = np.random.default_rng(2).uniform(-1, 1, (24, 3)), np.random.default_rng(3).uniform(-1, 1, (8, 3))
    far = 300 * np.array([-1.0, 0, 0]) + 100 * far
    poses = around(2, span=0.3)
    models, left_out = mapper_of(poses, np.concatenate([near[:16], far])).run()
    assert not models and set(left_out) == {0, 1}
    assert mapper_of(poses, np.concatenate([near, far])).run()[0][0].images.tolist() == [0, 1]


def test_images_with_few_points_of_a_model_are_not_tried(box):
    hide = np.zeros((5, 250), bool)
    hide[4, 17:] = True
    models, left_out = mapper_of(around(5), box, hide=hide).run()
    assert models[0].images.tolist() == [0, 1, 2, 3] and "too few points" in left_out[4]
    hide[4, :LEAST_SEEN + 4] = False
    assert len(mapper_of(around(5), box, hide=hide).run()[0][0].images) == 5


def test_a_pose_explains_a_quarter_of_what_an_image_shows(box):
    """Some of many wrong matches always agree with some pose."""
    def spoil(n, pixels, rows):
        return shuffled(pixels, rows, slice(56, None)) if n == 5 else pixels

    mapper = mapper_of(around(6), box, spoil=spoil)
    models, left_out = mapper.run()
    assert models[0].images.tolist() == [0, 1, 2, 3, 4] and "no camera pose explains them" in left_out[5]


def test_an_image_that_failed_is_tried_again_when_more_of_it_is_known():
    rng = np.random.default_rng(4)
    first, second = rng.uniform(-1, 1, (100, 3)), rng.uniform(-1, 1, (150, 3))
    poses = around(6)
    hide = np.zeros((6, 250), bool)
    hide[:2, 100:] = True  # the two of the start show the first points only, of which image 5 has wrong matches
    hide[2:5, 60:100] = True
    hide[5, 80:100] = True

    def spoil(n, pixels, rows):
        return shuffled(pixels, rows, slice(0, 100)) if n == 5 else pixels

    mapper = mapper_of(poses, np.concatenate([first, second]), spoil=spoil, hide=hide)
    mapper.pairs = [p for p in mapper.pairs if (p.i, p.j) == (0, 1)]  # the start
    tried, register = [], mapper._register
    mapper._register = lambda grown, n: tried.append(n) or register(grown, n)
    models, left_out = mapper.run()
    assert tried.count(5) == 2 and not left_out and len(models[0].images) == 6


def test_images_that_lose_their_points_leave_the_model(box):
    poses = around(5)
    mapper = mapper_of(poses, box)
    grown = _Growing(mapper.guess.copy(), np.zeros((mapper.tracks.count, 3)), np.zeros(mapper.tracks.count, bool))
    grown.poses = {n: T for n, T in enumerate(se3_inverse(poses))}
    mapper._triangulate(grown)
    wrong = se3_inverse(looking(np.array([-4.0, 1, 0]), np.zeros(3)))
    grown.poses[3] = wrong
    mapper._adjust(grown)
    assert sorted(grown.poses) == [0, 1, 2, 4]


def test_a_model_that_loses_all_its_images_is_none(box):
    mapper = mapper_of(around(4), box)
    adjust, calls = mapper._adjust, []

    def losing(grown):
        calls.append(len(grown.poses))
        adjust(grown)
        if len(calls) > 1:  # the start has succeeded
            grown.poses.clear()

    mapper._adjust = losing
    models, left_out = mapper.run()
    assert models == [] and sorted(left_out) == [0, 1, 2, 3] and all(left_out.values()) and calls[0] == 2


def test_the_worst_ray_of_a_point_is_left_out(box):
    """A third of image 2's matches are wrong; their points come from the other images."""
    def spoil(n, pixels, rows):
        return shuffled(pixels, rows, slice(0, 80)) if n == 2 else pixels

    poses = around(5)
    mapper = mapper_of(poses, box, spoil=spoil)
    grown = _Growing(mapper.guess.copy(), np.zeros((mapper.tracks.count, 3)), np.zeros(mapper.tracks.count, bool))
    grown.poses = {n: T for n, T in enumerate(se3_inverse(poses))}
    mapper._triangulate(grown)
    assert grown.has.sum() > 240


def test_points_that_one_image_sees_are_no_part_of_the_result(box):
    mapper = mapper_of(around(5), box)
    models, _ = mapper.run()
    assert (np.bincount(models[0].point) >= 2).all()
    seen = np.bincount(mapper.tracks.track)
    alone = replace(mapper.tracks, pixels=np.where((mapper.tracks.track % 3 == 0)[:, None] & (mapper.tracks.image > 0)[:, None],
                                                   mapper.tracks.pixels + 60, mapper.tracks.pixels))
    assert (seen >= 2).all()
    grown = _Growing(mapper.guess.copy(), np.zeros((mapper.tracks.count, 3)), np.zeros(mapper.tracks.count, bool))
    grown.poses = {n: T for n, T in enumerate(se3_inverse(around(5)))}
    mapper._triangulate(grown)
    mapper.tracks, mapper.pixels = alone, alone.pixels
    model = mapper._model(grown)
    assert 100 < len(model.points) < 200 and (np.bincount(model.point) >= 2).all()


def test_images_are_tried_again_once_the_model_is_adjusted(box, monkeypatch):
    """Points that only better poses give let one more image in."""
    monkeypatch.setattr(incremental, "GROWTH", 10.0)
    hide = np.zeros((6, 250), bool)
    hide[5, 30:] = True
    mapper, refined = mapper_of(around(6), box, hide=hide), []
    triangulate, refine = mapper._triangulate, mapper._refine
    only = np.isin(np.arange(mapper.tracks.count), mapper.tracks.track[mapper.tracks.image == 5])

    def later(grown):
        triangulate(grown)
        if not refined:
            grown.has[only] = False

    mapper._triangulate = later
    mapper._refine = lambda grown: refined.append(len(grown.poses)) or refine(grown)
    assert len(mapper.run()[0][0].images) == 6 and refined[0] == 5


def test_the_model_is_adjusted_while_it_grows_and_before_it_ends(box, monkeypatch):
    sizes, refine = [], IncrementalMapper._refine
    monkeypatch.setattr(IncrementalMapper, "_refine", lambda self, grown: sizes.append(len(grown.poses)) or refine(self, grown))
    poses = around(14)
    models, _ = mapper_of(poses, box).run()
    assert len(models[0].images) == 14 and sizes == sorted(sizes) and len({s for s in sizes if s < 14}) >= 5
    assert pose_errors(models[0].poses, poses)[1] < 0.01 and CAMERA.fx == pytest.approx(models[0].cameras[0].fx, rel=0.02)
