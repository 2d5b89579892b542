# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters in ONNX files, and the settings beside them."""
import sys

import numpy as np
import pytest
from helpers.onnx_models import constant, node, onnx, write_model

from lsm_ros.config import from_dict
from lsm_ros.models.image_input import read_settings
from lsm_ros.semantics.segmenters import make_segmenter
from lsm_ros.semantics.segmenters.network import EXAMPLE, SegmenterSettings
from lsm_ros.types import UNLABELLED, Frame

SETTINGS = "size: [24, 32]\noutput: logits\nnames: [red, green, blue]\n"


def picture(height=48, width=64):
    """Red on the left, green on the right, blue below; and where each is."""
    where = np.zeros((height, width), np.int64)
    where[:, width // 2:] = 1
    where[height * 3 // 4:] = 2
    return Frame(1, "camera", np.eye(3, dtype=np.uint8)[where] * 250), where


def segmenter_of(path, **values):
    return make_segmenter(from_dict({"semantics.segmenter": "onnx", "semantics.segmenter_model": str(path), **values}))


def colours(path, settings=SETTINGS, shape=(1, 3, 24, 32), factor=5.0):
    """A model that gives each colour as the logit of a class."""
    return write_model(path, shape, settings, [constant(factor), node("Mul", ("x", "c"))])


def inner(labels, where):
    """Share of pixels with the right label, away from borders, which are blurred."""
    flat = np.ones(where.shape, bool)
    for axis in (0, 1):
        for shift in (-3, 3):
            flat &= np.roll(where, shift, axis) == where
    return np.mean(labels[flat] == where[flat])


@pytest.mark.parametrize(("shape", "layout"), [((1, 3, 24, 32), "NCHW"), ((1, 24, 32, 3), "NHWC")])
def test_labels_are_those_of_the_model_at_the_size_of_the_image(tmp_path, shape, layout):
    segmenter = segmenter_of(colours(tmp_path / "m.onnx", f"{SETTINGS}layout: {layout}\n", shape))
    frame, where = picture()
    labels, probability = segmenter.with_probability(frame)
    assert labels.dtype == np.uint16 and inner(labels, where) == 1 and np.mean(labels == where) > 0.95
    assert probability.dtype == np.float32
    expected = 1 / (1 + 2 * np.exp(-5 * 250 / 255))  # softmax
    assert probability[5, 5] == pytest.approx(expected, abs=1e-4)
    assert segmenter.label_space.names == {0: "red", 1: "green", 2: "blue"}


def test_unsure_pixels_and_classes_that_mean_nothing_are_unlabelled(tmp_path):
    path = colours(tmp_path / "m.onnx", f"{SETTINGS}unlabelled: [green]\n", factor=1.0)  # at most 0.57 sure
    frame, where = picture()
    some = segmenter_of(path, **{"semantics.min_label_probability": 0.5})
    labels, probability = some.with_probability(frame)
    assert inner(labels, np.where(where == 1, UNLABELLED, where)) == 1 and set(some.label_space.names) == {0, 2}
    assert not probability[labels == UNLABELLED].any()
    strict = segmenter_of(path, **{"semantics.min_label_probability": 0.7})
    assert (strict.segment(frame) == UNLABELLED).all()


def test_ids_of_a_label_space(tmp_path):
    """Each colour is a number; the greatest of a pixel is its class."""
    weights = onnx.numpy_helper.from_array(np.array([4, 8, 15], np.float32).reshape(1, 3, 1, 1))
    nodes = [node("Constant", (), ("w",), value=weights), node("Mul", ("x", "w"), ("z",)),
             node("ReduceMax", ("z",), ("s",), axes=[1], keepdims=1), node("Round", ("s",))]
    settings = "size: [48, 64]\noutput: ids\nnames: {0: none, 4: red, 8: green, 15: blue}\n"
    frame, where = picture()
    labels = segmenter_of(write_model(tmp_path / "m.onnx", (1, 3, 48, 64), settings, nodes)).segment(frame)
    assert np.array_equal(labels, np.array([4, 8, 15])[where])
    path = write_model(tmp_path / "n.onnx", (1, 3, 48, 64), "size: [48, 64]\noutput: ids\nnames: {0: none, 4: red}\n", nodes)
    with pytest.raises(ValueError, match="segmenter n.onnx: it gave label id 8, which has no name"):
        segmenter_of(path).segment(frame)


def test_masks_of_queries_with_classes(tmp_path):
    """Query q sees colour q: its mask is that colour; query 1 is of class 0, and query 2 of none."""
    classes = np.array([[[9, 0, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]]], np.float32)  # three names, and none
    nodes = [constant(20.0), node("Mul", ("x", "c"), ("m",)), constant(10.0, "d"), node("Sub", ("m", "d"), ("masks",)),
             node("Constant", (), ("classes",), value=onnx.numpy_helper.from_array(classes))]
    h = onnx.helper
    outputs = [h.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in ("classes", "masks")]
    graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 24, 32))], outputs)
    onnx.save(h.make_model(graph, ir_version=8, opset_imports=[h.make_opsetid("", 17)]), str(tmp_path / "m.onnx"))
    (tmp_path / "m.yaml").write_text(SETTINGS.replace("logits", "masks"))
    frame, where = picture()
    labels = segmenter_of(tmp_path / "m.onnx").segment(frame)
    assert inner(labels, np.array([0, 2, UNLABELLED])[where]) == 1


@pytest.mark.parametrize(("settings", "says"), [
    (None, "m.yaml does not exist; it says how"),
    ("size: [24, 32]\noutput: logits\n", "it needs size and output and names, and may have layout"),
    (SETTINGS.replace("logits", "classes"), "output must be one of logits .* got 'classes'"),
    (SETTINGS.replace("[red, green, blue]", "[red, green]"), "has no side of 2, as many as there are names"),
    (SETTINGS.replace("blue", "Red"), "name 'Red' comes twice, for label ids 0 and 2"),
    (SETTINGS.replace("[red, green, blue]", "nowhere"), "label space 'nowhere' is neither a YAML file nor one of"),
    (SETTINGS.replace("[red, green, blue]", "7"), "names must be a label space, a list of names"),
    (f"{SETTINGS}unlabelled: [sky]\n", "unlabelled names 'sky', which is none of its names"),
    (SETTINGS.replace("24, 32", "32, 24"), "correct its size or layout"),
    (SETTINGS.replace("logits", "masks"), r"masks need outputs \(1, Q, 4\) and \(1, Q, h, w\)"),
    (SETTINGS.replace("logits", "ids"), "is no image of class ids"),
])
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, says):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        segmenter_of(colours(tmp_path / "m.onnx", settings))


def test_answers_that_are_no_numbers_are_refused(tmp_path):
    path = write_model(tmp_path / "m.onnx", settings=SETTINGS, nodes=[node("Neg", outputs=("n",)), node("Log", ("n",))])
    with pytest.raises(ValueError, match="values that are no numbers"):
        segmenter_of(path).segment(picture()[0])


def test_a_missing_file_or_package_is_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="segmenter onnx: there is no file ''; semantics.segmenter_model is the model"):
        segmenter_of("")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="m.onnx needs ONNX Runtime: pip install onnxruntime"):
        segmenter_of(colours(tmp_path / "m.onnx"))


def test_the_example_of_settings_can_be_used_as_it_is(tmp_path):
    (tmp_path / "m.yaml").write_text(EXAMPLE)
    found = read_settings(SegmenterSettings, tmp_path / "m.yaml", "", "")
    assert len(found.space.names) == 21 and found.space.names[9] == "chair" and found.unlabelled == ("background",)
