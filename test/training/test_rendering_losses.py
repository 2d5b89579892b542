# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Losses on pictures of Gaussians, and a tiny Large Spatial Model that is trained with them."""
import argparse

import pytest
import torch
from helpers.golden_cases import TINY, TINY_LSM
from helpers.training_parts import Repeated, tiny

from lsm_ros import models
from lsm_ros.models.gaussians import SH_C0
from lsm_ros.training.config import train_config
from lsm_ros.training.rendering_losses import camera_scale, picture_losses
from lsm_ros.training.trainer import Trainer
from lsm_sim.sampler import PairSampler


@pytest.fixture(scope="module")
def batch():
    return PairSampler(range(2), 2, 64, 48, "cpu", kinds=["room"], worlds=1).sample(0)


def exact_views(batch, unit=1.0):
    """Gaussians that lie at the true points and have the true colours, in a unit of their own."""
    views = []
    for points, image, valid in ((batch.points1, batch.image1, batch.valid1), (batch.points2, batch.image2, batch.valid2)):
        means = torch.where(valid[..., None], points, torch.tensor([0.0, 0.0, -1.0])) * unit
        shape = means.shape[:-1]
        sh = torch.zeros(*shape, 16, 3)
        sh[..., 0, :] = (image.permute(0, 2, 3, 1) - 0.5) / SH_C0
        depth = means[..., 2:].abs()
        views.append({"means": means, "scales": (0.4 * depth / batch.K[:, 0, 0].view(-1, 1, 1, 1)).expand(*shape, 3),
                      "rotations": torch.tensor([1.0, 0, 0, 0]).expand(*shape, 4), "opacities": torch.full((*shape, 1), 0.95),
                      "sh_coeffs": sh, "gs_feats": torch.ones(*shape, 8)})
    return views


@pytest.mark.parametrize("unit", [1.0, 0.3])
def test_true_gaussians_lose_little_in_any_unit(batch, unit):
    right = picture_losses(*exact_views(batch, unit), batch, None)
    assert set(right) == {"image"} and right["image"] < 0.06
    views = exact_views(batch, unit)
    views[0]["means"] = views[0]["means"] + torch.tensor([0.3, 0.0, 0.0]) * unit
    assert picture_losses(*views, batch, None)["image"] > 1.5 * right["image"]


def test_scale_of_cameras():
    true = torch.randn(200, 3) + torch.tensor([0.0, 0.0, 4.0])
    predicted = 0.7 * true
    predicted[:40] += 5.0  # outliers that least squares would follow
    assert float(camera_scale(predicted, true)) == pytest.approx(0.7, abs=0.02)
    least_squares = (true * predicted).sum() / (true * true).sum()
    assert abs(float(least_squares) - 0.7) > 0.1
    assert float(camera_scale(true[:0], true[:0])) == 1


def test_features_are_compared_with_what_lseg_says_of_images_from_zero_to_one(batch):
    network = models.build("lsm", **TINY_LSM)
    asked = []
    network.lseg_feature_extractor.register_forward_hook(lambda _m, inputs, _o: asked.append(inputs[0]))
    loss = picture_losses(*exact_views(batch), batch, network)["feature"]
    assert len(asked) == 4 and torch.equal(asked[1][0], batch.image2[0]) and 0 < loss < 2


@pytest.mark.slow
def test_a_tiny_one_learns(batch, tmp_path):
    options = {**TINY_LSM, "dust3r": {**TINY, "freeze": "none"}}
    config = train_config(tiny(model={"name": "lsm", "options": options}, data={"batch": 2}, language={"encoder": ""},
                               optim={"steps": 12, "lr": 3e-3, "ema": 0.5}, loss={"metric": False}))
    trainer = Trainer(config, tmp_path, source=Repeated([batch]))
    lseg = {k: v.clone() for k, v in trainer.model.lseg_feature_extractor.state_dict().items()}
    rows = [trainer.train_step() for _ in range(config.optim.steps)]
    assert {"points", "image", "feature"} <= set(rows[0])
    for part in ("image", "feature"):
        assert rows[-1][part] < 0.93 * rows[0][part], part
    assert all(torch.equal(v, lseg[k]) for k, v in trainer.model.lseg_feature_extractor.state_dict().items())
    assert models.load(trainer.export()).semantic_dim == 8


def test_it_starts_from_an_official_file(batch, tmp_path):
    there = models.build("lsm", **TINY_LSM)
    args = argparse.Namespace(model="LSM_Dust3R(config={'points': {'enc_patch_size': [1024, 1024, 1024]}})")
    torch.save({"args": args, "model": there.state_dict()}, tmp_path / "checkpoint-final.pth")
    config = train_config(tiny(model={"name": "lsm", "options": {}, "init": str(tmp_path / "checkpoint-final.pth")},
                               data={"batch": 2}, language={"encoder": ""}))
    model = Trainer(config, tmp_path / "out", source=Repeated([batch])).model
    assert all(torch.equal(v, there.state_dict()[k]) for k, v in model.state_dict().items())


def test_parts_have_weights(batch, tmp_path):
    config = train_config(tiny(model={"name": "lsm", "options": TINY_LSM}, data={"batch": 2}, language={"encoder": ""},
                               loss={"image": 0.0, "feature": 0.0}))
    assert set(Trainer(config, tmp_path, source=Repeated([batch])).train_step()) & {"image", "feature"} == set()
