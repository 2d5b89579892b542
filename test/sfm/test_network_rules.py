# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Rules by which pairs, matches and pixels of a network count: each test fails where its rule is left out."""
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers.image_sets import CAMERA, around, looking, seen_features

from lsm_ros.geometry import CameraIntrinsics, se3_inverse
from lsm_ros.sfm import pair_cache
from lsm_ros.sfm.canonical import Canonical
from lsm_ros.sfm.dense import clean, lifted
from lsm_ros.sfm.model import SceneModel, upright_frame
from lsm_ros.sfm.network_road import LEAST_MATCHES, components, thinned, verified
from lsm_ros.sfm.pair_cache import PairCache
from lsm_ros.sfm.predictor import SymmetricPrediction
from lsm_ros.sfm.sparse_alignment import ImageMatches
from lsm_ros.sfm.views import _without_bad

SIZE = CameraIntrinsics(128, 96, 110.0, 110.0, 64.0, 48.0)
POSES = (looking(np.array([4.0, 0, 0]), np.zeros(3)), looking(np.array([3.8, 1.0, 0.3]), np.zeros(3)))


def pair_of(right, wrong, seed=0):
    """Canonical pointmaps of two images of a bumpy wall, and matches: so many that are right, and as many that are anywhere."""
    rng = np.random.default_rng(seed)
    depth = 4 + 0.3 * np.sin(np.arange(128) / 9) + 0.3 * np.cos(np.arange(96) / 7)[:, None]
    points = SIZE.rays(unit=False, dtype=np.float64) * depth[..., None]
    plain = torch.ones(96, 128)
    canonical = [Canonical(torch.from_numpy(points).float(), plain, plain, 110.0)] * 2
    y, x = np.divmod(rng.permutation(96 * 128), 128)
    T = se3_inverse(POSES[1]) @ POSES[0]
    seen, _ = SIZE.project(points[y, x] @ T[:3, :3].T + T[:3, 3])
    good = np.flatnonzero((seen > 1).all(1) & (seen < (126, 94)).all(1))
    assert len(good) > right
    good = good[:right]
    pixels_i = np.concatenate([np.stack([x, y], 1)[good], rng.integers(0, 96, (wrong, 2))])
    pixels_j = np.concatenate([np.rint(seen[good]).astype(int), rng.integers(0, 96, (wrong, 2))])
    return canonical, tuple(torch.from_numpy(v) for v in (pixels_i, pixels_j, np.ones(right + wrong, np.float32)))


def test_a_pose_of_a_pair_is_that_of_its_right_matches():
    canonical, matches = pair_of(150, 100)
    found, T_i_j = verified(0, 1, *canonical, matches)
    assert np.allclose(T_i_j, se3_inverse(POSES[0]) @ POSES[1], atol=0.05) and len(found.confidence) == 250


@pytest.mark.parametrize("right, wrong, counts", [(100, 150, True), (30, 270, False), (0, 300, False),
                                                  (LEAST_MATCHES + 8, 0, True), (LEAST_MATCHES - 4, 20, False),
                                                  (LEAST_MATCHES - 1, 0, False)])
def test_enough_matches_agree(right, wrong, counts):
    canonical, matches = pair_of(right, wrong)
    assert (verified(0, 1, *canonical, matches) is not None) == counts


@pytest.mark.parametrize("agree, counts", [(74, False), (76, True)])
def test_a_quarter_of_the_matches_agrees(monkeypatch, agree, counts):
    """Whatever finds the pose: of many wrong matches some always agree."""
    canonical, matches = pair_of(150, 150)
    monkeypatch.setattr(cv2, "solvePnPRansac", lambda *_, **__: (True, np.zeros((3, 1)), np.zeros((3, 1)), np.arange(agree)))
    assert (verified(0, 1, *canonical, matches) is not None) == counts


def test_many_matches_are_thinned_evenly():
    pixels = torch.stack([torch.arange(1000), torch.zeros(1000, dtype=torch.long)], 1)
    m = ImageMatches(0, 1, pixels, pixels, *[torch.arange(1000.0)] * 3)
    few = thinned(m, 300)
    assert 200 < len(few.confidence) <= 300 and few.pixels_i[:, 0].tolist() == few.confidence.tolist()
    assert float(few.confidence.diff().min()) == float(few.confidence.diff().max())
    assert thinned(m, 1000) is m


