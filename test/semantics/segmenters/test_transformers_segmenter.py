# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters of the package transformers: with a stand-in for it, and with tiny models of its own where it is installed."""
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from lsm_ros.config import from_dict
from lsm_ros.semantics.segmenters import make_segmenter
from lsm_ros.types import Frame

FRAME = Frame(1, "camera", np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
NAMES = {0: "wall", 1: "floor", 2: "door"}


def segmenter_of(place):
    return make_segmenter(from_dict({"semantics.segmenter": "transformers", "semantics.segmenter_model": str(place),
                                     "semantics.min_label_probability": 0.0}))


class StandIn:
    """A model that gives `out`; from the left to the right the classes are 2, 0, 1."""

    device = "cpu"

    def __init__(self, out, kind="segformer", names=None):
        self.config, self._out = SimpleNamespace(model_type=kind, id2label=names or NAMES), out

    def eval(self):
        return self

    def to(self, device):
        return self

    def __call__(self, pixels, **asked):
        assert asked == ({"task_inputs": "semantic"} if self.config.model_type == "oneformer" else {})
        return self._out


class Out(dict):
    __getattr__ = dict.get


@pytest.fixture
def install(monkeypatch):
    """Replaces the package; `semantic` and `universal`: the model that each class loads, or the error that it raises."""
    def installed(semantic=None, universal=None, kind="segformer"):
        def loader(given):
            def load(place, local_files_only):
                assert local_files_only, "nothing is downloaded"
                if isinstance(given, StandIn):
                    return given
                raise given or ValueError("Unrecognized configuration class")
            return SimpleNamespace(from_pretrained=load)

        def processor(images, return_tensors, task_inputs=None):
            extra = {} if task_inputs is None else {"task_inputs": task_inputs[0]}
            return type("Inputs", (dict,), {"to": lambda self, device: self})(pixels=images, **extra)

        processor.post_process_semantic_segmentation = lambda out, target_sizes: [torch.ones(target_sizes[0]).int()]
        package = ModuleType("transformers")
        found = SimpleNamespace(from_pretrained=lambda place, local_files_only: processor)
        package.AutoImageProcessor = package.AutoProcessor = found
        package.AutoConfig = SimpleNamespace(from_pretrained=lambda place, local_files_only: SimpleNamespace(model_type=kind))
        package.AutoModelForSemanticSegmentation = loader(semantic)
        package.AutoModelForUniversalSegmentation = loader(universal)
        monkeypatch.setitem(sys.modules, "transformers", package)
    return installed


LOGITS = torch.zeros(1, 3, 6, 9)
for column, which in enumerate((2, 0, 1)):
    LOGITS[0, which, :, 3 * column:3 * column + 3] = 4.0
CLASSES, MASKS = torch.zeros(1, 3, 4), torch.full((1, 3, 6, 9), -9.0)
for column, which in enumerate((2, 0, 1)):
    CLASSES[0, column, which], MASKS[0, column, :, 3 * column:3 * column + 3] = 9.0, 9.0


@pytest.mark.parametrize(("kind", "out"), [
    ("segformer", Out(logits=LOGITS)), ("mask2former", Out(class_queries_logits=CLASSES, masks_queries_logits=MASKS)),
    ("oneformer", Out(class_queries_logits=CLASSES, masks_queries_logits=MASKS))])
def test_classes_of_logits_and_of_queries(install, tmp_path, kind, out):
    model = StandIn(out, kind)
    install(**({"semantic": model} if kind == "segformer" else {"universal": model}), kind=kind)
    segmenter = segmenter_of(tmp_path)
    labels, probability = segmenter.with_probability(FRAME)
    assert labels.shape == (60, 80) and labels[30, (5, 40, 75)].tolist() == [2, 0, 1] and probability[30, 5] > 0.9
    assert segmenter.label_space.names == NAMES


def test_parts_of_images_are_put_together_by_the_package(install, tmp_path):
    install(universal=StandIn(Out(), "eomt"), kind="eomt")
    labels, probability = segmenter_of(tmp_path).with_probability(FRAME)
    assert (labels == 1).all() and (probability == 1).all() and labels.shape == (60, 80)


def test_a_name_that_comes_twice_gets_a_number(install, tmp_path):
    install(semantic=StandIn(Out(logits=LOGITS), names={0: "screen", 1: "floor", 2: "Screen"}))
    assert segmenter_of(tmp_path).label_space.names == {0: "screen", 1: "floor", 2: "Screen 2"}


def test_models_that_give_something_else_are_refused(install, tmp_path):
    install()
    with pytest.raises(ValueError, match=f"{tmp_path} holds no model that segments images: Unrecognized"):
        segmenter_of(tmp_path)
    install(semantic=OSError("no config.json"))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no model that segments images: no config.json"):
        segmenter_of(tmp_path)
    install(semantic=StandIn(Out(predicted_depth=LOGITS)))
    with pytest.raises(ValueError, match="gives predicted_depth, where logits"):
        segmenter_of(tmp_path)
    install(semantic=StandIn(Out(logits=LOGITS), names={0: "wall"}))
    with pytest.raises(ValueError, match="has no side of 1"):
        segmenter_of(tmp_path)


def test_a_model_that_is_not_here_is_not_fetched(install, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    install()
    with pytest.raises(FileNotFoundError, match="checkpoint someone/segments is not on this machine"):
        segmenter_of("someone/segments")
    with pytest.raises(FileNotFoundError, match="semantics.segmenter_model must be a folder"):
        segmenter_of("")


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install transformers"):
        segmenter_of("some/model")


def test_segformer_of_the_package_itself(tmp_path):
    """A tiny one with random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(depths=[1] * 4, hidden_sizes=[8] * 4, num_attention_heads=[1] * 4,
                                          decoder_hidden_size=8, id2label=NAMES)
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    labels, probability = segmenter_of(tmp_path).with_probability(FRAME)
    assert labels.shape == (60, 80) and set(np.unique(labels)) <= set(NAMES) and probability.min() > 0.3


def test_eomt_of_the_package_itself(tmp_path):
    """A tiny one with random weights, which looks at parts of the image."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.EomtConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8,
                                     num_queries=4, num_blocks=1, num_upscale_blocks=1, num_register_tokens=0, id2label=NAMES)
    transformers.EomtForUniversalSegmentation(config).save_pretrained(tmp_path)
    transformers.EomtImageProcessor(size={"shortest_edge": 32, "longest_edge": None}, do_split_image=True,
                                    do_pad=False).save_pretrained(tmp_path)
    labels = segmenter_of(tmp_path).segment(FRAME)
    assert labels.shape == (60, 80) and set(np.unique(labels)) <= set(NAMES)
