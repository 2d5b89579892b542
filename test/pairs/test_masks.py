# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Points under a mask, or beside its edge, are neither found nor found again."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.textured import CAMERA, room, see

from lsm_ros.config import PairConfig
from lsm_ros.geometry import make_se3, se3_inverse, so3_exp
from lsm_ros.models.preprocess import plan_crop
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.agreement import compare
from lsm_ros.pairs.corners import MARGIN_PX
from lsm_ros.pairs.masks import cropped, grown, is_clear, masked, packed, unpacked
from lsm_ros.types import Frame

T_B_A = make_se3(so3_exp([0.0, 0.05, 0.01]), [0.1, 0.02, 0.02])
T_A_B = se3_inverse(T_B_A)
HEIGHT, WIDTH = CAMERA.height, CAMERA.width
EDGE = HEIGHT // 2
ROBOT = np.zeros((HEIGHT, WIDTH), bool)
ROBOT[EDGE:] = True
NEAR = EDGE - MARGIN_PX  # rows from which a patch has the robot in it


@pytest.fixture(scope="module")
def scene():
    return see(room(), T_B_A), see(room(), np.eye(4))


def frame(seen, mask=None):
    gray, depth = seen
    depth = np.where(np.zeros_like(ROBOT) if mask is None else mask, 0, depth).astype(np.float32)
    return Frame(0, "camera", np.repeat(gray[..., None], 3, 2), CAMERA, depth, mask=mask)


@pytest.mark.parametrize("name", ["depth", "two_view"])
class TestPointModels:
    def tokens(self, name, scene, mask_a=None, mask_b=None):
        model = make_pair_model(PairConfig(model=name))
        return model, *model.encode([frame(scene[0], mask_a), frame(scene[1], mask_b)])

    def test_corners_keep_clear_of_the_edge(self, name, scene):
        _, _, b = self.tokens(name, scene, mask_b=ROBOT)
        assert len(b.corners) > 20 and b.corners[:, 1].max() < NEAR
        _, _, bare = self.tokens(name, scene)
        assert bare.corners[:, 1].max() > EDGE

    def test_nothing_is_found_again_under_a_mask(self, name, scene):
        model, a, b = self.tokens(name, scene, mask_a=ROBOT)
        matches = model.match(a, b, b.corners.astype(np.float64))
        assert len(matches) > 10 and matches.pixels_a[:, 1].max() < NEAR
        index, found = model.follow(a, b, b.corners)
        assert len(index) == len(found) > 10 and found[:, 1].max() < NEAR
        model, a, _ = self.tokens(name, scene)
        assert model.follow(a, b, b.corners)[1][:, 1].max() > EDGE

    def test_descriptors_are_of_the_rest(self, name, scene):
        model, a, b = self.tokens(name, scene, ROBOT, ROBOT)
        both = model.correspond(a, b)
        assert len(both) > 10 and both.pixels_a[:, 1].max() < NEAR and both.pixels_b[:, 1].max() < NEAR
        _, bare, _ = self.tokens(name, scene)
        assert not np.array_equal(model.signature([a]), model.signature([bare]))

    def test_masks_go_through_a_map_on_disk(self, name, scene):
        model, a, _ = self.tokens(name, scene, ROBOT)
        parts = {**model.pack(a), "corners": a.corners, "inverse_depth": a.inverse_depth}
        assert np.array_equal(model.unpack("camera", 0, CAMERA, parts).mask, grown(ROBOT))
        with pytest.raises(ValueError, match="mask is"):
            model.unpack("camera", 0, CAMERA, parts | {"mask": np.zeros(3, np.uint8)})
        parts.pop("mask")
        assert model.unpack("camera", 0, CAMERA, parts).mask is None, "of a map from before there were masks"


def test_dense_depth_ends_at_the_masks_of_both(scene):
    model = make_pair_model(PairConfig(model="two_view"))
    (_, depth) = scene[1]
    typical = 1 / float(np.median(depth))
    plain, of_a, of_b = (model.dense(b, [(a, T_A_B)], typical) for a, b in (
        model.encode([frame(scene[0], mask_a), frame(scene[1], mask_b)])
        for mask_a, mask_b in ((None, None), (ROBOT, None), (None, ROBOT))))
    low = slice(EDGE + 20, None)
    assert (plain.inverse_depth[low] > 0).mean() > 0.3
    assert not of_b.inverse_depth[NEAR + 1:].any() and np.isinf(of_b.relative_sigma[NEAR + 1:]).all()
    assert (of_a.inverse_depth[low] > 0).mean() < 0.01 < 0.3 < (of_a.inverse_depth[:EDGE - 30] > 0).mean()


def test_what_an_image_cannot_see_contradicts_nothing(scene):
    (gray_a, depth_a), (gray_b, depth_b) = scene
    noise = np.where(ROBOT, np.random.default_rng(0).integers(0, 255, gray_a.shape), gray_a).astype(np.uint8)
    near = np.where(ROBOT, 0.3, depth_a)
    parts = (gray_b, depth_b, CAMERA, noise, near, CAMERA, T_A_B)
    bare, without = compare(*parts), compare(*parts, mask_a=ROBOT)
    assert bare.agree < 0.7 * bare.measured and without.agree > 0.9 * without.measured > 0
    assert 0 < without.seen < 0.7 * bare.seen


def test_predictions_have_no_confidence_under_a_mask():
    mask = np.zeros((2, 3), bool)
    mask[1] = True
    assert masked(torch.ones(2, 3), mask).tolist() == [[1, 1, 1], [0, 0, 0]]
    given = torch.ones(2, 3)
    assert masked(given, None) is given


def test_masks_of_networks_are_cut_as_their_images():
    crop = plan_crop(640, 490, 512)
    mask = np.zeros((490, 640), bool)
    mask[240:] = True
    small = cropped(mask, crop)
    assert small.shape == (crop.height, crop.width) and crop.top >= 4
    row = round(crop.to_input(np.array([0.0, 240.0]))[1])
    assert not small[:row - 1].any() and small[row + 1:].all()
    assert cropped(None, crop) is None


def test_pixels_outside_count_as_the_border():
    assert is_clear(ROBOT, np.array([[0.0, -5.0], [0.0, HEIGHT + 5.0], [1.0, EDGE - 0.6], [1.0, EDGE - 0.4]])).tolist() == [
        True, False, True, False]
    assert is_clear(None, np.zeros((2, 2))).all() and grown(None) is None and packed(None) == {}
    assert np.array_equal(unpacked(packed(ROBOT), ROBOT.shape), ROBOT)


def test_a_frame_refuses_a_mask_of_another_size(scene):
    with pytest.raises(ValueError, match="mask of camera 'camera'"):
        replace(frame(scene[1]), mask=ROBOT[:-1])