def test_images_alone_are_no_group():
    m = ImageMatches(1, 3, *[torch.zeros(1, 2)] * 2, *[torch.zeros(1)] * 3)
    assert components(5, [m]) == [[1, 3]] and components(3, []) == []


def test_matches_that_lie_beside_their_point_are_no_part_of_a_model():
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    poses = around(3)
    features, rows = seen_features(poses, points, noise=0.2)
    pixels = [f.pixels.copy() for f in features]
    for n, at in ((0, 5), (0, 7), (1, 7), (2, 7)):
        pixels[n][rows[n][at]] += 40
    seen_by = np.repeat(np.arange(3), 50)
    model = SceneModel(np.arange(3), (CAMERA,) * 3, poses, points, np.zeros((50, 3), np.uint8), seen_by,
                       np.tile(np.arange(50), 3), np.concatenate([p[r] for p, r in zip(pixels, rows, strict=True)]))
    kept = _without_bad(model)
    assert len(kept.points) == 49 and len(kept.point) == 150 - 1 - 3 and kept.errors().max() < 2
    assert np.allclose(kept.points, np.delete(points, 7, 0))
    once = replace(model, pixels=np.where((seen_by > 0)[:, None] & (model.point == 9)[:, None], 0.0, model.pixels))
    assert len(_without_bad(once).points) == 48  # what one image sees is no point


def test_only_partners_clean_each_other():
    depth = [torch.full((8, 8), 4.0), torch.full((8, 8), 2.0)]
    confidence = [torch.full((8, 8), 9.0), torch.full((8, 8), 3.0)]
    poses, focals, centres = torch.eye(4).repeat(2, 1, 1), torch.full((2,), 8.0), torch.full((2, 2), 3.5)
    points = [lifted(d, poses[0], focals[0], centres[0]) for d in depth]
    for partners, left in (([{1}, {0}], False), (None, False), ([set(), set()], True)):
        found = clean(points, depth, confidence, poses, focals, centres, partners=partners)
        assert torch.equal(found[0], confidence[0]) and bool(found[1].any()) == left


def scene(poses):
    """A model of one point that all cameras see."""
    count = len(poses)
    return SceneModel(np.arange(count), (CAMERA,) * count, np.stack(poses), np.zeros((1, 3)), np.zeros((1, 3), np.uint8),
                      np.arange(count), np.zeros(count, int), np.zeros((count, 2)), is_metric=True)


def test_a_frame_where_nothing_says_what_is_up():
    """Cameras whose ups cancel take that of the first; a first camera that looks along up has its x to look along."""
    one = looking(np.array([4.0, 0, 0]), np.zeros(3))
    turned = one.copy()
    turned[:3, :3] = one[:3, :3] @ np.diag([-1.0, -1, 1])
    _, R, _ = upright_frame(scene([one, turned]), 2.0)
    assert np.allclose(R @ -one[:3, 1], [0, 0, 1]) and np.linalg.det(R) == pytest.approx(1)
    parts = [np.eye(4) for _ in range(3)]  # the first looks along -z, and the mean of the ups y, -y and z is z
    for T, axes in zip(parts, ([[1, 0, 0], [0, -1, 0], [0, 0, -1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
                               [[1, 0, 0], [0, 0, -1], [0, 1, 0]]), strict=True):
        T[:3, :3] = np.array(axes, float).T
    _, R, _ = upright_frame(scene(parts), 2.0)
    assert np.isfinite(R).all() and np.linalg.det(R) == pytest.approx(1) and np.allclose(R[2], [0, 0, 1])


def test_few_sums_stay_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(pair_cache, "KEPT", 2)
    rng = np.random.default_rng(0)

    def some(*shape):
        return torch.from_numpy(rng.uniform(1, 3, shape)).float()

    cache = PairCache(tmp_path / "c", [(8, 8)] * 4, "x")
    for i in range(4):
        for j in range(i + 1, 4):
            points = tuple(some(8, 8, 3) for _ in range(2))
            cache.add(i, j, SymmetricPrediction(points, points, *[(some(8, 8), some(8, 8))] * 2,
                                                *[torch.zeros(1, 2, dtype=torch.long)] * 2, some(1)))
            assert len(cache._sums) <= 2
    assert sorted(cache._sum(0).partners) == [1, 2, 3]
