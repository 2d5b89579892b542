# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Each rule of finding single points again."""
import cv2
import numpy as np
import pytest
from helpers.textured import picture

from lsm_ros.config import PairConfig
from lsm_ros.pairs import corners
from lsm_ros.pairs.corners import KEPT_IMAGES, MARGIN_PX, find_by_flow, match_descriptors, root_sift, scaled_to
from lsm_ros.pairs.depth import DepthPairModel
from lsm_ros.pairs.two_view import TwoViewPairModel
from lsm_ros.types import Frame

IMAGE = picture(3, 320)
POINTS = cv2.goodFeaturesToTrack(IMAGE, 150, 0.01, 10).reshape(-1, 2).astype(np.float64)


def warped(A, image=IMAGE):
    return cv2.warpAffine(image, np.float32(A), image.shape[::-1], borderMode=cv2.BORDER_REFLECT)


def moved(A, pixels=POINTS):
    return pixels @ np.asarray(A)[:, :2].T + np.asarray(A)[:, 2]


def about_the_middle(turn=0.0, stretch=(1.0, 1.0)):
    A = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag(stretch)
    return np.c_[A, [160, 160] - A @ [160, 160]]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("guess", "looked_for"), [(-19.0, True), (-21.0, False), (339.0, True), (341.0, False)])
def test_guesses_up_to_twenty_pixels_outside_are_looked_for(monkeypatch, axis, guess, looked_for):
    looked = []
    monkeypatch.setattr(cv2, "calcOpticalFlowPyrLK", lambda gray, other, start, at, **_: looked.append(start) or (
        at.copy(), np.ones((len(at), 1), np.uint8), None))
    expected = np.full((1, 2), 160.0)
    expected[0, axis] = guess
    find_by_flow(IMAGE, IMAGE, np.full((1, 2), 160.0), expected)
    assert bool(looked) == looked_for


def test_the_guesses_of_the_caller_stay_as_they_are():
    A = about_the_middle(0.4)
    guess = moved(A)
    index, found = find_by_flow(warped(A), IMAGE, POINTS, guess)
    assert np.array_equal(guess, moved(A)) and len(index) > 60
    assert np.median(np.linalg.norm(found - guess[index], axis=1)) < 0.15


@pytest.mark.parametrize("A", [about_the_middle(), about_the_middle(0.3)])
def test_patches_that_would_hang_over_the_edge_are_not_found(A):
    """On the side where a is looked at: what comes out has the margin, whether the image was warped or not."""
    near = np.stack(np.meshgrid(np.arange(2.0, 320, 3), np.arange(2.0, 320, 3)), -1).reshape(-1, 2)
    index, found = find_by_flow(warped(A), IMAGE, near, moved(A, near))
    assert len(index) > 500 and found.min() >= MARGIN_PX and found.max() <= 319 - MARGIN_PX
    assert found.min() < MARGIN_PX + 3 and found.max() > 316 - MARGIN_PX


@pytest.mark.parametrize("way", ["there", "back"])
def test_what_flow_itself_calls_lost_is_not_found(monkeypatch, way):
    plain, calls = cv2.calcOpticalFlowPyrLK, []

    def losing(*images_and_points, **options):
        found, ok, error = plain(*images_and_points, **options)
        calls.append(ok)
        if (len(calls) == 1) == (way == "there"):
            ok[:10] = 0
        return found, ok, error

    monkeypatch.setattr(cv2, "calcOpticalFlowPyrLK", losing)
    index, _ = find_by_flow(IMAGE, IMAGE, POINTS, POINTS)
    assert len(calls) == 2 and len(index) > 80 and index.min() >= 10


def test_images_are_levelled_once_and_few_are_kept(monkeypatch):
    count, plain = [], corners._level
    monkeypatch.setattr(corners, "_level", lambda gray: count.append(1) or plain(gray))
    images = [picture(n, 96) for n in range(KEPT_IMAGES + 4)]
    some = np.array([[40.0, 40.0], [50.0, 50.0]])
    for _ in range(3):
        find_by_flow(images[0], images[1], some, some)
    assert len(count) == 2
    for image in images:
        find_by_flow(image, images[1], some, some)
    count.clear()
    find_by_flow(images[0], images[0], some, some)  # too long ago
    assert len(count) == 1 and len(corners._levelled) <= KEPT_IMAGES


def test_another_image_at_the_same_place_in_memory_is_another_image(monkeypatch):
    stale = warped(np.c_[np.eye(2), [25.0, 0.0]])
    image = IMAGE.copy()
    monkeypatch.setitem(corners._levelled, id(image), (stale, corners._level(stale)))
    index, found = find_by_flow(image, IMAGE, POINTS[:20], POINTS[:20])
    assert len(index) > 10 and np.abs(found - POINTS[index]).max() < 0.1


