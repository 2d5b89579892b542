# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Tiny ONNX models of depth, written by the tests that use them."""
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FORMAT = {"ir_version": 8, "opset_imports": [onnx.helper.make_opsetid("", 17)]}  # what every runtime of today reads


def write_model(path, shape=(1, 3, 24, 32), settings="size: [24, 32]\noutput: metres\n", nodes=None, kind=None):
    """A model whose values are the mean of the colours, with its settings; or another one, from `x` to `y`; and its path."""
    helper, axis = onnx.helper, 1 if shape[1] == 3 else 3
    nodes = nodes or [helper.make_node("ReduceMean", ["x"], ["y"], axes=[axis], keepdims=1)]
    kind = onnx.TensorProto.FLOAT if kind is None else kind
    inputs, outputs = [helper.make_tensor_value_info("x", kind, shape)], [helper.make_tensor_value_info("y", kind, None)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "depth", inputs, outputs), **FORMAT), str(path))
    if settings is not None:
        path.with_suffix(".yaml").write_text(settings)
    return path


def node(kind, inputs=("x",), outputs=("y",), **attributes):
    """One operation of a graph."""
    return onnx.helper.make_node(kind, list(inputs), list(outputs), **attributes)


def constant(value, name="c"):
    """A number as an operation of a graph."""
    return node("Constant", (), (name,), value_float=float(value))
