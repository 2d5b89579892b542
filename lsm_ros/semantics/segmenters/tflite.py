# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The lsm_ros authors
"""Segmenters in TensorFlow Lite files, run by LiteRT."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lsm_ros.semantics.segmenters.network import FileSegmenter


class TfliteSegmenter(FileSegmenter):
    """The file `semantics.segmenter_model` run by LiteRT. Errors as of `FileSegmenter`; ImportError without it."""

    kind = "tflite"

    def _open(self, path: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ImportError("segmenter tflite needs LiteRT: pip install ai-edge-litert") from error
        try:
            self._model = Interpreter(str(path), num_threads=max(cv2.getNumThreads(), 1))  # as `limits.threads` has it
            inputs = self._model.get_input_details()
            if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
                raise ValueError(f"it takes {[i['shape'].tolist() for i in inputs]}, where one image is expected")
            asked = inputs[0]["shape_signature"].tolist()  # -1 where any size will do
            if any(n not in (-1, m) for n, m in zip(asked, self.settings.shape, strict=True)):
                raise ValueError(f"it takes {asked}, where {path.with_suffix('.yaml')} says {self.settings.shape}: correct its "
                                 "size or layout")
            self._model.resize_tensor_input(inputs[0]["index"], self.settings.shape)
            self._model.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{path} cannot be used as a TensorFlow Lite model: {error}") from error
        self._input, self._outputs = inputs[0], self._model.get_output_details()

    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        try:
            self._model.set_tensor(self._input["index"], _quantised(x, self._input))
            self._model.invoke()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{self.name} does not run: {error}") from error
        return [_numbers(self._model.get_tensor(o["index"]), o) for o in self._outputs]


def _quantised(x: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Values as a tensor holds them, which may be whole numbers of a step."""
    kind, (step, zero) = np.dtype(tensor["dtype"]), tensor["quantization"]
    if kind.kind != "i" and kind.kind != "u":
        return x.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.rint(x / (step or 1.0)) + zero, limits.min, limits.max).astype(kind)


def _numbers(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The values that a tensor stands for."""
    step, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(step) if step else values
