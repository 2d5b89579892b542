# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""The pair model `lsm`, with small random weights."""
import numpy as np
import pytest
import torch
from helpers.golden_cases import TINY_LSM, relative_error

from lsm_ros import models
from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models import checkpoint
from lsm_ros.models.preprocess import preprocess
from lsm_ros.pairs import make_pair_model
from lsm_ros.types import Frame


def frame(n, width=120, height=90):
    rng = np.random.default_rng(n)
    return Frame(n, "front", rng.integers(0, 255, (height, width, 3), np.uint8))


@pytest.fixture
def pair_model(tmp_path):
    torch.manual_seed(0)
    checkpoint.save(models.build("lsm", **TINY_LSM), tmp_path, TINY_LSM)
    return make_pair_model(PairConfig(model="lsm", weights=str(tmp_path), precision="float32"))


def test_predictions_are_the_networks_own(pair_model):
    a, b = frame(1), frame(2)
    tokens = pair_model.encode([a, b])
    got = pair_model.predict([tuple(tokens)])[0]
    with torch.no_grad():
        first, second = (pair_model.model(*(preprocess(f.image, 64) for f in (a, b))))
    # tokens rest in fp16, so that a frame is cheap to keep
    for value, expected in ((got.points_a, first["pts3d"]), (got.points_b, second["pts3d_in_other_view"]),
                            (got.conf_a, first["conf"])):
        assert relative_error(value, expected[0]) < 5e-3
    assert got.features_a.shape == (6, 8, pair_model.feature_dim) == first["features"][0].shape
    # rounding moves single points into other voxels, which changes their features
    assert float((got.features_b * second["features"][0]).sum(-1).median()) > 0.99
    assert not got.is_metric and got.desc_a is None


def test_without_features_the_points_are_the_same_and_cheaper(pair_model, monkeypatch):
    tokens = tuple(pair_model.encode([frame(1), frame(2)]))
    expected = pair_model.predict([tokens])[0]
    pair_model.with_features = False
    monkeypatch.setattr(pair_model.model.point_transformer, "forward", lambda *_: pytest.fail("is not needed"))
    got = pair_model.predict([tokens])[0]
    assert torch.equal(got.points_a, expected.points_a) and got.features_a is None


def test_meaning_follows_from_the_weights(pair_model):
    assert pair_model.has_language and pair_model.with_features and pair_model.language_file is None
    assert pair_model.feature_dim == 10 and pair_model.language_basis.shape == (9, 24)
    assert pair_model.text_encoder == "clip-vit-base-patch32"


def test_images_are_compared_by_dust3rs_tokens(pair_model):
    tokens = pair_model.encode([frame(1)])[0]
    signature = pair_model.signature([tokens])
    assert signature.shape == (32,)
    assert np.allclose(signature, tokens.tokens[:, :32].float().mean(0).numpy())
    other = pair_model.signature(pair_model.encode([frame(2)]))
    assert np.allclose(pair_model.alike([tokens], [other, signature]), pair_model.alike(signature, [other, signature]))


def test_tokens_are_packed_and_unpacked(pair_model):
    tokens = pair_model.encode([frame(1)])[0]
    again = pair_model.unpack("front", 1, CameraIntrinsics(120, 90, 100.0, 100.0, 60.0, 45.0), pair_model.pack(tokens))
    assert torch.equal(again.tokens, tokens.tokens) and again.size == tokens.size


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision(pair_model, tmp_path, precision):
    try:
        half = make_pair_model(PairConfig(model="lsm", weights=str(tmp_path), precision=precision))
    except ValueError as error:
        pytest.skip(f"{error}: not installed")
    got, expected = (m.predict([tuple(m.encode([frame(1), frame(2)]))])[0] for m in (half, pair_model))
    assert relative_error(got.points_a, expected.points_a) < 0.1
    assert got.features_a.isfinite().all() and float((got.features_a * expected.features_a).sum(-1).median()) > 0.9
