# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors of the package transformers: with a stand-in for it, and with tiny models of its own where it is installed."""
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from lsm_ros.config import PairConfig
from lsm_ros.pairs.depth_priors import make_depth_prior
from lsm_ros.types import Frame

FRAME = Frame(1, "camera", np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))


def prior_of(place):
    return make_depth_prior(PairConfig(depth_prior="transformers", depth_prior_model=str(place)))


class StandIn(torch.nn.Module):
    """A model that gives a ramp; the class methods are those of transformers."""

    def __init__(self, **config):
        super().__init__()
        self.config, self.device = SimpleNamespace(**config), torch.device("cpu")

    def to(self, device):
        return self

    def forward(self, pixels):
        return SimpleNamespace(predicted_depth=1 + torch.arange(12.0).reshape(1, 3, 4))


@pytest.fixture
def stand_in(monkeypatch):
    """Replaces the package; returns a function that says what its models are."""
    def install(error=None, **config):
        def found(place, local_files_only):
            assert local_files_only, "nothing is downloaded"
            if error is not None:
                raise error
            return StandIn(**config)

        package = ModuleType("transformers")
        inputs = type("Inputs", (dict,), {"to": lambda self, device: self})
        package.AutoImageProcessor = SimpleNamespace(
            from_pretrained=lambda place, local_files_only: lambda images, return_tensors: inputs(pixels=images))
        package.AutoModelForDepthEstimation = SimpleNamespace(from_pretrained=found)
        monkeypatch.setitem(sys.modules, "transformers", package)

    return install


@pytest.mark.parametrize(("config", "kind"), [
    ({"model_type": "depth_anything", "depth_estimation_type": "relative"}, "disparity"),
    ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "metres"),
    ({"model_type": "dpt"}, "disparity"), ({"model_type": "zoedepth"}, "metres"), ({"model_type": "depth_pro"}, "metres")])
def test_the_kind_of_the_values_is_that_of_the_model(stand_in, tmp_path, config, kind):
    stand_in(**config)
    found = prior_of(tmp_path).depth(FRAME)
    assert found.kind == kind and found.values.shape == (60, 80)
    assert found.values[0, 0] == pytest.approx(1) and found.values[-1, -1] == pytest.approx(12)


def test_models_that_give_something_else_are_refused(stand_in, tmp_path):
    stand_in(model_type="tipsv2")
    with pytest.raises(ValueError, match=f"{tmp_path} is a tipsv2, .* known are depth_anything"):
        prior_of(tmp_path)
    stand_in(error=ValueError("Unrecognized configuration class"))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no model that estimates depth: Unrecognized"):
        prior_of(tmp_path)
    stand_in(error=OSError("no config.json"))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no model that estimates depth: no config.json"):
        prior_of(tmp_path)


def test_a_model_that_is_not_here_is_not_fetched(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    stand_in(model_type="dpt")
    with pytest.raises(FileNotFoundError, match="lsm weights --download Depth-Anything-V2-Small-hf"):
        prior_of("Depth-Anything-V2-Small-hf")
    with pytest.raises(FileNotFoundError, match="checkpoint no_such_folder does not exist"):
        prior_of("no_such_folder")
    with pytest.raises(FileNotFoundError, match="pairs.depth_prior_model must be a folder"):
        prior_of("")


def test_a_listed_name_is_found_in_the_local_cache(stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--depth-anything--Depth-Anything-V2-Small-hf"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for name in ("config.json", "model.safetensors"):
        (folder / "snapshots" / "abc" / name).write_text("{}")
    stand_in(model_type="dpt")
    assert prior_of("Depth-Anything-V2-Small-hf").kind == "disparity"


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install transformers"):
        prior_of("some/model")


def test_models_of_the_package_itself_are_read_from_a_folder(tmp_path):
    """Tiny ones with random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28,
                                         patch_size=14, out_features=["stage1", "stage2"], reshape_hidden_states=False,
                                         apply_layernorm=True)
    config = transformers.DepthAnythingConfig(backbone_config=backbone, patch_size=14, reassemble_hidden_size=16,
                                              reassemble_factors=[2, 1], neck_hidden_sizes=[8, 8], fusion_hidden_size=8,
                                              head_hidden_size=4, depth_estimation_type="metric", max_depth=20)
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    transformers.DPTImageProcessor(size={"height": 42, "width": 56}, do_pad=False).save_pretrained(tmp_path)
    prior = prior_of(tmp_path)
    found = prior.predict(FRAME.image)
    assert prior.kind == "metres" and found.shape == (42, 56) and 0 < found.min() < found.max() < 20