def spied(monkeypatch):
    """Records the homographies by which images are warped."""
    seen, plain = [], cv2.warpPerspective
    monkeypatch.setattr(cv2, "warpPerspective", lambda image, H, *a, **k: seen.append(H) or plain(image, H, *a, **k))
    return seen


@pytest.mark.parametrize(("A", "count", "warps"), [
    (about_the_middle(0.3), 60, True), (about_the_middle(0.3), 29, False),  # too few to say how it is turned
    (about_the_middle(0.05), 60, False),  # patches look alike as they are
    (about_the_middle(0.0, (2.8, 1.0)), 60, True), (about_the_middle(0.0, (3.2, 1.0)), 60, False),
    (about_the_middle(0.0, (0.36, 1.0)), 60, True), (about_the_middle(0.0, (0.31, 1.0)), 60, False)])
def test_images_are_warped_where_that_makes_patches_alike(monkeypatch, A, count, warps):
    seen = spied(monkeypatch)
    points = np.random.default_rng(0).uniform([120.0, 120.0], [200.0, 200.0], (count, 2))  # in view of all of them
    find_by_flow(warped(A), IMAGE, points, moved(A, points))
    assert bool(seen) == warps


def test_guesses_from_wrong_depths_do_not_warp_the_image(monkeypatch):
    seen, A, guess = spied(monkeypatch), about_the_middle(0.3), moved(about_the_middle(0.3))
    rng = np.random.default_rng(0)
    guess[::4] += rng.uniform(10, 60, guess[::4].shape)
    find_by_flow(warped(A), IMAGE, POINTS, guess)
    corner = cv2.perspectiveTransform(np.array([[[60.0, 60.0]], [[260.0, 240.0]]]), seen[0])[:, 0]
    assert np.abs(corner - moved(A, np.array([[60.0, 60.0], [260.0, 240.0]]))).max() < 6.0


def test_descriptors_are_roots_of_unit_sums():
    _, plain = cv2.SIFT.create(nfeatures=50, contrastThreshold=0.02).detectAndCompute(IMAGE, None)
    pixels, features = root_sift(IMAGE, 50)
    assert len(pixels) == len(features) <= 60
    expected = np.rint(255 * np.sqrt(plain / plain.sum(1, keepdims=True))).astype(np.uint8)
    assert np.array_equal(features, expected)


def test_weak_texture_has_features_too():
    faint = (128 + 0.12 * (IMAGE.astype(float) - 128)).astype(np.uint8)
    assert len(root_sift(faint, 400)[0]) > 100


def test_matches_are_mutual_and_clear():
    """Row 0 of a is clear; 1 and 2 are alike; 3 is the nearest of two of b, and has the first as its own nearest."""
    e = 100 * np.eye(6, 8, dtype=np.uint8)
    a = np.stack([e[0], e[1], e[1], e[3]])
    a[1, 6] = a[2, 7] = 5
    b = np.stack([e[0], e[1], e[3], e[3]])
    b[3, 7] = 30  # less like a's 3 than b's 2 is
    index_a, index_b = match_descriptors(a, b)
    assert dict(zip(index_a.tolist(), index_b.tolist(), strict=True)) == {0: 0, 3: 2}
    for few in (a[:1], a[:0]):
        assert [len(i) for i in match_descriptors(few, b)] == [0, 0] == [len(i) for i in match_descriptors(b, few)]


@pytest.mark.parametrize("count", [20, 150])  # with and without a warp
@pytest.mark.parametrize("size", [(160, 160), (240, 320), (480, 480)])
def test_points_are_found_in_an_image_of_another_size(count, size):
    other = cv2.resize(IMAGE, size[::-1], interpolation=cv2.INTER_AREA)
    true = scaled_to(POINTS[:count], IMAGE.shape, size)
    index, found = find_by_flow(other, IMAGE, POINTS[:count], true + 1.0)
    assert len(index) >= 0.6 * count
    assert np.median(np.linalg.norm(found - true[index], axis=1)) < 0.3


def test_pixels_scale_with_the_edges_of_the_image():
    assert np.allclose(scaled_to(np.array([[-0.5, -0.5], [319.5, 319.5], [0.0, 1.0]]), (320, 320), (160, 640)),
                       [[-0.5, -0.5], [639.5, 159.5], [0.5, 0.25]])


@pytest.mark.parametrize("model", [DepthPairModel, TwoViewPairModel])
def test_an_image_of_another_size_is_followed(model):
    pair_model = model(PairConfig())
    halved = cv2.resize(IMAGE, (160, 160), interpolation=cv2.INTER_AREA)
    frames = [Frame(n, "camera", cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)) for n, image in enumerate((halved, IMAGE))]
    new, old = pair_model.encode(frames)
    index, found = pair_model.follow(new, old, POINTS)
    assert len(index) > 0.7 * len(POINTS)
    assert np.median(np.linalg.norm(found - scaled_to(POINTS[index], IMAGE.shape, halved.shape), axis=1)) < 0.3
