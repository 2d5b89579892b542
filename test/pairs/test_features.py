# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""`lsm_small` as a pair model, and its features at the cells of an observation."""

import numpy as np
import pytest
import torch
from helpers.training_parts import TINY_SMALL, RandomEncoder  # noqa: E402

from lsm_ros import models
from lsm_ros.config import PairConfig
from lsm_ros.models.preprocess import plan_crop
from lsm_ros.pairs import make_pair_model, network
from lsm_ros.pairs.features import FeatureSum
from lsm_ros.semantics.describing import Describer
from lsm_ros.semantics.language import language_of
from lsm_ros.training.checkpoints import export_weights
from lsm_ros.training.language import fit_codec
from lsm_ros.types import Frame, LabelSpace

OPTIONS = {k: tuple(v) if isinstance(v, list) else v for k, v in TINY_SMALL.items()} | {"img_size": (48, 64)}


def write(folder, channels=16, options=OPTIONS):
    """Random weights as `lsm train` exports them."""
    torch.manual_seed(0)
    model = models.build("lsm_small", **options)
    codec = fit_codec(RandomEncoder(), LabelSpace({1: "wall", 2: "floor"}), {}, channels) if channels else None
    return export_weights(folder, "lsm_small", options, model.state_dict(), codec, {})


def config(folder):
    return PairConfig(model="lsm_small", weights=str(folder), precision="float32")


def frame(n, camera="front"):
    return Frame(n, camera, np.random.default_rng(n).integers(0, 255, (96, 128, 3), np.uint8))


def test_lsm_small_is_a_metric_pair_model_with_features(tmp_path):
    pair_model = make_pair_model(config(write(tmp_path / "weights")))
    assert pair_model.is_metric and pair_model.feature_dim == 16 == language_of(pair_model).codec.channels
    a, b = pair_model.encode([frame(1), frame(2)])
    assert a.size == (48, 64)
    found = pair_model.predict([(a, b)])[0]
    assert found.features_a.shape == found.features_b.shape == (6, 8, 16) and found.desc_a is not None
    assert torch.allclose(found.features_b.norm(dim=-1), torch.ones(6, 8), atol=1e-4)
    pair_model.with_features = False
    assert pair_model.predict([(a, b)])[0].features_a is None


def test_weights_of_lsm_small(tmp_path, monkeypatch):
    without = make_pair_model(config(write(tmp_path / "silent", channels=0)))
    assert without.language_file is None
    assert without.predict([tuple(without.encode([frame(1), frame(2)]))])[0].features_a is None
    with pytest.raises(ValueError, match="come without language"):
        language_of(Describer(without))
    with pytest.raises(ValueError, match="gives 16 language features, .* describes 8"):
        language_of(make_pair_model(config(write(tmp_path / "other", channels=8))))
    monkeypatch.setitem(network.SHIPPED, "lsm_small", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="has no weights of lsm_small.*lsm train"):
        make_pair_model(PairConfig(model="lsm_small", precision="float32"))
    monkeypatch.setitem(network.SHIPPED, "lsm_small", tmp_path / "silent")
    assert make_pair_model(PairConfig(model="lsm_small", precision="float32")).is_metric


def test_a_network_of_224x160_sees_the_whole_width(tmp_path):
    pair_model = make_pair_model(config(write(tmp_path / "weights", options=OPTIONS | {"img_size": (160, 224)})))
    assert pair_model.encode([frame(1)])[0].size == (160, 224)
    assert (plan_crop(640, 480, 224).width, plan_crop(640, 480, 224).height) == (224, 224)


def test_a_describer_gives_observations_their_features(tmp_path):
    describer = Describer.load(str(write(tmp_path / "weights")), "float32")
    first, again = describer.describe(frame(1)), describer.describe(frame(1))
    other = describer.describe(frame(2))
    assert first.shape == (12, 16, 16) and first.dtype == np.int8
    assert np.allclose(np.linalg.norm(first.astype(float), axis=-1), 127, atol=3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    describer.clear()
    assert not np.array_equal(other, describer.describe(frame(2)))  # it was seen with the first image, now with itself


def test_features_come_to_the_right_cells():
    crop = plan_crop(640, 512, 256)  # 8 pixels of the network are 20 of the frame
    assert (crop.width, crop.height) == (256, 192) and crop.top == 6
    features = torch.zeros(24, 32, 2)
    features[..., 0] = torch.linspace(-1, 1, 32)[None]  # grows along x
    features[..., 1] = torch.linspace(-1, 1, 24)[:, None]
    total = FeatureSum()
    assert total.cells(crop) is None and total.nbytes == 0
    total.add(None, torch.ones(192, 256))
    assert total.cells(crop) is None
    total.add(features, torch.ones(192, 256))
    cells = total.cells(crop).astype(float)
    assert cells.shape == (32, 40, 2)
    columns, rows = np.arange(40) * 16 + 7.5, np.arange(32) * 16 + 7.5
    x = np.clip(((columns + 0.5) * 0.4 / 8 - 0.5) * 2 / 31 - 1, -1, 1)
    y = np.clip((((rows + 0.5) * 205 / 512 - 6) / 8 - 0.5) * 2 / 23 - 1, -1, 1)
    wanted = np.stack(np.broadcast_arrays(x[None], y[:, None]), -1)
    wanted = 127 * wanted / np.linalg.norm(wanted, axis=-1, keepdims=True)
    assert np.abs(cells - wanted).max() <= 1.5


def test_predictions_count_by_their_confidence():
    crop = plan_crop(64, 48, 64)
    east, north = torch.zeros(6, 8, 2), torch.zeros(6, 8, 2)
    east[..., 0], north[..., 1] = 1, 1
    total = FeatureSum()
    total.add(east, torch.full((48, 64), 19.0))
    total.add(north, torch.full((48, 64), 1.0))
    x, y = total.cells(crop)[1, 1].astype(float)
    assert y / x == pytest.approx(np.log(2) / np.log(20), rel=0.03)
    total.add(north, torch.full((48, 64), torch.nan))
    total.add(torch.full((6, 8, 2), torch.nan), torch.ones(48, 64))
    assert np.allclose(total.cells(crop)[1, 1], (x, y))
    with pytest.raises(ValueError, match="do not fit"):
        total.add(torch.zeros(6, 8, 3), torch.ones(48, 64))
