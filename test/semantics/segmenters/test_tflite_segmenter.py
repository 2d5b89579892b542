# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters in TensorFlow Lite files, with a stand-in for the package that runs them."""
import sys
from types import ModuleType

import numpy as np
import pytest

from lsm_ros.config import from_dict
from lsm_ros.semantics.segmenters import make_segmenter
from lsm_ros.types import Frame

SETTINGS = ("size: [4, 6]\nlayout: NHWC\nmean: [0.5, 0.5, 0.5]\nstd: [0.5, 0.5, 0.5]\noutput: logits\n"
            "names: [red, green, blue]\n")
IMAGE = np.eye(3, dtype=np.uint8)[np.repeat([[0, 0, 1, 1, 2, 2]], 4, 0)] * 255


class Interpreter:
    """Gives its input as logits. kind, step, zero: how its input holds numbers; shape: -1 where any size will do."""

    kind, step, zero, shape = np.float32, 0.0, 0, (1, 4, 6, 3)

    def __init__(self, path, num_threads):
        if path.endswith("bad.tflite"):
            raise ValueError("Model provided has model identifier 'not ', should be 'TFL3'")
        self.threads = num_threads

    def get_input_details(self):
        return [{"index": 3, "shape": np.abs(self.shape), "shape_signature": np.array(self.shape), "dtype": self.kind,
                 "quantization": (self.step, self.zero)}]

    def get_output_details(self):
        return [{"index": 7, "quantization": (self.step, self.zero)}]

    def resize_tensor_input(self, index, shape):
        assert (index, list(shape)) == (3, [1, 4, 6, 3])

    def allocate_tensors(self):
        self.held = None

    def set_tensor(self, index, values):
        assert index == 3 and values.dtype == self.kind
        self.held = values

    def invoke(self):
        if self.held.shape != (1, 4, 6, 3):
            raise RuntimeError("tensors are not allocated")

    def get_tensor(self, index):
        assert index == 7
        return self.held


@pytest.fixture
def segmenter_of(monkeypatch, tmp_path):
    def made(name="m.tflite", settings=SETTINGS, **about):
        package, module = ModuleType("ai_edge_litert"), ModuleType("ai_edge_litert.interpreter")
        module.Interpreter = type("Interpreter", (Interpreter,), about)
        monkeypatch.setitem(sys.modules, "ai_edge_litert", package)
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
        (tmp_path / name).write_bytes(b"TFL3")
        (tmp_path / name).with_suffix(".yaml").write_text(settings)
        return make_segmenter(from_dict({"semantics.segmenter": "tflite", "semantics.segmenter_model": str(tmp_path / name)}))
    return made


@pytest.mark.parametrize("about", [{}, {"shape": (1, -1, -1, 3)}, {"kind": np.uint8, "step": 2 / 255, "zero": 128},
                                   {"kind": np.int8, "step": 1 / 127, "zero": 0}])
def test_numbers_go_in_and_come_out_as_the_model_holds_them(segmenter_of, about):
    labels, probability = segmenter_of(**about).with_probability(Frame(1, "camera", IMAGE))
    assert np.array_equal(labels, np.repeat([[0, 0, 1, 1, 2, 2]], 4, 0))
    assert probability == pytest.approx(1 / (1 + 2 * np.exp(-2)), abs=0.01)  # 1 against -1 twice


def test_models_that_do_not_fit_are_refused(segmenter_of):
    with pytest.raises(ValueError, match=r"m.tflite cannot be used .*: it takes \[1, 8, 6, 3\], where .*m.yaml says \[1, 4, 6"):
        segmenter_of(shape=(1, 8, 6, 3))
    with pytest.raises(ValueError, match="bad.tflite cannot be used as a TensorFlow Lite model: Model provided has"):
        segmenter_of("bad.tflite")


def test_a_missing_package_says_what_to_install(segmenter_of, monkeypatch, tmp_path):
    segmenter_of()
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match="segmenter tflite needs LiteRT: pip install ai-edge-litert"):
        make_segmenter(from_dict({"semantics.segmenter": "tflite", "semantics.segmenter_model": str(tmp_path / "m.tflite")}))
