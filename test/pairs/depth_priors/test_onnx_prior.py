# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Depth priors in ONNX files."""
import sys

import numpy as np
import pytest
from helpers.onnx_models import constant, node, onnx, write_model

from lsm_ros.config import PairConfig
from lsm_ros.geometry import CameraIntrinsics
from lsm_ros.models.image_input import read_settings
from lsm_ros.pairs.depth_priors import make_depth_prior
from lsm_ros.pairs.depth_priors.onnx import EXAMPLE, OnnxSettings
from lsm_ros.types import Frame


def picture(height=48, width=64):
    """A frame that is brighter to the right, red at the top and blue at the bottom."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1] = np.linspace(10, 200, width)
    image[:height // 2, :, 0] = image[height // 2:, :, 2] = 90
    return Frame(1, "camera", image, CameraIntrinsics(width, height, 60.0, 60.0, width / 2, height / 2))


def prior_of(path):
    return make_depth_prior(PairConfig(depth_prior="onnx", depth_prior_model=str(path)))


def test_gives_the_values_of_the_model_at_the_size_of_the_image(tmp_path):
    found = prior_of(write_model(tmp_path / "m.onnx")).depth(picture())
    expected = picture().image.mean(2) / 255
    assert found.kind == "metres" and found.values.shape == (48, 64) and found.values.dtype == np.float32
    inner = np.s_[4:20, 4:-4]
    assert np.abs(found.values - expected)[inner].max() < 0.01


@pytest.mark.parametrize(("shape", "layout"), [((1, 3, 24, 32), "NCHW"), ((1, 24, 32, 3), "NHWC"),
                                               (("n", 3, "h", "w"), "NCHW")])
def test_layout_and_normalisation_are_those_of_the_settings(tmp_path, shape, layout):
    settings = f"size: [24, 32]\nlayout: {layout}\nmean: [0.5, 0, 0]\nstd: [1, 0.25, 1]\noutput: relative\n"
    found = prior_of(write_model(tmp_path / "m.onnx", shape, settings)).depth(picture())
    red, green, blue = np.moveaxis(picture().image / 255, 2, 0)
    assert found.kind == "relative"
    assert np.abs(found.values - (red - 0.5 + green / 0.25 + blue) / 3)[4:20, 4:-4].max() < 0.02


def test_metres_follow_the_focal_length(tmp_path):
    """A camera with twice the focal length shows a thing of the same size in pixels at twice the distance."""
    of_any = prior_of(write_model(tmp_path / "any.onnx")).depth(picture()).values
    settings = "size: [24, 32]\noutput: metres\nfocal_px: 15\n"
    of_one = prior_of(write_model(tmp_path / "one.onnx", settings=settings)).depth(picture()).values
    assert np.allclose(of_one, 2 * of_any)  # 60 pixels at a width of 64 are 30 at 32


@pytest.mark.parametrize(("settings", "says"), [
    (None, "m.yaml does not exist; it says how"),
    ("size: [24, 32]\n", "it needs size and output"),
    ("size: [24, 32]\noutput: metres\nformat: NCHW\n", "it has: size, output, format"),
    ("size: [24, 32]\noutput: depth\n", "output must be one of metres"),
    ("size: 24\noutput: metres\n", "m.yaml: "),
    ("size: [24, 0]\noutput: metres\n", r"size must be \[height, width\]"),
    ("size: [24, 32]\noutput: metres\nlayout: HWC\n", "layout must be NCHW or NHWC, got 'HWC'"),
    ("size: [24, 32]\noutput: metres\nmean: [0.5]\n", "mean must be three numbers"),
    ("size: [24, 32]\noutput: metres\nstd: [1, 0, 1]\n", "std must be above 0"),
    ("size: [24, 32]\noutput: disparity\nfocal_px: 10\n", "focal_px is for an output in metres"),
    ("size: [24, 32]\noutput: metres\nfocal_px: -1\n", "focal_px must be a number of pixels"),
    ("size: [32, 24]\noutput: metres\n", r"says one tensor\(float\) \[1, 3, 32, 24\]: correct its size or layout"),
    ("size: [24, 32]\noutput: metres\nlayout: NHWC\n", r"x tensor\(float\) \[1, 3, 24, 32\]"),
])
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, says):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        prior_of(write_model(tmp_path / "m.onnx", settings=settings))


def test_the_example_of_settings_can_be_used_as_it_is(tmp_path):
    (tmp_path / "m.yaml").write_text(EXAMPLE)
    assert read_settings(OnnxSettings, tmp_path / "m.yaml", "", "").size == (224, 224)


def test_a_file_that_is_missing_or_no_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file ''; pairs.depth_prior_model is the model"):
        prior_of("")
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    (tmp_path / "m.yaml").write_text("size: [24, 32]\noutput: metres\n")
    with pytest.raises(ValueError, match="m.onnx cannot be used as an ONNX model"):
        prior_of(tmp_path / "m.onnx")


def test_a_model_of_other_numbers_is_refused(tmp_path):
    with pytest.raises(ValueError, match="float16"):
        prior_of(write_model(tmp_path / "m.onnx", kind=onnx.TensorProto.FLOAT16))


def test_a_model_that_gives_no_image_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="gives an output .* where one image of depths is needed"):
        prior_of(write_model(tmp_path / "m.onnx", nodes=[node("Identity")]))


def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        prior_of(write_model(tmp_path / "m.onnx"))


MEAN = node("ReduceMean", outputs=("m",), axes=[1], keepdims=1)


@pytest.mark.parametrize(("nodes", "says"), [
    ([MEAN, node("Log", ("m",), ("l",)), node("Sqrt", ("l",))], "values that are no numbers"),
    ([MEAN, constant(0.0), node("Mul", ("m", "c"), ("z",)), node("Cos", ("z",))], r"the same value \(1\) for the whole image"),
    ([MEAN, node("Neg", ("m",))], "as the median depth of an image, where it must be above 0"),
])
def test_an_answer_that_is_no_depth_is_refused(tmp_path, nodes, says):
    prior = prior_of(write_model(tmp_path / "m.onnx", nodes=nodes))
    with pytest.raises(ValueError, match=says):
        prior.depth(picture())


def test_values_at_or_below_zero_become_near_ones(tmp_path):
    nodes = [MEAN, constant(0.2), node("Sub", ("m", "c"))]
    found = prior_of(write_model(tmp_path / "m.onnx", nodes=nodes)).depth(picture()).values
    assert found.min() == pytest.approx(0.05 * np.median(found), rel=0.05)
