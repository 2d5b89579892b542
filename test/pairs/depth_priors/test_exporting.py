# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""A prior of transformers, written as an ONNX file, is the same prior."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.optional import imported

from lsm_ros import cli
from lsm_ros.config import PairConfig
from lsm_ros.models.onnx_engine import CHECK
from lsm_ros.pairs.depth_priors import make_depth_prior, transformers


class Guess(torch.nn.Module):
    """A depth network with the interface of transformers; its patches are 16 pixels wide."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.config = SimpleNamespace(model_type="depth_anything", depth_estimation_type=kind)
        self.layer = torch.nn.Conv2d(3, 1, 16, 16)

    def forward(self, pixel_values):
        if pixel_values.shape[-1] % 16:
            raise ValueError(f"width {pixel_values.shape[-1]} is no multiple of 16")
        return SimpleNamespace(predicted_depth=self.layer(pixel_values)[:, 0].exp())


@pytest.fixture
def guess(monkeypatch):
    def use(kind):
        processor = SimpleNamespace(image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])
        model = Guess(kind).eval()
        monkeypatch.setattr(transformers, "_loaded", lambda name: (processor, model))
        return model
    return use


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "output"), [("metric", "metres"),
                                              pytest.param("relative", "disparity", marks=pytest.mark.slow)])
def test_the_file_gives_what_the_network_gives(guess, tmp_path, capsys, kind, output):
    for module in ("onnx", "onnxscript", "onnxruntime"):
        imported(module)
    model, path = guess(kind), tmp_path / "prior.onnx"
    assert cli.main(["export", "some/model", str(path), "--part", "depth", "--size", "64x48"]) == 0
    assert "depth prior at 64x48, differs from torch by" in capsys.readouterr().out
    assert (tmp_path / f"prior.onnx{CHECK}").is_file()
    prior = make_depth_prior(PairConfig(depth_prior="onnx", depth_prior_model=str(path)))
    assert prior.kind == output and prior.settings.size == (48, 64)
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    x = (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - torch.tensor([0.4, 0.5, 0.6])[:, None, None])
    with torch.no_grad():
        wanted = model(x / torch.tensor([0.2, 0.3, 0.4])[:, None, None]).predicted_depth[0].numpy()
    assert np.allclose(prior.predict(image), wanted, rtol=1e-4)


def test_a_size_that_the_network_cannot_take_is_named(guess, tmp_path, capsys):
    imported("onnx")
    imported("onnxscript")
    imported("onnxruntime")
    guess("metric")
    assert cli.main(["export", "some/model", str(tmp_path / "prior.onnx"), "--part", "depth", "--size", "60x48"]) == 2
    assert "some/model does not run with images of 60x48: width 60 is no multiple of 16" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
